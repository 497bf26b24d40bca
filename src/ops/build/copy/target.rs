//! Where `COPY` and `ADD` put things: the rules of the destination, resolved inside the root file system.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::Scan;
use super::select::clean;
use crate::base::error::{Context, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::sys::file::{self, FileType, Mode};
use crate::sys::rootdir::RootDir;

/// The last word of a `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// From the root of the file system, relative, without dots.
    path: PathBuf,
    /// As written.
    written: String,
    /// It can only be a directory: it ends in `/` or a dot.
    is_dir: bool,
}

impl Destination {
    /// Resolves the word as written against the working directory.
    pub fn new(workdir: &str, word: &str) -> Destination {
        let path = if word.starts_with('/') { clean(word) } else { clean(&format!("{workdir}/{word}")) };
        let last = word.rsplit('/').next().unwrap_or_default();
        Destination { path, written: word.to_owned(), is_dir: matches!(last, "" | "." | "..") }
    }

    /// Where it is, from the root of the file system.
    pub fn path(&self) -> PathBuf {
        Path::new("/").join(&self.path)
    }
}

/// What was resolved.
pub(super) enum Target {
    /// Everything goes into this directory, open for listing, of this real path.
    Dir { fd: OwnedFd, real: PathBuf },
    /// The one file gets this name in this directory.
    File { dir: OwnedFd, name: PathBuf },
}

/// Decides what the destination is and makes the directories that it needs.
pub(super) fn resolve(scan: &Scan, root: &RootDir, to: &Destination, unpacks: bool) -> Result<Target> {
    let shown = printable(&to.written);
    if scan.several && !to.is_dir {
        return Err(fail(
            Kind::Usage,
            format!("with several sources the destination `{shown}` must be a directory and end in `/`"),
        ));
    }
    let kind = root.stat(&to.path).ok().map(|stat| FileType::from_raw_mode(stat.st_mode));
    let is_dir = to.is_dir || kind == Some(FileType::Directory);
    if scan.items.len() > 1 && !is_dir {
        return Err(fail(
            Kind::Usage,
            format!(
                "several files match, so that the destination `{shown}` must be a directory and end in `/`"
            ),
        ));
    }
    let contents = scan.items.iter().any(|item| item.is_dir || !item.ancestors.is_empty());
    if is_dir || contents || unpacks {
        if kind.is_some_and(|kind| kind != FileType::Directory) {
            bail!("the destination `{shown}` exists and is no directory");
        }
        make_dirs(root, &to.path, scan).with_context(|| format!("make directory `{shown}`"))?;
        let real = root.real_path(&to.path)?;
        return Ok(Target::Dir { fd: root.open_dir(&real)?, real });
    }
    let parent = to.path.parent().unwrap_or(Path::new(""));
    make_dirs(root, parent, scan).with_context(|| format!("make the directories of `{shown}`"))?;
    // A link in the last place leads, inside the root, to what is replaced or made.
    let real = root.real_path(&to.path).with_context(|| format!("resolve `{shown}`"))?;
    let (dir, name): (OwnedFd, OsString) = root.parent(&real)?;
    Ok(Target::File { dir, name: name.into() })
}

/// Makes the missing directories down to `path`, 0755, through links inside the root.
fn make_dirs(root: &RootDir, path: &Path, scan: &Scan) -> Result<()> {
    if root.exists(path)? {
        return Ok(());
    }
    let mut prefix = PathBuf::new();
    for part in path.components() {
        prefix.push(part);
        if root.exists(&prefix)? {
            continue;
        }
        let fd = root.mkdir_all(&prefix, Mode::from_raw_mode(0o755))?;
        let (uid, gid) = scan.chown.unwrap_or((0, 0));
        file::chown_path(&fd, uid, gid)?;
        file::chmod_path(&fd, 0o755)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_files_or_directories() {
        for (workdir, word, path, is_dir) in [
            ("/app", ".", "/app", true),
            ("/app", "x", "/app/x", false),
            ("/app", "x/", "/app/x", true),
            ("/app", "../y/.", "/y", true),
            ("/app", "/", "/", true),
            ("/", "/../../etc/passwd", "/etc/passwd", false),
        ] {
            let found = Destination::new(workdir, word);
            assert_eq!((found.path(), found.is_dir), (PathBuf::from(path), is_dir), "{word}");
        }
    }
}
