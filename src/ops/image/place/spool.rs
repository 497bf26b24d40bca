//! Layers on their way into another compression: through a file without a name, since digest and size are known only
//! at the end.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{Bytes, Source};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context as _, Result};
use crate::image::archive::save::temporary;
use crate::layer::codec::{self, Compression};
use crate::registry::manifest::Descriptor;

/// A layer in a form that it did not come in.
pub(in crate::ops::image) struct Compressed {
    file: File,
    /// Digest of its bytes.
    pub(in crate::ops::image) digest: Digest,
    /// How many.
    pub(in crate::ops::image) size: u64,
}

impl Compressed {
    /// Its bytes, from the beginning.
    pub(in crate::ops::image) fn open(&self) -> Result<Bytes> {
        let file = self.file.try_clone().context("reopen a temporary file")?;
        Ok(Box::new(Again { file, at: 0 }))
    }
}

/// Brings a plain layer into a compression.
pub(in crate::ops::image) fn compress(
    source: &dyn Source,
    layer: &Descriptor,
    (compression, level): (Compression, Option<i32>),
    tmp: &Path,
) -> Result<Compressed> {
    into((compression, level), tmp, |out| source.write(layer, out))
}

/// Brings a layer whose compression was taken off into another one.
pub(in crate::ops::image) fn recompress(
    plain: &Compressed,
    (compression, level): (Compression, Option<i32>),
    tmp: &Path,
) -> Result<Compressed> {
    into((compression, level), tmp, |out| {
        io::copy(&mut plain.open()?, out).map(drop).context("compress a layer")
    })
}

fn into(
    (compression, level): (Compression, Option<i32>),
    tmp: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Compressed> {
    let file = temporary(tmp)?;
    let counted = Counted::new(BufWriter::with_capacity(256 << 10, &file), Algorithm::Sha256);
    let mut encoder = codec::encoder(counted, compression, level)?;
    write(&mut encoder)?;
    let (mut out, digest, size) = encoder.finish()?.finish();
    out.flush().context("write a temporary file")?;
    drop(out);
    Ok(Compressed { file, digest, size })
}

/// Takes the compression off a layer.
pub(in crate::ops::image) fn plain(
    source: &dyn Source,
    layer: &Descriptor,
    tmp: &Path,
) -> Result<Compressed> {
    let file = temporary(tmp)?;
    let mut out = Counted::new(BufWriter::with_capacity(256 << 10, &file), Algorithm::Sha256);
    // The blob is read to its own end, where it is verified: a decoder stops at the end of what it decodes.
    let rest = Shared(std::sync::Arc::new(std::sync::Mutex::new(source.blob(layer)?)));
    let (_, mut decoder) = codec::decoder_any(Box::new(rest.clone()))?;
    let unpack = |error| format!("unpack layer `{}`: {error}", layer.digest);
    let copied = io::copy(&mut decoder, &mut out).and_then(|_| io::copy(&mut rest.clone(), &mut io::sink()));
    copied.map_err(|error| io::Error::other(unpack(error)))?;
    let (mut buffered, digest, size) = out.finish();
    buffered.flush().context("write a temporary file")?;
    drop(buffered);
    Ok(Compressed { file, digest, size })
}

#[derive(Clone)]
struct Shared(std::sync::Arc<std::sync::Mutex<Bytes>>);

impl Read for Shared {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).read(buffer)
    }
}

/// Reads a file from its beginning without moving anybody else's position.
struct Again {
    file: File,
    at: u64,
}

impl Read for Again {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
