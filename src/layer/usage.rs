//! What a tree takes on disk, as du(1) counts: allocated blocks, a file with several names once.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, Mode, OFlags};

/// Bytes allocated for a file or a tree; 0 for a missing one. Directories that cannot be read count alone.
pub fn size(path: &Path) -> Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    match file::open_at(rustix::fs::CWD, path, flags, Mode::empty()) {
        Ok(dir) => measure(dir).with_context(|| format!("measure `{}`", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error).with_context(|| format!("measure `{}`", path.display())),
    }
}

fn measure(top: OwnedFd) -> io::Result<u64> {
    let mut seen = HashSet::new();
    let mut bytes = blocks(&file::stat(&top)?);
    let mut open = vec![top];
    while let Some(dir) = open.pop() {
        for entry in file::list(&dir)? {
            let Ok(stat) = file::stat_at(&dir, entry.path()) else { continue }; // removed meanwhile
            if stat.st_nlink < 2 || entry.kind == FileType::Directory || seen.insert(stat.st_ino) {
                bytes += blocks(&stat);
            }
            if entry.kind == FileType::Directory {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                open.extend(file::open_at(&dir, entry.path(), flags, Mode::empty()));
            }
        }
    }
    Ok(bytes)
}

/// `st_blocks` counts units of 512 bytes, whatever the file system's block size.
fn blocks(stat: &file::Stat) -> u64 {
    stat.st_blocks.unsigned_abs() * 512
}
