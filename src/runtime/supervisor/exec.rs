//! The streams of `exec`: this command is the parent of the process and relays by itself, without a supervisor.
//!
//! ```text
//! let (stdio, streams) = exec::streams(tty, stdin)?;
//! let child = runtime::exec(…stdio…)?;
//! let end = streams.run(child.pidfd, child.master, …)?;
//! ```

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io::fcntl_dupfd_cloexec;

use super::local::{self, Local};
use super::streams::Ends;
use super::{Attach, ClientOptions, DetachKeys, End, Stdio, Stream, Streams};
use crate::base::error::{Context, Result, bail};
use crate::sys::pty::{self, Size};
use crate::sys::term;

/// Our side of the streams of a process to be.
#[derive(Debug)]
pub struct Relay {
    ends: Ends,
    tty: bool,
    stdin: bool,
}

/// Makes the streams for a process: with `tty` a terminal of its own; without, this command's own descriptors, but for
/// those that are a terminal: these are never handed out (`TIOCSTI`) and relayed through pipes.
pub fn streams(tty: bool, stdin: bool) -> Result<(Stdio, Relay)> {
    let mut streams = if tty {
        Streams::Terminal { stdin }
    } else {
        Streams::Files {
            stdin: if stdin { own(rustix::stdio::stdin())? } else { Stream::Null },
            stdout: own(rustix::stdio::stdout())?,
            stderr: own(rustix::stdio::stderr())?,
        }
    };
    let (stdio, ends) = streams.prepare()?;
    Ok((stdio, Relay { ends, tty, stdin }))
}

/// Streams for a process that nobody watches (`exec -d`).
pub fn detached() -> Result<Stdio> {
    let null = || super::streams::null();
    Ok(Stdio::Files([null()?, null()?, null()?]))
}

fn own(fd: std::os::fd::BorrowedFd<'_>) -> Result<Stream> {
    match fcntl_dupfd_cloexec(fd, 3) {
        Ok(fd) if term::is_terminal(&fd) => Ok(Stream::Relay),
        Ok(fd) => Ok(Stream::Direct(fd)),
        Err(rustix::io::Errno::BADF) => Ok(Stream::Null), // closed by whoever started us
        Err(error) => Err(error).context("duplicate a standard stream"),
    }
}

impl Relay {
    /// The size that the process's terminal should have from the start.
    pub fn size(&self) -> Option<Size> {
        if !self.tty {
            return None;
        }
        pty::size(rustix::stdio::stdin()).or_else(|| pty::size(rustix::stdio::stdout()))
    }

    /// Relays until the process ends or the user leaves it in the background.
    pub fn run(
        mut self,
        pidfd: OwnedFd,
        master: Option<OwnedFd>,
        detach_keys: DetachKeys,
        sig_proxy: bool,
    ) -> Result<End> {
        if let Some(master) = master {
            self.ends.set_master(master)?;
        } else if self.tty {
            bail!("the process was started without the terminal that was asked for");
        }
        let relayed_input = self.ends.input.is_some();
        let attach = Attach { stdin: self.stdin && relayed_input, stdout: true, stderr: true };
        let options = ClientOptions { dir: PathBuf::new(), tty: self.tty, attach, detach_keys, sig_proxy };
        let session = local::Session::begin(Local::new(pidfd, self.ends), options)?;
        let (end, local) = session.run_and_return()?;
        if let End::Detached = end {
            local::hold(local)?;
        }
        Ok(end)
    }
}
