//! What images an archive holds, whatever its form; everything that it says is checked before it is used.

use serde::Deserialize;

use super::Format;
use super::members::{Members, clean};
use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Kind, Result, anyhow, bail, fail};
use crate::base::text::printable;
use crate::image::Config;
use crate::image::config::LIMIT as CONFIG_LIMIT;
use crate::image::transport::Which;
use crate::registry::manifest::{self, Descriptor, Document, ImageManifest};
use crate::registry::reference::is_short_name;
use crate::registry::{Platform, Reference};

/// `manifest.json` of a docker-archive.
const LIST_LIMIT: u64 = 1 << 20;
/// How deep indexes may stand in indexes.
const NESTING: usize = 4;
/// Annotations that name an image of an OCI layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image of an archive.
#[derive(Debug)]
pub struct Found {
    /// The configuration's exact bytes.
    pub config: Vec<u8>,
    /// The manifest's exact bytes and media type; a docker-archive has none.
    pub manifest: Option<(Vec<u8>, String)>,
    /// Names that the archive gives it.
    pub names: Vec<Reference>,
    /// Digests of indexes on the way to it.
    pub digests: Vec<Digest>,
    /// Its layers, lowest first.
    pub layers: Vec<Part>,
}

/// A layer of an archive.
#[derive(Debug, Clone)]
pub struct Part {
    /// The member that holds it.
    pub member: String,
    /// What it must unpack to.
    pub diff_id: Digest,
    /// What the member must be, as far as the archive says.
    pub blob: Option<Descriptor>,
}

/// One entry of a docker-archive's `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Finds the images. An archive with a `manifest.json` list is a docker-archive, also when it has an index beside it.
pub fn images(members: &Members, platform: &Platform) -> Result<Vec<Found>> {
    if members.has("manifest.json") {
        let bytes = members.read("manifest.json", manifest::LIMIT)?;
        return match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => docker(members, &bytes),
            _ => dir(members, &bytes, platform).map(|found| vec![found]),
        };
    }
    if members.has("index.json") {
        return layout(members, platform);
    }
    let error = anyhow!("neither `manifest.json` nor `index.json` is in it: this is no archive of images");
    Err(if members.has("repositories") {
        error.hint("it was written by a Docker before 1.10; load and save it again with a newer one")
    } else {
        error.hint("a tar of a file system becomes an image by `import`")
    })
}

/// The form of an archive or directory, as [`images`] reads it.
pub fn form(members: &Members) -> Result<Format> {
    let directory = matches!(members, Members::Dir(_));
    if !members.has("manifest.json") {
        return Ok(if directory { Format::OciDir } else { Format::OciArchive });
    }
    let bytes = members.read("manifest.json", manifest::LIMIT)?;
    let list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    Ok(if list { Format::DockerArchive } else { Format::DockerDir })
}

/// The images of a docker-archive, in order.
pub fn docker_images(members: &Members) -> Result<Vec<Found>> {
    docker(members, &members.read("manifest.json", LIST_LIMIT)?)
}

fn docker(members: &Members, bytes: &[u8]) -> Result<Vec<Found>> {
    if bytes.len() as u64 > LIST_LIMIT {
        bail!("`manifest.json` of the archive is larger than the limit of {LIST_LIMIT} bytes");
    }
    let list: Vec<Saved> = serde_json::from_slice(bytes).context("parse `manifest.json` of the archive")?;
    if list.is_empty() {
        bail!("the archive holds no image");
    }
    list.into_iter().map(|saved| docker_image(members, saved)).collect()
}

fn docker_image(members: &Members, saved: Saved) -> Result<Found> {
    let config = members.read(&member_name(&saved.config)?, CONFIG_LIMIT)?;
    let parsed = Config::parse(&config)?;
    let files = saved.layers.unwrap_or_default();
    let diff_ids = pair(&parsed, files.len())?;
    let layers = files
        .iter()
        .zip(diff_ids)
        .map(|(file, diff_id)| Ok(Part { member: member_name(file)?, diff_id: diff_id.clone(), blob: None }))
        .collect::<Result<_>>()?;
    let names = saved.repo_tags.unwrap_or_default();
    let names = names.iter().map(|name| Reference::parse(name).map(Reference::or_latest));
    let names = names.collect::<Result<_>>().context("read the names in the archive")?;
    Ok(Found { config, manifest: None, names, digests: Vec::new(), layers })
}

/// A path in `manifest.json` names a member of the archive and nothing else.
fn member_name(text: &str) -> Result<String> {
    match clean(text) {
        Some(name) if !text.starts_with('/') && !name.is_empty() => Ok(name),
        _ => bail!("`{}` in `manifest.json` is no member of the archive", printable(text)),
    }
}

/// An OCI image layout.
fn layout(members: &Members, platform: &Platform) -> Result<Vec<Found>> {
    let index = layout_index(members)?;
    // Attestations and signatures stand beside images; what has no image's type is not one.
    let is_image = |entry: &&Descriptor| {
        manifest::ACCEPTED.contains(&entry.media_type.as_str())
            && entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
    };
    let found: Vec<Found> = index
        .manifests
        .iter()
        .filter(is_image)
        .map(|entry| listed(members, entry, platform))
        .collect::<Result<_>>()?;
    if found.is_empty() {
        bail!("the archive holds no image");
    }
    Ok(merge(found))
}

/// One image under several names stands several times in the index.
fn merge(found: Vec<Found>) -> Vec<Found> {
    let mut merged: Vec<Found> = Vec::new();
    for image in found {
        match merged.iter_mut().find(|known| known.config == image.config && known.manifest == image.manifest)
        {
            Some(known) => known.names.extend(image.names),
            None => merged.push(image),
        }
    }
    merged
}

fn listed(members: &Members, entry: &Descriptor, platform: &Platform) -> Result<Found> {
    let (mut current, mut digests) = (entry.clone(), Vec::new());
    for _ in 0..NESTING {
        let bytes =
            members.read_blob(&blob(&current.digest), &current.digest, current.size, manifest::LIMIT)?;
        match manifest::parse(&bytes, Some(&current.media_type))? {
            (Document::Index(index), _) => {
                digests.push(current.digest.clone());
                current = index.choose(platform)?.clone();
            }
            (Document::Image(image), media_type) => {
                let name = |digest: &Digest| blob(digest);
                let mut found = described(members, bytes, media_type, &image, &name)?;
                found.names = annotated_name(entry)?.into_iter().collect();
                found.digests = digests;
                return Ok(found);
            }
        }
    }
    bail!("indexes of the archive are nested deeper than {NESTING}")
}

/// The entry of an OCI image layout that is meant.
pub fn entry(members: &Members, which: &Which) -> Result<Descriptor> {
    let mut entries = layout_index(members)?.manifests;
    let name = |entry: &Descriptor| entry.annotations.get(REF_NAME).cloned();
    let at = match which {
        Which::At(at) => *at,
        Which::Any if entries.len() == 1 => 0,
        Which::Any => return Err(several(entries.iter().filter_map(name).collect())),
        Which::Named(wanted) => {
            let has = |entry: &Descriptor| name(entry).as_ref() == Some(wanted);
            entries.iter().position(has).unwrap_or(usize::MAX)
        }
    };
    if at >= entries.len() {
        let what = match which {
            Which::Named(name) => format!("no image `{name}`"),
            _ => format!("no image number {at}"),
        };
        return Err(fail(Kind::NotFound, format!("{what} is in the layout")));
    }
    Ok(entries.swap_remove(at))
}

/// The error of who must choose.
pub fn several(names: Vec<String>) -> crate::base::error::Error {
    if names.is_empty() {
        return anyhow!("it holds several images, or none; `:@0` means the first");
    }
    anyhow!("it holds several images").hint(format!("say which: {}", names.join(", ")))
}

fn layout_index(members: &Members) -> Result<manifest::Index> {
    let bytes = members.read("index.json", manifest::LIMIT)?;
    match manifest::parse(&bytes, Some(manifest::OCI_INDEX))? {
        (Document::Index(index), _) => Ok(index),
        _ => bail!("`index.json` is no index"),
    }
}

/// The member of an image layout that holds a blob. The digest's syntax was checked when it was parsed (CVE-2024-3727).
pub fn blob(digest: &Digest) -> String {
    format!("blobs/{}", digest.as_str().replacen(':', "/", 1))
}

/// `quay.io/a/b:c` whole, or a bare word, which is a name of this machine.
fn annotated_name(entry: &Descriptor) -> Result<Option<Reference>> {
    let annotation = |key: &str| entry.annotations.get(key).filter(|text| !text.is_empty());
    let Some(text) = annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME)) else { return Ok(None) };
    let name =
        if is_short_name(text) { Reference::parse_on(text, "localhost") } else { Reference::parse(text) };
    name.map(|name| Some(name.or_latest())).context("read the names in the archive")
}

/// Skopeo's `dir:`.
fn dir(members: &Members, bytes: &[u8], platform: &Platform) -> Result<Found> {
    let name = |digest: &Digest| digest.hex().to_owned();
    match manifest::parse(bytes, None)? {
        (Document::Image(image), media_type) => described(members, bytes.to_vec(), media_type, &image, &name),
        (Document::Index(index), _) => {
            let entry = index.choose(platform)?;
            let file = format!("{}.manifest.json", entry.digest.hex());
            let bytes = members.read_blob(&file, &entry.digest, entry.size, manifest::LIMIT)?;
            match manifest::parse(&bytes, Some(&entry.media_type))? {
                (Document::Image(image), kind) => described(members, bytes, kind, &image, &name),
                _ => bail!("the index of the directory lists another index"),
            }
        }
    }
}

/// An image with a manifest.
fn described(
    members: &Members,
    bytes: Vec<u8>,
    media_type: String,
    image: &ImageManifest,
    name: &dyn Fn(&Digest) -> String,
) -> Result<Found> {
    check_types(image)?;
    let wanted = &image.config;
    let config = members.read_blob(&name(&wanted.digest), &wanted.digest, wanted.size, CONFIG_LIMIT)?;
    let parsed = Config::parse(&config)?;
    let diff_ids = pair(&parsed, image.layers.len())?;
    let part = |(layer, diff_id): (&Descriptor, &Digest)| Part {
        member: name(&layer.digest),
        diff_id: diff_id.clone(),
        blob: Some(layer.clone()),
    };
    let layers = image.layers.iter().zip(diff_ids).map(part).collect();
    Ok(Found { config, manifest: Some((bytes, media_type)), names: Vec::new(), digests: Vec::new(), layers })
}

/// As many layers as the configuration has diff ids.
pub fn pair(config: &Config, layers: usize) -> Result<&[Digest]> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != layers {
        bail!("the image has {layers} layers, but its configuration speaks of {}", diff_ids.len());
    }
    Ok(diff_ids)
}

/// Refuses what is no image of layers that can be had here.
pub fn check_types(image: &ImageManifest) -> Result<()> {
    let config = image.config.media_type.as_str();
    if !matches!(config, manifest::OCI_CONFIG | manifest::DOCKER_CONFIG) {
        return Err(anyhow!("it is an artifact of type `{}`, not an image", printable(config)));
    }
    for layer in &image.layers {
        let kind = layer.media_type.as_str();
        if kind.contains("foreign") || kind.contains("nondistributable") {
            return Err(anyhow!("layer `{}` is a foreign layer, which registries do not hold", layer.digest)
                .hint("such images (Windows) cannot run on Linux"));
        }
        if kind.ends_with("+encrypted") {
            bail!("layer `{}` is encrypted", layer.digest);
        }
        let known = kind.starts_with("application/vnd.oci.image.layer.v1.tar")
            || kind.starts_with("application/vnd.docker.image.rootfs.diff.tar");
        if !known {
            bail!("layer `{}` is of unknown type `{}`", layer.digest, printable(kind));
        }
    }
    Ok(())
}
