//! `pause` and `unpause`.

use clap::Args;

use super::select::{Filtered, print_names};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::container::stop;

/// Freeze all processes of running containers
#[derive(Debug, Args)]
pub struct PauseArgs {
    #[command(flatten)]
    which: Filtered,
}

impl PauseArgs {
    /// Freezes them.
    pub fn run(self, session: &Session) -> Result<()> {
        print_names(session, stop::pause(session.ops()?, &self.which.select())?)
    }
}

/// Let frozen containers go on
#[derive(Debug, Args)]
pub struct UnpauseArgs {
    #[command(flatten)]
    which: Filtered,
}

impl UnpauseArgs {
    /// Thaws them.
    pub fn run(self, session: &Session) -> Result<()> {
        print_names(session, stop::unpause(session.ops()?, &self.which.select())?)
    }
}
