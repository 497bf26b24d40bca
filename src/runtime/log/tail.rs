//! Where the last lines of a log begin, found from its end: a log of gigabytes costs a few blocks.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::file::Format;
use crate::base::error::{Context, Result};

const BLOCK: u64 = 64 << 10;

/// The offset at which the last `lines` lines begin. A line that was written in pieces counts once, and one that is not
/// finished yet counts too; a record that is still being written does not exist yet.
pub(super) fn start(file: &File, format: &dyn Format, lines: u64) -> Result<u64> {
    let size = file.metadata().context("read the size of the log")?.len();
    let mut backwards = Backwards { file, at: size, data: Vec::new() };
    let (mut left, mut decoded) = (lines, Vec::new());
    backwards.skip_unfinished()?;
    let mut begin = backwards.position();
    let mut newest = true;
    while let Some(record) = backwards.previous()? {
        let ends_a_line = format.parse(&record, &mut decoded).is_none_or(|parsed| !parsed.partial);
        if ends_a_line || newest {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        newest = false;
        begin = backwards.position();
    }
    Ok(begin)
}

/// Reads a file line by line from its end.
struct Backwards<'a> {
    file: &'a File,
    /// Offset in the file of the first byte of `data`.
    at: u64,
    /// Bytes not given out yet.
    data: Vec<u8>,
}

impl Backwards<'_> {
    /// The offset in the file up to which nothing was given out yet.
    fn position(&self) -> u64 {
        self.at + self.data.len() as u64
    }

    /// Reads the block before; false at the beginning of the file.
    fn grow(&mut self) -> Result<bool> {
        let length = self.at.min(BLOCK);
        if length == 0 {
            return Ok(false);
        }
        let mut block = vec![0; length as usize];
        self.file.read_exact_at(&mut block, self.at - length).context("read the log")?;
        self.at -= length;
        block.append(&mut self.data);
        self.data = block;
        Ok(true)
    }

    fn skip_unfinished(&mut self) -> Result<()> {
        loop {
            if let Some(end) = self.data.iter().rposition(|&byte| byte == b'\n') {
                self.data.truncate(end + 1);
                return Ok(());
            }
            if !self.grow()? {
                self.data.clear();
                return Ok(());
            }
        }
    }

    /// The line before, without its newline.
    fn previous(&mut self) -> Result<Option<Vec<u8>>> {
        if self.data.is_empty() && !self.grow()? {
            return Ok(None);
        }
        loop {
            let last = self.data.len() - 1;
            if let Some(before) = self.data[..last].iter().rposition(|&byte| byte == b'\n') {
                let line = self.data.split_off(before + 1);
                return Ok(Some(line[..line.len() - 1].to_vec()));
            }
            if !self.grow()? {
                let line = std::mem::take(&mut self.data);
                return Ok(Some(line[..line.len() - 1].to_vec()));
            }
        }
    }
}
