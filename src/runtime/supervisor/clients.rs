//! Who listens to a supervisor: the command that started it, `attach`es, controllers.
//!
//! Output is not queued while the container runs: a chunk that one client has no room for yet is *owed* to it, and
//! nothing more is read from the container meanwhile (back-pressure, as a pipe gives it). The command that started
//! the container may hold it up as long as it likes, like any reader of a pipe; another client that takes nothing for
//! [`PATIENCE`] is dropped, so that it cannot stop the container for ever. Once the container has ended, what is left
//! in its pipes (bounded by their size) is queued, so that nobody holds up the recording of the end.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::Attach;
use super::frame::{self, Type};
use crate::sys::event::{Epoll, EventFlags, wait_any};

/// How long a client may hold everybody up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an attached client has to take the rest once the container has ended.
const GRACE: Duration = Duration::from_secs(10);
/// Connections beyond this are refused: descriptors are not endless.
const MOST: usize = 256;

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) conn: OwnedFd,
    /// What it wants; `None` before it said hello.
    pub(super) wants: Option<Attach>,
    /// The command that started the container.
    pub(super) foreground: bool,
    /// Since when it owes us room for the current chunk.
    owed: Option<Instant>,
    backlog: Vec<(Type, Vec<u8>)>,
}

/// All connections, each under a number that epoll knows it by.
#[derive(Debug)]
pub(super) struct Clients {
    slots: Vec<Option<Client>>,
    first_token: u64,
    /// No input is taken now: the container has not read the last one yet.
    input_blocked: bool,
}

impl Clients {
    pub(super) fn new(first_token: u64) -> Clients {
        Clients { slots: Vec::new(), first_token, input_blocked: false }
    }

    /// Adds a connection, which epoll watches from now on.
    pub(super) fn add(
        &mut self,
        epoll: &Epoll,
        conn: OwnedFd,
        wants: Option<Attach>,
        foreground: bool,
    ) -> io::Result<()> {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(self.slots.len());
        if slot >= MOST {
            return Ok(()); // dropping the connection is the answer
        }
        epoll.add(&conn, self.first_token + slot as u64, EventFlags::IN)?;
        let client = Some(Client { conn, wants, foreground, owed: None, backlog: Vec::new() });
        match free {
            Some(slot) => self.slots[slot] = client,
            None => self.slots.push(client),
        }
        Ok(())
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut Client> {
        let slot = usize::try_from(token.checked_sub(self.first_token)?).ok()?;
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, token: u64) -> Option<Client> {
        let slot = usize::try_from(token.checked_sub(self.first_token)?).ok()?;
        self.slots.get_mut(slot)?.take() // closing takes it out of epoll
    }

    fn all(&mut self) -> impl Iterator<Item = (u64, &mut Client)> {
        let first = self.first_token;
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(move |(slot, client)| client.as_mut().map(|client| (first + slot as u64, client)))
    }

    /// Sends a chunk to all who want it; true when somebody has no room yet.
    pub(super) fn broadcast(&mut self, epoll: &Epoll, kind: Type, chunk: &[u8]) -> bool {
        let (mut owed, mut gone) = (false, Vec::new());
        let blocked = self.input_blocked;
        for (token, client) in self.all() {
            if !client.wants_output(kind) {
                continue;
            }
            match frame::send(&client.conn, kind, chunk, false) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    client.owed = Some(Instant::now());
                    client.watch(epoll, token, blocked);
                    owed = true;
                }
                Err(_) => gone.push(token),
            }
        }
        for token in gone {
            self.remove(token);
        }
        owed
    }

    /// A client that was owed a chunk has room: sends it. True when it is gone instead.
    pub(super) fn settle(&mut self, epoll: &Epoll, token: u64, kind: Type, chunk: &[u8]) -> bool {
        let blocked = self.input_blocked;
        let Some(client) = self.get_mut(token) else { return false };
        if client.owed.is_none() {
            return false;
        }
        match frame::send(&client.conn, kind, chunk, false) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Ok(()) => {
                client.owed = None;
                client.watch(epoll, token, blocked);
                false
            }
            Err(_) => true,
        }
    }

    /// Whether somebody is owed the current chunk.
    pub(super) fn owes(&mut self) -> bool {
        self.all().any(|(_, client)| client.owed.is_some())
    }

    /// When the next client's patience ends.
    pub(super) fn patience(&mut self) -> Option<Instant> {
        self.all()
            .filter(|(_, client)| !client.foreground)
            .filter_map(|(_, client)| client.owed)
            .min()
            .map(|since| since + PATIENCE)
    }

    /// Drops who held everybody up for too long.
    pub(super) fn drop_stuck(&mut self) {
        let now = Instant::now();
        for slot in &mut self.slots {
            let stuck = |client: &Client| {
                !client.foreground && client.owed.is_some_and(|since| now >= since + PATIENCE)
            };
            if slot.as_ref().is_some_and(stuck) {
                *slot = None;
            }
        }
    }

    /// Stops or goes on taking input from clients.
    pub(super) fn block_input(&mut self, epoll: &Epoll, blocked: bool) {
        self.input_blocked = blocked;
        for (token, client) in self.all() {
            client.watch(epoll, token, blocked);
        }
    }

    /// Queues what somebody was owed when the container ended.
    pub(super) fn queue_owed(&mut self, kind: Type, chunk: &[u8]) {
        for (_, client) in self.all().filter(|(_, client)| client.owed.is_some()) {
            client.owed = None;
            client.backlog.push((kind, chunk.to_vec()));
        }
    }

    /// Sends or queues a chunk after the container has ended.
    pub(super) fn send_or_queue(&mut self, kind: Type, chunk: &[u8]) {
        for (_, client) in self.all().filter(|(_, client)| client.wants_output(kind)) {
            let sent = client.backlog.is_empty() && frame::send(&client.conn, kind, chunk, false).is_ok();
            if !sent {
                client.backlog.push((kind, chunk.to_vec()));
            }
        }
    }

    /// Tells everybody who attached the last word, after all that is queued, and closes all connections.
    ///
    /// The command that started the container is waited for as long as it lives (`forever`), others for [`GRACE`].
    pub(super) fn farewell(&mut self, kind: Type, payload: &[u8], forever: bool) {
        let mut left: Vec<Client> = self.slots.drain(..).flatten().filter(|c| c.wants.is_some()).collect();
        for client in &mut left {
            client.backlog.push((kind, payload.to_vec()));
        }
        let deadline = Instant::now() + GRACE;
        loop {
            left.retain_mut(|client| client.flush());
            if Instant::now() >= deadline {
                left.retain(|client| forever && client.foreground);
            }
            if left.is_empty() {
                return;
            }
            let fds: Vec<_> =
                left.iter().map(|c| (std::os::fd::AsFd::as_fd(&c.conn), PollFlags::OUT)).collect();
            if wait_any(&fds, Some(Duration::from_secs(1))).is_err() {
                return;
            }
        }
    }

    /// Tells the command that started the container a word, at once.
    pub(super) fn tell_foreground(&mut self, kind: Type, payload: &[u8]) {
        for (_, client) in self.all().filter(|(_, client)| client.foreground) {
            // Early words always find room; a command that died is no reason to stop.
            let _ = frame::send(&client.conn, kind, payload, false);
        }
    }

    /// Lets go of the command that started the container if it wants no streams and no news.
    pub(super) fn release_detached(&mut self) {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|client| client.foreground && client.wants.is_none()) {
                *slot = None;
            }
        }
    }
}

impl Client {
    fn wants_output(&self, kind: Type) -> bool {
        self.wants.is_some_and(|wants| match kind {
            Type::Stdout => wants.stdout,
            _ => wants.stderr,
        })
    }

    /// Whether it may send input.
    pub(super) fn sends_input(&self) -> bool {
        self.wants.is_some_and(|wants| wants.stdin)
    }

    fn watch(&self, epoll: &Epoll, token: u64, input_blocked: bool) {
        let mut flags = EventFlags::empty();
        if !(input_blocked && self.sends_input()) {
            flags |= EventFlags::IN;
        }
        if self.owed.is_some() {
            flags |= EventFlags::OUT;
        }
        let _ = epoll.modify(&self.conn, token, flags); // fails only for a descriptor that is not watched
    }

    /// Sends what is queued as far as there is room; false once nothing is left to do.
    fn flush(&mut self) -> bool {
        while let Some((kind, payload)) = self.backlog.first() {
            match frame::send(&self.conn, *kind, payload, false) {
                Ok(()) => drop(self.backlog.remove(0)),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        false
    }
}
