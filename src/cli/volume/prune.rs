//! `volume prune`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::volumes::{list, prune};
use crate::ui::{printer, prompt};

/// Remove volumes that nothing uses
#[derive(Debug, Args)]
pub struct VolumePruneArgs {
    /// Named ones too, not only anonymous ones
    #[arg(short, long)]
    all: bool,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
    /// Only those that fit: label=…, label!=… or until=…
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl VolumePruneArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        if self.dry_run {
            let (listed, _) = list(ops, &self.filter)?;
            let doomed =
                listed.iter().filter(|one| one.users.is_empty() && (self.all || one.volume.anonymous));
            return doomed.into_iter().try_for_each(|one| session.out.line(&one.volume.name));
        }
        if !self.force {
            let which = if self.all { "volumes" } else { "anonymous volumes" };
            printer::talk(&format!("WARNING! This will remove all {which} that no container uses."));
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        let pruned = prune(ops, &self.filter, self.all)?;
        reclaimed::print_list(session, "Deleted Volumes", &pruned.names)?;
        reclaimed::print(session, pruned.freed)
    }
}
