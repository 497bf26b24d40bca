//! The loop in which a supervisor spends its life: one container's streams, its end, its clients.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::clients::Clients;
use super::frame::{self, LIMIT, Type};
use super::streams::Ends;
use super::{Attach, SOCKET};
use crate::base::error::{Context, Result};
use crate::runtime::log::{Sink, Stream};
use crate::sys::event::{Epoll, EventFlags, Signals, pidfd_signal};
use crate::sys::pty::{self, Size};
use crate::sys::{fork, socket};

const PIDFD: u64 = 0;
const INPUT: u64 = 1;
const STDOUT: u64 = 2;
const STDERR: u64 = 3;
const LISTENER: u64 = 4;
const SIGNALS: u64 = 5;
const CLIENTS: u64 = 16;

/// How often a terminal that nobody in the container has open is looked at again.
const HUNG_UP: Duration = Duration::from_millis(200);
/// A container that runs this long is likely to stay: the supervisor gives back what it needed to start it.
const SETTLED: Duration = Duration::from_millis(250);
/// What is still read from the pipes of a container that has ended (others may hold them open and go on writing).
const LEFTOVER: usize = 1 << 20;

/// The loop's state that outlives one life of the container.
pub(super) struct Relay {
    epoll: Epoll,
    listener: OwnedFd,
    signals: Signals,
    pub(super) clients: Clients,
    pub(super) log: Sink,
    /// The chunk that was read last, and what it is.
    chunk: Vec<u8>,
    chunk_kind: Type,
    /// Input that the container has not taken yet, from `taken` on.
    input: Vec<u8>,
    taken: usize,
    inbox: Vec<u8>,
    ready: Vec<(u64, EventFlags)>,
    /// Clients may send input.
    takes_input: bool,
    /// The terminal's last known size.
    pub(super) size: Option<Size>,
    /// Somebody asked that the container is not started again.
    pub(super) no_restart: bool,
    /// Who asked for the start of a container that waits.
    starter: Option<u64>,
}

/// What the loop needs of one life.
pub(super) struct Life {
    pub(super) pidfd: OwnedFd,
    pub(super) ends: Ends,
    /// When the container is to be killed.
    pub(super) deadline: Option<Instant>,
    /// When to look again at a terminal that was hung up.
    look_again: Option<Instant>,
    ended: bool,
}

impl Life {
    pub(super) fn new(pidfd: OwnedFd, ends: Ends, deadline: Option<Instant>) -> Life {
        Life { pidfd, ends, deadline, look_again: None, ended: false }
    }
}

impl Relay {
    pub(super) fn new(
        dir: &std::path::Path,
        log: Sink,
        signals: Signals,
        takes_input: bool,
    ) -> Result<Relay> {
        let epoll = Epoll::new().context("make an epoll instance")?;
        let listener = socket::listen_at(dir, SOCKET)?;
        let watched = epoll
            .add(&listener, LISTENER, EventFlags::IN)
            .and_then(|()| epoll.add(&signals, SIGNALS, EventFlags::IN));
        watched.context("watch the supervisor's socket")?;
        Ok(Relay {
            epoll,
            listener,
            signals,
            clients: Clients::new(CLIENTS),
            log,
            chunk: Vec::new(),
            chunk_kind: Type::Stdout,
            input: Vec::new(),
            taken: 0,
            inbox: Vec::new(),
            ready: Vec::new(),
            takes_input,
            size: None,
            no_restart: false,
            starter: None,
        })
    }

    /// Takes in the command that started all this.
    pub(super) fn add_foreground(&mut self, conn: OwnedFd, wants: Option<Attach>) -> Result<()> {
        self.clients.add(&self.epoll, conn, wants, true).context("watch the command")
    }

    /// Relays until the container has ended and all that it wrote is logged and sent or queued.
    pub(super) fn run(&mut self, life: &mut Life) -> Result<()> {
        self.begin(life).context("watch the container")?;
        let mut settled = Some(Instant::now() + SETTLED);
        while !life.ended {
            self.turn(life, settled)?;
            if settled.is_some_and(|settled| Instant::now() >= settled) {
                settled = None;
                fork::slim_down();
            }
        }
        self.drain(life);
        Ok(())
    }

    /// Serves clients while there is no container; ends early when restarts are called off.
    pub(super) fn idle(&mut self, until: Instant) -> Result<()> {
        while !self.no_restart && Instant::now() < until {
            self.turn_until(None, Some(until))?;
        }
        Ok(())
    }

    /// Serves clients until one asks for the start; false when the container ended instead.
    pub(super) fn wait_for_start(&mut self, pidfd: &OwnedFd) -> Result<bool> {
        self.epoll.add(pidfd, PIDFD, EventFlags::IN).context("watch the container")?;
        let mut ended = false;
        while self.starter.is_none() && !ended {
            self.turn_until(None, None)?;
            ended = self.ready.iter().any(|(token, _)| *token == PIDFD);
        }
        let _ = self.epoll.delete(pidfd); // not watched is what we want
        Ok(!ended)
    }

    /// Answers whoever asked for the start: done, or why not.
    pub(super) fn answer_start(&mut self, failure: Option<&[u8]>) {
        let Some(client) = self.starter.take().and_then(|token| self.clients.get_mut(token)) else { return };
        let kind = if failure.is_some() { Type::Failed } else { Type::Done };
        let _ = frame::send(&client.conn, kind, failure.unwrap_or_default(), false); // it went away: its affair
    }

    fn begin(&mut self, life: &Life) -> io::Result<()> {
        self.taken = 0;
        self.input.clear();
        self.clients.block_input(&self.epoll, false);
        self.epoll.add(&life.pidfd, PIDFD, EventFlags::IN)?;
        self.watch_output(life)
    }

    fn watch_output(&self, life: &Life) -> io::Result<()> {
        for (fd, token) in [(&life.ends.stdout, STDOUT), (&life.ends.stderr, STDERR)] {
            let hung_up = token == STDOUT && life.look_again.is_some();
            let Some(fd) = fd.as_ref().filter(|_| !hung_up) else { continue };
            match self.epoll.add(fd, token, EventFlags::IN) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Not by changing the interest: the end of a pipe is reported whatever the interest is.
    fn unwatch_output(&self, life: &Life) {
        for fd in [&life.ends.stdout, &life.ends.stderr].into_iter().flatten() {
            let _ = self.epoll.delete(fd); // not watched is what we want
        }
    }

    fn turn(&mut self, life: &mut Life, settled: Option<Instant>) -> Result<()> {
        let next = [life.deadline, life.look_again, settled].into_iter().flatten().min();
        self.turn_until(Some(life), next)
    }

    /// One wait and all that came of it.
    fn turn_until(&mut self, mut life: Option<&mut Life>, until: Option<Instant>) -> Result<()> {
        let until = [until, self.clients.patience()].into_iter().flatten().min();
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        let mut ready = std::mem::take(&mut self.ready);
        self.epoll.wait(&mut ready, timeout).context("wait for the container")?;
        for &(token, flags) in &ready {
            self.dispatch(token, flags, life.as_deref_mut());
        }
        self.ready = ready;
        if until.is_some_and(|until| Instant::now() >= until) {
            self.times_up(life);
        }
        Ok(())
    }

    fn dispatch(&mut self, token: u64, flags: EventFlags, life: Option<&mut Life>) {
        match (token, life) {
            (LISTENER, _) => self.accept(),
            (SIGNALS, life) => self.on_signal(life),
            (PIDFD, Some(life)) => life.ended = true,
            (STDOUT | STDERR, Some(life)) => self.on_output(token, life),
            (INPUT, Some(life)) => self.feed(life),
            (CLIENTS.., life) => self.on_client(token, flags, life),
            _ => {}
        }
    }

    fn times_up(&mut self, life: Option<&mut Life>) {
        self.clients.drop_stuck();
        let Some(life) = life else { return };
        let now = Instant::now();
        if life.deadline.is_some_and(|deadline| now >= deadline) {
            life.deadline = None;
            let _ = pidfd_signal(&life.pidfd, libc::SIGKILL); // a child of ours: nothing can forbid it
        }
        if life.look_again.is_some_and(|again| now >= again) {
            life.look_again = None;
            if let Some(fd) = &life.ends.stdout {
                let _ = self.epoll.add(fd, STDOUT, EventFlags::IN); // watched already is as good
            }
        }
        self.resume(life);
    }

    fn accept(&mut self) {
        // A client that is gone already or a stranger: the next one may be better.
        if let Ok(Some(conn)) = socket::accept_own(&self.listener) {
            let _ = self.clients.add(&self.epoll, conn, None, false);
        }
    }

    /// SIGTERM (a shutdown of the host) is the container's affair; the others are not meant for anybody here.
    fn on_signal(&mut self, life: Option<&mut Life>) {
        while let Some(signal) = self.signals.next() {
            if signal == libc::SIGTERM {
                self.no_restart = true;
                if let Some(life) = &life {
                    let _ = pidfd_signal(&life.pidfd, signal);
                }
            }
        }
    }

    fn on_output(&mut self, token: u64, life: &mut Life) {
        if self.clients.owes() {
            return; // came with the same wait as the chunk that is owed
        }
        let source = if token == STDOUT { &mut life.ends.stdout } else { &mut life.ends.stderr };
        let Some(fd) = source else { return };
        match read(&mut self.chunk, fd) {
            Ok(1..) => {
                self.chunk_kind = kind_of(token);
                self.publish(life);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            end => {
                // Closing alone does not end the watch of a terminal, which has another descriptor for input.
                let _ = self.epoll.delete(&*fd);
                match end {
                    // Nobody in the container has the terminal open; a getty or an init will again.
                    Err(Errno::IO) if life.ends.terminal => life.look_again = Some(Instant::now() + HUNG_UP),
                    _ => *source = None,
                }
            }
        }
    }

    /// Logs the chunk and sends it; stops reading while a client has no room.
    fn publish(&mut self, life: &Life) {
        self.log.write(stream_of(self.chunk_kind), &self.chunk);
        if self.clients.broadcast(&self.epoll, self.chunk_kind, &self.chunk) {
            self.unwatch_output(life);
        }
    }

    /// Reads on once nobody is owed anything.
    fn resume(&mut self, life: &Life) {
        if !self.clients.owes() {
            let _ = self.watch_output(life); // what is watched already stays so
        }
    }

    fn on_client(&mut self, token: u64, flags: EventFlags, mut life: Option<&mut Life>) {
        if flags.contains(EventFlags::OUT) {
            let gone = self.clients.settle(&self.epoll, token, self.chunk_kind, &self.chunk);
            if gone {
                self.leave(token, life.as_deref_mut());
            }
            if let Some(life) = life.as_deref_mut() {
                self.resume(life);
            }
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.hear(token, life);
        }
    }

    /// Reads one frame of a client.
    fn hear(&mut self, token: u64, mut life: Option<&mut Life>) {
        let Some(client) = self.clients.get_mut(token) else { return };
        match frame::receive(&client.conn, &mut self.inbox, false) {
            Ok(Some(kind)) => self.obey(token, kind, life.as_deref_mut()),
            Ok(None) => self.leave(token, life),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.leave(token, life),
        }
    }

    fn obey(&mut self, token: u64, kind: Type, life: Option<&mut Life>) {
        let Some(client) = self.clients.get_mut(token) else { return };
        let sends_input = client.sends_input() && self.takes_input;
        match (kind, life) {
            (Type::Hello, _) => client.wants = self.inbox.first().map(|byte| Attach::from_byte(*byte)),
            (Type::Input, Some(life)) if sends_input => self.take_input(life),
            (Type::EndOfInput, Some(life)) if sends_input && !life.ends.terminal => life.ends.input = None,
            (Type::Window, life) => self.resize(life),
            (Type::Signal, Some(life)) => self.signal(life),
            (Type::NoRestart, _) => self.no_restart = true,
            (Type::Start, None) => self.starter = Some(token),
            _ => {}
        }
        self.acknowledge(token, kind);
    }

    /// Requests of a controller, who waits for an answer; an attached client does not.
    fn acknowledge(&mut self, token: u64, kind: Type) {
        if self.starter == Some(token) {
            return; // answered once the command executes
        }
        if let Some(client) = self.clients.get_mut(token)
            && client.wants.is_none()
            && matches!(kind, Type::Window | Type::Signal | Type::NoRestart | Type::Start)
        {
            let _ = frame::send(&client.conn, Type::Done, &[], false); // it went away: its affair
        }
    }

    fn resize(&mut self, life: Option<&mut Life>) {
        let Ok([a, b, c, d]) = <[u8; 4]>::try_from(self.inbox.as_slice()) else { return };
        let size = Size { rows: u16::from_ne_bytes([a, b]), columns: u16::from_ne_bytes([c, d]) };
        self.size = Some(size);
        if let Some(Life { ends: Ends { terminal: true, stdout: Some(master), .. }, .. }) = life {
            let _ = pty::set_size(master, size); // a terminal that ends now needs no size
        }
    }

    fn signal(&self, life: &Life) {
        if let Ok(bytes) = <[u8; 4]>::try_from(self.inbox.as_slice()) {
            let _ = pidfd_signal(&life.pidfd, i32::from_ne_bytes(bytes)); // a bad number is the client's affair
        }
    }

    /// A client went. Without a terminal the command's input ends with the command.
    fn leave(&mut self, token: u64, life: Option<&mut Life>) {
        let Some(client) = self.clients.remove(token) else { return };
        let Some(life) = life else { return };
        if client.foreground && client.sends_input() && !life.ends.terminal {
            life.ends.input = None;
        }
        self.resume(life);
    }

    fn take_input(&mut self, life: &mut Life) {
        std::mem::swap(&mut self.input, &mut self.inbox);
        self.taken = 0;
        if life.ends.input.is_none() {
            return;
        }
        if !self.write_input(life)
            && let Some(fd) = &life.ends.input
        {
            // Nothing more is taken from clients before this went through.
            if self.epoll.add(fd, INPUT, EventFlags::OUT).is_ok() {
                self.clients.block_input(&self.epoll, true);
            }
        }
    }

    /// The container reads again.
    fn feed(&mut self, life: &mut Life) {
        if self.write_input(life) {
            if let Some(fd) = &life.ends.input {
                let _ = self.epoll.delete(fd); // not watched is what we want
            }
            self.clients.block_input(&self.epoll, false);
        }
    }

    /// Writes input as far as there is room; true once nothing is left to write.
    fn write_input(&mut self, life: &mut Life) -> bool {
        while self.taken < self.input.len() {
            let Some(fd) = &life.ends.input else { return true };
            match rustix::io::write(fd, &self.input[self.taken..]) {
                Ok(written) => self.taken += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => life.ends.input = None, // the container closed it
            }
        }
        true
    }

    /// Reads what the container left in its streams.
    fn drain(&mut self, life: &mut Life) {
        self.unwatch_output(life);
        let _ = self.epoll.delete(&life.pidfd);
        self.clients.queue_owed(self.chunk_kind, &self.chunk);
        for (source, token) in [(life.ends.stdout.take(), STDOUT), (life.ends.stderr.take(), STDERR)] {
            let Some(fd) = source else { continue };
            let mut total = 0;
            while total < LEFTOVER {
                match read(&mut self.chunk, &fd) {
                    Ok(0) => break,
                    Ok(length) => {
                        total += length;
                        self.chunk_kind = kind_of(token);
                        self.log.write(stream_of(self.chunk_kind), &self.chunk);
                        self.clients.send_or_queue(self.chunk_kind, &self.chunk);
                    }
                    Err(Errno::INTR) => {}
                    Err(_) => break,
                }
            }
        }
        life.ends.input = None;
    }
}

/// Reads into the chunk what is there, at most a pipe full.
fn read(chunk: &mut Vec<u8>, fd: &OwnedFd) -> rustix::io::Result<usize> {
    chunk.clear();
    chunk.reserve_exact(LIMIT);
    rustix::io::read(fd, spare_capacity(chunk))?;
    Ok(chunk.len())
}

fn kind_of(token: u64) -> Type {
    if token == STDERR { Type::Stderr } else { Type::Stdout }
}

fn stream_of(kind: Type) -> Stream {
    if kind == Type::Stderr { Stream::Stderr } else { Stream::Stdout }
}

/// Kills and reaps a container that was launched but could not be started.
pub(super) fn discard(pidfd: impl AsFd) {
    let _ = pidfd_signal(&pidfd, libc::SIGKILL); // reaped already: then the wait says so
    let _ = rustix::process::waitid(
        rustix::process::WaitId::PidFd(pidfd.as_fd()),
        rustix::process::WaitIdOptions::EXITED,
    );
}
