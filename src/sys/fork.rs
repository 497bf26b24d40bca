//! `fork` without exec: how a command leaves a small process of itself behind.
#![expect(unsafe_code, reason = "fork and closing descriptors by number have no safe wrapper")]

use std::os::fd::RawFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::base::error::{Context, Result};

/// Forks; `None` in the child. The process must have one thread only: another one's locks (the allocator's too)
/// would stay held for ever in the child.
pub fn fork() -> Result<Option<Pid>> {
    // SAFETY: the callers are single-threaded (stated above), so the child may go on running any code; it ends
    // by `process::exit_now` or exec and never returns into frames that would release the parent's resources twice.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(std::io::Error::last_os_error()).context("fork");
    }
    Ok(Pid::from_raw(pid))
}

/// Leaves the caller's session: own session, `/` as working directory, and standard streams on `/dev/null`.
pub fn detach() -> Result<()> {
    rustix::process::setsid().context("start a session")?;
    rustix::process::chdir("/").context("change to `/`")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open `/dev/null`")?;
    rustix::stdio::dup2_stdin(&null).context("replace standard input")?;
    rustix::stdio::dup2_stdout(&null).context("replace standard output")?;
    rustix::stdio::dup2_stderr(&null).context("replace standard error")
}

/// Closes descriptors by number: ones that were inherited for somebody else and belong to no value here.
pub fn close(fds: &[RawFd]) {
    for &fd in fds.iter().filter(|fd| **fd > 2) {
        // SAFETY: closing a number touches no memory; the caller says that no value owns it.
        unsafe { libc::close(fd) };
    }
}

/// Gives the pages of the stack below this frame back to the kernel: what deep calls of the past have touched.
///
/// A process that lives for days should not hold what parsing its command line once needed.
#[inline(never)]
pub fn trim_stack() {
    const MARGIN: usize = 32 << 10;
    const DEPTH: usize = 2 << 20;
    let here = 0u8;
    let page = rustix::param::page_size();
    let top = ((&raw const here) as usize - MARGIN) & !(page - 1);
    // SAFETY: the range lies below every live frame and its red zone (MARGIN is far larger than what this call
    // needs), on the main thread's stack, which grows down; dropped pages come back as zeroes when touched.
    // Where part of the range was never mapped madvise gives ENOMEM after doing the mapped part.
    unsafe { libc::madvise((top - DEPTH) as *mut libc::c_void, DEPTH, libc::MADV_DONTNEED) };
}
