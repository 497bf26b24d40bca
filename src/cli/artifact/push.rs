//! `artifact push`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::base::fs::{self, Durability};
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::ops::image::artifacts;
use crate::ui::progress;

/// Push an artifact to a registry
#[derive(Debug, Args)]
pub struct ArtifactPushArgs {
    /// Write the digest of the pushed manifest to a file
    #[arg(long, value_name = "PATH")]
    digestfile: Option<PathBuf>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    reach: Reach,
    /// The artifact, by name or digest
    #[arg(value_name = "ARTIFACT")]
    artifact: String,
    /// Where to, if not where its name says
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl ArtifactPushArgs {
    /// Pushes it.
    pub fn run(self, session: &Session) -> Result<()> {
        let reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        let progress = progress::choose(self.quiet);
        let to = self.destination.as_deref();
        let digest = artifacts::push(session.ops()?, &self.artifact, to, &reach, &*progress)?;
        match &self.digestfile {
            Some(path) => fs::replace(path, digest.as_str().as_bytes(), 0o644, Durability::Volatile),
            None => Ok(()),
        }
    }
}
