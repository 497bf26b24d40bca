//! Talking to a supervisor that runs already.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::frame::{self, Type};
use super::handle::failure;
use super::{Attach, Handle, SOCKET};
use crate::base::error::{Context, Result, bail};
use crate::sys::pty::Size;
use crate::sys::socket;

/// What a supervisor can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Do not restart the container any more, whatever the policy says; ends a back-off at once.
    NoRestart,
    /// Start the container that waits for it; one that runs already has been started.
    Start,
    /// Set the size of the container's terminal.
    Resize(Size),
    /// Send this signal to the container's first process.
    Signal(i32),
}

/// Asks the supervisor of the container with this run directory; returns once the request was carried out.
pub fn control(dir: &Path, request: Request) -> Result<()> {
    let conn = tell(dir, request)?;
    let mut reply = Vec::new();
    match frame::receive(&conn, &mut reply, true).context("hear from the supervisor")? {
        Some(Type::Done) => Ok(()),
        Some(Type::Failed) => Err(failure(&reply)),
        _ => bail!("the supervisor ended before it answered"),
    }
}

/// Asks without waiting for the answer, which comes over the connection.
pub(super) fn tell(dir: &Path, request: Request) -> Result<OwnedFd> {
    let conn = socket::connect_at(dir, SOCKET)?;
    let (kind, payload) = encode(request);
    frame::send(&conn, kind, &payload, true).context("ask the supervisor")?;
    Ok(conn)
}

fn encode(request: Request) -> (Type, Vec<u8>) {
    match request {
        Request::NoRestart => (Type::NoRestart, Vec::new()),
        Request::Start => (Type::Start, Vec::new()),
        Request::Resize(size) => (Type::Window, window(size)),
        Request::Signal(signal) => (Type::Signal, signal.to_ne_bytes().to_vec()),
    }
}

pub(super) fn window(size: Size) -> Vec<u8> {
    [size.rows.to_ne_bytes(), size.columns.to_ne_bytes()].concat()
}

/// Attaches to the streams of a running container: output from now on.
pub fn attach(dir: &Path, wants: Attach) -> Result<Handle> {
    let conn = socket::connect_at(dir, SOCKET)?;
    hello(&conn, wants)?;
    Ok(Handle { conn })
}

/// Connects only to hear of the container's end: see [`Handle::wait_exit`].
pub fn watch(dir: &Path) -> Result<Handle> {
    attach(dir, Attach::default())
}

fn hello(conn: &OwnedFd, wants: Attach) -> Result<()> {
    frame::send(conn, Type::Hello, &[wants.to_byte()], true).context("attach to the supervisor")
}

impl Attach {
    pub(super) fn to_byte(self) -> u8 {
        u8::from(self.stdin) | u8::from(self.stdout) << 1 | u8::from(self.stderr) << 2
    }

    pub(super) fn from_byte(byte: u8) -> Attach {
        Attach { stdin: byte & 1 != 0, stdout: byte & 2 != 0, stderr: byte & 4 != 0 }
    }

    /// Everything; input only if asked for.
    pub fn all(stdin: bool) -> Attach {
        Attach { stdin, stdout: true, stderr: true }
    }
}
