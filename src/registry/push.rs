//! Uploads: blobs that are not there yet (mounted, whole, or in chunks), manifests, and removal.

use std::io::{self, Read};

use ureq::http::Method;

use super::client::{Client, Session};
use super::reference::Reference;
use super::retry;
use super::transport::{Payload, Request, Response};
use super::url::{Url, escape};
use crate::base::digest::Digest;
use crate::base::error::{Context, Error, Result, bail};

/// Opens the content of a blob anew; an upload that breaks begins again.
pub type Open<'a> = dyn Fn() -> Result<Box<dyn Read + Send + 'a>> + 'a;

/// What became of a blob that was to be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The registry had it.
    Present,
    /// The registry took it from another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

impl Client {
    /// Whether a repository has a blob, and how large it is there.
    pub fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<Option<u64>> {
        let session = self.at_home(reference)?;
        has_blob(&session, digest)
            .with_context(|| format!("look for blob `{digest}` in `{}`", reference.name()))
    }

    /// Brings a blob of known digest and size into a repository, with as little sending as possible; `from` names
    /// repositories of the same registry that may have it.
    pub fn push_blob(
        &self,
        reference: &Reference,
        digest: &Digest,
        size: u64,
        from: &[String],
        open: &Open<'_>,
    ) -> Result<Pushed> {
        let session = self.at_home(reference)?;
        push_blob(&session, digest, size, from, open)
            .with_context(|| format!("push blob `{digest}` to `{}`", reference.name()))
    }

    /// Brings a blob whose digest is known only at its end (compressed while it is sent); `digest` is asked when the
    /// stream has ended. Sent in chunks, once.
    pub fn push_stream(
        &self,
        reference: &Reference,
        stream: &mut dyn Read,
        digest: &dyn Fn() -> Result<Digest>,
    ) -> Result<()> {
        let session = self.at_home(reference)?;
        push_stream(&session, stream, digest)
            .with_context(|| format!("push a blob to `{}`", reference.name()))
    }

    /// Puts a manifest or an index under the reference's tag, else under its digest.
    pub fn push_manifest(&self, reference: &Reference, bytes: &[u8], media_type: &str) -> Result<Digest> {
        let session = self.at_home(reference)?;
        push_manifest(&session, bytes, media_type).with_context(|| format!("push manifest `{reference}`"))
    }

    /// Removes a manifest by its digest, where the registry allows that.
    pub fn delete_manifest(&self, reference: &Reference, digest: &Digest) -> Result<()> {
        let session = self.at_home(reference)?;
        let url = session.repository_url(&format!("manifests/{}", escape(digest.as_str())));
        let scopes = vec![format!("repository:{}:delete,pull,push", reference.repository)];
        let response = session.send(|| Request::new(Method::DELETE, url.clone()), &scopes)?;
        match response.status {
            200 | 202 => Ok(()),
            _ => Err(session.refused(response)),
        }
        .with_context(|| format!("remove manifest `{digest}` of `{}`", reference.name()))
    }
}

fn push_scope(session: &Session) -> Vec<String> {
    vec![format!("repository:{}:pull,push", session.reference.repository)]
}

fn has_blob(session: &Session, digest: &Digest) -> Result<Option<u64>> {
    let url = session.repository_url(&format!("blobs/{}", escape(digest.as_str())));
    let response = session.send(|| Request::new(Method::HEAD, url.clone()), &push_scope(session))?;
    match response.status {
        200 => Ok(Some(response.content_length().unwrap_or_default())),
        404 => Ok(None),
        _ => Err(session.refused(response)),
    }
}

fn push_blob(
    session: &Session,
    digest: &Digest,
    size: u64,
    from: &[String],
    open: &Open<'_>,
) -> Result<Pushed> {
    if has_blob(session, digest)?.is_some() {
        return Ok(Pushed::Present);
    }
    let mut tries = session.policy().begin();
    let mut upload = None;
    for repository in from.iter().filter(|name| **name != session.reference.repository) {
        match mount(session, digest, repository)? {
            Begun::Done => return Ok(Pushed::Mounted),
            Begun::Upload(url) => upload = Some(url),
        }
    }
    loop {
        let url = match upload.take() {
            Some(url) => url,
            None => begin(session)?,
        };
        let error = match send_whole(session, url, digest, size, open) {
            Ok(()) => return Ok(Pushed::Uploaded),
            Err(error) => error,
        };
        let again = session.may_pass(&error) || super::status_of(&error).is_some_and(may_begin_again);
        if !again || !tries.wait(None) {
            return Err(error);
        }
    }
}

/// The upload is gone or out of step (404, 416), or the server is in trouble: a new one may do.
fn may_begin_again(status: u16) -> bool {
    retry::is_transient(status) || matches!(status, 404 | 416)
}

enum Begun {
    Done,
    Upload(Url),
}

/// Asks the registry to take a blob from another of its repositories; one that does not begins an upload.
fn mount(session: &Session, digest: &Digest, repository: &str) -> Result<Begun> {
    let url = session
        .repository_url("blobs/uploads/")
        .with_query("mount", digest.as_str())
        .with_query("from", repository);
    let mut scopes = push_scope(session);
    scopes.push(format!("repository:{repository}:pull"));
    let response =
        session.send(|| Request::new(Method::POST, url.clone()).payload(Payload::Bytes(b"")), &scopes)?;
    match response.status {
        201 => Ok(Begun::Done),
        202 => location(&response).map(Begun::Upload),
        // Not allowed to read there: the plain way is left.
        401 | 403 => begin(session).map(Begun::Upload),
        _ => Err(session.refused(response)),
    }
}

fn begin(session: &Session) -> Result<Url> {
    let url = session.repository_url("blobs/uploads/");
    let make = || Request::new(Method::POST, url.clone()).payload(Payload::Bytes(b""));
    let response = session.send(make, &push_scope(session))?;
    match response.status {
        202 => location(&response),
        _ => Err(session.refused(response)),
    }
}

/// Where an upload goes on: absolute or relative, perhaps at another host, which then gets no credentials.
fn location(response: &Response) -> Result<Url> {
    let host = &response.url.authority;
    let location =
        response.header("location").with_context(|| format!("`{host}` gives no place to upload to"))?;
    response.url.join(location).with_context(|| format!("read the place to upload to from `{host}`"))
}

/// One PUT with everything.
fn send_whole(session: &Session, url: Url, digest: &Digest, size: u64, open: &Open<'_>) -> Result<()> {
    let mut stream = Exact { inner: open()?, left: size };
    let request = Request::new(Method::PUT, url.with_query("digest", digest.as_str()))
        .header("content-type", "application/octet-stream")
        .payload(Payload::Stream(&mut stream, size));
    let response = session.send_stream(request, &push_scope(session))?;
    stored(session, response, Some(digest))
}

const CHUNK: usize = 16 << 20;

fn push_stream(session: &Session, stream: &mut dyn Read, digest: &dyn Fn() -> Result<Digest>) -> Result<()> {
    let (mut url, mut offset) = (begin(session)?, 0u64);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        stream.take(CHUNK as u64).read_to_end(&mut chunk).context("read what is to be pushed")?;
        if chunk.is_empty() {
            break;
        }
        (url, offset) = send_chunk(session, url, offset, &chunk)?;
    }
    let digest = digest()?;
    let url = url.with_query("digest", digest.as_str());
    let make = || Request::new(Method::PUT, url.clone()).payload(Payload::Bytes(b""));
    let response = session.send(make, &push_scope(session))?;
    stored(session, response, Some(&digest))
}

fn send_chunk(session: &Session, url: Url, offset: u64, chunk: &[u8]) -> Result<(Url, u64)> {
    let end = offset + chunk.len() as u64;
    let make = || {
        Request::new(Method::PATCH, url.clone())
            .header("content-type", "application/octet-stream")
            .header("content-range", format!("{offset}-{}", end - 1))
            .payload(Payload::Bytes(chunk))
    };
    let response = session.send(make, &push_scope(session))?;
    match response.status {
        202 | 204 => Ok((location(&response)?, end)),
        // An earlier try of this very chunk arrived although its answer was lost.
        416 if held(&response) == Some(end) => Ok((location(&response).unwrap_or(url.clone()), end)),
        _ => Err(session.refused(response)),
    }
}

/// How much of an upload the registry holds: `Range: 0-N`.
fn held(response: &Response) -> Option<u64> {
    response
        .header("range")?
        .trim_start_matches("bytes=")
        .split_once('-')?
        .1
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_add(1)
}

fn push_manifest(session: &Session, bytes: &[u8], media_type: &str) -> Result<Digest> {
    let digest = session.reference.digest.clone().unwrap_or_else(|| Digest::of(bytes));
    let selector = session.reference.tag.clone().unwrap_or_else(|| digest.to_string());
    let url = session.repository_url(&format!("manifests/{}", escape(&selector)));
    let make = || {
        Request::new(Method::PUT, url.clone())
            .header("content-type", media_type)
            .payload(Payload::Bytes(bytes))
    };
    let response = session.send(make, &push_scope(session))?;
    stored(session, response, Some(&digest))?;
    Ok(digest)
}

/// 201, and the same digest there as here.
fn stored(session: &Session, response: Response, digest: Option<&Digest>) -> Result<()> {
    if !matches!(response.status, 200 | 201 | 204) {
        return Err(session.refused(response));
    }
    let stated = response.header("docker-content-digest").and_then(|text| text.trim().parse::<Digest>().ok());
    match (stated, digest) {
        (Some(stated), Some(digest)) if stated != *digest && stated.algorithm() == digest.algorithm() => {
            bail!("`{}` stored `{stated}` where `{digest}` was sent", response.url.authority)
        }
        _ => Ok(()),
    }
}

/// A source that must have exactly so many bytes, since the length was promised.
struct Exact<'a> {
    inner: Box<dyn Read + Send + 'a>,
    left: u64,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buffer[..room])? {
            0 => Err(io::Error::other(too_short(self.left))),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

fn too_short(left: u64) -> Error {
    crate::base::error::anyhow!("the content ends {left} bytes too early")
}
