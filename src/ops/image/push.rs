//! `push`: an image into a registry, with as little sending as possible.
//!
//! A layer is sent in a form that the registry has already, where one is known: the store remembers the compressed
//! forms of a layer that were seen. Otherwise it is compressed into a nameless temporary file, whose digest the store
//! then remembers, so that the next push of it sends nothing. When every layer goes in the form of the image's own
//! manifest, that manifest is pushed byte for byte.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::json;

use super::{PullOptions, find_or_install, pull};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context as _, Kind, Result, fail};
use crate::base::id;
use crate::image::Image;
use crate::layer::codec::{self, Compression};
use crate::layer::{Blob, Store};
use crate::ops::context::Context;
use crate::ops::events;
use crate::ops::progress::Progress;
use crate::registry::manifest::{self, Document};
use crate::registry::{Client, Pushed, Reference};

/// What `push` was asked for, beside how the registry is reached.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// How the registry is reached.
    pub reach: PullOptions,
    /// `--format`
    pub format: Option<ManifestFormat>,
    /// `--compression-format`
    pub compression: Option<Compression>,
    /// `--compression-level`
    pub level: Option<i32>,
    /// `--force-compression`: only forms of the asked-for compression are taken over.
    pub force: bool,
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// `oci`
    Oci,
    /// `v2s2`
    Docker,
}

impl ManifestFormat {
    fn manifest(self) -> &'static str {
        match self {
            ManifestFormat::Oci => manifest::OCI_MANIFEST,
            ManifestFormat::Docker => manifest::DOCKER_MANIFEST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            ManifestFormat::Oci => manifest::OCI_CONFIG,
            ManifestFormat::Docker => manifest::DOCKER_CONFIG,
        }
    }

    fn layer(self, compression: Compression) -> Result<&'static str> {
        Ok(match (self, compression) {
            (ManifestFormat::Oci, Compression::None) => "application/vnd.oci.image.layer.v1.tar",
            (ManifestFormat::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (ManifestFormat::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (ManifestFormat::Docker, Compression::None) => "application/vnd.docker.image.rootfs.diff.tar",
            (ManifestFormat::Docker, Compression::Gzip) => {
                "application/vnd.docker.image.rootfs.diff.tar.gzip"
            }
            _ => return Err(fail(Kind::Usage, "manifests of format `v2s2` take gzip layers only")),
        })
    }
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct PushedImage {
    /// Where to, with its tag.
    pub name: String,
    /// The manifest's digest there.
    pub digest: Digest,
}

/// Pushes an image to where its name says, or to a destination.
pub fn push(
    context: &Context,
    image: &str,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let found = find_or_install(context, image)?;
    let text = destination.unwrap_or(image);
    let (client, candidates) = pull::reach(text.strip_prefix("docker://").unwrap_or(text), &options.reach)?;
    let named = found
        .names
        .iter()
        .find(|name| destination.is_none() && candidates.iter().any(|c| c.full() == **name));
    let to = match named {
        Some(name) => Reference::parse(name)?,
        None => candidates.into_iter().next().with_context(|| format!("`{text}` names no registry"))?,
    };
    let layers = context.layers()?;
    let _lock = layers.lock_shared()?; // nobody removes the layers while they are read
    let pusher = Pusher { context, client, to, options, progress, image: &found, layers };
    let pushed = pusher.run().with_context(|| format!("push `{text}`"))?;
    events::image(context, &found, Some(text), "push");
    Ok(pushed)
}

struct Pusher<'a> {
    context: &'a Context,
    client: Client,
    to: Reference,
    options: &'a PushOptions,
    progress: &'a dyn Progress,
    image: &'a Image,
    layers: &'a Store,
}

/// A layer as it is in the registry now.
#[derive(PartialEq, Eq)]
struct Sent {
    digest: Digest,
    size: u64,
    compression: Compression,
}

impl Pusher<'_> {
    fn run(&self) -> Result<PushedImage> {
        let sent = self.image.layers.iter().map(|layer| self.layer(layer)).collect::<Result<Vec<_>>>()?;
        let config = self.image.config_bytes()?;
        let id = &self.image.id;
        self.blob("config", id, config.len() as u64, &|| Ok(Box::new(std::io::Cursor::new(config.clone()))))?;
        let (bytes, media_type) = self.manifest(&sent, config.len() as u64)?;
        self.progress.message("Writing manifest to image destination");
        let digest = self.client.push_manifest(&self.to, &bytes, &media_type)?;
        Ok(PushedImage { name: self.to.full(), digest })
    }

    fn blob(&self, what: &str, digest: &Digest, size: u64, open: &crate::registry::Open<'_>) -> Result<()> {
        let task = self.progress.start(&format!("{what} {}", id::short(digest.as_str())), Some(size));
        let outcome = match self.client.push_blob(&self.to, digest, size, &[], open)? {
            Pushed::Uploaded => "done",
            _ => "skipped: already exists",
        };
        task.done(outcome);
        Ok(())
    }

    /// Brings one layer there, in a form that is there already if possible.
    fn layer(&self, layer: &Digest) -> Result<Sent> {
        let wanted = self.options.compression.unwrap_or(Compression::Gzip);
        for blob in self.layers.info(layer)?.blobs {
            let compression = compression_of(&blob.media_type);
            let fits = compression == wanted || !self.options.force && self.options.compression.is_none();
            if !fits {
                continue;
            }
            if let Some(size) = self.client.has_blob(&self.to, &blob.digest)? {
                self.progress
                    .start(&format!("blob {}", id::short(blob.digest.as_str())), Some(size))
                    .done("skipped: already exists");
                return Ok(Sent { digest: blob.digest, size, compression });
            }
        }
        self.compress_and_send(layer, wanted)
    }

    fn compress_and_send(&self, layer: &Digest, compression: Compression) -> Result<Sent> {
        let file = nameless(&self.context.roots.tmp)?;
        let counted = Counted::new(BufWriter::with_capacity(256 << 10, &file), Algorithm::Sha256);
        let mut encoder = codec::encoder(counted, compression, self.options.level)?;
        self.layers.write_tar(layer, &mut encoder)?;
        let (mut out, digest, size) = encoder.finish()?.finish();
        out.flush().context("write a temporary file")?;
        drop(out);
        let open =
            || -> Result<Box<dyn Read + Send>> { Ok(Box::new(Again { file: file.try_clone()?, at: 0 })) };
        self.blob("blob", &digest, size, &open)?;
        let media_type = ManifestFormat::Oci.layer(compression)?.to_owned();
        self.layers.remember_blob(layer, &Blob { digest: digest.clone(), media_type, size })?;
        Ok(Sent { digest, size, compression })
    }

    /// The image's own manifest where it says what was sent, else a new one.
    fn manifest(&self, sent: &[Sent], config_size: u64) -> Result<(Vec<u8>, String)> {
        let own = self.image.manifest_bytes()?;
        let (document, media_type) = manifest::parse(&own, None)?;
        if let Document::Image(known) = &document {
            let same = known.layers.len() == sent.len()
                && known.layers.iter().zip(sent).all(|(a, b)| a.digest == b.digest)
                && known.config.digest == self.image.id;
            if same && self.options.format.is_none_or(|format| format.manifest() == media_type) {
                return Ok((own, media_type));
            }
        }
        let docker = media_type == manifest::DOCKER_MANIFEST
            && sent.iter().all(|s| s.compression != Compression::Zstd);
        let default = if docker { ManifestFormat::Docker } else { ManifestFormat::Oci };
        let format = self.options.format.unwrap_or(default);
        let layers = sent.iter().map(|s| {
            Ok(json!({"mediaType": format.layer(s.compression)?, "digest": s.digest, "size": s.size}))
        });
        let value = json!({
            "schemaVersion": 2,
            "mediaType": format.manifest(),
            "config": {"mediaType": format.config(), "digest": self.image.id, "size": config_size},
            "layers": layers.collect::<Result<Vec<_>>>()?,
        });
        let bytes = serde_json::to_vec(&value).context("encode the manifest")?;
        Ok((bytes, format.manifest().to_owned()))
    }
}

fn compression_of(media_type: &str) -> Compression {
    match media_type {
        text if text.ends_with("gzip") => Compression::Gzip,
        text if text.ends_with("zstd") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// A temporary file that nobody else can see and that ends with us.
fn nameless(dir: &Path) -> Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR);
    Ok(fd.with_context(|| format!("make a temporary file in `{}`", dir.display()))?.into())
}

/// Reads a file from its beginning without moving anybody else's position.
struct Again {
    file: File,
    at: u64,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
