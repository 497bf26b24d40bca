//! Places where things are made before one rename commits them, and locks whose files may be deleted.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::tree;
use crate::base::error::{Context, Result};
use crate::base::lock::Lock;
use crate::base::{fs, id};

/// An exclusive lock on a file that its holder deletes in the end. Whoever waited for the deleted file notices and
/// starts over, so that two never hold the "same" lock.
#[derive(Debug)]
pub struct ObjectLock {
    path: PathBuf,
    _lock: Lock,
}

impl ObjectLock {
    /// Waits for the lock.
    pub fn acquire(path: &Path) -> Result<ObjectLock> {
        loop {
            let lock = Lock::exclusive(path)?;
            if is_current(lock.file(), path)? {
                return Ok(ObjectLock { path: path.to_owned(), _lock: lock });
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_acquire(path: &Path) -> Result<Option<ObjectLock>> {
        loop {
            let Some(lock) = Lock::try_exclusive(path)? else { return Ok(None) };
            if is_current(lock.file(), path)? {
                return Ok(Some(ObjectLock { path: path.to_owned(), _lock: lock }));
            }
        }
    }
}

impl Drop for ObjectLock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // a leftover lock file is swept; it locks as well as a new one
    }
}

/// Whether the locked file is still the one at `path`.
fn is_current(file: &File, path: &Path) -> Result<bool> {
    let locked = file.metadata().with_context(|| format!("stat `{}`", path.display()))?;
    Ok(std::fs::symlink_metadata(path)
        .is_ok_and(|found| (found.dev(), found.ino()) == (locked.dev(), locked.ino())))
}

/// A directory in which something is made; deleted on drop unless it was committed.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    committed: bool,
    // Dropped after the directory is gone.
    _lock: ObjectLock,
}

impl Staging {
    /// Makes an empty directory, mode 0700, below `<root>/staging`.
    pub fn new(root: &Path) -> Result<Staging> {
        let path = root.join("staging").join(id::word());
        let lock = ObjectLock::acquire(&path.with_extension("lock"))?;
        fs::create_dir(&path)?;
        Ok(Staging { path, committed: false, _lock: lock })
    }

    /// Takes something out of the store to be deleted on drop: from now on nobody sees it.
    pub fn take_away(root: &Path, victim: &Path) -> Result<Staging> {
        let path = root.join("staging").join(id::word());
        let lock = ObjectLock::acquire(&path.with_extension("lock"))?;
        fs::rename(victim, &path)?;
        Ok(Staging { path, committed: false, _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the directory into place.
    pub fn commit(mut self, to: &Path) -> Result<()> {
        fs::rename(&self.path, to)?;
        self.committed = true;
        Ok(())
    }

    /// Deletes the directory and tells whether that worked.
    pub fn discard(mut self) -> Result<()> {
        self.committed = true;
        tree::remove(&self.path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.committed {
            let _ = tree::remove(&self.path); // what is left is swept later
        }
    }
}

/// Deletes what crashed commands left in `<root>/staging`; says how many entries there were.
pub fn sweep(root: &Path) -> Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(&root.join("staging"))? {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        let lock_path = if is_lock { path.clone() } else { path.with_extension("lock") };
        if is_lock && path.with_extension("").exists() {
            continue; // handled with its directory
        }
        let Some(_lock) = ObjectLock::try_acquire(&lock_path)? else { continue };
        if !is_lock {
            tree::remove(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}
