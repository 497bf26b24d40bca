//! The open directories from the top of a walk down to where it is, however deep that is.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::base::error::{Context, Result};
use crate::sys::file::{self, Mode, Name, OFlags};

/// How many stay open; those further up are closed and found again by their names.
const OPEN: usize = 64;

/// A stack of directories with something that is remembered of each.
pub(super) struct Dirs<T> {
    levels: Vec<Level<T>>,
}

struct Level<T> {
    name: PathBuf,
    fd: Option<OwnedFd>,
    /// It was reached through a link: its name does not find it again.
    pinned: bool,
    data: T,
}

impl<T> Dirs<T> {
    /// Starts at a directory.
    pub(super) fn new(top: OwnedFd, data: T) -> Dirs<T> {
        Dirs { levels: vec![Level { name: PathBuf::new(), fd: Some(top), pinned: true, data }] }
    }

    /// How many there are, the top included.
    pub(super) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// What is remembered of the lowest.
    pub(super) fn data(&self) -> Option<&T> {
        self.levels.last().map(|level| &level.data)
    }

    /// The lowest directory.
    pub(super) fn fd(&mut self) -> Result<&OwnedFd> {
        let open = self.levels.iter().rposition(|level| level.fd.is_some()).context("walk a directory")?;
        for n in open + 1..self.levels.len() {
            let [.., above, level] = &mut self.levels[..=n] else { continue };
            let above = above.fd.as_ref().context("walk a directory")?;
            level.fd = Some(open_dir(above, &level.name)?);
            self.close(n);
        }
        self.levels.last().and_then(|level| level.fd.as_ref()).context("walk a directory")
    }

    /// Goes down.
    pub(super) fn push(&mut self, name: &Path, fd: OwnedFd, pinned: bool, data: T) {
        self.levels.push(Level { name: name.to_owned(), fd: Some(fd), pinned, data });
        self.close(self.levels.len() - 1);
    }

    /// Closes what is too far above the level `n`.
    fn close(&mut self, n: usize) {
        if let Some(far) = n.checked_sub(OPEN).and_then(|far| self.levels.get_mut(far))
            && !far.pinned
        {
            far.fd = None;
        }
    }

    /// Goes up; gives what was remembered of the directory that was left. The top stays.
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.levels.len() < 2 {
            return None;
        }
        self.levels.pop().map(|level| level.data)
    }
}

/// Opens a directory for listing, never through a link.
pub(super) fn open_dir(dir: &OwnedFd, name: &Path) -> Result<OwnedFd> {
    let fd = file::open_at(dir, name, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
    fd.with_context(|| format!("open directory `{}`", name.display()))
}

/// A walk over a tree, each directory's names in byte order.
pub(super) struct Walker {
    dirs: Dirs<()>,
    left: Vec<std::vec::IntoIter<Name>>,
    /// The directory in which the walk is, relative to its top.
    path: PathBuf,
}

/// What comes next.
pub(super) enum Step {
    /// A name in the directory.
    Name(Name),
    /// The directory has no more names; the walk is in the one above now.
    Left,
}

impl Walker {
    /// Starts at a directory that is open for listing.
    pub(super) fn new(top: OwnedFd) -> Result<Walker> {
        let names = sorted(&top)?;
        Ok(Walker { dirs: Dirs::new(top, ()), left: vec![names], path: PathBuf::new() })
    }

    /// The next step; `None` when all is done.
    pub(super) fn next(&mut self) -> Option<Step> {
        match self.left.last_mut()?.next() {
            Some(name) => Some(Step::Name(name)),
            None => {
                self.left.pop();
                self.dirs.pop();
                self.path.pop();
                Some(Step::Left)
            }
        }
    }

    /// Goes into a directory that [`Walker::next`] named.
    pub(super) fn enter(&mut self, name: &Path) -> Result<()> {
        let fd = open_dir(self.dirs.fd()?, name)?;
        self.left.push(sorted(&fd)?);
        self.dirs.push(name, fd, false, ());
        self.path.push(name);
        Ok(())
    }

    /// The directory in which the walk is.
    pub(super) fn dir(&mut self) -> Result<&OwnedFd> {
        self.dirs.fd()
    }

    /// The path of a name in it, relative to the top.
    pub(super) fn path_of(&self, name: &Path) -> PathBuf {
        self.path.join(name)
    }
}

fn sorted(dir: &OwnedFd) -> Result<std::vec::IntoIter<Name>> {
    let mut names = file::list(dir).context("list a directory")?;
    names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(names.into_iter())
}
