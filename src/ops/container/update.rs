//! `update`: other limits and another restart policy for a container, also while it runs.

use super::alive::Alive;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::container::parse::restart;
use crate::container::record::RestartPolicy;
use crate::container::store::Container;
use crate::ops::context::Context as Ops;
use crate::ops::create::{self, CreateOptions};
use crate::ops::{events, spec};

/// Changes one container. Of the options only limits and `--restart` count; what is not given stays.
pub fn update(ops: &Ops, name: &str, options: &CreateOptions) -> Result<Container> {
    let store = ops.containers()?;
    let _held = store.lock(&store.resolve_id(name)?)?;
    let mut container = store.resolve(name)?;
    let config = &mut container.config;
    let before = config.resources.clone();
    config.resources = create::updated(options, &before)?;
    if let Some(text) = &options.restart {
        config.restart = restart::parse(text)?;
        if config.auto_remove && config.restart != RestartPolicy::No {
            return Err(fail(Kind::Usage, "a container with --rm cannot have a restart policy"));
        }
    }
    // The kernel decides first: what it refuses is not written down.
    if container.config.resources != before
        && let Some(alive) = Alive::find(store, &container)?
    {
        let cgroup = alive.cgroup()?.with_context(|| format!("container `{name}` has no cgroup"));
        let cgroup = cgroup.hint("rootless, limits need cgroup v2 delegated to the user")?;
        cgroup
            .update(&spec::limits(&container.config)?)
            .with_context(|| format!("update container `{name}`"))?;
    }
    store.save_config(&container.config)?;
    events::container(ops, &container.config, "update");
    Ok(container)
}
