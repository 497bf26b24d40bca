//! Copying trees: variants of a layer (hard links or shifted owners) and the vfs driver's root file systems.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::shift::Shift;
use super::tree;
use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, Mode, Name, OFlags, Stat, Timespec};
use crate::sys::rootdir::RootDir;
use crate::sys::xattr;

/// What becomes of files.
pub(super) enum Files<'a> {
    /// They are linked: same inode, no space.
    Link,
    /// They are copied, sharing blocks where the file system can, with owners shifted.
    Copy(Option<&'a Shift<'a>>),
    /// Copied onto what is there, obeying whiteouts and opaque marks, which are not copied.
    Merge(Option<&'a Shift<'a>>),
}

impl Files<'_> {
    fn shift(&self) -> Option<&Shift<'_>> {
        match self {
            Files::Link => None,
            Files::Copy(shift) | Files::Merge(shift) => *shift,
        }
    }

    fn merges(&self) -> bool {
        matches!(self, Files::Merge(_))
    }
}

/// One run over a tree.
struct Copier<'a> {
    files: &'a Files<'a>,
    from: RootDir,
    to: RootDir,
    /// First copies of files with several names, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    /// Directories whose times must wait.
    done: Vec<(PathBuf, Timespec)>,
}

/// Copies a directory's content and metadata into an existing directory: links stay links, blocks are shared where
/// the file system can.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    tree(from, to, &Files::Copy(None))
}

/// Copies everything in `from` into the existing directory `to`, the directory's own metadata included.
pub(super) fn tree(from: &Path, to: &Path, files: &Files<'_>) -> Result<()> {
    let open = |path: &Path| RootDir::open(path).with_context(|| format!("open `{}`", path.display()));
    let (from, to) = (open(from)?, open(to)?);
    let mut copier = Copier { files, from, to, linked: HashMap::new(), done: Vec::new() };
    let mut todo = VecDeque::from([PathBuf::new()]);
    while let Some(path) = todo.pop_front() {
        copier.directory(&path, &mut todo).with_context(|| format!("copy `{}`", path.display()))?;
    }
    copier.finish()
}

impl Copier<'_> {
    fn directory(&mut self, path: &Path, todo: &mut VecDeque<PathBuf>) -> Result<()> {
        let from = open_dir(&self.from, path)?;
        let to = open_dir(&self.to, path)?;
        let stat = file::stat(&from)?;
        self.metadata(&from, Path::new("."), &to, Path::new("."), &stat)?;
        self.done.push((path.to_owned(), mtime(&stat)));
        for name in file::list(&from)? {
            self.entry(path, &from, &to, &name, todo)
                .with_context(|| format!("copy `{}`", path.join(name.path()).display()))?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        from: &OwnedFd,
        to: &OwnedFd,
        entry: &Name,
        todo: &mut VecDeque<PathBuf>,
    ) -> Result<()> {
        let name = entry.path();
        let stat = file::stat_at(from, name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.files.merges() && self.make_room(from, to, name, &stat)? {
            return Ok(());
        }
        if kind.is_dir() {
            match file::mkdir_at(to, name, 0o700) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => todo.push_back(path.join(name)),
            }
            return Ok(());
        }
        if matches!(self.files, Files::Link) {
            return Ok(file::link_at(from, name, to, name)?);
        }
        if stat.st_nlink > 1 && self.link_again(&path.join(name), to, name, &stat)? {
            return Ok(());
        }
        self.copy(from, to, name, kind, &stat)
    }

    /// Obeys a whiteout or clears what an entry replaces; says whether the entry is done.
    fn make_room(&self, from: &OwnedFd, to: &OwnedFd, name: &Path, stat: &Stat) -> Result<bool> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let whiteout = is_whiteout(stat);
        let there = match file::stat_at(to, name) {
            Ok(there) => FileType::from_raw_mode(there.st_mode),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(whiteout),
            Err(error) => return Err(error.into()),
        };
        let keeps = kind.is_dir() && there.is_dir() && !is_opaque(from, name)?;
        if !keeps {
            tree::remove_at(to, name)?;
        }
        Ok(whiteout)
    }

    /// Links to the copy of another name of the same file.
    fn link_again(&mut self, path: &Path, to: &OwnedFd, name: &Path, stat: &Stat) -> Result<bool> {
        if let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)) {
            let (dir, first) = self.to.parent(first)?;
            file::link_at(&dir, Path::new(&first), to, name)?;
            return Ok(true);
        }
        self.linked.insert((stat.st_dev, stat.st_ino), path.to_owned());
        Ok(false)
    }

    fn copy(&self, from: &OwnedFd, to: &OwnedFd, name: &Path, kind: FileType, stat: &Stat) -> Result<()> {
        match kind {
            FileType::RegularFile => {
                let source = file::open_at(from, name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let target = file::open_at(to, name, flags, Mode::from_raw_mode(0o600))?;
                file::copy_contents(&source, &target, u64::try_from(stat.st_size)?)?;
            }
            FileType::Symlink => {
                use std::os::unix::ffi::OsStrExt;
                let target = file::readlink_at(from, name)?;
                let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
                file::symlink_at(target, to, name)?;
            }
            FileType::Socket => return Ok(()), // dead without its listener
            _ => file::mknod_at(to, name, kind, stat.st_mode & 0o7777, stat.st_rdev)?,
        }
        self.metadata(from, name, to, name, stat)?;
        Ok(file::set_mtime_at(to, name, mtime(stat))?)
    }

    /// Owner, mode, attributes: in this order, since a new owner clears setuid and capabilities.
    fn metadata(&self, from: &OwnedFd, name: &Path, to: &OwnedFd, at: &Path, stat: &Stat) -> Result<()> {
        let (uid, gid) = match self.files.shift() {
            Some(shift) => shift.outside(stat.st_uid, stat.st_gid)?,
            None => (stat.st_uid, stat.st_gid),
        };
        file::chown_at(to, at, uid, gid)?;
        if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
            file::chmod_at(to, at, stat.st_mode & 0o7777)?;
        }
        for (attribute, value) in xattr::all_at(from, name)? {
            let bytes = attribute.to_bytes();
            let control = bytes.starts_with(b"trusted.overlay.") || bytes.starts_with(b"user.overlay.");
            if !(control && self.files.merges()) {
                xattr::set_at(to, at, bytes, &value)?;
            }
        }
        Ok(())
    }

    /// Times of directories, once nothing is put into them any more.
    fn finish(self) -> Result<()> {
        for (path, mtime) in self.done.iter().rev() {
            let dir = open_dir(&self.to, path)?;
            file::set_mtime(&dir, *mtime).with_context(|| format!("set times of `{}`", path.display()))?;
        }
        Ok(())
    }
}

/// Opens a directory of a tree that is ours alone now: no component is a link.
fn open_dir(root: &RootDir, path: &Path) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Ok(file::open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?)
}

fn mtime(stat: &Stat) -> Timespec {
    Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ }
}

/// Whether this is overlayfs's mark for "deleted".
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == 0
}

/// Whether a directory hides what lower layers have under its name.
pub fn is_opaque(dir: &OwnedFd, name: &Path) -> Result<bool> {
    for attribute in [&b"trusted.overlay.opaque"[..], b"user.overlay.opaque"] {
        if xattr::get_at(dir, name, attribute)?.is_some_and(|value| value == b"y") {
            return Ok(true);
        }
    }
    Ok(false)
}
