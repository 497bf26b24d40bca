//! The forms in which images travel as files.
//!
//! ```text
//! members    a tar or a directory, by exact names        scan      the index of a tar
//! read       which images are in it                      save      writing one
//! manifests  manifests made here                         tarball   tar members made here
//! ```

pub mod manifests;
pub mod members;
pub mod read;
pub mod save;
mod scan;
pub mod tarball;

use std::str::FromStr;

use crate::base::error::{Error, Kind, Result, fail};

/// A form of images as files (`save --format`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// What `docker save` writes: a tar with `manifest.json`.
    #[default]
    DockerArchive,
    /// An OCI image layout in a tar.
    OciArchive,
    /// An OCI image layout in a directory.
    OciDir,
    /// Skopeo's `dir:`: manifest and blobs side by side in a directory.
    DockerDir,
}

impl Format {
    /// Whether it is a directory rather than one stream.
    pub fn is_directory(self) -> bool {
        matches!(self, Format::OciDir | Format::DockerDir)
    }
}

impl FromStr for Format {
    type Err = Error;
    fn from_str(text: &str) -> Result<Format> {
        match text {
            "docker-archive" => Ok(Format::DockerArchive),
            "oci-archive" => Ok(Format::OciArchive),
            "oci-dir" => Ok(Format::OciDir),
            "docker-dir" => Ok(Format::DockerDir),
            _ => Err(fail(
                Kind::Usage,
                format!("`{text}` is not a format: docker-archive, oci-archive, oci-dir or docker-dir"),
            )),
        }
    }
}
