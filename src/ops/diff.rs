//! `diff`: what one container, image or layer has that its base, or another one, has not.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::container::changes;
use super::context::Context;
use super::image;
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result, fail, is_not_found};
use crate::base::id;
use crate::container::store::Container;
use crate::layer::{Change, MountRequest};
use crate::sys::rootdir::RootDir;

/// Among what a name is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// Containers, then images, then layers.
    All,
    /// Containers.
    Containers,
    /// Images, then layers.
    Images,
}

/// Something with a tree of files.
enum Tree {
    Container(Box<Container>),
    /// The layers, lowest first, of an image or up to one layer.
    Layers(Vec<Digest>),
}

/// The changes of `name` against what it was made from, or against `other`; sorted by path.
pub fn diff(ops: &Context, among: Among, name: &str, other: Option<&str>) -> Result<Vec<Change>> {
    ops.enter_stage()?;
    let tree = find(ops, among, name)?;
    let Some(other) = other else { return tree.against_its_base(ops) };
    // Podman takes an image in the second place everywhere: a container is compared with what it came from.
    let other = find(ops, among, other).or_else(|error| {
        if is_not_found(&error) { find(ops, Among::All, other).map_err(|_| error) } else { Err(error) }
    })?;
    let (top, base) = (tree.mount(ops)?, other.mount(ops)?);
    let changes = ops.layers()?.diff_roots(RootDir::from_fd(top), RootDir::from_fd(base))?;
    let points: HashSet<PathBuf> = [&tree, &other].iter().flat_map(|tree| tree.mount_points()).collect();
    Ok(changes::without_mount_points(changes, &points))
}

fn find(ops: &Context, among: Among, name: &str) -> Result<Tree> {
    let mut missing: Option<Error> = None;
    let mut keep = |found: Result<Tree>| match found {
        Err(error) if is_not_found(&error) => {
            missing.get_or_insert(error);
            None
        }
        other => Some(other),
    };
    if among != Among::Images {
        let container = ops.containers()?.resolve(name);
        if let Some(found) = keep(container.map(|found| Tree::Container(Box::new(found)))) {
            return found;
        }
    }
    if among != Among::Containers {
        if let Some(found) = keep(image::find(ops, name).map(|image| Tree::Layers(image.layers))) {
            return found;
        }
        if let Some(layers) = layer(ops, name)? {
            return Ok(Tree::Layers(layers));
        }
    }
    match (among, missing) {
        (Among::All, _) | (_, None) => {
            Err(fail(Kind::NotFound, format!("no container, image or layer is called `{name}`")))
        }
        (_, Some(error)) => Err(error),
    }
}

/// A layer by the beginning of its diff id, with those below it in some image.
fn layer(ops: &Context, name: &str) -> Result<Option<Vec<Digest>>> {
    let bare = name.strip_prefix("sha256:").unwrap_or(name);
    if !id::is_prefix(bare) {
        return Ok(None);
    }
    let all = ops.layers()?.diff_ids()?;
    let fitting: Vec<&Digest> = all.iter().filter(|layer| layer.hex().starts_with(bare)).collect();
    let [layer] = fitting[..] else { return Ok(None) };
    let chains = ops.images().list()?.images.into_iter().map(|image| image.layers);
    let up_to = |layers: Vec<Digest>| {
        let at = layers.iter().position(|one| one == layer)?;
        Some(layers[..=at].to_vec())
    };
    Ok(Some(chains.into_iter().find_map(up_to).unwrap_or_else(|| vec![layer.clone()])))
}

impl Tree {
    fn against_its_base(&self, ops: &Context) -> Result<Vec<Change>> {
        match self {
            Tree::Container(container) => changes::diff(ops, container),
            Tree::Layers(layers) => ops.layers()?.diff_layers(layers),
        }
    }

    /// All its files as a detached, read-only mount.
    fn mount(&self, ops: &Context) -> Result<OwnedFd> {
        match self {
            Tree::Container(container) => changes::mount(ops, container),
            Tree::Layers(layers) => ops.layers()?.mount(&MountRequest { layers, ..MountRequest::default() }),
        }
    }

    fn mount_points(&self) -> HashSet<PathBuf> {
        match self {
            Tree::Container(container) => changes::mount_points(container),
            Tree::Layers(_) => HashSet::new(),
        }
    }
}
