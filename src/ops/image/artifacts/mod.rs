//! `artifact`: files in registries (OCI image specification, "Guidelines for Artifact Usage").
//!
//! ```text
//! <root>/artifacts/                an OCI image layout: other tools read it as `oci:<root>/artifacts:NAME`
//!     oci-layout index.json        what is in it, by name; replaced whole under index.lock
//!     blobs/sha256/<hex>           manifests, and the files; each written aside and renamed
//!     lock                         shared while something is added, exclusive to remove blobs that nothing names
//! ```
//!
//! A killed command leaves blobs that no name leads to; the next `artifact rm` removes them.

mod add;
mod extract;
mod remove;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::copy::{self, CopyOptions};
use super::place::{self, Layers, Layout, Remote, Source};
use super::pull::reach as reach_registry;
use super::{PullOptions, own_name, trust};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::base::fs;
use crate::base::id;
use crate::base::lock::Lock;
use crate::base::text::printable;
use crate::image::archive::{Format, read};
use crate::image::list::Entry;
use crate::image::transport::{Transport, Which};
use crate::ops::context::Context;
use crate::ops::progress::Progress;
use crate::registry::Reference;
use crate::registry::manifest::{self, Document, ImageManifest};

pub use add::{AddOptions, add};
pub use extract::{Pick, extract};
pub use remove::remove;

/// The annotation with the name of a file.
const TITLE: &str = "org.opencontainers.image.title";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// An artifact of the store.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its full name.
    pub name: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// The same as it is written.
    pub document: Value,
}

impl Artifact {
    /// Bytes of its files.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().map(|layer| layer.size).sum()
    }
}

fn root(context: &Context) -> PathBuf {
    context.roots.root.join("artifacts")
}

/// Opens the layout for writing; the lock keeps blobs from being removed before a name leads to them.
fn open(context: &Context, name: &Reference) -> Result<(Layout, Lock)> {
    context.roots.create()?;
    let root = root(context);
    fs::create_dir_all(&root)?;
    let lock = Lock::shared(&root.join("lock"))?;
    Ok((Layout::open(&root, Some(name.full()), Layers::Kept)?, lock))
}

fn error_is_missing(error: &crate::base::error::Error) -> bool {
    crate::base::error::kind_of(error) == Kind::NotFound
}

fn missing(name: &str) -> crate::base::error::Error {
    fail(Kind::NotFound, format!("`{name}`: artifact not known"))
}

/// All artifacts, by name.
pub fn list(context: &Context) -> Result<Vec<Artifact>> {
    let root = root(context);
    let mut found = Vec::new();
    for entry in place::read_index(&root)?.manifests {
        let Some(name) = entry.annotations.get(REF_NAME) else { continue };
        found
            .push(load(&root, name, &entry).with_context(|| format!("read artifact `{}`", printable(name)))?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn load(root: &Path, name: &str, entry: &Entry) -> Result<Artifact> {
    let bytes = fs::read_limited(&root.join(read::blob(&entry.digest)), manifest::LIMIT)?;
    if Digest::of(&bytes) != entry.digest {
        bail!("its manifest is damaged");
    }
    match manifest::parse(&bytes, Some(&entry.media_type))? {
        (Document::Image(image), _) => Ok(Artifact {
            name: name.to_owned(),
            digest: entry.digest.clone(),
            manifest: *image,
            document: serde_json::from_slice(&bytes).context("parse manifest")?,
        }),
        _ => bail!("it is a list of images"),
    }
}

/// Finds an artifact by its name, or by the beginning of its digest.
pub fn find(context: &Context, text: &str) -> Result<Artifact> {
    let all = list(context)?;
    let spellings = [own_name(text).ok(), Reference::parse(text).ok().map(Reference::or_latest)];
    for name in spellings.into_iter().flatten().map(|name| name.full()) {
        if let Some(found) = all.iter().find(|artifact| artifact.name == name) {
            return Ok(found.clone());
        }
    }
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let fitting = |artifact: &&Artifact| id::is_prefix(bare) && artifact.digest.hex().starts_with(bare);
    let mut found: Vec<&Artifact> = all.iter().filter(fitting).collect();
    found.dedup_by(|a, b| a.digest == b.digest);
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(missing(text)),
        _ => Err(fail(Kind::Failed, format!("`{text}` could mean several artifacts"))),
    }
}

/// Pulls an artifact. Gives the digest of its manifest.
pub fn pull(context: &Context, text: &str, reach: &PullOptions, progress: &dyn Progress) -> Result<Digest> {
    let (client, names) = reach_registry(text.strip_prefix("docker://").unwrap_or(text), reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{text}` names no registry"))?;
    trust::allow(&Transport::Registry(name.clone()), reach)?;
    let what = || format!("pull `{name}`");
    let source = Remote::with(client, name.clone());
    if matches!(source.top().with_context(what)?.document, Document::Index(_)) {
        bail!("`{name}` is a list of images, not an artifact");
    }
    let (layout, _lock) = open(context, &name)?;
    let sent = copy::send(&source, &layout, &CopyOptions::default(), &context.roots.tmp, progress);
    sent.map(|sent| sent.digest).with_context(what)
}

/// Pushes an artifact. Gives the digest of its manifest.
pub fn push(
    context: &Context,
    text: &str,
    destination: Option<&str>,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let found = find(context, text)?;
    let to = destination.unwrap_or(&found.name);
    let (client, names) = reach_registry(to.strip_prefix("docker://").unwrap_or(to), reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{to}` names no registry"))?;
    let from = Transport::Files {
        format: Format::OciDir,
        path: root(context),
        which: Which::Named(found.name.clone()),
    };
    let source = place::own_files(context, &from)?;
    let sink = Remote::with(client, name.clone());
    let sent = copy::send(&*source, &sink, &CopyOptions::default(), &context.roots.tmp, progress);
    sent.map(|sent| sent.digest).with_context(|| format!("push `{name}`"))
}
