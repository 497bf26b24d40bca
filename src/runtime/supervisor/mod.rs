//! The process that stays behind with a container: holds its streams, writes its log, serves `attach`, waits for
//! its end, restarts it, cleans up.
//!
//! [`spawn`] forks it (no exec: what the command has prepared is simply there), and it runs the [`Lifecycle`] that
//! the command hands over. Both ends talk over a socket pair in the [`frame`] protocol, which is also what
//! `attach.sock` speaks. The command may die at any moment without harm.
//!
//! ```text
//! <run>/containers/<id>/alive.lock    flock'd exclusively as long as the supervisor lives: the truth about liveness
//!                       live.json     who runs there: written by the supervisor, replaced by pause and stop
//!                       attach.sock   frames: attach clients, resize, signals, control
//! ```
//!
//! All three are volatile. The lock is taken by the command before the fork and inherited, so there is no gap in which
//! nobody holds it; it is released as the very last step, before the exit is told to whoever waits. A killed
//! supervisor releases it too: the container's processes, if any are left, are found through `live.json` by the next
//! command.
//!
//! Clients end with the life that they watched: when the container ends and a policy restarts it, they are told its
//! status and must attach again (as podman has it).

use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::lock::Lock;
use crate::runtime::log;
use crate::sys::pty::Size;

mod backoff;
pub mod client;
mod clients;
mod control;
pub mod exec;
pub mod frame;
mod handle;
pub mod keys;
mod live;
mod local;
mod relay;
mod remote;
mod spawn;
mod streams;
mod supervise;

pub use client::{ClientOptions, End, foreground};
pub use control::{Request, attach, control, watch};
pub use handle::Handle;
pub use keys::DetachKeys;
pub use live::{Live, Phase, process_start};
pub use spawn::spawn;

/// The lock file's name in the run directory.
pub const LOCK: &str = "alive.lock";
/// The socket's name in the run directory.
pub const SOCKET: &str = "attach.sock";

/// Everything that the supervisor needs to know.
pub struct Plan {
    /// The run directory of the container, which exists.
    pub dir: PathBuf,
    /// `alive.lock` in it, taken exclusively by the caller.
    pub lock: Lock,
    /// The container's standard streams.
    pub streams: Streams,
    /// Where output is kept.
    pub log: log::Settings,
    /// What the command that calls [`spawn`] is attached to; `None` for a detached start.
    pub attach: Option<Attach>,
    /// Initial window size, with [`Streams::Terminal`].
    pub size: Option<Size>,
    /// The container is killed after this long.
    pub timeout: Option<Duration>,
    /// Descriptors of the caller that the first launch takes over and closes (`--preserve-fds`).
    pub preserve_fds: Vec<RawFd>,
    /// Whether the first launch waits for [`Request::Start`] before its command executes.
    pub hold: bool,
    /// What to run.
    pub lifecycle: Box<dyn Lifecycle>,
}

/// The container's standard streams.
#[derive(Debug)]
pub enum Streams {
    /// A terminal of its own (`-t`). With `stdin` (`-i`) clients may type.
    Terminal {
        /// `-i`
        stdin: bool,
    },
    /// Three separate streams.
    Files {
        /// [`Stream::Relay`] for `-i`, [`Stream::Null`] without.
        stdin: Stream,
        /// Standard output.
        stdout: Stream,
        /// Standard error.
        stderr: Stream,
    },
}

/// One of three separate streams.
#[derive(Debug)]
pub enum Stream {
    /// `/dev/null`.
    Null,
    /// A pipe through the supervisor: log and clients.
    Relay,
    /// This very descriptor: native speed, end of file and SIGPIPE; no log, no clients. For pipes and files of the
    /// caller; never for its terminal (`TIOCSTI`). The supervisor keeps no copy, so a restart finds `/dev/null`.
    Direct(OwnedFd),
}

/// What a client wants of the container's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attach {
    /// Sends input.
    pub stdin: bool,
    /// Wants standard output (or the terminal).
    pub stdout: bool,
    /// Wants standard error.
    pub stderr: bool,
}

/// What the container's process gets.
#[derive(Debug)]
pub enum Stdio {
    /// A terminal that the runtime makes inside the container; [`Running::master`] brings back its other side.
    Terminal,
    /// Standard input, output and error.
    Files([OwnedFd; 3]),
}

/// A container that was launched.
#[derive(Debug)]
pub struct Running {
    /// Its first process, as the host (or the user namespace stage) sees it. A child of the supervisor.
    pub pid: i32,
    /// A pidfd of it.
    pub pidfd: OwnedFd,
    /// The other side of its terminal.
    pub master: Option<OwnedFd>,
    /// Where its cgroup is, opaque here: goes into `live.json`.
    pub cgroup: serde_json::Value,
    /// Whatever else a later command needs to know: goes into `live.json`.
    pub extra: serde_json::Value,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitInfo {
    /// Its exit code, 128+n for signal n.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// Whether the kernel killed it for memory.
    pub oom_killed: bool,
    /// When.
    pub finished: Timestamp,
    /// What went wrong without stopping anything: log records lost to a full disk, clean-up that failed.
    pub trouble: Vec<String>,
}

/// What to do after a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start it again (after the back-off), unless somebody stops that.
    Restart,
    /// That was all.
    End,
}

/// A container as the supervisor sees it: everything that needs more knowledge than processes and streams.
///
/// All of it runs in the supervisor. An implementation that owns descriptors must list them: all others of the command
/// are closed after the fork, so that no lock or pipe of the command lives on by accident.
pub trait Lifecycle {
    /// The descriptors that [`Lifecycle::launch`] and the rest will use.
    fn descriptors(&self) -> Vec<RawFd>;

    /// Makes the container, ready to execute its command but waiting, as a child of this process.
    fn launch(&mut self, stdio: Stdio) -> Result<Running>;

    /// Lets the launched container execute its command; the error's kind tells 126 from 127.
    fn start(&mut self) -> Result<()>;

    /// Called once the command executes and `live.json` is written.
    fn started(&mut self, running: &Live) -> Result<()>;

    /// A launch or start failed: records it and undoes what the attempt made. `finish` follows.
    fn failed(&mut self, error: &Error);

    /// Whether the kernel killed something of the container for memory; asked when it has ended.
    fn oom_killed(&mut self) -> bool {
        false
    }

    /// Records the end. Asked also when a restart is out of the question (a stop was asked for).
    fn exited(&mut self, info: &ExitInfo) -> Next;

    /// Undoes everything: mounts, network, cgroup, and with `--rm` the container. The lock is released right after.
    fn finish(&mut self) -> Result<()>;
}

#[cfg(test)]
mod tests;
