//! The `json-file` format, which is Docker's: `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"}`.
//!
//! JSON text cannot hold bytes that are not UTF-8. Docker loses them; here each becomes the escape of a lone surrogate,
//! `\udc80` to `\udcff`, from which it is read back (Python's "surrogateescape"); other readers show a replacement
//! character, as they do for Docker's own logs.

use super::Stream;
use super::file::{Format, Parsed};

/// See the module.
#[derive(Debug)]
pub(super) struct Json;

const HEX: &[u8; 16] = b"0123456789abcdef";

impl Format for Json {
    fn encode(&self, out: &mut Vec<u8>, time: &str, stream: Stream, line: &[u8]) {
        out.extend_from_slice(b"{\"log\":\"");
        for chunk in line.utf8_chunks() {
            escape(out, chunk.valid());
            for &byte in chunk.invalid() {
                unicode(out, 0xdc00 | u16::from(byte));
            }
        }
        out.extend_from_slice(b"\",\"stream\":\"");
        out.extend_from_slice(stream.word().as_bytes());
        out.extend_from_slice(b"\",\"time\":\"");
        out.extend_from_slice(time.strip_suffix("+00:00").unwrap_or(time).as_bytes());
        out.extend_from_slice(b"Z\"}\n");
    }

    fn parse(&self, record: &[u8], decoded: &mut Vec<u8>) -> Option<Parsed> {
        let body = record.strip_prefix(b"{\"log\":\"")?;
        let end = 8 + unescape(body, decoded)?;
        let mut rest = record.get(end..)?.strip_prefix(b"\",\"")?;
        // Docker puts the attributes of labels between the two when asked to: `"attrs":{…},`.
        let stream_at = rest.windows(9).position(|window| window == b"stream\":\"")?;
        rest = &rest[stream_at + 9..];
        let stream = match rest.get(..6)? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let time_at = rest.windows(8).position(|window| window == b"\"time\":\"")? + 8;
        let start = record.len() - rest.len() + time_at;
        let length = record[start..].iter().position(|&byte| byte == b'"')?;
        Some(Parsed { time: start..start + length, stream, partial: decoded.last() != Some(&b'\n') })
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => unicode(out, byte.into()),
            _ => out.push(byte),
        }
    }
}

fn unicode(out: &mut Vec<u8>, unit: u16) {
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(unit >> shift & 15)]);
    }
}

/// Decodes a JSON string up to its closing quote; the quote's place.
fn unescape(body: &[u8], decoded: &mut Vec<u8>) -> Option<usize> {
    decoded.clear();
    let mut at = 0;
    loop {
        match *body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += unescape_one(&body[at..], decoded)?,
            byte => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
}

/// Decodes one escape; its length.
fn unescape_one(text: &[u8], decoded: &mut Vec<u8>) -> Option<usize> {
    let byte = match *text.get(1)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        b'u' => return unescape_unicode(text, decoded),
        byte @ (b'"' | b'\\' | b'/') => byte,
        _ => return None,
    };
    decoded.push(byte);
    Some(2)
}

fn unescape_unicode(text: &[u8], decoded: &mut Vec<u8>) -> Option<usize> {
    let unit = |text: &[u8]| {
        let digits = std::str::from_utf8(text.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = unit(text)?;
    if let 0xdc80..=0xdcff = first {
        decoded.push((first & 0xff) as u8);
        return Some(6);
    }
    let second = unit(text.get(6..)?).filter(|_| (0xd800..0xdc00).contains(&first));
    let units = [first, second.unwrap_or(0)];
    let used = if second.is_some() { 2 } else { 1 };
    let mut utf8 = [0u8; 4];
    for c in char::decode_utf16(units[..used].iter().copied()) {
        decoded.extend_from_slice(c.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut utf8).as_bytes());
    }
    Some(6 * used)
}

#[cfg(test)]
mod tests {
    use super::super::file::round_trip;
    use super::*;

    #[test]
    fn the_format_is_dockers() {
        let mut out = Vec::new();
        let line = b"a\"\\\t\x01\xff\xc3\xa4\n";
        Json.encode(&mut out, "2026-01-02T03:04:05.000000006+00:00", Stream::Stderr, line);
        let expected = "{\"log\":\"a\\\"\\\\\\t\\u0001\\udcffä\\n\",\"stream\":\"stderr\",\
                        \"time\":\"2026-01-02T03:04:05.000000006Z\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn bytes_come_back_as_written() {
        round_trip(&Json);
    }

    #[test]
    fn what_docker_wrote_is_read() {
        let record = br#"{"log":"\u003cb\u003e \ud83d\ude00\n","attrs":{"a":"b"},"stream":"stdout","time":"2026-01-02T03:04:05Z"}"#;
        let mut decoded = Vec::new();
        let parsed = Json.parse(record, &mut decoded).unwrap();
        assert_eq!(decoded, "<b> 😀\n".as_bytes());
        assert_eq!((&record[parsed.time], parsed.partial), (&b"2026-01-02T03:04:05Z"[..], false));
        for bad in ["", "{", "{\"log\":\"x", "{\"log\":\"\\u12\",\"stream\":\"stdout\"}", "{\"log\":\"x\"}"] {
            assert!(Json.parse(bad.as_bytes(), &mut decoded).is_none(), "{bad}");
        }
    }
}
