//! Uploads of blobs whose digest is known only at their end, because they are compressed while they are sent.
//!
//! The blob goes in chunks (PATCH). A chunk that breaks is not sent again whole: the registry is asked how much of it
//! arrived. An upload that the registry has lost begins again, with a new stream.

use std::io::Read;

use ureq::http::Method;

use super::client::{Client, Session};
use super::push::{Begun, begin, has_blob, location, may_begin_again, mount_any, push_scope, stored};
use super::reference::Reference;
use super::transport::{Payload, Request, Response};
use super::url::Url;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};

/// Large enough that the pauses between chunks do not count, small enough to be held in memory for several layers; some
/// registries take none below 5 MiB.
const CHUNK: u64 = 5 << 20;
/// How often one chunk may be found half arrived.
const RESYNCS: usize = 8;

/// A blob in the making.
pub trait Growing: Read {
    /// Once all was read: its digest and size.
    fn finish(self: Box<Self>) -> Result<(Digest, u64)>;
}

/// Starts a blob anew.
pub type Grow<'a> = dyn Fn() -> Result<Box<dyn Growing + 'a>> + 'a;

/// What became of such a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grown {
    /// The registry took the known form from another repository.
    Mounted,
    /// It was sent.
    Uploaded(Digest, u64),
}

impl Client {
    /// Brings a blob into a repository while it is being made. `known` is the digest of a form of it that one of the
    /// repositories `from` of the same registry may have.
    pub fn push_stream(
        &self,
        reference: &Reference,
        known: Option<&Digest>,
        from: &[String],
        grow: &Grow<'_>,
    ) -> Result<Grown> {
        let session = self.at_home(reference)?;
        push_stream(&session, known, from, grow)
            .with_context(|| format!("push a blob to `{}`", reference.name()))
    }
}

fn push_stream(session: &Session, known: Option<&Digest>, from: &[String], grow: &Grow<'_>) -> Result<Grown> {
    let begun = known.map_or(Ok(Begun::Nothing), |digest| mount_any(session, digest, from))?;
    let mut upload = match begun {
        Begun::Done => return Ok(Grown::Mounted),
        Begun::Upload(url) => Some(url),
        Begun::Nothing => None,
    };
    let mut tries = session.policy().begin();
    loop {
        let url = upload.take().map_or_else(|| begin(session), Ok)?;
        let error = match send(session, url, grow()?) {
            Ok((digest, size)) => return Ok(Grown::Uploaded(digest, size)),
            Err(error) => error,
        };
        let again = session.may_pass(&error) || super::status_of(&error).is_some_and(may_begin_again);
        if !again || !tries.wait(None) {
            return Err(error);
        }
    }
}

fn send(session: &Session, mut url: Url, mut blob: Box<dyn Growing + '_>) -> Result<(Digest, u64)> {
    let (mut offset, mut chunk) = (0u64, Vec::new());
    loop {
        chunk.clear();
        (&mut blob).take(CHUNK).read_to_end(&mut chunk).context("read what is to be pushed")?;
        if chunk.is_empty() {
            break;
        }
        url = send_chunk(session, url, offset, &chunk)?;
        offset += chunk.len() as u64;
    }
    let (digest, size) = blob.finish()?;
    if size != offset {
        bail!("{offset} of {size} bytes were read to be pushed");
    }
    let url = url.with_query("digest", digest.as_str());
    let make = || Request::new(Method::PUT, url.clone()).payload(Payload::Bytes(b""));
    let response = session.send(make, &push_scope(session))?;
    // A first answer may have been lost, and with it the upload: what counts is whether the blob is there.
    if response.status != 404 || has_blob(session, &digest)? != Some(size) {
        stored(session, response, Some(&digest))?;
    }
    Ok((digest, size))
}

/// Sends one chunk; gives back where the upload goes on.
fn send_chunk(session: &Session, mut url: Url, offset: u64, chunk: &[u8]) -> Result<Url> {
    let end = offset + chunk.len() as u64;
    let mut from = offset;
    for _ in 0..RESYNCS {
        let rest = usize::try_from(from - offset).map_or(&chunk[..0], |arrived| &chunk[arrived..]);
        let make = || {
            Request::new(Method::PATCH, url.clone())
                .header("content-type", "application/octet-stream")
                .header("content-range", format!("{from}-{}", end - 1))
                .payload(Payload::Bytes(rest))
        };
        let response = session.send(make, &push_scope(session))?;
        match response.status {
            202 | 204 => return location(&response),
            416 => {}
            _ => return Err(session.refused(response)),
        }
        // An earlier try of this chunk arrived, or a part of it, although its answer was lost.
        let refused = session.refused(response);
        let (next, held) = standing(session, &url)?;
        url = next;
        match held {
            held if held == end => return Ok(url),
            held if (offset..end).contains(&held) => from = held,
            _ => return Err(refused),
        }
    }
    bail!("`{}` loses what is sent to it again and again", url.authority)
}

/// Where an upload stands: its next place, and how many bytes the registry holds.
fn standing(session: &Session, url: &Url) -> Result<(Url, u64)> {
    let make = || Request::new(Method::GET, url.clone());
    let response = session.send(make, &push_scope(session))?;
    match response.status {
        200 | 204 => Ok((location(&response).unwrap_or_else(|_| url.clone()), held(&response))),
        _ => Err(session.refused(response)),
    }
}

/// How much of an upload the registry holds: `Range: 0-N` with N the last byte; without the header, nothing.
fn held(response: &Response) -> u64 {
    let range = response.header("range").unwrap_or_default();
    let last =
        range.trim_start_matches("bytes=").split_once('-').and_then(|(_, last)| last.trim().parse().ok());
    // An upload that holds nothing cannot say so in this form: `0-0` is taken as nothing, since chunks are larger.
    last.map_or(0, |last: u64| if last == 0 { 0 } else { last.saturating_add(1) })
}
