//! `image prune`.

use clap::Args;

use super::rm::print;
use crate::base::error::Result;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::build;
use crate::ops::image::{Filter, PruneOptions, prune};
use crate::ui::{printer, prompt};

/// Remove images that nothing needs
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// All that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// What builds keep, too
    #[arg(long)]
    build_cache: bool,
    /// Those that containers of other tools use, too; dhow shares its store with none
    #[arg(long)]
    external: bool,
    /// Only those that fit: label=…, label!=…, until=… or dangling=…
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl ImagePruneArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        let _ = self.external; // nobody else has containers here: every prune does what it asks for
        let filters = self.filter.iter().map(|text| Filter::parse(text)).collect::<Result<_>>()?;
        if !self.force {
            let which = if self.all { "images without a container" } else { "dangling images" };
            let cache = if self.build_cache { " and all build cache" } else { "" };
            printer::talk(&format!("WARNING! This will remove all {which}{cache}."));
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        let ops = session.ops()?;
        ops.enter_stage()?;
        let removed = prune(ops, &PruneOptions { all: self.all, filters })?;
        print(session, &removed)?;
        let cache = if self.build_cache { build::prune(ops, None)?.bytes } else { 0 };
        reclaimed::print(session, removed.freed + cache)
    }
}
