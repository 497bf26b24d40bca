//! Places between which images are copied without being stored: a registry, a file or directory, the own store.
//!
//! A [`Source`] gives manifests and blobs that verify themselves; a [`Sink`] takes them. What goes from one to the
//! other, and in which form, is [`super::copy`]'s.

mod archive;
mod dir;
mod files;
mod layout;
mod registry;
mod spool;
mod stored;

use std::io::{Read, Write};
use std::path::Path;

use super::PullOptions;
use super::trust;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::image::archive::Format;
use crate::image::transport::Transport;
use crate::layer::Blob;
use crate::ops::context::Context;
use crate::registry::manifest::{self, Descriptor};
use crate::registry::{Fetched, Open, Pushed, Reference};

pub(super) use layout::{Layout, edit_index, read_index};
pub(super) use registry::Remote;
pub(super) use spool::{compress, plain, recompress};
pub(super) use stored::Stored;

/// Bytes that are read once; where they come from verifies them at their end.
pub(super) type Bytes = Box<dyn Read + Send>;

/// Where an image comes from.
pub(super) trait Source: Sync {
    /// What the place itself names: an image's manifest, or a list.
    fn top(&self) -> Result<Fetched>;

    /// The place of an image that a list of this place lists.
    fn instance(&self, entry: &Descriptor) -> Result<Box<dyn Source + '_>>;

    /// A blob; size and digest are verified at its end.
    fn blob(&self, blob: &Descriptor) -> Result<Bytes>;

    /// A small blob (a configuration) whole.
    fn small(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        let limit = manifest::LIMIT;
        if blob.size > limit {
            return Err(fail(
                Kind::Failed,
                format!("blob `{}` is larger than the limit of {limit} bytes", blob.digest),
            ));
        }
        let mut bytes = Vec::new();
        let read = self.blob(blob)?.read_to_end(&mut bytes);
        read.with_context(|| format!("read blob `{}`", blob.digest))?;
        Ok(bytes)
    }

    /// Writes a blob to where it is compressed.
    fn write(&self, blob: &Descriptor, out: &mut dyn Write) -> Result<()> {
        let copied = std::io::copy(&mut self.blob(blob)?, out);
        copied.map(drop).with_context(|| format!("read blob `{}`", blob.digest))
    }

    /// Other forms of a layer that were seen at some time: a destination may have one of them.
    fn forms(&self, _layer: &Descriptor) -> Vec<Blob> {
        Vec::new()
    }

    /// Takes note of a form that a layer got.
    fn remember(&self, _layer: &Descriptor, _form: &Blob) -> Result<()> {
        Ok(())
    }

    /// The manifest that the image came with, where it lists just these layers.
    fn original(&self, _layers: &[Descriptor]) -> Result<Option<Fetched>> {
        Ok(None)
    }

    /// The repository in a registry that has the blobs.
    fn repository(&self) -> Option<&Reference> {
        None
    }

    /// The tags of the repository; `None` where there is no such thing.
    fn tags(&self) -> Result<Option<Vec<String>>> {
        Ok(None)
    }
}

/// In which form a destination wants layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// As they are.
    Kept,
    /// Compressed, whichever way.
    Compressed,
    /// Not compressed.
    Plain,
}

/// Where an image goes to.
pub(super) trait Sink: Sync {
    /// In which form layers are wanted.
    fn layers(&self) -> Layers;

    /// Whether it takes manifests (or lists) of a media type.
    fn takes(&self, media_type: &str) -> bool;

    /// Whether a blob is there.
    fn has(&self, blob: &Descriptor) -> Result<bool>;

    /// Brings a blob there unless it is there; `from` may have it in the same registry.
    fn put(&self, blob: &Descriptor, from: Option<&Reference>, open: &Open<'_>) -> Result<Pushed>;

    /// Brings the manifest of an image that a list will list.
    fn put_listed(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()>;

    /// Ends the work: everything else is there, this is what the place itself names from now on.
    fn finish(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()>;
}

/// Reads what was typed; a name without a transport is an error that says so.
pub(super) fn parse(text: &str) -> Result<Transport> {
    Transport::parse(text)?.ok_or_else(|| {
        fail(Kind::Usage, format!("`{text}` names no transport"))
            .hint("begin with docker://, dir:, oci:, oci-archive:, docker-archive: or containers-storage:")
    })
}

/// What places need of a [`Context`]; unlike that it can be shared by threads.
#[derive(Clone, Copy)]
pub(super) struct Stores<'a> {
    /// The images.
    pub(super) images: &'a crate::image::Store,
    /// The layers.
    pub(super) layers: &'a crate::layer::Store,
    /// Where nameless files may grow.
    pub(super) tmp: &'a Path,
}

impl<'a> Stores<'a> {
    /// Those of this command.
    pub(super) fn of(context: &'a Context) -> Result<Stores<'a>> {
        Ok(Stores { images: context.images(), layers: context.layers()?, tmp: &context.roots.tmp })
    }
}

/// Opens a place to read from; the policy has its say first.
pub(super) fn source<'a>(
    context: &'a Context,
    transport: &Transport,
    reach: &PullOptions,
) -> Result<Box<dyn Source + 'a>> {
    if let Transport::Store(text) = transport {
        let image = super::find_or_install(context, text)?;
        return Ok(Box::new(Stored::new(Stores::of(context)?, image, reach)?));
    }
    outside(&context.roots.tmp, transport, reach)
}

/// Opens a place that is not the own store.
fn outside(tmp: &Path, transport: &Transport, reach: &PullOptions) -> Result<Box<dyn Source>> {
    trust::allow(transport, reach)?;
    match transport {
        Transport::Registry(name) => Ok(Box::new(Remote::new(name, reach)?)),
        Transport::Files { format, path, which } => files::source(tmp, *format, path, which),
        Transport::Store(text) => Err(fail(Kind::Failed, format!("`{text}` is in the own store"))),
    }
}

/// Opens files of our own, for which no policy is asked.
pub(super) fn own_files(context: &Context, transport: &Transport) -> Result<Box<dyn Source>> {
    match transport {
        Transport::Files { format, path, which } => files::source(&context.roots.tmp, *format, path, which),
        other => Err(fail(Kind::Failed, format!("`{other}` is no file"))),
    }
}

/// Opens a place to write to.
pub(super) fn sink(transport: &Transport, reach: &PullOptions) -> Result<Box<dyn Sink>> {
    match transport {
        Transport::Registry(name) => Ok(Box::new(Remote::new(name, reach)?)),
        Transport::Store(_) => Err(fail(Kind::Usage, "an image does not get into the own store in this way")),
        Transport::Files { format, path, which } => match format {
            Format::OciDir => Ok(Box::new(Layout::create(path, which)?)),
            Format::DockerDir => Ok(Box::new(dir::Dir::create(path)?)),
            Format::OciArchive | Format::DockerArchive => {
                Ok(Box::new(archive::Archive::create(*format, path, which)?))
            }
        },
    }
}

/// Whether a name says which registry it is in.
pub(super) fn name_with_registry(text: &str) -> bool {
    !crate::registry::reference::is_short_name(text) && Reference::parse(text).is_ok()
}
