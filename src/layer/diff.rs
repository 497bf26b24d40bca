//! What a container changed: its upper directory (or vfs copy) against its layers.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::copy::{is_opaque, is_whiteout};
use super::{Driver, Store, fuse};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, OFlags, Stat};
use crate::sys::mount::RDONLY;
use crate::sys::rootdir::RootDir;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// `A`: not in the layers.
    Added,
    /// `C`: in the layers, but different; also a directory in which something changed.
    Changed,
    /// `D`: in the layers, gone now.
    Deleted,
}

impl ChangeKind {
    /// The letter of `diff`.
    pub fn letter(self) -> char {
        match self {
            ChangeKind::Added => 'A',
            ChangeKind::Changed => 'C',
            ChangeKind::Deleted => 'D',
        }
    }
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The path, relative to the root.
    pub path: PathBuf,
    /// A directory that is itself as before: only something in it changed.
    pub only_inside: bool,
}

/// A tree of changes and the layers below it.
struct Walk {
    top: RootDir,
    /// Topmost first.
    lowers: Vec<RootDir>,
    /// The top is a whole copy (vfs): what it lacks is deleted, what is equal is unchanged.
    whole: bool,
    /// One of the two may have come through an archive, which keeps whole seconds only.
    seconds: bool,
    changes: Vec<Change>,
}

impl Store {
    /// The changes of the container whose directory is `dir`, sorted by path.
    pub fn diff(&self, layers: &[Digest], dir: &Path) -> Result<Vec<Change>> {
        self.diff_of(layers, &self.top(layers, dir)?)
    }

    /// The changes that a tree shows.
    pub(super) fn diff_of(&self, layers: &[Digest], top: &Top) -> Result<Vec<Change>> {
        changes(&self.lower_dirs(layers)?, &top.path, top.whole)
    }

    /// What the topmost of these layers changes in those below it, sorted by path.
    pub fn diff_layers(&self, layers: &[Digest]) -> Result<Vec<Change>> {
        let dirs = self.lower_dirs(layers)?;
        dirs.split_last().map_or_else(|| Ok(Vec::new()), |(top, below)| changes(below, top, false))
    }

    /// What a whole root file system has other than another one, sorted by path.
    pub fn diff_roots(&self, top: RootDir, base: RootDir) -> Result<Vec<Change>> {
        Walk { top, lowers: vec![base], whole: true, seconds: true, changes: Vec::new() }.sorted()
    }

    /// Where the changes of the container whose directory is `dir` are.
    pub(super) fn top(&self, layers: &[Digest], dir: &Path) -> Result<Top> {
        let (path, whole) = top_of(dir);
        if whole || self.driver()? != Driver::Fuse {
            return Ok(Top { path, whole, _mount: None });
        }
        let lowers = self.lower_dirs(layers)?;
        let trees: Vec<PathBuf> = [path].into_iter().chain(lowers.into_iter().rev()).collect();
        let mount = fuse::overlay(&trees, None, RDONLY)?;
        let path = format!("/proc/self/fd/{}", mount.as_raw_fd()).into();
        Ok(Top { path, whole: true, _mount: Some(mount) })
    }
}

/// The tree with a container's changes.
pub(super) struct Top {
    pub(super) path: PathBuf,
    /// It shows the layers as well, so that it is compared with them name by name.
    whole: bool,
    /// Keeps the path alive where it is that of a mount.
    _mount: Option<OwnedFd>,
}

/// What the tree `top` changes of the trees `lowers` (lowest first), sorted by path. A `whole` top is a complete root
/// file system and not an upper directory: what it lacks is deleted.
pub(super) fn changes(lowers: &[PathBuf], top: &Path, whole: bool) -> Result<Vec<Change>> {
    let open = |path: &Path| RootDir::open(path).with_context(|| format!("open `{}`", path.display()));
    let lowers = lowers.iter().rev().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    Walk { top: open(top)?, lowers, whole, seconds: false, changes: Vec::new() }.sorted()
}

/// The tree with a container's changes, and whether it is a whole copy.
pub(super) fn top_of(dir: &Path) -> (PathBuf, bool) {
    let rootfs = dir.join("rootfs");
    if rootfs.exists() { (rootfs, true) } else { (dir.join("upper"), false) }
}

impl Walk {
    fn sorted(mut self) -> Result<Vec<Change>> {
        let all: Vec<usize> = (0..self.lowers.len()).collect();
        self.directory(Path::new(""), &all)?;
        self.changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.changes)
    }

    /// Compares one directory with the layers (by index) that have it too; says whether anything in it changed.
    fn directory(&mut self, path: &Path, below: &[usize]) -> Result<bool> {
        let shown = || format!("compare `{}`", path.display());
        let dir = open_dir(&self.top, path).with_context(shown)?;
        let mut gone = if self.whole { self.names_below(path, below)? } else { BTreeMap::new() };
        let mut changed = false;
        for name in file::list(&dir)? {
            gone.remove(&name.name);
            changed |= self.entry(&dir, path, name.path(), below).with_context(shown)?;
        }
        for name in gone.into_keys() {
            let name = file::Name { name, kind: FileType::Unknown };
            self.note(ChangeKind::Deleted, path.join(name.path()));
            changed = true;
        }
        Ok(changed)
    }

    fn entry(&mut self, dir: &OwnedFd, parent: &Path, name: &Path, below: &[usize]) -> Result<bool> {
        let path = parent.join(name);
        let stat = file::stat_at(dir, name)?;
        let (before, deeper) = self.before(&path, below)?;
        if is_whiteout(&stat) {
            if before.is_some() {
                self.note(ChangeKind::Deleted, path);
            }
            return Ok(before.is_some());
        }
        let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        let differs = match &before {
            None => true,
            Some(old) if is_dir || self.whole => !self.same(old, &stat),
            Some(_) => true,
        };
        let inside = is_dir && self.inside(dir, &path, name, &deeper)?;
        if differs || inside {
            let kind = if before.is_some() { ChangeKind::Changed } else { ChangeKind::Added };
            self.changes.push(Change { kind, path, only_inside: !differs }); // changes() sorts
        }
        Ok(differs || inside)
    }

    fn inside(&mut self, dir: &OwnedFd, path: &Path, name: &Path, deeper: &[usize]) -> Result<bool> {
        if self.whole || !is_opaque(dir, name)? {
            return self.directory(path, deeper);
        }
        // Opaque: everything below is hidden, so all that the directory lacks is deleted.
        let mut gone = self.names_below(path, deeper)?;
        for name in file::list(open_dir(&self.top, path)?)? {
            gone.remove(&name.name);
        }
        let deleted = !gone.is_empty();
        for name in gone.into_keys() {
            let name = file::Name { name, kind: FileType::Unknown };
            self.note(ChangeKind::Deleted, path.join(name.path()));
        }
        Ok(self.directory(path, deeper)? || deleted)
    }

    /// Whether two inodes look the same; change times differ in any copy.
    fn same(&self, a: &Stat, b: &Stat) -> bool {
        let is_dir = FileType::from_raw_mode(a.st_mode).is_dir();
        let rounded = self.seconds && (a.st_mtime_nsec == 0 || b.st_mtime_nsec == 0);
        a.st_mode == b.st_mode
            && (a.st_uid, a.st_gid, a.st_rdev) == (b.st_uid, b.st_gid, b.st_rdev)
            && (is_dir || a.st_size == b.st_size)
            && a.st_mtime == b.st_mtime
            && (rounded || a.st_mtime_nsec == b.st_mtime_nsec)
    }

    fn note(&mut self, kind: ChangeKind, path: PathBuf) {
        self.changes.push(Change { kind, path, only_inside: false });
    }

    /// What the layers show at a path, and which of them contribute when it is a directory.
    fn before(&self, path: &Path, below: &[usize]) -> Result<(Option<Stat>, Vec<usize>)> {
        let mut found = None;
        let mut deeper = Vec::new();
        for &index in below {
            let lower = &self.lowers[index];
            let stat = match file::stat_at(lower, path) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).with_context(|| format!("stat `{}`", path.display())),
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
            if is_whiteout(&stat) || (found.is_some() && !is_dir) {
                break;
            }
            found.get_or_insert(stat);
            if !is_dir {
                break;
            }
            deeper.push(index);
            if is_opaque(
                &lower.open_dir(path.parent().unwrap_or(path))?,
                Path::new(path.file_name().unwrap_or_default()),
            )? {
                break;
            }
        }
        Ok((found, deeper))
    }

    /// All names that the layers show in a directory.
    fn names_below(&self, path: &Path, below: &[usize]) -> Result<BTreeMap<CString, ()>> {
        let mut shown: BTreeMap<CString, bool> = BTreeMap::new();
        for &index in below {
            let dir = open_dir(&self.lowers[index], path)?;
            for name in file::list(&dir)? {
                let hidden =
                    name.kind == FileType::CharacterDevice && is_whiteout(&file::stat_at(&dir, name.path())?);
                shown.entry(name.name).or_insert(!hidden);
            }
        }
        Ok(shown.into_iter().filter(|(_, visible)| *visible).map(|(name, _)| (name, ())).collect())
    }
}

/// Opens a directory by its real path in a tree of the store.
pub(super) fn open_dir(root: &RootDir, path: &Path) -> Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    file::open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
        .with_context(|| format!("open `{}`", path.display()))
}
