//! Advisory locks between processes: `flock` on a file that is never renamed or removed while in use.
//!
//! Order, outermost first: store, image and layer, container, network, names. No lock is held across a
//! network read or a container's life (but for the supervisor's own `alive.lock`).

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::{Context, Result};

/// A held lock; dropping it, or dying, releases it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Waits for the lock alone.
    pub fn exclusive(path: &Path) -> Result<Lock> {
        let file = open(path)?;
        file.lock().with_context(|| format!("lock `{}`", path.display()))?;
        Ok(Lock { file })
    }

    /// Waits for the lock together with other readers.
    pub fn shared(path: &Path) -> Result<Lock> {
        let file = open(path)?;
        file.lock_shared().with_context(|| format!("lock `{}`", path.display()))?;
        Ok(Lock { file })
    }

    /// Takes the lock alone if nobody has it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Lock>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("lock `{}`", path.display()))
            }
        }
    }

    /// The locked file, whose descriptor keeps the lock across `fork`.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Whether somebody holds the lock exclusively; a missing file is held by nobody.
pub fn is_held(path: &Path) -> Result<bool> {
    #[expect(clippy::disallowed_methods, reason = "a missing file is an answer here, not an error")]
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("open `{}`", path.display())),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock `{}`", path.display())),
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("open lock `{}`", path.display()))
}
