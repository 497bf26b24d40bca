//! Commands about the store as a whole: the noun `system`.

pub mod check;
pub mod df;
mod df_rows;
pub mod prune;
pub mod reset;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about the store as a whole
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum SystemCommand {
    /// Look for damage in the store
    Check(check::CheckArgs),
    /// Show what the store takes on disk
    Df(df::DfArgs),
    /// Show what happens to containers, images and volumes
    Events(super::events::EventsArgs),
    /// Show facts about this host and the store
    Info(super::info::InfoArgs),
    /// Bring containers to a new version of dhow
    Migrate(reset::MigrateArgs),
    /// Remove what nothing needs
    Prune(prune::SystemPruneArgs),
    /// Give containers new lock numbers
    Renumber(reset::RenumberArgs),
    /// Remove everything
    Reset(reset::ResetArgs),
}

impl SystemCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            SystemCommand::Check(args) => args.run(session),
            SystemCommand::Df(args) => args.run(session),
            SystemCommand::Events(args) => args.run(session),
            SystemCommand::Info(args) => args.run(session),
            SystemCommand::Migrate(args) => args.run(session),
            SystemCommand::Prune(args) => args.run(session),
            SystemCommand::Renumber(args) => args.run(),
            SystemCommand::Reset(args) => args.run(session),
        }
    }
}
