//! `container exists`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::rm::exists;

/// Tell by the exit code whether a container exists: 0 or 1
#[derive(Debug, Args)]
pub struct ContainerExistsArgs {
    /// Look for containers of other tools too; nobody else has any in this store
    #[arg(long)]
    external: bool,
    /// Name or id
    #[arg(add = names::containers())]
    container: String,
}

impl ContainerExistsArgs {
    /// Looks.
    pub fn run(self, session: &Session) -> Result<()> {
        exists(session.ops()?, &self.container)
    }
}
