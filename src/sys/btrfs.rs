//! Subvolumes of btrfs: trees that are copied in constant time. The ioctls of `linux/btrfs.h`.
#![expect(unsafe_code, reason = "the ioctls of btrfs have no safe wrapper")]

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::io::{Errno, Result as SysResult};

use super::mount::last_errno;

/// `BTRFS_SUPER_MAGIC`
const MAGIC: i64 = 0x9123_683e;
/// `BTRFS_IOC_SNAP_CREATE_V2`: `_IOW(0x94, 23, struct btrfs_ioctl_vol_args_v2)`
const SNAP_CREATE_V2: libc::c_ulong = 0x5000_9417;
/// `BTRFS_IOC_SUBVOL_CREATE_V2`: `_IOW(0x94, 24, struct btrfs_ioctl_vol_args_v2)`
const SUBVOL_CREATE_V2: libc::c_ulong = 0x5000_9418;
/// `BTRFS_SUBVOL_NAME_MAX`, which leaves room for a NUL.
const NAME_MAX: usize = 4039;

/// The kernel's `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
struct VolArgs {
    fd: i64,
    transid: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; NAME_MAX + 1],
}

/// Whether the descriptor lies on a btrfs.
pub fn is_btrfs(fd: impl AsFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|stat| stat.f_type == MAGIC)
}

/// Makes an empty subvolume, mode 0755 less the umask, owned by the caller.
pub fn create_subvolume(parent: BorrowedFd<'_>, name: &OsStr) -> SysResult<()> {
    volume_call(SUBVOL_CREATE_V2, parent, -1, name)
}

/// Makes a writable snapshot of the subvolume that `source` is the root of. Its owner may do so without privileges.
pub fn snapshot(source: BorrowedFd<'_>, parent: BorrowedFd<'_>, name: &OsStr) -> SysResult<()> {
    volume_call(SNAP_CREATE_V2, parent, i64::from(source.as_raw_fd()), name)
}

fn volume_call(request: libc::c_ulong, parent: BorrowedFd<'_>, fd: i64, name: &OsStr) -> SysResult<()> {
    let bytes = name.as_bytes();
    if bytes.len() > NAME_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let mut args = VolArgs { fd, transid: 0, flags: 0, unused: [0; 4], name: [0; NAME_MAX + 1] };
    args.name[..bytes.len()].copy_from_slice(bytes);
    // SAFETY: both requests read one `btrfs_ioctl_vol_args_v2`, whose size is encoded in them and asserted below;
    // it outlives the call, and its name ends with a NUL. Other file systems answer ENOTTY.
    let done = unsafe { libc::ioctl(parent.as_raw_fd(), request as _, &raw const args) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

const _: () = assert!(size_of::<VolArgs>() == 4096);
