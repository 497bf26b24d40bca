//! Tar as archives of images need it: a writer of plain members that always gives the same bytes.

use std::io::{self, Read, Write};

/// Tar's unit.
pub const BLOCK: usize = 512;

/// Writes one small regular file.
pub fn write_member(out: &mut dyn Write, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    write_header(out, name, mode, bytes.len() as u64)?;
    out.write_all(bytes)?;
    pad(out, bytes.len() as u64)
}

/// Writes a regular file whose size is known and whose bytes come from a reader.
pub fn write_stream(out: &mut dyn Write, name: &str, size: u64, from: &mut dyn Read) -> io::Result<()> {
    write_header(out, name, 0o644, size)?;
    let copied = io::copy(&mut from.take(size), out)?;
    if copied != size {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("`{name}` is shorter than expected"),
        ));
    }
    pad(out, size)
}

/// Writes the header of a regular file: owner 0, time 0, so that equal content gives equal bytes.
pub fn write_header(out: &mut dyn Write, name: &str, mode: u32, size: u64) -> io::Result<()> {
    header(out, name, mode, size, tar::EntryType::Regular)
}

/// Writes the directories of an image layout. Without them, Skopeo makes them and gives them to root, which an ordinary
/// user cannot.
pub fn write_layout_dirs(out: &mut dyn Write) -> io::Result<()> {
    ["blobs/", "blobs/sha256/"]
        .iter()
        .try_for_each(|name| header(out, name, 0o755, 0, tar::EntryType::Directory))
}

fn header(out: &mut dyn Write, name: &str, mode: u32, size: u64, kind: tar::EntryType) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// Fills up to the next block.
pub fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let rest = (size % BLOCK as u64) as usize;
    if rest == 0 { Ok(()) } else { out.write_all(&[0; BLOCK][rest..]) }
}

/// Ends the archive.
pub fn finish(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}
