//! The root file system of a stage while it is built: layers that are known, and directories of changes that are
//! still on their way to becoming one.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::cache::{Cache, Record};
use super::task::Task;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::layer::{Driver, Staging, Store, Times, tree};
use crate::ops::spec::GENERATED;
use crate::sys::file::{self, FileType, Timespec};
use crate::sys::rootdir::RootDir;

/// How many layers may be hashed in the background at once.
const AHEAD: usize = 3;
/// Where the runtime mounts something in every container.
const MOUNTED: [&str; 5] = ["/dev", "/proc", "/sys", "/run/.containerenv", "/run/secrets"];

/// A directory of changes that is being hashed.
struct Pending {
    task: Task<Digest>,
    /// The directory, wherever it is renamed to.
    tree: OwnedFd,
    /// Where it was made; removed when it is needed no more.
    _staging: Staging,
}

/// See the module.
pub(super) struct Space<'a> {
    store: &'a Store,
    known: Vec<Digest>,
    pending: Vec<Pending>,
    times: Times,
}

/// A place to change the root file system in.
pub(super) struct Workspace {
    staging: Staging,
    lowers: Vec<PathBuf>,
    points: Vec<Point>,
    /// The whole root file system, writable.
    pub(super) root: RootDir,
    mount: OwnedFd,
}

impl<'a> Space<'a> {
    /// Begins with these layers.
    pub(super) fn new(store: &'a Store, layers: Vec<Digest>, times: Times) -> Space<'a> {
        Space { store, known: layers, pending: Vec::new(), times }
    }

    /// Puts a layer of the store on top.
    pub(super) fn push(&mut self, layer: Digest) -> Result<()> {
        self.settle(0)?;
        self.known.push(layer);
        Ok(())
    }

    /// All layers, lowest first; waits for those that are being hashed.
    pub(super) fn layers(&mut self) -> Result<&[Digest]> {
        self.settle(0)?;
        Ok(&self.known)
    }

    /// Waits until so many are being hashed at most.
    fn settle(&mut self, most: usize) -> Result<()> {
        while self.pending.len() > most {
            let first = self.pending.remove(0);
            let layer = first.task.finish()?;
            self.known.push(layer);
        }
        Ok(())
    }

    /// The trees to be mounted, lowest first. Those on their way are named by their descriptors.
    fn trees(&self) -> Result<Vec<PathBuf>> {
        let mut trees = self.store.lower_dirs(&self.known)?;
        let own = |tree: &OwnedFd| PathBuf::from(format!("/proc/self/fd/{}", tree.as_raw_fd()));
        trees.extend(self.pending.iter().map(|pending| own(&pending.tree)));
        Ok(trees)
    }

    /// Mounts everything with a fresh directory of changes on top.
    pub(super) fn open(&mut self) -> Result<Workspace> {
        self.settle(AHEAD - 1)?;
        if self.store.driver()? == Driver::Vfs {
            self.settle(0)?;
        }
        let lowers = self.trees()?;
        let staging = self.store.stage()?;
        self.store.create_dir_over(staging.path(), &lowers, None)?;
        let mount = self.store.mount_over(&lowers, staging.path())?;
        let root = RootDir::from_fd(mount.try_clone().context("duplicate the root's descriptor")?);
        Ok(Workspace { staging, lowers, points: Vec::new(), root, mount })
    }

    /// An empty directory of changes that knows nothing of what is below.
    pub(super) fn open_alone(&mut self) -> Result<Workspace> {
        self.settle(AHEAD - 1)?;
        let staging = self.store.stage()?;
        self.store.create_dir_over(staging.path(), &[], None)?;
        let top = top(staging.path());
        let mount = file::open_at(rustix::fs::CWD, &top, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .with_context(|| format!("open `{}`", top.display()))?;
        let root = RootDir::from_fd(mount.try_clone().context("duplicate the root's descriptor")?);
        Ok(Workspace { staging, lowers: Vec::new(), points: Vec::new(), root, mount })
    }

    /// Makes a layer of what was changed, in the background, and keeps its record.
    pub(super) fn close(
        &mut self,
        space: Workspace,
        cache: &Cache,
        key: &Digest,
        record: Record,
    ) -> Result<()> {
        let Workspace { staging, lowers, points, root, mount } = space;
        drop((root, mount));
        tidy(staging.path(), &points)?;
        let top = top(staging.path());
        self.store.set_times(&lowers, staging.path(), self.times)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tree = file::open_at(rustix::fs::CWD, &top, flags, Mode::empty())
            .with_context(|| format!("open `{}`", top.display()))?;
        let (store, times, dir) = (self.store, self.times, staging.path());
        let task = Task::start(|| {
            let _lock = store.lock_shared()?;
            let info = store.adopt(&lowers, dir, times)?;
            cache.keep(key, &Record { layer: Some(info.diff_id.clone()), ..record })?;
            Ok(info.diff_id)
        })?;
        self.pending.push(Pending { task, tree, _staging: staging });
        Ok(())
    }

    /// Finishes what is under way after a failure, so that the steps before it stay cached.
    pub(super) fn abandon(mut self) {
        let _ = self.settle(0); // the failure is the one to tell
    }
}

impl Workspace {
    /// A directory of its own for files that are mounted.
    pub(super) fn dir(&self) -> &Path {
        self.staging.path()
    }

    /// A copy of the mount for a container.
    pub(super) fn mount(&self) -> Result<OwnedFd> {
        self.mount.try_clone().context("duplicate the root's descriptor")
    }

    /// Notes what is there where something will be mounted: what is made for that does not belong into the layer.
    pub(super) fn note_mounts<'t>(&mut self, targets: impl Iterator<Item = &'t str>) -> Result<()> {
        let usual = GENERATED.iter().map(|(_, target)| *target).chain(MOUNTED);
        let mut paths = BTreeSet::new();
        for target in usual.chain(targets) {
            let real = real(&self.root, Path::new(target))?;
            paths.extend(real.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned));
        }
        // What is deeper comes first.
        for path in paths.into_iter().rev() {
            let before = self.root.lstat(&path).ok().map(|stat| Before {
                metadata: (stat.st_mode, stat.st_uid, stat.st_gid),
                mtime: Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ },
                names: names(&self.root, &path),
            });
            self.points.push(Point { path, before });
        }
        Ok(())
    }
}

/// A place where something is mounted, or a directory above one.
struct Point {
    /// Relative, without links.
    path: PathBuf,
    before: Option<Before>,
}

/// What was there.
struct Before {
    metadata: (u32, u32, u32),
    mtime: Timespec,
    /// The names in a directory.
    names: BTreeSet<CString>,
}

/// The names in a directory; none in what is no directory.
fn names(root: &RootDir, path: &Path) -> BTreeSet<CString> {
    let listed = root.open_dir(path).and_then(file::list).unwrap_or_default();
    listed.into_iter().map(|entry| entry.name).collect()
}

/// Where a path leads inside of the root, as far as it exists; relative.
fn real(root: &RootDir, path: &Path) -> Result<PathBuf> {
    let mut rest = Vec::new();
    let mut known = path.to_owned();
    let found = loop {
        match root.real_path(&known) {
            Ok(found) => break found,
            Err(_) => match (known.file_name().map(ToOwned::to_owned), known.parent().map(Path::to_owned)) {
                (Some(name), Some(parent)) => {
                    rest.push(name);
                    known = parent;
                }
                _ => break PathBuf::from("/"),
            },
        }
    };
    let whole = rest.into_iter().rev().fold(found, |path, name| path.join(name));
    Ok(whole.components().filter(|part| matches!(part, Component::Normal(_))).collect())
}

/// The tree with the changes.
fn top(dir: &Path) -> PathBuf {
    let whole = dir.join("rootfs");
    if whole.exists() { whole } else { dir.join("upper") }
}

/// Takes out of the changes what was only made to mount something on.
fn tidy(dir: &Path, points: &[Point]) -> Result<()> {
    let whole = dir.join("rootfs").exists();
    let top = top(dir);
    let root = RootDir::open(&top).with_context(|| format!("open `{}`", top.display()))?;
    for point in points {
        let Ok(stat) = root.lstat(&point.path) else { continue };
        let (parent, name) = root.parent(&point.path)?;
        let name = Path::new(&name);
        let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        let empty = match is_dir {
            true => file::list(root.open_dir(&point.path)?)?.is_empty(),
            false => stat.st_size == 0 && FileType::from_raw_mode(stat.st_mode).is_file(),
        };
        match &point.before {
            None if empty => tree::remove_at(&parent, name)?,
            Some(before) if is_dir && before.metadata == (stat.st_mode, stat.st_uid, stat.st_gid) => {
                if whole && before.names == names(&root, &point.path) {
                    file::set_mtime_at(&parent, name, before.mtime)?;
                } else if empty && !crate::layer::is_opaque(&parent, name)? {
                    tree::remove_at(&parent, name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}
