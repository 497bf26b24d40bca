//! Blobs whose download broke off: their first bytes are kept, so that the next pull goes on where this one stopped.
//!
//! ```text
//! <root>/partial/<hex>        the first bytes of the blob with this digest, as they are transferred
//! <root>/partial/<hex>.lock   held by who fetches it
//! ```
//!
//! Nothing relies on these files: what is in them is verified with the rest of the blob. They go when the layer is
//! there, when they turn out to be wrong, and when nobody went on for a week ([`sweep`]).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Store;
use super::staging::ObjectLock;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::fs;

/// How long the beginning of a blob waits for its rest.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The beginning of a blob, in the hands of who fetches it.
#[derive(Debug)]
pub struct Partial {
    file: File,
    path: PathBuf,
    length: u64,
    kept: bool,
    _lock: ObjectLock,
}

impl Store {
    /// What is here of a blob, perhaps nothing yet; `None` while another process fetches it.
    pub fn partial(&self, blob: &Digest) -> Result<Option<Partial>> {
        let path = self.root().join("partial").join(blob.hex());
        let Some(lock) = ObjectLock::try_acquire(&path.with_extension("lock"))? else { return Ok(None) };
        let mut options = File::options();
        let file =
            std::os::unix::fs::OpenOptionsExt::mode(options.create(true).append(true).read(true), 0o600)
                .open(&path)
                .with_context(|| format!("open `{}`", path.display()))?;
        let length = file.metadata().with_context(|| format!("stat `{}`", path.display()))?.len();
        Ok(Some(Partial { file, path, length, kept: true, _lock: lock }))
    }

    /// Removes what is kept of a blob that the caller itself has under way.
    pub fn forget_partial(&self, blob: &Digest) {
        let _ = fs::remove_file(&self.root().join("partial").join(blob.hex())); // swept in the end
    }
}

impl Partial {
    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads what was there when it was asked for.
    pub fn reader(&self) -> Result<impl Read + Send + use<>> {
        let file = self.file.try_clone().with_context(|| format!("read `{}`", self.path.display()))?;
        Ok(FromStart { file, at: 0 }.take(self.length))
    }

    /// Adds bytes. Where that fails (a full disk), nothing is kept any more and the space comes back.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.kept && self.file.write_all(bytes).is_err() {
            self.forget();
        }
    }

    /// Nothing shall stay.
    pub fn forget(&mut self) {
        if self.kept {
            self.kept = false;
            let _ = fs::remove_file(&self.path); // one that stays is verified, and swept in the end
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.metadata().is_ok_and(|data| data.len() == 0) {
            self.forget();
        }
    }
}

/// Reads a file without moving anybody else's position.
struct FromStart {
    file: File,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Deletes the beginnings that nobody went on with.
pub(super) fn sweep(root: &Path) -> Result<usize> {
    let dir = root.join("partial");
    if !dir.exists() {
        return Ok(0);
    }
    let mut swept = 0;
    for entry in fs::read_dir(&dir)? {
        let path = entry.path();
        let old = entry.metadata().and_then(|data| data.modified()).is_ok_and(is_old);
        let Some(_lock) = ObjectLock::try_acquire(&path.with_extension("lock"))? else { continue };
        if old && path.extension().is_none() {
            fs::remove_file(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}

fn is_old(modified: SystemTime) -> bool {
    modified.elapsed().is_ok_and(|age| age > AGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Options;

    #[test]
    fn beginnings_are_kept_locked_and_swept_by_age() {
        let root = std::env::temp_dir().join(format!("dhow-partial-{}", crate::base::id::word()));
        let store = Store::open(&root, Options::default()).unwrap();
        let blob = Digest::of(b"blob");
        let path = root.join("partial").join(blob.hex());
        drop(store.partial(&blob).unwrap().unwrap());
        assert!(!path.exists(), "nothing is not kept");
        let mut first = store.partial(&blob).unwrap().unwrap();
        first.append(b"some");
        assert!(store.partial(&blob).unwrap().is_none(), "one at a time");
        drop(first);
        let mut second = store.partial(&blob).unwrap().unwrap();
        let mut read = Vec::new();
        let mut reader = second.reader().unwrap();
        second.append(b" more");
        reader.read_to_end(&mut read).unwrap();
        assert_eq!((read.as_slice(), second.length()), (&b"some"[..], 4));
        drop(second);
        assert_eq!(store.sweep().unwrap(), 0);
        let old = SystemTime::now() - AGE - Duration::from_secs(60);
        File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(store.sweep().unwrap(), 1);
        assert_eq!(fs::read_dir(&root.join("partial")).unwrap().len(), 0, "no lock stays");
        crate::layer::tree::remove(&root).unwrap();
    }
}
