//! `system prune`.

use crate::base::digest::Digest;
use crate::base::error::{Collected, Result};
use crate::event::{Event, Subject};
use crate::ops::build;
use crate::ops::container::rm;
use crate::ops::context::Context;
use crate::ops::image::{self, Filter, PruneOptions};
use crate::ops::{events, volumes};

/// What `system prune` was asked for.
#[derive(Debug, Clone, Default)]
pub struct SystemPrune {
    /// `--all`: every image that no container uses.
    pub all: bool,
    /// `--build`: what builds keep, also where filters leave it alone.
    pub build: bool,
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

/// Deletes what killed commands left half made or half removed.
pub fn sweep(ops: &Context) -> Result<()> {
    ops.enter_stage()?;
    let mut errors = Collected::default();
    errors.note(rm::sweep_leftovers(ops.containers()?));
    errors.note(ops.volumes().sweep());
    errors.note(ops.layers()?.sweep());
    errors.finish()
}

/// Removes stopped containers, then volumes (if asked for) and images that nobody needs any more, and what builds
/// keep.
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
    // What steps of builds made has no labels: filters leave it alone.
    if (options.build || options.filters.is_empty())
        && let Some(gone) = errors.note(build::prune(ops, None))
    {
        pruned.freed += gone.bytes;
    }
    errors.note(sweep(ops));
    errors.finish()?;
    events::tell(ops, Event::now(Subject::System, "prune", "", ""));
    Ok(pruned)
}
