//! The reading end of a log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::file::{Format, Parsed};
use super::{Driver, Entry, Settings, json, k8s, tail};
use crate::base::error::{Context, Explain, Kind, Result, fail, is_not_found};
use crate::base::fs;
use crate::base::time::now;
use crate::sys::event::FileWatch;

/// How long a follower sleeps at most before it looks whether the container still lives.
const NAP: Duration = Duration::from_millis(100);

/// Which records, and whether to wait for more.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Wait for new records until the container has ended.
    pub follow: bool,
    /// Only records of this time or later.
    pub since: Option<Timestamp>,
    /// Only records of this time or earlier.
    pub until: Option<Timestamp>,
    /// Only the last so many lines (of what is there now).
    pub tail: Option<u64>,
}

/// Gives the records of a log one after the other.
pub struct Reader<'a> {
    options: ReadOptions,
    alive: Box<dyn FnMut() -> bool + 'a>,
    format: Box<dyn Format>,
    path: PathBuf,
    lines: Option<Lines>,
    watch: Option<FileWatch>,
    decoded: Vec<u8>,
    /// The container has ended: what is in the file now is all.
    ended: bool,
    /// The file was replaced and is read a last time.
    leaving: bool,
}

impl std::fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    pub(super) fn open(
        settings: &Settings,
        options: &ReadOptions,
        alive: Box<dyn FnMut() -> bool + 'a>,
    ) -> Result<Reader<'a>> {
        let mut reader = Reader {
            options: options.clone(),
            alive,
            format: format_of(settings)?,
            path: settings.path.clone(),
            lines: None,
            watch: None,
            decoded: Vec::new(),
            ended: false,
            leaving: false,
        };
        reader.open_file()?;
        if let (Some(count), Some(lines)) = (options.tail, &mut reader.lines) {
            lines.seek(tail::start(&lines.file, reader.format.as_ref(), count)?)?;
        }
        Ok(reader)
    }

    /// The next record; `None` at the end. Not an [`Iterator`]: a record borrows the reader's buffer.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        let Some((record, parsed)) = self.find()? else { return Ok(None) };
        let Some(lines) = &self.lines else { return Ok(None) };
        let time = &lines.buffer[record.start + parsed.time.start..record.start + parsed.time.end];
        Ok(Some(Entry {
            time: std::str::from_utf8(time).unwrap_or_default(),
            stream: parsed.stream,
            bytes: &self.decoded,
            partial: parsed.partial,
        }))
    }

    /// The next record that the options let through.
    fn find(&mut self) -> Result<Option<(Range<usize>, Parsed)>> {
        loop {
            let Some(record) = self.next_line()? else {
                if self.wait_for_more()? {
                    continue;
                }
                return Ok(None);
            };
            let Some(lines) = &self.lines else { return Ok(None) };
            let text = &lines.buffer[record.clone()];
            // What is no record was cut off by a crash of the machine: there is nothing to show.
            let Some(parsed) = self.format.parse(text, &mut self.decoded) else { continue };
            match self.in_time(&text[parsed.time.clone()]) {
                Place::Before => {}
                Place::Within => return Ok(Some((record, parsed))),
                Place::After => return Ok(None),
            }
        }
    }

    fn in_time(&self, time: &[u8]) -> Place {
        if self.options.since.is_none() && self.options.until.is_none() {
            return Place::Within;
        }
        let when = std::str::from_utf8(time).ok().and_then(|text| text.parse::<Timestamp>().ok());
        match when {
            Some(when) if self.options.until.is_some_and(|until| when > until) => Place::After,
            Some(when) if self.options.since.is_some_and(|since| when < since) => Place::Before,
            _ => Place::Within,
        }
    }

    fn next_line(&mut self) -> Result<Option<Range<usize>>> {
        match &mut self.lines {
            Some(lines) => lines.next().with_context(|| format!("read `{}`", self.path.display())),
            None => Ok(None),
        }
    }

    /// At the end of the file: whether it is worth another look.
    fn wait_for_more(&mut self) -> Result<bool> {
        if !self.options.follow || self.options.until.is_some_and(|until| now() > until) {
            return Ok(false);
        }
        if self.replaced()? {
            // The old file may have grown between the last look at it and its replacement: once more, then go.
            self.leaving = !self.leaving;
            if !self.leaving {
                self.open_file()?;
            }
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        if !(self.alive)() {
            self.ended = true; // what came since the last look is still to be read
            return Ok(true);
        }
        match &self.watch {
            Some(watch) => watch.wait(NAP).context("wait for the log")?,
            None => std::thread::sleep(NAP),
        }
        Ok(true)
    }

    /// Whether the path holds another file than the one being read.
    fn replaced(&mut self) -> Result<bool> {
        let Some(lines) = &mut self.lines else { return Ok(self.path.exists()) };
        let mine = lines.file.metadata().context("look at the log")?;
        if mine.len() < lines.offset {
            lines.forget_unfinished()?; // the disk was full in the middle of a record
        }
        // A file cut short in place (`truncate -s0`, as administrators do) starts anew too.
        let cut = mine.len() < lines.offset;
        let theirs = std::fs::metadata(&self.path);
        Ok(cut || theirs.is_ok_and(|theirs| (theirs.dev(), theirs.ino()) != (mine.dev(), mine.ino())))
    }

    /// Opens the log from its beginning; a container that never ran has none.
    fn open_file(&mut self) -> Result<()> {
        self.lines = match fs::open(&self.path) {
            Ok(file) => Some(Lines::new(file)),
            Err(error) if is_not_found(&error) => None,
            Err(error) => return Err(error),
        };
        // Without inotify (watches used up, odd file system) the nap alone does it.
        self.watch = if self.options.follow { FileWatch::new(&self.path).ok() } else { None };
        Ok(())
    }
}

enum Place {
    Before,
    Within,
    After,
}

fn format_of(settings: &Settings) -> Result<Box<dyn Format>> {
    match settings.driver {
        Driver::K8sFile => Ok(Box::new(k8s::K8s)),
        Driver::JsonFile => Ok(Box::new(json::Json)),
        Driver::None => Err(fail(Kind::Failed, "this container keeps no log: its log driver is `none`")),
        Driver::Journald => {
            let error = fail(Kind::Failed, "this container logs to the journal");
            Err(error.hint(format!("read it with `journalctl -o cat CONTAINER_ID_FULL={}`", settings.id)))
        }
    }
}

/// A file's complete lines.
struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// What of the buffer was not given out yet.
    rest: Range<usize>,
    /// Up to where the file was read.
    offset: u64,
}

impl Lines {
    fn new(file: File) -> Lines {
        Lines { file, buffer: vec![0; 64 << 10], rest: 0..0, offset: 0 }
    }

    fn seek(&mut self, offset: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(offset)).context("seek in the log")?;
        self.offset = offset;
        Ok(())
    }

    /// Goes back to the beginning of a line of which only a part was read.
    fn forget_unfinished(&mut self) -> Result<()> {
        let unfinished = self.rest.len() as u64;
        self.rest = 0..0;
        self.seek(self.offset - unfinished)
    }

    /// The place in the buffer of the next line, without its newline; `None` when the file has no whole line more now.
    fn next(&mut self) -> std::io::Result<Option<Range<usize>>> {
        let mut searched = 0;
        loop {
            let start = self.rest.start + searched;
            if let Some(length) = self.buffer[start..self.rest.end].iter().position(|&byte| byte == b'\n') {
                let line = self.rest.start..start + length;
                self.rest.start = line.end + 1;
                return Ok(Some(line));
            }
            searched = self.rest.len();
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    fn fill(&mut self) -> std::io::Result<usize> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        if self.rest.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.file.read(&mut self.buffer[self.rest.end..])?;
        self.rest.end += read;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Instant;

    use super::*;
    use crate::base::id;
    use crate::runtime::log::{Sink, Stream, read};

    fn settings(driver: Driver) -> Settings {
        let path = std::env::temp_dir().join(format!("dhow-log-{}", id::word()));
        Settings { driver, path, ..Settings::default() }
    }

    fn all(settings: &Settings, options: &ReadOptions) -> Vec<u8> {
        let mut reader = read(settings, options, || false).unwrap();
        let mut out = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            out.extend_from_slice(entry.bytes);
        }
        out
    }

    fn tail(settings: &Settings, lines: u64) -> Vec<u8> {
        all(settings, &ReadOptions { tail: Some(lines), ..ReadOptions::default() })
    }

    #[test]
    fn what_was_written_in_any_pieces_is_read_whole() {
        for driver in [Driver::K8sFile, Driver::JsonFile] {
            let settings = settings(driver);
            let mut sink = Sink::open(&settings).unwrap();
            let bytes: Vec<u8> =
                (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            for (n, piece) in bytes.chunks(9973).enumerate() {
                sink.write(if n % 3 == 0 { Stream::Stderr } else { Stream::Stdout }, piece);
            }
            assert!(all(&settings, &ReadOptions::default()) == bytes, "{driver:?}");
            fs::remove_file(&settings.path).unwrap();
        }
    }

    #[test]
    fn the_tail_counts_lines_not_records() {
        let settings = settings(Driver::K8sFile);
        assert_eq!(tail(&settings, 5), b"");
        let mut sink = Sink::open(&settings).unwrap();
        for piece in [&b"one\ntwo\n"[..], b"th", b"ree\n", b"fo", b"ur"] {
            sink.write(Stream::Stdout, piece);
        }
        let table: [(u64, &[u8]); 6] = [
            (0, b""),
            (1, b"four"),
            (2, b"three\nfour"),
            (3, b"two\nthree\nfour"),
            (4, b"one\ntwo\nthree\nfour"),
            (9, b"one\ntwo\nthree\nfour"),
        ];
        for (lines, expected) in table {
            assert_eq!(tail(&settings, lines), expected, "{lines}");
        }
        let mut file = std::fs::File::options().append(true).open(&settings.path).unwrap();
        file.write_all(b"2026-01-02T03:04:05.000000006+00:00 stdout F still being wr").unwrap();
        assert_eq!(tail(&settings, 1), b"four");
        fs::remove_file(&settings.path).unwrap();
    }

    #[test]
    fn the_tail_of_a_long_log_is_found_across_blocks() {
        let settings = settings(Driver::JsonFile);
        let mut sink = Sink::open(&settings).unwrap();
        let line = |n: u32| format!("{n} {}\n", "x".repeat(n as usize % 999)).into_bytes();
        (0..2000).for_each(|n| sink.write(Stream::Stdout, &line(n)));
        let expected: Vec<u8> = (1500..2000).flat_map(line).collect();
        assert!(tail(&settings, 500) == expected);
        fs::remove_file(&settings.path).unwrap();
    }

    #[test]
    fn times_limit_what_is_shown() {
        let settings = settings(Driver::K8sFile);
        let record =
            |second: u32| format!("2026-01-02T03:04:{second:02}.000000006+00:00 stdout F {second}\n");
        let text: String = (0..10).map(record).collect();
        fs::replace(&settings.path, text.as_bytes(), 0o600, fs::Durability::Volatile).unwrap();
        let at = |second: u32| Some(format!("2026-01-02T03:04:{second:02}.1Z").parse().unwrap());
        let options = ReadOptions { since: at(2), until: at(5), ..ReadOptions::default() };
        assert_eq!(all(&settings, &options), b"3\n4\n5\n");
        fs::remove_file(&settings.path).unwrap();
    }

    #[test]
    fn a_follower_survives_rotation_and_ends_with_the_container() {
        let settings = Settings { max_size: 4000, ..settings(Driver::K8sFile) };
        let path = settings.path.clone();
        let writer = {
            let settings = settings.clone();
            std::thread::spawn(move || {
                let mut sink = Sink::open(&settings).unwrap();
                for n in 0..300 {
                    sink.write(Stream::Stdout, format!("{n}\n").as_bytes());
                    std::thread::sleep(Duration::from_micros(1500));
                }
            })
        };
        let begun = Instant::now();
        let alive = || !writer.is_finished();
        let options = ReadOptions { follow: true, ..ReadOptions::default() };
        let mut reader = read(&settings, &options, alive).unwrap();
        let mut seen = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            seen.extend_from_slice(entry.bytes);
        }
        drop(reader);
        writer.join().unwrap();
        let expected: String = (0..300).map(|n| format!("{n}\n")).collect();
        assert_eq!(String::from_utf8(seen).unwrap(), expected);
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(std::fs::metadata(&path).unwrap().len() <= 4000);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_driver_without_a_log_says_so() {
        let error = read(&settings(Driver::None), &ReadOptions::default(), || false).unwrap_err();
        assert!(error.to_string().contains("none") || format!("{error:#}").contains("none"));
    }
}
