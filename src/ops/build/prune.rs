//! What builds keep, and giving it back.
//!
//! ```text
//! <root>/build/cache, seen, content    finished steps: [`cache`](super::cache)
//! <root>/build/mounts                  `RUN --mount=type=cache`: [`cache_mount`]
//! <root>/build/known                   digests of files of contexts: [`known`](super::copy::known)
//! <root>/build/urls                    what servers said of files: [`url`](super::sources::url)
//! <root>/build/active                  layers of running builds: stays
//! ```

use std::collections::HashSet;

use super::cache::Cache;
use super::cache_mount;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::fs;
use crate::base::time;
use crate::layer::usage::size;
use crate::ops::context::Context as Ops;
use crate::ops::image;
use std::time::Duration;

/// What builds keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many steps and cache mounts.
    pub count: usize,
    /// Bytes that only they take: layers of images are theirs.
    pub bytes: u64,
}

/// Every layer that a finished step or a running build refers to.
pub fn layers_in_use(ops: &Ops) -> Result<HashSet<Digest>> {
    Cache::new(&ops.roots.root).layers()
}

/// Measures it.
pub fn kept(ops: &Ops) -> Result<Kept> {
    let cache = Cache::new(&ops.roots.root);
    let layers = ops.layers()?;
    let others = ops.images().layers_in_use(&[])?;
    let mut found = Kept { count: cache.records()?.len(), bytes: 0 };
    for layer in cache.layers()?.difference(&others) {
        found.bytes += size(layers.diff_dir(layer).parent().unwrap_or(layers.root()))?;
    }
    let mounts = cache.dir().join("mounts");
    found.count += fs::read_dir(&mounts)?.len();
    found.bytes += size(&mounts)?;
    Ok(found)
}

/// Forgets finished steps, the layers that only they have, and the cache mounts that nobody uses. With `older`, only
/// what was made longer ago, and no cache mounts.
pub fn prune(ops: &Ops, older: Option<Duration>) -> Result<Kept> {
    ops.enter_stage()?;
    let cache = Cache::new(&ops.roots.root);
    let layers = ops.layers()?;
    let mut gone = Kept::default();
    let lock = layers.lock_exclusive()?;
    let mut unreferenced = Vec::new();
    let now = time::now();
    for (path, record) in cache.records()? {
        if older.is_some_and(|older| time::since(record.created, now) < older) {
            continue;
        }
        fs::remove_file(&path)?;
        gone.count += 1;
        unreferenced.extend(record.layer);
    }
    gone.bytes += image::sweep_layers(ops, &unreferenced)?;
    drop(lock);
    if older.is_none() {
        for name in ["seen", "content", "known", "urls"] {
            for entry in fs::read_dir(&cache.dir().join(name))? {
                fs::remove_file(&entry.path())?;
            }
        }
        let (count, bytes) = cache_mount::prune(ops, cache.dir())?;
        gone.count += count;
        gone.bytes += bytes;
    }
    layers.sweep()?;
    Ok(gone)
}
