//! Layers as a root file system: a detached mount that nobody but the holder of its descriptor can see.
//!
//! Options of the overlay, and why:
//! - `userxattr` in a user namespace: `trusted.` attributes need privileges of the host;
//! - `index=off`: the index ties an upper directory to one inode of its lowers, and refuses it after a variant or a
//!   re-pulled layer took their place;
//! - `metacopy=off`, `redirect_dir=off`: the upper directory stays a plain tree, which `diff`, `commit` and another
//!   driver can read without the layers; a changed file is copied whole anyway, only chown of large files would gain;
//! - `volatile` only where the caller says that the container ends with its upper directory (`--rm`, builds).

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::copy::{self, Files};
use super::lower::{self, missing};
use super::shift::Shift;
use super::{Driver, Staging, Store, fuse, tree};
use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Result};
use crate::base::fs;
use crate::sys::file;
use crate::sys::mount::{self, OverlayOptions, RDONLY, SetAttr};

/// What to mount.
#[derive(Debug, Default)]
pub struct MountRequest<'a> {
    /// The layers, lowest first.
    pub layers: &'a [Digest],
    /// The container's directory, which holds `upper/` and `work/` (overlay) or `rootfs/` (vfs); without one the
    /// mount is of the layers alone, read-only.
    pub dir: Option<&'a Path>,
    /// Mount read-only although there is a container directory.
    pub read_only: bool,
    /// Writes need not survive a crash of the machine.
    pub volatile: bool,
    /// Owners as this user namespace sees them.
    pub shift: Option<&'a Shift<'a>>,
    /// SELinux label of everything in it.
    pub label: Option<&'a str>,
}

impl Store {
    /// The driver in use: asked for, remembered, or the first that works here, which is then remembered.
    pub fn driver(&self) -> Result<Driver> {
        if let Some(driver) = self.options.driver.or(self.remembered).or(self.driver.get().copied()) {
            return Ok(driver);
        }
        let better = [Driver::Overlay, Driver::Fuse, Driver::Btrfs];
        let works = better.into_iter().find(|driver| self.try_driver(*driver).is_ok());
        let driver = works.unwrap_or(Driver::Vfs); // which works everywhere
        self.remember_driver(driver)?;
        Ok(*self.driver.get_or_init(|| driver))
    }

    /// Does the least that shows whether a driver works here.
    pub fn try_driver(&self, driver: Driver) -> Result<()> {
        match driver {
            Driver::Overlay | Driver::Fuse => self.try_overlay(driver),
            Driver::Btrfs => self.try_subvolume(),
            Driver::Vfs => Ok(()),
        }
    }

    /// Mounts an overlay of nothing, to see whether kernel, user namespace and file system allow it.
    fn try_overlay(&self, driver: Driver) -> Result<()> {
        let staging = self.stage()?;
        let dir = |name: &str| -> Result<PathBuf> {
            let path = staging.path().join(name);
            fs::create_dir(&path).map(|_| path)
        };
        let (lower, upper, work) = (dir("lower")?, dir("upper")?, dir("work")?);
        if driver == Driver::Fuse {
            return fuse::overlay(&[lower], Some((&upper, &work)), 0).map(drop);
        }
        let options = OverlayOptions {
            lower: &[lower],
            upper: Some((&upper, &work)),
            userxattr: self.options.rootless,
            ..OverlayOptions::default()
        };
        mount::overlay(&options).map(drop)
    }

    /// Makes what a container's directory needs for its root file system: `upper/` and `work/`, or `rootfs/` with a
    /// copy of the layers.
    pub fn create_container_dir(&self, dir: &Path, layers: &[Digest]) -> Result<()> {
        self.create_shifted_dir(dir, layers, None)
    }

    /// Like [`Store::create_container_dir`], for a container with its own user namespace.
    pub fn create_shifted_dir(&self, dir: &Path, layers: &[Digest], shift: Option<&Shift<'_>>) -> Result<()> {
        let lowers = self.lower_dirs(layers)?;
        match self.driver()? {
            Driver::Fuse => {
                fs::create_dir(&dir.join("work"))?;
                fs::create_dir(&dir.join("upper"))?;
                dress(&dir.join("upper"), &lowers, shift)
            }
            Driver::Btrfs => {
                self.snapshot(dir, layers, shift)?;
                dress(&dir.join("rootfs"), &lowers, shift)
            }
            Driver::Overlay | Driver::Vfs => self.create_dir_over(dir, &lowers, shift),
        }
    }

    /// Like [`Store::create_shifted_dir`], above trees (lowest first) that need not be layers yet. Without overlay the
    /// container gets a copy, whose blocks are shared where the file system can.
    pub fn create_dir_over(&self, dir: &Path, lowers: &[PathBuf], shift: Option<&Shift<'_>>) -> Result<()> {
        if self.driver()? == Driver::Overlay {
            fs::create_dir(&dir.join("work"))?;
            fs::create_dir(&dir.join("upper"))?;
            return dress(&dir.join("upper"), lowers, shift);
        }
        let root = dir.join("rootfs");
        fs::create_dir(&root)?;
        lowers.iter().try_for_each(|lower| copy::tree(lower, &root, &Files::Merge(shift)))?;
        dress(&root, lowers, shift)
    }

    /// Mounts layers, and a container's changes on top of them, detached: closing the descriptor unmounts.
    pub fn mount(&self, request: &MountRequest<'_>) -> Result<OwnedFd> {
        let Some(dir) = request.dir else { return self.mount_layers(request) };
        let rootfs = dir.join("rootfs");
        if rootfs.exists() {
            return bind(&rootfs, request.read_only);
        }
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        if !upper.exists() {
            self.create_shifted_dir(dir, request.layers, request.shift)?;
            return self.mount(request);
        }
        match self.mount_overlay(request, Some((&upper, &work))) {
            Err(_) if work.join("work/incompat").exists() => {
                // A `volatile` mount that did not end cleanly; its container was promised nothing more.
                tree::remove(&work)?;
                fs::create_dir(&work)?;
                self.mount_overlay(request, Some((&upper, &work)))
            }
            other => other,
        }
    }

    /// Mounts trees (lowest first) that need not be layers yet, with the changes in `dir`, which
    /// [`Store::create_dir_over`] made, on top. Nothing of it survives a crash of the machine.
    pub fn mount_over(&self, lowers: &[PathBuf], dir: &Path) -> Result<OwnedFd> {
        let rootfs = dir.join("rootfs");
        if rootfs.exists() {
            return bind(&rootfs, false);
        }
        let mut trees = lowers.to_vec();
        if trees.is_empty() {
            trees.push(self.empty_dir()?);
        }
        trees.reverse();
        let request = MountRequest { volatile: true, ..MountRequest::default() };
        self.overlay(&trees, Some((&dir.join("upper"), &dir.join("work"))), &request)
    }

    /// Layers alone: an overlay without upper directory, or just the one tree.
    fn mount_layers(&self, request: &MountRequest<'_>) -> Result<OwnedFd> {
        match self.driver()? {
            Driver::Vfs if request.layers.len() > 1 => self.mount_copy(request),
            Driver::Btrfs if request.layers.len() > 1 => {
                match self.subvolume(request.layers, request.shift)? {
                    Some(tree) => bind(&tree, true),
                    None => self.mount_overlay(request, None),
                }
            }
            _ => self.mount_overlay(&MountRequest { read_only: true, ..*request }, None),
        }
    }

    /// Without overlay a read-only view is a copy, kept in the store by its chain of layers.
    fn mount_copy(&self, request: &MountRequest<'_>) -> Result<OwnedFd> {
        let lowers = self.lower_dirs(request.layers)?;
        let Some(top) = request.layers.last() else { return self.mount_layers(request) };
        let name = lower::chain_name(request.layers, request.shift);
        let variants = self.home(top)?.join("variant");
        let target = variants.join(format!("flat-{}", name.hex()));
        if !target.exists() {
            let _lock = self.lock_layer(top)?;
            let staging = Staging::new(&self.root)?;
            lowers
                .iter()
                .try_for_each(|lower| copy::tree(lower, staging.path(), &Files::Merge(request.shift)))?;
            fs::create_dir_all(&variants)?;
            staging.commit(&target)?;
        }
        bind(&target, true)
    }

    fn mount_overlay(&self, request: &MountRequest<'_>, upper: Option<(&Path, &Path)>) -> Result<OwnedFd> {
        let mut lowers = self.lower_dirs(request.layers)?;
        if lowers.is_empty() {
            lowers.push(self.empty_dir()?);
        }
        lowers.reverse();
        let Some(shift) = request.shift.filter(|shift| !shift.is_identity()) else {
            return self.overlay(&lowers, upper, request);
        };
        // A mapped mount is known by its descriptor alone, which the program of the fuse driver does not have.
        if self.driver()? != Driver::Fuse
            && let Ok(fd) = self.idmapped(&lowers, upper, request, shift)
        {
            return Ok(fd);
        }
        let top_first = request.layers.iter().rev();
        let shifted = top_first.zip(&lowers).map(|(layer, lower)| self.shifted(layer, lower, shift));
        let shifted = shifted.collect::<Result<Vec<_>>>()?;
        self.overlay(if shifted.is_empty() { &lowers } else { &shifted }, upper, request)
    }

    fn overlay(
        &self,
        lowers: &[PathBuf],
        upper: Option<(&Path, &Path)>,
        request: &MountRequest<'_>,
    ) -> Result<OwnedFd> {
        let lowers = &each_once(lowers);
        if let (None, [only]) = (upper, lowers.as_slice()) {
            return bind(only, true);
        }
        let attr = if request.read_only { RDONLY } else { 0 };
        if self.driver()? == Driver::Fuse {
            return fuse::overlay(lowers, upper, attr);
        }
        let options = OverlayOptions {
            lower: lowers,
            upper,
            userxattr: self.options.rootless,
            extra: &self.overlay_extra(upper.is_some(), request),
            attr,
        };
        mount::overlay(&options).hint("`--storage-driver vfs` works where overlayfs does not")
    }

    fn overlay_extra(&self, writable: bool, request: &MountRequest<'_>) -> Vec<String> {
        let mut extra = Vec::new();
        if !self.options.rootless {
            extra.extend(["index=off", "metacopy=off", "redirect_dir=off"].map(str::to_owned));
        }
        if request.volatile && writable {
            extra.push("volatile".to_owned());
        }
        extra.extend(request.label.map(|label| format!("context=\"{label}\"")));
        extra
    }

    /// Lower trees whose mounts shift owners (Linux 5.19 for overlay; only with privileges over the file system).
    fn idmapped(
        &self,
        lowers: &[PathBuf],
        upper: Option<(&Path, &Path)>,
        request: &MountRequest<'_>,
        shift: &Shift<'_>,
    ) -> Result<OwnedFd> {
        let userns = shift.userns.context("no user namespace to map by")?;
        let mut held = Vec::with_capacity(lowers.len());
        for lower in lowers {
            let fd = mount::clone_path(lower, false)?;
            let change = SetAttr { idmap: Some(userns), ..SetAttr::default() };
            mount::set_attr(fd.as_fd(), &change, false).context("map owners")?;
            held.push(fd);
        }
        if let (None, [_]) = (upper, lowers) {
            let only = held.remove(0);
            mount::make_read_only(only.as_fd(), false)?;
            return Ok(only);
        }
        let paths: Vec<PathBuf> =
            held.iter().map(|fd| PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))).collect();
        self.overlay(&paths, upper, request)
    }

    /// A copy of a layer's tree with shifted owners, made once and kept with the layer.
    fn shifted(&self, layer: &Digest, lower: &Path, shift: &Shift<'_>) -> Result<PathBuf> {
        let name = lower.strip_prefix(self.dir(layer)).unwrap_or(lower).to_string_lossy();
        let name = lower::chain(&[Digest::of(name.as_bytes()), shift.digest()]);
        if !self.has(layer) {
            return Err(missing(layer));
        }
        let home = self.home(layer)?;
        let target = home.join("variant").join(name.hex());
        if target.exists() {
            return Ok(target);
        }
        let _lock = self.lock_layer(layer)?;
        let made = self.variant_of(&home, lower, &name, &Files::Copy(Some(shift)));
        made.with_context(|| format!("shift the owners of layer `{layer}`"))
    }

    fn variant_of(&self, home: &Path, tree: &Path, name: &Digest, files: &Files<'_>) -> Result<PathBuf> {
        let target = home.join("variant").join(name.hex());
        if !target.exists() {
            let staging = Staging::new(&self.root)?;
            copy::tree(tree, staging.path(), files)?;
            fs::create_dir_all(&home.join("variant"))?;
            staging.commit(&target)?;
        }
        Ok(target)
    }

    /// The lower directory of an image without layers.
    fn empty_dir(&self) -> Result<PathBuf> {
        let path = self.root.join("layers/empty");
        fs::create_dir(&path)?;
        file::chmod_at(rustix::fs::CWD, &path, 0o755)?;
        Ok(path)
    }
}

/// Trees (topmost first) without repetitions, which overlayfs refuses (empty layers are all the same one). What a tree
/// shows further down it shows on top as well.
fn each_once(trees: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    trees.iter().filter(|tree| seen.insert(*tree)).cloned().collect()
}

/// Gives a container's tree the mode and the owner that its layers give to the root directory.
fn dress(root: &Path, lowers: &[PathBuf], shift: Option<&Shift<'_>>) -> Result<()> {
    let (mode, uid, gid) = lower::root_metadata(lowers)?;
    let (uid, gid) = shift.map_or(Ok((uid, gid)), |shift| shift.outside(uid, gid))?;
    let target = fs::open(root)?;
    let shown = || format!("set the owner of `{}`", root.display());
    file::chown(&target, uid, gid).with_context(shown)?;
    file::chmod(&target, mode).with_context(shown)
}

/// A detached mount of one directory.
fn bind(dir: &Path, read_only: bool) -> Result<OwnedFd> {
    let shown = || format!("mount `{}`", dir.display());
    let fd = mount::clone_path(dir, false).with_context(shown)?;
    if read_only {
        mount::make_read_only(fd.as_fd(), false).with_context(shown)?;
    }
    Ok(fd)
}
