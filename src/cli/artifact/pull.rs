//! `artifact pull`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::ops::image::artifacts;
use crate::ui::progress;

/// Pull an artifact from a registry and print its digest
#[derive(Debug, Args)]
pub struct ArtifactPullArgs {
    /// Only print the digest
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    reach: Reach,
    /// The artifact
    #[arg(value_name = "ARTIFACT")]
    artifact: String,
}

impl ArtifactPullArgs {
    /// Pulls it.
    pub fn run(self, session: &Session) -> Result<()> {
        let reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        let progress = progress::choose(self.quiet);
        let digest = artifacts::pull(session.ops()?, &self.artifact, &reach, &*progress)?;
        session.out.line(digest.hex())
    }
}
