//! `RUN --mount=type=cache`: directories that are kept between builds and are in no layer.
//!
//! ```text
//! <root>/build/mounts/<hex>/          by the digest of the id, so that no id leads anywhere
//!          data/                      what the commands see
//!          lock                       shared by who uses it, exclusive for `sharing=locked` and for who removes it
//! <root>/build/mounts/<hex>-<N>/      further ones, for `sharing=private`
//! ```

use std::path::{Path, PathBuf};

use super::mounts::{Mounts, point};
use super::origin;
use super::stage::Stage;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::fs;
use crate::base::lock::Lock;
use crate::container::record::{Mount as Record, MountOptions, MountSource};
use crate::dockerfile::mount::{Cache, Sharing};
use crate::layer::{Staging, copy_tree};
use crate::ops::context::Context as Ops;
use crate::sys::rootdir::RootDir;
use crate::sys::{file, mount};

/// How many directories one id may have at once.
const MOST: usize = 1000;

/// Adds the mount; its lock is held until the command has ended.
pub(super) fn add(stage: &mut Stage<'_>, cache: &Cache, mounts: &mut Mounts) -> Result<()> {
    let all = stage.job.cache.dir().join("mounts");
    let (dir, lock) = take(&all, cache)?;
    let data = dir.join("data");
    if !data.exists() {
        fill(stage, cache, &dir)?;
    }
    let shown = match (&cache.from, &cache.source) {
        (None, Some(source)) => {
            let root = RootDir::open(&data).with_context(|| format!("open `{}`", data.display()))?;
            root.mkdir_all(Path::new(source), rustix::fs::Mode::from_raw_mode(0o755))?
        }
        _ => fs::open(&data)?.into(),
    };
    use std::os::fd::AsRawFd;
    let fd = mount::clone_path(Path::new(&format!("/proc/self/fd/{}", shown.as_raw_fd())), false)?;
    let options = MountOptions { read_only: cache.readonly, ..MountOptions::default() };
    let target = point(stage, &cache.target)?;
    mounts.add(Record { target, source: MountSource::Bind(PathBuf::from("cache")), options }, Some(fd));
    mounts.hold(Box::new(lock));
    Ok(())
}

/// The directory of an id, locked as its sharing asks for.
fn take(all: &Path, cache: &Cache) -> Result<(PathBuf, Lock)> {
    let name = Digest::of(cache.id.as_bytes()).hex().to_owned();
    let open = |name: &str| -> Result<PathBuf> {
        let dir = all.join(name);
        fs::create_dir_all(&dir)?;
        Ok(dir)
    };
    match cache.sharing {
        Sharing::Shared => {
            let dir = open(&name)?;
            let lock = Lock::shared(&dir.join("lock"))?;
            Ok((dir, lock))
        }
        Sharing::Locked => {
            let dir = open(&name)?;
            let lock = Lock::exclusive(&dir.join("lock"))?;
            Ok((dir, lock))
        }
        Sharing::Private => {
            for number in 0..MOST {
                let dir = open(&if number == 0 { name.clone() } else { format!("{name}-{number}") })?;
                if let Some(lock) = Lock::try_exclusive(&dir.join("lock"))? {
                    return Ok((dir, lock));
                }
            }
            crate::base::error::bail!("{MOST} commands use it at once")
        }
    }
}

/// Makes the directory, with what `from` has. Of several at once one wins.
fn fill(stage: &mut Stage<'_>, cache: &Cache, dir: &Path) -> Result<()> {
    let staging = stage.job.ops.layers()?.stage()?;
    if cache.from.is_some() {
        let tree = origin::open(stage, cache.from.as_deref())?;
        let source = tree.root.open_dir(Path::new(cache.source.as_deref().unwrap_or("/")))?;
        use std::os::fd::AsRawFd;
        copy_tree(Path::new(&format!("/proc/self/fd/{}", source.as_raw_fd())), staging.path())?;
    }
    file::chown_at(rustix::fs::CWD, staging.path(), cache.uid, cache.gid)?;
    file::chmod_at(rustix::fs::CWD, staging.path(), cache.mode.unwrap_or(0o755))?;
    match staging.commit(&dir.join("data")) {
        Err(error) if !dir.join("data").exists() => Err(error),
        _ => Ok(()),
    }
}

/// Removes those that nobody uses; gives their number and the bytes that came back.
pub(super) fn prune(ops: &Ops, dir: &Path) -> Result<(usize, u64)> {
    let (mut count, mut freed) = (0, 0);
    for entry in fs::read_dir(&dir.join("mounts"))? {
        let path = entry.path();
        let Some(_lock) = Lock::try_exclusive(&path.join("lock"))? else { continue };
        freed += crate::layer::usage::size(&path)?;
        Staging::take_away(ops.layers()?.root(), &path)?.discard()?;
        count += 1;
    }
    Ok((count, freed))
}
