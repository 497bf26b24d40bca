//! The lower directories of an image: which tree serves for each layer.
//!
//! A tar may put `usr/bin/x` without describing `usr/bin`. Such an implied directory would show its made-up mode and
//! owner over the real one of a layer below, so it takes the metadata of the nearest layer below that describes it.
//! The first image that uses the layer sets it in `diff/`; where another image disagrees, a variant of the tree is kept
//! beside it, made of hard links.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::copy::{self, Files};
use super::shift::Shift;
use super::unpack::boot_id;
use super::{Staging, Store, place};
use crate::base::digest::{Algorithm, Digest, Hasher};
use crate::base::error::{Context, Explain, Kind, Result, anyhow};
use crate::base::fs::{self, Durability};
use crate::sys::file::{self, FileType, OFlags, Stat, Timespec};
use crate::sys::rootdir::RootDir;

/// What an implied directory gets: mode, owner, group, time.
type Metadata = (u32, u32, u32, Timespec);

impl Store {
    /// The trees to mount for these layers (lowest first, as given). Each is proven to be whole: after a crash of the
    /// machine a layer that may not have reached the disk is verified against its digest first.
    pub fn lower_dirs(&self, layers: &[Digest]) -> Result<Vec<PathBuf>> {
        let mut dirs: Vec<PathBuf> = Vec::with_capacity(layers.len());
        for (at, layer) in layers.iter().enumerate() {
            self.prove(layer)?;
            dirs.push(self.resolved(layer, &layers[..at], &dirs)?);
        }
        Ok(dirs)
    }

    /// Makes layers durable: one `syncfs` for all that were not synced yet. A second or so of disk time, so it is
    /// called in the background, once a pull.
    pub fn sync_if_needed(&self, layers: &[Digest]) -> Result<()> {
        let own = layers.iter().filter(|layer| !self.is_foreign(layer));
        let marks = own.map(|layer| self.dir(layer).join("synced"));
        let missing: Vec<PathBuf> = marks.filter(|mark| !mark.exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        file::syncfs(fs::open(&self.root)?).with_context(|| format!("sync `{}`", self.root.display()))?;
        // Only now, so that the mark never reaches the disk before what it speaks of.
        missing.iter().try_for_each(|mark| fs::create(mark).map(drop))
    }

    /// Makes sure that a layer is what its diff id says, as far as a crash may have changed that.
    fn prove(&self, layer: &Digest) -> Result<()> {
        if self.is_foreign(layer) {
            return Ok(()); // its owner answers for it
        }
        let mark = self.dir(layer).join("synced");
        if mark.exists() || self.info(layer)?.boot_id == boot_id()? {
            return Ok(());
        }
        self.write_tar(layer, &mut std::io::sink())
            .context("verify a layer after an unclean shutdown")
            .hint("remove the image with `rmi -f` and pull it again")?;
        fs::create(&mark).map(drop)
    }

    /// The tree of one layer above these others.
    fn resolved(&self, layer: &Digest, below: &[Digest], dirs: &[PathBuf]) -> Result<PathBuf> {
        let home = self.dir(layer);
        if below.is_empty() || !home.join("implied").exists() {
            return Ok(home.join("diff"));
        }
        let choice = home.join("lower").join(chain(below).hex());
        if let Some(bytes) = fs::read_optional(&choice)? {
            return Ok(home.join(Path::new(OsStr::from_bytes(&bytes))));
        }
        let home = self.home(layer)?;
        let choice = home.join("lower").join(chain(below).hex());
        let _lock = self.lock_layer(layer)?;
        let tree = self.assemble(&home, dirs).with_context(|| format!("assemble layer `{layer}`"))?;
        fs::create_dir_all(&home.join("lower"))?;
        let name = tree.as_os_str().as_bytes();
        fs::replace(&choice, name, 0o600, Durability::Volatile)?;
        Ok(home.join(tree))
    }

    /// Sets the implied directories' metadata in `diff/`, or in a variant if `diff/` serves other images otherwise.
    fn assemble(&self, home: &Path, below: &[PathBuf]) -> Result<PathBuf> {
        let names = fs::read(&home.join("implied"))?;
        let names: Vec<&Path> =
            names.split(|&b| b == 0).map(|name| Path::new(OsStr::from_bytes(name))).collect();
        let found = names.iter().map(|name| metadata_below(name, below)).collect::<Result<Vec<_>>>()?;
        let wanted = Digest::of(format!("{found:?}").as_bytes());
        let applied = home.join("implied.set");
        match fs::read_optional(&applied)? {
            None => {
                apply(&home.join("diff"), &names, &found)?;
                fs::replace(&applied, wanted.hex().as_bytes(), 0o600, Durability::Volatile)?;
                Ok("diff".into())
            }
            Some(set) if set == wanted.hex().as_bytes() => Ok("diff".into()),
            Some(_) => {
                let relative = Path::new("variant").join(wanted.hex());
                let target = home.join(&relative);
                if !target.exists() {
                    let staging = Staging::new(&self.root)?;
                    copy::tree(&home.join("diff"), staging.path(), &Files::Link)?;
                    apply(staging.path(), &names, &found)?;
                    fs::create_dir_all(&home.join("variant"))?;
                    staging.commit(&target)?;
                }
                Ok(relative)
            }
        }
    }
}

/// One digest for a chain of layers.
pub(super) fn chain(layers: &[Digest]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    layers.iter().for_each(|layer| hasher.update(layer.as_str().as_bytes()));
    hasher.finish()
}

/// One digest for a chain of layers whose owners are shifted.
pub(super) fn chain_name(layers: &[Digest], shift: Option<&Shift<'_>>) -> Digest {
    let name = chain(layers);
    shift.map_or(name.clone(), |shift| chain(&[name, shift.digest()]))
}

/// The metadata of a directory in the nearest layer below that has it; layers below are resolved themselves, so what
/// stands there is right. `None` when no layer has it.
fn metadata_below(name: &Path, below: &[PathBuf]) -> Result<Option<Metadata>> {
    for dir in below.iter().rev() {
        let root = RootDir::open(dir).with_context(|| format!("open `{}`", dir.display()))?;
        let Ok(fd) = file::open_beneath(&root, name, OFlags::PATH) else { continue };
        let stat = file::stat(fd)?;
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(Some(metadata(&stat)));
        }
    }
    Ok(None)
}

fn metadata(stat: &Stat) -> Metadata {
    let mtime = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid, mtime)
}

fn apply(tree: &Path, names: &[&Path], found: &[Option<Metadata>]) -> Result<()> {
    let root = RootDir::open(tree).with_context(|| format!("open `{}`", tree.display()))?;
    for (name, metadata) in names.iter().zip(found) {
        let Some((mode, uid, gid, mtime)) = *metadata else { continue };
        let (dir, last) = root.parent(name)?;
        let last = Path::new(&last);
        if !FileType::from_raw_mode(file::stat_at(&dir, last)?.st_mode).is_dir() {
            continue;
        }
        file::chown_at(&dir, last, uid, gid)?;
        file::chmod_at(&dir, last, mode)?;
        file::set_mtime_at(&dir, last, mtime)?;
    }
    Ok(())
}

/// Mode, owner and group of the root directory that these trees make together: the topmost described one.
pub(super) fn root_metadata(dirs: &[PathBuf]) -> Result<(u32, u32, u32)> {
    for dir in dirs.iter().rev() {
        // Opened, since a tree may be named by its descriptor, which is a link.
        let stat = file::stat(fs::open(dir).kind(Kind::NotFound)?)
            .with_context(|| format!("stat `{}`", dir.display()))?;
        let (mode, uid, gid, mtime) = metadata(&stat);
        if mtime != place::UNDESCRIBED {
            return Ok((mode, uid, gid));
        }
    }
    Ok((0o755, 0, 0))
}

/// An error for a layer that should be here.
pub(super) fn missing(layer: &Digest) -> anyhow::Error {
    anyhow!("layer `{layer}` is not in the store").kind(Kind::NotFound)
}
