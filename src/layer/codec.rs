//! Compression of layers and archives: recognised by magic bytes, streamed, built in. Nothing of a container or the
//! host is executed to decompress (CVE-2019-14271, CVE-2026-41567).

use std::io::{self, BufRead, BufReader, Read, Write};

use crate::base::error::{Context, Result, anyhow, bail};

use super::gzip;

/// How much a decoder reads at once.
const INPUT: usize = 128 * 1024;
/// The largest zstd window accepted, as a power of two: 128 MiB, as the zstd program by default.
const ZSTD_WINDOW: u32 = 27;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl std::str::FromStr for Compression {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Compression> {
        match name {
            "none" | "uncompressed" => Ok(Compression::None),
            "gzip" => Ok(Compression::Gzip),
            "zstd" => Ok(Compression::Zstd),
            "bzip2" => Ok(Compression::Bzip2),
            "xz" => Ok(Compression::Xz),
            _ => Err(anyhow!("there is no compression `{name}`")),
        }
    }
}

/// Recognises a compression by the first bytes (six are enough).
pub fn detect(start: &[u8]) -> Compression {
    let skippable = start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18];
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ if skippable => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        _ => Compression::None,
    }
}

/// Decompresses a stream of a known compression; several members or frames in a row are one stream.
pub fn decoder(input: Box<dyn Read + Send>, compression: Compression) -> Result<Box<dyn Read + Send>> {
    decoder_of(BufReader::with_capacity(INPUT, input), compression)
}

/// Decompresses a stream of any compression, recognised by its first bytes.
pub fn decoder_any(input: Box<dyn Read + Send>) -> Result<(Compression, Box<dyn Read + Send>)> {
    let mut start = [0u8; 6];
    let mut filled = 0;
    let mut input = input;
    while filled < start.len() {
        match input.read(&mut start[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("read the start of the stream"),
        }
    }
    let compression = detect(&start[..filled]);
    let whole = io::Cursor::new(start[..filled].to_vec()).chain(input);
    Ok((compression, decoder_of(BufReader::with_capacity(INPUT, whole), compression)?))
}

fn decoder_of(
    input: impl BufRead + Send + 'static,
    compression: Compression,
) -> Result<Box<dyn Read + Send>> {
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input).context("start zstd")?;
            decoder.window_log_max(ZSTD_WINDOW).context("limit the window of zstd")?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        Compression::Xz => Box::new(lzma_rust2::XzReader::new(input, true)),
    })
}

/// A compressing writer; [`Encoder::finish`] must be called.
pub enum Encoder<W: Write + Send> {
    /// Bytes as they are.
    Plain(W),
    /// Parallel gzip.
    Gzip(Box<gzip::Writer<W>>),
    /// Parallel Zstandard.
    Zstd(Box<zstd::Encoder<'static, W>>),
}

/// Compresses what is written. The bytes depend only on the input, the compression and the level, so that the same
/// layer always gives the same blob. `level` as the format counts; by default gzip 6 and zstd 3.
pub fn encoder<W: Write + Send>(out: W, compression: Compression, level: Option<i32>) -> Result<Encoder<W>> {
    Ok(match compression {
        Compression::None => Encoder::Plain(out),
        Compression::Gzip => {
            let level = u32::try_from(level.unwrap_or(6)).ok().filter(|level| *level <= 9);
            Encoder::Gzip(Box::new(gzip::Writer::new(out, level.context("a gzip level is 0 to 9")?)))
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(out, level.unwrap_or(3)).context("start zstd")?;
            // With any number of threads but none the bytes are the same.
            let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(16);
            encoder.multithread(threads as u32).context("start the threads of zstd")?;
            Encoder::Zstd(Box::new(encoder))
        }
        other => bail!("writing {other:?} is not supported"),
    })
}

impl<W: Write + Send> Encoder<W> {
    /// Ends the stream and gives the writer back.
    pub fn finish(self) -> Result<W> {
        match self {
            Encoder::Plain(out) => Ok(out),
            Encoder::Gzip(writer) => writer.finish(),
            Encoder::Zstd(writer) => writer.finish(),
        }
        .context("end the compressed stream")
    }
}

impl<W: Write + Send> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Encoder::Plain(out) => out.write(bytes),
            Encoder::Gzip(writer) => writer.write(bytes),
            Encoder::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Plain(out) => out.flush(),
            Encoder::Gzip(writer) => writer.flush(),
            Encoder::Zstd(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let line =
            |n: u32| format!("line {n} of something that compresses {}\n", n.wrapping_mul(2_654_435_761));
        (0..40_000).flat_map(|n| line(n).into_bytes()).collect()
    }

    #[test]
    fn what_is_encoded_is_recognised_and_decoded() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let data = sample();
            let encode = || {
                let mut encoder = encoder(Vec::new(), compression, None).unwrap();
                encoder.write_all(&data).unwrap();
                encoder.finish().unwrap()
            };
            let encoded = encode();
            assert!(encoded == encode(), "{compression:?} must be stable");
            assert_eq!(detect(&encoded), compression);
            let (found, mut decoder) = decoder_any(Box::new(io::Cursor::new(encoded.clone()))).unwrap();
            let mut decoded = Vec::new();
            decoder.read_to_end(&mut decoded).unwrap();
            assert!(found == compression && decoded == data);
            if compression != Compression::None {
                let cut = encoded[..encoded.len() - 5].to_vec();
                let mut decoder = super::decoder(Box::new(io::Cursor::new(cut)), compression).unwrap();
                assert!(decoder.read_to_end(&mut Vec::new()).is_err(), "truncated {compression:?}");
            }
        }
    }

    #[test]
    fn empty_streams_work() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let encoded = encoder(Vec::new(), compression, None).unwrap().finish().unwrap();
            let mut decoded = Vec::new();
            decoder(Box::new(io::Cursor::new(encoded)), compression)
                .unwrap()
                .read_to_end(&mut decoded)
                .unwrap();
            assert_eq!(decoded, b"");
        }
        assert_eq!(detect(b""), Compression::None);
    }
}
