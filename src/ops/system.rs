//! What the store takes on disk, and giving back what nobody needs.

use std::collections::HashSet;

use super::build;
use super::container::rm;
use super::context::Context;
use super::image::{self, Filter, PruneOptions};
use super::{events, volumes};
use crate::base::digest::Digest;
use crate::base::error::{Collected, Result};
use crate::event::{Event, Subject};
use crate::layer::usage::size;

/// One line of `system df`. Bytes as du(1) counts them; what is shared counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// `Images`, `Containers`, `Local Volumes`, `Build Cache`.
    pub kind: &'static str,
    /// How many.
    pub total: usize,
    /// How many of them are in use.
    pub active: usize,
    /// Bytes they take.
    pub size: u64,
    /// Bytes that removing the unused ones would give back.
    pub reclaimable: u64,
}

/// Measures the store.
pub fn df(ops: &Context) -> Result<Vec<Usage>> {
    ops.enter_stage()?;
    Ok(vec![images(ops)?, containers(ops)?, volumes_usage(ops)?, build_cache(ops)?])
}

fn images(ops: &Context) -> Result<Usage> {
    let (listing, used) = (ops.images().list()?, image::usage(ops)?);
    let layers = ops.layers()?;
    let active: Vec<_> = listing.images.iter().filter(|image| !used.of(&image.id).is_empty()).collect();
    let needed: HashSet<&Digest> =
        active.iter().flat_map(|image| &image.layers).chain(&used.layers).collect();
    let (mut total, mut kept) = (0, 0);
    let of_images = ops.images().layers_in_use(&[])?;
    let of_builds = build::layers_in_use(ops)?;
    for layer in layers.diff_ids()? {
        if of_builds.contains(&layer) && !of_images.contains(&layer) {
            continue; // the build cache's
        }
        let bytes = size(layers.diff_dir(&layer).parent().unwrap_or(layers.root()))?;
        total += bytes;
        kept += if needed.contains(&layer) { bytes } else { 0 };
    }
    Ok(Usage {
        kind: "Images",
        total: listing.images.len(),
        active: active.len(),
        size: total,
        reclaimable: total - kept,
    })
}

fn containers(ops: &Context) -> Result<Usage> {
    let all = ops.containers()?.list()?;
    let (mut total, mut idle) = (0, 0);
    for container in &all {
        let bytes = size(&container.dir)?;
        total += bytes;
        idle += if container.is_alive() { 0 } else { bytes };
    }
    let active = all.iter().filter(|container| container.is_alive()).count();
    Ok(Usage { kind: "Containers", total: all.len(), active, size: total, reclaimable: idle })
}

fn volumes_usage(ops: &Context) -> Result<Usage> {
    let (listed, _) = volumes::list(ops, &[])?;
    let (mut total, mut unused) = (0, 0);
    for one in &listed {
        let bytes = size(&one.mountpoint)?;
        total += bytes;
        unused += if one.users.is_empty() { bytes } else { 0 };
    }
    let active = listed.iter().filter(|one| !one.users.is_empty()).count();
    Ok(Usage { kind: "Local Volumes", total: listed.len(), active, size: total, reclaimable: unused })
}

fn build_cache(ops: &Context) -> Result<Usage> {
    let kept = build::kept(ops)?;
    let reclaimable = kept.bytes;
    Ok(Usage { kind: "Build Cache", total: kept.count, active: 0, size: kept.bytes, reclaimable })
}

/// What `system prune` was asked for.
#[derive(Debug, Clone, Default)]
pub struct SystemPrune {
    /// `--all`: every image that no container uses.
    pub all: bool,
    /// `--volumes`: volumes that no container uses.
    pub volumes: bool,
    /// `--filter`, `KEY=VALUE`.
    pub filters: Vec<String>,
}

/// What it removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Containers, by id.
    pub containers: Vec<String>,
    /// Volumes, by name.
    pub volumes: Vec<String>,
    /// Images, by id.
    pub images: Vec<Digest>,
    /// Bytes that came back.
    pub freed: u64,
}

/// Removes stopped containers, then volumes (if asked for) and images that nobody needs any more, and what builds keep.
pub fn prune(ops: &Context, options: &SystemPrune) -> Result<Pruned> {
    ops.enter_stage()?;
    let filters = options.filters.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>>>()?;
    let (mut pruned, mut errors) = (Pruned::default(), Collected::default());
    if let Some(gone) = errors.note(rm::prune(ops, &options.filters)) {
        pruned.containers = gone.ids;
        pruned.freed += gone.freed;
    }
    if options.volumes
        && let Some(gone) = errors.note(volumes::prune(ops, &options.filters, true))
    {
        pruned.volumes = gone.names;
        pruned.freed += gone.freed;
    }
    if let Some(gone) = errors.note(image::prune(ops, &PruneOptions { all: options.all, filters })) {
        pruned.images = gone.deleted;
        pruned.freed += gone.freed;
    }
    // What steps of builds made has no labels.
    if options.filters.is_empty()
        && let Some(gone) = errors.note(build::prune(ops, None))
    {
        pruned.freed += gone.bytes;
    }
    ops.layers()?.sweep()?;
    errors.finish()?;
    events::tell(ops, Event::now(Subject::System, "prune", "", ""));
    Ok(pruned)
}
