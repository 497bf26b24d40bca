//! A container's changes as a layer archive: sorted by path, numeric owners, whole seconds, so that the same changes
//! always give the same bytes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::Store;
use super::diff::{Change, ChangeKind, open_dir};
use super::exact::Recorder;
use super::shift::Shift;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, Mode, OFlags, Stat};
use crate::sys::rootdir::RootDir;
use crate::sys::xattr;

/// The unit of an archive, in bytes.
const BLOCK: u64 = 512;

/// Which modification times an archive gives its entries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    /// Those of the files.
    #[default]
    Kept,
    /// This one, in seconds since 1970, for everything.
    Set(i64),
    /// Those of the files, but none later than this one.
    AtMost(i64),
}

impl Times {
    /// The time that a file with this one gets, in seconds; fractions are only kept by [`Times::Kept`].
    pub fn of(self, mtime: i64) -> i64 {
        match self {
            Times::Kept => mtime,
            Times::Set(time) => time,
            Times::AtMost(time) => mtime.min(time),
        }
    }
}

/// Where an archive goes: to a writer and, where it becomes a layer, into the record of how to write it again.
struct Out<'a> {
    writer: &'a mut dyn Write,
    recorder: Option<&'a mut Recorder>,
    /// What is written now is the content of a file, which the record refers to.
    content: bool,
}

impl Write for Out<'_> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.writer.write(buffer)?;
        if let (Some(recorder), false) = (&mut self.recorder, self.content) {
            recorder.raw(&buffer[..written]).map_err(std::io::Error::other)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// What an archive holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Bytes of regular files.
    pub(super) size: u64,
    /// Entries.
    pub(super) entries: u64,
}

/// Writes entries of one tree.
pub struct TreeTar<'a> {
    root: RootDir,
    out: tar::Builder<Out<'a>>,
    shift: Option<&'a Shift<'a>>,
    times: Times,
    held: Held,
    /// First names of files with several, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    parent: Option<(PathBuf, OwnedFd)>,
}

impl Store {
    /// Writes the changes of the container whose directory is `dir` as a layer: deletions as `.wh.` files. `keep` says
    /// which changes belong in it (the caller leaves out mount points). With a shift, owners are written as the
    /// container saw them.
    pub fn write_diff_tar(
        &self,
        layers: &[Digest],
        dir: &Path,
        shift: Option<&Shift<'_>>,
        keep: &dyn Fn(&Change) -> bool,
        out: &mut dyn Write,
    ) -> Result<()> {
        let top = self.top(layers, dir)?;
        let changes = self.diff_of(layers, &top)?;
        let mut tar = TreeTar::new(&top.path, shift, out)?;
        tar.changes(changes.iter().filter(|change| keep(change)))?;
        tar.finish()
    }
}

impl<'a> TreeTar<'a> {
    /// Starts an archive of things below `root`.
    pub fn new(root: &Path, shift: Option<&'a Shift<'a>>, out: &'a mut dyn Write) -> Result<TreeTar<'a>> {
        TreeTar::to(root, shift, Out { writer: out, recorder: None, content: false })
    }

    /// Starts the archive of a layer whose tree is `root`: the recorder gets what [`super::exact`] needs.
    pub(super) fn recorded(
        root: &Path,
        recorder: &'a mut Recorder,
        out: &'a mut dyn Write,
    ) -> Result<TreeTar<'a>> {
        TreeTar::to(root, None, Out { writer: out, recorder: Some(recorder), content: false })
    }

    fn to(root: &Path, shift: Option<&'a Shift<'a>>, out: Out<'a>) -> Result<TreeTar<'a>> {
        let root = RootDir::open(root).with_context(|| format!("open `{}`", root.display()))?;
        let mut out = tar::Builder::new(out);
        out.sparse(false);
        let (times, held) = (Times::Kept, Held::default());
        Ok(TreeTar { root, out, shift, times, held, linked: HashMap::new(), parent: None })
    }

    /// Gives the entries other times.
    pub fn set_times(&mut self, times: Times) {
        self.times = times;
    }

    /// What was written so far.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// Writes changes as a layer has them: deletions as `.wh.` files.
    pub fn changes<'c>(&mut self, changes: impl Iterator<Item = &'c Change>) -> Result<()> {
        for change in changes {
            let written = match change.kind {
                ChangeKind::Deleted => self.whiteout(&change.path),
                _ => self.entry(&change.path),
            };
            written.with_context(|| format!("write `{}`", change.path.display()))?;
        }
        Ok(())
    }

    /// Writes the end mark.
    pub fn finish(mut self) -> Result<()> {
        self.out.finish().context("end the archive")
    }

    /// Writes `.wh.NAME` beside where `path` was.
    pub fn whiteout(&mut self, path: &Path) -> Result<()> {
        let mut name = std::ffi::OsString::from(".wh.");
        name.push(path.file_name().unwrap_or_default());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.out.append_data(&mut header, path.with_file_name(name), std::io::empty())?;
        self.held.entries += 1;
        Ok(())
    }

    /// Writes all that is below the root, but not what is inside of directories that `enter` refuses.
    pub fn everything(&mut self, enter: &dyn Fn(&Path) -> bool) -> Result<()> {
        let root = self.root.try_clone().context("duplicate a descriptor")?;
        let mut left = vec![PathBuf::new()];
        while let Some(dir) = left.pop() {
            let fd = root.open_dir(&dir).with_context(|| format!("open `/{}`", dir.display()))?;
            let mut names = file::list(&fd)?;
            names.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            for name in names {
                let path = dir.join(name.path());
                self.entry(&path).with_context(|| format!("write `/{}`", path.display()))?;
                if name.kind == FileType::Directory && enter(&path) {
                    left.push(path);
                }
            }
        }
        Ok(())
    }

    /// Writes what stands at `path`, with its content.
    pub fn entry(&mut self, path: &Path) -> Result<()> {
        let dir = self.parent_of(path)?;
        let name = Path::new(path.file_name().unwrap_or(OsStr::new(".")));
        let stat = file::stat_at(&dir, name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Socket {
            return Ok(()); // an archive cannot hold one
        }
        self.held.entries += 1;
        if !kind.is_dir()
            && stat.st_nlink > 1
            && let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)).cloned()
        {
            let mut header = self.header(&stat, EntryType::Link);
            self.out.append_link(&mut header, path, first)?;
            return Ok(());
        }
        self.attributes(&dir, name, &stat)?;
        self.body(&dir, name, path, &stat)?;
        if stat.st_nlink > 1 && !kind.is_dir() {
            self.linked.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        Ok(())
    }

    fn body(&mut self, dir: &OwnedFd, name: &Path, path: &Path, stat: &Stat) -> Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        match kind {
            FileType::RegularFile => {
                let fd = file::open_at(dir, name, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
                let size = u64::try_from(stat.st_size)?;
                let mut header = self.header(stat, EntryType::Regular);
                header.set_size(size);
                self.out.append_data(&mut header, path, std::io::empty())?; // the header alone
                self.content(fd, path, size)?;
            }
            FileType::Symlink => {
                let target = file::readlink_at(dir, name)?;
                let mut header = self.header(stat, EntryType::Symlink);
                self.out.append_link(&mut header, path, Path::new(OsStr::from_bytes(target.to_bytes())))?;
            }
            FileType::Directory => {
                let mut slashed = path.as_os_str().to_owned();
                slashed.push("/");
                let mut header = self.header(stat, EntryType::Directory);
                self.out.append_data(&mut header, PathBuf::from(slashed), std::io::empty())?;
            }
            _ => {
                let entry = match kind {
                    FileType::CharacterDevice => EntryType::Char,
                    FileType::BlockDevice => EntryType::Block,
                    _ => EntryType::Fifo,
                };
                let mut header = self.header(stat, entry);
                header.set_device_major(file::major(stat.st_rdev))?;
                header.set_device_minor(file::minor(stat.st_rdev))?;
                self.out.append_data(&mut header, path, std::io::empty())?;
            }
        }
        Ok(())
    }

    /// The bytes of a file, padded to whole blocks.
    fn content(&mut self, fd: OwnedFd, path: &Path, size: u64) -> Result<()> {
        let out = self.out.get_mut();
        out.content = true;
        // Exactly the size that was announced, even if a running container changes the file meanwhile.
        let copied = std::io::copy(&mut File::from(fd).chain(std::io::repeat(0)).take(size), out);
        out.content = false;
        copied?;
        if let (Some(recorder), true) = (&mut out.recorder, size > 0) {
            recorder.content(path.as_os_str().as_bytes(), 0, size)?;
        }
        let padding = size.next_multiple_of(BLOCK) - size;
        out.write_all(&[0; BLOCK as usize][..padding as usize])?;
        self.held.size += size;
        Ok(())
    }

    fn header(&self, stat: &Stat, kind: EntryType) -> Header {
        let (uid, gid) = match self.shift {
            Some(shift) => shift.inside(stat.st_uid, stat.st_gid),
            None => (stat.st_uid, stat.st_gid),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_size(0);
        header.set_mtime(u64::try_from(self.times.of(stat.st_mtime)).unwrap_or(0));
        header
    }

    /// Extended attributes, and a time before 1970, in a pax header before the entry.
    fn attributes(&mut self, dir: &OwnedFd, name: &Path, stat: &Stat) -> Result<()> {
        let control = |name: &[u8]| {
            name.starts_with(b"trusted.overlay.")
                || name.starts_with(b"user.overlay.")
                || name == b"security.selinux"
        };
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        let mtime = self.times.of(stat.st_mtime);
        if mtime < 0 {
            records.push(("mtime".to_owned(), mtime.to_string().into_bytes()));
        }
        for (name, value) in xattr::all_at(dir, name)? {
            if !control(name.to_bytes()) {
                records.push((format!("SCHILY.xattr.{}", name.to_string_lossy()), value));
            }
        }
        if !records.is_empty() {
            let records = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
            self.out.append_pax_extensions(records)?;
        }
        Ok(())
    }

    /// The open directory above `path`, kept for the next entry.
    fn parent_of(&mut self, path: &Path) -> Result<OwnedFd> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.parent.as_ref().is_none_or(|(known, _)| known != parent) {
            self.parent = Some((parent.to_owned(), open_dir(&self.root, parent)?));
        }
        match &self.parent {
            Some((_, fd)) => fd.try_clone().context("duplicate a descriptor"),
            None => open_dir(&self.root, parent),
        }
    }
}
