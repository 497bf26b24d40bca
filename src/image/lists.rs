//! Lists in the store: an image whose record holds the whole list, and where its images are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::list::List;
use super::store::{Committed, Image, Record, Store, give_names};
use super::{Names, VERSION};
use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::base::{id, time};
use crate::registry::Reference;

/// The list in `image.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRecord {
    /// The document, byte for byte.
    pub text: String,
    /// Where each image of it is to be had, by the digest of its manifest: `containers-storage:` with an image id, or
    /// another transport.
    #[serde(default)]
    pub sources: BTreeMap<Digest, String>,
}

impl ListRecord {
    /// The document, read.
    pub fn list(&self) -> Result<List> {
        List::parse(self.text.as_bytes(), None)
    }

    /// The ids of those of its images that are in the store.
    pub fn local(&self) -> impl Iterator<Item = Digest> + '_ {
        self.sources.values().filter_map(|source| local_id(source))
    }
}

const LOCAL: &str = "containers-storage:";

/// How a source says that an image of the store is meant.
pub fn local_source(id: &Digest) -> String {
    format!("{LOCAL}{id}")
}

/// The image of the store that a source means.
pub fn local_id(source: &str) -> Option<Digest> {
    source.strip_prefix(LOCAL)?.parse().ok()
}

impl Store {
    /// Commits a list under these names. A list that is there with the same content is used; one that differs from it
    /// gets an id of its own, which stays when the list is changed. With `exclusive`, a name that is taken is an error.
    pub fn commit_list(&self, new: ListRecord, names: &[Reference], exclusive: bool) -> Result<Committed> {
        let digest = Digest::of(new.text.as_bytes());
        let id: Digest = format!("sha256:{}", id::random()).parse()?;
        let record = Record::of_list(new)?;
        let staging = self.staging()?;
        let bytes = serde_json::to_vec(&record).context("encode image record")?;
        fs::write_new(&staging.path().join("image.json"), &bytes, 0o600, Durability::Durable)?;
        fs::sync_dir(staging.path())?;
        let same = self.list_with(&digest)?.filter(|_| !exclusive);
        Names::update(self.root(), |all| {
            let taken = |name: &&Reference| all.names.get(&name.full()).is_some_and(|id| self.contains(id));
            if let Some(name) = names.iter().find(taken).filter(|_| exclusive) {
                return Err(fail(Kind::Failed, format!("`{name}` is the name of an image already")));
            }
            let (id, new) = match same.filter(|image| self.contains(&image.id)) {
                Some(image) => {
                    staging.discard()?;
                    (image.id, false)
                }
                None => {
                    fs::create_dir_all(&self.images())?;
                    staging.commit(&self.dir(&id))?;
                    fs::sync_dir(&self.images())?;
                    (id.clone(), true)
                }
            };
            all.digests.insert(id.clone(), vec![digest.clone()]);
            Ok(Committed { moved: give_names(all, &id, names), id, new })
        })
    }

    /// The list of this content.
    fn list_with(&self, digest: &Digest) -> Result<Option<Image>> {
        Ok(self.list()?.images.into_iter().find(|image| image.is_list() && image.manifest_digest == *digest))
    }

    /// Changes a list, alone among all who change it.
    pub fn edit_list(
        &self,
        id: &Digest,
        change: impl FnOnce(&mut ListRecord) -> Result<()>,
    ) -> Result<Digest> {
        Names::update(self.root(), |all| {
            let known = self.read_record(id)?;
            if !self.dir(id).starts_with(self.root()) {
                let message = format!(
                    "list `{}` is in an additional store, which is never changed",
                    id::short(id.hex())
                );
                return Err(fail(Kind::Failed, message));
            }
            let created = known.created;
            let mut list = known.list.ok_or_else(|| fail(Kind::Failed, not_a_list(id)))?;
            change(&mut list)?;
            let record = Record { created, ..Record::of_list(list)? };
            let digest = record.manifest_digest.clone();
            fs::replace_json(&self.dir(id).join("image.json"), &record, Durability::Durable)?;
            all.digests.insert(id.clone(), vec![digest.clone()]);
            Ok(digest)
        })
    }
}

fn not_a_list(id: &Digest) -> String {
    format!("`{}` is an image, not a list of images", id::short(id.hex()))
}

impl Record {
    fn of_list(list: ListRecord) -> Result<Record> {
        Ok(Record {
            version: VERSION,
            manifest_digest: Digest::of(list.text.as_bytes()),
            manifest_type: list.list()?.media_type,
            layers: Vec::new(),
            size: list.text.len() as u64,
            created: time::now(),
            os: String::new(),
            architecture: String::new(),
            variant: String::new(),
            list: Some(list),
        })
    }
}

impl Image {
    /// Whether it is a list of images.
    pub fn is_list(&self) -> bool {
        self.list.is_some()
    }

    /// The list that it is; an error where it is an image.
    pub fn as_list(&self) -> Result<&ListRecord> {
        self.list.as_ref().ok_or_else(|| fail(Kind::Failed, not_a_list(&self.id)))
    }
}
