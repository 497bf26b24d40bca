//! Downloads of layers that go on where an earlier pull stopped, even one that was killed.
//!
//! What arrives of a large blob is also written into the store ([`crate::layer::partial`]) until the layer is unpacked.
//! The next pull unpacks these bytes first and asks the registry for the rest; the digest is of both together. Where it
//! is not right, the kept bytes are forgotten and the layer is fetched from its start.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fetch::Origin;
use crate::base::digest::Hasher;
use crate::base::error::{Error, Result, render};
use crate::layer::partial::Partial;
use crate::layer::{Blob, Store};
use crate::registry::{self, Client, Reference};

/// Smaller blobs are not worth a file.
const WORTH: u64 = 1 << 20;

/// The blob of a layer, to be fetched.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a Reference,
    pub(super) blob: Blob,
    pub(super) store: &'a Store,
    pub(super) state: Arc<State>,
}

/// How the latest try went.
#[derive(Default)]
pub(super) struct State {
    /// It began with kept bytes.
    resumed: AtomicBool,
    /// The connection broke, which is not the fault of the bytes before.
    broke: AtomicBool,
    /// What was kept shall not stay.
    forget: AtomicBool,
    /// The file is in our hands.
    held: AtomicBool,
}

impl Download<'_> {
    /// Opens the blob: what is at hand, then the registry's.
    fn begin(&self) -> Result<Box<dyn Read + Send>> {
        for flag in [&self.state.resumed, &self.state.broke, &self.state.forget] {
            flag.store(false, Ordering::Relaxed);
        }
        let worth = self.blob.size >= WORTH;
        let partial = if worth { self.store.partial(&self.blob.digest)? } else { None };
        let Some(mut partial) = partial else { return Ok(self.whole()?) };
        if partial.length() > self.blob.size {
            partial.forget();
        }
        let source = if partial.length() == 0 || partial.length() > self.blob.size {
            Source::Registry(self.whole()?)
        } else {
            self.state.resumed.store(true, Ordering::Relaxed);
            Source::Kept(Box::new(partial.reader()?), Hasher::new(self.blob.digest.algorithm()))
        };
        self.state.held.store(true, Ordering::Relaxed);
        let rest = Rest { client: self.client.clone(), name: self.name.clone(), blob: self.blob.clone() };
        Ok(Box::new(Resuming { partial, source, rest, state: self.state.clone() }))
    }

    fn whole(&self) -> Result<Box<registry::Blob>> {
        let opened = self.client.blob(self.name, &self.blob.digest, self.blob.size);
        opened.map(Box::new).inspect_err(|error| self.state.note(error))
    }
}

impl State {
    /// The registry could not be asked for the blob.
    fn note(&self, error: &Error) {
        self.broke.store(registry::may_pass(error), Ordering::Relaxed);
    }
}

impl Origin for Download<'_> {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        self.begin()
    }

    /// The thread that reads may still have the file, and may not come to its end before the process does.
    fn forget(&self) {
        self.state.forget.store(true, Ordering::Relaxed);
        if self.state.held.load(Ordering::Relaxed) {
            self.store.forget_partial(&self.blob.digest);
        } else if let Ok(Some(mut partial)) = self.store.partial(&self.blob.digest) {
            partial.forget();
        }
    }

    fn broke(&self) -> bool {
        self.state.broke.load(Ordering::Relaxed)
    }

    fn resumed(&self) -> bool {
        self.state.resumed.load(Ordering::Relaxed)
    }
}

/// What is needed to ask for the rest.
struct Rest {
    client: Client,
    name: Reference,
    blob: Blob,
}

enum Source {
    /// The bytes at hand, hashed on their way.
    Kept(Box<dyn Read + Send>, Hasher),
    Registry(Box<registry::Blob>),
}

/// Kept bytes and the rest as one stream that verifies itself.
struct Resuming {
    partial: Partial,
    source: Source,
    rest: Rest,
    state: Arc<State>,
}

impl Read for Resuming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Source::Kept(kept, hasher) = &mut self.source {
            let read = kept.read(buffer)?;
            hasher.update(&buffer[..read]);
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let (Rest { client, name, blob }, hasher) = (&self.rest, hasher.clone());
            let opened = client.blob_after(name, &blob.digest, blob.size, self.partial.length(), hasher);
            let opened = opened.map_err(|error| {
                self.state.note(&error);
                io::Error::other(render(&error))
            })?;
            self.source = Source::Registry(Box::new(opened));
        }
        let Source::Registry(blob) = &mut self.source else { return Ok(0) };
        match blob.read(buffer) {
            Ok(0) => Ok(0),
            Ok(read) => {
                self.partial.append(&buffer[..read]);
                Ok(read)
            }
            Err(error) => {
                // With all bytes there it is the content that is wrong.
                self.state.broke.store(blob.offset() < self.rest.blob.size, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl Drop for Resuming {
    fn drop(&mut self) {
        if self.state.forget.load(Ordering::Relaxed) {
            self.partial.forget();
        }
        self.state.held.store(false, Ordering::Relaxed);
    }
}
