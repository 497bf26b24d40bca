//! Content digests of files that did not change, so that a context of many files is not read for every build.
//!
//! ```text
//! <root>/build/known/<hex>      one a context, by device and inode of its top; replaced whole, no lock: of two builds at
//!                               once the last one's additions stay, and a lost one costs a read. May always be deleted.
//! ```
//!
//! A file counts as unchanged when device, inode, size, modification **and change** time are the same: the change time
//! moves with every write and cannot be set back. As in git, a file that changed within two seconds before it was read
//! is not remembered: a later write could have the same times.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};
use crate::sys::file::{self, Stat};
use crate::sys::rootdir::RootDir;

const MAGIC: &[u8] = b"dhow known files 1\n";
/// Seconds in which a clock may stand still, network file systems included.
const RACY: i64 = 2;
/// Days for which an unused record is kept.
const KEPT: u32 = 30;
/// Days after which the use of a record is written down again.
const REFRESH: u32 = 7;

/// What tells one state of a file from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Stamp {
        Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime, stat.st_ctime_nsec as u32),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Device and inode.
    pub(super) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) digest: [u8; 32],
    /// It has extended attributes, which must be read.
    pub(super) xattrs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    stamp: Stamp,
    fact: Fact,
    /// The day of its last use, since 1970.
    day: u32,
}

/// The known files of a context.
#[derive(Debug)]
pub struct Known {
    path: Option<PathBuf>,
    records: HashMap<(u64, u64), Record>,
    /// When reading began: nothing that changed shortly before is remembered.
    began: i64,
    changed: bool,
}

impl Known {
    /// Reads what is known of a context; nothing, where there is no record or a damaged one.
    pub fn open(root: &Path, context: &RootDir) -> Result<Known> {
        let stat = file::stat(context).context("stat the context")?;
        let name = Digest::of(format!("{}:{}", stat.st_dev, stat.st_ino).as_bytes());
        let path = root.join("build/known").join(&name.hex()[..32]);
        let records = fs::read_optional(&path)?.map(|bytes| parse(&bytes)).unwrap_or_default();
        Ok(Known { path: Some(path), records, began: now(), changed: false })
    }

    /// Knows nothing and remembers nothing beyond this object: for stages and images.
    pub fn forgetful() -> Known {
        Known { path: None, records: HashMap::new(), began: now(), changed: false }
    }

    /// Writes down what is new.
    pub fn save(&self) -> Result<()> {
        let Some(path) = self.path.as_ref().filter(|_| self.changed) else { return Ok(()) };
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let today = today();
        let kept = self.records.values().filter(|record| record.day + KEPT >= today);
        let mut bytes = MAGIC.to_vec();
        kept.for_each(|record| record.write(&mut bytes));
        fs::replace(path, &bytes, 0o600, Durability::Volatile)
    }

    #[cfg(test)]
    pub(super) fn pretend_later(&mut self, seconds: i64) {
        self.began += seconds;
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&mut self, stamp: &Stamp) -> Option<Fact> {
        let record = self.records.get_mut(&(stamp.device, stamp.inode))?;
        if record.stamp != *stamp {
            return None;
        }
        if record.day + REFRESH < today() {
            record.day = today();
            self.changed = true;
        }
        Some(record.fact)
    }

    pub(super) fn put(&mut self, stamp: Stamp, fact: Fact) {
        let settled = |seconds: i64| seconds < self.began - RACY;
        if self.path.is_none() || !settled(stamp.ctime.0) || !settled(stamp.mtime.0) {
            return;
        }
        self.records.insert((stamp.device, stamp.inode), Record { stamp, fact, day: today() });
        self.changed = true;
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn today() -> u32 {
    u32::try_from(now() / 86_400).unwrap_or(0)
}

impl Record {
    const SIZE: usize = 3 * 8 + 2 * 12 + 1 + 4 + 32;

    fn write(&self, out: &mut Vec<u8>) {
        let stamp = &self.stamp;
        for number in [stamp.device, stamp.inode, stamp.size] {
            out.extend(number.to_le_bytes());
        }
        for (seconds, nanos) in [stamp.mtime, stamp.ctime] {
            out.extend(seconds.to_le_bytes());
            out.extend(nanos.to_le_bytes());
        }
        out.push(self.fact.xattrs.into());
        out.extend(self.day.to_le_bytes());
        out.extend(self.fact.digest);
    }

    fn read(bytes: &[u8; Record::SIZE]) -> Option<Record> {
        let long = |at: usize| bytes[at..].first_chunk().map(|chunk| u64::from_le_bytes(*chunk));
        let short = |at: usize| bytes[at..].first_chunk().map(|chunk| u32::from_le_bytes(*chunk));
        let time = |at: usize| Some((long(at)?.cast_signed(), short(at + 8)?));
        let stamp =
            Stamp { device: long(0)?, inode: long(8)?, size: long(16)?, mtime: time(24)?, ctime: time(36)? };
        let fact = Fact { xattrs: bytes[48] != 0, digest: *bytes.last_chunk()? };
        Some(Record { stamp, fact, day: short(49)? })
    }
}

fn parse(bytes: &[u8]) -> HashMap<(u64, u64), Record> {
    let Some(bytes) = bytes.strip_prefix(MAGIC) else { return HashMap::new() };
    let (chunks, _) = bytes.as_chunks::<{ Record::SIZE }>();
    let records = chunks.iter().filter_map(Record::read);
    records.map(|record| ((record.stamp.device, record.stamp.inode), record)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_fresh_files_are_not_trusted() {
        let mut known = Known { path: Some("x".into()), ..Known::forgetful() };
        let old = Stamp { device: 1, inode: 2, size: 3, mtime: (-4, 5), ctime: (6, 7) };
        let fresh = Stamp { inode: 3, ctime: (now(), 0), ..old };
        let fact = Fact { digest: [9; 32], xattrs: true };
        known.put(old, fact);
        known.put(fresh, fact);
        let mut bytes = MAGIC.to_vec();
        known.records.values().for_each(|record| record.write(&mut bytes));
        assert_eq!(parse(&bytes), known.records);
        assert_eq!(parse(&bytes[1..]).len(), 0);
        assert_eq!(parse(&bytes[..bytes.len() - 1]).len(), 0);
        assert_eq!(known.get(&old), Some(fact));
        assert_eq!(known.get(&Stamp { ctime: (6, 8), ..old }), None);
        assert_eq!(known.get(&fresh), None);
    }
}
