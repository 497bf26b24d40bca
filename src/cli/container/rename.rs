//! `rename`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::rm::rename;

/// Give a container another name
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Name or id
    #[arg(add = names::containers())]
    container: String,
    /// The new name
    name: String,
}

impl RenameArgs {
    /// Renames it.
    pub fn run(self, session: &Session) -> Result<()> {
        rename(session.ops()?, &self.container, &self.name)
    }
}
