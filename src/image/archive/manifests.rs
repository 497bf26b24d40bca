//! Manifests written here: for images that came without one, and for saved forms of images.

use serde_json::{Value, json};

use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::registry::manifest;

/// A layer as a manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many.
    pub size: u64,
    /// Whether they are gzip.
    pub gzip: bool,
}

/// Which family of media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// OCI image manifest.
    Oci,
    /// Docker schema 2.
    Docker,
}

impl Kind {
    /// The manifest's own type.
    pub fn manifest_type(self) -> &'static str {
        match self {
            Kind::Oci => manifest::OCI_MANIFEST,
            Kind::Docker => manifest::DOCKER_MANIFEST,
        }
    }

    fn config_type(self) -> &'static str {
        match self {
            Kind::Oci => manifest::OCI_CONFIG,
            Kind::Docker => manifest::DOCKER_CONFIG,
        }
    }

    fn layer_type(self, gzip: bool) -> &'static str {
        match (self, gzip) {
            (Kind::Oci, true) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Kind::Oci, false) => "application/vnd.oci.image.layer.v1.tar",
            (Kind::Docker, true) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            (Kind::Docker, false) => "application/vnd.docker.image.rootfs.diff.tar",
        }
    }
}

/// Writes a manifest; equal images give equal bytes.
pub fn write(kind: Kind, config: &[u8], layers: &[Blob]) -> Result<Vec<u8>> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            json!({"mediaType": kind.layer_type(layer.gzip), "digest": layer.digest, "size": layer.size})
        })
        .collect();
    serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": kind.manifest_type(),
        "config": {"mediaType": kind.config_type(), "digest": Digest::of(config), "size": config.len()},
        "layers": layers,
    }))
    .context("encode manifest")
}
