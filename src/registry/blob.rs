//! Blobs as streams that verify themselves, and go on where a broken connection stopped.

use std::io::{self, Read};

use ureq::http::Method;

use super::client::{Client, Session};
use super::failure;
use super::reference::Reference;
use super::retry::Tries;
use super::transport::{AnswerBody, Request, Response};
use super::url::escape;
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Error, Result, bail, render};

/// What a connection must bring to count as progress.
const PROGRESS: u64 = 128 << 10;

/// A blob being read. The last read (the one that returns 0) succeeds only if size and digest are right.
pub struct Blob {
    session: Session,
    digest: Digest,
    size: u64,
    offset: u64,
    hasher: Option<Hasher>,
    body: Option<AnswerBody>,
    tries: Tries,
    /// Where the latest connection began.
    joined: u64,
    /// The server answered a range wrongly: it is asked for the whole from now on.
    rangeless: bool,
}

impl Client {
    /// Opens a blob of a repository; `size` is what its descriptor says.
    pub fn blob(&self, reference: &Reference, digest: &Digest, size: u64) -> Result<Blob> {
        self.blob_after(reference, digest, size, 0, Hasher::new(digest.algorithm()))
    }

    /// Opens a blob behind its first `offset` bytes, which are at hand and already in `hasher`.
    pub fn blob_after(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        offset: u64,
        hasher: Hasher,
    ) -> Result<Blob> {
        if offset > size {
            bail!("{offset} bytes of blob `{digest}` are at hand, but it has {size}");
        }
        let open = |session: &Session| {
            let mut blob = Blob {
                session: session.clone(),
                digest: digest.clone(),
                size,
                offset,
                hasher: Some(hasher.clone()),
                body: None,
                tries: session.policy().begin(),
                joined: offset,
                rangeless: false,
            };
            // With all bytes at hand there is nothing to ask for; the digest is still checked.
            if offset == 0 || offset < size {
                blob.connect()?;
            }
            Ok(blob)
        };
        self.anywhere(reference, open).with_context(|| format!("get blob `{digest}` of `{reference}`"))
    }

    /// Reads a small blob (a configuration) whole.
    pub fn small_blob(&self, reference: &Reference, digest: &Digest, size: u64) -> Result<Vec<u8>> {
        if size > super::manifest::LIMIT {
            bail!("blob `{digest}` is larger than the limit of {} bytes", super::manifest::LIMIT);
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let mut blob = self.blob(reference, digest, size)?;
        blob.read_to_end(&mut bytes).with_context(|| format!("get blob `{digest}` of `{reference}`"))?;
        Ok(bytes)
    }
}

impl Blob {
    /// How many bytes have been read, counting what was at hand before.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Asks for what is still missing; a server that cannot give just that is asked for all.
    fn connect(&mut self) -> Result<()> {
        let response = self.ask()?;
        let (status, host) = (response.status, response.url.authority.clone());
        match status {
            200 => self.begin_whole(response),
            206 if self.asks_range() && self.is_rest(&response) => {
                self.body = Some(response.into_reader());
                Ok(())
            }
            206 | 416 if self.asks_range() => {
                self.rangeless = true;
                self.connect()
            }
            206 => bail!("`{host}` sends a part where the whole was asked for"),
            _ => Err(self.session.refused(response)),
        }
    }

    fn asks_range(&self) -> bool {
        self.offset > 0 && !self.rangeless
    }

    fn ask(&self) -> Result<Response> {
        let url = self.session.repository_url(&format!("blobs/{}", escape(self.digest.as_str())));
        let range = self.asks_range().then(|| format!("bytes={}-", self.offset));
        let make = || {
            let request = Request::new(Method::GET, url.clone());
            match &range {
                None => request,
                Some(range) => request.header("range", range.clone()),
            }
        };
        self.session.send(make, &self.session.pull_scope())
    }

    /// The server sends all: what is at hand already is read again and thrown away.
    fn begin_whole(&mut self, response: Response) -> Result<()> {
        self.check_length(response.content_length(), self.size)?;
        let mut body = response.into_reader();
        let skipped = io::copy(&mut (&mut body).take(self.offset), &mut io::sink());
        match skipped {
            Ok(skipped) if skipped == self.offset => self.body = Some(body),
            // It breaks again when it is read: that is where breaks are handled.
            _ => self.body = None,
        }
        Ok(())
    }

    /// Whether an answer is the rest that was asked for.
    fn is_rest(&self, response: &Response) -> bool {
        let range = response.header("content-range").and_then(content_range);
        let length = response.content_length().is_none_or(|length| length == self.size - self.offset);
        length
            && range.is_some_and(|(first, last, total)| {
                first == self.offset
                    && last.checked_add(1) == Some(self.size)
                    && total.is_none_or(|total| total == self.size)
            })
    }

    fn check_length(&self, stated: Option<u64>, expected: u64) -> Result<()> {
        match stated {
            Some(stated) if stated != expected => {
                bail!("blob `{}` has {stated} bytes where {expected} were expected", self.digest)
            }
            _ => Ok(()),
        }
    }

    /// The stream broke: connects again as long as tries are left. A connection that brought something gives new ones; one
    /// that only drips does not.
    fn reconnect(&mut self, cause: Error) -> Result<()> {
        self.body = None;
        if self.offset - self.joined >= PROGRESS {
            self.tries.reset();
        }
        self.joined = self.offset;
        if !self.tries.wait(None) {
            return Err(cause);
        }
        self.connect()
    }

    /// All bytes are there: nothing may follow, and the digest must be right.
    fn finish(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        if let Some(mut body) = self.body.take() {
            // Reading to the end also gives the connection back for the next request.
            let extra = body.read(&mut [0u8; 1]).unwrap_or(0);
            if extra > 0 {
                bail!("blob `{}` is longer than its {} bytes", self.digest, self.size);
            }
        }
        let found = hasher.finish();
        if found != self.digest {
            bail!("blob `{}` has the wrong content: its digest is `{found}`", self.digest);
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            if self.offset == self.size {
                self.finish()?;
                return Ok(0);
            }
            let left = usize::try_from(self.size - self.offset).unwrap_or(usize::MAX).min(buffer.len());
            let outcome = match &mut self.body {
                Some(body) => body.read(&mut buffer[..left]),
                None => Err(io::ErrorKind::UnexpectedEof.into()),
            };
            match outcome {
                // A clean close in the middle is a break like any other.
                Ok(0) => self.reconnect(self.broken(io::Error::other("it ended too early")))?,
                Ok(read) => {
                    self.took(&buffer[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.reconnect(self.broken(error))?,
            }
        }
    }

    fn took(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.offset += bytes.len() as u64;
    }

    fn broken(&self, error: io::Error) -> Error {
        let at = format!("blob `{}` broke off after {} of {} bytes", self.digest, self.offset, self.size);
        failure::broken_read(&self.session.reference.registry, error).context(at)
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.read_some(buffer).map_err(|error| io::Error::other(render(&error)))
    }
}

/// `bytes 5-9/10`: first, last, and the total if it is told.
pub(super) fn content_range(header: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, 9, None)));
        for bad in ["", "bytes */10", "bytes 5-/10", "items 5-9/10", "bytes -1-2/3"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
