//! The container's streams, and the supervisor's ends of them.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

use super::{Stdio, Stream, Streams};
use crate::base::error::{Context, Result};

/// The supervisor's ends, all non-blocking: each has a file description of its own.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) input: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    /// `input` and `stdout` are a terminal.
    pub(super) terminal: bool,
}

impl Streams {
    /// The descriptors that were given to pass on.
    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let Streams::Files { stdin, stdout, stderr } = self else { return Vec::new() };
        let direct = |stream: &Stream| match stream {
            Stream::Direct(fd) => Some(fd.as_raw_fd()),
            _ => None,
        };
        [stdin, stdout, stderr].into_iter().filter_map(direct).collect()
    }

    /// Makes what the next launch needs. Direct descriptors are given away: the launch after that finds `/dev/null`.
    pub(super) fn prepare(&mut self) -> Result<(Stdio, Ends)> {
        let Streams::Files { stdin, stdout, stderr } = self else {
            return Ok((Stdio::Terminal, Ends { terminal: true, ..Ends::default() }));
        };
        let mut ends = Ends::default();
        let first = prepare(stdin, Direction::In, &mut ends.input)?;
        let second = prepare(stdout, Direction::Out, &mut ends.stdout)?;
        let third = prepare(stderr, Direction::Out, &mut ends.stderr)?;
        Ok((Stdio::Files([first, second, third]), ends))
    }

    /// Whether clients may send input.
    pub(super) fn takes_input(&self) -> bool {
        matches!(self, Streams::Terminal { stdin: true } | Streams::Files { stdin: Stream::Relay, .. })
    }
}

impl Ends {
    /// Takes over the terminal that the launch brought back.
    pub(super) fn set_master(&mut self, master: OwnedFd) -> Result<()> {
        // Another number for the same terminal: epoll watches input and output apart.
        self.input = Some(fcntl_dupfd_cloexec(&master, 3).context("duplicate the terminal")?);
        set_nonblocking(&master)?;
        self.stdout = Some(master);
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

fn prepare(stream: &mut Stream, direction: Direction, end: &mut Option<OwnedFd>) -> Result<OwnedFd> {
    match std::mem::replace(stream, Stream::Null) {
        Stream::Direct(fd) => Ok(fd),
        Stream::Null => null(),
        Stream::Relay => {
            *stream = Stream::Relay;
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
            let (theirs, ours) = if direction == Direction::In { (read, write) } else { (write, read) };
            set_nonblocking(&ours)?;
            *end = Some(ours);
            Ok(theirs)
        }
    }
}

/// `/dev/null` for reading and writing.
pub(super) fn null() -> Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/null").context("open `/dev/null`")?;
    Ok(file.into())
}

/// Only for descriptions that this process alone holds: the flag belongs to the description, not to the number.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> Result<()> {
    let flags = fcntl_getfl(fd).context("read descriptor flags")?;
    fcntl_setfl(fd, flags | OFlags::NONBLOCK).context("set descriptor flags")
}
