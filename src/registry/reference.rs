//! Image references: the grammar of `distribution/reference`, normalised as Docker and Podman do.
//!
//! ```text
//! reference   name [":" tag] ["@" digest]
//! name        [domain "/"] path
//! domain      (host | "[" ipv6 "]") [":" port]     only with a dot, a colon, a capital, or `localhost`
//! path        component ("/" component)*           lower case, at most 255 bytes
//! ```
//!
//! A name without a domain is a *short name*: it means `docker.io` here, and whatever `registries.conf` says
//! in [`super::config`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;
use crate::base::error::{Error, Explain, Kind, Result, fail};

/// The registry of short names when nothing is configured.
pub const DOCKER_IO: &str = "docker.io";

/// The tag that a name without tag and digest means.
pub const LATEST: &str = "latest";

const PATH_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;

/// A checked, normalised image reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// Host and port as typed: `docker.io`, `localhost:5000`, `[::1]:5000`.
    pub registry: String,
    /// Path inside the registry: `library/alpine`.
    pub repository: String,
    /// Tag, if one was given.
    pub tag: Option<String>,
    /// Digest, if one was given; it wins over the tag.
    pub digest: Option<Digest>,
}

/// What stands behind the name: tag and digest.
type Suffix = (Option<String>, Option<Digest>);

impl Reference {
    /// Parses and normalises; short names go to `docker.io`.
    pub fn parse(text: &str) -> Result<Reference> {
        let (name, suffix) = split(text)?;
        match domain_of(name) {
            Some((domain, path)) => Reference::assemble(text, domain, path, suffix),
            None => Reference::assemble(text, DOCKER_IO, name, suffix),
        }
    }

    /// Places a short name on a registry: `alpine` on `quay.io` is `quay.io/alpine`. A name with a domain of
    /// its own stays there.
    pub fn parse_on(text: &str, registry: &str) -> Result<Reference> {
        let (name, suffix) = split(text)?;
        match domain_of(name) {
            Some((domain, path)) => Reference::assemble(text, domain, path, suffix),
            None => Reference::assemble(text, registry, name, suffix),
        }
    }

    fn assemble(text: &str, domain: &str, path: &str, (tag, digest): Suffix) -> Result<Reference> {
        let registry = if domain == "index.docker.io" { DOCKER_IO } else { domain };
        check_domain(text, registry)?;
        check_path(text, path)?;
        let official = registry == DOCKER_IO && !path.contains('/');
        let repository = if official { format!("library/{path}") } else { path.to_owned() };
        Ok(Reference { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Registry and repository without tag and digest: `docker.io/library/alpine`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The whole normalised reference: `docker.io/library/alpine:3.20@sha256:…`.
    pub fn full(&self) -> String {
        self.name() + &self.suffix()
    }

    /// The shortest text that means the same to Docker: `alpine:3.20`.
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    /// The shortest name, without tag and digest: `alpine`.
    pub fn familiar_name(&self) -> String {
        if self.registry != DOCKER_IO {
            return self.name();
        }
        if let Some(official) = self.repository.strip_prefix("library/").filter(|rest| !rest.contains('/')) {
            return official.to_owned();
        }
        // `docker.io/a.b/c` must not become `a.b/c`, which is another registry's.
        if domain_of(&self.repository).is_some() { self.name() } else { self.repository.clone() }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }

    /// Adds `:latest` where neither tag nor digest was given.
    pub fn or_latest(mut self) -> Reference {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(LATEST.to_owned());
        }
        self
    }

    /// The same name with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Reference> {
        check_tag(tag)?;
        Ok(Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same name pinned to a digest, without a tag.
    pub fn with_digest(&self, digest: &Digest) -> Reference {
        Reference { tag: None, digest: Some(digest.clone()), ..self.clone() }
    }

    /// The same name without tag and digest.
    pub fn without_suffix(&self) -> Reference {
        Reference { tag: None, digest: None, ..self.clone() }
    }

    /// What the manifest is asked for by: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => LATEST,
        }
    }
}

/// Whether `text` names no registry, so that configuration decides where it is.
pub fn is_short_name(text: &str) -> bool {
    domain_of(text).is_none()
}

/// Splits off what is a registry by its looks: it has a dot, a colon or a capital, or is `localhost`.
fn domain_of(name: &str) -> Option<(&str, &str)> {
    let (first, rest) = name.split_once('/')?;
    let domain = first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first;
    domain.then_some((first, rest))
}

/// Takes tag and digest off the end.
fn split(text: &str) -> Result<(&str, Suffix)> {
    if text.is_empty() {
        return Err(fail(Kind::Usage, "an image reference cannot be empty"));
    }
    if text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(fail(Kind::Usage, format!("`{text}` is an image id, not a name in a registry")));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(|error| invalid(text, error))?)),
        None => (text, None),
    };
    // A colon before the last slash belongs to a port.
    let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[path_start..].find(':') {
        Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
        None => (rest, None),
    };
    if let Some(tag) = tag {
        check_tag(tag).map_err(|error| invalid(text, error))?;
    }
    Ok((name, (tag.map(str::to_owned), digest)))
}

fn invalid(text: &str, cause: impl fmt::Display) -> Error {
    fail(Kind::Usage, format!("invalid image reference `{text}`: {cause}"))
}

fn check_tag(tag: &str) -> Result<()> {
    let starts = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let fits = tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !starts || !fits || tag.len() > TAG_LIMIT {
        let rule = "letters, digits, `_`, `.` and `-`, at most 128, not beginning with `.` or `-`";
        return Err(fail(Kind::Usage, format!("`{tag}` is not a tag ({rule})")));
    }
    Ok(())
}

fn check_domain(text: &str, domain: &str) -> Result<()> {
    let (host, port) = split_port(domain);
    let good_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_domain_label),
    };
    let good_port = port.is_none_or(|port| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
    });
    if good_host && good_port { Ok(()) } else { Err(invalid(text, format!("`{domain}` is not a registry"))) }
}

/// Separates `host:port`; the colons of a bracketed IPv6 address are its own.
pub(super) fn split_port(domain: &str) -> (&str, Option<&str>) {
    let after_address = domain.rfind(']').map_or(0, |end| end + 1);
    match domain[after_address..].find(':') {
        Some(colon) => (&domain[..after_address + colon], Some(&domain[after_address + colon + 1..])),
        None => (domain, None),
    }
}

fn is_domain_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn check_path(text: &str, path: &str) -> Result<()> {
    if path.chars().any(char::is_uppercase) {
        let (error, lower) = (invalid(text, "a repository name must be lower case"), path.to_lowercase());
        return Err(match check_path(text, &lower) {
            Ok(()) => error.hint(format!("did you mean `{}`?", text.replacen(path, &lower, 1))),
            Err(_) => error,
        });
    }
    if path.len() > PATH_LIMIT {
        return Err(invalid(text, format!("a repository name has at most {PATH_LIMIT} characters")));
    }
    if let Some(bad) = path.split('/').find(|component| !is_path_component(component)) {
        let rule = "letters and digits, separated by `.`, `_`, `__` or `-`";
        return Err(invalid(text, format!("`{bad}` is not a path component ({rule})")));
    }
    Ok(())
}

/// Runs of letters and digits joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    alphanumeric(first)
        && alphanumeric(last)
        && component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|sep| matches!(sep, "" | "." | "_" | "__") || sep.bytes().all(|b| b == b'-'))
}

impl FromStr for Reference {
    type Err = Error;
    fn from_str(text: &str) -> Result<Reference> {
        Reference::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;
    fn try_from(text: String) -> Result<Reference> {
        Reference::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.full()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints_of;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_are_normalised_as_docker_does() {
        let pinned = format!("a.b:5000/x/y:t@sha256:{HEX}");
        let table = [
            ("alpine", "docker.io/library/alpine", "alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"),
            ("user/repo:tag", "docker.io/user/repo:tag", "user/repo:tag"),
            ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
            ("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
            ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
            ("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"),
            ("quay.io/a/b", "quay.io/a/b", "quay.io/a/b"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("[2001:db8::1]/x:t", "[2001:db8::1]/x:t", "[2001:db8::1]/x:t"),
            ("Host/x", "Host/x", "Host/x"),
            ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
            ("a__b/c-d--e_f.x", "docker.io/a__b/c-d--e_f.x", "a__b/c-d--e_f.x"),
            ("x:_under.-", "docker.io/library/x:_under.-", "x:_under.-"),
            (&pinned, &pinned, &pinned),
        ];
        for (text, full, familiar) in table {
            let reference = Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (reference.full().as_str(), reference.familiar().as_str()),
                (full, familiar),
                "{text}"
            );
            assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference, "{text}");
            assert_eq!(Reference::parse(&reference.full()).unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let long_path = "a/".repeat(128);
        let long_tag = format!("a:{}", "t".repeat(129));
        let bad = [
            "",
            ":",
            "@",
            "/",
            "a/",
            "/a",
            "a//b",
            ":tag",
            "a:",
            "a:-x",
            "a:.x",
            "a:b:c",
            "a@",
            "a@sha256:00",
            "a b",
            "a\n",
            "a\0",
            "ä",
            "-a",
            "a-",
            "a._b",
            "a___b",
            "a..b",
            "../a",
            "a/../b",
            ".a/b",
            "-h.x/a",
            "h.x:/a",
            "h.x:99999/a",
            "h.x:1a/b",
            "[::1/a",
            "[]:5/a",
            "[::g]/a",
            "http://h.x/a",
            "a@md5:00",
            &long_path,
            &long_tag,
            HEX,
        ];
        for text in bad {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn capitals_are_refused_with_a_hint() {
        let error = Reference::parse("quay.io/User/App:V1").unwrap_err();
        assert_eq!(hints_of(&error), ["did you mean `quay.io/user/app:V1`?"]);
        assert!(Reference::parse("Alpine").is_err());
    }

    #[test]
    fn short_names_have_no_registry() {
        for (text, short) in
            [("alpine", true), ("a/b:t", true), ("localhost/a", false), ("h:1/a", false), ("q.io/a", false)]
        {
            assert_eq!(is_short_name(text), short, "{text}");
        }
        assert_eq!(Reference::parse_on("a:t", "quay.io").unwrap().full(), "quay.io/a:t");
        assert_eq!(Reference::parse_on("a", "docker.io").unwrap().full(), "docker.io/library/a");
    }

    #[test]
    fn the_digest_selects_before_the_tag() {
        let reference = Reference::parse(&format!("a:t@sha256:{HEX}")).unwrap();
        assert_eq!(reference.selector(), format!("sha256:{HEX}"));
        assert_eq!(reference.with_tag("v").unwrap().full(), "docker.io/library/a:v");
        assert_eq!(Reference::parse("a").unwrap().or_latest().selector(), "latest");
        assert_eq!(Reference::parse("a").unwrap().tag, None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_parses_to_itself_or_not_at_all(text in "[a-zA-Z0-9_.:/@\\[\\]-]{0,60}") {
            if let Ok(reference) = Reference::parse(&text) {
                assert_eq!(Reference::parse(&reference.full()).unwrap(), reference);
                assert_eq!(Reference::parse(&reference.familiar()).unwrap(), reference);
            }
        }
    }
}
