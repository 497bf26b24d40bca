//! `image inspect`: Podman's keys.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{ancestry, find_or_install, lists};
use crate::base::digest::Digest;
use crate::base::error::{Explain, Kind, Result, fail};
use crate::image::Image;
use crate::image::config::{Healthcheck, History, Settings};
use crate::ops::context::Context;
use crate::registry::Platform;

/// One image, with Podman's keys.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Inspect {
    pub id: String,
    pub digest: Digest,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    pub created: String,
    pub config: Settings,
    pub version: String,
    pub author: String,
    pub architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    pub os: String,
    pub size: u64,
    pub virtual_size: u64,
    pub graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub labels: Option<BTreeMap<String, String>>,
    pub annotations: BTreeMap<String, String>,
    pub manifest_type: String,
    pub user: String,
    pub history: Vec<History>,
    pub names_history: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
}

/// Where the layers lie.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct GraphDriver {
    pub name: String,
    pub data: BTreeMap<String, String>,
}

/// The layers.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct RootFs {
    pub r#type: String,
    pub layers: Vec<Digest>,
}

/// Everything about an image.
pub fn inspect(context: &Context, text: &str) -> Result<Inspect> {
    let image = match find_or_install(context, text)? {
        list if list.is_list() => here(context, &list)?,
        image => image,
    };
    let config = image.config()?.clone();
    let all = context.images().list()?.images;
    let parent = ancestry::parent_id(&image, &all);
    let version = config.extra.get("docker_version").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Inspect {
        id: image.id.hex().to_owned(),
        digest: image.manifest_digest.clone(),
        repo_tags: image.tags().map(str::to_owned).collect(),
        repo_digests: image.digests.clone(),
        parent: parent.map(|parent| parent.hex().to_owned()).unwrap_or_default(),
        comment: comment(&config),
        created: config.created.clone().unwrap_or_default(),
        version,
        author: config.author.clone(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        size: image.size,
        virtual_size: image.size,
        graph_driver: graph_driver(context, &image.layers)?,
        root_fs: RootFs { r#type: "layers".into(), layers: image.layers.clone() },
        labels: Some(config.config.labels.clone()).filter(|labels| !labels.is_empty()),
        annotations: annotations(&image.manifest_bytes()?),
        manifest_type: image.manifest_type.clone(),
        user: config.config.user.clone(),
        history: config.history.clone(),
        names_history: image.names.clone(),
        healthcheck: config.config.healthcheck.clone(),
        config: config.config,
    })
}

/// The image of a list that runs on this machine.
fn here(context: &Context, list: &Image) -> Result<Image> {
    lists::instance_here(context, list, &Platform::host())?.ok_or_else(|| {
        fail(Kind::NotFound, format!("the list `{}` has no image for this machine in the store", list.id))
            .hint("`manifest inspect` shows the list itself")
    })
}

/// The store's driver and where the layers' trees lie, as overlay names them: the top one is `UpperDir`.
fn graph_driver(context: &Context, layers: &[Digest]) -> Result<GraphDriver> {
    let store = context.layers()?;
    let dirs: Vec<String> =
        layers.iter().rev().map(|layer| store.diff_dir(layer).display().to_string()).collect();
    let mut data = BTreeMap::new();
    if let Some((top, below)) = dirs.split_first() {
        data.insert("UpperDir".to_owned(), top.clone());
        if !below.is_empty() {
            data.insert("LowerDir".to_owned(), below.join(":"));
        }
    }
    Ok(GraphDriver { name: store.driver()?.name().to_owned(), data })
}

/// The comment of the image, or of its last step.
fn comment(config: &crate::image::Config) -> String {
    let last = config.history.last().map(|step| step.comment.clone());
    if config.comment.is_empty() { last.unwrap_or_default() } else { config.comment.clone() }
}

fn annotations(manifest: &[u8]) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Annotated {
        annotations: Option<BTreeMap<String, String>>,
    }
    serde_json::from_slice::<Annotated>(manifest).ok().and_then(|m| m.annotations).unwrap_or_default()
}
