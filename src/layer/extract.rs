//! Placing the entries of an archive in a tree: the one extractor, for layers, imports, `cp` and `ADD`.
//!
//! Nothing is ever written, changed or removed outside the tree, whatever the archive says:
//! - every directory is reached through descriptors, confined to the root (CVE-2019-14271, CVE-2025-45582);
//! - a file is made anew (`O_EXCL`); what stands in its place is moved away first, never written through;
//! - owner, mode, attributes and times are set on what was just made, never through a link (CVE-2025-11395);
//! - `..` is clamped at the root (CVE-2018-1002207).
//!
//! Syscalls are the cost of unpacking, so a plain file is `openat, write, utimensat, close` and nothing else.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::place;
use super::tar::{Entry, Kind, Reader};
use crate::base::chmod::Chmod;
use crate::base::error::{Context, Explain, Result, anyhow, bail};
use crate::base::text;
use crate::sys::file::{self, FileType, Mode, OFlags};
use crate::sys::process;
use crate::sys::rootdir::RootDir;
use crate::sys::xattr;

/// How many directories stay open; archives go depth first, so a few do.
const CACHED: usize = 16;
/// Longer paths are walked in steps, for the kernel's PATH_MAX.
const LONG: usize = 3000;
/// How many skipped devices are listed by name.
const LISTED: usize = 100;

/// What the tree is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A layer: whiteouts become overlayfs's, in its `trusted.` or (rootless) `user.` attributes.
    Layer {
        /// `userxattr` mounts.
        userxattr: bool,
    },
    /// A plain tree that may hold things already; names with `.wh.` are names like others.
    Tree,
}

/// How to unpack.
#[derive(Debug, Clone)]
pub struct Options {
    /// What for.
    pub purpose: Purpose,
    /// Everything belongs to these ids, whatever the archive says.
    pub owner: Option<(u32, u32)>,
    /// Changes the mode of everything but links.
    pub chmod: Option<Chmod>,
    /// Only one id is mapped: owners that cannot be given are counted, not fatal.
    pub ignore_chown_errors: bool,
}

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of regular files, holes included.
    pub size: u64,
    /// Device nodes that could not be made here, by path (the first hundred).
    pub skipped_devices: Vec<String>,
    /// How many owners could not be given.
    pub ignored_owners: u64,
    /// Directories that the archive needs but does not describe.
    pub implied: BTreeSet<Vec<u8>>,
}

/// An open directory of the tree with its path, free of links and dots.
pub(super) struct Dir {
    pub(super) path: Vec<u8>,
    pub(super) fd: OwnedFd,
}

/// Directory metadata that must wait until nothing is put into it any more.
struct Pending {
    path: Vec<u8>,
    mode: Option<u32>,
    entry: Entry,
}

/// Unpacks into one tree.
pub struct Extractor {
    pub(super) root: Arc<Dir>,
    pub(super) confined: RootDir,
    pub(super) options: Options,
    /// Where replaced things of a recorded archive go.
    pub(super) stash: Option<OwnedFd>,
    pub(super) report: Report,
    /// Whom new files belong to, and which mode bits they lose.
    pub(super) me: (u32, u32),
    pub(super) umask: u32,
    /// The directory of the tree that the archive's root stands for, clean.
    below: Vec<u8>,
    cache: VecDeque<(Vec<u8>, Arc<Dir>)>,
    pending: Vec<Pending>,
    described_root: bool,
    moved_dirs: bool,
}

impl Extractor {
    /// Prepares to unpack into `root`; `stash` is a directory beside it for what the archive itself replaces.
    pub fn new(root: RootDir, stash: Option<OwnedFd>, options: Options) -> Result<Extractor> {
        let fd = root.try_clone().and_then(|root| root.open_dir(Path::new("."))).context("open the tree")?;
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        Ok(Extractor {
            root: Arc::new(Dir { path: Vec::new(), fd }),
            confined: root,
            options,
            stash,
            report: Report::default(),
            me: (uid, gid),
            umask: process::umask(),
            below: Vec::new(),
            cache: VecDeque::with_capacity(CACHED),
            pending: Vec::new(),
            described_root: false,
            moved_dirs: false,
        })
    }

    /// Puts everything below a directory of the tree, links inside the tree followed; what the archive says of its own
    /// root does not count then.
    pub fn below(mut self, dir: &Path) -> Result<Extractor> {
        self.below = clean(dir.as_os_str().as_bytes())?;
        Ok(self)
    }

    /// A path or hard link target of the archive as one of the tree.
    pub(super) fn placed(&self, path: &[u8]) -> Result<Vec<u8>> {
        let path = clean(path)?;
        Ok(match (self.below.as_slice(), path.as_slice()) {
            ([], _) => path,
            (below, []) => below.to_vec(),
            (below, path) => [below, b"/", path].concat(),
        })
    }

    /// Unpacks a whole archive.
    pub fn run(mut self, reader: &mut Reader<'_>) -> Result<Report> {
        while let Some(mut entry) = reader.next_entry()? {
            self.report.entries += 1;
            if let Some(chmod) = &self.options.chmod {
                entry.mode = chmod.apply(entry.mode, entry.kind == Kind::Directory);
            }
            let path = self.placed(&entry.path)?;
            if path == self.below && !path.is_empty() && entry.kind == Kind::Directory {
                continue;
            }
            let shown = |path: &[u8]| format!("unpack `{}`", text::printable(&String::from_utf8_lossy(path)));
            self.entry(&path, entry, reader).with_context(|| shown(&path))?;
        }
        self.settle()?;
        Ok(self.report)
    }

    fn entry(&mut self, path: &[u8], entry: Entry, reader: &mut Reader<'_>) -> Result<()> {
        if path.is_empty() {
            if entry.kind != Kind::Directory {
                bail!("the root of a tree can only be a directory");
            }
            self.described_root = true;
            self.owner(&entry, |uid, gid, this| file::chown(&this.root.fd, uid, gid))?;
            self.pending.push(Pending { path: Vec::new(), mode: Some(entry.mode), entry });
            return Ok(());
        }
        let (parent, name) = split(path);
        if self.is_layer() && self.reserved(parent, name)? {
            return Ok(());
        }
        let dir = self.dir(parent)?;
        let name = Path::new(OsStr::from_bytes(name));
        match entry.kind {
            Kind::Directory => self.directory(&dir, name, entry, reader),
            _ => place::entry(self, &dir, name, &entry, reader),
        }
    }

    pub(super) fn is_layer(&self) -> bool {
        matches!(self.options.purpose, Purpose::Layer { .. })
    }

    /// Handles the names that layers give a meaning to (OCI image specification, layer.md, whiteouts). Says whether
    /// the entry is done.
    fn reserved(&mut self, parent: &[u8], name: &[u8]) -> Result<bool> {
        // Metadata of aufs (`.wh..wh.plnk`, `.wh..wh.aufs`), and all below it, is not content.
        let metadata = |part: &[u8]| part.starts_with(b".wh..wh.");
        if parent.split(|&byte| byte == b'/').any(metadata) {
            return Ok(true);
        }
        if name == b".wh..wh..opq" {
            let dir = self.dir(parent)?;
            self.make_opaque(&dir, Path::new("."))?;
            return Ok(true);
        }
        let Some(hidden) = name.strip_prefix(b".wh.") else { return Ok(false) };
        if metadata(name) {
            return Ok(true);
        }
        if matches!(hidden, b"" | b"." | b"..") {
            bail!("a whiteout of nothing");
        }
        let dir = self.dir(parent)?;
        self.whiteout(&dir, Path::new(OsStr::from_bytes(hidden)))?;
        Ok(true)
    }

    /// Hides a name of the layers below; what this layer itself adds under that name stays.
    fn whiteout(&mut self, dir: &Dir, name: &Path) -> Result<()> {
        match file::mknod_at(&dir.fd, name, FileType::CharacterDevice, 0, 0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let stat = file::stat_at(&dir.fd, name)?;
                if FileType::from_raw_mode(stat.st_mode).is_dir() {
                    self.make_opaque(dir, name)?;
                }
                Ok(())
            }
            other => other.context("make a whiteout").hint(
                "making overlay whiteouts in a user namespace needs Linux 5.8, and a file system with device nodes",
            ),
        }
    }

    pub(super) fn make_opaque(&self, dir: &Dir, name: &Path) -> Result<()> {
        let attribute: &[u8] = match self.options.purpose {
            Purpose::Layer { userxattr: true } => b"user.overlay.opaque",
            _ => b"trusted.overlay.opaque",
        };
        xattr::set_at(&dir.fd, name, attribute, b"y").context("mark a directory opaque")
    }

    fn directory(&mut self, dir: &Dir, name: &Path, entry: Entry, reader: &mut Reader<'_>) -> Result<()> {
        // Searchable and writable for us until all is in place; setgid would pass on to what is put inside.
        let first = entry.mode & 0o777 | 0o700;
        let mut made = file::mkdir_at(&dir.fd, name, first);
        let mut fresh = made.is_ok();
        if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            let stat = file::stat_at(&dir.fd, name)?;
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                made = Ok(());
            } else {
                let hidden = self.clear(dir, name, reader)?;
                made = file::mkdir_at(&dir.fd, name, first);
                fresh = true;
                if hidden && made.is_ok() {
                    self.make_opaque(dir, name)?;
                }
            }
        }
        made?;
        let path = join(&dir.path, name);
        self.report.implied.remove(&path);
        if !fresh || self.needs_owner(&entry) {
            self.owner(&entry, |uid, gid, _| file::chown_at(&dir.fd, name, uid, gid))?;
        }
        let kept = fresh && entry.mode == first && first & self.umask == 0;
        self.pending.push(Pending { path, mode: (!kept).then_some(entry.mode), entry });
        Ok(())
    }

    /// Makes room for something new: moves what is there to the stash, or deletes it. Says whether it was a whiteout.
    pub(super) fn clear(&mut self, dir: &Dir, name: &Path, reader: &mut Reader<'_>) -> Result<bool> {
        let stat = file::stat_at(&dir.fd, name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind.is_char_device() && stat.st_rdev == 0 {
            file::unlink_at(&dir.fd, name)?;
            return Ok(self.is_layer());
        }
        if kind.is_dir() {
            self.cache.clear();
            self.moved_dirs = true;
        }
        match (&self.stash, reader.recorder()) {
            (Some(stash), Some(recorder)) => {
                let number = recorder.displace(&join(&dir.path, name)).to_string();
                file::rename_at(&dir.fd, name, stash, Path::new(&number))?;
            }
            _ if kind.is_dir() => bail!("a directory is in the way"),
            _ => file::unlink_at(&dir.fd, name)?,
        }
        Ok(false)
    }

    /// Whether an inode made by us has another owner than the archive wants.
    pub(super) fn needs_owner(&self, entry: &Entry) -> bool {
        let wanted = self.options.owner.map_or((entry.uid, entry.gid), |(u, g)| (u.into(), g.into()));
        !self.is_layer() || wanted != (self.me.0.into(), self.me.1.into())
    }

    /// Gives an owner by `change`.
    pub(super) fn owner(
        &mut self,
        entry: &Entry,
        change: impl FnOnce(u32, u32, &Self) -> io::Result<()>,
    ) -> Result<()> {
        let (uid, gid) = match self.options.owner {
            Some(owner) => owner,
            None => (id(entry.uid)?, id(entry.gid)?),
        };
        match change(uid, gid, self) {
            Ok(()) => Ok(()),
            Err(_) if self.options.ignore_chown_errors => {
                self.report.ignored_owners += 1;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(anyhow!("owner {uid}:{gid} is not mapped in the user namespace"))
                    .hint("give the user more subordinate ids in /etc/subuid and /etc/subgid")
            }
            Err(error) => Err(error).with_context(|| format!("give it to {uid}:{gid}")),
        }
    }

    pub(super) fn skipped_device(&mut self, path: &[u8]) {
        if self.report.skipped_devices.len() < LISTED {
            self.report.skipped_devices.push(String::from_utf8_lossy(path).into_owned());
        }
    }

    /// The directory at `path` (clean), made with those above it if it is not there; links are followed inside the
    /// root.
    pub(super) fn dir(&mut self, path: &[u8]) -> Result<Arc<Dir>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some(at) = self.cache.iter().position(|(known, _)| known == path) {
            let found = self.cache[at].1.clone();
            if at > 0
                && let Some(hit) = self.cache.remove(at)
            {
                self.cache.push_front(hit);
            }
            return Ok(found);
        }
        let dir = Arc::new(self.find_dir(path)?);
        self.cache.truncate(CACHED - 1);
        self.cache.push_front((path.to_vec(), dir.clone()));
        Ok(dir)
    }

    fn find_dir(&mut self, path: &[u8]) -> Result<Dir> {
        let base = self.nearest(path);
        let rest = &path[base.0.len()..];
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        if rest.len() < LONG {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            match file::open_beneath(&base.1.fd, Path::new(OsStr::from_bytes(rest)), flags) {
                Ok(fd) => {
                    return Ok(Dir { path: join(&base.1.path, Path::new(OsStr::from_bytes(rest))), fd });
                }
                Err(error) if plainly_absent(&error) => {}
                Err(error) => return Err(error).context("open its directory"),
            }
        }
        let mut dir = Dir { path: base.1.path.clone(), fd: base.1.fd.try_clone()? };
        for name in rest.split(|&byte| byte == b'/') {
            dir = self.step(&dir, Path::new(OsStr::from_bytes(name)))?;
        }
        Ok(dir)
    }

    /// The longest known directory at or above `path`.
    fn nearest(&self, path: &[u8]) -> (Vec<u8>, Arc<Dir>) {
        let above = |known: &[u8]| path.starts_with(known) && path.get(known.len()) == Some(&b'/');
        let best = self.cache.iter().filter(|(known, _)| above(known)).max_by_key(|(known, _)| known.len());
        best.map_or_else(|| (Vec::new(), self.root.clone()), |(known, dir)| (known.clone(), dir.clone()))
    }

    /// One directory down: as it is, through a link, or made.
    fn step(&mut self, dir: &Dir, name: &Path) -> Result<Dir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let path = join(&dir.path, name);
        match file::open_at(&dir.fd, name, flags, Mode::empty()) {
            Ok(fd) => return Ok(Dir { path, fd }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if plainly_absent(&error) => {
                let stat = file::stat_at(&dir.fd, name)?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Symlink => return self.through_link(&path),
                    FileType::CharacterDevice if stat.st_rdev == 0 && self.is_layer() => {
                        file::unlink_at(&dir.fd, name)?;
                        file::mkdir_at(&dir.fd, name, 0o755)?;
                        self.make_opaque(dir, name)?;
                    }
                    _ => return Err(anyhow!("`{}` is no directory", String::from_utf8_lossy(&path))),
                }
            }
            Err(error) => return Err(error).context("open its directory"),
        }
        match file::mkdir_at(&dir.fd, name, 0o755) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let fd = file::open_at(&dir.fd, name, flags, Mode::empty())?;
        if self.umask & 0o055 != 0 {
            file::chmod_at(&dir.fd, name, 0o755)?;
        }
        self.report.implied.insert(path.clone());
        Ok(Dir { path, fd })
    }

    /// The directory that a link inside the tree leads to, never outside; made when it is missing.
    fn through_link(&mut self, path: &[u8]) -> Result<Dir> {
        let link = Path::new(OsStr::from_bytes(path));
        let missing = !self.confined.exists(link)?;
        let fd = self.confined.mkdir_all(link, Mode::from_raw_mode(0o755)).context("follow a link")?;
        let real = self.confined.real_path(link)?.as_os_str().as_bytes().to_vec();
        if missing && self.is_layer() {
            self.report.implied.insert(real.clone());
        }
        Ok(Dir { path: real, fd })
    }

    /// Gives the directories their modes, attributes and times, now that nothing touches them any more.
    fn settle(&mut self) -> Result<()> {
        for pending in std::mem::take(&mut self.pending) {
            let shown = || format!("finish directory `{}`", String::from_utf8_lossy(&pending.path));
            self.settle_dir(&pending).with_context(shown)?;
        }
        if self.is_layer() && !self.described_root {
            file::chmod(&self.root.fd, 0o755)?;
            file::set_mtime(&self.root.fd, place::UNDESCRIBED)?;
        }
        if self.moved_dirs {
            let root = &self.confined;
            let is_there = |path: &Vec<u8>| root.lstat(Path::new(OsStr::from_bytes(path))).is_ok();
            self.report.implied.retain(is_there);
        }
        Ok(())
    }

    fn settle_dir(&mut self, pending: &Pending) -> Result<()> {
        if pending.path.is_empty() {
            let root = self.root.clone();
            return place::directory_metadata(&root.fd, Path::new("."), pending.mode, &pending.entry);
        }
        let direct = self.is_layer() && !self.moved_dirs && pending.path.len() < LONG;
        if direct {
            let path = Path::new(OsStr::from_bytes(&pending.path));
            return place::directory_metadata(&self.root.fd, path, pending.mode, &pending.entry);
        }
        let (parent, name) = split(&pending.path);
        let (dir, name) = (self.dir(parent)?, Path::new(OsStr::from_bytes(name)));
        match file::stat_at(&dir.fd, name) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {
                place::directory_metadata(&dir.fd, name, pending.mode, &pending.entry)
            }
            _ => Ok(()), // a later entry of the archive replaced it
        }
    }
}

/// ENOENT, or something in the way that is no directory.
fn plainly_absent(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// An id as the kernel takes it; `u32::MAX` would mean "leave it" to chown(2).
fn id(value: u64) -> Result<u32> {
    match u32::try_from(value) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => bail!("owner {value} is out of range"),
    }
}

/// The path without empty parts and dots, `..` clamped at the root, no leading slash.
pub(super) fn clean(path: &[u8]) -> Result<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if path.is_empty() {
        bail!("an entry has no name");
    }
    Ok(parts.join(&b'/'))
}

pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

pub(super) fn join(dir: &[u8], name: &Path) -> Vec<u8> {
    match dir {
        [] => name.as_os_str().as_bytes().to_vec(),
        _ => [dir, b"/", name.as_os_str().as_bytes()].concat(),
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
