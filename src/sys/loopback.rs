//! The loopback interface of a new network namespace: it exists, but is down until somebody raises it.
#![expect(unsafe_code, reason = "SIOCSIFFLAGS has no safe wrapper")]

use std::os::fd::AsRawFd;

use rustix::io::Result as SysResult;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::mount::last_errno;

/// Raises `lo` in the network namespace of the caller; the kernel gives it its addresses.
pub fn raise() -> SysResult<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    // SAFETY: an all-zero ifreq is a valid value of that plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
