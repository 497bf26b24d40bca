//! Parts of a blob. What they hold is for the caller to verify: no digest speaks of a part.

use std::io::{self, Read};

use ureq::http::Method;

use super::blob::content_range;
use super::client::{Client, Session};
use super::reference::Reference;
use super::transport::Request;
use super::url::escape;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};

impl Client {
    /// Opens the bytes `from..to` of a blob. A registry that does not give parts is an error, and so is a part that ends
    /// too early; nothing is tried again, since whoever asks for parts can also ask for the whole.
    pub fn blob_part(
        &self,
        reference: &Reference,
        digest: &Digest,
        from: u64,
        to: u64,
    ) -> Result<Box<dyn Read + Send>> {
        self.anywhere(reference, |session| open(session, digest, from, to))
            .with_context(|| format!("get a part of blob `{digest}` of `{reference}`"))
    }
}

fn open(session: &Session, digest: &Digest, from: u64, to: u64) -> Result<Box<dyn Read + Send>> {
    let Some(last) = to.checked_sub(1).filter(|last| *last >= from) else { bail!("the part is empty") };
    let url = session.repository_url(&format!("blobs/{}", escape(digest.as_str())));
    let make = || Request::new(Method::GET, url.clone()).header("range", format!("bytes={from}-{last}"));
    let response = session.send(make, &session.pull_scope())?;
    match response.status {
        206 => {}
        200 => bail!("`{}` gives no parts of blobs", response.url.authority),
        _ => return Err(session.refused(response)),
    }
    let range = response.header("content-range").and_then(content_range);
    if range.is_none_or(|(first, end, _)| (first, end) != (from, last)) {
        bail!("`{}` gives another part than was asked for", response.url.authority);
    }
    Ok(Box::new(Part { body: response.into_reader(), left: to - from }))
}

/// Exactly as many bytes as were asked for.
struct Part<R> {
    body: R,
    left: u64,
}

impl<R: Read> Read for Part<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        match self.body.read(&mut buffer[..room])? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part of a blob ended too early")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}
