//! Files by http and https.
//!
//! ```text
//! <root>/build/urls/<hex>       one a URL: what the server said of it and the digest of its bytes, to ask the server
//!                               whether it is still the same; replaced whole, may always be deleted
//! ```

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context, Result, bail};
use crate::base::fs::{self, Durability};
use crate::base::text::printable;
use crate::layer::Staging;
use crate::registry::{Client, Seen};
use crate::sys::file::{self, Timespec};
use crate::sys::rootdir::is_plain_name;

/// The name of a file whose URL has none.
const NAMELESS: &str = "download";

/// Whether a word is a URL that is downloaded.
pub fn is_url(word: &str) -> bool {
    let lower = word.get(..8).unwrap_or(word).to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// A file of a server, as it is now.
#[derive(Debug)]
pub struct Remote {
    url: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The last safe segment of the URL's path, without query.
    pub name: String,
    /// `Last-Modified` in seconds since 1970.
    pub modified: Option<i64>,
    /// It was downloaded to find out.
    file: Option<Downloaded>,
}

/// A downloaded file: alone in a directory of staging, mode 0600, that goes away with this.
#[derive(Debug)]
pub struct Downloaded {
    staging: Staging,
}

impl Downloaded {
    /// The directory in which it lies under [`Remote::name`].
    pub fn dir(&self) -> &Path {
        self.staging.path()
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    url: String,
    seen: Seen,
    modified: Option<i64>,
    digest: Digest,
}

/// Finds out what a URL is now. A server that says that it is what an earlier build got sends nothing; neither is
/// anything asked when `checksum` says what it is and `modified` does not matter.
pub fn look(client: &Client, root: &Path, url: &str, checksum: Option<&Digest>) -> Result<Remote> {
    let path = record_path(root, url);
    let known: Option<Record> = fs::read_optional(&path)?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .filter(|record: &Record| record.version == 1 && record.url == url);
    let asks = known.as_ref().filter(|record| record.seen != Seen::default());
    let Some(download) = client.download(url, asks.map(|record| &record.seen))? else {
        let record = known.context("the server says that nothing changed, but nothing is known")?;
        check(url, &record.digest, checksum)?;
        return Ok(Remote {
            url: url.to_owned(),
            digest: record.digest,
            name: name_of(url),
            modified: record.modified,
            file: None,
        });
    };
    let name = name_of(url);
    let (seen, modified) = (download.seen, download.modified);
    let (digest, file) = save(root, &name, download.body, modified, algorithm(checksum))
        .with_context(|| format!("download `{}`", printable(url)))?;
    check(url, &digest, checksum)?;
    let record = Record { version: 1, url: url.to_owned(), seen, modified, digest: digest.clone() };
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::replace_json(&path, &record, Durability::Volatile)?;
    Ok(Remote { url: url.to_owned(), digest, name, modified, file: Some(file) })
}

fn algorithm(checksum: Option<&Digest>) -> Algorithm {
    checksum.map_or(Algorithm::Sha256, Digest::algorithm)
}

fn record_path(root: &Path, url: &str) -> PathBuf {
    root.join("build/urls").join(&Digest::of(url.as_bytes()).hex()[..32])
}

fn check(url: &str, found: &Digest, wanted: Option<&Digest>) -> Result<()> {
    match wanted {
        Some(wanted) if wanted.algorithm() == found.algorithm() && wanted != found => {
            bail!("`{}` has digest `{found}`, not `{wanted}` as `--checksum` says", printable(url))
        }
        _ => Ok(()),
    }
}

fn save(
    root: &Path,
    name: &str,
    body: Box<dyn Read + Send>,
    modified: Option<i64>,
    algorithm: Algorithm,
) -> Result<(Digest, Downloaded)> {
    let staging = Staging::new(root)?;
    let mut out = fs::create(&staging.path().join(name))?;
    let mut body = Counted::new(body, algorithm);
    std::io::copy(&mut body, &mut out)?;
    out.flush()?;
    if let Some(seconds) = modified {
        file::set_mtime(&out, Timespec { tv_sec: seconds, tv_nsec: 0 })?;
    }
    let (_, digest, _) = body.finish();
    Ok((digest, Downloaded { staging }))
}

impl Remote {
    /// What of it belongs in a cache key.
    pub fn key(&self) -> String {
        format!("url {} {} {}", self.digest, self.name, self.modified.unwrap_or(-1))
    }

    /// The file itself, downloaded now unless it was to find out; it must still be the same.
    pub fn fetch(self, client: &Client, root: &Path) -> Result<Downloaded> {
        if let Some(file) = self.file {
            return Ok(file);
        }
        let shown = || format!("download `{}`", printable(&self.url));
        let download = client.download(&self.url, None)?.with_context(shown)?;
        let (digest, file) = save(root, &self.name, download.body, self.modified, self.digest.algorithm())
            .with_context(shown)?;
        if digest != self.digest {
            bail!("`{}` changed while it was being used", printable(&self.url));
        }
        Ok(file)
    }
}

/// The file name that a URL gives: the last part of its path, percent-decoded, without query; never one that leads
/// elsewhere.
pub fn name_of(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = after.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once('/').map_or("", |(_, path)| path);
    let decoded = decode(path.rsplit('/').next().unwrap_or_default());
    let name = decoded.rsplit('/').next().unwrap_or_default();
    let plain = is_plain_name(name.as_ref()) && name.len() <= 255 && !name.contains(char::is_control);
    if plain { name.to_owned() } else { NAMELESS.to_owned() }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.filter(|_| first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_last_safe_segment() {
        for (url, name) in [
            ("https://h/a/b.tar.gz?x=/c", "b.tar.gz"),
            ("http://h:1/%66oo%20bar#x/y", "foo bar"),
            ("http://h/..%2f..%2Fetc%2fpasswd", "passwd"),
            ("http://h/a/%2e%2e", NAMELESS),
            ("http://h/a%2f", NAMELESS),
            ("http://h/x%00y", NAMELESS),
            ("http://h", NAMELESS),
            ("http://h/", NAMELESS),
            ("http://h/%zz%4", "%zz%4"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
        assert!(is_url("HTTPS://h/x") && !is_url("https:/h") && !is_url("ftp://h") && !is_url("é://"));
    }
}
