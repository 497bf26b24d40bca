//! A container of one command and no record: what `RUN` of a build runs in.
//!
//! It is made by the same code as any other, but the process that makes it stays with it in place of a supervisor, and
//! nobody else can find it.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::{network, prepare};
use crate::base::error::{Collected, Context, Result, bail};
use crate::container::record::Config;
use crate::container::record::State;
use crate::container::store::Container;
use crate::ops::context::Context as Ops;
use crate::runtime::supervisor::Stdio;
use crate::runtime::{self, cgroup};

/// A mount whose source is open already: the target as the record names it, and the detached mount.
pub type Mounted = (String, OwnedFd);

/// A running one. Dropping it without [`Transient::finish`] leaves its cgroup behind.
pub struct Transient {
    /// A pidfd of its first process, a child of this one.
    pub pidfd: OwnedFd,
    cgroup: Option<cgroup::Location>,
    network: Option<network::Connection>,
}

/// Starts a command as the record says, on this root file system. `dir` is its own directory, for the generated files.
/// The calling process must be single-threaded.
pub fn start(
    ops: &Ops,
    config: Config,
    dir: &Path,
    rootfs: OwnedFd,
    stdio: [OwnedFd; 3],
    mounts: Vec<Mounted>,
) -> Result<Transient> {
    let container = Container { dir: dir.to_owned(), config, state: State::default() };
    let mut launch = prepare::prepare_on(ops, &container, rootfs, Stdio::Files(stdio), false)?;
    let planned = launch.spec.mounts().as_deref().unwrap_or_default();
    for (target, fd) in mounts {
        match planned.iter().position(|mount| mount.destination() == Path::new(&target)) {
            Some(index) => launch.mount_fds.insert(index, fd),
            None => bail!("the mount on `{target}` is not planned"),
        };
    }
    let place = launch.cgroup.as_ref().map(|cgroup| cgroup.location().clone());
    match begin(&container, launch, dir) {
        Ok(begun) => Ok(begun),
        Err(error) => {
            if let Some(cgroup) = place.filter(|place| !place.is_none()).map(|place| place.open()) {
                let _ = cgroup.kill_all(); // the first error is the one to tell
                let _ = cgroup.remove();
            }
            Err(error)
        }
    }
}

fn begin(container: &Container, launch: runtime::Launch, dir: &Path) -> Result<Transient> {
    let mut created = runtime::create(launch)?;
    let cgroup = created.cgroup.as_ref().map(|cgroup| cgroup.location().clone());
    let pidfd = created.pidfd.try_clone().context("duplicate a pidfd")?;
    let network = network::connect(&container.config.network, created.pid, created.network.take(), dir)?;
    let transient = Transient { pidfd, cgroup, network };
    match created.start() {
        Ok(()) => Ok(transient),
        Err(error) => {
            let _ = transient.finish(); // the first error is the one to tell
            Err(error)
        }
    }
}

impl Transient {
    /// Ends what is left of it and removes what was made for it.
    pub fn finish(self) -> Result<()> {
        let mut all = Collected::default();
        if let Some(network) = self.network {
            all.note(network.end());
        }
        if let Some(cgroup) = self.cgroup.filter(|place| !place.is_none()).map(|place| place.open()) {
            all.note(cgroup.kill_all());
            all.note(cgroup.remove());
        }
        all.finish()
    }
}
