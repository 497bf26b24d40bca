//! The record of a layer.

use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;

/// The version of `layer.json`.
pub const VERSION: u32 = 1;

/// `layer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// [`VERSION`].
    pub version: u32,
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// Bytes of the unpacked regular files.
    pub size: u64,
    /// Bytes of the uncompressed archive.
    pub tar_size: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Forms in which the layer is known to stand in registries and archives.
    #[serde(default)]
    pub blobs: Vec<Blob>,
    /// Device nodes that could not be made (rootless), by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_devices: Vec<String>,
    /// How many owners could not be given (only one id mapped).
    #[serde(default)]
    pub ignored_owners: u64,
    /// The boot in which the layer was made: until it is synced, a power cut may have damaged it.
    pub boot_id: String,
}

/// One form of a layer as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Digest of the blob as transferred.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
}
