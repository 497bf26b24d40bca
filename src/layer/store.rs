//! The store as a whole: opening, finding, listing, removing.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::partial;
use super::staging::{self, ObjectLock, Staging};
use super::{Blob, LayerInfo, exact, usage};
use crate::base::digest::{Counted, Digest};
use crate::base::error::{Context, Explain, Kind, Result, anyhow, bail};
use crate::base::fs::{self, Durability};
use crate::base::lock::Lock;

/// The version of the store's layout.
const FORMAT: u32 = 1;

/// How layers become a root file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// The kernel's overlayfs.
    Overlay,
    /// fuse-overlayfs, where the kernel refuses its own to an ordinary user.
    Fuse,
    /// A snapshot of a subvolume.
    Btrfs,
    /// A full copy, shared block by block where the file system can.
    Vfs,
}

impl Driver {
    /// The name, as `--storage-driver` and `info` have it.
    pub fn name(self) -> &'static str {
        match self {
            Driver::Overlay => "overlay",
            Driver::Fuse => "fuse",
            Driver::Btrfs => "btrfs",
            Driver::Vfs => "vfs",
        }
    }
}

impl std::str::FromStr for Driver {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Driver> {
        match name {
            "overlay" | "overlay2" => Ok(Driver::Overlay),
            "fuse" | "fuse-overlayfs" => Ok(Driver::Fuse),
            "btrfs" => Ok(Driver::Btrfs),
            "vfs" => Ok(Driver::Vfs),
            "aufs" | "devicemapper" | "zfs" => Err(anyhow!("the storage driver `{name}` is gone"))
                .hint("overlay serves on every file system with d_type; vfs copies and works everywhere"),
            _ => Err(anyhow!("there is no storage driver `{name}`"))
                .hint("the drivers are overlay, fuse, btrfs and vfs"),
        }
        .kind(Kind::Usage)
    }
}

/// How to open the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `--storage-driver`; by default the one remembered, else the first that works.
    pub driver: Option<Driver>,
    /// Whether work is done inside a user namespace made for an ordinary user, or above us for a container.
    pub rootless: bool,
}

/// `<root>/format`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Format {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    driver: Option<Driver>,
}

/// The layer store below one root.
#[derive(Debug)]
pub struct Store {
    pub(super) root: PathBuf,
    /// Roots of other stores, which are read when this one does not have a layer.
    pub(super) additional: Vec<PathBuf>,
    pub(super) options: Options,
    pub(super) remembered: Option<Driver>,
    pub(super) driver: OnceLock<Driver>,
}

impl Store {
    /// Opens the store, making an empty one where there is none. A newer layout is refused.
    pub fn open(root: &Path, options: Options) -> Result<Store> {
        let path = root.join("format");
        let format = match fs::read_optional(&path)? {
            Some(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("parse `{}`", path.display()))?
            }
            None => create(root)?,
        };
        if format.version > FORMAT {
            return Err(anyhow!(
                "the store `{}` has format {}, newer than this dhow's {FORMAT}",
                root.display(),
                format.version
            ))
            .hint("use the newer dhow that made it, or another --root");
        }
        let remembered = format.driver;
        let additional = Vec::new();
        Ok(Store { root: root.to_owned(), additional, options, remembered, driver: OnceLock::new() })
    }

    /// The same with other stores, whose layers are used and never changed.
    pub fn with_additional(self, additional: &[PathBuf]) -> Store {
        Store { additional: additional.to_owned(), ..self }
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes the store lock together with others that rely on layers staying.
    pub fn lock_shared(&self) -> Result<Lock> {
        Lock::shared(&self.root.join("lock"))
    }

    /// Takes the store lock alone, to remove what nothing refers to.
    pub fn lock_exclusive(&self) -> Result<Lock> {
        Lock::exclusive(&self.root.join("lock"))
    }

    /// Waits until nobody else fetches or unpacks this layer. Taken before a fetch, it makes twenty pulls at once
    /// download a layer once: look with [`Store::has`] afterwards.
    pub fn lock_layer(&self, diff_id: &Digest) -> Result<ObjectLock> {
        ObjectLock::acquire(&self.root.join("staging").join(format!("layer-{}.lock", diff_id.hex())))
    }

    /// A place to make something in that will be renamed into the store.
    pub fn stage(&self) -> Result<Staging> {
        Staging::new(&self.root)
    }

    /// The directory of a layer: here, or in the first additional store that has it.
    pub(super) fn dir(&self, diff_id: &Digest) -> PathBuf {
        let own = self.own_dir(diff_id);
        if self.additional.is_empty() || own.join("layer.json").exists() {
            return own;
        }
        let mut others = self.additional.iter().map(|root| root.join("layers").join(diff_id.hex()));
        others.find(|dir| dir.join("layer.json").exists()).unwrap_or(own)
    }

    /// The directory of a layer in this store, there or not.
    pub(super) fn own_dir(&self, diff_id: &Digest) -> PathBuf {
        self.root.join("layers").join(diff_id.hex())
    }

    /// Whether the layer is only in an additional store.
    pub(super) fn is_foreign(&self, diff_id: &Digest) -> bool {
        !self.dir(diff_id).starts_with(&self.root)
    }

    /// The directory of a layer in this store, for what is to be kept with it; a layer of an additional store is
    /// copied into this one first.
    pub(super) fn home(&self, diff_id: &Digest) -> Result<PathBuf> {
        if self.is_foreign(diff_id) {
            self.bring_home(diff_id)?;
        }
        Ok(self.own_dir(diff_id))
    }

    /// The tree of a layer, as its archive has it.
    pub fn diff_dir(&self, diff_id: &Digest) -> PathBuf {
        self.dir(diff_id).join("diff")
    }

    /// Whether the layer is here, whole.
    pub fn has(&self, diff_id: &Digest) -> bool {
        self.dir(diff_id).join("layer.json").exists()
    }

    /// The record of a layer.
    pub fn info(&self, diff_id: &Digest) -> Result<LayerInfo> {
        let path = self.dir(diff_id).join("layer.json");
        match fs::read_optional(&path)? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("layer `{diff_id}` is damaged: parse `{}`", path.display())),
            None => Err(anyhow!("layer `{diff_id}` is not in the store")).kind(Kind::NotFound),
        }
    }

    /// The diff ids of all layers, damaged ones included, sorted.
    pub fn diff_ids(&self) -> Result<Vec<Digest>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.root.join("layers"))? {
            let name = entry.file_name().to_string_lossy().into_owned();
            let algorithm = if name.len() == 128 { "sha512" } else { "sha256" };
            ids.extend(format!("{algorithm}:{name}").parse::<Digest>());
        }
        ids.sort();
        Ok(ids)
    }

    /// The records of all layers; a damaged one is left out here and found by [`Store::diff_ids`].
    pub fn list(&self) -> Result<Vec<LayerInfo>> {
        Ok(self.diff_ids()?.iter().filter_map(|id| self.info(id).ok()).collect())
    }

    /// Remembers that a blob is this layer in another form, so that it is neither fetched nor uploaded again.
    pub fn remember_blob(&self, diff_id: &Digest, blob: &Blob) -> Result<()> {
        if self.is_foreign(diff_id) {
            return Ok(());
        }
        let blobs = self.root.join("layers").join("blobs");
        let _lock = Lock::exclusive(&blobs.join("lock"))?;
        let mut info = self.info(diff_id)?;
        if !info.blobs.contains(blob) {
            info.blobs.retain(|known| known.digest != blob.digest);
            info.blobs.push(blob.clone());
            fs::replace_json(&self.dir(diff_id).join("layer.json"), &info, Durability::Volatile)?;
        }
        let link = blobs.join(blob.digest.hex());
        match std::os::unix::fs::symlink(diff_id.as_str(), &link) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other.with_context(|| format!("remember blob `{}`", blob.digest)),
        }
    }

    /// The layer that a blob unpacks to, if it is known and here.
    pub fn blob_for(&self, blob: &Digest) -> Option<Digest> {
        let name = Path::new("layers/blobs").join(blob.hex());
        let mut stores = std::iter::once(&self.root).chain(&self.additional);
        let target = stores.find_map(|root| std::fs::read_link(root.join(&name)).ok())?;
        let text = std::str::from_utf8(target.as_os_str().as_bytes()).ok()?;
        text.parse().ok().filter(|diff_id| self.has(diff_id))
    }

    /// Removes a layer; from the first instant nobody sees it. Gives the bytes that come back, as du(1) counts them.
    /// The caller holds the exclusive store lock and knows that nothing refers to it.
    pub fn remove(&self, diff_id: &Digest) -> Result<u64> {
        if let Ok(info) = self.info(diff_id) {
            // A damaged one is removed all the same; links to what is gone mean nothing.
            for blob in &info.blobs {
                fs::remove_file(&self.root.join("layers/blobs").join(blob.digest.hex()))?;
            }
        }
        let dir = self.own_dir(diff_id);
        let freed = usage::size(&dir).unwrap_or(0);
        if std::fs::symlink_metadata(&dir).is_ok() {
            Staging::take_away(&self.root, &dir)?.discard()?;
        }
        Ok(freed)
    }

    /// Deletes what crashed commands left half-made, and beginnings of blobs that nobody went on with; says how many
    /// things.
    pub fn sweep(&self) -> Result<usize> {
        Ok(staging::sweep(&self.root)? + partial::sweep(&self.root)?)
    }

    /// Writes the exact archive of a layer; fails if its digest is no more the diff id.
    pub fn write_tar(&self, diff_id: &Digest, out: &mut dyn Write) -> Result<()> {
        if !self.has(diff_id) {
            return Err(anyhow!("layer `{diff_id}` is not in the store")).kind(Kind::NotFound);
        }
        let mut counted = Counted::new(out, diff_id.algorithm());
        exact::write_tar(&self.dir(diff_id), &mut counted)
            .with_context(|| format!("read layer `{diff_id}`"))?;
        let (_, digest, _) = counted.finish();
        if digest != *diff_id {
            bail!("layer `{diff_id}` is damaged: its content has digest `{digest}`");
        }
        Ok(())
    }

    pub(super) fn remember_driver(&self, driver: Driver) -> Result<()> {
        let format = Format { version: FORMAT, driver: Some(driver) };
        fs::replace_json(&self.root.join("format"), &format, Durability::Volatile)
    }
}

/// Makes the directories of an empty store.
fn create(root: &Path) -> Result<Format> {
    for dir in ["layers/blobs", "partial", "staging"] {
        fs::create_dir_all(&root.join(dir))?;
    }
    let format = Format { version: FORMAT, driver: None };
    fs::replace_json(&root.join("format"), &format, Durability::Durable)?;
    Ok(format)
}
