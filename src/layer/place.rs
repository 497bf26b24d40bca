//! Making one entry that is not a directory, and setting metadata in the order that keeps it:
//! owner (which clears setuid and capabilities), mode, attributes, times.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::extract::{Dir, Extractor, join, split};
use super::tar::{Content, Entry, Kind, Reader};
use crate::base::error::{Context, Result, bail};
use crate::sys::file::{self, FileType, Mode, OFlags, Timespec};
use crate::sys::xattr;

/// The modification time of a layer's root that its archive does not describe: no archive has it by accident.
pub(super) const UNDESCRIBED: Timespec = Timespec { tv_sec: 0, tv_nsec: 1 };

/// Makes the entry `name` in `dir`, in place of whatever is there.
pub(super) fn entry(
    to: &mut Extractor,
    dir: &Dir,
    name: &Path,
    entry: &Entry,
    reader: &mut Reader<'_>,
) -> Result<()> {
    match entry.kind {
        Kind::File => regular(to, dir, name, entry, reader),
        Kind::HardLink => hard_link(to, dir, name, entry, reader),
        Kind::Symlink => {
            let target = Path::new(OsStr::from_bytes(&entry.link));
            anew(to, dir, name, reader, || file::symlink_at(target, &dir.fd, name))
                .context("make the link")?;
            metadata_at(to, dir, name, entry)
        }
        Kind::Fifo | Kind::Char | Kind::Block => special(to, dir, name, entry, reader),
        Kind::Directory => bail!("a directory is no file"),
    }
}

/// Calls `make`, and once more after making room when something is there.
fn anew<T>(
    to: &mut Extractor,
    dir: &Dir,
    name: &Path,
    reader: &mut Reader<'_>,
    make: impl Fn() -> io::Result<T>,
) -> Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            to.clear(dir, name, reader)?;
            Ok(make()?)
        }
        other => Ok(other?),
    }
}

fn regular(to: &mut Extractor, dir: &Dir, name: &Path, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOCTTY;
    let mode = Mode::from_raw_mode(entry.mode & 0o777);
    let fd = anew(to, dir, name, reader, || file::open_at(&dir.fd, name, flags, mode))?;
    contents(&fd, &join(&dir.path, name), entry, reader)?;
    if to.needs_owner(entry) {
        to.owner(entry, |uid, gid, _| file::chown(&fd, uid, gid))?;
    }
    if entry.mode & (0o7000 | to.umask) != 0 {
        file::chmod(&fd, entry.mode)?;
    }
    for (attribute, value) in wanted(entry) {
        tolerate(xattr::set(&fd, attribute, value)).with_context(|| shown(attribute))?;
    }
    to.report.size += entry.size;
    Ok(file::set_mtime(&fd, time(entry))?)
}

/// Writes the packed bytes where they belong; what lies between stays a hole.
fn contents(fd: &OwnedFd, path: &[u8], entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
    match &entry.content {
        Content::Plain if entry.size == 0 => {}
        Content::Plain => {
            let mut left = entry.size;
            while left > 0 {
                let bytes = reader.content(left)?;
                left -= bytes.len() as u64;
                file::write_all(fd, bytes).context("write")?;
            }
            record(reader, path, 0, entry.size)?;
        }
        Content::Sparse(pieces) => {
            for &(offset, length) in pieces {
                piece(fd, offset, length, reader)?;
                record(reader, path, offset, length)?;
            }
            file::truncate(fd, entry.size).context("make it sparse")?;
        }
    }
    Ok(())
}

fn piece(fd: &OwnedFd, mut offset: u64, length: u64, reader: &mut Reader<'_>) -> Result<()> {
    let end = offset + length;
    while offset < end {
        let bytes = reader.content(end - offset)?;
        file::write_all_at(fd, bytes, offset).context("write")?;
        offset += bytes.len() as u64;
    }
    Ok(())
}

fn record(reader: &mut Reader<'_>, path: &[u8], offset: u64, length: u64) -> Result<()> {
    match reader.recorder() {
        Some(recorder) if length > 0 => recorder.content(path, offset, length),
        _ => Ok(()),
    }
}

/// Another name for something in this tree. The target is found inside the root, itself if it is a link; owner, mode
/// and times are not touched, so that nothing changes through it (CVE-2025-11395).
fn hard_link(
    to: &mut Extractor,
    dir: &Dir,
    name: &Path,
    entry: &Entry,
    reader: &mut Reader<'_>,
) -> Result<()> {
    let target = to.placed(&entry.link)?;
    let shown = || format!("link to `{}`", String::from_utf8_lossy(&target));
    let (parent, target_name) = split(&target);
    let target_name = Path::new(OsStr::from_bytes(target_name));
    if target.is_empty() {
        bail!("a hard link to the root");
    }
    let from = to.dir(parent).with_context(shown)?;
    let stat = file::stat_at(&from.fd, target_name).with_context(shown)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind.is_dir() || (kind.is_char_device() && stat.st_rdev == 0) {
        bail!("a hard link to `{}`, which is no file", String::from_utf8_lossy(&target));
    }
    if from.path == dir.path && target_name == name {
        return Ok(());
    }
    anew(to, dir, name, reader, || file::link_at(&from.fd, target_name, &dir.fd, name)).with_context(shown)
}

/// FIFOs always; devices where the kernel lets us, else they are noted and left out. A 0:0 character device is
/// overlayfs's whiteout: from an archive it is never made.
fn special(to: &mut Extractor, dir: &Dir, name: &Path, entry: &Entry, reader: &mut Reader<'_>) -> Result<()> {
    let kind = match entry.kind {
        Kind::Char => FileType::CharacterDevice,
        Kind::Block => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let path = join(&dir.path, name);
    if kind == FileType::CharacterDevice && entry.device == (0, 0) {
        to.skipped_device(&path);
        return Ok(());
    }
    let device = file::makedev(entry.device.0, entry.device.1);
    let mode = entry.mode & 0o777;
    let denied = |error: &anyhow::Error| {
        error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
    };
    match anew(to, dir, name, reader, || file::mknod_at(&dir.fd, name, kind, mode, device)) {
        Err(error) if kind != FileType::Fifo && denied(&error) => {
            to.skipped_device(&path);
            return Ok(());
        }
        other => other.context("make a special file")?,
    }
    metadata_at(to, dir, name, entry)
}

/// Metadata of what was made by name: links and special files, which are never opened.
fn metadata_at(to: &mut Extractor, dir: &Dir, name: &Path, entry: &Entry) -> Result<()> {
    if to.needs_owner(entry) {
        to.owner(entry, |uid, gid, _| file::chown_at(&dir.fd, name, uid, gid))?;
    }
    if entry.kind != Kind::Symlink && entry.mode & (0o7000 | to.umask) != 0 {
        file::chmod_at(&dir.fd, name, entry.mode)?;
    }
    for (attribute, value) in wanted(entry) {
        tolerate(xattr::set_at(&dir.fd, name, attribute, value)).with_context(|| shown(attribute))?;
    }
    Ok(file::set_mtime_at(&dir.fd, name, time(entry))?)
}

/// Mode, attributes and time of a directory, whose owner is set already.
pub(super) fn directory_metadata(
    dir: impl AsFd,
    name: &Path,
    mode: Option<u32>,
    entry: &Entry,
) -> Result<()> {
    if let Some(mode) = mode {
        file::chmod_at(&dir, name, mode)?;
    }
    for (attribute, value) in wanted(entry) {
        tolerate(xattr::set_at(&dir, name, attribute, value)).with_context(|| shown(attribute))?;
    }
    Ok(file::set_mtime_at(&dir, name, time(entry))?)
}

/// The attributes of an entry that are content: overlayfs's own would change what lower layers show, and a label
/// belongs to the host.
fn wanted(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let control = |name: &[u8]| {
        name.starts_with(b"trusted.overlay.")
            || name.starts_with(b"user.overlay.")
            || name == b"security.selinux"
    };
    let pairs = entry.xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    pairs.filter(move |(name, _)| !control(name))
}

/// An attribute that this file system or user cannot have is left out, as Podman and Docker do.
fn tolerate(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn shown(attribute: &[u8]) -> String {
    format!("set attribute `{}`", String::from_utf8_lossy(attribute))
}

fn time(entry: &Entry) -> Timespec {
    Timespec { tv_sec: entry.mtime.0, tv_nsec: entry.mtime.1.into() }
}
