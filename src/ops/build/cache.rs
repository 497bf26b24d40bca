//! What finished steps made, so that they need not be done again.
//!
//! ```text
//! <root>/build/cache/<hex>.json    [`Record`] of a step, by its key
//! <root>/build/seen/<hex>.json     build arguments that a step saw the last time, by its place in the file: only to
//!                                  say why it is done again; <hex>.files has the files
//! <root>/build/content/<hex>.json  digest of something in layers, which never changes
//! <root>/build/active/<word>       diff ids that a running build relies on; <word>.lock is held by it
//! ```
//!
//! The key of a step is a digest of the key of the step before, of what the step says and of the content that it
//! brings. Records are written to a temporary file and renamed; readers take no lock. A layer with a record stays in the
//! store; what removes records holds the store's lock exclusively. A record that cannot be read is no record.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::digest::{Algorithm, Digest, Hasher};
use crate::base::error::Result;
use crate::base::fs::{self, Durability};
use crate::base::{id, time};
use crate::layer::ObjectLock;
use crate::ops::build::copy::Inventory;

/// The version of [`Record`]; others are not used.
const VERSION: u32 = 1;

/// `<root>/build/cache/<hex>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// The layer it made; `None` for a step that changes the configuration alone.
    pub(super) layer: Option<Digest>,
    /// When: the same image comes out of a build that only uses records.
    pub(super) created: Timestamp,
    /// What was done, for who looks into the cache.
    pub(super) step: String,
}

impl Record {
    /// A record of now.
    pub(super) fn new(layer: Option<Digest>, created: Timestamp, step: &str) -> Record {
        Record { version: VERSION, layer, created, step: step.to_owned() }
    }
}

/// What went into a step: only to say why it is done again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Inputs {
    /// Digests of build arguments.
    pub(super) args: BTreeMap<String, String>,
    /// Files of the context.
    pub(super) files: Inventory,
}

impl Inputs {
    /// What is different first from what was `before`.
    pub(super) fn difference(&self, before: &Inputs) -> Option<String> {
        let arg = |name: &&String| self.args.get(*name) != before.args.get(*name);
        let arg = self.args.keys().chain(before.args.keys()).find(arg);
        arg.map(|name| format!("build argument {name} changed"))
            .or_else(|| self.files.first_difference(&before.files).map(|found| found.to_string()))
    }
}

/// The records below one root.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens nothing.
    pub(super) fn new(root: &Path) -> Cache {
        Cache { dir: root.join("build") }
    }

    /// The directory of everything that builds keep.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directories.
    pub(super) fn create(&self) -> Result<()> {
        ["cache", "seen", "content", "active"]
            .iter()
            .try_for_each(|name| fs::create_dir_all(&self.dir.join(name)))
    }

    /// The record of a step, no older than `ttl`.
    pub(super) fn find(&self, key: &Digest, ttl: Option<Duration>) -> Option<Record> {
        let record: Record = self.read("cache", key)?;
        let fresh = ttl.is_none_or(|ttl| time::since(record.created, time::now()) <= ttl);
        (record.version == VERSION && fresh).then_some(record)
    }

    /// Keeps a record. Whoever calls holds the store's lock, shared, since before the layer was made.
    pub(super) fn keep(&self, key: &Digest, record: &Record) -> Result<()> {
        self.write("cache", key, record)
    }

    /// What went into the step at a place the last time.
    pub(super) fn seen(&self, place: &Digest) -> Option<Inputs> {
        let args = self.read("seen", place)?;
        let files = fs::read_optional(&self.path("seen", place).with_extension("files")).ok()?;
        Some(Inputs { args, files: Inventory::from_bytes(&files.unwrap_or_default()) })
    }

    /// Remembers what goes into a step.
    pub(super) fn see(&self, place: &Digest, inputs: &Inputs) -> Result<()> {
        let files = self.path("seen", place).with_extension("files");
        fs::replace(&files, &inputs.files.to_bytes(), 0o600, Durability::Volatile)?;
        self.write("seen", place, &inputs.args)
    }

    /// The digest of something in layers, if it was computed before.
    pub(super) fn content(&self, what: &Digest) -> Option<String> {
        self.read("content", what)
    }

    /// Remembers it.
    pub(super) fn keep_content(&self, what: &Digest, digest: &str) -> Result<()> {
        self.write("content", what, &digest)
    }

    /// Every layer that a record or a running build refers to.
    pub(super) fn layers(&self) -> Result<HashSet<Digest>> {
        let mut layers = HashSet::new();
        for (_, record) in self.records()? {
            layers.extend(record.layer);
        }
        for entry in fs::read_dir(&self.dir.join("active"))? {
            let path = entry.path();
            if path.extension().is_some() {
                continue;
            }
            match ObjectLock::try_acquire(&path.with_extension("lock"))? {
                Some(_free) => fs::remove_file(&path)?, // its build was killed
                None => layers.extend(read::<Vec<Digest>>(&path).unwrap_or_default()),
            }
        }
        Ok(layers)
    }

    /// All records that can be read, with their files.
    pub(super) fn records(&self) -> Result<Vec<(PathBuf, Record)>> {
        let entries = fs::read_dir(&self.dir.join("cache"))?;
        Ok(entries.iter().filter_map(|entry| Some((entry.path(), read(&entry.path())?))).collect())
    }

    fn path(&self, kind: &str, key: &Digest) -> PathBuf {
        self.dir.join(kind).join(key.hex()).with_extension("json")
    }

    fn read<T: DeserializeOwned>(&self, kind: &str, key: &Digest) -> Option<T> {
        read(&self.path(kind, key))
    }

    fn write<T: Serialize>(&self, kind: &str, key: &Digest, value: &T) -> Result<()> {
        fs::replace_json(&self.path(kind, key), value, Durability::Volatile)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read_optional(path).ok()??).ok()
}

/// A digest of several texts that cannot be confused with one of others.
pub(super) fn key(parts: &[&str]) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finish()
}

/// The layers that a running build needs and that nothing else may hold.
#[derive(Debug)]
pub(super) struct Active {
    path: PathBuf,
    layers: Vec<Digest>,
    _lock: ObjectLock,
}

impl Active {
    /// Begins with none.
    pub(super) fn new(cache: &Cache) -> Result<Active> {
        let path = cache.dir.join("active").join(id::word());
        let lock = ObjectLock::acquire(&path.with_extension("lock"))?;
        Ok(Active { path, layers: Vec::new(), _lock: lock })
    }

    /// Holds these too. Whoever calls holds the store's lock, shared, and knows that they are there.
    pub(super) fn hold(&mut self, layers: &[Digest]) -> Result<()> {
        let new: Vec<Digest> = layers.iter().filter(|layer| !self.layers.contains(layer)).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        self.layers.extend(new);
        fs::replace_json(&self.path, &self.layers, Durability::Volatile)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // with a free lock it means nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key_do_not_run_into_each_other() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["a"]), key(&["a", ""]));
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
    }

    #[test]
    fn a_changed_argument_is_a_reason() {
        let inputs = |value: &str| Inputs {
            args: [("A".to_owned(), value.to_owned())].into(),
            files: Inventory::default(),
        };
        assert_eq!(inputs("1").difference(&inputs("1")), None);
        assert_eq!(inputs("1").difference(&inputs("2")).as_deref(), Some("build argument A changed"));
        assert_eq!(Inputs::default().difference(&inputs("2")).as_deref(), Some("build argument A changed"));
    }
}
