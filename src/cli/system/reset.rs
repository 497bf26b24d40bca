//! `system reset`, `system migrate` and `system renumber`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::refuse;
use crate::cli::session::Session;
use crate::ops::system::reset;
use crate::ui::{printer, prompt};

/// Remove everything: containers, images, volumes and all else that dhow keeps
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl ResetArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        if !self.force {
            printer::talk(&format!(
                "WARNING! This will remove:\n        - all containers, and end those that run\n        - all images\n\
                 \x20       - all volumes, with what is in them\n        - all build cache\n\
                 \x20       - all else that dhow keeps in `{}` and `{}`",
                session.roots.root.display(),
                session.roots.run.display()
            ));
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        reset(session.ops()?)
    }
}

/// Bring containers to a new version of dhow; every command does that by itself
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[arg(long, hide = true)]
    new_runtime: Option<String>,
    #[arg(long, hide = true)]
    migrate_db: bool,
}

impl MigrateArgs {
    /// Says that there is nothing to do, once the store turned out to be one that this version reads.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.new_runtime.is_some() {
            return Err(refuse::flag_error("--new-runtime", "dhow system migrate"));
        }
        if self.migrate_db {
            return Err(refuse::flag_error("--migrate-db", "dhow system migrate"));
        }
        session.ops()?.enter_stage()?;
        session.ops()?.layers()?;
        printer::talk("nothing to migrate: the store has the format of this version");
        Ok(())
    }
}

/// Give containers new lock numbers; dhow has none
#[derive(Debug, Args)]
pub struct RenumberArgs {}

impl RenumberArgs {
    /// Says that there is nothing to do.
    pub fn run(self) -> Result<()> {
        printer::talk("nothing to renumber: every container has a lock file of its own");
        Ok(())
    }
}
