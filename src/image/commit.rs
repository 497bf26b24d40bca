//! Committing an image: its directory made in staging, renamed into place, and named.

use super::names::Names;
use super::record::Record;
use super::{Config, Store, VERSION};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};
use crate::layer::Staging;
use crate::registry::Reference;

/// An image to be committed; its layers are in the layer store already.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The configuration's exact bytes.
    pub config: Vec<u8>,
    /// The manifest's exact bytes.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub manifest_type: String,
    /// Unpacked bytes of all layers.
    pub size: u64,
    /// References (with tag or digest) that shall mean it from now on.
    pub names: Vec<Reference>,
    /// Digests by which it was asked for, beside the manifest's own.
    pub digests: Vec<Digest>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The image.
    pub id: Digest,
    /// It was not in the store before.
    pub new: bool,
    /// Names that meant another image until now, with that image.
    pub moved: Vec<(String, Digest)>,
}

impl Store {
    /// Commits an image and its names. Whoever calls holds the store lock, shared, since before it last looked
    /// whether the layers are there.
    pub fn commit(&self, new: &NewImage) -> Result<Committed> {
        let config = Config::parse(&new.config)?;
        let id = Digest::of(&new.config);
        let manifest_digest = Digest::of(&new.manifest);
        // What is slow (fsync) happens before the lock, in vain if another process commits the same image first.
        let staged = match self.read_record_in(&self.own_dir(&id), &id) {
            Ok(_) => None,
            Err(_) => Some(self.write_image(&config, &manifest_digest, new)?),
        };
        Names::update(self.root(), |names| {
            let placed = staged.map_or(Ok(false), |staged| self.place(staged, &id))?;
            self.keep_manifest(&id, &manifest_digest, &new.manifest)?;
            for digest in std::iter::once(&manifest_digest).chain(&new.digests) {
                names.add_digest(&id, digest);
            }
            Ok(Committed { id: id.clone(), new: placed, moved: give_names(names, &id, &new.names) })
        })
    }

    /// Keeps a manifest by which an image is had, beside the one by which it was had first.
    fn keep_manifest(&self, id: &Digest, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.dir(id).join(format!("manifest-{}.json", digest.hex()));
        if self.read_record(id)?.manifest_digest == *digest || path.exists() {
            return Ok(());
        }
        fs::replace(&path, bytes, 0o600, Durability::Durable)
    }

    /// Writes the directory in staging.
    fn write_image(&self, config: &Config, manifest_digest: &Digest, new: &NewImage) -> Result<Staging> {
        let record = Record {
            version: VERSION,
            manifest_digest: manifest_digest.clone(),
            manifest_type: new.manifest_type.clone(),
            layers: config.rootfs.diff_ids.clone(),
            size: new.size,
            created: config.created_at(),
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            list: None,
        };
        let staging = self.staging()?;
        let files: [(&str, &[u8]); 3] = [
            ("config.json", &new.config),
            ("manifest.json", &new.manifest),
            ("image.json", &serde_json::to_vec(&record).context("encode image record")?),
        ];
        for (name, bytes) in files {
            fs::write_new(&staging.path().join(name), bytes, 0o600, Durability::Durable)?;
        }
        fs::sync_dir(staging.path())?;
        Ok(staging)
    }

    /// Renames a finished directory into place, under the lock of the names: of many who commit the same image at
    /// once the first does it, the others use it. Tells whether it was this one.
    fn place(&self, staged: Staging, id: &Digest) -> Result<bool> {
        fs::create_dir_all(&self.images())?;
        let target = self.own_dir(id);
        if target.exists() {
            if self.read_record_in(&target, id).is_ok() {
                return staged.discard().map(|()| false);
            }
            self.take_away(id)?; // damaged: the new one replaces it
        }
        staged.commit(&target)?;
        fs::sync_dir(&self.images())?;
        Ok(true)
    }
}

/// Points names at an image; gives back those that pointed elsewhere.
pub(super) fn give_names(all: &mut Names, id: &Digest, names: &[Reference]) -> Vec<(String, Digest)> {
    let mut moved = Vec::new();
    for name in names.iter().map(Reference::full) {
        match all.names.insert(name.clone(), id.clone()) {
            Some(before) if before != *id => moved.push((name, before)),
            _ => {}
        }
    }
    moved
}
