//! The writing end of a log, whatever its driver.

use jiff::Timestamp;

use super::file::LogFile;
use super::journald::Journal;
use super::{Driver, Settings, Stream, json, k8s};
use crate::base::error::{Result, render};
use crate::base::time::now;

/// Takes what a container writes. Never fails once open: trouble is kept and told at the end, since a full disk is no
/// reason to stop a container.
#[derive(Debug)]
pub struct Sink {
    target: Target,
    trouble: Option<String>,
    lost: u64,
}

#[derive(Debug)]
enum Target {
    File(LogFile),
    Journal(Journal),
    Nothing,
}

impl Sink {
    /// Opens the log, appending to what is there.
    pub fn open(settings: &Settings) -> Result<Sink> {
        let target = match settings.driver {
            Driver::K8sFile => {
                Target::File(LogFile::open(Box::new(k8s::K8s), &settings.path, settings.max_size)?)
            }
            Driver::JsonFile => {
                Target::File(LogFile::open(Box::new(json::Json), &settings.path, settings.max_size)?)
            }
            Driver::Journald => Target::Journal(Journal::open(settings)?),
            Driver::None => Target::Nothing,
        };
        Ok(Sink { target, trouble: None, lost: 0 })
    }

    /// Keeps what was read from a stream at once, with the present as its time.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let done = match &mut self.target {
            Target::File(file) => file.write(&stamp(now()), stream, bytes),
            Target::Journal(journal) => journal.write(stream, bytes),
            Target::Nothing => Ok(()),
        };
        if let Err(error) = done {
            self.lost += bytes.len() as u64;
            self.trouble.get_or_insert_with(|| render(&error));
        }
    }

    /// What went wrong so far, with the first cause; forgets it.
    pub fn take_trouble(&mut self) -> Option<String> {
        let lost = std::mem::take(&mut self.lost);
        self.trouble.take().map(|cause| format!("{lost} bytes of output are missing in the log: {cause}"))
    }
}

/// RFC 3339 in UTC as podman's monitor writes it: nine digits of fraction and a numeric offset.
fn stamp(when: Timestamp) -> String {
    let mut text = crate::base::time::rfc3339(when);
    text.pop();
    text.push_str("+00:00");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn stamps_have_nine_digits_and_an_offset() {
        let when: Timestamp = "2026-01-02T03:04:05.000000006Z".parse().unwrap();
        assert_eq!(stamp(when), "2026-01-02T03:04:05.000000006+00:00");
    }

    #[test]
    fn a_full_disk_is_trouble_but_no_failure() {
        let mut sink =
            Sink::open(&Settings { path: PathBuf::from("/dev/full"), ..Settings::default() }).unwrap();
        sink.write(Stream::Stdout, b"lost\n");
        sink.write(Stream::Stdout, b"too\n");
        let trouble = sink.take_trouble().unwrap();
        assert!(trouble.starts_with("9 bytes of output are missing"), "{trouble}");
        assert_eq!(sink.take_trouble(), None);
    }
}
