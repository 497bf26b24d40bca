//! `artifact extract`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::image::artifacts::{self, Pick};

/// Write the files of an artifact
///
/// Into a directory they go under their titles; a file takes one of them.
#[derive(Debug, Args)]
pub struct ArtifactExtractArgs {
    /// Only the file with this digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "title")]
    digest: Option<String>,
    /// Only the file with this title
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
    /// The artifact, by name or digest
    #[arg(value_name = "ARTIFACT")]
    artifact: String,
    /// A directory, or the file to write
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

impl ArtifactExtractArgs {
    /// Writes them.
    pub fn run(self, session: &Session) -> Result<()> {
        let pick = Pick { title: self.title, digest: self.digest };
        artifacts::extract(session.ops()?, &self.artifact, &self.path, &pick)
    }
}
