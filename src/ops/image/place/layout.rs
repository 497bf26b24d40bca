//! An OCI image layout in a directory, as a destination. Images are added to what is there.
//!
//! ```text
//! <dir>/oci-layout          the version
//! <dir>/index.json          what is in it; replaced whole, under index.lock
//! <dir>/index.lock          of dhow
//! <dir>/blobs/sha256/<hex>  manifests, configurations, layers; each written aside and renamed
//! ```

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Layers, Sink};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::base::fs::{self, Durability};
use crate::base::id;
use crate::base::lock::Lock;
use crate::image::archive::read;
use crate::image::list::{Entry, List};
use crate::image::transport::Which;
use crate::registry::manifest::{self, Descriptor, OCI_INDEX, OCI_MANIFEST};
use crate::registry::{Open, Pushed, Reference};

/// The annotation that names an image of a layout.
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout that is written to.
pub(in crate::ops::image) struct Layout {
    dir: PathBuf,
    name: Option<String>,
    layers: Layers,
}

impl Layout {
    /// Makes the directory, or takes one that is a layout already.
    pub(super) fn create(path: &Path, which: &Which) -> Result<Layout> {
        let name = match which {
            Which::Any => None,
            Which::Named(name) => Some(name.clone()),
            Which::At(_) => return Err(fail(Kind::Usage, "a destination is named, not numbered")),
        };
        let known = path.join("oci-layout").exists() || path.join("index.json").exists();
        if path.exists() && !known && !fs::read_dir(path)?.is_empty() {
            bail!("directory `{}` is not empty, and no image layout", path.display());
        }
        Layout::open(path, name, Layers::Compressed)
    }

    /// Makes what is missing.
    pub(in crate::ops::image) fn open(path: &Path, name: Option<String>, layers: Layers) -> Result<Layout> {
        fs::create_dir_all_with(&path.join("blobs/sha256"), 0o755)?;
        fs::create_if_missing(&path.join("oci-layout"), VERSION, 0o644)?;
        Ok(Layout { dir: path.to_owned(), name, layers })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(read::blob(digest))
    }

    fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.path(digest);
        fs::create_dir_all_with(path.parent().unwrap_or(&self.dir), 0o755)?;
        fs::replace(&path, bytes, 0o644, Durability::Volatile)
    }
}

/// Reads the index of a layout; none is empty.
pub(in crate::ops::image) fn read_index(dir: &Path) -> Result<List> {
    let path = dir.join("index.json");
    let mut list = match fs::read_optional(&path)? {
        Some(bytes) => {
            List::parse(&bytes, Some(OCI_INDEX)).with_context(|| format!("read `{}`", path.display()))?
        }
        None => List::new(),
    };
    list.media_type = OCI_INDEX.to_owned();
    Ok(list)
}

/// Changes the index of a layout, alone among all dhows that do.
pub(in crate::ops::image) fn edit_index<T>(
    dir: &Path,
    change: impl FnOnce(&mut List) -> Result<T>,
) -> Result<T> {
    let _lock = Lock::exclusive(&dir.join("index.lock"))?;
    let mut list = read_index(dir)?;
    let answer = change(&mut list)?;
    fs::replace(&dir.join("index.json"), &list.bytes()?, 0o644, Durability::Durable)?;
    Ok(answer)
}

impl Sink for Layout {
    fn layers(&self) -> Layers {
        self.layers
    }

    fn takes(&self, media_type: &str) -> bool {
        matches!(media_type, OCI_MANIFEST | OCI_INDEX)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool> {
        let data = std::fs::symlink_metadata(self.path(&blob.digest));
        Ok(data.is_ok_and(|data| data.is_file() && data.len() == blob.size))
    }

    fn put(&self, blob: &Descriptor, _: Option<&Reference>, open: &Open<'_>) -> Result<Pushed> {
        if self.has(blob)? {
            return Ok(Pushed::Present);
        }
        write_file(&self.path(&blob.digest), open).map(|()| Pushed::Uploaded)
    }

    fn put_listed(&self, bytes: &[u8], _: &str, digest: &Digest) -> Result<()> {
        self.write(digest, bytes)
    }

    fn finish(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()> {
        self.write(digest, bytes)?;
        edit_index(&self.dir, |list| {
            let named = |entry: &Entry| entry.annotations.get(REF_NAME).cloned();
            // A name moves; an image without a name stands once, as with every other writer of layouts.
            list.manifests.retain(|entry| match &self.name {
                Some(name) => named(entry).as_ref() != Some(name),
                None => entry.digest != *digest || named(entry).is_some(),
            });
            let mut entry = Entry::new(media_type, digest.clone(), bytes.len() as u64, None);
            entry.annotations.extend(self.name.iter().map(|name| (REF_NAME.to_owned(), name.clone())));
            list.manifests.push(entry);
            Ok(())
        })
    }
}

/// Writes a blob aside and renames it once it has been verified, which a reader does at its end.
pub(super) fn write_file(path: &Path, open: &Open<'_>) -> Result<()> {
    let parent = path.parent().context("a blob has a directory")?;
    fs::create_dir_all_with(parent, 0o755)?;
    let aside = parent.join(format!(".{}", id::word()));
    let written = copy_into(&aside, open).and_then(|()| fs::rename(&aside, path));
    if written.is_err() {
        let _ = fs::remove_file(&aside); // the first error is the one to tell
    }
    written
}

fn copy_into(path: &Path, open: &Open<'_>) -> Result<()> {
    let mut out = fs::create(path)?;
    std::io::copy(&mut open()?, &mut out).with_context(|| format!("write `{}`", path.display()))?;
    rustix::fs::fchmod(&out, rustix::fs::Mode::from_raw_mode(0o644)).context("set the mode of a blob")
}

/// What an archive of the same form has for its index.
pub(super) fn index_of(entry: &Descriptor, name: Option<&str>) -> Result<Vec<u8>> {
    let mut value = json!({"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size});
    if let Some(name) = name {
        value["annotations"] = json!({REF_NAME: name});
    }
    let index = json!({"schemaVersion": 2, "mediaType": manifest::OCI_INDEX, "manifests": [value]});
    serde_json::to_vec(&index).context("encode the index")
}

/// The content of `oci-layout`.
pub(super) fn version() -> &'static [u8] {
    VERSION
}
