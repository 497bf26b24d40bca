//! `stop`, `kill`, `pause`, `unpause`: signals and the freezer.

use std::path::Path;
use std::time::Duration;

use super::alive::{self, Alive};
use super::select::{Done, Selection, each};
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::lock;
use crate::container::record::{State, Status};
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::runtime::supervisor::{self, LOCK, Live, Phase, Request};

/// How `stop` ends a container.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// Which.
    pub select: Selection,
    /// `--signal`; `None` for the container's own stop signal.
    pub signal: Option<i32>,
    /// `--time`, seconds before KILL; `None` for the container's own, negative for ever.
    pub time: Option<i64>,
}

/// Stops containers; one that does not run is fine.
pub fn stop(ops: &Ops, options: &StopOptions) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = options.select.pick(store, Container::is_alive)?;
    Ok(each(picked, |container| {
        stop_one(store, container, options.signal, options.time)?;
        if container.is_alive() {
            events::container(ops, &container.config, "stop");
        }
        Ok(())
    }))
}

/// Stops one container, waits until its supervisor has cleaned up, and records that somebody wanted it so.
pub fn stop_one(store: &Store, container: &Container, signal: Option<i32>, time: Option<i64>) -> Result<()> {
    let alive = container.is_alive();
    end_one(store, container, signal, time)?;
    if !alive {
        return Ok(());
    }
    let id = &container.config.id;
    let held = store.lock(id);
    let (Ok(_held), Ok(now)) = (held, store.get(id)) else { return Ok(()) }; // `--rm`: it is gone
    if now.is_alive() || now.state.stopped_by_user {
        return Ok(());
    }
    store.save_state(id, &State { stopped_by_user: true, ..now.state })
}

fn end_one(store: &Store, container: &Container, signal: Option<i32>, time: Option<i64>) -> Result<()> {
    let run = store.run_dir(&container.config.id);
    // Also while it waits to be restarted, when it has no process: no restart comes after this.
    no_restart(&run)?;
    let Some(alive) = Alive::find(store, container)? else {
        return alive::wait_for_supervisor(&run);
    };
    let process = &container.config.process;
    let patience = time.unwrap_or(i64::try_from(process.stop_timeout).unwrap_or(i64::MAX));
    if patience != 0 {
        set_phase(&alive, Phase::Stopping)?;
        alive.signal(signal.unwrap_or(process.stop_signal))?;
        thaw(&alive)?;
        let limit = u64::try_from(patience).ok().map(Duration::from_secs);
        if alive.ended_within(limit)? {
            return alive::wait_for_supervisor(&run);
        }
    }
    kill_now(&alive)?;
    alive::wait_for_supervisor(&run)
}

/// Calls restarts off. A supervisor that is gone, or goes while it is asked, restarts nothing.
fn no_restart(run: &Path) -> Result<()> {
    match supervisor::control(run, Request::NoRestart) {
        Err(error) if lock::is_held(&run.join(LOCK))? => Err(error),
        _ => Ok(()),
    }
}

/// KILL, which nothing survives; a frozen container is thawed so that it can die.
pub fn kill_now(alive: &Alive) -> Result<()> {
    alive.signal(9)?;
    thaw(alive)?;
    match alive.ended_within(Some(Duration::from_secs(60)))? {
        true => Ok(()),
        false => Err(fail(Kind::Failed, format!("pid {} does not die of KILL", alive.live.pid))),
    }
}

fn thaw(alive: &Alive) -> Result<()> {
    if alive.live.status != Phase::Paused {
        return Ok(());
    }
    match alive.cgroup()? {
        Some(cgroup) => cgroup.thaw(),
        None => Ok(()),
    }
}

fn set_phase(alive: &Alive, phase: Phase) -> Result<()> {
    Live { status: phase, ..alive.live.clone() }.save(&alive.run)
}

/// `kill`: sends a signal (KILL by default) to the first process of running containers.
pub fn kill(ops: &Ops, select: &Selection, signal: i32) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, Container::is_alive)?;
    Ok(each(picked, |container| {
        let alive = Alive::of(store, container)?;
        if signal == 9 {
            no_restart(&alive.run)?;
        }
        alive.signal(signal)?;
        let mut killed = events::about(&container.config, "kill");
        killed.attributes.insert("signal".into(), signal.to_string());
        events::tell(ops, killed);
        if signal == 9 { thaw(&alive) } else { Ok(()) }
    }))
}

/// `pause`: freezes all processes of running containers.
pub fn pause(ops: &Ops, select: &Selection) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, |c| c.state.status == Status::Running)?;
    Ok(each(picked, |container| {
        let _held = store.lock(&container.config.id)?;
        let alive = Alive::of(store, container)?;
        if alive.live.status == Phase::Paused {
            return Err(fail(
                Kind::Failed,
                format!("container `{}` is paused already", container.config.name),
            ));
        }
        freezer(&alive, container)?.freeze()?;
        events::container(ops, &container.config, "pause");
        set_phase(&alive, Phase::Paused)
    }))
}

/// `unpause`: lets frozen containers go on.
pub fn unpause(ops: &Ops, select: &Selection) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, |c| c.state.status == Status::Paused)?;
    Ok(each(picked, |container| {
        let _held = store.lock(&container.config.id)?;
        let alive = Alive::of(store, container)?;
        if alive.live.status != Phase::Paused {
            return Err(fail(Kind::Failed, format!("container `{}` is not paused", container.config.name)));
        }
        freezer(&alive, container)?.thaw()?;
        events::container(ops, &container.config, "unpause");
        set_phase(&alive, Phase::Running)
    }))
}

fn freezer(alive: &Alive, container: &Container) -> Result<crate::runtime::cgroup::Handle> {
    use crate::base::error::Explain;
    let cgroup = alive.cgroup()?;
    cgroup
        .with_context(|| format!("pause container `{}`: it has no cgroup", container.config.name))
        .hint("rootless, the freezer needs cgroup v2 delegated to the user")
}
