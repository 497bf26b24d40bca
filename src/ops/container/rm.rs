//! `rm` and `container prune`: takes containers off the books and gives their space back.

use super::alive::{self, Alive};
use super::filter::Filters;
use super::select::{Done, Selection, each};
use super::stop;
use crate::base::error::{Collected, Context, Error, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::base::id;
use crate::container::record::{Config, MountSource, Status};
use crate::container::store::{Container, Store};
use crate::layer::{tree, usage};
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::ops::volumes;

/// How `rm` removes.
#[derive(Debug, Clone, Default)]
pub struct RmOptions {
    /// Which.
    pub select: Selection,
    /// `--force`: running ones are killed, damaged ones removed.
    pub force: bool,
    /// `--volumes`: their anonymous volumes too.
    pub volumes: bool,
    /// `--time`: seconds that `--force` gives before KILL; the default is the container's own.
    pub time: Option<i64>,
    /// `--depend`: containers that depend on them too.
    pub depend: bool,
}

/// Removes containers; each result is the bytes that came back.
pub fn rm(ops: &Ops, options: &RmOptions) -> Result<Vec<Done<u64>>> {
    ops.enter_stage()?;
    let store = ops.containers()?;
    sweep_leftovers(store)?;
    let picked = options.select.pick(store, |c| options.force || !c.is_alive())?;
    let mut done = Vec::new();
    for one in picked {
        match one {
            Ok((name, container)) => {
                let result = remove_with_dependents(ops, store, &container, options);
                done.push(Done { name, result });
            }
            Err((name, error)) => done.push(damaged(ops, store, name, error, options)),
        }
    }
    Ok(done)
}

/// A name that resolves to an unreadable record can only be removed by force.
fn damaged(ops: &Ops, store: &Store, name: String, error: Error, options: &RmOptions) -> Done<u64> {
    let result = match store.resolve_id(&name) {
        Ok(id) if options.force => discard(ops, store, &id),
        Ok(_) => Err(error.hint(format!("remove it with `rm --force {name}`"))),
        Err(unknown) => Err(unknown),
    };
    Done { name, result }
}

fn remove_with_dependents(
    ops: &Ops,
    store: &Store,
    container: &Container,
    options: &RmOptions,
) -> Result<u64> {
    let id = &container.config.id;
    let dependents: Vec<Container> =
        store.list()?.into_iter().filter(|c| c.config.depends.contains(id)).collect();
    if !dependents.is_empty() && !options.depend {
        let names: Vec<&str> = dependents.iter().map(|c| c.config.name.as_str()).collect();
        let message =
            format!("container `{}` has dependent containers: {}", container.config.name, names.join(", "));
        return Err(fail(Kind::Failed, message).hint("remove those first, or use `--depend`"));
    }
    let mut freed = 0;
    for dependent in &dependents {
        freed += remove_with_dependents(ops, store, dependent, options)?;
    }
    Ok(freed + remove_one(ops, store, container, options)?)
}

/// Removes one container: ends it if that was asked for, then its record, files and anonymous volumes. Gives the bytes
/// that came back.
pub fn remove_one(ops: &Ops, store: &Store, container: &Container, options: &RmOptions) -> Result<u64> {
    let mut container = container.clone();
    let id = container.config.id.clone();
    if Alive::find(store, &container)?.is_some() || container.is_alive() {
        refuse_running(&container, options.force)?;
        // One that was never started has nothing to wind up.
        let waits = container.state.status == Status::Initialized;
        stop::stop_one(store, &container, None, if waits { Some(0) } else { options.time })?;
    }
    if !store.dir(&id).exists() {
        return Ok(0); // `--rm`: its supervisor was quicker
    }
    let _held = store.lock(&id)?;
    if !store.dir(&id).exists() {
        return Ok(0);
    }
    alive::sweep(store, &mut container)?;
    let freed = usage::size(&store.dir(&id)).unwrap_or(0); // what cannot be measured is removed all the same
    Ok(freed + remove_record(ops, store, &container.config, options.volumes)?)
}

fn refuse_running(container: &Container, force: bool) -> Result<()> {
    if force || container.state.status == Status::Initialized {
        return Ok(());
    }
    let word = container.state.status.word();
    let message = format!("cannot remove container `{}`: it is {word}", container.config.name);
    Err(fail(Kind::InUse, message).hint("stop it first, or use `--force`"))
}

/// The last steps, for whoever holds the container's lock: the record goes first, by one rename. Gives the bytes of the
/// volumes that went with it.
pub fn remove_record(ops: &Ops, store: &Store, config: &Config, with_volumes: bool) -> Result<u64> {
    let doomed = store.remove(&config.id)?;
    events::container(ops, config, "remove");
    let mut all = Collected::default();
    all.note(tree::remove(&doomed).context("remove the container's files"));
    all.note(alive::remove_run_dir(&store.run_dir(&config.id)));
    if let Some(path) = &config.cid_file {
        all.note(fs::remove_file(path));
    }
    let mut freed = 0;
    if with_volumes || config.auto_remove {
        freed = all.note(remove_anonymous_volumes(ops, store, config)).unwrap_or(0);
    }
    all.finish().map(|()| freed)
}

fn remove_anonymous_volumes(ops: &Ops, store: &Store, config: &Config) -> Result<u64> {
    let anonymous = config.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume { name, anonymous: true } => Some(name.as_str()),
        _ => None,
    });
    let names: Vec<&str> = anonymous.collect();
    if names.is_empty() {
        return Ok(0);
    }
    let others = store.list()?; // `--volumes-from` may have lent them out
    let (mut all, mut freed) = (Collected::default(), 0);
    for name in names {
        if !others.iter().any(|other| volumes::uses(&other.config, name)) {
            freed += all.note(volumes::remove_unused(ops, name)).unwrap_or(0);
        }
    }
    all.finish().map(|()| freed)
}

/// Removes a container whose record cannot be read: files only, nothing is known of it.
fn discard(ops: &Ops, store: &Store, id: &str) -> Result<u64> {
    let config = Config { id: id.to_owned(), ..Config::default() };
    let mut container =
        Container { dir: store.dir(id), config, state: crate::container::record::State::default() };
    let _held = store.lock(id)?;
    alive::sweep(store, &mut container)?;
    let freed = usage::size(&store.dir(id)).unwrap_or(0); // what cannot be measured is removed all the same
    Ok(freed + remove_record(ops, store, &container.config, false)?)
}

/// Deletes what killed commands left half made or half removed.
pub fn sweep_leftovers(store: &Store) -> Result<()> {
    let mut all = Collected::default();
    for path in store.leftovers()? {
        all.note(tree::remove(&path).with_context(|| format!("sweep `{}`", path.display())));
    }
    all.finish()
}

/// What `container prune` removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Full ids.
    pub ids: Vec<String>,
    /// Bytes that came back.
    pub freed: u64,
}

/// Removes all containers that do not live and pass the filters.
pub fn prune(ops: &Ops, filters: &[String]) -> Result<Pruned> {
    ops.enter_stage()?;
    let store = ops.containers()?;
    sweep_leftovers(store)?;
    let filters = Filters::parse(filters, store)?;
    let mut pruned = Pruned::default();
    let mut all = Collected::default();
    for container in store.list()? {
        let ended = matches!(container.state.status, Status::Created | Status::Exited);
        if !ended || !filters.accept(&container) {
            continue;
        }
        if let Some(freed) = all.note(remove_one(ops, store, &container, &RmOptions::default())) {
            pruned.ids.push(container.config.id.clone());
            pruned.freed += freed;
        }
    }
    all.finish()?;
    Ok(pruned)
}

/// `rename`: gives a container another name.
pub fn rename(ops: &Ops, from: &str, to: &str) -> Result<()> {
    let store = ops.containers()?;
    let config = store.resolve(from)?.config;
    let _held = store.lock(&config.id)?;
    let to = to.trim_start_matches('/');
    store.rename(&config.id, to).with_context(|| format!("rename container `{}`", id::short(&config.id)))?;
    let renamed = events::about(&Config { name: to.to_owned(), ..config }, "rename");
    events::tell(ops, renamed);
    Ok(())
}

/// `exists`: kind [`Kind::No`] when there is no such container.
pub fn exists(ops: &Ops, name: &str) -> Result<()> {
    let store = ops.containers()?;
    match store.resolve_id(name) {
        Ok(_) => Ok(()),
        Err(error) if crate::base::error::is_not_found(&error) => Err(error.kind(Kind::No)),
        Err(error) => Err(error),
    }
}

/// For commands that act on each of several containers and answer with nothing but success.
pub fn each_named<T>(
    ops: &Ops,
    select: &Selection,
    work: impl FnMut(&Container) -> Result<T>,
) -> Result<Vec<Done<T>>> {
    Ok(each(select.pick(ops.containers()?, |_| true)?, work))
}
