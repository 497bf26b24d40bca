//! The `k8s-file` format: `2026-01-02T03:04:05.000000006+00:00 stdout F text`, `P` where the line goes on.

use super::Stream;
use super::file::{Format, Parsed};

/// See the module.
#[derive(Debug)]
pub(super) struct K8s;

impl Format for K8s {
    fn encode(&self, out: &mut Vec<u8>, time: &str, stream: Stream, line: &[u8]) {
        let (text, flag) = match line.strip_suffix(b"\n") {
            Some(text) => (text, b" F "),
            None => (line, b" P "),
        };
        out.extend_from_slice(time.as_bytes());
        out.push(b' ');
        out.extend_from_slice(stream.word().as_bytes());
        out.extend_from_slice(flag);
        out.extend_from_slice(text);
        out.push(b'\n');
    }

    fn parse(&self, record: &[u8], decoded: &mut Vec<u8>) -> Option<Parsed> {
        let time_end = record.iter().position(|&byte| byte == b' ')?;
        let rest = &record[time_end + 1..];
        let stream = match rest.get(..7)? {
            b"stdout " => Stream::Stdout,
            b"stderr " => Stream::Stderr,
            _ => return None,
        };
        let partial = match rest.get(7..9)? {
            b"F " => false,
            b"P " => true,
            _ => return None,
        };
        decoded.clear();
        decoded.extend_from_slice(&rest[9..]);
        if !partial {
            decoded.push(b'\n');
        }
        Some(Parsed { time: 0..time_end, stream, partial })
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::round_trip;
    use super::*;

    #[test]
    fn the_format_is_podmans() {
        let mut out = Vec::new();
        K8s.encode(&mut out, "2026-01-02T03:04:05.000000006+00:00", Stream::Stdout, b"text\n");
        K8s.encode(&mut out, "2026-01-02T03:04:05.000000006+00:00", Stream::Stderr, b"half");
        let expected = "2026-01-02T03:04:05.000000006+00:00 stdout F text\n\
                        2026-01-02T03:04:05.000000006+00:00 stderr P half\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn bytes_come_back_as_written() {
        round_trip(&K8s);
    }

    #[test]
    fn damaged_records_are_no_records() {
        for bad in ["", "x", "t stdout", "t stdout F", "t stdin F x", "t stdout X x", " "] {
            assert!(K8s.parse(bad.as_bytes(), &mut Vec::new()).is_none(), "{bad}");
        }
    }
}
