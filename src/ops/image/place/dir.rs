//! Skopeo's `dir:` as a destination: `manifest.json`, `version`, and blobs by the hexadecimal part of their digests.

use std::path::{Path, PathBuf};

use super::layout::write_file;
use super::{Layers, Sink};
use crate::base::digest::Digest;
use crate::base::error::{Result, bail};
use crate::base::fs::{self, Durability};
use crate::registry::manifest::{self, Descriptor};
use crate::registry::{Open, Pushed, Reference};

const VERSION: &[u8] = b"Directory Transport Version: 1.1\n";

/// A directory of one image or list.
pub(super) struct Dir {
    path: PathBuf,
}

impl Dir {
    /// Makes the directory. One that such an image is in is written over, as containers-transports(5) has it; anything
    /// else that is not empty is left alone.
    pub(super) fn create(path: &Path) -> Result<Dir> {
        let entries = fs::read_dir(path)?;
        let known = fs::read_optional(&path.join("version"))?
            .is_some_and(|bytes| bytes.starts_with(b"Directory Transport"));
        if !entries.is_empty() && !known {
            bail!("directory `{}` is not empty, and holds no image of this form", path.display());
        }
        fs::create_dir_all_with(path, 0o755)?;
        fs::remove_file(&path.join("manifest.json"))?;
        fs::replace(&path.join("version"), VERSION, 0o644, Durability::Volatile)?;
        Ok(Dir { path: path.to_owned() })
    }

    fn put_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        fs::replace(&self.path.join(name), bytes, 0o644, Durability::Volatile)
    }
}

impl Sink for Dir {
    fn layers(&self) -> Layers {
        Layers::Kept
    }

    fn takes(&self, media_type: &str) -> bool {
        manifest::ACCEPTED.contains(&media_type)
    }

    fn has(&self, _: &Descriptor) -> Result<bool> {
        Ok(false)
    }

    fn put(&self, blob: &Descriptor, _: Option<&Reference>, open: &Open<'_>) -> Result<Pushed> {
        write_file(&self.path.join(blob.digest.hex()), open).map(|()| Pushed::Uploaded)
    }

    fn put_listed(&self, bytes: &[u8], _: &str, digest: &Digest) -> Result<()> {
        self.put_file(&format!("{}.manifest.json", digest.hex()), bytes)
    }

    fn finish(&self, bytes: &[u8], _: &str, _: &Digest) -> Result<()> {
        self.put_file("manifest.json", bytes)
    }
}
