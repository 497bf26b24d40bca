//! Giving back the exact bytes of a layer's tar.
//!
//! ```text
//! tree.zst     zstd stream: MAGIC, then records
//!              0x00 LENGTH bytes…            raw bytes of the archive (headers, padding, trailer)
//!              0x01 LENGTH path OFFSET SIZE  content: SIZE bytes of diff/path from OFFSET
//!              0x02                          the end; a stream without it was cut off
//! displaced    records LENGTH path BEFORE NUMBER: what stood at `path` for content references below BEFORE was
//!              replaced by a later entry of the same archive and lies in dup/NUMBER
//! ```
//!
//! Numbers are LEB128. Paths are bytes, relative to `diff/`, without links or dots.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::base::error::{Context, Result, anyhow, bail};
use crate::base::fs;
use crate::sys::rootdir::RootDir;

const MAGIC: &[u8] = b"dhow-tree 1\n";
const RAW: u8 = 0;
const CONTENT: u8 = 1;
const END: u8 = 2;
/// zstd's default: headers shrink by a factor of 30 at 300 MB/s.
const LEVEL: i32 = 3;
/// Raw bytes are gathered up to this many, so that a record is worth its frame.
const GATHER: usize = 64 * 1024;

/// Writes `tree.zst` while a layer is unpacked.
pub struct Recorder {
    out: zstd::Encoder<'static, File>,
    gathered: Vec<u8>,
    references: u64,
    displaced: Vec<u8>,
    stashed: u64,
    dir: PathBuf,
}

impl Recorder {
    /// Starts the record in a layer's directory.
    pub fn create(dir: &Path) -> Result<Recorder> {
        let path = dir.join("tree.zst");
        let mut out = zstd::Encoder::new(fs::create(&path)?, LEVEL).context("start zstd")?;
        out.write_all(MAGIC).with_context(|| format!("write `{}`", path.display()))?;
        Ok(Recorder {
            out,
            gathered: Vec::with_capacity(GATHER),
            references: 0,
            displaced: Vec::new(),
            stashed: 0,
            dir: dir.to_owned(),
        })
    }

    /// Records raw bytes.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<()> {
        if self.gathered.len() + bytes.len() > GATHER {
            self.flush()?;
        }
        if bytes.len() > GATHER {
            self.write_raw(bytes)?;
        } else {
            self.gathered.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Records that `size` bytes of the archive now stand in `path` at `offset`.
    pub fn content(&mut self, path: &[u8], offset: u64, size: u64) -> Result<()> {
        self.flush()?;
        let mut record = vec![CONTENT];
        text(&mut record, path);
        number(&mut record, offset);
        number(&mut record, size);
        self.references += 1;
        self.write(&record)
    }

    /// Notes that what stands at `path` is moved to the `dup/` entry whose number is returned.
    pub fn displace(&mut self, path: &[u8]) -> u64 {
        text(&mut self.displaced, path);
        number(&mut self.displaced, self.references);
        number(&mut self.displaced, self.stashed);
        self.stashed += 1;
        self.stashed - 1
    }

    /// Ends the record.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.write(&[END])?;
        self.out.finish().context("write `tree.zst`")?;
        if !self.displaced.is_empty() {
            fs::write_new(&self.dir.join("displaced"), &self.displaced, 0o600, fs::Durability::Volatile)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.gathered);
        let written = self.write_raw(&bytes);
        self.gathered = bytes;
        self.gathered.clear();
        written
    }

    fn write_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let mut record = vec![RAW];
        number(&mut record, bytes.len() as u64);
        self.write(&record)?;
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).context("write `tree.zst`")
    }
}

/// Writes the exact archive of the layer in `dir`.
pub fn write_tar(dir: &Path, out: &mut dyn Write) -> Result<()> {
    let file = fs::open(&dir.join("tree.zst"))?;
    let stream = zstd::Decoder::new(file).context("start zstd")?;
    let mut input = BufReader::with_capacity(64 * 1024, stream);
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).context("read `tree.zst`")?;
    if magic != MAGIC {
        bail!("`{}` is not of a version known here", dir.join("tree.zst").display());
    }
    let mut content = Source::open(dir)?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match byte(&mut input)? {
            RAW => {
                let size = read_number(&mut input)?;
                pump(&mut input, size, &mut buffer, out)?;
            }
            CONTENT => content.copy(&mut input, &mut buffer, out)?,
            END => return Ok(()),
            other => bail!("`tree.zst` has a record of unknown kind {other}"),
        }
    }
}

/// For each path the moves in order, as (first reference no more affected, number in `dup/`).
type Moves = HashMap<Vec<u8>, Vec<(u64, u64)>>;

/// Where content lies: `diff/`, or `dup/` for what the archive itself replaced.
struct Source {
    diff: RootDir,
    dup: Option<RootDir>,
    displaced: Moves,
    references: u64,
    open: Option<(Vec<u8>, File)>,
}

impl Source {
    fn open(dir: &Path) -> Result<Source> {
        let root = |name: &str| {
            RootDir::open(&dir.join(name)).with_context(|| format!("open `{}`", dir.join(name).display()))
        };
        let records = fs::read_optional(&dir.join("displaced"))?;
        let dup = records.is_some().then(|| root("dup")).transpose()?;
        let displaced = read_displaced(&records.unwrap_or_default())?;
        Ok(Source { diff: root("diff")?, dup, displaced, references: 0, open: None })
    }

    fn copy(&mut self, input: &mut impl Read, buffer: &mut [u8], out: &mut dyn Write) -> Result<()> {
        let path = read_text(input)?;
        let (mut offset, mut left) = (read_number(input)?, read_number(input)?);
        let shown = || format!("read `{}`", String::from_utf8_lossy(&path));
        let file = self.file(&path).with_context(shown)?;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = file.read_at(&mut buffer[..want], offset).with_context(shown)?;
            if read == 0 {
                return Err(anyhow!("the file is too short")).with_context(shown);
            }
            out.write_all(&buffer[..read]).context("write the archive")?;
            offset += read as u64;
            left -= read as u64;
        }
        Ok(())
    }

    fn file(&mut self, path: &[u8]) -> Result<&File> {
        let index = self.references;
        self.references += 1;
        let fresh = !self.displaced.is_empty() || self.open.as_ref().is_none_or(|(open, _)| open != path);
        if fresh {
            let (root, place) = self.place(path, index);
            let path_of = Path::new(OsStr::from_bytes(&place));
            let fd = root.open_file(path_of, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())?;
            self.open = Some((path.to_vec(), File::from(fd)));
        }
        self.open.as_ref().map(|(_, file)| file).context("no file is open")
    }

    /// Looks whether `path`, or a directory above it, was moved away after reference `index`.
    fn place(&self, path: &[u8], index: u64) -> (&RootDir, Vec<u8>) {
        let moved_after = |prefix: &[u8]| {
            self.displaced.get(prefix).and_then(|moves| moves.iter().find(|(before, _)| *before > index))
        };
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        // The earliest move counts: what was moved first took the rest along.
        let found = ends
            .chain([path.len()])
            .filter_map(|end| moved_after(&path[..end]).map(|moved| (moved, end)))
            .min_by_key(|(moved, _)| moved.1);
        match (found, &self.dup) {
            (Some(((_, number), end)), Some(dup)) => {
                (dup, [number.to_string().as_bytes(), &path[end..]].concat())
            }
            _ => (&self.diff, path.to_vec()),
        }
    }
}

fn read_displaced(mut records: &[u8]) -> Result<Moves> {
    let mut map = Moves::new();
    while !records.is_empty() {
        let path = read_text(&mut records)?;
        let entry = (read_number(&mut records)?, read_number(&mut records)?);
        map.entry(path).or_default().push(entry);
    }
    Ok(map)
}

fn pump(input: &mut impl Read, mut left: u64, buffer: &mut [u8], out: &mut dyn Write) -> Result<()> {
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        input.read_exact(&mut buffer[..want]).context("read `tree.zst`")?;
        out.write_all(&buffer[..want]).context("write the archive")?;
        left -= want as u64;
    }
    Ok(())
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn byte(input: &mut impl Read) -> Result<u8> {
    let mut byte = [0];
    input.read_exact(&mut byte).context("read `tree.zst`")?;
    Ok(byte[0])
}

fn read_number(input: &mut impl Read) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(input)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("`tree.zst` has a malformed number")
}

fn read_text(input: &mut impl Read) -> Result<Vec<u8>> {
    let length = usize::try_from(read_number(input)?)?;
    if length > 1 << 20 {
        bail!("`tree.zst` has a path of {length} bytes");
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).context("read `tree.zst`")?;
    Ok(bytes)
}
