//! Extended headers (POSIX pax): what one says about the entry that follows.

use crate::base::error::{Context, Result, bail};

/// The attributes that matter here.
#[derive(Debug, Default, Clone)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) linkpath: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// GNU's three ways to say sparse in pax.
#[derive(Debug, Default, Clone)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    /// Offset and length of each piece (0.0 and 0.1).
    pub(super) map: Option<Vec<(u64, u64)>>,
    offset: Option<u64>,
}

/// Parses the records `length key=value\n`.
pub(super) fn parse(mut data: &[u8]) -> Result<Pax> {
    let mut pax = Pax::default();
    while !data.is_empty() {
        let (key, value, rest) = record(data).context("read an extended header")?;
        pax.apply(key, value)
            .with_context(|| format!("read extended attribute `{}`", String::from_utf8_lossy(key)))?;
        data = rest;
    }
    Ok(pax)
}

fn record(data: &[u8]) -> Result<(&[u8], &[u8], &[u8])> {
    let Some(blank) = data.iter().take(20).position(|&byte| byte == b' ') else {
        bail!("a record has no length")
    };
    let length = usize::try_from(decimal(&data[..blank])?)?;
    if length <= blank + 1 || length > data.len() || data[length - 1] != b'\n' {
        bail!("a record's length is wrong");
    }
    let body = &data[blank + 1..length - 1];
    let Some(equals) = body.iter().position(|&byte| byte == b'=') else { bail!("a record has no value") };
    Ok((&body[..equals], &body[equals + 1..], &data[length..]))
}

impl Pax {
    fn apply(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"path" => self.path = Some(name(value)?),
            b"linkpath" => self.linkpath = Some(name(value)?),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"GNU.sparse.major" => self.sparse.major = Some(decimal(value)?),
            b"GNU.sparse.minor" => self.sparse.minor = Some(decimal(value)?),
            b"GNU.sparse.name" => self.sparse.name = Some(name(value)?),
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.real_size = Some(decimal(value)?),
            b"GNU.sparse.offset" => self.sparse.offset = Some(decimal(value)?),
            b"GNU.sparse.numbytes" => self.sparse.piece(decimal(value)?)?,
            b"GNU.sparse.map" => self.sparse.map = Some(pieces(value)?),
            _ => self.attribute(key, value),
        }
        Ok(())
    }

    fn attribute(&mut self, key: &[u8], value: &[u8]) {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value.to_vec()));
        }
    }
}

impl Sparse {
    fn piece(&mut self, length: u64) -> Result<()> {
        let Some(offset) = self.offset.take() else { bail!("a sparse piece has no offset") };
        self.map.get_or_insert_default().push((offset, length));
        Ok(())
    }
}

/// `offset,length,offset,length…`
fn pieces(value: &[u8]) -> Result<Vec<(u64, u64)>> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = value.split(|&byte| byte == b',').map(decimal).collect::<Result<Vec<_>>>()?;
    if numbers.len() % 2 != 0 {
        bail!("the sparse map has an odd length");
    }
    Ok(numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}

fn name(value: &[u8]) -> Result<Vec<u8>> {
    if value.contains(&0) {
        bail!("a NUL in a name");
    }
    Ok(value.to_vec())
}

/// Plain decimal digits, nothing else.
pub(super) fn decimal(text: &[u8]) -> Result<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match std::str::from_utf8(text).ok().filter(|_| digits).and_then(|text| text.parse().ok()) {
        Some(value) => Ok(value),
        None => bail!("`{}` is no number", String::from_utf8_lossy(text).escape_debug()),
    }
}

/// Seconds with an optional fraction, perhaps negative, as seconds rounded down and nanoseconds.
fn time(value: &[u8]) -> Result<(i64, u32)> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(decimal(parts.next().unwrap_or_default())?).unwrap_or(i64::MAX);
    let nanoseconds = fraction(parts.next().unwrap_or_default())?;
    Ok(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds.min(i64::MAX - 1) - 1, 1_000_000_000 - nanoseconds),
    })
}

fn fraction(digits: &[u8]) -> Result<u32> {
    let mut value = 0;
    for at in 0..9 {
        let digit = digits.get(at).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            bail!("a time is malformed");
        }
        value = value * 10 + u32::from(digit - b'0');
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_bad_ones_refused() {
        let pax = parse(b"10 size=7\n13 path=a\nb\n22 mtime=-1.5000000001\n23 SCHILY.xattr.a=b=\0\n\n");
        assert!(pax.is_err(), "a wrong length");
        let pax = parse(b"10 size=77\n").or_else(|_| parse(b"11 size=77\n")).unwrap();
        assert_eq!(pax.size, Some(77));
        for bad in
            [&b"11 size=-7\n"[..], b"11 size=77", b"x size=77\n", b"99 size=77\n", b"3 \n", b"9 path=\0\n"]
        {
            assert!(parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn times_may_be_negative_and_fractional() {
        assert_eq!(time(b"12.5").unwrap(), (12, 500_000_000));
        assert_eq!(time(b"-1.25").unwrap(), (-2, 750_000_000));
        assert_eq!(time(b"-3").unwrap(), (-3, 0));
        assert_eq!(time(b"1.123456789123").unwrap(), (1, 123_456_789));
        assert!(time(b"99999999999999999999").is_err());
    }
}
