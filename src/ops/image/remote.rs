//! `image inspect` of an image that is not in the store: Skopeo's keys.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PullOptions;
use super::place::{self, Source};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Result, bail};
use crate::image::Config;
use crate::image::transport::Transport;
use crate::ops::context::Context;
use crate::registry::Platform;
use crate::registry::manifest::{Descriptor, Document, ImageManifest};

/// How deep lists may stand in lists.
const NESTING: usize = 4;

/// One image, with Skopeo's keys.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Skopeo's")]
pub struct RemoteInspect {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub digest: Digest,
    pub repo_tags: Vec<String>,
    pub created: Option<String>,
    pub docker_version: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    pub os: String,
    pub layers: Vec<Digest>,
    pub layers_data: Vec<LayerData>,
    pub env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
}

/// One layer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Skopeo's")]
pub struct LayerData {
    #[serde(rename = "MIMEType")]
    pub mime_type: String,
    pub digest: Digest,
    pub size: u64,
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Whether a name has a transport in front.
pub fn is_remote(text: &str) -> Result<bool> {
    Transport::parse(text).map(|place| place.is_some())
}

/// Describes an image; with `tags`, the tags of its repository too.
pub fn inspect(context: &Context, text: &str, reach: &PullOptions, tags: bool) -> Result<RemoteInspect> {
    let what = || format!("inspect `{text}`");
    let place = place::parse(text)?;
    let source = place::source(context, &place, reach).with_context(what)?;
    let top = source.top().with_context(what)?;
    let (image, config) = with_image(&*source, reach, &|source, image| {
        let config = Config::parse(&source.small(&image.config)?)?;
        Ok((image.clone(), config))
    })
    .with_context(what)?;
    let repo_tags = if tags { source.tags().with_context(what)?.unwrap_or_default() } else { Vec::new() };
    let name = match &place {
        Transport::Registry(name) => name.name(),
        _ => String::new(),
    };
    let version = config.extra.get("docker_version").and_then(|text| text.as_str()).unwrap_or_default();
    Ok(RemoteInspect {
        name,
        digest: top.digest,
        repo_tags,
        created: config.created.clone(),
        docker_version: version.to_owned(),
        labels: Some(config.config.labels).filter(|labels| !labels.is_empty()),
        architecture: config.architecture,
        variant: config.variant,
        os: config.os,
        layers: image.layers.iter().map(|layer| layer.digest.clone()).collect(),
        layers_data: image.layers.iter().map(layer).collect(),
        env: Some(config.config.env).filter(|env| !env.is_empty()),
        author: config.author,
    })
}

fn layer(layer: &Descriptor) -> LayerData {
    LayerData {
        mime_type: layer.media_type.clone(),
        digest: layer.digest.clone(),
        size: layer.size,
        annotations: Some(layer.annotations.clone()).filter(|all| !all.is_empty()),
    }
}

/// `--raw`: the manifest or list, byte for byte.
pub fn raw_manifest(context: &Context, text: &str, reach: &PullOptions) -> Result<Vec<u8>> {
    let place = place::parse(text)?;
    if let Transport::Store(name) = &place {
        // As it was had, not as it would be written.
        return super::find_or_install(context, name)?.manifest_bytes();
    }
    let source = place::source(context, &place, reach);
    source.and_then(|source| Ok(source.top()?.bytes)).with_context(|| format!("inspect `{text}`"))
}

/// `--config`: the configuration, byte for byte.
pub fn raw_config(context: &Context, text: &str, reach: &PullOptions) -> Result<Vec<u8>> {
    let source = place::source(context, &place::parse(text)?, reach);
    source
        .and_then(|source| with_image(&*source, reach, &|source, image| source.small(&image.config)))
        .with_context(|| format!("inspect `{text}`"))
}

/// Goes through lists to the image of the platform.
fn with_image<T>(
    source: &dyn Source,
    reach: &PullOptions,
    act: &dyn Fn(&dyn Source, &ImageManifest) -> Result<T>,
) -> Result<T> {
    let platform = reach.platform.clone().unwrap_or_else(Platform::host);
    descend(source, &platform, act, 0)
}

fn descend<T>(
    source: &dyn Source,
    platform: &Platform,
    act: &dyn Fn(&dyn Source, &ImageManifest) -> Result<T>,
    depth: usize,
) -> Result<T> {
    if depth > NESTING {
        bail!("lists of images are nested deeper than {NESTING}");
    }
    match source.top()?.document {
        Document::Image(image) => act(source, &image),
        Document::Index(index) => {
            descend(&*source.instance(index.choose(platform)?)?, platform, act, depth + 1)
        }
    }
}
