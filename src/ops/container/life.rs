//! A container's life as its supervisor leads it: launch, record, restart or end, clean up.
//!
//! Everything here runs in the supervisor, which was forked from the command: it opens what it needs anew.

use std::os::fd::RawFd;

use serde_json::json;

use super::health::{self, Monitor};
use super::{alive, network, prepare, rm};
use crate::base::error::{Collected, Context, Error, Result, render};
use crate::base::fs::{self, Durability};
use crate::base::time::now;
use crate::container::record::{RestartPolicy, State, Status};
use crate::container::store::{Container, Store};
use crate::event::Event;
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::runtime::supervisor::{ExitInfo, Lifecycle, Live, Next, Running, Stdio};
use crate::runtime::{self, cgroup};

/// See the module.
pub(super) struct Life {
    ops: Ops,
    store: Store,
    container: Container,
    attached: bool,
    attempt: Option<Attempt>,
    first: bool,
    monitor: Option<Monitor>,
}

/// What one launch made.
struct Attempt {
    created: Option<runtime::Created>,
    cgroup: Option<cgroup::Location>,
    network: Option<network::Connection>,
}

impl Life {
    /// Prepares the life of a container, to which the command that starts it may be attached; opens nothing.
    pub(super) fn new(ops: &Ops, container: Container, attached: bool) -> Result<Life> {
        let store = ops.containers()?.clone();
        let ops = ops.again();
        Ok(Life { ops, store, container, attached, attempt: None, first: true, monitor: None })
    }

    fn save(&mut self, state: State) -> Result<()> {
        self.store.save_state(&self.container.config.id, &state)?;
        self.container.state = state;
        Ok(())
    }

    /// Undoes what the last launch made, but for the container itself.
    fn undo(&mut self) -> Result<()> {
        if let Some(monitor) = self.monitor.take() {
            monitor.end();
        }
        let Some(attempt) = self.attempt.take() else { return Ok(()) };
        let mut all = Collected::default();
        if let Some(network) = attempt.network {
            all.note(network.end());
        }
        if let Some(cgroup) = attempt.cgroup.filter(|place| !place.is_none()).map(|place| place.open()) {
            all.note(cgroup.kill_all());
            all.note(cgroup.remove());
        }
        if let Some(path) = &self.container.config.pid_file {
            all.note(fs::remove_file(path));
        }
        all.finish()
    }
}

impl Lifecycle for Life {
    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn launch(&mut self, stdio: Stdio) -> Result<Running> {
        let first = std::mem::replace(&mut self.first, false);
        let run = self.store.run_dir(&self.container.config.id);
        let launch = prepare::prepare(&self.ops, &self.container, stdio, first)?;
        let place = launch.cgroup.as_ref().map(|cgroup| cgroup.location().clone());
        let attempt = self.attempt.insert(Attempt { created: None, cgroup: place, network: None });
        let mut created = runtime::create(launch)?;
        let pid = created.pid;
        let pidfd = created.pidfd.try_clone().context("duplicate a pidfd")?;
        let master = created.master.take();
        let namespace = created.network.take();
        attempt.cgroup = created.cgroup.as_ref().map(|cgroup| cgroup.location().clone());
        attempt.created = Some(created);
        attempt.network = network::connect(&self.container.config.network, pid, namespace, &run)?;
        if let Some(path) = &self.container.config.pid_file {
            fs::replace(path, pid.to_string().as_bytes(), 0o644, Durability::Volatile)?;
        }
        events::container(&self.ops, &self.container.config, "init");
        if first && self.attached {
            events::container(&self.ops, &self.container.config, "attach");
        }
        Ok(Running {
            pid,
            pidfd,
            master,
            cgroup: serde_json::to_value(&attempt.cgroup).context("record the cgroup")?,
            extra: json!({"network": attempt.network}),
        })
    }

    fn start(&mut self) -> Result<()> {
        let created = self.attempt.as_mut().and_then(|attempt| attempt.created.take());
        created.context("start a container that was not launched")?.start()
    }

    fn started(&mut self, running: &Live) -> Result<()> {
        let state = State {
            status: Status::Running,
            pid: running.pid,
            started: Some(running.started),
            finished: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restarts: running.restarts,
            stopped_by_user: false,
            initialised: true,
            ports: self.container.config.network.ports.clone(),
            ..self.container.state.clone()
        };
        self.save(state)?;
        events::container(&self.ops, &self.container.config, "start");
        self.monitor = Monitor::start(&self.ops, &self.container)?;
        Ok(())
    }

    fn failed(&mut self, error: &Error) {
        let state = State {
            status: if self.container.state.started.is_some() { Status::Exited } else { Status::Created },
            pid: 0,
            exit_code: i32::from(crate::base::error::kind_of(error).exit_code()),
            error: render(error),
            ..self.container.state.clone()
        };
        let _ = self.save(state); // the error that is on its way to the user matters more
        let _ = self.undo();
    }

    fn oom_killed(&mut self) -> bool {
        let cgroup = self.attempt.as_ref().and_then(|attempt| attempt.cgroup.as_ref());
        cgroup.is_some_and(|place| place.open().oom_killed())
    }

    fn exited(&mut self, info: &ExitInfo) -> Next {
        let run = self.store.run_dir(&self.container.config.id);
        let next = match health::restart_asked(&run) {
            true => Next::Restart,
            false => decide(self.container.config.restart, info, self.container.state.restarts),
        };
        let state = State {
            status: Status::Exited,
            pid: 0,
            finished: Some(now()),
            exit_code: info.code,
            oom_killed: info.oom_killed,
            error: info.trouble.join("; "),
            ..self.container.state.clone()
        };
        if self.container.config.auto_remove {
            self.container.state = state; // about to vanish: not worth a write
        } else if let Err(error) = self.save(state) {
            self.container.state.error = render(&error);
        }
        let died = events::about(&self.container.config, "died");
        events::tell(&self.ops, Event { exit_code: Some(info.code), ..died });
        let undone = self.undo();
        events::container(&self.ops, &self.container.config, "cleanup");
        match undone {
            Ok(()) => next,
            Err(_) if next == Next::End => next, // finish() reports what is left
            Err(_) => Next::End,
        }
    }

    fn finish(&mut self) -> Result<()> {
        let mut all = Collected::default();
        all.note(self.undo());
        let config = &self.container.config;
        // A container that never started stays (podman), unless its failure ended its only life.
        if config.auto_remove {
            let held = self.store.lock(&config.id);
            if all.note(held).is_some() && self.store.dir(&config.id).exists() {
                all.note(rm::remove_record(&self.ops, &self.store, config, true));
            }
        } else {
            all.note(alive::remove_run_dir(&self.store.run_dir(&config.id)));
        }
        all.finish()
    }
}

/// Applies the restart policy; a `stop` is weighed in by the supervisor.
fn decide(policy: RestartPolicy, info: &ExitInfo, restarts: u32) -> Next {
    let again = match policy {
        RestartPolicy::No => false,
        RestartPolicy::OnFailure(most) => info.code != 0 && (most == 0 || restarts < most),
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
    };
    if again { Next::Restart } else { Next::End }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_decide_by_code_and_count() {
        let info =
            |code| ExitInfo { code, signal: None, oom_killed: false, finished: now(), trouble: Vec::new() };
        let restarts = |policy, code, count| decide(policy, &info(code), count) == Next::Restart;
        assert!(!restarts(RestartPolicy::No, 1, 0));
        assert!(restarts(RestartPolicy::Always, 0, 99) && restarts(RestartPolicy::UnlessStopped, 0, 0));
        assert!(!restarts(RestartPolicy::OnFailure(0), 0, 0) && restarts(RestartPolicy::OnFailure(0), 1, 50));
        assert!(restarts(RestartPolicy::OnFailure(2), 1, 1) && !restarts(RestartPolicy::OnFailure(2), 1, 2));
    }
}
