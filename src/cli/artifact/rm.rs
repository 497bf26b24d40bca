//! `artifact rm`.

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::session::Session;
use crate::ops::image::artifacts;

/// Remove artifacts and print their digests
#[derive(Debug, Args)]
pub struct ArtifactRmArgs {
    /// All artifacts
    #[arg(short, long)]
    all: bool,
    /// Pass over artifacts that do not exist
    #[arg(short, long)]
    ignore: bool,
    /// Artifacts, by name or digest
    #[arg(value_name = "ARTIFACT")]
    artifacts: Vec<String>,
}

impl ArtifactRmArgs {
    /// Removes them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.all != self.artifacts.is_empty() {
            let message =
                if self.all { "artifacts and `--all` cannot go together" } else { "no artifact was named" };
            return Err(fail(Kind::Usage, message));
        }
        let (gone, outcome) = artifacts::remove(session.ops()?, &self.artifacts, self.all, self.ignore);
        gone.iter().try_for_each(|digest| session.out.line(digest.hex()))?;
        session.out.flush()?;
        outcome
    }
}
