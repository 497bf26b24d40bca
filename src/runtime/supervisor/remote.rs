//! The far side of an attached command: a supervisor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use super::client::{Far, Got, exit_info};
use super::control::{Request, tell};
use super::frame::{self, Type};
use super::handle::{failure, vanished};
use crate::runtime::log::Stream;
use crate::sys::pty::Size;

/// A connection to a supervisor.
pub(super) struct Remote {
    conn: OwnedFd,
    dir: PathBuf,
}

impl Remote {
    pub(super) fn new(conn: OwnedFd, dir: PathBuf) -> Remote {
        Remote { conn, dir }
    }

    /// Signals and sizes go by a connection of their own: they must not wait behind input that the container does not
    /// read. Nor is the answer waited for: the supervisor may be waiting for us to take output. A supervisor that is about to end takes none, which its last word on the first connection tells.
    fn ask(&self, request: Request) {
        let _ = tell(&self.dir, request);
    }
}

impl Far for Remote {
    fn sources(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.conn.as_fd()]
    }

    fn receive(&mut self, _: usize, buffer: &mut Vec<u8>) -> io::Result<Got> {
        let kind = match frame::receive(&self.conn, buffer, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Nothing),
            other => other?,
        };
        Ok(match kind {
            Some(Type::Stdout) => Got::Output(Stream::Stdout),
            Some(Type::Stderr) => Got::Output(Stream::Stderr),
            Some(Type::Exited) => exit_info(buffer).map_or_else(Got::Failed, Got::Exited),
            Some(Type::Failed) => Got::Failed(failure(buffer)),
            Some(_) => Got::Nothing,
            None => Got::Failed(vanished()),
        })
    }

    fn input(&self) -> Option<BorrowedFd<'_>> {
        Some(self.conn.as_fd())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        frame::send(&self.conn, Type::Input, bytes, false).map(|()| bytes.len())
    }

    fn end_of_input(&mut self) -> io::Result<()> {
        frame::send(&self.conn, Type::EndOfInput, &[], false)
    }

    fn resize(&mut self, size: Size) {
        self.ask(Request::Resize(size));
    }

    fn signal(&mut self, signal: i32) {
        self.ask(Request::Signal(signal));
    }
}
