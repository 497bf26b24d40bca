//! `ps`: which containers there are. Reads records only; needs no rootless stage.

use super::filter::Filters;
use crate::base::error::Result;
use crate::container::record::{NetworkMode, Status};
use crate::container::store::Container;
use crate::layer::usage;
use crate::ops::context::Context as Ops;

/// What `ps` lists.
#[derive(Debug, Clone, Default)]
pub struct PsOptions {
    /// `--all`: also those that do not run.
    pub all: bool,
    /// `--filter`
    pub filters: Vec<String>,
    /// `--last`: this many made last, in any state.
    pub last: Option<usize>,
    /// `--latest`
    pub latest: bool,
    /// `--size`: measure what each wrote.
    pub size: bool,
    /// `--sort`; `None` for the newest first.
    pub sort: Option<Sort>,
}

/// `--sort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By command.
    Command,
    /// By creation, oldest first.
    Created,
    /// By id.
    Id,
    /// By image name.
    Image,
    /// By name.
    Names,
    /// By how long ago it was created.
    RunningFor,
    /// By what it wrote.
    Size,
    /// By state.
    Status,
}

/// One container of the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Record and live state.
    pub container: Container,
    /// With `--size`: bytes written by the container, and bytes of its image's layers.
    pub size: Option<Sizes>,
}

/// What a container takes on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Its own layer.
    pub own: u64,
    /// The image's layers below it.
    pub image: u64,
}

/// Lists containers.
pub fn ps(ops: &Ops, options: &PsOptions) -> Result<Vec<Listed>> {
    let store = ops.containers()?;
    let filters = Filters::parse(&options.filters, store)?;
    let every = options.all || options.last.is_some() || options.latest || filters.is_about_state();
    let mut found: Vec<Container> = store.list()?;
    found.retain(|c| (every || is_shown(c.state.status)) && filters.accept(c));
    found.reverse(); // newest first
    if let Some(count) = options.last.or(options.latest.then_some(1)) {
        found.truncate(count);
    }
    let measure = |container: Container| {
        let size = options.size.then(|| sizes(ops, &container)).transpose()?;
        Ok(Listed { container, size })
    };
    let mut listed = found.into_iter().map(measure).collect::<Result<Vec<_>>>()?;
    if let Some(sort) = options.sort {
        order(&mut listed, sort);
    }
    Ok(listed)
}

/// Without `--all`, a container that lives in any way is shown.
fn is_shown(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Stopping)
}

fn order(listed: &mut [Listed], sort: Sort) {
    let config = |one: &Listed| one.container.config.clone();
    match sort {
        Sort::Command => listed.sort_by_key(|one| config(one).process.command),
        Sort::Created => listed.sort_by_key(|one| one.container.config.created),
        Sort::Id => listed.sort_by_key(|one| config(one).id),
        Sort::Image => listed.sort_by_key(|one| config(one).rootfs.image_name),
        Sort::Names => listed.sort_by_key(|one| config(one).name),
        Sort::RunningFor => listed.sort_by_key(|one| std::cmp::Reverse(one.container.config.created)),
        Sort::Size => listed.sort_by_key(|one| one.size.map_or(0, |size| size.own)),
        Sort::Status => listed.sort_by_key(|one| one.container.state.status.word()),
    }
}

/// Measures one container.
pub fn sizes(ops: &Ops, container: &Container) -> Result<Sizes> {
    let own = |name: &str| usage::size(&container.dir.join(name)).unwrap_or(0);
    let layers = ops.layers()?;
    let image =
        container.config.rootfs.layers.iter().map(|layer| layers.info(layer).map_or(0, |info| info.size));
    Ok(Sizes { own: own("upper") + own("rootfs"), image: image.sum() })
}

/// The name of the network a container is on, as `ps` shows it.
pub fn networks(container: &Container) -> Vec<String> {
    match container.config.network.mode {
        NetworkMode::Pasta(_) => vec!["pasta".into()],
        NetworkMode::Slirp4netns(_) => vec!["slirp4netns".into()],
        _ => Vec::new(),
    }
}
