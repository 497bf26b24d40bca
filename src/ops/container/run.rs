//! `run` and `start`: make or find a container, start it, stay with it or leave it.

use super::alive;
use super::create::Made;
use super::select::{Done, Picked, Selection};
use super::start::{self, How, Started};
use crate::base::error::{Error, Result};
use crate::base::error::{Kind, fail};
use crate::container::record::Status;
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::runtime::supervisor::{
    self, Attach, ClientOptions, DetachKeys, End, ExitInfo, Handle, Request, foreground,
};

/// How a command stays with a container.
#[derive(Debug, Clone, Copy)]
pub struct Stay {
    /// The streams it wants.
    pub attach: Attach,
    /// `--sig-proxy`
    pub sig_proxy: bool,
}

/// How staying with a container ended.
#[derive(Debug)]
pub enum Outcome {
    /// It runs in the background.
    Background,
    /// It ended.
    Exited(ExitInfo),
}

/// Starts a container that was just made. One that cannot be started is removed with `--rm`.
pub fn run(ops: &Ops, made: Made, stay: Option<Stay>) -> Result<Outcome> {
    let Made { mut container, lock, .. } = made;
    start::check_passthrough(&container)?;
    let how = How { attach: stay.map(|stay| stay.attach), direct: container.config.auto_remove, hold: false };
    let started = start::start(ops, &mut container, lock, how)?;
    match stay {
        Some(stay) => {
            stay_with(ops, &container, started.handle, Stay { attach: started.attach, ..stay }, None)
        }
        None => Ok(Outcome::Background),
    }
}

/// `start`: starts containers that do not run; one that runs is fine unless it is to be attached to.
pub fn start(ops: &Ops, select: &Selection) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, |container| !container.is_alive())?;
    enter_stage_for(ops, &picked)?;
    Ok(super::select::each(picked, |container| start_found(ops, container, How::default()).map(drop)))
}

/// `start --attach`: starts one container and stays with it.
pub fn start_attached(ops: &Ops, select: &Selection, stay: Stay, keys: Option<&str>) -> Result<Outcome> {
    let mut picked = select.pick(ops.containers()?, |_| true)?;
    enter_stage_for(ops, &picked)?;
    if picked.len() != 1 {
        return Err(fail(Kind::Usage, "only one container can be started and attached to at once"));
    }
    let (_, container) = picked.remove(0).map_err(|(_, error): (String, Error)| error)?;
    let stay = Stay {
        attach: Attach { stdin: stay.attach.stdin && container.config.process.stdin_open, ..stay.attach },
        ..stay
    };
    match start_found(ops, &container, How { attach: Some(stay.attach), ..How::default() })? {
        Some(Started { handle, attach }) => stay_with(ops, &container, handle, Stay { attach, ..stay }, keys),
        None => super::attach::attach_to(ops, &container, stay, keys),
    }
}

/// Enters the stage of what these containers share something with, or one of their own.
fn enter_stage_for(ops: &Ops, picked: &[Picked]) -> Result<()> {
    let depends = picked.iter().flatten().flat_map(|(_, container)| container.config.depends.clone());
    let depends: Vec<String> = depends.collect();
    ops.enter_stage_with(alive::beside(ops, &depends)?)
}

fn start_found(ops: &Ops, container: &Container, how: How) -> Result<Option<Started>> {
    let store = ops.containers()?;
    let held = store.lock(&container.config.id)?;
    let mut now = store.get(&container.config.id)?;
    if now.state.status == Status::Initialized && !how.hold {
        drop(held);
        return go(store, &now, how);
    }
    if now.is_alive() {
        return Ok(None);
    }
    start::start(ops, &mut now, held, how).map(Some)
}

/// Starts a container that waits since its `init`; whoever stays with it is attached before.
fn go(store: &Store, container: &Container, how: How) -> Result<Option<Started>> {
    let run = store.run_dir(&container.config.id);
    let attached = how.attach.map(|attach| supervisor::attach(&run, attach).map(|handle| (handle, attach)));
    let attached = attached.transpose()?;
    supervisor::control(&run, Request::Start)?;
    Ok(attached.map(|(handle, attach)| Started { handle, attach }))
}

/// `init`: sets containers up, all but the start of their commands.
pub fn init(ops: &Ops, select: &Selection) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, |container| !container.is_alive())?;
    enter_stage_for(ops, &picked)?;
    Ok(super::select::each(picked, |container| {
        match start_found(ops, container, How { hold: true, ..How::default() })? {
            Some(_) => Ok(()),
            None => {
                let name = &container.config.name;
                Err(fail(Kind::Failed, format!("container `{name}` is {}", container.state.status.word())))
            }
        }
    }))
}

/// Copies between the command's streams and the container's until it ends or the user leaves.
pub fn stay_with(
    ops: &Ops,
    container: &Container,
    handle: Handle,
    stay: Stay,
    keys: Option<&str>,
) -> Result<Outcome> {
    let process = &container.config.process;
    let options = ClientOptions {
        dir: ops.containers()?.run_dir(&container.config.id),
        tty: process.tty,
        attach: stay.attach,
        detach_keys: DetachKeys::parse(keys.unwrap_or(&process.detach_keys))?,
        sig_proxy: stay.sig_proxy && !process.tty,
    };
    match foreground(handle, options)? {
        End::Exited(info) => Ok(Outcome::Exited(info)),
        End::Detached => Ok(Outcome::Background),
    }
}

/// `restart`: ends what runs, then starts it.
pub fn restart(
    ops: &Ops,
    select: &Selection,
    running_only: bool,
    time: Option<i64>,
    signal: Option<i32>,
) -> Result<Vec<Done<()>>> {
    let store = ops.containers()?;
    let picked = select.pick(store, |container| !running_only || container.is_alive())?;
    enter_stage_for(ops, &picked)?;
    Ok(super::select::each(picked, |container| {
        super::stop::stop_one(store, container, signal, time)?;
        start_found(ops, container, How::default())?;
        events::container(ops, &container.config, "restart");
        Ok(())
    }))
}
