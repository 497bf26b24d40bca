//! `push`: an image into a registry, or into files.
//!
//! ```text
//! send       layers and configuration into a registry, with as little sending as possible
//! compress   a layer compressed while it is read
//! manifest   the manifest of what was sent
//! files      dir:, oci:, oci-archive:, docker-archive:
//! ```

mod compress;
mod files;
mod manifest;
mod send;

use super::{CopyOptions, Instances, PullOptions, find_or_install, lists, pull};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, fail};
use crate::image::Image;
use crate::image::transport::Transport;
use crate::layer::codec::Compression;
use crate::ops::context::Context;
use crate::ops::events;
use crate::ops::progress::Progress;
use crate::registry::{Client, Reference};

pub use manifest::ManifestFormat;
pub(super) use manifest::compression_of;

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
    /// `--force-compression`: only forms of the asked-for compression are taken over; so it is when one is asked for.
    pub force: bool,
    /// `--compress`: layers of `dir:` with gzip.
    pub compress: bool,
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct PushedImage {
    /// Where to.
    pub name: String,
    /// The manifest's digest there; a docker-archive has none.
    pub digest: Option<Digest>,
}

/// Pushes an image to where its name says, or to a destination.
pub fn push(
    context: &Context,
    image: &str,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    check(options)?;
    let found = find_or_install(context, image.strip_prefix("containers-storage:").unwrap_or(image))?;
    if found.is_list() {
        return push_list(context, image, destination, options, progress);
    }
    let text = destination.unwrap_or(image);
    let pushed = push_one(context, image, &found, destination, options, progress);
    let pushed = pushed.with_context(|| format!("push `{text}`"))?;
    events::image(context, &found, Some(text), "push");
    Ok(pushed)
}

fn push_one(
    context: &Context,
    image: &str,
    found: &Image,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let text = destination.unwrap_or(image);
    match Transport::parse(text)? {
        None => {
            let (client, to) = target(found, text, destination.is_none(), options)?;
            send::push(context, found, client, to, options, progress)
        }
        Some(Transport::Registry(to)) => {
            let (client, _) = pull::reach(&to.full(), &options.reach)?;
            send::push(context, found, client, to, options, progress)
        }
        Some(place) => files::push(context, image, found.clone(), &place, options, progress),
    }
}

/// A list goes with all its images.
fn push_list(
    context: &Context,
    list: &str,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let copy = CopyOptions {
        from: options.reach.clone(),
        to: options.reach.clone(),
        instances: Instances::All,
        format: options.format,
        compression: options.compression,
        level: options.level,
        force: options.force,
        preserve: false,
    };
    let digest = lists::push(context, list, destination, &copy, progress)?;
    Ok(PushedImage { name: destination.unwrap_or(list).to_owned(), digest: Some(digest) })
}

/// Pushes every tag that the store has of a repository (`--all-tags`).
pub fn push_all_tags(
    context: &Context,
    repository: &str,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Vec<PushedImage>> {
    let parsed = Reference::parse(repository)?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        return Err(fail(
            Kind::Usage,
            format!("`{repository}`: a tag cannot be used together with --all-tags"),
        ));
    }
    let (_, candidates) = pull::reach(repository, &options.reach)?;
    let wanted: Vec<String> = candidates.iter().map(Reference::name).collect();
    let names = context.images().names()?.names;
    let tags = names.keys().filter_map(|name| Reference::parse(name).ok());
    let tags: Vec<Reference> =
        tags.filter(|name| name.digest.is_none() && wanted.contains(&name.name())).collect();
    if tags.is_empty() {
        return Err(fail(Kind::NotFound, format!("the store has no tag of `{repository}`")));
    }
    tags.iter().map(|name| push(context, &name.full(), None, options, progress)).collect()
}

fn check(options: &PushOptions) -> Result<()> {
    if options.format == Some(ManifestFormat::Docker) && options.compression == Some(Compression::Zstd) {
        return Err(fail(Kind::Usage, "manifests of format `v2s2` take gzip layers only"));
    }
    Ok(())
}

/// The registry's name for an image: the one it has here, if that was typed, else the first that the text may mean.
fn target(
    image: &Image,
    text: &str,
    by_own_name: bool,
    options: &PushOptions,
) -> Result<(Client, Reference)> {
    let (client, candidates) = pull::reach(text, &options.reach)?;
    let mut own =
        image.names.iter().filter(|name| by_own_name && candidates.iter().any(|c| c.full() == **name));
    let to = match own.next() {
        Some(name) => Reference::parse(name)?,
        None => candidates.into_iter().next().with_context(|| format!("`{text}` names no registry"))?,
    };
    Ok((client, to))
}
