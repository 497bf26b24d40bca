//! Commands about volumes.

pub mod create;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod prune;
pub mod rm;
mod row;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about volumes
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum VolumeCommand {
    /// Make a volume
    Create(create::VolumeCreateArgs),
    /// Tell by the exit code whether a volume exists
    Exists(exists::VolumeExistsArgs),
    /// Show everything about volumes
    Inspect(inspect::VolumeInspectArgs),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(ls::VolumeLsArgs),
    /// Remove volumes that nothing uses
    Prune(prune::VolumePruneArgs),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(rm::VolumeRmArgs),
}

impl VolumeCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            VolumeCommand::Create(args) => args.run(session),
            VolumeCommand::Exists(args) => args.run(session),
            VolumeCommand::Inspect(args) => args.run(session),
            VolumeCommand::Ls(args) => args.run(session),
            VolumeCommand::Prune(args) => args.run(session),
            VolumeCommand::Rm(args) => args.run(session),
        }
    }
}
