//! `wait`: blocks until containers reach a state, and tells their exit codes.

use std::time::Duration;

use super::select::{Done, Selection, each};
use crate::base::error::{Error, Result, is_not_found};
use crate::container::record::Status;
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::runtime::supervisor;

/// What `wait` waits for.
#[derive(Debug, Clone)]
pub struct WaitOptions {
    /// Which.
    pub select: Selection,
    /// `--condition`; empty for "ended".
    pub conditions: Vec<Condition>,
    /// `--interval` between looks.
    pub interval: Duration,
    /// `--exit-first-match`: the first container that is there ends the wait.
    pub first: bool,
    /// `--ignore`: what does not exist counts as ended, with code -1.
    pub ignore: bool,
}

/// A state to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A state of its life.
    Status(Status),
    /// It is gone.
    Removed,
    /// Docker's: it ends after this moment.
    NextExit,
    /// Its health check says so (`healthy`); `true` for healthy.
    Health(bool),
}

impl Condition {
    /// Reads a word of `--condition`.
    pub fn parse(word: &str) -> Result<Condition> {
        Ok(match word {
            "removed" => Condition::Removed,
            "not-running" => Condition::Status(Status::Exited),
            "next-exit" => Condition::NextExit,
            "healthy" => Condition::Health(true),
            "unhealthy" => Condition::Health(false),
            _ => Condition::Status(super::filter::parse_status(word)?),
        })
    }
}

/// Waits for all (or the first) and gives their exit codes; -1 where a condition other than the end was met.
pub fn wait(ops: &Ops, options: &WaitOptions) -> Result<Vec<Done<i32>>> {
    let store = ops.containers()?;
    let picked = options.select.pick(store, |_| true)?;
    let absent = |error: &Error| options.ignore && is_not_found(error);
    if !options.first {
        let mut done = each(picked, |container| wait_one(store, container, options));
        for one in done.iter_mut().filter(|one| one.result.as_ref().is_err_and(absent)) {
            one.result = Ok(-1);
        }
        return Ok(done);
    }
    let (found, missing): (Vec<_>, Vec<_>) = picked.into_iter().partition(std::result::Result::is_ok);
    if let Some(Err((name, error))) = missing.into_iter().next() {
        let result = if absent(&error) { Ok(-1) } else { Err(error) };
        return Ok(vec![Done { name, result }]);
    }
    let chosen: Vec<_> = found.into_iter().flatten().collect();
    loop {
        for (name, container) in &chosen {
            if let Some(code) = look(store, container, options)? {
                return Ok(vec![Done { name: name.clone(), result: Ok(code) }]);
            }
        }
        std::thread::sleep(options.interval);
    }
}

fn wait_one(store: &Store, container: &Container, options: &WaitOptions) -> Result<i32> {
    if options.conditions == [Condition::Removed] && container.is_alive() {
        // Its code is known only as long as its record, or its supervisor, is there.
        let code = wait_for_end(store, container)?;
        while store.dir(&container.config.id).exists() {
            std::thread::sleep(options.interval);
        }
        return Ok(code);
    }
    // The end can be waited for without polling: the supervisor lets go of its lock.
    if options.conditions.is_empty() && container.is_alive() {
        return wait_for_end(store, container);
    }
    loop {
        if let Some(code) = look(store, container, options)? {
            return Ok(code);
        }
        std::thread::sleep(options.interval);
    }
}

/// Blocks on the supervisor's lock; a container that was removed on the way tells its code through its socket.
fn wait_for_end(store: &Store, container: &Container) -> Result<i32> {
    let run = store.run_dir(&container.config.id);
    if let Ok(info) = supervisor::watch(&run).and_then(supervisor::Handle::wait_exit) {
        super::alive::wait_for_supervisor(&run)?;
        return Ok(info.code);
    }
    super::alive::wait_for_supervisor(&run)?;
    match store.get(&container.config.id) {
        Ok(now) => Ok(now.state.exit_code),
        Err(error) if is_not_found(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// The code if a condition is met now.
fn look(store: &Store, then: &Container, options: &WaitOptions) -> Result<Option<i32>> {
    let now = match store.get(&then.config.id) {
        Ok(now) => now,
        Err(error) if is_not_found(&error) => return Ok(Some(then.state.exit_code)),
        Err(error) => return Err(error),
    };
    let default = [Condition::Status(Status::Exited)];
    let conditions = if options.conditions.is_empty() { &default[..] } else { &options.conditions };
    let met = conditions.iter().any(|condition| match condition {
        // A container that never ran has ended as far as waiting goes (Docker's `not-running`, podman's `stopped`).
        Condition::Status(Status::Exited) => !now.is_alive(),
        Condition::Status(status) => now.state.status == *status,
        Condition::NextExit => !now.is_alive() && now.state.finished > then.state.finished,
        Condition::Health(wanted) => {
            let word = if *wanted { "healthy" } else { "unhealthy" };
            now.state.health.as_ref().is_some_and(|health| health.status == word)
        }
        Condition::Removed => false,
    });
    let code = if now.is_alive() { -1 } else { now.state.exit_code };
    Ok(met.then_some(code))
}
