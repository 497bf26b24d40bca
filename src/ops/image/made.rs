//! Images that are made here: `commit` and `import`.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use serde_json::json;

use super::change;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Result, bail};
use crate::base::fs;
use crate::base::time;
use crate::image::config::{Config, History, Settings};
use crate::image::{Committed, NewImage};
use crate::layer::{LayerInfo, codec};
use crate::ops::context::Context;
use crate::ops::events;
use crate::registry::manifest::{DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST};
use crate::registry::{Client, ClientOptions, Platform, Reference};

/// What is said about a new image.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// `--author`
    pub author: String,
    /// `--message`
    pub message: String,
    /// `--config`: what the image shall run, before the changes.
    pub settings: Option<Settings>,
    /// `--change`
    pub changes: Vec<String>,
    /// The names it gets.
    pub names: Vec<Reference>,
    /// What history says made it.
    pub created_by: String,
    /// Docker's form of the manifest in place of OCI's.
    pub docker: bool,
}

/// Adds a layer to a configuration and commits the image. Whoever calls holds the layer store's lock, shared, since
/// before the layer was made.
pub fn commit(context: &Context, mut config: Config, layer: &LayerInfo, about: &About) -> Result<Committed> {
    if let Some(settings) = &about.settings {
        change::merge(&mut config.config, settings.clone());
    }
    for text in &about.changes {
        change::apply(&mut config.config, text).with_context(|| format!("apply `--change {text}`"))?;
    }
    let now = time::rfc3339(time::now());
    config.created = Some(now.clone());
    if !about.author.is_empty() {
        config.author.clone_from(&about.author);
    }
    config.rootfs.diff_ids.push(layer.diff_id.clone());
    config.history.push(History {
        created: Some(now),
        created_by: about.created_by.clone(),
        author: about.author.clone(),
        comment: about.message.clone(),
        ..History::default()
    });
    let new = assemble(context, &config, about.docker, &BTreeMap::new())?;
    context.images().commit(&NewImage { names: about.names.clone(), ..new })
}

/// An image of this configuration and its layers, which are in the store, ready to be committed; it has no names.
pub fn assemble(
    context: &Context,
    config: &Config,
    docker: bool,
    annotations: &BTreeMap<String, String>,
) -> Result<NewImage> {
    let bytes = serde_json::to_vec(config).context("encode the image's configuration")?;
    let layers = context.layers()?;
    let infos = config.rootfs.diff_ids.iter().map(|id| layers.info(id)).collect::<Result<Vec<_>>>()?;
    let (manifest_type, config_type, layer_type) = match docker {
        true => (DOCKER_MANIFEST, DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar"),
        false => (OCI_MANIFEST, OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar"),
    };
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": {"mediaType": config_type, "digest": Digest::of(&bytes), "size": bytes.len()},
        "layers": infos.iter().map(|info| json!({
            "mediaType": layer_type, "digest": info.diff_id, "size": info.tar_size,
        })).collect::<Vec<_>>(),
    });
    if !annotations.is_empty() {
        manifest["annotations"] = json!(annotations);
    }
    Ok(NewImage {
        config: bytes,
        manifest: serde_json::to_vec(&manifest).context("encode the image's manifest")?,
        manifest_type: manifest_type.to_owned(),
        size: infos.iter().map(|info| info.size).sum(),
        names: Vec::new(),
        digests: Vec::new(),
    })
}

/// Where the archive of `import` comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// A file.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// An http or https URL.
    Url(String),
}

impl ImportSource {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        Ok(match self {
            ImportSource::Path(path) => Box::new(fs::open(path)?),
            ImportSource::Stdin => Box::new(std::io::stdin()),
            ImportSource::Url(url) => {
                let client = Client::new(ClientOptions::default());
                client.download(url, None)?.context("an answer without a file")?.body
            }
        })
    }
}

/// `import`: an image of one layer, from the archive of a file system, compressed or not.
pub fn import(
    context: &Context,
    source: &ImportSource,
    platform: &Platform,
    about: &About,
) -> Result<Digest> {
    context.enter_stage()?;
    let layers = context.layers()?;
    let mut config = Config {
        architecture: platform.arch.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone().unwrap_or_default(),
        ..Config::default()
    };
    // Said before the work: a wrong instruction must not cost an import.
    about.changes.iter().try_for_each(|text| {
        change::apply(&mut config.config.clone(), text).with_context(|| format!("apply `--change {text}`"))
    })?;
    config.comment.clone_from(&about.message);
    let (_, mut tar) = codec::decoder_any(source.open()?)?;
    let layer = layers.unpack_new(&mut tar, &|_| {}).context("unpack the archive")?;
    // Not before: no lock is held while an archive comes over the network or from another program.
    let _lock = layers.lock_shared()?;
    if !layers.has(&layer.diff_id) {
        bail!("the layer was removed again by a prune at the same moment");
    }
    let created_by = format!("/bin/sh -c #(nop) ADD file:{} in /", layer.diff_id.hex());
    let id = commit(context, config, &layer, &About { created_by, ..about.clone() })?.id;
    events::image(context, &context.images().get(&id)?, None, "import");
    Ok(id)
}
