//! The entries of one source, with the digests of their contents.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::dirs::{Step, Walker};
use super::known::{Fact, Known, Stamp};
use super::select::{Chosen, clean};
use super::{Entry, Item, Kind, Request};
use crate::base::digest::{Algorithm, Hasher};
use crate::base::error::{Context, Result, bail};
use crate::base::text::printable;
use crate::sys::file::{self, FileType, Mode, Name, OFlags, Stat, Timespec};
use crate::sys::xattr::{self, Attribute};

/// How much is read at once.
const BUFFER: usize = 128 * 1024;

/// The item for a file that stands in the Dockerfile itself.
pub(super) fn inline(request: &Request<'_>, name: &str, content: &str) -> Item {
    let name = clean(name);
    let name = PathBuf::from(name.file_name().unwrap_or_default());
    let entry = Entry {
        path: name.clone(),
        name: None,
        kind: Kind::Inline(content.as_bytes().to_vec()),
        mode: request.chmod.map_or(0o644, |chmod| chmod.apply(0o644, false)),
        owner: request.owner().unwrap_or((0, 0)),
        mtime: Timespec { tv_sec: 0, tv_nsec: 0 },
        xattrs: Vec::new(),
    };
    let none = PathBuf::new;
    Item {
        base: none(),
        shown: name,
        is_dir: false,
        into: none(),
        ancestors: Vec::new(),
        entries: vec![entry],
    }
}

/// The item for a chosen source.
pub(super) fn item(request: &Request<'_>, chosen: Chosen, known: &mut Known) -> Result<Item> {
    let is_dir = chosen.kind == FileType::Directory;
    let kept = chosen.kept.as_deref();
    let into = match kept {
        Some(kept) if is_dir => kept.to_owned(),
        Some(kept) => kept.parent().unwrap_or(Path::new("")).to_owned(),
        None => PathBuf::new(),
    };
    let base = if is_dir { chosen.real.as_path() } else { chosen.real.parent().unwrap_or(Path::new("")) };
    let shown = printable(&chosen.shown.to_string_lossy()).into_owned();
    let top =
        request.origin.open_dir(base).with_context(|| format!("open `{shown}` of {}", request.called))?;
    let mut walk = Walk {
        request,
        known,
        shown: chosen.shown.clone(),
        real: base.to_owned(),
        kept: kept.map(Path::to_owned),
        entries: Vec::new(),
        linked: HashMap::new(),
        buffer: Vec::new(),
    };
    if is_dir {
        walk.tree(top)?;
    } else {
        walk.single(&top, &chosen)?;
    }
    let entries = walk.entries;
    let ancestors = ancestors(request, &chosen.shown, &into, is_dir)?;
    Ok(Item { base: base.to_owned(), shown: chosen.shown, is_dir, into, ancestors, entries })
}

/// The directories that `--parents` makes, with the metadata that they have in the origin.
fn ancestors(request: &Request<'_>, shown: &Path, into: &Path, is_dir: bool) -> Result<Vec<Entry>> {
    let holder = if is_dir { shown } else { shown.parent().unwrap_or(Path::new("")) };
    let skipped = holder.components().count() - into.components().count();
    let prefix: PathBuf = holder.components().take(skipped).collect();
    let mut all = Vec::new();
    let mut path = PathBuf::new();
    for part in into.components() {
        path.push(part);
        let stat =
            request.origin.stat(&prefix.join(&path)).with_context(|| format!("stat `{}`", path.display()))?;
        all.push(entry(request, path.clone(), Kind::Dir, &stat, Vec::new()));
    }
    Ok(all)
}

fn entry(request: &Request<'_>, path: PathBuf, kind: Kind, stat: &Stat, xattrs: Vec<Attribute>) -> Entry {
    let dir = matches!(kind, Kind::Dir);
    let mode = match request.chmod {
        Some(chmod) if !matches!(kind, Kind::Link(_)) => chmod.apply(stat.st_mode & 0o7777, dir),
        _ => stat.st_mode & 0o7777,
    };
    let owner = request.owner().unwrap_or((stat.st_uid, stat.st_gid));
    let mtime = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    Entry { path, name: None, kind, mode, owner, mtime, xattrs }
}

struct Walk<'a, 'b> {
    request: &'a Request<'b>,
    known: &'a mut Known,
    /// The source as written.
    shown: PathBuf,
    /// The directory of the walk in the origin.
    real: PathBuf,
    /// What `--parents` keeps.
    kept: Option<PathBuf>,
    entries: Vec<Entry>,
    /// Entries with several names, by device and inode.
    linked: HashMap<(u64, u64), usize>,
    buffer: Vec<u8>,
}

impl Walk<'_, '_> {
    fn single(&mut self, dir: &OwnedFd, chosen: &Chosen) -> Result<()> {
        let name = PathBuf::from(chosen.real.file_name().context("a source without a name")?);
        let path = PathBuf::from(chosen.shown.file_name().unwrap_or(name.as_os_str()));
        if self.excluded_single(&path) {
            return Ok(());
        }
        let stat = file::stat_at(dir, &name).with_context(|| self.reading(&path))?;
        if let Some(mut entry) =
            self.entry(dir, &name, path.clone(), &stat).with_context(|| self.reading(&path))?
        {
            entry.name = (entry.path != name).then_some(name);
            self.entries.push(entry);
        }
        Ok(())
    }

    /// A file that is named or matched is known to `--exclude` by its name and by its path.
    fn excluded_single(&self, name: &Path) -> bool {
        let exclude = self.request.exclude;
        let path = self.kept.as_ref().unwrap_or(&self.shown);
        exclude.excludes(&path.to_string_lossy()) || exclude.excludes(&name.to_string_lossy())
    }

    fn tree(&mut self, top: OwnedFd) -> Result<()> {
        let mut walker = Walker::new(top).with_context(|| self.reading(Path::new("")))?;
        // Directories that are left out themselves, but not all of what is in them.
        let mut waiting: Vec<Option<Entry>> = Vec::new();
        while let Some(step) = walker.next() {
            let Step::Name(name) = step else {
                waiting.pop();
                continue;
            };
            let path = walker.path_of(name.path());
            let Some(kept) = self.judge(&path) else { continue };
            let found = self.look(&mut walker, &name, path.clone()).with_context(|| self.reading(&path))?;
            let Some(found) = found else { continue };
            let is_dir = matches!(found.kind, Kind::Dir);
            if is_dir {
                walker.enter(name.path()).with_context(|| self.reading(&path))?;
            }
            if kept {
                self.entries.extend(waiting.iter_mut().filter_map(Option::take));
                self.note_links(&found);
                self.entries.push(found);
                waiting.extend(is_dir.then_some(None));
            } else if is_dir {
                waiting.push(Some(found));
            }
        }
        Ok(())
    }

    /// Whether a path is copied; `None` when nothing below it is either.
    fn judge(&self, path: &Path) -> Option<bool> {
        let full = self.real.join(path);
        let full = full.to_string_lossy();
        let relative = self.kept.as_ref().map_or_else(|| path.to_owned(), |kept| kept.join(path));
        let relative = relative.to_string_lossy();
        let (ignore, exclude) = (self.request.ignore, self.request.exclude);
        let out = ignore.is_some_and(|ignore| ignore.excludes(&full));
        if out && !ignore.is_some_and(|ignore| ignore.may_include_below(&full)) {
            return None;
        }
        let excluded = !exclude.is_empty() && exclude.excludes(&relative);
        if excluded && !exclude.may_include_below(&relative) {
            return None;
        }
        Some(!out && !excluded)
    }

    fn look(&mut self, walker: &mut Walker, name: &Name, path: PathBuf) -> Result<Option<Entry>> {
        let dir = walker.dir()?;
        let stat = file::stat_at(dir, name.path())?;
        self.entry(dir, name.path(), path, &stat)
    }

    fn entry(&mut self, dir: &OwnedFd, name: &Path, path: PathBuf, stat: &Stat) -> Result<Option<Entry>> {
        if stat.st_nlink > 1
            && let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino))
        {
            return Ok(Some(entry(self.request, path, Kind::Hard(*first), stat, Vec::new())));
        }
        let (kind, xattrs) = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.regular(dir, name, stat)?,
            FileType::Symlink => (Kind::Link(file::readlink_at(dir, name)?), Vec::new()),
            FileType::Directory => (Kind::Dir, xattrs_at(dir, name)?),
            FileType::Socket => return Ok(None), // dead without its listener
            FileType::CharacterDevice if stat.st_rdev == 0 => return Ok(None), // overlayfs's whiteout
            kind => {
                let special = Kind::Special { mode: kind.as_raw_mode(), device: stat.st_rdev };
                (special, xattrs_at(dir, name)?)
            }
        };
        Ok(Some(entry(self.request, path, kind, stat, xattrs)))
    }

    /// Remembers a file that has other names, which must come after it.
    fn note_links(&mut self, found: &Entry) {
        if let Kind::File { stamp, .. } = &found.kind {
            self.linked.insert(stamp.identity(), self.entries.len());
        }
    }

    fn regular(&mut self, dir: &OwnedFd, name: &Path, stat: &Stat) -> Result<(Kind, Vec<Attribute>)> {
        let stamp = Stamp::of(stat);
        if let Some(Fact { digest, xattrs }) = self.known.get(&stamp) {
            let xattrs = if xattrs { xattrs_at(dir, name)? } else { Vec::new() };
            return Ok((Kind::File { stamp, digest }, xattrs));
        }
        let (fd, stat) = open_regular(dir, name)?;
        let stamp = Stamp::of(&stat); // what is read now, if it was replaced meanwhile
        let digest = self.hash(&fd, stamp.size())?;
        let mut xattrs = xattr::all(&fd)?;
        xattrs.retain(is_content);
        self.known.put(stamp, Fact { digest, xattrs: !xattrs.is_empty() });
        Ok((Kind::File { stamp, digest }, xattrs))
    }

    /// Hashes a file to its end; `size` spares the last read of one that has not grown.
    fn hash(&mut self, fd: &OwnedFd, size: u64) -> Result<[u8; 32]> {
        self.buffer.resize(BUFFER, 0);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut total = 0;
        loop {
            let read = file::read(fd, &mut self.buffer)?;
            hasher.update(&self.buffer[..read]);
            total += read as u64;
            if read == 0 || (read < BUFFER && total == size) {
                return Ok(hasher.finish_bytes());
            }
        }
    }

    fn reading(&self, path: &Path) -> String {
        let path = self.shown.join(path);
        format!("read `{}` of {}", printable(&path.to_string_lossy()), self.request.called)
    }
}

/// Opens a regular file and nothing else: what became a FIFO meanwhile does not block.
pub(super) fn open_regular(dir: &OwnedFd, name: &Path) -> Result<(OwnedFd, Stat)> {
    let fd = file::open_at(dir, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?;
    let stat = file::stat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        bail!("it is no file any more");
    }
    Ok((fd, stat))
}

fn xattrs_at(dir: &OwnedFd, name: &Path) -> Result<Vec<Attribute>> {
    let mut all = xattr::all_at(dir, name)?;
    all.retain(is_content);
    Ok(all)
}

/// Labels belong to the host; overlayfs's attributes would change what lower layers show.
fn is_content(attribute: &Attribute) -> bool {
    let name = attribute.0.to_bytes();
    !name.starts_with(b"trusted.overlay.")
        && !name.starts_with(b"user.overlay.")
        && name != b"security.selinux"
}
