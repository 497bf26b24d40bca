//! Commands about the store as a whole: the noun `system`.

pub mod df;
pub mod prune;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about the store as a whole
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum SystemCommand {
    /// Show what the store takes on disk
    Df(df::DfArgs),
    /// Show what happens to containers, images and volumes
    Events(super::events::EventsArgs),
    /// Show facts about this host and the store
    Info(super::info::InfoArgs),
    /// Remove what nothing needs
    Prune(prune::SystemPruneArgs),
}

impl SystemCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            SystemCommand::Df(args) => args.run(session),
            SystemCommand::Events(args) => args.run(session),
            SystemCommand::Info(args) => args.run(session),
            SystemCommand::Prune(args) => args.run(session),
        }
    }
}
