//! gzip on all cores, as pigz does it: blocks of 128 KiB, each compressed with the 32 KiB before it as dictionary,
//! each ended at a byte boundary, joined into one member. The result depends on input and level alone, not on how
//! many threads there are.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// Fixed for ever: another size would change the digest of every blob that is pushed.
const BLOCK: usize = 128 * 1024;
/// What deflate can look back to.
const WINDOW: usize = 32 * 1024;
/// RFC 1952: deflate, no name, no time (reproducible), unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// One block on its way to a worker.
struct Task {
    dictionary: Arc<Vec<u8>>,
    data: Arc<Vec<u8>>,
    last: bool,
    done: SyncSender<io::Result<Vec<u8>>>,
}

/// A writer that compresses in the background, in order.
pub struct Writer<W: Write> {
    out: W,
    level: u32,
    crc: Crc,
    buffer: Vec<u8>,
    previous: Arc<Vec<u8>>,
    started: bool,
    waiting: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    workers: Vec<(SyncSender<Task>, JoinHandle<()>)>,
    next: usize,
}

impl<W: Write> Writer<W> {
    /// Starts a stream; threads are made once there is a second block.
    pub fn new(out: W, level: u32) -> Self {
        Writer {
            out,
            level,
            crc: Crc::new(),
            buffer: Vec::with_capacity(BLOCK),
            previous: Arc::default(),
            started: false,
            waiting: VecDeque::new(),
            workers: Vec::new(),
            next: 0,
        }
    }

    /// Compresses the rest, writes the trailer and gives the inner writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.submit(true)?;
        while !self.waiting.is_empty() {
            self.collect()?;
        }
        for (tasks, thread) in self.workers.drain(..) {
            drop(tasks);
            let _ = thread.join(); // its results were all received
        }
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    /// Hands the gathered block over.
    fn submit(&mut self, last: bool) -> io::Result<()> {
        if !self.started {
            self.out.write_all(&HEADER)?;
            self.started = true;
        }
        self.crc.update(&self.buffer);
        let data = Arc::new(std::mem::replace(&mut self.buffer, Vec::with_capacity(BLOCK)));
        let dictionary = std::mem::replace(&mut self.previous, data.clone());
        if last && self.workers.is_empty() {
            let packed = compress(&mut compressor(self.level), &dictionary, &data, true)?;
            return self.out.write_all(&packed);
        }
        let (done, result) = sync_channel(1);
        let task = Task { dictionary, data, last, done };
        self.hire();
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].0.send(task).map_err(|_| io::Error::other("a compressing thread ended"))?;
        self.waiting.push_back(result);
        if self.waiting.len() > 2 * self.workers.len() {
            self.collect()?;
        }
        Ok(())
    }

    fn hire(&mut self) {
        if !self.workers.is_empty() {
            return;
        }
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16);
        let level = self.level;
        for _ in 0..count {
            let (tasks, inbox) = sync_channel::<Task>(2);
            self.workers.push((tasks, std::thread::spawn(move || work(level, &inbox))));
        }
    }

    /// Writes the oldest block.
    fn collect(&mut self) -> io::Result<()> {
        let Some(result) = self.waiting.pop_front() else { return Ok(()) };
        let packed = result.recv().map_err(|_| io::Error::other("a compressing thread ended"))??;
        self.out.write_all(&packed)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == BLOCK {
            self.submit(false)?;
        }
        let taken = bytes.len().min(BLOCK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Does not cut a block short: that would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn work(level: u32, inbox: &Receiver<Task>) {
    let mut state = compressor(level);
    while let Ok(task) = inbox.recv() {
        let packed = compress(&mut state, &task.dictionary, &task.data, task.last);
        if task.done.send(packed).is_err() {
            return; // the writer was given up
        }
    }
}

fn compressor(level: u32) -> Compress {
    Compress::new(Compression::new(level), false)
}

/// One block as raw deflate, ended at a byte boundary, or for good when it is the last.
fn compress(state: &mut Compress, dictionary: &[u8], data: &[u8], last: bool) -> io::Result<Vec<u8>> {
    state.reset();
    if !dictionary.is_empty() {
        let start = dictionary.len().saturating_sub(WINDOW);
        state.set_dictionary(&dictionary[start..]).map_err(io::Error::other)?;
    }
    let mut packed = Vec::with_capacity(data.len() / 2 + 1024);
    let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
    let before = state.total_in();
    loop {
        let consumed = usize::try_from(state.total_in() - before).map_err(io::Error::other)?;
        let room = packed.capacity() - packed.len();
        let status = state.compress_vec(&data[consumed..], &mut packed, flush).map_err(io::Error::other)?;
        let all_in = state.total_in() - before == data.len() as u64;
        let full = packed.capacity() == packed.len();
        if status == flate2::Status::StreamEnd || (!last && all_in && !full && room > 0) {
            return Ok(packed);
        }
        packed.reserve(64 * 1024);
    }
}
