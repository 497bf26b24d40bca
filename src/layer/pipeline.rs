//! How the bytes of an archive travel: one thread reads (and decompresses), one hashes, one places files.
//!
//! Inflating is the slowest of the three and alone in its thread, so that an archive takes no longer than that. Buffers
//! go round: from the reader through the hasher to the placer, and back to the reader. A channel that closes before
//! [`Message::End`] means that the side before it failed.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::tar::Feed;
use crate::base::digest::Hasher;
use crate::base::error::{Context, Result, anyhow};

/// One buffer: large enough that a file is mostly one `write`, small enough for the second-level cache.
const BUFFER: usize = 256 * 1024;
/// How many buffers may wait between two threads.
const AHEAD: usize = 4;

/// The archive as it comes in.
pub(super) struct Source<'a> {
    tar: &'a mut dyn Read,
    progress: &'a dyn Fn(u64),
    bytes: u64,
}

impl<'a> Source<'a> {
    /// Nothing is read yet. `progress` gets the bytes read so far.
    pub(super) fn new(tar: &'a mut dyn Read, progress: &'a dyn Fn(u64)) -> Self {
        Source { tar, progress, bytes: 0 }
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills a buffer as far as the archive goes.
    fn fill(&mut self, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(BUFFER, 0);
        let mut filled = 0;
        while filled < buffer.len() {
            match self.tar.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.truncate(filled);
        self.bytes += filled as u64;
        (self.progress)(self.bytes);
        Ok(buffer)
    }
}

/// What goes from thread to thread.
enum Message {
    Buffer(Vec<u8>),
    End,
}

/// Gives the whole archive to `place` and to the hasher: in this thread when it fits one buffer, else with threads that
/// hash and place while this one reads.
pub(super) fn run<T: Send>(
    source: &mut Source<'_>,
    hasher: Option<&mut Hasher>,
    place: impl FnOnce(Feed<'_>) -> Result<T> + Send,
) -> Result<T> {
    let first = source.fill(Vec::new()).context("read the archive")?;
    if first.len() < BUFFER {
        if let Some(hasher) = hasher {
            hasher.update(&first);
        }
        let mut first = Some(first);
        return place(Feed::new(move |_| Ok(first.take())));
    }
    let (full, filled) = sync_channel::<Message>(AHEAD);
    let (empty, emptied) = sync_channel::<Vec<u8>>(2 * AHEAD + 3);
    std::thread::scope(|scope| {
        let filled = match hasher {
            None => filled,
            Some(hasher) => {
                let (hashed, ready) = sync_channel::<Message>(AHEAD);
                scope.spawn(move || hash(hasher, &filled, &hashed));
                ready
            }
        };
        let placing = scope.spawn(move || place(Feed::new(receive(filled, empty))));
        let read = supply(source, first, full, emptied);
        let placed = placing.join().map_err(|_| anyhow!("the unpacking thread panicked"))?;
        // An error of the archive's reader is the cause of what the other side says about a missing end.
        read.context("read the archive")?;
        placed
    })
}

fn supply(
    source: &mut Source<'_>,
    first: Vec<u8>,
    full: SyncSender<Message>,
    emptied: Receiver<Vec<u8>>,
) -> io::Result<()> {
    let mut buffer = first;
    loop {
        let last = buffer.len() < BUFFER;
        if full.send(Message::Buffer(buffer)).is_err() {
            return Ok(()); // the other side failed and says why
        }
        if last {
            let _ = full.send(Message::End);
            return Ok(());
        }
        buffer = source.fill(emptied.try_recv().unwrap_or_default())?;
    }
}

/// Hashes what comes and passes it on.
fn hash(hasher: &mut Hasher, filled: &Receiver<Message>, hashed: &SyncSender<Message>) {
    for message in filled {
        if let Message::Buffer(buffer) = &message {
            hasher.update(buffer);
        }
        if hashed.send(message).is_err() {
            return; // the placing side failed and says why
        }
    }
}

fn receive(
    filled: Receiver<Message>,
    empty: SyncSender<Vec<u8>>,
) -> impl FnMut(Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    move |used| {
        let _ = empty.try_send(used); // one too many is simply freed
        match filled.recv() {
            Ok(Message::Buffer(buffer)) => Ok(Some(buffer)),
            Ok(Message::End) => Ok(None),
            Err(_) => Err(io::Error::other("the archive could not be read to its end")),
        }
    }
}
