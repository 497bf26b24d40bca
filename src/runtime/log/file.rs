//! A log in a file, whatever its format.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Stream;
use crate::base::error::{Context, Result};
use crate::base::fs;

/// A record as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Where in the record its time stands.
    pub(super) time: Range<usize>,
    pub(super) stream: Stream,
    pub(super) partial: bool,
}

/// How one line becomes one record and back.
pub(super) trait Format: std::fmt::Debug {
    /// Appends the record of a line, or of a piece of one that has no newline at its end.
    fn encode(&self, out: &mut Vec<u8>, time: &str, stream: Stream, line: &[u8]);

    /// Reads a record (without its newline); the line goes to `decoded`. `None` for what is no record.
    fn parse(&self, record: &[u8], decoded: &mut Vec<u8>) -> Option<Parsed>;
}

/// How much is encoded before it is written: short lines grow to many times their size, and a supervisor is to stay small.
const ENOUGH: usize = 64 << 10;

/// The writing end.
#[derive(Debug)]
pub(super) struct LogFile {
    format: Box<dyn Format>,
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    out: Vec<u8>,
}

impl LogFile {
    pub(super) fn open(format: Box<dyn Format>, path: &Path, max_size: u64) -> Result<LogFile> {
        let file = open_append(path)?;
        let size = file.metadata().with_context(|| format!("read the size of `{}`", path.display()))?.len();
        Ok(LogFile { format, path: path.into(), file, size, max_size, out: Vec::new() })
    }

    /// Appends the records of what was read from a stream at once.
    pub(super) fn write(&mut self, time: &str, stream: Stream, bytes: &[u8]) -> Result<()> {
        self.out.clear();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let before = self.out.len();
            self.format.encode(&mut self.out, time, stream, line);
            if self.is_full() && before as u64 + self.size > 0 {
                let record = self.out.split_off(before);
                self.flush()?;
                self.rotate()?;
                self.out = record;
            }
            if self.out.len() >= ENOUGH {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn is_full(&self) -> bool {
        self.max_size > 0 && self.size + self.out.len() as u64 > self.max_size
    }

    /// Writes what is encoded. What does not fit whole (a full disk) is cut off again: no half record stays.
    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.out);
        if written.is_ok() {
            self.size += self.out.len() as u64;
        } else {
            let _ = self.file.set_len(self.size); // the first error is the one to tell
        }
        self.out.clear();
        written.with_context(|| format!("write `{}`", self.path.display()))
    }

    /// Puts an empty file in the place of the full one. A reader that follows finishes the old one first.
    fn rotate(&mut self) -> Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".tmp");
        let next = PathBuf::from(name);
        fs::remove_file(&next)?;
        let file = open_append(&next)?;
        fs::rename(&next, &self.path)?;
        self.file = file;
        self.size = 0;
        Ok(())
    }
}

fn open_append(path: &Path) -> Result<File> {
    let open = || -> io::Result<File> { OpenOptions::new().append(true).create(true).mode(0o600).open(path) };
    open().with_context(|| format!("open log `{}`", path.display()))
}

#[cfg(test)]
pub(super) fn round_trip(format: &dyn Format) {
    let all: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').chain([b'\n']).collect();
    let lines: [&[u8]; 9] = [
        b"plain\n",
        b"\n",
        b"no newline",
        b"\0\0\n",
        b"\xff\xfe\xc3\n",
        b"\xed\xb2\x80\n",
        b"\r\n",
        b" x \n",
        &all,
    ];
    let (mut record, mut decoded) = (Vec::new(), Vec::new());
    for line in lines {
        record.clear();
        format.encode(&mut record, "2026-01-02T03:04:05.000000006+00:00", Stream::Stderr, line);
        assert_eq!(record.pop(), Some(b'\n'));
        assert!(!record.contains(&b'\n'));
        let parsed = format.parse(&record, &mut decoded).unwrap();
        assert_eq!((decoded.as_slice(), parsed.stream), (line, Stream::Stderr));
        assert_eq!(parsed.partial, !line.ends_with(b"\n"));
        assert!(record[parsed.time].starts_with(b"2026-01-02T03:04:05.000000006"));
    }
}
