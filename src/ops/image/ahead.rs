//! Downloading ahead of unpacking: one thread reads (and thereby verifies) while another decompresses.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
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
    current: Vec<u8>,
    at: usize,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    fn start(
        mut inner: impl Read + Send + 'static,
        stop: Arc<AtomicBool>,
        task: Arc<dyn Task>,
    ) -> Result<ReadAhead> {
        let (send, chunks) = sync_channel(AHEAD);
        let work = move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match stop.load(Ordering::Relaxed) {
                    true => Err(io::Error::other("stopped, since another layer failed")),
                    false => inner.read(&mut chunk),
                };
                let message = match read {
                    Ok(0) => return,
                    Ok(read) => {
                        chunk.truncate(read);
                        task.advance(read as u64);
                        Ok(chunk)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = message.is_err();
                if send.send(message).is_err() || failed {
                    return; // nobody listens any more
                }
            }
        };
        let thread = std::thread::Builder::new().name("download".into()).spawn(work);
        let thread = thread.context("start a thread")?;
        Ok(ReadAhead { chunks, current: Vec::new(), at: 0, thread: Some(thread) })
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            match self.chunks.recv() {
                Ok(chunk) => (self.current, self.at) = (chunk?, 0),
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
