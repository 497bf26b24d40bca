//! `start`: forks the supervisor of a container and waits until its command executes.

use std::os::fd::OwnedFd;
use std::time::Duration;

use super::alive::{self, Alive};
use super::life::Life;
use super::logs;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::base::lock::Lock;
use crate::container::record::LogDriver;
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::runtime::log;
use crate::runtime::supervisor::{self, Attach, Handle, LOCK, Plan, Stream, Streams};
use crate::sys::{pty, term};

/// Who watches the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    /// What the command is attached to; `None` leaves the container in the background.
    pub attach: Option<Attach>,
    /// The container will be gone with its end (`run --rm`): pipes and files of the command are handed straight to
    /// it, at native speed, since nobody can read its log later.
    pub direct: bool,
    /// `init`: its command waits for the start.
    pub hold: bool,
}

/// A container that was started.
pub struct Started {
    /// The supervisor, as the command hears of it.
    pub handle: Handle,
    /// The streams that come through it.
    pub attach: Attach,
}

/// Starts a container whose lock is held. From the moment that the supervisor's lock is taken it protects the
/// container, and the container's own is free for the supervisor, which needs it to clean up.
///
/// # Errors
/// [`Kind::NoCommand`] and [`Kind::NotExecutable`] when the command cannot be executed; nothing stays behind then.
pub fn start(ops: &Ops, container: &mut Container, held: Lock, how: How) -> Result<Started> {
    let store = ops.containers()?;
    alive::sweep(store, container)?;
    start_dependencies(ops, store, container)?;
    let run = store.run_dir(&container.config.id);
    fs::create_dir_all(&run)?;
    let lock = take_life(&run, &container.config.name)?;
    drop(held);
    let config = &container.config;
    let streams = streams(container, how)?;
    let attach = how.attach.map(|attach| relayed(attach, &streams));
    let plan = Plan {
        dir: run,
        lock,
        streams,
        log: logs::settings(store, config).unwrap_or_else(no_log),
        attach,
        size: config.process.tty.then(|| pty::size(rustix::stdio::stdin())).flatten(),
        timeout: (config.timeout > 0).then(|| Duration::from_secs(config.timeout)),
        preserve_fds: config.process.preserve_fd.clone(),
        hold: how.hold,
        lifecycle: Box::new(Life::new(ops, container.clone(), how.attach.is_some())?),
    };
    let mut handle = supervisor::spawn(plan)?;
    handle.wait_started()?;
    Ok(Started { handle, attach: attach.unwrap_or_default() })
}

/// What is left for the command to copy: a stream that the container has itself must not be read by two.
fn relayed(attach: Attach, streams: &Streams) -> Attach {
    let Streams::Files { stdin, stdout, stderr } = streams else { return attach };
    let relay = |stream: &Stream| matches!(stream, Stream::Relay);
    Attach {
        stdin: attach.stdin && relay(stdin),
        stdout: attach.stdout && relay(stdout),
        stderr: attach.stderr && relay(stderr),
    }
}

/// Takes the lock that means alive. Somebody may hold it for a moment only to see whether it is free.
fn take_life(run: &std::path::Path, name: &str) -> Result<Lock> {
    for _ in 0..50 {
        if let Some(lock) = Lock::try_exclusive(&run.join(LOCK))? {
            return Ok(lock);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(fail(Kind::Failed, format!("container `{name}` is running already")))
}

fn no_log() -> log::Settings {
    log::Settings { driver: log::Driver::None, ..log::Settings::default() }
}

/// Containers that this one shares something with must run first.
fn start_dependencies(ops: &Ops, store: &Store, container: &Container) -> Result<()> {
    for id in &container.config.depends {
        let mut other = store.get(id).with_context(|| {
            format!(
                "start container `{}`: it needs container {}",
                container.config.name,
                crate::base::id::short(id)
            )
        })?;
        if Alive::find(store, &other)?.is_some() {
            continue;
        }
        let held = store.lock(id)?;
        start(ops, &mut other, held, How::default())?;
    }
    Ok(())
}

/// Decides for each stream whether it goes through the supervisor.
fn streams(container: &Container, how: How) -> Result<Streams> {
    let process = &container.config.process;
    let driver = container.config.log.driver;
    if process.tty && driver != LogDriver::PassthroughTty {
        return Ok(Streams::Terminal { stdin: process.stdin_open });
    }
    let passthrough = matches!(driver, LogDriver::Passthrough | LogDriver::PassthroughTty);
    let attach = how.attach.unwrap_or_default();
    let direct = |wanted: bool, fd| own(fd, wanted && (passthrough || how.direct), passthrough);
    let stdin = match direct(attach.stdin, rustix::stdio::stdin())? {
        Some(fd) if process.stdin_open => Stream::Direct(fd),
        _ if process.stdin_open => Stream::Relay,
        _ => Stream::Null,
    };
    let out = |wanted, fd| {
        Ok::<_, crate::base::error::Error>(direct(wanted, fd)?.map_or(Stream::Relay, Stream::Direct))
    };
    Ok(Streams::Files {
        stdin,
        stdout: out(attach.stdout || passthrough, rustix::stdio::stdout())?,
        stderr: out(attach.stderr || passthrough, rustix::stdio::stderr())?,
    })
}

/// A copy of one of the command's streams, if it may be handed to the container: never a terminal (TIOCSTI), and
/// without being asked for passthrough only pipes and sockets, which lead nowhere else: a regular file could be
/// reopened by the container with other rights.
fn own(fd: std::os::fd::BorrowedFd<'_>, wanted: bool, any_file: bool) -> Result<Option<OwnedFd>> {
    use rustix::fs::{FileType, fstat};
    if !wanted || term::is_terminal(fd) {
        return Ok(None);
    }
    let Ok(stat) = fstat(fd) else { return Ok(None) }; // closed by whoever started us
    let kind = FileType::from_raw_mode(stat.st_mode);
    if !any_file && kind != FileType::Fifo {
        return Ok(None);
    }
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map(Some).context("duplicate a standard stream")
}

/// Refuses what the passthrough drivers cannot do.
pub fn check_passthrough(container: &Container) -> Result<()> {
    let process = &container.config.process;
    if container.config.log.driver == LogDriver::Passthrough
        && (process.tty || term::is_terminal(rustix::stdio::stdin()))
    {
        return Err(fail(Kind::Usage, "log driver `passthrough` cannot be used on a terminal")
            .hint("use `passthrough-tty`, or another driver"));
    }
    Ok(())
}
