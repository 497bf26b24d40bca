//! Calls on names in open directories, as `openat(2)` and its siblings give them: `EINTR` retried, links in the last
//! place never followed, descriptors close-on-exec.
//!
//! Who hands in a name must have made sure that it is one component, or that everything before the last is ours.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{self, AtFlags, RawDir, Timestamps};
use rustix::io::Errno;

pub use rustix::fs::{FileType, Gid, Mode, OFlags, Stat, Timespec, Uid, major, makedev, minor};

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// `openat(2)` with `O_CLOEXEC | O_NOFOLLOW`.
pub fn open_at(dir: impl AsFd, name: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    retry(|| fs::openat(dir.as_fd(), name, flags, mode))
}

/// `openat2(2)` that follows no link at all and does not leave `dir`; component by component where the call is
/// missing (before Linux 5.6) or hidden by a filter.
pub fn open_beneath(dir: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags as R;
    let resolve = R::BENEATH | R::NO_SYMLINKS | R::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match retry(|| fs::openat2(dir.as_fd(), path, flags, Mode::empty(), resolve)) {
        Err(error) if error.raw_os_error() == Some(Errno::NOSYS.raw_os_error()) => {
            walk_beneath(dir.as_fd(), path, flags)
        }
        opened => opened,
    }
}

fn walk_beneath(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut held: Option<OwnedFd> = None;
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        if !matches!(component, Component::Normal(_) | Component::CurDir) {
            return Err(Errno::XDEV.into()); // as the kernel says it of a path that leads out
        }
        let at = held.as_ref().map_or(dir, AsFd::as_fd);
        let flags = if components.peek().is_none() { flags } else { through };
        let next = retry(|| fs::openat(at, component.as_os_str(), flags, Mode::empty()))?;
        held = Some(next);
    }
    held.ok_or_else(|| Errno::NOENT.into())
}

/// `mkdirat(2)`
pub fn mkdir_at(dir: impl AsFd, name: &Path, mode: u32) -> io::Result<()> {
    retry(|| fs::mkdirat(dir.as_fd(), name, Mode::from_raw_mode(mode)))
}

/// `mknodat(2)`
pub fn mknod_at(dir: impl AsFd, name: &Path, kind: FileType, mode: u32, device: u64) -> io::Result<()> {
    retry(|| fs::mknodat(dir.as_fd(), name, kind, Mode::from_raw_mode(mode), device))
}

/// `symlinkat(2)`
pub fn symlink_at(target: &Path, dir: impl AsFd, name: &Path) -> io::Result<()> {
    retry(|| fs::symlinkat(target, dir.as_fd(), name))
}

/// `linkat(2)`; a link as the source is linked itself.
pub fn link_at(from: impl AsFd, source: &Path, to: impl AsFd, name: &Path) -> io::Result<()> {
    retry(|| fs::linkat(from.as_fd(), source, to.as_fd(), name, AtFlags::empty()))
}

/// `renameat(2)`
pub fn rename_at(from: impl AsFd, source: &Path, to: impl AsFd, name: &Path) -> io::Result<()> {
    retry(|| fs::renameat(from.as_fd(), source, to.as_fd(), name))
}

/// `unlinkat(2)` of anything but a directory.
pub fn unlink_at(dir: impl AsFd, name: &Path) -> io::Result<()> {
    retry(|| fs::unlinkat(dir.as_fd(), name, AtFlags::empty()))
}

/// `unlinkat(2)` of an empty directory.
pub fn rmdir_at(dir: impl AsFd, name: &Path) -> io::Result<()> {
    retry(|| fs::unlinkat(dir.as_fd(), name, AtFlags::REMOVEDIR))
}

/// `readlinkat(2)`
pub fn readlink_at(dir: impl AsFd, name: &Path) -> io::Result<CString> {
    retry(|| fs::readlinkat(dir.as_fd(), name, Vec::new()))
}

/// `fstatat(2)` of a name, a link itself.
pub fn stat_at(dir: impl AsFd, name: &Path) -> io::Result<Stat> {
    retry(|| fs::statat(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW))
}

/// `fstat(2)`
pub fn stat(fd: impl AsFd) -> io::Result<Stat> {
    retry(|| fs::fstat(fd.as_fd()))
}

/// `fchownat(2)` of a name, a link itself.
pub fn chown_at(dir: impl AsFd, name: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    retry(|| fs::chownat(dir.as_fd(), name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
}

/// `fchownat(2)` of what a descriptor of any kind is open on, one of `O_PATH` too.
pub fn chown_path(fd: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    retry(|| fs::chownat(fd.as_fd(), "", uid, gid, AtFlags::EMPTY_PATH))
}

/// `fchown(2)`
pub fn chown(fd: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    retry(|| fs::fchown(fd.as_fd(), uid, gid))
}

/// `fchmodat(2)`, which has no way not to follow a link before Linux 6.6: only for what is known to be none.
pub fn chmod_at(dir: impl AsFd, name: &Path, mode: u32) -> io::Result<()> {
    retry(|| fs::chmodat(dir.as_fd(), name, Mode::from_raw_mode(mode), AtFlags::empty()))
}

/// `chmod(2)` of what a descriptor of any kind is open on, one of `O_PATH` too, by way of `/proc`.
pub fn chmod_path(fd: impl AsFd, mode: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    retry(|| fs::chmod(path.as_str(), Mode::from_raw_mode(mode)))
}

/// `fchmod(2)`
pub fn chmod(fd: impl AsFd, mode: u32) -> io::Result<()> {
    retry(|| fs::fchmod(fd.as_fd(), Mode::from_raw_mode(mode)))
}

/// `utimensat(2)` of a name, a link itself; access time becomes the modification time.
pub fn set_mtime_at(dir: impl AsFd, name: &Path, mtime: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: mtime, last_modification: mtime };
    retry(|| fs::utimensat(dir.as_fd(), name, &times, AtFlags::SYMLINK_NOFOLLOW))
}

/// `futimens(3)`
pub fn set_mtime(fd: impl AsFd, mtime: Timespec) -> io::Result<()> {
    let times = Timestamps { last_access: mtime, last_modification: mtime };
    retry(|| fs::futimens(fd.as_fd(), &times))
}

/// `ftruncate(2)`
pub fn truncate(fd: impl AsFd, length: u64) -> io::Result<()> {
    retry(|| fs::ftruncate(fd.as_fd(), length))
}

/// `syncfs(2)`: everything of the file system that holds `fd`.
pub fn syncfs(fd: impl AsFd) -> io::Result<()> {
    retry(|| fs::syncfs(fd.as_fd()))
}

/// Copies all bytes of a file into an empty one: shared blocks where the file system can (`FICLONE`), else in the
/// kernel, hole by hole so that holes stay holes.
pub fn copy_contents(from: impl AsFd, to: impl AsFd, length: u64) -> io::Result<()> {
    let (from, to) = (from.as_fd(), to.as_fd());
    if length == 0 || fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    truncate(to, length)?;
    let mut at = 0;
    while at < length {
        let Some((start, end)) = next_data(from, at, length)? else { return Ok(()) };
        copy_range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

/// The next range that is not a hole, from `at` on.
pub fn next_data(fd: impl AsFd, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    let fd = fd.as_fd();
    let start = match fs::seek(fd, fs::SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        Err(Errno::INVAL) => return Ok(Some((at, length))),
        Err(error) => return Err(error.into()),
    };
    let end = fs::seek(fd, fs::SeekFrom::Hole(start)).unwrap_or(length);
    Ok(Some((start, end.min(length))))
}

fn copy_range(from: impl AsFd, to: impl AsFd, start: u64, end: u64) -> io::Result<()> {
    let (from, to) = (from.as_fd(), to.as_fd());
    let (mut input, mut output) = (start, start);
    while input < end {
        let want = usize::try_from(end - input).unwrap_or(usize::MAX);
        match fs::copy_file_range(from, Some(&mut input), to, Some(&mut output), want) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => {
                return copy_by_hand(from, to, input, end);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: impl AsFd, to: impl AsFd, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 128 * 1024];
    while at < end {
        let want = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let read = retry(|| rustix::io::pread(from.as_fd(), &mut buffer[..want], at))?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all_at(to.as_fd(), &buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

/// `read(2)`; 0 at the end.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    retry(|| rustix::io::read(fd.as_fd(), &mut *buffer))
}

/// `write(2)` until all is written.
pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retry(|| rustix::io::write(fd.as_fd(), bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// `pwrite(2)` until all is written.
pub fn write_all_at(fd: impl AsFd, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retry(|| rustix::io::pwrite(fd.as_fd(), bytes, at))?;
        bytes = &bytes[written..];
        at += written as u64;
    }
    Ok(())
}

/// A name in a directory, with the kind where the file system tells (else `FileType::Unknown`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: CString,
    /// The kind.
    pub kind: FileType,
}

impl Name {
    /// The name as a path of one component.
    pub fn path(&self) -> &Path {
        use std::os::unix::ffi::OsStrExt;
        Path::new(std::ffi::OsStr::from_bytes(self.name.to_bytes()))
    }
}

/// All names in an open directory but the dot ones, from its start, in the order of the file system.
pub fn list(dir: impl AsFd) -> io::Result<Vec<Name>> {
    let dir = dir.as_fd();
    fs::seek(dir, fs::SeekFrom::Start(0))?;
    let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(Name { name: name.to_owned(), kind: entry.file_type() });
        }
    }
    Ok(names)
}

/// Lets the programs that this process starts from now on have the descriptor.
pub fn inherit(fd: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?)
}

/// A file in memory (`memfd_create(2)`); the name is for `/proc/PID/fd` alone.
pub fn memory_file(name: &str) -> io::Result<OwnedFd> {
    Ok(fs::memfd_create(name, fs::MemfdFlags::CLOEXEC)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{fs as files, id};

    #[test]
    fn copies_keep_bytes_and_holes() {
        let dir = std::env::temp_dir().join(format!("dhow-file-{}", id::word()));
        files::create_dir_all(&dir).unwrap();
        let from = files::create(&dir.join("from")).unwrap();
        write_all_at(&from, b"start", 0).unwrap();
        write_all_at(&from, b"end", 1 << 20).unwrap();
        let length = (1 << 20) + 3;
        let from = files::open(&dir.join("from")).unwrap();
        let to = files::create(&dir.join("to")).unwrap();
        copy_contents(&from, &to, length).unwrap();
        assert!(files::read(&dir.join("from")).unwrap() == files::read(&dir.join("to")).unwrap());
        assert!(stat(&to).unwrap().st_blocks < 100);
        assert_eq!(list(files::open(&dir).unwrap()).unwrap().len(), 2);
        files::remove_file(&dir.join("from")).unwrap();
        files::remove_file(&dir.join("to")).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn the_walk_refuses_what_the_kernel_refuses() {
        let dir = std::env::temp_dir().join(format!("dhow-walk-{}", id::word()));
        files::create_dir_all(&dir.join("a/b")).unwrap();
        std::os::unix::fs::symlink("a", dir.join("link")).unwrap();
        let root = files::open(&dir).unwrap();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        for (path, fine) in [
            ("a/b", true),
            ("./a", true),
            (".", true),
            ("a/../a", false),
            ("/a", false),
            ("link/b", false),
            ("link", false),
        ] {
            assert_eq!(
                open_beneath(&root, Path::new(path), flags).is_ok(),
                fine || path == "a/../a",
                "{path}"
            );
            assert_eq!(walk_beneath(root.as_fd(), Path::new(path), flags).is_ok(), fine, "walk {path}");
        }
        files::remove_file(&dir.join("link")).unwrap();
        for path in ["a/b", "a", "."] {
            std::fs::remove_dir(dir.join(path).components().as_path()).unwrap();
        }
    }
}
