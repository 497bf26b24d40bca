//! Just enough of URLs: http and https, an authority without user information, and relative `Location`s.

use std::fmt;

use crate::base::error::{Context, Result, bail};
use crate::base::text::printable;

/// An absolute http or https URL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Url {
    pub(super) https: bool,
    /// Host and perhaps port.
    pub(super) authority: String,
    /// Path and query, beginning with a slash.
    pub(super) path: String,
}

impl Url {
    /// A path on a host.
    pub(super) fn new(https: bool, authority: &str, path: &str) -> Url {
        Url { https, authority: authority.to_owned(), path: path.to_owned() }
    }

    /// Reads an absolute URL.
    pub(super) fn parse(text: &str) -> Result<Url> {
        let shown = || format!("`{}` is not an http or https URL", printable(text));
        let (scheme, rest) = text.split_once("://").with_context(shown)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => bail!(shown()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // User information would be credentials chosen by somebody else; the rest of the set keeps `http::Uri` sane.
        let clean = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if authority.is_empty()
            || !authority.bytes().all(clean)
            || !path.bytes().all(|b| b.is_ascii_graphic())
        {
            bail!(shown());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { https, authority: authority.to_owned(), path: format!("{slash}{path}") })
    }

    /// Resolves a `Location` or `Link` against this URL.
    pub(super) fn join(&self, location: &str) -> Result<Url> {
        let scheme = if self.https { "https" } else { "http" };
        let has_scheme = location.find("://").is_some_and(|at| !location[..at].contains(['/', '?']));
        let absolute = match location {
            _ if has_scheme => location.to_owned(),
            _ if location.starts_with("//") => format!("{scheme}:{location}"),
            _ if location.starts_with('/') => format!("{scheme}://{}{location}", self.authority),
            _ if location.starts_with('?') => {
                format!("{scheme}://{}{}{location}", self.authority, self.bare_path())
            }
            _ => {
                let folder = &self.bare_path()[..=self.bare_path().rfind('/').unwrap_or(0)];
                format!("{scheme}://{}{folder}{location}", self.authority)
            }
        };
        Url::parse(&absolute)
    }

    fn bare_path(&self) -> &str {
        self.path.split('?').next().unwrap_or("/")
    }

    /// Adds a query parameter; the value must be in need of no more than simple escaping.
    pub(super) fn with_query(mut self, key: &str, value: &str) -> Url {
        let separator = if self.path.contains('?') { '&' } else { '?' };
        self.path.push_str(&format!("{separator}{key}={}", escape(value)));
        self
    }

    /// Host without port, lower case, without brackets.
    pub(super) fn host(&self) -> String {
        let host = super::reference::split_port(&self.authority).0;
        host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
    }

    /// The port, the scheme's own if none is written.
    pub(super) fn port(&self) -> u16 {
        let written = super::reference::split_port(&self.authority).1.and_then(|port| port.parse().ok());
        written.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Whether both are the same scheme, host and port: only then credentials for one may go to the other.
    pub(super) fn same_origin(&self, other: &Url) -> bool {
        self.https == other.https && self.host() == other.host() && self.port() == other.port()
    }
}

/// Percent-encodes all but unreserved characters and what registries expect bare in a query.
pub(super) fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = Url::parse("https://r.io:5000/v2/a/blobs/uploads/?x=1").unwrap();
        for (location, expected) in [
            ("/v2/u?s=1", "https://r.io:5000/v2/u?s=1"),
            ("next", "https://r.io:5000/v2/a/blobs/uploads/next"),
            ("?n=2", "https://r.io:5000/v2/a/blobs/uploads/?n=2"),
            ("//cdn.io/x", "https://cdn.io/x"),
            ("http://CDN.io?sig=a%2Fb", "http://CDN.io/?sig=a%2Fb"),
            ("/x?to=http://y/", "https://r.io:5000/x?to=http://y/"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), expected);
        }
        for bad in
            ["ftp://x/", "https://", "https://u:p@h/", "https://h/a b", "https://h/\n", "javascript://x"]
        {
            assert!(base.join(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_compare_with_default_ports_and_without_case() {
        let same = |a: &str, b: &str| Url::parse(a).unwrap().same_origin(&Url::parse(b).unwrap());
        assert!(same("https://a.io/x", "https://A.io:443/y"));
        assert!(!same("https://a.io", "http://a.io"));
        assert!(!same("https://a.io", "https://a.io:5000"));
        assert!(!same("https://a.io", "https://a.io.evil.io"));
        assert_eq!(Url::parse("http://[::1]:5000/").unwrap().host(), "::1");
    }
}
