//! Where an image is, as `push`, `pull` and `image copy` are told it (containers-transports(5)).
//!
//! ```text
//! docker://NAME                     a registry
//! dir:PATH                          manifest and blobs side by side in a directory
//! oci:PATH[:TAG]                    an OCI image layout in a directory
//! oci-archive:PATH[:TAG]            the same in a tar
//! docker-archive:PATH[:NAME[:TAG]]  what `docker save` writes
//! containers-storage:NAME           the own store
//! ```
//!
//! `oci`, `oci-archive` and `docker-archive` also take `@N` in place of a name: the Nth image, counted from 0.

use std::fmt;
use std::path::PathBuf;

use super::archive::Format;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::registry::Reference;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// `docker://`; a short name means Docker Hub, a name without tag and digest `:latest`.
    Registry(Reference),
    /// `containers-storage:`: a name or an id in dhow's own store, not looked up yet.
    Store(String),
    /// A file or a directory.
    Files {
        /// Its form.
        format: Format,
        /// Where it lies, as typed.
        path: PathBuf,
        /// Which of its images.
        which: Which,
    },
}

/// Which image of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The only one; as a destination: one without a name.
    Any,
    /// The one of this name: in a docker-archive a normalised reference with its tag, else the text as typed.
    Named(String),
    /// The one at this position.
    At(usize),
}

impl Transport {
    /// Reads a transport and what stands behind it; `None` when the text begins with no transport, so that it is a name.
    pub fn parse(text: &str) -> Result<Option<Transport>> {
        let Some((kind, rest)) = text.split_once(':') else { return Ok(None) };
        let parsed = match kind {
            "docker" => match rest.strip_prefix("//") {
                Some(name) => Reference::parse(name).map(|name| Transport::Registry(name.or_latest())),
                None => return Ok(None),
            },
            "containers-storage" => store(rest).map(Transport::Store),
            "dir" => files(Format::DockerDir, rest),
            "oci" => files(Format::OciDir, rest),
            "oci-archive" => files(Format::OciArchive, rest),
            "docker-archive" => files(Format::DockerArchive, rest),
            "docker-daemon" => Err(fail(Kind::Usage, "there is no daemon that `docker-daemon:` could mean")
                .hint("`docker save` writes what `docker-archive:` reads")),
            _ => return Ok(None),
        };
        parsed.map(Some).with_context(|| format!("read `{text}`"))
    }
}

fn files(format: Format, rest: &str) -> Result<Transport> {
    let (path, name) = match rest.split_once(':') {
        // A directory of blobs has one image and no name for it: its path may hold colons.
        Some((path, name)) if format != Format::DockerDir => (path, Some(name)),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err(fail(Kind::Usage, "the path is missing"));
    }
    let which = match name {
        None | Some("") => Which::Any,
        Some(name) => match name.strip_prefix('@') {
            Some(number) => Which::At(number.parse().map_err(|_| bad_name(name))?),
            None if format == Format::DockerArchive => Which::Named(tagged(name)?),
            None => Which::Named(annotation(name)?),
        },
    };
    Ok(Transport::Files { format, path: PathBuf::from(path), which })
}

/// What a docker-archive calls its images.
fn tagged(name: &str) -> Result<String> {
    let name = Reference::parse(name)?;
    if name.digest.is_some() {
        return Err(fail(Kind::Usage, "a docker-archive names images by tag, not by digest"));
    }
    Ok(name.or_latest().full())
}

/// What an image layout calls its images (image specification, "org.opencontainers.image.ref.name").
fn annotation(name: &str) -> Result<String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:@/+".contains(&b);
    if name.bytes().all(allowed) { Ok(name.to_owned()) } else { Err(bad_name(name)) }
}

fn bad_name(name: &str) -> crate::base::error::Error {
    fail(Kind::Usage, format!("`{name}` is not the name of an image"))
}

/// `[driver@root+run]name`: the own store is the only one that can be meant.
fn store(rest: &str) -> Result<String> {
    if rest.starts_with('[') {
        return Err(fail(Kind::Usage, "another store than the own one cannot be named")
            .hint("`--root` chooses the store"));
    }
    if rest.is_empty() {
        return Err(fail(Kind::Usage, "the name is missing"));
    }
    Ok(rest.to_owned())
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Transport::Registry(name) => write!(f, "docker://{}", name.full()),
            Transport::Store(name) => write!(f, "containers-storage:{name}"),
            Transport::Files { format, path, which } => {
                let kind = match format {
                    Format::DockerArchive => "docker-archive",
                    Format::OciArchive => "oci-archive",
                    Format::OciDir => "oci",
                    Format::DockerDir => "dir",
                };
                write!(f, "{kind}:{}", path.display())?;
                match which {
                    Which::Any => Ok(()),
                    Which::Named(name) => write!(f, ":{name}"),
                    Which::At(number) => write!(f, ":@{number}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_are_read_and_written_back() {
        for (text, shown) in [
            ("docker://alpine", "docker://docker.io/library/alpine:latest"),
            ("docker://localhost:5000/a/b:1", "docker://localhost:5000/a/b:1"),
            ("dir:/tmp/a:b", "dir:/tmp/a:b"),
            ("oci:layout", "oci:layout"),
            ("oci:layout:v1", "oci:layout:v1"),
            ("oci:l:quay.io/a/b:v1", "oci:l:quay.io/a/b:v1"),
            ("oci:l:", "oci:l"),
            ("oci-archive:a.tar:@3", "oci-archive:a.tar:@3"),
            ("docker-archive:/x/a.tar", "docker-archive:/x/a.tar"),
            ("docker-archive:a.tar:busybox", "docker-archive:a.tar:docker.io/library/busybox:latest"),
            ("containers-storage:busybox", "containers-storage:busybox"),
        ] {
            assert_eq!(Transport::parse(text).unwrap().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn names_are_no_transports() {
        for text in
            ["alpine", "alpine:3", "docker:dind", "localhost:5000/a", "quay.io/a/b@sha256:x", "ocix:y", ""]
        {
            assert_eq!(Transport::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn nonsense_behind_a_transport_is_refused() {
        for text in [
            "dir:",
            "oci:",
            "oci::tag",
            "oci:l:a b",
            "oci:l:\u{1b}[2J",
            "oci:l:@x",
            "docker-archive:a.tar:UPPER/x y",
            "docker://",
            "docker://a b",
            "docker-daemon:x:1",
            "containers-storage:",
            "containers-storage:[vfs@/x]y",
            &format!("docker-archive:a.tar:x@sha256:{}", "0".repeat(64)),
        ] {
            assert!(Transport::parse(text).is_err(), "{text}");
        }
    }
}
