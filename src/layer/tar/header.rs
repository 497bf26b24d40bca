//! One 512-byte header block: fields, numbers, checksum.

use crate::base::error::{Result, bail};

/// The unit of a tar archive.
pub(super) const BLOCK: usize = 512;

/// A block as it came.
pub(super) type Block = [u8; BLOCK];

/// Which dialect a header says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// Checks the checksum; some old writers added up signed bytes.
pub(super) fn check(block: &Block) -> Result<()> {
    let stored = number(&block[148..156])?;
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (at, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    if stored != unsigned && stored != signed {
        bail!("a header's checksum is wrong");
    }
    Ok(())
}

/// The dialect by the magic.
pub(super) fn dialect(block: &Block) -> Dialect {
    match &block[257..265] {
        b"ustar  \0" => Dialect::Gnu,
        _ if &block[257..262] != b"ustar" => Dialect::V7,
        _ if &block[508..512] == b"tar\0" => Dialect::Star,
        _ => Dialect::Ustar,
    }
}

/// A text field up to its NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// The path of the header alone, prefix included.
pub(super) fn path(block: &Block) -> Vec<u8> {
    let name = text(&block[..100]);
    let prefix = match dialect(block) {
        Dialect::Ustar => text(&block[345..500]),
        Dialect::Star => text(&block[345..476]),
        Dialect::V7 | Dialect::Gnu => &[],
    };
    match prefix {
        [] => name.to_vec(),
        _ => [prefix, b"/", name].concat(),
    }
}

/// A numeric field: octal digits between blanks and NULs, or GNU's base 256 (which may be negative).
pub(super) fn number(field: &[u8]) -> Result<i64> {
    if field[0] & 0x80 != 0 {
        return base256(field);
    }
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !padding(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(padding).unwrap_or(digits.len());
    let mut value = 0i64;
    for &digit in &digits[..end] {
        if !(b'0'..=b'7').contains(&digit) {
            bail!("a number in a header is malformed");
        }
        value = value << 3 | i64::from(digit - b'0'); // at most 12 digits, 36 bits
    }
    Ok(value)
}

fn base256(field: &[u8]) -> Result<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, &byte) in field.iter().enumerate() {
        let byte = if at == 0 && !negative { byte & 0x7f } else { byte };
        value = value << 8 | i128::from(byte);
    }
    match i64::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => bail!("a number in a header is out of range"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_all_their_forms() {
        let base = |bytes: &[u8]| {
            let mut field = [0u8; 12];
            field[12 - bytes.len()..].copy_from_slice(bytes);
            field[0] |= 0x80;
            field
        };
        assert_eq!(number(b"0000644\0").unwrap(), 0o644);
        assert_eq!(number(b"  644 \0\0").unwrap(), 0o644);
        assert_eq!(number(b"\0\0\0\0\0\0\0\0").unwrap(), 0);
        assert_eq!(number(&base(&[1, 0, 0, 0, 0])).unwrap(), 1 << 32);
        assert_eq!(number(&[0xff; 12]).unwrap(), -1);
        assert!(number(b"0000x44\0").is_err());
        assert!(number(b"-000044\0").is_err());
        assert!(number(&base(&[1, 0, 0, 0, 0, 0, 0, 0, 0])).is_err());
    }
}
