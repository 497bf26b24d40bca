//! `container prune`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::container::rm::prune;
use crate::ui::{printer, prompt};

/// Remove all containers that do not run
#[derive(Debug, Args)]
pub struct ContainerPruneArgs {
    /// Only those that fit: label=…, label!=… or until=…
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl ContainerPruneArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        if !self.force {
            printer::talk("WARNING! This will remove all stopped containers.");
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        session.ops()?.enter_stage()?;
        let pruned = prune(session.ops()?, &self.filter)?;
        reclaimed::print_list(session, "Deleted Containers", &pruned.ids)?;
        reclaimed::print(session, pruned.freed)
    }
}
