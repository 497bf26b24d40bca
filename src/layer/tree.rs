//! Deleting trees of any depth, with any modes, made by strangers.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::base::error::{Context, Result, bail};
use crate::base::id;
use crate::sys::file::{self, FileType, Mode, Name, OFlags};

/// How deep directories are kept open; what lies deeper is moved up first.
const DEPTH: usize = 48;

/// A directory being emptied.
struct Frame {
    fd: OwnedFd,
    name: PathBuf,
    left: Vec<Name>,
}

/// Deletes a file or a whole tree; a missing one is fine. Links are deleted, never followed; directories without
/// permissions are opened up first; depth is no limit, since deep ends are moved to the top and emptied there.
pub fn remove(path: &Path) -> Result<()> {
    let Some(name) = path.file_name() else { bail!("remove `{}`: not a removable path", path.display()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let removed = file::open_at(rustix::fs::CWD, parent, flags, Mode::empty())
        .and_then(|parent| remove_at(&parent, Path::new(name)));
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// Deletes a name in an open directory, with all below it.
pub fn remove_at(parent: &OwnedFd, name: &Path) -> io::Result<()> {
    match file::unlink_at(parent, name) {
        Err(error) if is_directory(&error) => {}
        other => return other,
    }
    let mut stack = vec![open(parent, name)?];
    while let Some(frame) = stack.last_mut() {
        let Some(entry) = frame.left.pop() else {
            finish(parent, &mut stack)?;
            continue;
        };
        if entry.kind != FileType::Directory {
            match file::unlink_at(&frame.fd, entry.path()) {
                Err(error) if is_directory(&error) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    file::chmod(&frame.fd, 0o700)?;
                    file::unlink_at(&frame.fd, entry.path())?;
                    continue;
                }
                other => {
                    missing_is_fine(other)?;
                    continue;
                }
            }
        }
        descend(&mut stack, &entry)?;
    }
    Ok(())
}

/// Goes into a directory, or moves it to the top when the stack is deep.
fn descend(stack: &mut Vec<Frame>, entry: &Name) -> io::Result<()> {
    let depth = stack.len();
    let frame = &stack[depth - 1];
    if depth < DEPTH {
        let next = open(&frame.fd, entry.path())?;
        stack.push(next);
        return Ok(());
    }
    let name = PathBuf::from(format!(".dhow-{}", id::word()));
    let fd = open_dir(&frame.fd, entry.path())?; // a directory must be writable to move to another parent
    drop(fd);
    file::rename_at(&frame.fd, entry.path(), &stack[0].fd, &name)?;
    let name = std::ffi::CString::new(name.into_os_string().into_encoded_bytes())?;
    stack[0].left.push(Name { name, kind: FileType::Directory });
    Ok(())
}

/// Deletes the directory on top of the stack, which is empty now.
fn finish(parent: &OwnedFd, stack: &mut Vec<Frame>) -> io::Result<()> {
    let Some(done) = stack.pop() else { return Ok(()) };
    let above = stack.last().map_or(parent, |frame| &frame.fd);
    match file::rmdir_at(above, &done.name) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            // Something was added meanwhile, or the listing missed what moved: once more.
            let left = file::list(&done.fd)?;
            if left.is_empty() {
                return Err(error);
            }
            stack.push(Frame { left, ..done });
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !stack.is_empty() => {
            file::chmod(above, 0o700)?;
            file::rmdir_at(above, &done.name)
        }
        other => missing_is_fine(other),
    }
}

fn open(parent: &OwnedFd, name: &Path) -> io::Result<Frame> {
    let fd = open_dir(parent, name)?;
    let left = file::list(&fd)?;
    Ok(Frame { fd, name: name.to_owned(), left })
}

/// Opens a directory, giving us permission where the mode denies it to its owner.
fn open_dir(parent: impl AsFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match file::open_at(&parent, name, flags, Mode::empty()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            file::chmod_at(&parent, name, 0o700)?;
            file::open_at(&parent, name, flags, Mode::empty())
        }
        other => other,
    }
}

/// EISDIR, as Linux says, or EPERM, as POSIX has it (and as a missing permission says).
fn is_directory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::IsADirectory
}

fn missing_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs;

    #[test]
    fn deep_and_closed_trees_are_deleted() {
        let top = std::env::temp_dir().join(format!("dhow-tree-{}", id::word()));
        fs::create_dir_all(&top.join("closed/x")).unwrap();
        fs::create(&top.join("closed/x/file")).unwrap();
        std::os::unix::fs::symlink("/etc", top.join("link")).unwrap();
        let mut dir = file::open_at(rustix::fs::CWD, &top, OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..3000 {
            file::mkdir_at(&dir, Path::new("deep-enough"), 0o700).unwrap();
            dir = file::open_at(&dir, Path::new("deep-enough"), OFlags::PATH, Mode::empty()).unwrap();
        }
        file::chmod_at(rustix::fs::CWD, &top.join("closed"), 0).unwrap();
        remove(&top).unwrap();
        assert!(!top.exists() && Path::new("/etc/passwd").exists());
        remove(&top).unwrap();
    }
}
