//! Commands about artifacts: files that registries keep beside images.

pub mod add;
pub mod extract;
pub mod inspect;
pub mod ls;
pub mod pull;
pub mod push;
pub mod rm;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about artifacts
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ArtifactCommand {
    /// Make an artifact of files
    Add(add::ArtifactAddArgs),
    /// Write the files of an artifact
    Extract(extract::ArtifactExtractArgs),
    /// Show everything about an artifact
    Inspect(inspect::ArtifactInspectArgs),
    /// List artifacts
    #[command(visible_alias = "list")]
    Ls(ls::ArtifactLsArgs),
    /// Pull an artifact from a registry
    Pull(pull::ArtifactPullArgs),
    /// Push an artifact to a registry
    Push(push::ArtifactPushArgs),
    /// Remove artifacts
    #[command(visible_alias = "remove")]
    Rm(rm::ArtifactRmArgs),
}

impl ArtifactCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            ArtifactCommand::Add(args) => args.run(session),
            ArtifactCommand::Extract(args) => args.run(session),
            ArtifactCommand::Inspect(args) => args.run(session),
            ArtifactCommand::Ls(args) => args.run(session),
            ArtifactCommand::Pull(args) => args.run(session),
            ArtifactCommand::Push(args) => args.run(session),
            ArtifactCommand::Rm(args) => args.run(session),
        }
    }
}
