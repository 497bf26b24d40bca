//! Reading events, also while they are written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use super::{Event, identity};
use crate::base::error::{Context, Result};
use crate::base::fs;
use crate::sys::event::FileWatch;

/// The longest line that is taken for an event; a longer one is passed over.
const LONGEST: u64 = 1 << 20;

/// Gives one event after the other.
#[derive(Debug)]
pub struct Reader {
    /// The name under which new events appear.
    log: PathBuf,
    /// Older files first.
    files: VecDeque<BufReader<File>>,
    /// The beginning of a line whose end is not written yet.
    partial: Vec<u8>,
}

impl Reader {
    /// Reads `old`, if it is given and exists, and then `log`; without `old`, only what will come.
    pub(super) fn open(log: PathBuf, old: Option<PathBuf>) -> Result<Reader> {
        let mut newest = fs::open(&log)?;
        let mut files = VecDeque::new();
        match old {
            None => drop(newest.seek(SeekFrom::End(0)).context("read events from now on")?),
            Some(old) => match fs::open(&old) {
                // A rotation between the two opens: both names were the same file.
                Ok(file) if identity(&file) == identity(&newest) => newest = fs::open(&log)?,
                Ok(file) => files.push_back(BufReader::new(file)),
                Err(error) if crate::base::error::is_not_found(&error) => {}
                Err(error) => return Err(error),
            },
        }
        files.push_back(BufReader::new(newest));
        Ok(Reader { log, files, partial: Vec::new() })
    }

    /// The next event; `None` when there is none yet.
    #[expect(clippy::should_implement_trait, reason = "an iterator would have to end where this only pauses")]
    pub fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let Some(file) = self.files.front_mut() else { return Ok(None) };
            let room = LONGEST.saturating_sub(self.partial.len() as u64).max(1);
            let read = file.take(room).read_until(b'\n', &mut self.partial).context("read events")?;
            if self.partial.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.partial);
                match serde_json::from_slice(&line) {
                    Ok(event) => return Ok(Some(event)),
                    Err(_) => continue,
                }
            }
            if self.partial.len() as u64 >= LONGEST {
                self.partial.clear(); // the rest of it will be no event either
            }
            if read == 0 && !self.next_file()? {
                return Ok(None);
            }
        }
    }

    /// At the end of a file: goes on to the next one, if there is one by now.
    fn next_file(&mut self) -> Result<bool> {
        if self.files.len() == 1 {
            let newest = fs::open(&self.log)?;
            let here = self.files.front().and_then(|file| identity(file.get_ref()));
            if here == identity(&newest) {
                return Ok(false);
            }
            self.files.push_back(BufReader::new(newest));
            // What was written to the old file before it was set aside is read first.
            return Ok(true);
        }
        self.files.pop_front();
        self.partial.clear();
        Ok(true)
    }

    /// Waits until something may have come, or the time is over.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        let watch = FileWatch::new(&self.log).with_context(|| format!("watch `{}`", self.log.display()))?;
        // What was written before the watch began would not wake it.
        if self.behind() {
            return Ok(());
        }
        watch.wait(timeout).context("wait for events")
    }

    fn behind(&self) -> bool {
        let Some(file) = self.files.back() else { return true };
        let same = fs::open(&self.log).is_ok_and(|newest| identity(&newest) == identity(file.get_ref()));
        let position = (&mut file.get_ref()).stream_position();
        let end = file.get_ref().metadata().map(|meta| meta.len());
        !same || matches!((position, end), (Ok(position), Ok(end)) if position < end)
    }
}
