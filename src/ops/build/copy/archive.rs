//! `ADD` of archives: a file is unpacked when its content says that it is a tar, whatever its name.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use super::walk::open_regular;
use super::{Item, Kind, PlaceOptions, Scan, place::source_name};
use crate::base::error::{Context, Result};
use crate::base::text::printable;
use crate::layer::codec;
use crate::layer::extract::{Options, Purpose};
use crate::sys::rootdir::RootDir;

const BLOCK: usize = 512;

/// The items that are archives, by index, each open at its start.
pub(super) fn find(scan: &Scan) -> Result<Vec<(usize, File)>> {
    let mut found = Vec::new();
    for (n, item) in scan.items.iter().enumerate() {
        if let Some(archive) = archive(scan, item).with_context(|| format!("look into `{}`", shown(item)))? {
            found.push((n, archive));
        }
    }
    Ok(found)
}

fn shown(item: &Item) -> String {
    printable(&item.shown.to_string_lossy()).into_owned()
}

fn archive(scan: &Scan, item: &Item) -> Result<Option<File>> {
    let [entry] = item.entries.as_slice() else { return Ok(None) };
    if item.is_dir || !matches!(entry.kind, Kind::File { .. }) {
        return Ok(None);
    }
    let dir = scan.origin.open_dir(&item.base)?;
    let mut file = File::from(open_regular(&dir, source_name(entry))?.0);
    let is_tar = is_tar(Box::new(file.try_clone()?));
    file.rewind()?;
    Ok(is_tar.then_some(file))
}

/// Whether a stream, compressed or not, begins as a tar does.
fn is_tar(stream: Box<dyn Read + Send>) -> bool {
    let mut block = [0; BLOCK];
    codec::decoder_any(stream)
        .is_ok_and(|(_, mut plain)| plain.read_exact(&mut block).is_ok() && is_header(&block))
}

/// Whether these first 512 bytes of something uncompressed are those of a tar.
pub(crate) fn is_tar_start(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(is_header)
}

/// Whether a block is a tar header: its checksum is right, of unsigned or (as some wrote) signed bytes.
fn is_header(block: &[u8; BLOCK]) -> bool {
    let field = &block[148..156];
    let text = field.split(|byte| matches!(byte, 0 | b' ')).find(|part| !part.is_empty()).unwrap_or_default();
    let Some(said) = std::str::from_utf8(text).ok().and_then(|text| i64::from_str_radix(text, 8).ok()) else {
        return false;
    };
    let byte = |(n, byte): (usize, &u8)| if (148..156).contains(&n) { b' ' } else { *byte };
    let unsigned: i64 = block.iter().enumerate().map(byte).map(i64::from).sum();
    let signed: i64 = block.iter().enumerate().map(byte).map(|byte| i64::from(byte.cast_signed())).sum();
    block.iter().any(|&byte| byte != 0) && (said == unsigned || said == signed)
}

/// Unpacks an archive below a directory of the root file system, by the extractor of layers.
pub(super) fn unpack(
    archive: &File,
    scan: &Scan,
    item: &Item,
    root: &RootDir,
    dir: &Path,
    options: &PlaceOptions,
) -> Result<()> {
    let extract = Options {
        purpose: Purpose::Tree,
        owner: scan.chown,
        ignore_chown_errors: options.ignore_chown_errors,
    };
    let stream = archive.try_clone().map_err(io::Error::other)?;
    let (_, mut plain) = codec::decoder_any(Box::new(stream))?;
    crate::layer::extract_below(root.try_clone()?, dir, extract, &mut plain)
        .with_context(|| format!("unpack `{}`", shown(item)))?;
    Ok(())
}
