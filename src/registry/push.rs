//! Uploads: blobs that are not there yet (mounted, or whole), manifests, and removal. What is compressed while it is sent
//! goes by [`super::upload`].

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

    /// Asks the registry to take a blob into a repository from others of its repositories; says whether it did.
    pub fn mount_blob(&self, reference: &Reference, digest: &Digest, from: &[String]) -> Result<bool> {
        let session = self.at_home(reference)?;
        let begun = mount_any(&session, digest, from)
            .with_context(|| format!("mount blob `{digest}` in `{}`", reference.name()))?;
        Ok(matches!(begun, Begun::Done))
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

pub(super) fn push_scope(session: &Session) -> Vec<String> {
    vec![format!("repository:{}:pull,push", session.reference.repository)]
}

pub(super) fn has_blob(session: &Session, digest: &Digest) -> Result<Option<u64>> {
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
    let mut upload = match mount_any(session, digest, from)? {
        Begun::Done => return Ok(Pushed::Mounted),
        Begun::Upload(url) => Some(url),
        Begun::Nothing => None,
    };
    let mut tries = session.policy().begin();
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

/// The upload is gone or out of step (404, 416), the token ended on the way (401), or the server is in trouble: a new
/// upload may do.
pub(super) fn may_begin_again(status: u16) -> bool {
    retry::is_transient(status) || matches!(status, 401 | 404 | 416)
}

pub(super) enum Begun {
    /// The registry has taken it.
    Done,
    /// It wants to be sent the bytes there.
    Upload(Url),
    /// It was not asked.
    Nothing,
}

/// Asks for a mount from each of some repositories until one works; what an earlier one began is used for the upload.
pub(super) fn mount_any(session: &Session, digest: &Digest, from: &[String]) -> Result<Begun> {
    let mut begun = Begun::Nothing;
    for repository in from.iter().filter(|name| **name != session.reference.repository) {
        begun = mount(session, digest, repository)?;
        if matches!(begun, Begun::Done) {
            break;
        }
    }
    Ok(begun)
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

pub(super) fn begin(session: &Session) -> Result<Url> {
    let url = session.repository_url("blobs/uploads/");
    let make = || Request::new(Method::POST, url.clone()).payload(Payload::Bytes(b""));
    let response = session.send(make, &push_scope(session))?;
    match response.status {
        202 => location(&response),
        _ => Err(session.refused(response)),
    }
}

/// Where an upload goes on: absolute or relative, perhaps at another host, which then gets no credentials.
pub(super) fn location(response: &Response) -> Result<Url> {
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
    // The first answer may have been lost, and with it the upload: what counts is whether the blob is there.
    if response.status == 404 && has_blob(session, digest)?.is_some() {
        return Ok(());
    }
    stored(session, response, Some(digest))
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
pub(super) fn stored(session: &Session, response: Response, digest: Option<&Digest>) -> Result<()> {
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
