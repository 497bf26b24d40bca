//! Indexing a tar by its headers: only names, sizes and places; contents are skipped, memory is bounded.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::members::{Member, MemberAt, clean};
use crate::base::error::{Context, Result, bail};

const BLOCK: u64 = 512;
/// Members that an archive of images may have.
const MEMBERS: usize = 200_000;
/// Bytes of an extended header (long names).
const EXTENDED: u64 = 64 << 10;

/// What extended headers say about the next member.
#[derive(Default)]
struct Extended {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

/// Reads all headers.
pub(super) fn index(file: &File, length: u64) -> Result<HashMap<String, MemberAt>> {
    let mut index = HashMap::new();
    let (mut at, mut extended) = (0u64, Extended::default());
    loop {
        let mut header = [0u8; BLOCK as usize];
        if at == length && !index.is_empty() {
            return Ok(index); // an archive without its end mark
        }
        file.read_exact_at(&mut header, at).context("the archive is truncated, or no tar")?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(index);
        }
        check_sum(&header)?;
        let kind = header[156];
        // A PAX size wins over the header's (CVE-2025-62518), but it is said of the member, not of further headers.
        let said = extended.size.filter(|_| !matches!(kind, b'x' | b'g' | b'L' | b'K'));
        let size = said.map_or_else(|| number(&header[124..136]), Ok)?;
        let data = at + BLOCK;
        let end = data.checked_add(size).filter(|end| *end <= length);
        let Some(end) = end else { bail!("the archive is truncated") };
        at = end.div_ceil(BLOCK) * BLOCK;
        match kind {
            b'x' | b'L' | b'K' => read_extended(file, data, size, kind, &mut extended)?,
            b'g' => {}
            _ => {
                let said = std::mem::take(&mut extended);
                let name = said.path.unwrap_or_else(|| header_name(&header));
                if let (Some(name), Some(member)) =
                    (clean(&name), member(&header, kind, said.link, data, size))
                {
                    if index.len() >= MEMBERS {
                        bail!("the archive has more than {MEMBERS} members");
                    }
                    if index.insert(name.clone(), MemberAt(member)).is_some() {
                        bail!("the archive has two members named `{}`", crate::base::text::printable(&name));
                    }
                }
            }
        }
    }
}

/// Regular files and links; directories and everything else have no place in an index.
fn member(header: &[u8; 512], kind: u8, link: Option<String>, offset: u64, size: u64) -> Option<Member> {
    let target = || link.unwrap_or_else(|| text(&header[157..257]));
    match kind {
        0 | b'0' | b'7' => Some(Member::File { offset, size }),
        b'1' => Some(Member::Link { target: target(), hard: true }),
        b'2' => Some(Member::Link { target: target(), hard: false }),
        _ => None,
    }
}

fn read_extended(file: &File, at: u64, size: u64, kind: u8, extended: &mut Extended) -> Result<()> {
    if size > EXTENDED {
        bail!("an extended header of the archive has {size} bytes; the limit is {EXTENDED}");
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, at).context("the archive is truncated")?;
    match kind {
        b'L' => extended.path = Some(text(&bytes)),
        b'K' => extended.link = Some(text(&bytes)),
        _ => read_pax(&bytes, extended)?,
    }
    Ok(())
}

/// `LENGTH KEY=VALUE\n`, again and again.
fn read_pax(mut bytes: &[u8], extended: &mut Extended) -> Result<()> {
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|byte| *byte == b' ').context("an extended header is garbled")?;
        let length: usize = text(&bytes[..blank]).parse().ok().context("an extended header is garbled")?;
        if length <= blank + 1 || length > bytes.len() {
            bail!("an extended header is garbled");
        }
        let record = &bytes[blank + 1..length - 1];
        bytes = &bytes[length..];
        let Some(equals) = record.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (&record[..equals], text(&record[equals + 1..]));
        match key {
            b"path" => extended.path = Some(value),
            b"linkpath" => extended.link = Some(value),
            b"size" => extended.size = Some(value.parse().ok().context("an extended header is garbled")?),
            _ => {}
        }
    }
    Ok(())
}

/// Name and, in ustar, its prefix.
fn header_name(header: &[u8; 512]) -> String {
    let name = text(&header[..100]);
    let prefix = if &header[257..263] == b"ustar\0" { text(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Octal, or GNU's base 256 for what is larger.
fn number(field: &[u8]) -> Result<u64> {
    if field[0] & 0x80 != 0 {
        let (head, tail) = field.split_at(field.len() - 8);
        if head[0] != 0x80 || head[1..].iter().any(|byte| *byte != 0) {
            bail!("a size of the archive is out of range");
        }
        let value = tail.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        return if value > i64::MAX as u64 {
            bail!("a size of the archive is out of range")
        } else {
            Ok(value)
        };
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).ok().context("a header of the archive is garbled, or it is no tar")
}

fn check_sum(header: &[u8; 512]) -> Result<()> {
    let stated = number(&header[148..156])?;
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(n, byte)| if (148..156).contains(&n) { 32 } else { u64::from(*byte) })
        .sum();
    if sum != stated {
        bail!("a header of the archive is garbled, or it is no tar");
    }
    Ok(())
}
