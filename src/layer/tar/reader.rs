//! The stream of entries: headers joined with their extensions, content handed out in place.

use std::io;

use super::header::{self, BLOCK, Block};
use super::pax::{self, Pax};
use crate::base::error::{Context, Result, anyhow, bail};
use crate::layer::exact::Recorder;

/// The most bytes of extensions (pax, long names, sparse maps) before one entry; as in Go's archive/tar.
const MAX_EXTENSION: u64 = 1 << 20;
/// The most pieces of one sparse file.
const MAX_PIECES: usize = 64 * 1024;

/// Takes back a used buffer and gives the next.
type NextBuffer<'a> = dyn FnMut(Vec<u8>) -> io::Result<Option<Vec<u8>>> + 'a;

/// Buffers of the archive, each but the last a multiple of 512 bytes long.
pub struct Feed<'a> {
    next: Box<NextBuffer<'a>>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<'a> Feed<'a> {
    /// `next` gets the used buffer back and gives the next full one, or `None` at the end.
    pub fn new(next: impl FnMut(Vec<u8>) -> io::Result<Option<Vec<u8>>> + 'a) -> Self {
        Feed { next: Box::new(next), buffer: Vec::new(), at: 0, ended: false }
    }

    /// The next bytes, at most `want`; empty at the end.
    fn take(&mut self, want: u64) -> io::Result<&[u8]> {
        while self.at == self.buffer.len() && !self.ended {
            match (self.next)(std::mem::take(&mut self.buffer))? {
                Some(buffer) => self.buffer = buffer,
                None => self.ended = true,
            }
            self.at = 0;
        }
        let left = self.buffer.len() - self.at;
        let length = left.min(usize::try_from(want).unwrap_or(usize::MAX));
        self.at += length;
        Ok(&self.buffer[self.at - length..self.at])
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; its content follows.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name for an earlier entry.
    HardLink,
    /// A named pipe.
    Fifo,
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// Where a file's packed bytes belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One run from the start.
    Plain,
    /// Pieces at offsets; the rest are holes. Sorted, apart, inside `size`.
    Sparse(Vec<(u64, u64)>),
}

/// One entry with all its extensions applied.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path as written.
    pub path: Vec<u8>,
    /// The kind.
    pub kind: Kind,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Permission bits and setuid, setgid, sticky.
    pub mode: u32,
    /// Owner; may be too large for the kernel.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Size of the file once unpacked.
    pub size: u64,
    /// How many bytes follow in the archive, without padding.
    pub packed: u64,
    /// Layout of those bytes.
    pub content: Content,
    /// Major and minor number.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Default)]
struct Extensions {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: u64,
}

/// Reads an archive entry by entry.
pub struct Reader<'a> {
    feed: Feed<'a>,
    recorder: Option<Recorder>,
    /// Content of the current entry that was not read yet, and its padding.
    left: u64,
    padding: u64,
    marked_end: bool,
}

impl<'a> Reader<'a> {
    /// Starts; with a recorder every byte that is not content goes there.
    pub fn new(feed: Feed<'a>, recorder: Option<Recorder>) -> Self {
        Reader { feed, recorder, left: 0, padding: 0, marked_end: false }
    }

    /// The next entry; what was not read of the current one is recorded as raw bytes.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.finish_entry()?;
        let mut extensions = Extensions::default();
        while let Some(block) = self.block()? {
            if block.iter().all(|&byte| byte == 0) {
                self.end(&extensions)?;
                return Ok(None);
            }
            header::check(&block)?;
            if let Some(entry) = self.header(&block, &mut extensions)? {
                self.left = entry.packed;
                self.padding = entry.packed.wrapping_neg() % BLOCK as u64;
                return Ok(Some(entry));
            }
        }
        if extensions.size > 0 {
            bail!("the archive ends after an extended header");
        }
        Ok(None)
    }

    /// The next bytes of the current file's content, in place; empty at the end of the content. The caller tells the
    /// recorder where they went.
    pub fn content(&mut self, want: u64) -> Result<&[u8]> {
        let want = want.min(self.left);
        if want == 0 {
            return Ok(&[]);
        }
        let bytes = self.feed.take(want)?;
        if bytes.is_empty() {
            return Err(truncated());
        }
        self.left -= bytes.len() as u64;
        Ok(bytes)
    }

    /// The recorder, where the archive is recorded.
    pub fn recorder(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_mut()
    }

    /// Reads what is left after the end mark and gives the recorder back; says whether there was an end mark.
    pub fn finish(mut self) -> Result<(Option<Recorder>, bool)> {
        while self.raw(u64::MAX)? != 0 {}
        Ok((self.recorder, self.marked_end))
    }

    fn header(&mut self, block: &Block, extensions: &mut Extensions) -> Result<Option<Entry>> {
        let size = header::number(&block[124..136])?;
        let Ok(size) = u64::try_from(size) else { bail!("an entry's size is negative") };
        match block[156] {
            b'x' | b'X' => extensions.pax = Some(pax::parse(&self.extension(size, extensions)?)?),
            b'g' => {
                self.extension(size, extensions)?; // defaults for all entries; layers do not use them
            }
            b'L' => extensions.name = Some(header::text(&self.extension(size, extensions)?).to_vec()),
            b'K' => extensions.link = Some(header::text(&self.extension(size, extensions)?).to_vec()),
            b'V' => {} // GNU volume label
            kind => return self.entry(kind, block, size, std::mem::take(extensions)).map(Some),
        }
        Ok(None)
    }

    fn entry(&mut self, flag: u8, block: &Block, size: u64, extensions: Extensions) -> Result<Entry> {
        let pax = extensions.pax.unwrap_or_default();
        // The pax size wins, for the file and for where the next header is (CVE-2025-62518).
        let size = pax.size.unwrap_or(size);
        let path = extensions.name.or(pax.path).unwrap_or_else(|| header::path(block));
        let kind = kind(flag, &path)?;
        let packed = if kind == Kind::File { size } else { 0 };
        if packed > i64::MAX as u64 - BLOCK as u64 {
            bail!("an entry's size is out of range");
        }
        let time = || Ok::<_, anyhow::Error>((header::number(&block[136..148])?, 0));
        let mut entry = Entry {
            path,
            kind,
            link: extensions.link.or(pax.linkpath).unwrap_or_else(|| header::text(&block[157..257]).to_vec()),
            mode: u32::try_from(header::number(&block[100..108])? & 0o7777)?,
            uid: pax.uid.map_or_else(|| id(&block[108..116]), Ok)?,
            gid: pax.gid.map_or_else(|| id(&block[116..124]), Ok)?,
            mtime: pax.mtime.map_or_else(time, Ok)?,
            size: packed,
            packed,
            content: Content::Plain,
            device: device(kind, block)?,
            xattrs: pax.xattrs,
        };
        self.sparse(flag, block, pax.sparse, &mut entry)?;
        Ok(entry)
    }

    fn sparse(&mut self, flag: u8, block: &Block, pax: pax::Sparse, entry: &mut Entry) -> Result<()> {
        let (map, real_size) = if flag == b'S' {
            self.gnu_map(block)?
        } else if entry.kind != Kind::File {
            return Ok(());
        } else if pax.major == Some(1) && pax.minor.unwrap_or(0) == 0 {
            let Some(real) = pax.real_size else { bail!("a sparse file has no size") };
            (self.leading_map(entry)?, real)
        } else if let (Some(map), Some(real)) = (pax.map, pax.real_size) {
            (map, real)
        } else {
            return Ok(());
        };
        if let Some(name) = pax.name {
            entry.path = name;
        }
        check_map(&map, real_size, entry.packed)?;
        entry.size = real_size;
        entry.content = Content::Sparse(map);
        Ok(())
    }

    /// Old GNU: four pieces in the header, 21 in each block that follows.
    fn gnu_map(&mut self, block: &Block) -> Result<(Vec<(u64, u64)>, u64)> {
        let mut map = Vec::new();
        collect(&block[386..482], &mut map)?;
        let mut more = block[482] != 0;
        while more {
            let Some(block) = self.block()? else { return Err(truncated()) };
            collect(&block[..504], &mut map)?;
            more = block[504] != 0;
        }
        Ok((map, u64::try_from(header::number(&block[483..495])?)?))
    }

    /// GNU pax 1.0: the map stands in decimal lines before the content, padded to a block.
    fn leading_map(&mut self, entry: &mut Entry) -> Result<Vec<(u64, u64)>> {
        let mut numbers = Vec::new();
        let mut digits = Vec::new();
        let mut wanted = 1;
        while numbers.len() < wanted {
            if entry.packed < BLOCK as u64 {
                bail!("a sparse map is longer than its entry");
            }
            let Some(block) = self.block()? else { return Err(truncated()) };
            entry.packed -= BLOCK as u64;
            for &byte in &block {
                match byte {
                    b'\n' if numbers.len() < wanted => {
                        numbers.push(pax::decimal(&std::mem::take(&mut digits))?);
                        let pairs = usize::try_from(numbers[0]).unwrap_or(usize::MAX);
                        if pairs > MAX_PIECES {
                            bail!("a sparse file has too many pieces");
                        }
                        wanted = 1 + 2 * pairs;
                    }
                    _ if numbers.len() == wanted => break,
                    _ if digits.len() > 20 => bail!("a sparse map is malformed"),
                    _ => digits.push(byte),
                }
            }
        }
        Ok(numbers[1..].chunks(2).map(|pair| (pair[0], pair[1])).collect())
    }

    /// Reads the data of an extension, bounded.
    fn extension(&mut self, size: u64, extensions: &mut Extensions) -> Result<Vec<u8>> {
        extensions.size = extensions.size.saturating_add(size + BLOCK as u64);
        if extensions.size > MAX_EXTENSION {
            bail!("an extended header is larger than {MAX_EXTENSION} bytes");
        }
        let mut data = Vec::new();
        while (data.len() as u64) < size {
            let Some(block) = self.block()? else { return Err(truncated()) };
            data.extend_from_slice(&block);
        }
        data.truncate(usize::try_from(size)?);
        Ok(data)
    }

    /// The next block, recorded as raw bytes; `None` at the end of the archive.
    fn block(&mut self) -> Result<Option<Block>> {
        let bytes = self.feed.take(BLOCK as u64).context("read the archive")?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let Ok(block) = Block::try_from(bytes) else { return Err(truncated()) };
        if let Some(recorder) = &mut self.recorder {
            recorder.raw(&block)?;
        }
        Ok(Some(block))
    }

    /// One run of bytes of no meaning to us, recorded.
    fn raw(&mut self, want: u64) -> Result<u64> {
        let bytes = self.feed.take(want).context("read the archive")?;
        let length = bytes.len() as u64;
        if let Some(recorder) = &mut self.recorder {
            recorder.raw(bytes)?;
        }
        Ok(length)
    }

    fn finish_entry(&mut self) -> Result<()> {
        let mut left = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        while left > 0 {
            match self.raw(left)? {
                0 => return Err(truncated()),
                read => left -= read,
            }
        }
        Ok(())
    }

    /// After a zero block there must be another one, or nothing.
    fn end(&mut self, extensions: &Extensions) -> Result<()> {
        if extensions.size > 0 {
            bail!("the archive ends after an extended header");
        }
        if self.block()?.is_some_and(|block| block.iter().any(|&byte| byte != 0)) {
            bail!("a zero block stands in the middle of the archive");
        }
        self.marked_end = true;
        Ok(())
    }
}

fn truncated() -> anyhow::Error {
    anyhow!("the archive is truncated")
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind> {
    Ok(match flag {
        0 if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => bail!("an entry is of unknown type `{}`", char::from(other).escape_default()),
    })
}

fn id(field: &[u8]) -> Result<u64> {
    match u64::try_from(header::number(field)?) {
        Ok(id) => Ok(id),
        Err(_) => bail!("an owner is negative"),
    }
}

fn device(kind: Kind, block: &Block) -> Result<(u32, u32)> {
    if !matches!(kind, Kind::Char | Kind::Block) {
        return Ok((0, 0));
    }
    let number = |field: &[u8]| -> Result<u32> {
        u32::try_from(header::number(field)?).context("read a device number")
    };
    Ok((number(&block[329..337])?, number(&block[337..345])?))
}

/// Collects pieces of 12 + 12 digits until an empty one.
fn collect(descriptors: &[u8], map: &mut Vec<(u64, u64)>) -> Result<()> {
    for piece in descriptors.chunks_exact(24).take_while(|piece| piece[0] != 0) {
        if map.len() >= MAX_PIECES {
            bail!("a sparse file has too many pieces");
        }
        let value = |field: &[u8]| -> Result<u64> { Ok(u64::try_from(header::number(field)?)?) };
        map.push((value(&piece[..12])?, value(&piece[12..])?));
    }
    Ok(())
}

/// Pieces must lie in order, inside the file, and add up to what is packed.
fn check_map(map: &[(u64, u64)], size: u64, packed: u64) -> Result<()> {
    let mut end = 0u64;
    let mut sum = 0u64;
    for &(offset, length) in map {
        let next = offset.checked_add(length).filter(|&next| offset >= end && next <= size);
        let Some(next) = next else { bail!("a sparse map is malformed") };
        (end, sum) = (next, sum + length);
    }
    if sum != packed || size > i64::MAX as u64 {
        bail!("a sparse map does not fit its entry");
    }
    Ok(())
}
