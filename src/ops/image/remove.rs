//! `rmi`, `image rm`, `image prune`.

use std::collections::HashSet;

use super::fetch::sweep_layers;
use super::filter::{Filter, Judge};
use super::usage::{Usage, usage};
use super::{ancestry, find, lists, mounts};
use crate::base::digest::Digest;
use crate::base::error::{Collected, Explain, Kind, Result, fail, is_not_found};
use crate::base::id;
use crate::image::Image;
use crate::layer::usage::size;
use crate::ops::context::Context;
use crate::ops::events;

/// What `rmi` was asked for.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// `--force`: with all names, and the containers made from it.
    pub force: bool,
    /// `--ignore`: an unknown image is no error.
    pub ignore: bool,
    /// `--all`: every image.
    pub all: bool,
    /// `--no-prune`: parents without a name stay.
    pub no_prune: bool,
}

/// What went away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Names, for `Untagged:` lines.
    pub untagged: Vec<String>,
    /// Images, for `Deleted:` lines.
    pub deleted: Vec<Digest>,
    /// Bytes that came back, as du(1) counts them: layers, records, and containers that --force removed.
    pub freed: u64,
}

/// Stops and removes a container and gives the bytes that came back; `ops` of containers gives it.
pub type RemoveContainer<'a> = &'a dyn Fn(&Context, &str) -> Result<u64>;

/// Removes images. Errors of single images are collected; what could be removed is told in any case.
pub fn remove(
    context: &Context,
    images: &[String],
    options: &RemoveOptions,
    remove_container: RemoveContainer<'_>,
) -> (Removed, Result<()>) {
    let (mut removed, mut errors) = (Removed::default(), Collected::default());
    let targets = match targets(context, images, options) {
        Ok(targets) => targets,
        Err(error) => return (removed, Err(error)),
    };
    for target in &targets {
        match remove_one(context, target, options, remove_container, &mut removed) {
            // With --all, an image may have gone as the parent of another.
            Err(error) if (options.ignore || options.all) && is_not_found(&error) => {}
            outcome => {
                errors.note(outcome);
            }
        }
    }
    (removed, errors.finish_removal())
}

fn targets(context: &Context, images: &[String], options: &RemoveOptions) -> Result<Vec<String>> {
    if !options.all {
        return Ok(images.to_vec());
    }
    let listing = context.images().list()?;
    let whole = listing.images.iter().map(|image| image.id.to_string());
    Ok(whole.chain(listing.damaged.iter().map(|image| image.id.to_string())).collect())
}

fn remove_one(
    context: &Context,
    text: &str,
    options: &RemoveOptions,
    remove_container: RemoveContainer<'_>,
    removed: &mut Removed,
) -> Result<()> {
    let image = match find(context, text) {
        Ok(image) => image,
        Err(error) => return remove_damaged(context, text, options, removed).unwrap_or(Err(error)),
    };
    let (_, name) = context.images().resolve_named(text)?;
    let by_name = name.filter(|name| image.names.contains(name));
    if let Some(name) = by_name.filter(|_| image.names.len() > 1 && !options.all) {
        removed.untagged.extend(context.images().untag(&image.id, Some(&[name]))?);
        return Ok(());
    }
    if image.names.len() > 1 && !options.force && !options.all {
        let names = image.names.join(", ");
        // Podman's 125: nobody uses it, the word for it only means too much.
        let message = format!("image `{}` has several names: {names}", id::short(image.id.hex()));
        return Err(fail(Kind::Failed, message).hint("remove it with --force, or name by name"));
    }
    removed.freed += release(context, &image, options, remove_container)?;
    let parents = parents_to_prune(context, &image, options)?;
    delete(context, &image, parents, removed)
}

/// A damaged image has no readable record: it goes by its id, with --force or --all.
fn remove_damaged(
    context: &Context,
    text: &str,
    options: &RemoveOptions,
    removed: &mut Removed,
) -> Option<Result<()>> {
    let listing = context.images().list().ok()?;
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let names = context.images().names().ok()?;
    let is_meant = |id: &Digest| {
        (id::is_prefix(bare) && id.hex().starts_with(bare))
            || names.of(id).iter().any(|name| super::filter::name_fits(text, name))
    };
    let damaged = listing.damaged.into_iter().find(|image| is_meant(&image.id))?;
    if !(options.force || options.all) {
        return Some(Err(damaged.error.hint("remove it with `rmi --force`")));
    }
    Some(delete_by_id(context, &damaged.id, removed))
}

/// Containers that use an image: an error without --force, removed with it. Gives the bytes that came back.
fn release(
    context: &Context,
    image: &Image,
    options: &RemoveOptions,
    remove_container: RemoveContainer<'_>,
) -> Result<u64> {
    let usage = usage(context)?;
    if options.force {
        if mounts::is_mounted(context, &image.id) {
            mounts::unmount_one(context, &image.id, true)?;
        }
        return usage.of(&image.id).iter().map(|container| remove_container(context, container)).sum();
    }
    refuse_if_used(context, image, &usage).map(|()| 0)
}

fn refuse_if_used(context: &Context, image: &Image, usage: &Usage) -> Result<()> {
    let users = usage.of(&image.id);
    if mounts::is_mounted(context, &image.id) {
        let name = image.names.first().map_or_else(|| id::short(image.id.hex()), String::as_str);
        return Err(fail(Kind::InUse, format!("image `{name}` is mounted"))
            .hint("unmount it with `image unmount`, or use --force"));
    }
    if users.is_empty() {
        return Ok(());
    }
    let store = context.containers()?;
    let name =
        |id: &String| store.get(id).map_or_else(|_| id::short(id).to_owned(), |found| found.config.name);
    let names: Vec<String> = users.iter().map(|id| format!("`{}` ({})", name(id), id::short(id))).collect();
    let what = image.names.first().cloned().unwrap_or_else(|| id::short(image.id.hex()).to_owned());
    let containers = if names.len() == 1 { "container" } else { "containers" };
    Err(fail(Kind::InUse, format!("image `{what}` is in use by {containers} {}", names.join(", ")))
        .hint("remove the containers first, or use --force"))
}

/// Parents without a name that only this image needed, nearest first.
fn parents_to_prune(context: &Context, image: &Image, options: &RemoveOptions) -> Result<Vec<Image>> {
    if options.no_prune {
        return Ok(Vec::new());
    }
    let all = context.images().list()?.images;
    // Nothing without a name: nothing to compare configurations for.
    if !all.iter().any(|other| other.names.is_empty() && other.id != image.id) {
        return Ok(Vec::new());
    }
    let usage = usage(context)?;
    let (mut gone, mut current) = (vec![image.id.clone()], image.clone());
    let mut parents = Vec::new();
    while let Some(parent) = ancestry::parent_of(&current, &all) {
        let needed = all.iter().any(|other| !gone.contains(&other.id) && ancestry::is_child(other, parent));
        if !parent.names.is_empty() || needed || !usage.of(&parent.id).is_empty() {
            break;
        }
        gone.push(parent.id.clone());
        parents.push(parent.clone());
        current = parent.clone();
    }
    Ok(parents)
}

/// Deletes an image and these parents with the layers that nothing else needs.
fn delete(context: &Context, image: &Image, parents: Vec<Image>, removed: &mut Removed) -> Result<()> {
    let layers = context.layers()?;
    let _lock = layers.lock_exclusive()?;
    // Looked up again under the lock: a container may have been made meanwhile.
    refuse_if_used(context, image, &usage(context)?)?;
    let mut unused: Vec<Digest> = Vec::new();
    for doomed in std::iter::once(image).chain(&parents) {
        removed.freed += records_size(context, &doomed.id);
        removed.untagged.extend(context.images().remove(&doomed.id)?);
        events::image(context, doomed, None, "remove");
        removed.deleted.push(doomed.id.clone());
        unused.extend(
            doomed.layers.iter().filter(|layer| !unused.contains(layer)).cloned().collect::<Vec<_>>(),
        );
    }
    removed.freed += sweep_layers(context, &unused)?;
    Ok(())
}

/// What the records of an image take; one that cannot be measured is removed all the same.
fn records_size(context: &Context, id: &Digest) -> u64 {
    size(&context.images().dir(id)).unwrap_or(0)
}

fn delete_by_id(context: &Context, id: &Digest, removed: &mut Removed) -> Result<()> {
    let layers = context.layers()?;
    let _lock = layers.lock_exclusive()?;
    removed.freed += records_size(context, id);
    removed.untagged.extend(context.images().remove(id)?);
    removed.deleted.push(id.clone());
    removed.freed += sweep_layers(context, &layers.diff_ids()?)?;
    Ok(())
}

/// What `image prune` was asked for.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// `--all`: every image that no container uses, not only those without a name.
    pub all: bool,
    /// `--filter`
    pub filters: Vec<Filter>,
}

/// Removes images that nobody needs, and layers that no image refers to.
pub fn prune(context: &Context, options: &PruneOptions) -> Result<Removed> {
    // Docker's way of asking for `--all`.
    let all = options.all || options.filters.contains(&Filter::Dangling(false));
    let filters = options.filters.iter().filter(|filter| **filter != Filter::Dangling(false));
    let options = PruneOptions { all, filters: filters.cloned().collect() };
    let listing = context.images().list()?;
    let usage = usage(context)?;
    let judge = Judge::new(options.filters.clone(), context.images(), &listing.images, Some(&usage))?;
    // With --all the lists go too.
    let in_lists = if options.all { HashSet::new() } else { lists::members(&listing.images) };
    let doomed = |image: &&Image| {
        !image.read_only
            && !in_lists.contains(&image.id)
            && (options.all || image.names.is_empty())
            && usage.of(&image.id).is_empty()
            && !mounts::is_mounted(context, &image.id)
            && judge.passes(image)
            && (options.all || !ancestry::has_children(image, &listing.images))
    };
    let (mut removed, mut errors) = (Removed::default(), Collected::default());
    for image in listing.images.iter().filter(doomed) {
        if let Some(parents) = errors.note(parents_to_prune(context, image, &RemoveOptions::default())) {
            errors.note(delete(context, image, parents, &mut removed));
        }
    }
    let layers = context.layers()?;
    let _lock = layers.lock_exclusive()?;
    removed.freed += sweep_layers(context, &layers.diff_ids()?)?;
    errors.finish().map(|()| removed)
}
