//! The btrfs driver: what layers make together is a subvolume, and a container is a snapshot of it.
//!
//! The subvolume of an image is a snapshot of the one below with the top layer merged into it, its files sharing their
//! blocks with the layer's tree. So an image is put together once, in the order of its layers, and starting from it
//! costs the same whatever its size.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::copy::{self, Files};
use super::shift::Shift;
use super::{Staging, Store, lower};
use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Result, anyhow};
use crate::base::fs;
use crate::sys::btrfs;

impl Store {
    /// Makes and deletes a subvolume, to see whether that works here.
    pub(super) fn try_subvolume(&self) -> Result<()> {
        make(self.stage()?.path(), "subvolume", None)
    }

    /// Makes a container's root file system: a snapshot named `rootfs` in `dir`.
    pub(super) fn snapshot(&self, dir: &Path, layers: &[Digest], shift: Option<&Shift<'_>>) -> Result<()> {
        make(dir, "rootfs", self.subvolume(layers, shift)?.as_deref())
    }

    /// The subvolume that these layers make together; none for no layers.
    pub(super) fn subvolume(&self, layers: &[Digest], shift: Option<&Shift<'_>>) -> Result<Option<PathBuf>> {
        let lowers = self.lower_dirs(layers)?;
        let mut below = None;
        for (at, (layer, tree)) in layers.iter().zip(&lowers).enumerate() {
            below = Some(self.subvolume_of(&layers[..=at], layer, tree, below.as_deref(), shift)?);
        }
        Ok(below)
    }

    fn subvolume_of(
        &self,
        chain: &[Digest],
        layer: &Digest,
        tree: &Path,
        below: Option<&Path>,
        shift: Option<&Shift<'_>>,
    ) -> Result<PathBuf> {
        let variants = self.home(layer)?.join("variant");
        let target = variants.join(format!("subvolume-{}", lower::chain_name(chain, shift).hex()));
        if target.exists() {
            return Ok(target);
        }
        let _lock = self.lock_layer(layer)?;
        if target.exists() {
            return Ok(target); // made by who held the lock
        }
        let staging = Staging::new(&self.root)?;
        make(staging.path(), "tree", below)?;
        let made = staging.path().join("tree");
        copy::tree(tree, &made, &Files::Merge(shift))?;
        fs::create_dir_all(&variants)?;
        fs::rename(&made, &target)?;
        Ok(target)
    }
}

/// Makes a subvolume in `dir`: an empty one, or a snapshot of another.
fn make(dir: &Path, name: &str, source: Option<&Path>) -> Result<()> {
    let shown = || format!("make a subvolume in `{}`", dir.display());
    let parent = fs::open(dir)?;
    if !btrfs::is_btrfs(&parent) {
        return Err(anyhow!("the file system is not btrfs"))
            .with_context(shown)
            .hint("the storage driver `btrfs` needs a store on btrfs: choose another `--root` or driver");
    }
    let name = name.as_ref();
    match source {
        Some(source) => btrfs::snapshot(fs::open(source)?.as_fd(), parent.as_fd(), name),
        None => btrfs::create_subvolume(parent.as_fd(), name),
    }
    .with_context(shown)
}
