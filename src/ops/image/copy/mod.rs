//! `image copy`: an image or a list from one place to another, without the store.
//!
//! Blobs are streamed and verified on their way; what the destination has is not sent. Manifests go byte for byte
//! unless the destination takes only another form of them or of their layers.

mod blobs;
mod into;

use super::PullOptions;
use super::place::{self, Sink, Source};
use super::push::ManifestFormat;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::image::list::{Entry, List};
use crate::image::transport::Transport;
use crate::layer::codec::Compression;
use crate::ops::context::Context;
use crate::ops::progress::Progress;
use crate::registry::manifest::{self, Descriptor, Document, ImageManifest};
use crate::registry::{Fetched, Platform};

pub(super) use into::store as into_store;

/// How deep lists may stand in lists.
const NESTING: usize = 4;

/// Which images of a list are copied (`--multi-arch`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instances {
    /// `system`: the one for a platform.
    #[default]
    System,
    /// `all`: the list and all its images.
    All,
    /// `index-only`: the list alone; its images are there already.
    IndexOnly,
}

/// What `image copy` was asked for.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// How the source is reached; its platform chooses the image of a list.
    pub from: PullOptions,
    /// How the destination is reached.
    pub to: PullOptions,
    /// `--all`, `--multi-arch`
    pub instances: Instances,
    /// `--format`
    pub format: Option<ManifestFormat>,
    /// What plain layers become where they are compressed; gzip if nothing is said.
    pub compression: Option<Compression>,
    /// Level of the compression.
    pub level: Option<i32>,
    /// Layers of another compression are brought into this one.
    pub force: bool,
    /// `--preserve-digests`: whatever would change a digest is an error.
    pub preserve: bool,
}

/// Copies. Gives the digest of what the destination names now.
pub fn copy(
    context: &Context,
    from: &str,
    to: &str,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let (from_place, to_place) = (place::parse(from)?, place::parse(to)?);
    let what = || format!("copy `{from}` to `{to}`");
    let source = place::source(context, &from_place, &options.from).with_context(what)?;
    if let Transport::Store(name) = &to_place {
        let name = super::own_name(name)?;
        return into::store(context, &*source, &from_place, &[name], options, progress)
            .map(|stored| stored.digest)
            .with_context(what);
    }
    let sink = place::sink(&to_place, &options.to).with_context(what)?;
    send(&*source, &*sink, options, &context.roots.tmp, progress).map(|sent| sent.digest).with_context(what)
}

/// Copies from an open place to another. Gives the entry by which a list would list what arrived.
pub(super) fn send(
    source: &dyn Source,
    sink: &dyn Sink,
    options: &CopyOptions,
    tmp: &std::path::Path,
    progress: &dyn Progress,
) -> Result<Descriptor> {
    let top = source.top()?;
    let platform = options.from.platform.clone().unwrap_or_else(Platform::host);
    let job = Job { sink, options, platform, tmp, progress };
    let written = job.document(source, top, 0)?;
    progress.message("Writing manifest to image destination");
    sink.finish(&written.bytes, &written.media_type, &written.digest)?;
    Ok(Entry::new(&written.media_type, written.digest, written.bytes.len() as u64, None).descriptor())
}

struct Job<'a> {
    sink: &'a dyn Sink,
    options: &'a CopyOptions,
    platform: Platform,
    tmp: &'a std::path::Path,
    progress: &'a dyn Progress,
}

/// A manifest or list as the destination gets it.
struct Written {
    bytes: Vec<u8>,
    media_type: String,
    digest: Digest,
}

impl From<Fetched> for Written {
    fn from(fetched: Fetched) -> Written {
        Written { bytes: fetched.bytes, media_type: fetched.media_type, digest: fetched.digest }
    }
}

impl Job<'_> {
    /// Everything below a document; it itself is given back.
    fn document(&self, source: &dyn Source, fetched: Fetched, depth: usize) -> Result<Written> {
        if depth > NESTING {
            bail!("lists of images are nested deeper than {NESTING}");
        }
        match &fetched.document {
            Document::Image(image) => {
                let image = ImageManifest::clone(image);
                self.image(source, fetched, &image)
            }
            Document::Index(index) if self.options.instances == Instances::System => {
                let entry = index.choose(&self.platform)?.clone();
                let instance = source.instance(&entry)?;
                let top = instance.top()?;
                self.document(&*instance, top, depth + 1)
            }
            Document::Index(_) => self.list(source, fetched, depth),
        }
    }

    fn list(&self, source: &dyn Source, fetched: Fetched, depth: usize) -> Result<Written> {
        let mut list = List::parse(&fetched.bytes, Some(&fetched.media_type))?;
        if self.options.instances == Instances::All {
            let total = list.manifests.len();
            for (n, entry) in list.manifests.iter_mut().enumerate() {
                self.progress.message(&format!("Copying image {} ({}/{total})", entry.digest, n + 1));
                let written = self.listed(source, entry, depth)?;
                entry.media_type.clone_from(&written.media_type);
                (entry.digest, entry.size) = (written.digest, written.bytes.len() as u64);
            }
        }
        let form = self.list_form(&fetched.media_type)?;
        let unchanged = List::parse(&fetched.bytes, Some(&fetched.media_type))? == list;
        if unchanged && form == fetched.media_type {
            return Ok(fetched.into());
        }
        self.may_change()?;
        list.convert(form);
        let bytes = list.bytes()?;
        Ok(Written { digest: Digest::of(&bytes), bytes, media_type: form.to_owned() })
    }

    fn listed(&self, source: &dyn Source, entry: &Entry, depth: usize) -> Result<Written> {
        let instance = source.instance(&entry.descriptor())?;
        let top = instance.top()?;
        let written = self.document(&*instance, top, depth + 1)?;
        self.sink.put_listed(&written.bytes, &written.media_type, &written.digest)?;
        Ok(written)
    }

    fn list_form(&self, own: &str) -> Result<&'static str> {
        let (oci, docker) = (manifest::OCI_INDEX, manifest::DOCKER_LIST);
        let wanted = match self.options.format {
            Some(ManifestFormat::Oci) => oci,
            Some(ManifestFormat::Docker) => docker,
            None if own == docker => docker,
            None => oci,
        };
        self.form(wanted, if wanted == oci { docker } else { oci }, "lists of images")
    }

    fn image_form(&self, own: &str) -> Result<ManifestFormat> {
        let (oci, docker) = (manifest::OCI_MANIFEST, manifest::DOCKER_MANIFEST);
        let wanted = match self.options.format {
            Some(format) => format.manifest(),
            None if own == docker => docker,
            None => oci,
        };
        let form = self.form(wanted, if wanted == oci { docker } else { oci }, "such images")?;
        Ok(if form == docker { ManifestFormat::Docker } else { ManifestFormat::Oci })
    }

    /// The wanted form, or where nobody asked for it the other one, as the destination takes it.
    fn form(&self, wanted: &'static str, other: &'static str, what: &str) -> Result<&'static str> {
        match () {
            () if self.sink.takes(wanted) => Ok(wanted),
            () if self.options.format.is_none() && self.sink.takes(other) => Ok(other),
            () => Err(fail(Kind::Usage, format!("the destination takes no {what} of type `{wanted}`"))),
        }
    }

    fn may_change(&self) -> Result<()> {
        if self.options.preserve {
            bail!("--preserve-digests was asked for, but the destination needs another form of the image");
        }
        Ok(())
    }
}
