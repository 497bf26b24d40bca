//! Archives and directories as sources.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use super::{Bytes, Source};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::image::archive::members::Members;
use crate::image::archive::read::{self, Found};
use crate::image::archive::{Format, manifests};
use crate::image::transport::Which;
use crate::layer::codec::{self, Compression};
use crate::ops::image::load::{self, LoadSource, Verified};
use crate::registry::manifest::{self, Descriptor};
use crate::registry::{Fetched, Reference};

/// Opens it; which of its images is meant is decided at once.
pub(super) fn source(tmp: &Path, format: Format, path: &Path, which: &Which) -> Result<Box<dyn Source>> {
    if format.is_directory() != path.is_dir() {
        let expected = if format.is_directory() { "a directory" } else { "a file" };
        // A missing path is told as such.
        crate::base::fs::open(path)?;
        bail!("`{}` is not {expected}", path.display());
    }
    let members = load::open_in(tmp, &LoadSource::Path(path.to_owned()))?;
    match format {
        Format::OciDir | Format::OciArchive => {
            let entry = read::entry(&members, which)?;
            Ok(Box::new(Blobs { members, form: Form::Layout, entry: Some(entry) }))
        }
        Format::DockerDir => Ok(Box::new(Blobs { members, form: Form::Dir, entry: None })),
        Format::DockerArchive => Saved::open(members, which).map(|saved| Box::new(saved) as Box<dyn Source>),
    }
}

/// How blobs are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `blobs/sha256/HEX`
    Layout,
    /// `HEX`, `HEX.manifest.json`
    Dir,
}

/// A form in which blobs and manifests lie side by side.
struct Blobs {
    members: Members,
    form: Form,
    /// The manifest that is meant; `None` is `manifest.json`.
    entry: Option<Descriptor>,
}

/// An image that a list of it lists.
struct Listed<'a> {
    blobs: &'a Blobs,
    entry: Descriptor,
}

impl Blobs {
    fn manifest(&self, entry: &Descriptor) -> Result<Fetched> {
        let name = match self.form {
            Form::Layout => read::blob(&entry.digest),
            Form::Dir => format!("{}.manifest.json", entry.digest.hex()),
        };
        let bytes = self.members.read_blob(&name, &entry.digest, entry.size, manifest::LIMIT)?;
        let (document, media_type) = manifest::parse(&bytes, Some(&entry.media_type))?;
        Ok(Fetched { bytes, media_type, digest: entry.digest.clone(), document })
    }

    fn open(&self, blob: &Descriptor) -> Result<Bytes> {
        let name = match self.form {
            Form::Layout => read::blob(&blob.digest),
            Form::Dir => blob.digest.hex().to_owned(),
        };
        let (reader, size) = self.members.open(&name)?;
        if size != blob.size {
            bail!("`{name}` has {size} bytes instead of {}", blob.size);
        }
        Ok(Box::new(Verified::new(reader, &blob.digest)))
    }
}

impl Source for Blobs {
    fn top(&self) -> Result<Fetched> {
        if let Some(entry) = &self.entry {
            return self.manifest(entry);
        }
        let bytes = self.members.read("manifest.json", manifest::LIMIT)?;
        let (document, media_type) = manifest::parse(&bytes, None)?;
        Ok(Fetched { digest: Digest::of(&bytes), bytes, media_type, document })
    }

    fn instance(&self, entry: &Descriptor) -> Result<Box<dyn Source + '_>> {
        Ok(Box::new(Listed { blobs: self, entry: entry.clone() }))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Bytes> {
        self.open(blob)
    }
}

impl Source for Listed<'_> {
    fn top(&self) -> Result<Fetched> {
        self.blobs.manifest(&self.entry)
    }

    fn instance(&self, entry: &Descriptor) -> Result<Box<dyn Source + '_>> {
        self.blobs.instance(entry)
    }

    fn blob(&self, blob: &Descriptor) -> Result<Bytes> {
        self.blobs.open(blob)
    }
}

/// What `docker save` wrote: layers without digests of their own, so that they are known by their diff ids.
struct Saved {
    members: Members,
    config: Vec<u8>,
    manifest: Vec<u8>,
    /// Diff id to member.
    layers: HashMap<Digest, String>,
}

impl Saved {
    fn open(members: Members, which: &Which) -> Result<Saved> {
        let mut found = read::docker_images(&members)?;
        let at = match which {
            Which::At(at) if *at < found.len() => *at,
            Which::At(at) => {
                return Err(fail(Kind::NotFound, format!("the archive has no image number {at}")));
            }
            Which::Any if found.len() == 1 => 0,
            Which::Any => {
                let names = found.iter().flat_map(|found| found.names.iter().map(Reference::full));
                return Err(read::several(names.collect()));
            }
            Which::Named(name) => {
                let has = |found: &Found| found.names.iter().any(|own| own.full() == *name);
                found.iter().position(has).with_context(|| format!("the archive has no image `{name}`"))?
            }
        };
        let image = found.swap_remove(at);
        let blobs = image.layers.iter().map(|part| {
            Ok(manifests::Blob {
                digest: part.diff_id.clone(),
                size: plain_size(&members, &part.member)?,
                gzip: false,
            })
        });
        let blobs = blobs.collect::<Result<Vec<_>>>()?;
        let manifest = manifests::write(manifests::Kind::Docker, &image.config, &blobs)?;
        let layers = image.layers.into_iter().map(|part| (part.diff_id, part.member)).collect();
        Ok(Saved { config: image.config, manifest, layers, members })
    }
}

/// The size of a layer once it is unpacked: most archives hold them so.
fn plain_size(members: &Members, name: &str) -> Result<u64> {
    let (reader, size) = members.open(name)?;
    let (compression, mut plain) = codec::decoder_any(reader)?;
    if compression == Compression::None {
        return Ok(size);
    }
    io::copy(&mut plain, &mut io::sink()).with_context(|| format!("unpack `{name}`"))
}

impl Source for Saved {
    fn top(&self) -> Result<Fetched> {
        let (document, media_type) = manifest::parse(&self.manifest, Some(manifest::DOCKER_MANIFEST))?;
        let digest = Digest::of(&self.manifest);
        Ok(Fetched { bytes: self.manifest.clone(), media_type, digest, document })
    }

    fn instance(&self, _: &Descriptor) -> Result<Box<dyn Source + '_>> {
        bail!("a docker-archive holds no lists of images")
    }

    fn blob(&self, blob: &Descriptor) -> Result<Bytes> {
        if blob.digest == Digest::of(&self.config) {
            return Ok(Box::new(io::Cursor::new(self.config.clone())));
        }
        let member = self.layers.get(&blob.digest);
        let member = member.with_context(|| format!("the archive has no layer `{}`", blob.digest))?;
        let (_, plain) = codec::decoder_any(self.members.open(member)?.0)?;
        Ok(Box::new(Verified::new(plain, &blob.digest)))
    }
}
