//! What is recorded of one image, and the image as callers see it.

use std::path::PathBuf;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Config;
use super::lists::ListRecord;
use crate::base::digest::Digest;
use crate::base::error::{Kind, Result, fail};
use crate::base::fs;

/// `image.json`: enough for every listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) manifest_digest: Digest,
    pub(super) manifest_type: String,
    pub(super) layers: Vec<Digest>,
    pub(super) size: u64,
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) variant: String,
    /// What makes it a list of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<ListRecord>,
}

/// An image of the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the configuration.
    pub id: Digest,
    /// Normalised references that mean it, in order: `docker.io/library/alpine:3.20`.
    pub names: Vec<String>,
    /// Its references by digest: `docker.io/library/alpine@sha256:…`.
    pub digests: Vec<String>,
    /// Digest of the manifest by which it was first had.
    pub manifest_digest: Digest,
    /// Media type of that manifest.
    pub manifest_type: String,
    /// Further digests (of indexes, of other manifests) by which it is known.
    pub known_digests: Vec<Digest>,
    /// Diff ids, lowest first.
    pub layers: Vec<Digest>,
    /// Unpacked bytes of all layers.
    pub size: u64,
    /// When it was built.
    pub created: Timestamp,
    /// `linux`
    pub os: String,
    /// `amd64`…
    pub architecture: String,
    /// `v8`…
    pub variant: String,
    /// It lies in an additional store, which is never changed.
    pub read_only: bool,
    /// The list of images that it is, if it is one.
    pub list: Option<ListRecord>,
    dir: PathBuf,
    config: OnceLock<Config>,
}

impl Image {
    /// The configuration, read when first asked for.
    pub fn config(&self) -> Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Config::parse(&self.config_bytes()?)?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The configuration's exact bytes; a list of images has none.
    pub fn config_bytes(&self) -> Result<Vec<u8>> {
        if self.is_list() {
            return Err(fail(Kind::Failed, format!("`{}` is a list of images, not an image", self.id)));
        }
        fs::read_limited(&self.dir.join("config.json"), super::config::LIMIT)
    }

    /// The exact bytes of the manifest by which it was first had.
    pub fn manifest_bytes(&self) -> Result<Vec<u8>> {
        if let Some(list) = &self.list {
            return Ok(list.text.clone().into_bytes());
        }
        fs::read_limited(&self.dir.join("manifest.json"), super::config::LIMIT)
    }

    /// The exact bytes of the manifest with this digest, if the image was had by it.
    pub fn manifest_by(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        if *digest == self.manifest_digest {
            return self.manifest_bytes().map(Some);
        }
        fs::read_optional(&self.dir.join(format!("manifest-{}.json", digest.hex())))
    }

    /// Whether a manifest or index digest means this image.
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.manifest_digest == *digest || self.known_digests.contains(digest)
    }

    /// Names with a tag, without those by digest.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.contains('@'))
    }

    pub(super) fn assemble(
        id: Digest,
        dir: PathBuf,
        record: Record,
        names: Vec<String>,
        known: Vec<Digest>,
    ) -> Image {
        let digests = repo_digests(&names, &record.manifest_digest, &known);
        Image {
            id,
            names,
            digests,
            manifest_digest: record.manifest_digest,
            manifest_type: record.manifest_type,
            known_digests: known,
            layers: record.layers,
            size: record.size,
            created: record.created,
            os: record.os,
            architecture: record.architecture,
            variant: record.variant,
            read_only: false,
            list: record.list,
            dir,
            config: OnceLock::new(),
        }
    }
}

/// Every repository of the names with every digest of the image, as Podman lists them.
fn repo_digests(names: &[String], own: &Digest, known: &[Digest]) -> Vec<String> {
    let mut repositories: Vec<&str> = names.iter().map(|name| repository_of(name)).collect();
    repositories.dedup();
    let digests = || std::iter::once(own).chain(known.iter().filter(|digest| *digest != own));
    let mut all: Vec<String> = repositories
        .iter()
        .flat_map(|repository| digests().map(move |digest| format!("{repository}@{digest}")))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// A normalised reference without its tag and digest.
pub(super) fn repository_of(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    name[path..].find(':').map_or(name, |colon| &name[..path + colon])
}
