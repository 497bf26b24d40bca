//! The few file calls that dhow makes on its own state, each with the path in its error.
//!
//! Untrusted trees (layers, root file systems, archives) are not for these: see `sys::rootdir`.

use std::fs::{DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Context, Result, bail};
use super::id;

/// How hard a write tries to outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and directory are synced before the call returns.
    Durable,
    /// The kernel writes it back when it likes: for what need not survive a reboot.
    Volatile,
}

/// Opens a file for reading.
pub fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).open(path).with_context(|| format!("open `{}`", path.display()))
}

/// Creates or truncates a file, mode 0600.
pub fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("create `{}`", path.display()))
}

/// How large a record usually is at most.
const RECORD: usize = 4096;

/// Reads a whole file, without asking for its size first: listings read a thousand of them.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_all(open(path)?).with_context(|| format!("read `{}`", path.display()))
}

/// Reads a whole file of at most `limit` bytes; a larger one is an error.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open(path)?.take(limit + 1);
    let bytes = read_all(file).with_context(|| format!("read `{}`", path.display()))?;
    if bytes.len() as u64 > limit {
        bail!("read `{}`: larger than the limit of {limit} bytes", path.display());
    }
    Ok(bytes)
}

fn read_all(mut file: impl Read) -> io::Result<Vec<u8>> {
    let mut start = [0; RECORD];
    let mut filled = 0;
    while filled < RECORD {
        match file.read(&mut start[filled..]) {
            Ok(0) => return Ok(start[..filled].to_vec()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = Vec::with_capacity(4 * RECORD);
    bytes.extend_from_slice(&start);
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a whole file of UTF-8.
pub fn read_to_string(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("read `{}`", path.display()))
}

/// Reads a whole file; `None` when there is none.
pub fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if super::error::is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file in one step: a reader sees the old bytes or the new ones, never half.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let temporary = sibling(path)?;
    let written = write_new(&temporary, bytes, mode, durability).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        let _ = remove_file(&temporary); // the first error is the one to tell
        return written;
    }
    match (durability, path.parent()) {
        (Durability::Durable, Some(parent)) => sync_dir(parent),
        _ => Ok(()),
    }
}

/// Replaces a file with the JSON form of `value`, mode 0600.
pub fn replace_json<T: Serialize>(path: &Path, value: &T, durability: Durability) -> Result<()> {
    let bytes = serde_json::to_vec(value).with_context(|| format!("encode `{}`", path.display()))?;
    replace(path, &bytes, 0o600, durability)
}

/// Reads a JSON record.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes).with_context(|| format!("parse `{}`", path.display()))
}

/// Creates a file that must not exist yet, and writes it whole.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("create `{}`", path.display()))?;
    file.write_all(bytes).with_context(|| format!("write `{}`", path.display()))?;
    if durability == Durability::Durable {
        file.sync_all().with_context(|| format!("sync `{}`", path.display()))?;
    }
    Ok(())
}

/// Creates a file and writes it whole, unless it exists; says whether it was new. Not in one step: for files that
/// nobody else looks at yet. One that could not be written in full is removed again.
pub fn create_if_missing(path: &Path, bytes: &[u8], mode: u32) -> Result<bool> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("create `{}`", path.display())),
    };
    if let Err(error) = file.write_all(bytes) {
        let _ = remove_file(path); // the first error is the one to tell
        return Err(error).with_context(|| format!("write `{}`", path.display()));
    }
    Ok(true)
}

fn sibling(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else { bail!("`{}` has no file name", path.display()) };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", id::word()));
    Ok(path.with_file_name(temporary))
}

/// Makes a directory's entries durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    open(path)?.sync_all().with_context(|| format!("sync `{}`", path.display()))
}

/// Makes a directory and its parents, mode 0700.
pub fn create_dir_all(path: &Path) -> Result<()> {
    create_dir_all_with(path, 0o700)
}

/// Makes a directory and its parents, with this mode as far as the umask lets it.
pub fn create_dir_all_with(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("create directory `{}`", path.display()))
}

/// Makes one directory, mode 0700; says whether it was new.
pub fn create_dir(path: &Path) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("create directory `{}`", path.display())),
    }
}

/// Lists a directory; a missing one is empty.
pub fn read_dir(path: &Path) -> Result<Vec<DirEntry>> {
    #[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("list `{}`", path.display())),
    };
    entries.collect::<io::Result<_>>().with_context(|| format!("list `{}`", path.display()))
}

/// Removes a file; a missing one is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// Renames within one file system.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "this is the wrapper")]
    std::fs::rename(from, to).with_context(|| format!("rename `{}` to `{}`", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_is_whole_and_leaves_no_temporary() {
        let dir = std::env::temp_dir().join(format!("dhow-fs-{}", id::word()));
        create_dir_all(&dir).unwrap();
        let path = dir.join("record.json");
        replace(&path, b"one", 0o600, Durability::Durable).unwrap();
        replace(&path, b"two", 0o600, Durability::Volatile).unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(read_dir(&dir).unwrap().len(), 1);
        assert!(read_limited(&path, 2).is_err());
        assert!(!create_if_missing(&path, b"three", 0o600).unwrap());
        assert!(create_if_missing(&dir.join("new"), b"new", 0o600).unwrap());
        assert_eq!(read(&dir.join("new")).unwrap(), b"new");
        remove_file(&dir.join("new")).unwrap();
        assert_eq!(read_optional(&dir.join("none")).unwrap(), None);
        remove_file(&path).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }
}
