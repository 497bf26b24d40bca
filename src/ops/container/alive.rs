//! A container that lives: its first process behind a pidfd, its supervisor behind a lock.
//!
//! A supervisor that was killed leaves `live.json` behind without its lock. Whoever touches the container next
//! ends what is left of it ([`sweep`]): a container without supervisor has no log, no attach and no recorded end.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::network;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs;
use crate::base::lock::{self, Lock};
use crate::container::record::{State, Status};
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::runtime::cgroup;
use crate::runtime::supervisor::{self, LOCK, Live, Request};
use crate::sys::{event, process};

/// How long the end of a supervisor may take after its container ended; it only cleans up then.
const PATIENCE: Duration = Duration::from_secs(60);

/// A living container.
#[derive(Debug)]
pub struct Alive {
    /// What the supervisor wrote down.
    pub live: Live,
    /// The first process.
    pub pidfd: OwnedFd,
    /// `<run>/containers/<id>`
    pub run: PathBuf,
}

impl Alive {
    /// Finds the living container; an error of kind `InUse`-free wording where it does not live.
    pub fn of(store: &Store, container: &Container) -> Result<Alive> {
        let name = &container.config.name;
        match Alive::find(store, container)? {
            Some(alive) => Ok(alive),
            None => Err(fail(Kind::Failed, format!("container `{name}` is not running"))),
        }
    }

    /// Finds the living container, if it lives.
    pub fn find(store: &Store, container: &Container) -> Result<Option<Alive>> {
        let run = store.run_dir(&container.config.id);
        if !lock::is_held(&run.join(LOCK))? {
            return Ok(None);
        }
        let Some(live) = Live::load(&run)? else { return Ok(None) };
        Ok(open(&live)?.map(|pidfd| Alive { live, pidfd, run }))
    }

    /// Sends a signal to the first process. One that just ended is no error.
    pub fn signal(&self, signal: i32) -> Result<()> {
        match process::pidfd_send_signal(self.pidfd.as_fd(), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            // In another stage than the container's, a process of one of its users is out of reach but for its
            // supervisor.
            Err(rustix::io::Errno::PERM) => supervisor::control(&self.run, Request::Signal(signal)),
            Err(error) => {
                Err(error).with_context(|| format!("send signal {signal} to pid {}", self.live.pid))
            }
        }
    }

    /// Waits for the end of the first process; says whether it came in time.
    pub fn ended_within(&self, patience: Option<Duration>) -> Result<bool> {
        let watched = [(self.pidfd.as_fd(), PollFlags::IN)];
        let ready = event::wait_any(&watched, patience).context("wait for a container's process")?;
        Ok(ready.iter().any(|flags| !flags.is_empty()))
    }

    /// The container's cgroup, where it has one.
    pub fn cgroup(&self) -> Result<Option<cgroup::Handle>> {
        cgroup_of(&self.live)
    }
}

/// Opens the cgroup that a live record names.
fn cgroup_of(live: &Live) -> Result<Option<cgroup::Handle>> {
    if live.cgroup.is_null() {
        return Ok(None);
    }
    let location: cgroup::Location =
        serde_json::from_value(live.cgroup.clone()).context("read where the container's cgroup is")?;
    Ok(Some(location.open()))
}

/// A pidfd of the recorded process; `None` when it is gone or its number belongs to another process now.
fn open(live: &Live) -> Result<Option<OwnedFd>> {
    if live.pid <= 0 {
        return Ok(None);
    }
    match process::pidfd_open(live.pid) {
        // Checked after the pidfd is open: from here on the number cannot be reused unnoticed.
        Ok(pidfd) => Ok(live.process_exists().then_some(pidfd)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("open pid {}", live.pid)),
    }
}

/// The supervisor of the first of these containers that lives, whose stage is to be entered.
pub fn beside(ops: &Ops, ids: &[String]) -> Result<Option<i32>> {
    if !ops.roots.rootless {
        return Ok(None);
    }
    let store = ops.containers()?;
    for id in ids {
        if let Ok(container) = store.get(id)
            && let Some(alive) = Alive::find(store, &container)?
        {
            return Ok(Some(alive.live.supervisor));
        }
    }
    Ok(None)
}

/// Waits until the supervisor has cleaned up and let go of its lock.
pub fn wait_for_supervisor(run: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(100);
    while lock::is_held(&run.join(LOCK))? {
        if Instant::now() > deadline {
            return Err(fail(Kind::Failed, format!("the supervisor of `{}` does not end", run.display())));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// Ends what a killed supervisor left of a container, and records the end. The container's lock is held.
///
/// Returns whether there was something.
pub fn sweep(store: &Store, container: &mut Container) -> Result<bool> {
    let run = store.run_dir(&container.config.id);
    if !run.exists() {
        return Ok(false);
    }
    let _held = match Lock::try_exclusive(&run.join(LOCK)) {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(false),
        Err(_) if !run.exists() => return Ok(false), // its supervisor cleaned up at this very moment
        Err(error) => return Err(error),
    };
    if let Some(live) = Live::load(&run)? {
        end(&live)?;
    }
    network::end_unnoted(&run)?;
    record_unseen_end(store, container)?;
    remove_run_dir(&run)?;
    Ok(true)
}

/// Kills the first process, which takes its pid namespace with it, and whatever shares its cgroup.
fn end(live: &Live) -> Result<()> {
    let cgroup = cgroup_of(live)?;
    if let Some(pidfd) = open(live)? {
        let _ = process::pidfd_send_signal(pidfd.as_fd(), 9); // gone already is as good
        event::wait_any(&[(pidfd.as_fd(), PollFlags::IN)], Some(PATIENCE))
            .context("wait for a container's process")?;
    }
    if let Ok(network) = serde_json::from_value::<network::Connection>(live.extra["network"].clone()) {
        network.end()?;
    }
    if let Some(cgroup) = cgroup {
        cgroup.kill_all()?;
        cgroup.remove()?;
    }
    Ok(())
}

fn record_unseen_end(store: &Store, container: &mut Container) -> Result<()> {
    let state = State {
        status: Status::Exited,
        pid: 0,
        finished: Some(crate::base::time::now()),
        error: "its supervisor was killed".into(),
        ..container.state.clone()
    };
    store.save_state(&container.config.id, &state)?;
    container.state = state;
    Ok(())
}

/// Removes a run directory: a handful of files.
pub fn remove_run_dir(run: &Path) -> Result<()> {
    for entry in fs::read_dir(run)? {
        fs::remove_file(&entry.path())?;
    }
    match std::fs::remove_dir(run) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", run.display()))
        }
        _ => Ok(()),
    }
}
