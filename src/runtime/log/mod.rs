//! What a container writes, kept: writers and readers of the log formats.
//!
//! A log is one file, `<container>/ctr.log` unless `--log-opt path=` says otherwise, that the supervisor alone
//! appends to. With `max-size` it is replaced by an empty one when the next record would not fit (as podman's
//! monitor does); a reader that has the old file open reads it to its end first. Every record is written by one
//! append, and one that the disk had no room for is cut off again, so a reader finds whole records only, but for
//! the last one while it is being written.
//!
//! Bytes come back exactly as written, NUL, invalid UTF-8 and a missing last newline included. Records are lines;
//! a piece of a line (the process wrote no newline yet, or a line longer than a read) is marked partial and the
//! next record of that stream continues it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::base::error::{Context, Result};

mod file;
mod journald;
mod json;
mod k8s;
mod read;
mod sink;
mod tail;

pub use read::{ReadOptions, Reader};
pub use sink::Sink;

/// Which stream of the container bytes came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub fn word(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// How logs are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Driver {
    /// `TIME STREAM F|P TEXT`, a line each (the format of the Kubernetes container runtime interface).
    #[default]
    K8sFile,
    /// Docker's: `{"log":…,"stream":…,"time":…}`, a line each.
    JsonFile,
    /// The journal of systemd.
    Journald,
    /// Nothing is kept.
    None,
}

/// Where one container's log goes.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How.
    pub driver: Driver,
    /// The file of the two file drivers.
    pub path: PathBuf,
    /// Bytes after which the file is replaced; 0 never.
    pub max_size: u64,
    /// `--log-opt tag=`, expanded; journald only.
    pub tag: String,
    /// The container's full id; journald only.
    pub id: String,
    /// The container's name; journald only.
    pub name: String,
}

/// One record, borrowed from the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was read from the container, RFC 3339 with nanoseconds, as it stands in the log.
    pub time: &'a str,
    /// Where it came from.
    pub stream: Stream,
    /// What was written, with its newline unless the record is partial.
    pub bytes: &'a [u8],
    /// Whether the line goes on in the next record of the same stream.
    pub partial: bool,
}

impl Entry<'_> {
    /// The time as a value.
    pub fn timestamp(&self) -> Result<Timestamp> {
        self.time.parse().with_context(|| format!("read log time `{}`", self.time))
    }
}

/// Reads a container's log: see [`ReadOptions`]. `alive` tells, for `follow`, whether more may come.
pub fn read<'a>(
    settings: &Settings,
    options: &ReadOptions,
    alive: impl FnMut() -> bool + 'a,
) -> Result<Reader<'a>> {
    Reader::open(settings, options, Box::new(alive))
}
