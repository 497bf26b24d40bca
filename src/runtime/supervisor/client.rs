//! The user's side: copies between the command's own streams and a container's, minds the terminal, the signals and
//! job control.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;

use super::frame::LIMIT;
use super::keys::Typed;
use super::{Attach, DetachKeys, ExitInfo, Handle, remote};
use crate::base::error::{Context, Error, Kind, Result, fail};
use crate::runtime::log::Stream;
use crate::sys::event::{self, Signals, wait_any};
use crate::sys::pty::Size;
use crate::sys::term::{self, RawMode};

/// How often a command in the background looks whether it may read its terminal again.
const BACKGROUND: Duration = Duration::from_millis(500);

/// How to attach.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// The container's run directory, for what must not queue behind input (signals, window sizes).
    pub dir: PathBuf,
    /// The container has a terminal.
    pub tty: bool,
    /// What was asked for when the connection was made.
    pub attach: Attach,
    /// How the user leaves a terminal.
    pub detach_keys: DetachKeys,
    /// Signals that this command gets go to the container (not with a terminal, where keys make signals inside).
    pub sig_proxy: bool,
}

/// How being attached ended.
#[derive(Debug)]
pub enum End {
    /// The container ended.
    Exited(ExitInfo),
    /// The user left by the detach keys.
    Detached,
}

/// What came from the far side.
pub(super) enum Got {
    /// Bytes in the buffer.
    Output(Stream),
    /// It ended.
    Exited(ExitInfo),
    /// It could not be started, or its supervisor is gone.
    Failed(Error),
    /// Nothing to do.
    Nothing,
}

/// The far side of a session: a supervisor, or a process of our own (`exec`).
pub(super) trait Far {
    /// What to wait for.
    fn sources(&self) -> Vec<BorrowedFd<'_>>;
    /// Reads from the source with this number.
    fn receive(&mut self, source: usize, buffer: &mut Vec<u8>) -> io::Result<Got>;
    /// Where input goes; `None` when nobody takes any.
    fn input(&self) -> Option<BorrowedFd<'_>>;
    /// Sends input: how much was taken, or `WouldBlock`.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Tells that there is no more input; `WouldBlock` when that has to wait.
    fn end_of_input(&mut self) -> io::Result<()>;
    /// The window changed.
    fn resize(&mut self, size: Size);
    /// A signal for the process.
    fn signal(&mut self, signal: i32);
}

/// Attaches this command's standard streams to a container until it ends or the user leaves.
///
/// A closed standard output is an error of [`Kind::ClosedPipe`]; the container goes on, as with docker and podman.
pub fn foreground(handle: Handle, options: ClientOptions) -> Result<End> {
    let far = remote::Remote::new(handle.conn, options.dir.clone());
    Session::begin(far, options)?.run()
}

/// Reads the last word of a supervisor.
pub(super) fn exit_info(payload: &[u8]) -> Result<ExitInfo> {
    serde_json::from_slice(payload).context("read the exit status from the supervisor")
}

pub(super) struct Session<F> {
    far: F,
    options: ClientOptions,
    signals: Signals,
    proxy: bool,
    raw: Option<RawMode>,
    /// Standard input is still to be read.
    reading: bool,
    input: Vec<u8>,
    taken: usize,
    /// The end of our input is still to be told.
    ending: bool,
    buffer: Vec<u8>,
    left: bool,
}

impl<F: Far> Session<F> {
    pub(super) fn begin(far: F, options: ClientOptions) -> Result<Session<F>> {
        let stdin = rustix::stdio::stdin();
        let proxy = options.sig_proxy && !options.tty;
        let signals = Signals::catch(&if proxy { proxied() } else { own() })?;
        let raw = options.tty && options.attach.stdin && term::is_terminal(stdin);
        let raw = if raw { Some(RawMode::enter(stdin)?) } else { None };
        let reading = options.attach.stdin;
        let mut session = Session {
            far,
            options,
            signals,
            proxy,
            raw,
            reading,
            input: Vec::new(),
            taken: 0,
            ending: false,
            buffer: Vec::new(),
            left: false,
        };
        session.send_size();
        Ok(session)
    }

    pub(super) fn run(mut self) -> Result<End> {
        self.run_on()
    }

    /// Runs and gives the far side back as well.
    pub(super) fn run_and_return(mut self) -> Result<(End, F)> {
        let end = self.run_on()?;
        Ok((end, self.far))
    }

    fn run_on(&mut self) -> Result<End> {
        loop {
            if let Some(end) = self.turn()? {
                return Ok(end);
            }
            if self.left {
                return Ok(End::Detached);
            }
        }
    }

    /// One wait and all that came of it.
    fn turn(&mut self) -> Result<Option<End>> {
        let pending = self.ending || self.taken < self.input.len();
        let background = self.reading && self.in_background();
        let far_input = if pending { self.far.input() } else { None };
        let stdin = rustix::stdio::stdin();
        let mut fds = vec![(self.signals.as_fd(), PollFlags::IN)];
        fds.extend(far_input.map(|fd| (fd, PollFlags::OUT)));
        let reads = self.reading && !pending && !background;
        fds.extend(reads.then_some((stdin, PollFlags::IN)));
        let fixed = fds.len();
        fds.extend(self.far.sources().into_iter().map(|fd| (fd, PollFlags::IN)));
        let ready = wait_any(&fds, background.then_some(BACKGROUND)).context("wait for the container")?;
        let has_far_input = far_input.is_some();
        self.handle_signals();
        if has_far_input && !ready[1].is_empty() {
            self.forward()?;
        }
        // Output first: what is there is shown before an end that came with it.
        for (source, _) in ready[fixed..].iter().enumerate().filter(|(_, flags)| !flags.is_empty()) {
            if let Some(end) = self.receive(source)? {
                return Ok(Some(end));
            }
        }
        if reads && !ready[fixed - 1].is_empty() {
            self.read_input()?;
        }
        Ok(None)
    }

    fn in_background(&self) -> bool {
        let stdin = rustix::stdio::stdin();
        term::is_terminal(stdin) && !term::in_foreground(stdin)
    }

    fn receive(&mut self, source: usize) -> Result<Option<End>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let got = self.far.receive(source, &mut buffer).context("hear from the container")?;
        let end = match got {
            Got::Output(stream) => self.show(stream, &buffer).map(|()| None),
            Got::Exited(info) => Ok(Some(End::Exited(info))),
            Got::Failed(error) => Err(error),
            Got::Nothing => Ok(None),
        };
        self.buffer = buffer;
        end
    }

    /// Writes to our own stream. It may block as long as its reader likes; a signal interrupts that and is minded.
    fn show(&mut self, stream: Stream, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let fd = match stream {
                Stream::Stdout => rustix::stdio::stdout(),
                Stream::Stderr => rustix::stdio::stderr(),
            };
            match rustix::io::write(fd, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => self.handle_signals(),
                // Somebody who shares the description made it non-blocking.
                Err(Errno::AGAIN) => {
                    wait_any(&[(fd, PollFlags::OUT), (self.signals.as_fd(), PollFlags::IN)], None)
                        .context("wait for our output")?;
                    self.handle_signals();
                }
                Err(Errno::PIPE) => return Err(fail(Kind::ClosedPipe, "the reader of our output is gone")),
                Err(error) => return Err(error).with_context(|| format!("write {}", stream.word())),
            }
        }
        Ok(())
    }

    fn read_input(&mut self) -> Result<()> {
        self.input.resize(LIMIT, 0);
        self.taken = 0;
        let read = match rustix::io::read(rustix::stdio::stdin(), &mut self.input) {
            Ok(read) => read,
            Err(Errno::INTR | Errno::AGAIN) => {
                self.input.clear();
                return Ok(());
            }
            Err(Errno::IO | Errno::BADF) => 0, // the terminal hung up, or there never was an input
            Err(error) => return Err(error).context("read standard input"),
        };
        self.input.truncate(read);
        if read == 0 {
            self.reading = false;
            self.ending = true;
            return self.forward();
        }
        if self.options.tty {
            self.look_for_detach();
        }
        self.forward()
    }

    fn look_for_detach(&mut self) {
        self.input = match self.options.detach_keys.feed(&self.input) {
            Typed::Forward(bytes) => bytes,
            Typed::Detach(bytes) => {
                self.left = true;
                bytes
            }
        };
    }

    /// Sends what was read as far as there is room.
    fn forward(&mut self) -> Result<()> {
        while self.taken < self.input.len() {
            match self.far.send(&self.input[self.taken..]) {
                Ok(sent) => self.taken += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_closed(&error) => {
                    self.input.clear(); // the end of the process, or of its input, is told otherwise
                    self.reading = false;
                }
                Err(error) => return Err(error).context("send input to the container"),
            }
        }
        // Never waiting: the room comes when the container reads, which may need us to take its output first.
        if self.ending {
            let told = self.far.end_of_input();
            self.ending = told.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        }
        Ok(())
    }

    fn handle_signals(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                libc::SIGWINCH => self.send_size(),
                libc::SIGTSTP => self.pause(),
                libc::SIGCONT => self.go_on(),
                _ if self.proxy => self.far.signal(signal),
                _ => self.die(signal),
            }
        }
    }

    /// Job control: the user's shell gets its terminal as it was, and gets control.
    fn pause(&mut self) {
        if self.proxy {
            self.far.signal(libc::SIGTSTP);
        }
        if let Some(raw) = &self.raw {
            raw.suspend();
        }
        event::die_of(libc::SIGSTOP); // returns once we are continued
        self.go_on();
    }

    fn go_on(&mut self) {
        if self.proxy {
            self.far.signal(libc::SIGCONT);
        }
        if let Some(raw) = &self.raw
            && !self.in_background()
        {
            let _ = raw.resume(); // a terminal that went away is noticed by reading it
        }
        self.send_size();
    }

    /// What the signal would have done, with the terminal put right.
    fn die(&mut self, signal: i32) {
        self.raw = None;
        event::die_of(signal);
    }

    fn send_size(&mut self) {
        if !self.options.tty {
            return;
        }
        let size = term::size(rustix::stdio::stdin()).or_else(|| term::size(rustix::stdio::stdout()));
        if let Some(size) = size {
            self.far.resize(size);
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// What this command itself must survive to put the terminal right.
fn own() -> Vec<i32> {
    use libc::*;
    vec![SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGTSTP, SIGCONT]
}

/// All signals that a user can mean for the container. Not those that tell of this process itself (faults, children,
/// pipes, terminal reads in the background), nor the ones that nobody can catch.
fn proxied() -> Vec<i32> {
    use libc::*;
    let about_us = [
        SIGKILL, SIGSTOP, SIGCHLD, SIGPIPE, SIGURG, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
        SIGTRAP, SIGSYS,
    ];
    // 32 to 34 belong to the C library.
    (1..=31).chain(35..=64).filter(|signal| !about_us.contains(signal)).collect()
}
