//! Paths inside untrusted trees (layers, root file systems, volumes, build contexts).
//!
//! A [`RootDir`] resolves every path as if its directory were `/`: absolute links, `..` and chains of links all
//! stay inside (CVE-2018-15664, CVE-2019-14271, CVE-2021-30465, CVE-2025-45582). The kernel does it with
//! `openat2(RESOLVE_IN_ROOT)` (Linux 5.6); where that call is missing or denied by an old seccomp profile, and
//! where directories must be made on the way, a walk does it one component and one descriptor at a time.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// As many links as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
/// A file opened in an untrusted tree never becomes our terminal, never blocks, never leaks into a child.
const GUARDS: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// Set once `openat2` turned out to be unusable here.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

/// The root of an untrusted tree.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
}

/// Where a walk ended: the directory that holds the last component, and that component.
struct Place {
    /// Descriptors from the root (excluded) down to the parent.
    stack: Vec<(OsString, OwnedFd)>,
    /// `None` when the path is the root or ends in a directory that is on the stack (`a/..`).
    last: Option<OsString>,
}

impl RootDir {
    /// Opens a directory of ours as the root of an untrusted tree; links in `path` itself are followed.
    pub fn open(path: &Path) -> io::Result<RootDir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(RootDir { fd: retry(|| rustix::fs::open(path, flags, Mode::empty()))? })
    }

    /// Takes a descriptor of a directory as the root.
    pub fn from_fd(fd: OwnedFd) -> RootDir {
        RootDir { fd }
    }

    /// A second handle of the same root.
    pub fn try_clone(&self) -> io::Result<RootDir> {
        Ok(RootDir { fd: self.fd.try_clone()? })
    }

    /// Resolves a path to an `O_PATH` descriptor, following links inside the root.
    pub fn resolve(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// Like [`RootDir::resolve`], but a link in the last place is returned itself.
    pub fn resolve_nofollow(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Opens a directory for reading its entries.
    pub fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    }

    /// Opens a regular file. Anything else is refused without being opened (a FIFO would block, a device would
    /// act); with `CREATE` a missing file is made with `mode`.
    pub fn open_file(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let nofollow = flags & OFlags::NOFOLLOW;
        match self.open_at(path, OFlags::PATH | OFlags::CLOEXEC | nofollow, Mode::empty()) {
            Ok(_) if flags.contains(OFlags::CREATE | OFlags::EXCL) => Err(Errno::EXIST.into()),
            Ok(handle) => {
                require_regular(&handle)?;
                reopen(&handle, flags.difference(OFlags::CREATE | OFlags::NOFOLLOW) | GUARDS)
            }
            Err(error) if missing(&error) && flags.contains(OFlags::CREATE) => {
                let fd = self.open_at(path, flags | GUARDS, mode)?;
                require_regular(&fd)?;
                Ok(fd)
            }
            Err(error) => Err(error),
        }
    }

    /// Resolves the directory that holds the last component of `path`, and gives that component's name. The last
    /// component itself is not looked at; a path that ends in `..` or is the root has none, which is an error.
    pub fn parent(&self, path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let (parent, name) = split(path)?;
        Ok((self.open_at(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?, name))
    }

    /// Makes a directory and the missing ones above it, through links (even dangling ones) inside the root.
    /// Gives an `O_PATH` descriptor; an existing directory keeps its mode.
    pub fn mkdir_all(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self.open_at(path, flags, Mode::empty()) {
            Err(error) if missing(&error) => {}
            other => return other,
        }
        let place = self.walk(path, true, Some(mode))?;
        let parent = place.parent(self);
        let Some(name) = &place.last else { return parent.try_clone_to_owned() };
        make_dir(parent, name, mode)?;
        open_in(parent, name, flags)
    }

    /// Makes an empty regular file (and the directories above it, mode 0755) unless something is there already; a
    /// dangling link gets its target made inside the root. Gives an `O_PATH` descriptor, as mount points need.
    pub fn make_file(&self, path: &Path, mode: Mode) -> io::Result<OwnedFd> {
        match self.resolve(path) {
            Err(error) if missing(&error) => {}
            other => return other,
        }
        let place = self.walk(path, true, Some(Mode::from_raw_mode(0o755)))?;
        let Some(name) = &place.last else { return Err(Errno::ISDIR.into()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | GUARDS;
        let parent = place.parent(self);
        retry(|| rustix::fs::openat(parent, name.as_os_str(), flags, mode))?;
        open_in(parent, name, OFlags::PATH | OFlags::CLOEXEC)
    }

    /// Reads a regular file of at most `max` bytes; `None` when there is none. A link, FIFO, device or endless file
    /// cannot hang or fill us (CVE-2024-9676).
    pub fn read_small(&self, path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_file(path, OFlags::RDONLY, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(error) if missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {max} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Whether something is there; a dangling link is not.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.resolve(path) {
            Ok(_) => Ok(true),
            Err(error) if missing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads a link's target.
    pub fn readlink(&self, path: &Path) -> io::Result<OsString> {
        read_link(self.resolve_nofollow(path)?.as_fd())
    }

    /// The status of what a path leads to.
    pub fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.resolve(path)?)?)
    }

    /// The status of what a path names, a link itself.
    pub fn lstat(&self, path: &Path) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(self.resolve_nofollow(path)?)?)
    }

    /// The path without links and dots, relative to the root; all of it must exist but for the last component.
    pub fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(self.walk(path, true, None)?.path())
    }

    /// Opens `path` with the kernel's confinement or, where that is not to be had, by the walk.
    fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        if !NO_OPENAT2.load(Ordering::Relaxed) {
            match openat2(self.as_fd(), path, flags, mode) {
                Err(Errno::NOSYS | Errno::PERM) => NO_OPENAT2.store(true, Ordering::Relaxed),
                // Somebody keeps renaming below us, or the path exceeds PATH_MAX: the walk copes with both.
                Err(Errno::AGAIN | Errno::NAMETOOLONG) => {}
                other => return Ok(other?),
            }
        }
        let place = self.walk(path, !flags.contains(OFlags::NOFOLLOW), None)?;
        let parent = place.parent(self);
        match &place.last {
            Some(name) => {
                Ok(retry(|| rustix::fs::openat(parent, name.as_os_str(), flags | OFlags::NOFOLLOW, mode))?)
            }
            None => Ok(retry(|| rustix::fs::openat(parent, ".", flags, mode))?),
        }
    }

    /// Walks to the last component; `make` makes missing directories on the way, `follow` says what happens to a
    /// link in the last place. `..` goes back on the descriptors that were walked, never through the kernel, so
    /// that a directory moved away meanwhile does not lead outside.
    fn walk(&self, path: &Path, follow: bool, make: Option<Mode>) -> io::Result<Place> {
        let mut todo = components(path);
        let mut stack: Vec<(OsString, OwnedFd)> = Vec::new();
        let mut links = 0;
        while let Some(name) = todo.pop_front() {
            if name == ".." {
                stack.pop();
                continue;
            }
            let parent = stack.last().map_or(self.as_fd(), |(_, fd)| fd.as_fd());
            let found = open_in(parent, &name, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW);
            let is_last = todo.is_empty();
            let fd = match (found, make) {
                (Err(error), _) if is_last && missing(&error) => {
                    return Ok(Place { stack, last: Some(name) });
                }
                (Err(error), Some(mode)) if error.kind() == io::ErrorKind::NotFound => {
                    make_dir(parent, &name, mode)?;
                    open_in(parent, &name, OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY)?
                }
                (found, _) => found?,
            };
            let is_link = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode).is_symlink();
            if is_link && (follow || !is_last) {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let target = PathBuf::from(read_link(fd.as_fd())?);
                if target.is_absolute() {
                    stack.clear();
                }
                for part in components(&target).into_iter().rev() {
                    todo.push_front(part);
                }
                continue;
            }
            if is_last {
                return Ok(Place { stack, last: Some(name) });
            }
            stack.push((name, fd));
        }
        Ok(Place { stack, last: None })
    }
}

impl AsFd for RootDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Place {
    fn parent<'a>(&'a self, root: &'a RootDir) -> BorrowedFd<'a> {
        self.stack.last().map_or(root.as_fd(), |(_, fd)| fd.as_fd())
    }

    fn path(&self) -> PathBuf {
        self.stack.iter().map(|(name, _)| name).chain(&self.last).collect()
    }
}

/// One `openat2` confined to `root`.
fn openat2(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    // The kernel refuses a mode where nothing is created.
    let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, path, flags, mode, resolve) {
            Err(Errno::INTR) => {}
            // A rename or mount elsewhere raced with a `..` of ours (openat2(2), EAGAIN).
            Err(Errno::AGAIN) if tries < 32 => tries += 1,
            other => return other,
        }
    }
}

/// Opens again, with other flags, what an `O_PATH` descriptor stands for.
fn reopen(handle: &OwnedFd, flags: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    Ok(retry(|| rustix::fs::openat(CWD, path.as_str(), flags, Mode::empty()))?)
}

fn require_regular(fd: &OwnedFd) -> io::Result<()> {
    match FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Errno::ISDIR.into()),
        FileType::Symlink => Err(Errno::LOOP.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
    }
}

/// Makes one directory; one that is there already is fine.
fn make_dir(parent: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> io::Result<()> {
    match retry(|| rustix::fs::mkdirat(parent, name, mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens one component without following it.
fn open_in(parent: BorrowedFd<'_>, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(retry(|| rustix::fs::openat(parent, name, flags | OFlags::NOFOLLOW, Mode::empty()))?)
}

/// The target of the link that an `O_PATH` descriptor stands for.
fn read_link(fd: BorrowedFd<'_>) -> io::Result<OsString> {
    let target = rustix::fs::readlinkat(fd, "", Vec::new()).map_err(|errno| match errno {
        Errno::NOENT => Errno::INVAL, // what readlink(2) says of something that is no link
        other => other,
    })?;
    Ok(OsString::from_vec(target.into_bytes()))
}

/// The components that matter: names and `..`.
fn components(path: &Path) -> VecDeque<OsString> {
    let wanted = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(wanted).collect()
}

/// Splits into the path of the parent and the last name.
fn split(path: &Path) -> io::Result<(&Path, OsString)> {
    let Some(Component::Normal(name)) = path.components().next_back() else {
        return Err(Errno::INVAL.into());
    };
    Ok((path.parent().unwrap_or(Path::new("/")), name.to_owned()))
}

/// Whether an error says that there is nothing.
fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound)
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

/// Whether a name is usable as one component: no slash, no NUL, not empty, not a dot name.
pub fn is_plain_name(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty() && bytes != b"." && bytes != b".." && !bytes.iter().any(|&b| b == b'/' || b == 0)
}

/// The status of what a name in an open directory stands for, a link itself.
pub fn stat_at(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<Stat> {
    Ok(retry(|| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{fs, id};
    use std::os::unix::fs::symlink;

    struct Tree(PathBuf);

    impl Tree {
        fn new() -> (Tree, RootDir) {
            let path = std::env::temp_dir().join(format!("dhow-rootdir-{}", id::word()));
            fs::create_dir_all(&path.join("root/usr/lib")).unwrap();
            fs::replace(&path.join("outside"), b"host", 0o600, fs::Durability::Volatile).unwrap();
            fs::replace(&path.join("root/usr/lib/a"), b"inside", 0o600, fs::Durability::Volatile).unwrap();
            let root = path.join("root");
            for (target, name) in [
                ("/usr/lib", "lib"),
                ("../../../outside", "escape"),
                ("/proc/self/root/etc", "magic"),
                ("loop", "loop"),
                ("/var/new", "dangling"),
            ] {
                symlink(target, root.join(name)).unwrap();
            }
            let dir = RootDir::open(&root).unwrap();
            (Tree(path), dir)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            #[expect(clippy::disallowed_methods, reason = "a shallow tree of this test")]
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// Runs a check with the kernel's confinement and with the walk.
    fn both(check: impl Fn(&RootDir, &Path)) {
        for walk in [false, true] {
            let (tree, dir) = Tree::new();
            NO_OPENAT2.store(walk, Ordering::Relaxed);
            check(&dir, &tree.0);
            NO_OPENAT2.store(false, Ordering::Relaxed);
        }
    }

    #[test]
    fn links_stay_inside_the_root() {
        both(|dir, tree| {
            let read = |path: &str| dir.read_small(Path::new(path), 100);
            for path in ["lib/a", "/lib/a", "../lib/a", "usr/../lib/../lib/a", "/../../usr/lib/a"] {
                assert_eq!(read(path).unwrap().unwrap(), b"inside", "{path}");
            }
            assert_eq!(read("escape").unwrap(), None);
            assert_eq!(read("magic/passwd").unwrap(), None);
            assert!(read("loop").is_err());
            dir.make_file(Path::new("escape"), Mode::from_raw_mode(0o600)).unwrap();
            assert!(tree.join("root/outside").exists());
            assert_eq!(dir.readlink(Path::new("escape")).unwrap(), "../../../outside");
        });
    }

    #[test]
    fn directories_are_made_through_dangling_links() {
        both(|dir, tree| {
            dir.mkdir_all(Path::new("dangling/x/y"), Mode::from_raw_mode(0o755)).unwrap();
            assert!(tree.join("root/var/new/x/y").is_dir());
            assert_eq!(dir.real_path(Path::new("dangling/x/z")).unwrap(), Path::new("var/new/x/z"));
            let (_, name) = dir.parent(Path::new("dangling/x/z")).unwrap();
            assert_eq!(name, "z");
            assert!(dir.parent(Path::new("..")).is_err());
        });
    }

    #[test]
    fn special_files_are_never_opened() {
        both(|dir, tree| {
            let fifo = tree.join("root/fifo");
            rustix::fs::mkfifoat(CWD, &fifo, Mode::from_raw_mode(0o600)).unwrap();
            assert!(dir.read_small(Path::new("fifo"), 10).is_err());
            assert!(dir.read_small(Path::new("usr"), 10).is_err());
            assert!(dir.read_small(Path::new("usr/lib/a"), 3).is_err());
            assert!(dir.exists(Path::new("fifo")).unwrap());
        });
    }
}
