//! The manifest of a pushed image: the image's own, byte for byte, where it says what was sent, else a new one.

use serde_json::{Value, json};

use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::image::Image;
use crate::layer::codec::Compression;
use crate::registry::Reference;
use crate::registry::manifest::{self, Document, ImageManifest};

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// `oci`
    Oci,
    /// `v2s2`
    Docker,
}

impl ManifestFormat {
    /// The media type of a manifest.
    pub fn manifest(self) -> &'static str {
        match self {
            ManifestFormat::Oci => manifest::OCI_MANIFEST,
            ManifestFormat::Docker => manifest::DOCKER_MANIFEST,
        }
    }

    /// The media type of a configuration.
    pub fn config(self) -> &'static str {
        match self {
            ManifestFormat::Oci => manifest::OCI_CONFIG,
            ManifestFormat::Docker => manifest::DOCKER_CONFIG,
        }
    }

    /// The media type of a layer.
    pub fn layer(self, compression: Compression) -> Result<&'static str> {
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

/// A layer as it is in the registry now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) compression: Compression,
}

/// The compression that a media type tells.
pub(in crate::ops::image) fn compression_of(media_type: &str) -> Compression {
    match media_type {
        text if text.ends_with("gzip") => Compression::Gzip,
        text if text.ends_with("zstd") => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The manifest for what was sent, and its media type. A destination by digest takes the manifest of that digest only.
pub(super) fn manifest(
    image: &Image,
    to: &Reference,
    sent: &[Sent],
    format: Option<ManifestFormat>,
) -> Result<(Vec<u8>, String)> {
    let known = own(image)?;
    let fitting = |one: &&Own| {
        let document = &one.document;
        let layers =
            document.layers.iter().map(|layer| &layer.digest).eq(sent.iter().map(|sent| &sent.digest));
        layers && document.config.digest == image.id && format.is_none_or(|f| f.manifest() == one.media_type)
    };
    let pinned = |one: &&Own| to.digest.as_ref().is_none_or(|digest| *digest == one.digest);
    if let Some(one) = known.iter().filter(fitting).find(pinned) {
        return Ok((one.bytes.clone(), one.media_type.clone()));
    }
    if let Some(digest) = &to.digest {
        return Err(fail(
            Kind::Failed,
            format!("the image has no manifest with digest `{digest}` that fits"),
        )
        .hint("push it by a tag"));
    }
    written(image, known.first(), sent, format)
}

/// A manifest by which the image was had.
struct Own {
    bytes: Vec<u8>,
    digest: Digest,
    media_type: String,
    document: ImageManifest,
}

/// All of them, the first one first.
fn own(image: &Image) -> Result<Vec<Own>> {
    let mut all = Vec::new();
    let further = image.known_digests.iter().filter(|digest| **digest != image.manifest_digest);
    for digest in std::iter::once(&image.manifest_digest).chain(further) {
        // Of indexes only the digest is known.
        let Some(bytes) = image.manifest_by(digest)? else { continue };
        if let (Document::Image(document), media_type) = manifest::parse(&bytes, None)? {
            all.push(Own { bytes, digest: digest.clone(), media_type, document: *document });
        }
    }
    Ok(all)
}

fn written(
    image: &Image,
    first: Option<&Own>,
    sent: &[Sent],
    format: Option<ManifestFormat>,
) -> Result<(Vec<u8>, String)> {
    let docker = first.is_some_and(|own| own.media_type == manifest::DOCKER_MANIFEST)
        && sent.iter().all(|sent| sent.compression != Compression::Zstd);
    let format = format.unwrap_or(if docker { ManifestFormat::Docker } else { ManifestFormat::Oci });
    let layers = sent.iter().map(|sent| {
        Ok(json!({"mediaType": format.layer(sent.compression)?, "digest": sent.digest, "size": sent.size}))
    });
    let size = image.config_bytes()?.len();
    let mut value = json!({
        "schemaVersion": 2,
        "mediaType": format.manifest(),
        "config": {"mediaType": format.config(), "digest": image.id, "size": size},
        "layers": layers.collect::<Result<Vec<Value>>>()?,
    });
    // Docker's form has no place for them.
    if let (ManifestFormat::Oci, Some(own)) =
        (format, first.filter(|own| !own.document.annotations.is_empty()))
    {
        value["annotations"] = json!(own.document.annotations);
    }
    let bytes = serde_json::to_vec(&value).context("encode the manifest")?;
    Ok((bytes, format.manifest().to_owned()))
}
