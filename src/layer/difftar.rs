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
use super::shift::Shift;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::sys::file::{self, FileType, Mode, OFlags, Stat};
use crate::sys::rootdir::RootDir;
use crate::sys::xattr;

/// Writes entries of one tree.
pub struct TreeTar<'a> {
    root: RootDir,
    out: tar::Builder<&'a mut dyn Write>,
    shift: Option<&'a Shift<'a>>,
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
        let top = self.top_of(layers, dir)?;
        let changes = self.compare(layers, &top)?;
        let mut tar = TreeTar::new(&top.path, shift, out)?;
        for change in changes.iter().filter(|change| keep(change)) {
            let written = match change.kind {
                ChangeKind::Deleted => tar.whiteout(&change.path),
                _ => tar.entry(&change.path),
            };
            written.with_context(|| format!("write `{}`", change.path.display()))?;
        }
        tar.finish()
    }
}

impl<'a> TreeTar<'a> {
    /// Starts an archive of things below `root`.
    pub fn new(root: &Path, shift: Option<&'a Shift<'a>>, out: &'a mut dyn Write) -> Result<TreeTar<'a>> {
        let root = RootDir::open(root).with_context(|| format!("open `{}`", root.display()))?;
        let mut out = tar::Builder::new(out);
        out.sparse(false);
        Ok(TreeTar { root, out, shift, linked: HashMap::new(), parent: None })
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
        Ok(())
    }

    /// Writes what stands at `path`, with its content.
    pub fn entry(&mut self, path: &Path) -> Result<()> {
        self.entry_as(path, path)
    }

    /// The same, under another name in the archive.
    pub fn entry_as(&mut self, path: &Path, called: &Path) -> Result<()> {
        let dir = self.parent_of(path)?;
        let name = Path::new(path.file_name().unwrap_or(OsStr::new(".")));
        let stat = file::stat_at(&dir, name)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Socket {
            return Ok(()); // an archive cannot hold one
        }
        if !kind.is_dir()
            && stat.st_nlink > 1
            && let Some(first) = self.linked.get(&(stat.st_dev, stat.st_ino)).cloned()
        {
            let mut header = self.header(&stat, EntryType::Link);
            self.out.append_link(&mut header, called, first)?;
            return Ok(());
        }
        self.attributes(&dir, name, &stat)?;
        self.body(&dir, name, called, &stat)?;
        if stat.st_nlink > 1 && !kind.is_dir() {
            self.linked.insert((stat.st_dev, stat.st_ino), called.to_owned());
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
                // Exactly the size that was announced, even if a running container changes the file meanwhile.
                let content = File::from(fd).chain(std::io::repeat(0)).take(size);
                self.out.append_data(&mut header, path, content)?;
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
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
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
        if stat.st_mtime < 0 {
            records.push(("mtime".to_owned(), stat.st_mtime.to_string().into_bytes()));
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
