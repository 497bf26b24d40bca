//! Content digests (OCI image specification, descriptor.md): `sha256:` and 64 lower-case digits.
//!
//! A digest becomes a path or a URL only after it was parsed here (CVE-2024-3727).

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use super::error::{Error, Result, bail};

/// The hash function of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// 64 hexadecimal digits.
    Sha256,
    /// 128 hexadecimal digits.
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

/// A checked digest, `algorithm:hex`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Hashes bytes with SHA-256.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The whole text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The hash function.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = [Algorithm::Sha256, Algorithm::Sha512];
        let Some((name, hex)) = text.split_once(':') else { bail!("`{text}` is not a digest") };
        let Some(algorithm) = known.into_iter().find(|a| a.name() == name) else {
            bail!("digest algorithm `{name}` is not supported")
        };
        let fits =
            hex.len() == algorithm.digits() && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !fits {
            bail!("`{text}` is not a {name} digest");
        }
        Ok(Digest(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A running hash.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Box<Sha512>),
}

impl Hasher {
    /// Starts a hash.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
            Algorithm::Sha512 => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::Sha512(hash) => hash.update(bytes),
        }
    }

    /// Ends the hash.
    pub fn finish(self) -> Digest {
        use super::text::hex;
        match self {
            Hasher::Sha256(hash) => Digest(format!("sha256:{}", hex(&hash.finalize()))),
            Hasher::Sha512(hash) => Digest(format!("sha512:{}", hex(&hash.finalize()))),
        }
    }

    /// Ends a SHA-256 as bytes, for records of many; of another hash the first 32.
    pub fn finish_bytes(self) -> [u8; 32] {
        match self {
            Hasher::Sha256(hash) => hash.finalize().into(),
            Hasher::Sha512(hash) => hash.finalize().first_chunk().copied().unwrap_or_default(),
        }
    }
}

/// Hashes and counts what passes through a reader or into a writer.
pub struct Counted<T> {
    inner: T,
    hasher: Hasher,
    bytes: u64,
}

impl<T> Counted<T> {
    /// Wraps `inner`.
    pub fn new(inner: T, algorithm: Algorithm) -> Self {
        Counted { inner, hasher: Hasher::new(algorithm), bytes: 0 }
    }

    /// How many bytes passed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back the inner value, the digest and the count.
    pub fn finish(self) -> (T, Digest, u64) {
        (self.inner, self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_checked_before_use() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap().hex().len(), 64);
        for bad in ["", "sha256:", "sha256:../../x", "md5:00", "e3b0", &empty.to_uppercase(), &empty[..70]] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counted_readers_agree_with_the_digest() {
        let mut reader = Counted::new(&b"hello"[..], Algorithm::Sha256);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let (_, digest, bytes) = reader.finish();
        assert_eq!((digest, bytes), (Digest::of(b"hello"), 5));
    }
}
