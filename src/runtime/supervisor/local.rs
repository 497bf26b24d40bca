//! The far side of `exec`: a process that this very command started.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::client::{Far, Got};
use super::frame::LIMIT;
use super::streams::Ends;
use super::{ExitInfo, client};
use crate::base::error::{Context, Result};
use crate::base::time::now;
use crate::runtime::log::Stream;
use crate::sys::event::pidfd_signal;
use crate::sys::pty::{self, Size};

/// A child process and our ends of its streams.
pub(super) struct Local {
    pub(super) pidfd: OwnedFd,
    pub(super) ends: Ends,
    ended: bool,
}

impl Local {
    pub(super) fn new(pidfd: OwnedFd, ends: Ends) -> Local {
        Local { pidfd, ends, ended: false }
    }

    /// The streams that are still open, in the order of [`Far::sources`].
    fn streams(&self) -> impl Iterator<Item = (Stream, &OwnedFd)> {
        let both = [(Stream::Stdout, &self.ends.stdout), (Stream::Stderr, &self.ends.stderr)];
        both.into_iter().filter_map(|(stream, fd)| fd.as_ref().map(|fd| (stream, fd)))
    }

    /// Reads one stream; a stream that ended is closed.
    fn read(&mut self, stream: Stream, buffer: &mut Vec<u8>) -> io::Result<Got> {
        let slot = match stream {
            Stream::Stdout => &mut self.ends.stdout,
            Stream::Stderr => &mut self.ends.stderr,
        };
        let Some(fd) = slot else { return Ok(Got::Nothing) };
        buffer.clear();
        buffer.reserve_exact(LIMIT);
        match rustix::io::read(fd, spare_capacity(buffer)) {
            Ok(_) if !buffer.is_empty() => Ok(Got::Output(stream)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Got::Nothing),
            _ => {
                *slot = None;
                Ok(Got::Nothing)
            }
        }
    }

    /// After the end of the process: what it left in its streams, and then its status.
    fn rest(&mut self, buffer: &mut Vec<u8>) -> io::Result<Got> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Got::Output(stream) = self.read(stream, buffer)? {
                return Ok(Got::Output(stream));
            }
        }
        Ok(wait(&self.pidfd).map_or_else(Got::Failed, Got::Exited))
    }
}

/// Reaps the process.
fn wait(pidfd: &OwnedFd) -> Result<ExitInfo> {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
        .context("wait for the process")?
        .context("wait for the process")?;
    let signal = status.terminating_signal();
    let code = signal.map_or_else(|| status.exit_status().unwrap_or(125), |signal| 128 + signal);
    Ok(ExitInfo { code, signal, oom_killed: false, finished: now(), trouble: Vec::new() })
}

impl Far for Local {
    fn sources(&self) -> Vec<BorrowedFd<'_>> {
        let streams = self.streams().map(|(_, fd)| fd.as_fd());
        streams.chain([self.pidfd.as_fd()]).collect()
    }

    fn receive(&mut self, source: usize, buffer: &mut Vec<u8>) -> io::Result<Got> {
        let stream = self.streams().nth(source).map(|(stream, _)| stream);
        match stream {
            Some(stream) if !self.ended => self.read(stream, buffer),
            _ => {
                self.ended = true;
                self.rest(buffer)
            }
        }
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        self.ends.input.as_ref().map(AsFd::as_fd)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.ends.input {
            Some(fd) => Ok(rustix::io::write(fd, bytes)?),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn end_of_input(&mut self) -> io::Result<()> {
        if !self.ends.terminal {
            self.ends.input = None;
        }
        Ok(())
    }

    fn resize(&mut self, size: Size) {
        if let (true, Some(master)) = (self.ends.terminal, &self.ends.stdout) {
            let _ = pty::set_size(master, size); // a terminal that ends now needs no size
        }
    }

    fn signal(&mut self, signal: i32) {
        let _ = pidfd_signal(&self.pidfd, signal); // what the kernel refuses, it would refuse the user
    }
}

/// Keeps a process's streams open and empty in a process of its own, so that it can go on without its user.
pub(super) fn hold(local: Local) -> Result<()> {
    use crate::sys::{fork, process};
    use std::os::fd::AsRawFd;
    if fork::fork().context("leave the process in the background")?.is_some() {
        return Ok(());
    }
    let fds = [
        Some(&local.pidfd),
        local.ends.stdout.as_ref(),
        local.ends.stderr.as_ref(),
        local.ends.input.as_ref(),
    ];
    let keep: Vec<i32> = fds.into_iter().flatten().map(AsRawFd::as_raw_fd).collect();
    if fork::detach().and_then(|()| Ok(process::close_from(3, &keep)?)).is_ok() {
        drain(local);
    }
    process::exit_now(0)
}

/// Reads until nobody writes any more. The process is no child of ours: its streams tell its end, or its pidfd.
fn drain(mut local: Local) {
    let mut buffer = Vec::new();
    loop {
        let fds: Vec<_> = local.sources().into_iter().map(|fd| (fd, rustix::event::PollFlags::IN)).collect();
        let Ok(ready) = crate::sys::event::wait_any(&fds, None) else { return };
        let streams: Vec<Stream> = local.streams().map(|(stream, _)| stream).collect();
        if ready.last().is_some_and(|flags| !flags.is_empty()) {
            return;
        }
        for stream in streams {
            let _ = local.read(stream, &mut buffer); // a stream that fails is closed by this
        }
    }
}

/// A session with a process of our own.
pub(super) type Session = client::Session<Local>;
