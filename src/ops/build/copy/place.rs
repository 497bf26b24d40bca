//! Writing what was found into a root file system.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::dirs::{Dirs, open_dir};
use super::known::Stamp;
use super::target::{Destination, Target, resolve};
use super::walk::open_regular;
use super::{Entry, Item, Kind, Scan, archive};
use crate::base::error::{Context, Explain, Result, anyhow, bail};
use crate::base::text::printable;
use crate::sys::file::{self, FileType, Mode, OFlags};
use crate::sys::process;
use crate::sys::rootdir::RootDir;
use crate::sys::xattr;

/// Files up to this size are read and written in one piece.
const SMALL: u64 = 64 * 1024;

/// How to write.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlaceOptions {
    /// A file that is an archive, compressed or not, is unpacked (ADD).
    pub unpack: bool,
    /// Only one id is mapped here: owners that cannot be given are left as they are.
    pub ignore_chown_errors: bool,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Placed {
    /// Files that changed after they were scanned: what was copied is not what the digest says, so that it must not be
    /// remembered under it.
    pub changed: Vec<PathBuf>,
    /// Device nodes that could not be made here.
    pub skipped: Vec<PathBuf>,
}

/// Writes everything that was found. `root` is the root file system as the build sees it (the mounted overlay, or the
/// empty directory of a layer of its own for `--link`).
pub fn place(scan: &Scan, root: &RootDir, to: &Destination, options: &PlaceOptions) -> Result<Placed> {
    let archives = match options.unpack {
        true => archive::find(scan)?,
        false => Vec::new(),
    };
    let target = resolve(scan, root, to, !archives.is_empty())?;
    let mut writer = Writer {
        scan,
        root,
        options,
        me: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        umask: process::umask(),
        buffer: Vec::new(),
        placed: Placed::default(),
    };
    match &target {
        Target::File { dir, name } => {
            for item in &scan.items {
                writer.renamed(item, dir, name)?;
            }
        }
        Target::Dir { fd, real } => {
            for (n, item) in scan.items.iter().enumerate() {
                match archives.iter().find(|(at, _)| *at == n) {
                    Some((_, archive)) => archive::unpack(archive, scan, item, root, real, options)?,
                    None => writer.item(item, fd, real)?,
                }
            }
        }
    }
    Ok(writer.placed)
}

struct Writer<'a> {
    scan: &'a Scan,
    root: &'a RootDir,
    options: &'a PlaceOptions,
    /// Whom new files belong to, and which mode bits they lose.
    me: (u32, u32),
    umask: u32,
    buffer: Vec<u8>,
    placed: Placed,
}

/// A directory of the destination that is being filled.
struct Filling<'a> {
    /// What it gets in the end; `None` for the destination itself, which keeps what it has.
    entry: Option<&'a Entry>,
    /// New files belong to its group, not to ours.
    set_gid: bool,
}

impl<'a> Writer<'a> {
    /// The one file under the destination's own name.
    fn renamed(&mut self, item: &'a Item, dir: &OwnedFd, name: &Path) -> Result<()> {
        let from = self.scan.origin.open_dir(&item.base).context("open the source")?;
        let set_gid = is_set_gid(dir)?;
        for entry in &item.entries {
            let source = source_name(entry);
            self.make(item, entry, &from, source, dir, name, set_gid)
                .with_context(|| copying(item, entry))?;
        }
        Ok(())
    }

    /// An item below a directory.
    fn item(&mut self, item: &'a Item, top: &OwnedFd, real: &Path) -> Result<()> {
        let from = self.scan.origin.open_dir(&item.base).context("open the source")?;
        let mut from = Dirs::new(from, ());
        let filling = Filling { entry: None, set_gid: is_set_gid(top)? };
        let mut to = Dirs::new(open_dir(top, Path::new("."))?, filling);
        for ancestor in &item.ancestors {
            self.enter(&mut to, ancestor, real).with_context(|| copying(item, ancestor))?;
        }
        let inner = item.ancestors.len();
        let real = real.join(&item.into);
        for entry in &item.entries {
            let depth = entry.path.components().count();
            while to.depth() > depth + inner {
                from.pop();
                self.leave(&mut to)?;
            }
            self.entry(item, entry, &mut from, &mut to, &real).with_context(|| copying(item, entry))?;
        }
        while to.depth() > 1 {
            self.leave(&mut to)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        item: &'a Item,
        entry: &'a Entry,
        from: &mut Dirs<()>,
        to: &mut Dirs<Filling<'a>>,
        real: &Path,
    ) -> Result<()> {
        let name = Path::new(entry.path.file_name().unwrap_or_default());
        if matches!(entry.kind, Kind::Dir) {
            let source = open_dir(from.fd()?, name)?;
            from.push(name, source, false, ());
            return self.enter(to, entry, real);
        }
        if let Kind::Hard(first) = entry.kind {
            return self.hard_link(&item.entries[first], to, name, real);
        }
        let set_gid = to.data().is_some_and(|filling| filling.set_gid);
        self.make(item, entry, from.fd()?, source_name(entry), to.fd()?, name, set_gid)
    }

    /// Goes into a directory of the destination, which is made when it is not there. One that is a link is followed
    /// inside the root.
    fn enter(&mut self, to: &mut Dirs<Filling<'a>>, entry: &'a Entry, real: &Path) -> Result<()> {
        let name = Path::new(entry.path.file_name().unwrap_or_default());
        let dir = to.fd()?;
        // Ours to search and to fill until all is in place.
        let made = file::mkdir_at(dir, name, entry.mode & 0o777 | 0o700);
        if let Err(error) = made
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.into());
        }
        let (fd, linked) = match open_dir(dir, name) {
            Ok(fd) => (fd, false),
            Err(_) => (self.through_link(dir, name, &real.join(&entry.path))?, true),
        };
        let filling = Filling { entry: Some(entry), set_gid: is_set_gid(&fd)? };
        to.push(name, fd, linked, filling);
        Ok(())
    }

    fn through_link(&self, dir: &OwnedFd, name: &Path, path: &Path) -> Result<OwnedFd> {
        let stat = file::stat_at(dir, name)?;
        if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
            bail!("`/{}` is in the way: it is no directory", printable(&path.to_string_lossy()));
        }
        self.root
            .mkdir_all(path, Mode::from_raw_mode(0o755))
            .and_then(|_| self.root.open_dir(path))
            .with_context(|| format!("follow link `/{}`", printable(&path.to_string_lossy())))
    }

    /// Gives a directory its metadata, now that nothing is put into it any more.
    fn leave(&mut self, to: &mut Dirs<Filling<'a>>) -> Result<()> {
        let fd = to.fd()?.try_clone().context("duplicate a descriptor")?;
        let Some(Filling { entry: Some(entry), .. }) = to.pop() else { return Ok(()) };
        let shown = || format!("finish directory `{}`", printable(&entry.path.to_string_lossy()));
        self.finish_dir(&fd, entry).with_context(shown)
    }

    fn finish_dir(&self, fd: &OwnedFd, entry: &Entry) -> Result<()> {
        let stat = file::stat(fd)?;
        if (stat.st_uid, stat.st_gid) != entry.owner {
            self.owner(entry, |uid, gid| file::chown(fd, uid, gid))?;
        }
        if stat.st_mode & 0o7777 != entry.mode {
            file::chmod(fd, entry.mode)?;
        }
        for (name, value) in &entry.xattrs {
            tolerate(xattr::set(fd, name.to_bytes(), value))?;
        }
        Ok(file::set_mtime(fd, entry.mtime)?)
    }

    /// Makes a file, link or special file in place of what is there.
    #[expect(clippy::too_many_arguments, reason = "two places, each a directory and a name")]
    fn make(
        &mut self,
        item: &Item,
        entry: &Entry,
        from: &OwnedFd,
        source: &Path,
        to: &OwnedFd,
        name: &Path,
        set_gid: bool,
    ) -> Result<()> {
        let others = set_gid || entry.owner != self.me;
        match &entry.kind {
            Kind::File { stamp, .. } => {
                let (source, before) = open_regular(from, source)?;
                let fd = self.create(to, name, entry)?;
                self.contents(&source, &fd, u64::try_from(before.st_size)?)?;
                if Stamp::of(&file::stat(&source)?) != *stamp {
                    self.placed.changed.push(shown_path(item, entry));
                }
                self.finish_file(&fd, entry, others)
            }
            Kind::Inline(bytes) => {
                let fd = self.create(to, name, entry)?;
                file::write_all(&fd, bytes)?;
                self.finish_file(&fd, entry, others)
            }
            Kind::Link(target) => {
                let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                anew(to, name, || file::symlink_at(target, to, name))?;
                if others {
                    self.owner(entry, |uid, gid| file::chown_at(to, name, uid, gid))?;
                }
                Ok(file::set_mtime_at(to, name, entry.mtime)?)
            }
            Kind::Special { mode, device } => self.special(item, entry, to, name, *mode, *device),
            Kind::Dir | Kind::Hard(_) => bail!("a directory is no file"),
        }
    }

    fn create(&self, to: &OwnedFd, name: &Path, entry: &Entry) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOCTTY;
        anew(to, name, || file::open_at(to, name, flags, Mode::from_raw_mode(entry.mode & 0o777)))
    }

    fn contents(&mut self, from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<()> {
        if size > SMALL {
            return file::copy_contents(from, to, size).context("copy its content");
        }
        self.buffer.resize(SMALL as usize, 0);
        let mut left = size;
        while left > 0 {
            let read = file::read(from, &mut self.buffer)?;
            if read == 0 {
                return Ok(()); // it shrank, which its times will tell
            }
            file::write_all(to, &self.buffer[..read])?;
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }

    /// Owner, mode, attributes, times: in this order, since a new owner clears setuid and capabilities.
    fn finish_file(&self, fd: &OwnedFd, entry: &Entry, others: bool) -> Result<()> {
        if others {
            self.owner(entry, |uid, gid| file::chown(fd, uid, gid))?;
        }
        if entry.mode & (0o7000 | self.umask) != 0 {
            file::chmod(fd, entry.mode)?;
        }
        for (name, value) in &entry.xattrs {
            tolerate(xattr::set(fd, name.to_bytes(), value))?;
        }
        match entry.kind {
            Kind::Inline(_) => Ok(()), // it is of now
            _ => Ok(file::set_mtime(fd, entry.mtime)?),
        }
    }

    /// A FIFO, or a device where the kernel lets us.
    fn special(
        &mut self,
        item: &Item,
        entry: &Entry,
        to: &OwnedFd,
        name: &Path,
        mode: u32,
        device: u64,
    ) -> Result<()> {
        let kind = FileType::from_raw_mode(mode);
        let made = anew(to, name, || file::mknod_at(to, name, kind, entry.mode & 0o777, device));
        match made {
            Err(error) if kind != FileType::Fifo && is_denied(&error) => {
                self.placed.skipped.push(shown_path(item, entry));
                return Ok(());
            }
            made => made?,
        }
        self.owner(entry, |uid, gid| file::chown_at(to, name, uid, gid))?;
        file::chmod_at(to, name, entry.mode)?;
        for (attribute, value) in &entry.xattrs {
            tolerate(xattr::set_at(to, name, attribute.to_bytes(), value))?;
        }
        Ok(file::set_mtime_at(to, name, entry.mtime)?)
    }

    fn hard_link(&self, first: &Entry, to: &mut Dirs<Filling<'a>>, name: &Path, real: &Path) -> Result<()> {
        let path = real.join(&first.path);
        let (dir, first) = self.root.parent(&path)?;
        let to = to.fd()?;
        anew(to, name, || file::link_at(&dir, Path::new(&first), to, name))
    }

    fn owner(&self, entry: &Entry, change: impl FnOnce(u32, u32) -> io::Result<()>) -> Result<()> {
        let (uid, gid) = entry.owner;
        match change(uid, gid) {
            Err(_) if self.options.ignore_chown_errors => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                Err(anyhow!("owner {uid}:{gid} is not mapped in the user namespace"))
                    .hint("give the user more subordinate ids in /etc/subuid and /etc/subgid")
            }
            other => other.with_context(|| format!("give it to {uid}:{gid}")),
        }
    }
}

/// Calls `make`, and once more after removing a file that is in the way. A directory is never removed.
fn anew<T>(dir: &OwnedFd, name: &Path, make: impl Fn() -> io::Result<T>) -> Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let stat = file::stat_at(dir, name)?;
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                bail!("a directory is in the way");
            }
            file::unlink_at(dir, name)?;
            Ok(make()?)
        }
        other => Ok(other?),
    }
}

/// An attribute that this file system or user cannot have is left out, as Podman and Docker do.
fn tolerate(result: io::Result<()>) -> io::Result<()> {
    use io::ErrorKind as E;
    match result {
        Err(error) if matches!(error.kind(), E::Unsupported | E::PermissionDenied) => Ok(()),
        other => other,
    }
}

fn is_denied(error: &crate::base::error::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn is_set_gid(dir: &OwnedFd) -> Result<bool> {
    Ok(file::stat(dir)?.st_mode & 0o2000 != 0)
}

/// The name of an entry in its directory of the origin.
pub(super) fn source_name(entry: &Entry) -> &Path {
    let name = entry.name.as_deref();
    name.unwrap_or_else(|| Path::new(entry.path.file_name().unwrap_or_default()))
}

fn shown_path(item: &Item, entry: &Entry) -> PathBuf {
    if item.is_dir { item.shown.join(&entry.path) } else { item.shown.clone() }
}

fn copying(item: &Item, entry: &Entry) -> String {
    format!("copy `{}`", printable(&shown_path(item, entry).to_string_lossy()))
}
