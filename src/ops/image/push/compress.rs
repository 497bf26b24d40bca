//! A layer's archive, compressed in one thread while another reads what comes out.

use std::io::{self, PipeReader, Read};
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context, Result, anyhow};
use crate::layer::Store;
use crate::layer::codec::{self, Compression};
use crate::ops::progress::Task;
use crate::registry::Growing;

/// What a layer is to be compressed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
}

/// A layer being compressed.
pub(super) struct Compressing<'scope> {
    pipe: PipeReader,
    thread: ScopedJoinHandle<'scope, Result<(Digest, u64)>>,
    task: Arc<dyn Task>,
}

/// Starts to compress a layer; the bytes depend on the layer and the way alone.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    layers: &'scope Store,
    layer: &'scope Digest,
    way: Way,
    task: Arc<dyn Task>,
) -> Result<Compressing<'scope>> {
    let (pipe, out) = io::pipe().context("make a pipe")?;
    let thread = scope.spawn(move || whole(layers, layer, way, out).map(|(_, digest, size)| (digest, size)));
    Ok(Compressing { pipe, thread, task })
}

/// Compresses a layer into `out`; gives digest and size of what went there.
pub(super) fn whole<W: io::Write + Send>(
    layers: &Store,
    layer: &Digest,
    way: Way,
    out: W,
) -> Result<(W, Digest, u64)> {
    let counted = Counted::new(out, Algorithm::Sha256);
    let mut encoder = codec::encoder(counted, way.compression, way.level)?;
    layers.write_tar(layer, &mut encoder)?;
    Ok(encoder.finish()?.finish())
}

impl Read for Compressing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.pipe.read(buffer)?;
        self.task.advance(read as u64);
        Ok(read)
    }
}

impl Growing for Compressing<'_> {
    /// An error of the compressing side ends the pipe early, and is told here.
    fn finish(self: Box<Self>) -> Result<(Digest, u64)> {
        drop(self.pipe);
        self.thread.join().unwrap_or_else(|_| Err(anyhow!("the compressing thread panicked")))
    }
}
