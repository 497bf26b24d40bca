//! Giving a tree to somebody else (`-v …:U`): every entry, no link followed, one file system.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, Mode, OFlags};

/// Makes `uid:gid` the owner of a file or of a directory with everything in it. Entries that have it are not touched.
pub fn change_owner(path: &Path, uid: u32, gid: u32) -> Result<()> {
    let top = file::open_at(rustix::fs::CWD, path, OFlags::PATH, Mode::empty());
    let top = top.with_context(|| format!("open `{}`", path.display()))?;
    let stat = file::stat(&top)?;
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        file::chown_path(&top, uid, gid)?;
    }
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(());
    }
    let mut open =
        vec![file::open_at(&top, Path::new("."), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?];
    while let Some(dir) = open.pop() {
        level(&dir, stat.st_dev, (uid, gid), &mut open)?;
    }
    Ok(())
}

fn level(dir: &OwnedFd, device: u64, owner: (u32, u32), open: &mut Vec<OwnedFd>) -> Result<()> {
    for entry in file::list(dir)? {
        let shown = || format!("change the owner of `{}`", entry.path().display());
        let stat = file::stat_at(dir, entry.path()).with_context(shown)?;
        if stat.st_dev != device {
            continue;
        }
        if (stat.st_uid, stat.st_gid) != owner {
            file::chown_at(dir, entry.path(), owner.0, owner.1).with_context(shown)?;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            open.push(file::open_at(dir, entry.path(), flags, Mode::empty()).with_context(shown)?);
        }
    }
    Ok(())
}
