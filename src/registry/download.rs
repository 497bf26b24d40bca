//! Plain files by http and https, for `ADD` and build contexts: no credentials, every redirect again http or https.

use std::io::Read;

use ureq::http::Method;

use super::client::{Client, is_broken};
use super::failure;
use super::retry;
use super::transport::{Party, Request, Response};
use super::url::Url;
use crate::base::error::{Context, Error, Kind, Result, fail};
use crate::base::text::printable;

/// Longest header value that is kept.
const HEADER: usize = 1024;

/// What a server said of a file earlier, to ask whether it is still the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// `ETag`
    pub etag: Option<String>,
    /// `Last-Modified`
    pub last_modified: Option<String>,
}

/// A file on its way.
pub struct Download {
    /// What the server says of it.
    pub seen: Seen,
    /// `Last-Modified` in seconds since 1970.
    pub modified: Option<i64>,
    /// The length that the server states.
    pub length: Option<u64>,
    /// The bytes, without limit; a connection that breaks is an error, also when bytes of the stated length are missing.
    pub body: Box<dyn Read + Send>,
}

impl Client {
    /// Asks for a file; `None` when it is the one that was `seen`.
    pub fn download(&self, url: &str, seen: Option<&Seen>) -> Result<Option<Download>> {
        let home = Url::parse(url)?;
        let shown = || format!("download `{}`", printable(url));
        let response = self.ask(&home, seen).with_context(shown)?;
        match response.status {
            304 if seen.is_some() => Ok(None),
            200 => Ok(Some(Download::new(response))),
            404 | 410 => Err(fail(Kind::NotFound, format!("the server answered {}", response.status)))
                .with_context(shown),
            status => Err(fail(Kind::Failed, format!("the server answered {status}"))).with_context(shown),
        }
    }

    fn ask(&self, home: &Url, seen: Option<&Seen>) -> Result<Response> {
        let insecure = self.shared.options.tls_verify == Some(false);
        let party = Party { home, authorization: None, insecure, public: true };
        let mut tries = self.shared.policy().begin();
        loop {
            let mut request = Request::new(Method::GET, home.clone());
            if let Some(seen) = seen {
                request = with_header(request, "if-none-match", seen.etag.as_ref());
                request = with_header(request, "if-modified-since", seen.last_modified.as_ref());
            }
            let answer = self.shared.transport.exchange(request, &party);
            let pause = match &answer {
                Ok(response) if retry::is_transient(response.status) => {
                    retry::retry_after(response.header("retry-after"))
                }
                Err(error) if is_broken(error).is_some_and(|broken| broken.transient) => None,
                _ => return answer,
            };
            if !tries.wait(pause) {
                return answer;
            }
        }
    }
}

fn with_header<'a>(request: Request<'a>, name: &'static str, value: Option<&String>) -> Request<'a> {
    match value {
        Some(value) => request.header(name, value),
        None => request,
    }
}

impl Download {
    fn new(response: Response) -> Download {
        let header =
            |name: &str| response.header(name).filter(|value| value.len() <= HEADER).map(str::to_owned);
        let seen = Seen { etag: header("etag"), last_modified: header("last-modified") };
        let date = seen.last_modified.as_deref().and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        let (length, host) = (response.content_length(), response.url.authority.clone());
        let body = Body { inner: Box::new(response.into_reader()), host, left: length };
        let modified = date.map(|date| date.timestamp().as_second());
        Download { seen, modified, length, body: Box::new(body) }
    }
}

/// Names the host in errors, and notices an early end.
struct Body {
    inner: Box<dyn Read + Send>,
    host: String,
    left: Option<u64>,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let explain = |error: Error| std::io::Error::other(crate::base::error::render(&error));
        let read =
            self.inner.read(buffer).map_err(|error| explain(failure::broken_read(&self.host, error)))?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(read as u64);
            if read == 0 && !buffer.is_empty() && *left > 0 {
                return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file ended early"));
            }
        }
        Ok(read)
    }
}
