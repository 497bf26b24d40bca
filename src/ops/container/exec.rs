//! `exec`: another process in a running container. This command is its parent and relays its streams itself.

use std::os::fd::OwnedFd;

use super::alive::Alive;
use super::run::Outcome;
use crate::base::error::{Context, Kind, Result, fail};
use crate::container::record::{Config, Status};
use crate::container::store::Container;
use crate::event::Event;
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::ops::spec;
use crate::runtime;
use crate::runtime::supervisor::{DetachKeys, End, Stdio, exec as streams};
use crate::sys::rootdir::RootDir;

/// What to run, and how.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// Name or id of the container.
    pub container: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// `--env`, `NAME=value`, complete.
    pub env: Vec<String>,
    /// `--workdir`
    pub workdir: Option<String>,
    /// `--user`
    pub user: Option<String>,
    /// `--privileged`
    pub privileged: bool,
    /// `--tty`
    pub tty: bool,
    /// `--interactive`
    pub interactive: bool,
    /// `--detach`
    pub detach: bool,
    /// `--detach-keys`
    pub detach_keys: Option<String>,
    /// `--preserve-fds`, `--preserve-fd`: the caller's descriptors that pass.
    pub preserve_fd: Vec<i32>,
}

/// Runs the process; in the foreground, until it ends or the user leaves it.
pub fn exec(ops: &Ops, options: &ExecOptions) -> Result<Outcome> {
    let store = ops.containers()?;
    let container = store.resolve(&options.container)?;
    let alive = Alive::of(store, &container)?;
    if container.state.status == Status::Paused {
        let name = &container.config.name;
        return Err(fail(Kind::Failed, format!("container `{name}` is paused: unpause it first")));
    }
    if container.state.status == Status::Initialized {
        let name = &container.config.name;
        return Err(fail(Kind::Failed, format!("container `{name}` is not running: it waits for its start")));
    }
    let keys =
        DetachKeys::parse(options.detach_keys.as_deref().unwrap_or(&container.config.process.detach_keys))?;
    if options.detach {
        launch(&container, alive, options, streams::detached()?)?;
        events::container(ops, &container.config, "exec");
        return Ok(Outcome::Background);
    }
    let (stdio, relay) = streams::streams(options.tty, options.interactive)?;
    let child = launch(&container, alive, options, stdio)?;
    events::container(ops, &container.config, "exec");
    match relay.run(child.pidfd, child.master, keys, !options.tty)? {
        End::Exited(info) => {
            let died = events::about(&container.config, "exec_died");
            events::tell(ops, Event { exit_code: Some(info.code), ..died });
            Ok(Outcome::Exited(info))
        }
        End::Detached => Ok(Outcome::Background),
    }
}

pub(super) fn launch(
    container: &Container,
    alive: Alive,
    options: &ExecOptions,
    stdio: Stdio,
) -> Result<runtime::Child> {
    let config = wanted(&container.config, options);
    let identity = spec::user::resolve(&root_of(&alive)?, &config)?;
    let process = spec::process(&config, &identity, &spec::hostname(&config).0)?;
    // The filter is the container's own, as with podman: --privileged gives capabilities only.
    let own = &container.config;
    let granted = spec::caps::bounding(&own.security)?;
    let mut cgroup = alive.cgroup()?;
    if let Some(cgroup) = &mut cgroup {
        cgroup.prepare()?;
    }
    runtime::exec(runtime::ExecRequest {
        pid: alive.live.pid,
        pidfd: alive.pidfd,
        process,
        stdio: runtime_stdio(stdio),
        cgroup,
        preserve_fds: preserved(&options.preserve_fd)?,
        filter: None,
        seccomp: spec::filter(own, &granted)?,
        personality: spec::personality(own)?,
        keep_groups: spec::keeps_groups(&config),
        clamp_rlimits: spec::clamped(&config.process.ulimits)?,
    })
}

/// The supervisor's words for streams in the runtime's.
pub fn runtime_stdio(stdio: Stdio) -> runtime::Stdio {
    match stdio {
        Stdio::Terminal => runtime::Stdio::Terminal,
        Stdio::Files(files) => runtime::Stdio::Files(files),
    }
}

/// The root file system as the container's first process sees it.
fn root_of(alive: &Alive) -> Result<RootDir> {
    let path = format!("/proc/{}/root", alive.live.pid);
    RootDir::open(std::path::Path::new(&path)).with_context(|| format!("open `{path}`"))
}

/// The container's record with what exec changes: its own command, terminal, user, directory, variables.
fn wanted(config: &Config, options: &ExecOptions) -> Config {
    let mut config = config.clone();
    let process = &mut config.process;
    process.entrypoint = Vec::new();
    process.command = options.command.clone();
    process.tty = options.tty;
    process.stdin_open = options.interactive;
    let has_term = process.env.iter().any(|line| line.starts_with("TERM="));
    if options.tty && !has_term {
        process.env.push("TERM=xterm".into());
    }
    process.env.extend(options.env.iter().cloned());
    if let Some(workdir) = &options.workdir {
        process.workdir = workdir.clone();
        process.workdir_from_image = false;
    }
    if let Some(user) = &options.user {
        process.user = user.clone();
        process.groups.clear();
    }
    if options.privileged {
        config.security.privileged = true;
    }
    config
}

/// The caller's descriptors of these numbers.
pub fn preserved(numbers: &[i32]) -> Result<Vec<OwnedFd>> {
    numbers
        .iter()
        .map(|number| {
            crate::sys::process::own(*number)
                .with_context(|| format!("preserve descriptor {number}: is it open?"))
        })
        .collect()
}
