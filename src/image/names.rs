//! `names.json`: which name means which image, and by which digests an image is known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};
use crate::base::fs::{self, Durability};
use crate::base::id;
use crate::base::lock::Lock;

/// The whole of `names.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// [`VERSION`]
    pub version: u32,
    /// Normalised reference, with a tag or a digest, to image id.
    pub names: BTreeMap<String, Digest>,
    /// Image id to the digests of the indexes and manifests by which it was had.
    pub digests: BTreeMap<Digest, Vec<Digest>>,
}

impl Names {
    /// Reads the file; none is empty.
    pub(super) fn read(root: &Path) -> Result<Names> {
        let path = file(root);
        let Some(bytes) = fs::read_optional(&path)? else { return Ok(Names::default()) };
        let names: Names =
            serde_json::from_slice(&bytes).with_context(|| format!("parse `{}`", path.display()))?;
        if names.version > VERSION {
            bail!("`{}` was written by a newer dhow (version {})", path.display(), names.version);
        }
        Ok(names)
    }

    /// Reads, changes and replaces the file under its lock. Nothing is written when nothing changed.
    pub(super) fn update<T>(root: &Path, change: impl FnOnce(&mut Names) -> Result<T>) -> Result<T> {
        let _lock = Lock::exclusive(&root.join("names.lock"))?;
        let before = match Names::read(root) {
            Err(error) if error.is::<serde_json::Error>() => {
                set_aside(root)?;
                Names::default()
            }
            other => other?,
        };
        let mut names = before.clone();
        let answer = change(&mut names)?;
        if names != before {
            names.version = VERSION;
            fs::replace_json(&file(root), &names, Durability::Durable)?;
        }
        Ok(answer)
    }

    /// The names of an image, in order.
    pub fn of(&self, id: &Digest) -> Vec<String> {
        self.names.iter().filter(|(_, named)| *named == id).map(|(name, _)| name.clone()).collect()
    }

    /// Adds the names and digests of another store, where these say nothing.
    pub(super) fn add(&mut self, other: Names) {
        for (name, id) in other.names {
            self.names.entry(name).or_insert(id);
        }
        for (id, digests) in other.digests {
            self.digests.entry(id).or_insert(digests);
        }
    }

    /// Notes one more digest by which an image is known.
    pub(super) fn add_digest(&mut self, id: &Digest, digest: &Digest) {
        let known = self.digests.entry(id.clone()).or_default();
        if !known.contains(digest) {
            known.push(digest.clone());
        }
    }

    /// Forgets an image with all its names; gives them back.
    pub(super) fn forget(&mut self, id: &Digest) -> Vec<String> {
        let gone = self.of(id);
        self.names.retain(|_, named| named != id);
        self.digests.remove(id);
        gone
    }
}

fn file(root: &Path) -> PathBuf {
    root.join("names.json")
}

/// A file that is no JSON is kept for whoever wants to look, and does not stop the work.
fn set_aside(root: &Path) -> Result<()> {
    fs::rename(&file(root), &root.join(format!("names.json.damaged-{}", id::word())))
}
