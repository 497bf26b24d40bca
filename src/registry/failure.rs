//! What went wrong on the wire: broken connections, and servers that say no, with what to do about it.

use std::fmt;
use std::io;

use serde::Deserialize;

use super::certs;
use super::transport::Response;
use super::url::Url;
use crate::base::error::{Error, Explain, Kind};
use crate::base::text::printable;

const BODY_LIMIT: u64 = 64 << 10;
const SHOWN: usize = 400;

/// A connection that could not be made or did not last.
#[derive(Debug)]
pub(super) struct Broken {
    message: String,
    /// Worth another try.
    pub(super) transient: bool,
    /// Worth another try if the host has answered before.
    pub(super) maybe: bool,
    /// It broke in the middle of an answer.
    pub(super) midway: bool,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Broken {}

/// A server that answered with a status that is no success.
#[derive(Debug)]
pub struct ServerError {
    /// The HTTP status.
    pub status: u16,
    /// The first error code of the body, such as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ServerError {}

/// The status that a server answered with, if that is what the error is about.
pub fn status_of(error: &Error) -> Option<u16> {
    error.chain().find_map(|cause| cause.downcast_ref::<ServerError>()).map(|error| error.status)
}

/// Whether it is the network's or the server's present state that an error tells of: later it may be another.
pub fn may_pass(error: &Error) -> bool {
    let broken = error.chain().any(|cause| cause.downcast_ref::<Broken>().is_some_and(|broken| broken.maybe));
    broken || status_of(error).is_some_and(super::retry::is_transient)
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<ErrorItem>,
    #[serde(default, alias = "details", alias = "error_description", alias = "error")]
    message: serde_json::Value,
}

#[derive(Deserialize)]
struct ErrorItem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Explains a failed connection.
pub(super) fn broken(url: &Url, error: ureq::Error) -> Error {
    use io::ErrorKind as K;
    let host = &url.authority;
    let (transient, maybe) = match &error {
        ureq::Error::Timeout(_) => (true, true),
        ureq::Error::HostNotFound => (false, true),
        ureq::Error::Io(error) => match error.kind() {
            K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe | K::UnexpectedEof | K::TimedOut => {
                (true, true)
            }
            K::WouldBlock | K::NetworkUnreachable | K::HostUnreachable | K::NetworkDown => (true, true),
            K::ConnectionRefused => (false, true),
            _ => (false, false),
        },
        _ => (false, false),
    };
    let cause = match &error {
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Rustls(error) => error.to_string(),
        other => other.to_string(),
    };
    let message = format!("connect to `{host}`: {}", printable(&cause));
    let error = Error::new(Broken { message, transient, maybe, midway: false });
    if is_certificate(&cause) {
        return certificate_hints(error, host);
    }
    // What rustls says when the first bytes are no TLS.
    if url.https && cause.contains("corrupt message") {
        return error.hint(format!(
            "`{host}` seems to speak plain http: --tls-verify=false, or `insecure = true` in registries.conf, allows it"
        ));
    }
    error
}

fn is_certificate(cause: &str) -> bool {
    cause.contains("certificate")
}

fn certificate_hints(error: Error, host: &str) -> Error {
    if certs::none_trusted() {
        return error.hint("this system has no root certificates: install the package `ca-certificates`");
    }
    error.hint(format!(
        "put the registry's CA into `/etc/containers/certs.d/{host}/ca.crt`, or give --cert-dir, or --tls-verify=false"
    ))
}

/// Explains a body that ended badly.
pub(super) fn broken_read(host: &str, error: io::Error) -> Error {
    let message = format!("read from `{host}`: {}", printable(&error.to_string()));
    Error::new(Broken { message, transient: true, maybe: true, midway: true })
}

/// Turns an answer that is no success into an error that tells what the server says and what can be done.
pub(super) fn refused(response: Response, registry: &str) -> Error {
    let status = response.status;
    let limits = rate_limits(&response);
    let wait = response.header("retry-after").map(|text| printable(text).into_owned());
    let host = response.url.authority.clone();
    let body = response.into_bytes(BODY_LIMIT).unwrap_or_default();
    let (code, said) = read_body(&body);
    let name = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let answered = format!("`{host}` answered {status} {}", name.unwrap_or_default());
    let message =
        [answered.trim_end().to_owned()].into_iter().chain(said).chain(limits).collect::<Vec<_>>().join(": ");
    let error = Error::new(ServerError { status, code, message });
    match status {
        401 => error.hint(format!("log in with `dhow login {registry}`, or check the credentials")),
        403 => error.hint(format!("the account may lack permission: check it with `dhow login {registry}`")),
        404 => error.kind(Kind::NotFound).hint(format!(
            "check the name and the tag; what is private at `{registry}` may need `dhow login {registry}`"
        )),
        429 => match wait {
            Some(wait) => {
                error.hint(format!("too many requests: wait (the registry says {wait}), or log in"))
            }
            None => error.hint("too many requests: wait, or log in for a higher limit"),
        },
        _ => error,
    }
}

fn rate_limits(response: &Response) -> Option<String> {
    let header = |name: &str| response.header(name).map(|value| printable(value).into_owned());
    let (limit, left) = (header("ratelimit-limit"), header("ratelimit-remaining"));
    (response.status == 429)
        .then(|| Some(format!("limit {}, remaining {}", limit?, left.unwrap_or("0".into()))))?
}

/// The code and the words of an error body; text that is no JSON is shown when it is short and plain.
fn read_body(body: &[u8]) -> (Option<String>, Option<String>) {
    if let Ok(parsed) = serde_json::from_slice::<ErrorBody>(body) {
        let code = parsed.errors.first().map(|item| printable(&item.code).into_owned());
        let mut words: Vec<String> = parsed.errors.iter().map(ErrorItem::words).collect();
        words.extend(parsed.message.as_str().map(str::to_owned));
        words.retain(|text| !text.is_empty());
        return (code, (!words.is_empty()).then(|| shown(&words.join("; "))));
    }
    let text = std::str::from_utf8(body).unwrap_or_default().trim();
    let plain = !text.is_empty() && !text.starts_with('<') && text.lines().count() <= 3;
    (None, plain.then(|| shown(text)))
}

impl ErrorItem {
    fn words(&self) -> String {
        match (self.message.as_str(), self.code.as_str()) {
            ("", code) => code.to_owned(),
            (message, "") => message.to_owned(),
            (message, code) => format!("{message} ({code})"),
        }
    }
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    printable(&short).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_read_and_made_printable() {
        let spec =
            br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown\u001b[2J","detail":{}}]}"#;
        let (code, said) = read_body(spec);
        assert_eq!(code.as_deref(), Some("MANIFEST_UNKNOWN"));
        assert_eq!(said.unwrap(), "manifest unknown\\u{1b}[2J (MANIFEST_UNKNOWN)");
        assert_eq!(
            read_body(br#"{"details":"incorrect username or password"}"#).1.unwrap(),
            "incorrect username or password"
        );
        assert_eq!(read_body(b"404 page not found\n").1.unwrap(), "404 page not found");
        assert_eq!(read_body(b"<html>").1, None);
        assert_eq!(read_body(b""), (None, None));
    }
}
