//! `tmpcopyup`: a tmpfs that starts with what lies below it.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, Result as SysResult};

use crate::base::error::{Context, Result};
use crate::sys::rootdir::RootDir;

/// Deeper trees are not what belongs in a tmpfs.
const MAX_DEPTH: usize = 256;
const GUARDS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

/// Copies the directory at `target` inside the root (if there is one) into `tmpfs`: links as links, devices,
/// sockets and FIFOs not at all.
pub(super) fn fill(root: &RootDir, target: &Path, tmpfs: BorrowedFd<'_>) -> Result<()> {
    let from = match root.open_dir(target) {
        Ok(from) => from,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("open what is to be copied up"),
    };
    let to =
        rustix::fs::openat(tmpfs, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .context("open the tmpfs")?;
    copy_attributes(from.as_fd(), to.as_fd()).and_then(|()| copy(&from, &to, 0)).context("copy up")
}

fn copy(from: &OwnedFd, to: &OwnedFd, depth: usize) -> SysResult<()> {
    if depth > MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let (from, to) = (open_dir(from, name)?, open_dir(to, name)?);
                copy(&from, &to, depth + 1)?;
                copy_attributes(from.as_fd(), to.as_fd())?;
            }
            FileType::RegularFile => copy_file(from, to, name)?,
            FileType::Symlink => copy_link(from, to, name, &stat)?,
            _ => {}
        }
    }
    Ok(())
}

fn open_dir(parent: &OwnedFd, name: &OsStr) -> SysResult<OwnedFd> {
    rustix::fs::openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | GUARDS, Mode::empty())
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &OsStr) -> SysResult<()> {
    let source = rustix::fs::openat(from, name, OFlags::RDONLY | OFlags::NONBLOCK | GUARDS, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | GUARDS;
    let target = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    while rustix::fs::sendfile(&target, &source, None, 1 << 30)? > 0 {}
    copy_attributes(source.as_fd(), target.as_fd())
}

fn copy_link(from: &OwnedFd, to: &OwnedFd, name: &OsStr, stat: &rustix::fs::Stat) -> SysResult<()> {
    let target = rustix::fs::readlinkat(from, name, Vec::new())?;
    rustix::fs::symlinkat(&target, to, name)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// Owner before mode: a change of owner clears set-uid bits.
fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> SysResult<()> {
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}
