//! Downloading ahead of unpacking: one thread reads (and thereby verifies) while another decompresses.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::base::error::{Context, Result};
use crate::layer::codec;
use crate::ops::progress::Task;

/// One read.
const CHUNK: usize = 128 << 10;
/// How many reads may wait.
const AHEAD: usize = 8;

/// A reader's bytes, read in another thread. The end is reported only after the inner reader reported its own, with
/// whatever it had to verify.
struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// Buffers go back to be filled again.
    used: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    fn start(
        inner: impl Read + Send + 'static,
        stop: Arc<AtomicBool>,
        task: Arc<dyn Task>,
    ) -> Result<ReadAhead> {
        let (full, chunks) = sync_channel(AHEAD);
        let (used, empty) = channel();
        let work = move || download(inner, &full, &empty, &stop, &*task);
        let thread = std::thread::Builder::new().name("download".into()).spawn(work);
        let thread = thread.context("start a thread")?;
        Ok(ReadAhead { chunks, used, current: Vec::new(), at: 0, thread: Some(thread) })
    }
}

/// Fills buffers until the end, an error, or until nobody listens any more.
fn download(
    mut inner: impl Read,
    full: &SyncSender<io::Result<Vec<u8>>>,
    empty: &Receiver<Vec<u8>>,
    stop: &AtomicBool,
    task: &dyn Task,
) {
    loop {
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        let outcome = loop {
            if stop.load(Ordering::Relaxed) {
                break Err(io::Error::other("stopped, since another layer failed"));
            }
            match inner.read(&mut chunk[filled..]) {
                Ok(0) => break Ok(true),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if filled == CHUNK {
                break Ok(false);
            }
        };
        chunk.truncate(filled);
        task.advance(filled as u64);
        let ended = outcome.as_ref().map_or(true, |ended| *ended);
        if full.send(outcome.map(|_| chunk)).is_err() || ended {
            return;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            match self.chunks.recv() {
                Ok(chunk) => {
                    let used = std::mem::replace(&mut self.current, chunk?);
                    self.at = 0;
                    let _ = self.used.send(used); // the other side may be done
                }
                Err(_) => {
                    // Joined, so that the process has one thread again when the work is over.
                    let ended = self.thread.take().is_none_or(|thread| thread.join().is_ok());
                    return if ended {
                        Ok(0)
                    } else {
                        Err(io::Error::other("the downloading thread panicked"))
                    };
                }
            }
        }
        let length = buffer.len().min(self.current.len() - self.at);
        buffer[..length].copy_from_slice(&self.current[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Decompresses, and at the end of the archive reads the blob to its own end, where digest and size are checked: what is
/// not verified is never reported as complete.
pub(super) struct Unpacked {
    decoder: Box<dyn Read + Send>,
    rest: Tail,
}

/// The reader that decoder and [`Unpacked`] share.
#[derive(Clone)]
struct Tail(Arc<std::sync::Mutex<ReadAhead>>);

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).read(buffer)
    }
}

impl Unpacked {
    /// Starts to read a blob whose compression is recognised by its content.
    pub(super) fn start(
        blob: impl Read + Send + 'static,
        stop: Arc<AtomicBool>,
        task: Arc<dyn Task>,
    ) -> Result<Unpacked> {
        let rest = Tail(Arc::new(std::sync::Mutex::new(ReadAhead::start(blob, stop, task)?)));
        let (_, decoder) = codec::decoder_any(Box::new(rest.clone()))?;
        Ok(Unpacked { decoder, rest })
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            io::copy(&mut self.rest, &mut io::sink())?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::progress::Silent;

    fn unpack(blob: impl Read + Send + 'static) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let stop = Arc::new(AtomicBool::new(false));
        Unpacked::start(blob, stop, Arc::new(Silent)).unwrap().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("wrong digest"))
        }
    }

    #[test]
    fn bytes_come_through_and_errors_of_the_end_too() {
        let data: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = codec::encoder(Vec::new(), codec::Compression::Gzip, Some(1)).unwrap();
        io::Write::write_all(&mut encoder, &data).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(unpack(io::Cursor::new(data.clone())).unwrap() == data);
        assert!(unpack(io::Cursor::new(packed.clone())).unwrap() == data);
        assert!(unpack(io::Cursor::new(packed).chain(Fails)).is_err());
        assert!(unpack(io::Cursor::new(data).chain(Fails)).is_err());
    }
}
