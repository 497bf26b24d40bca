//! `system prune`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::system::{SystemPrune, prune, sweep};
use crate::ui::{printer, prompt};

/// Remove what nothing needs: stopped containers, dangling images, the build cache, with --volumes unused volumes
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// All images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// What builds keep, also with a filter
    #[arg(long)]
    build: bool,
    /// Only what commands that were killed left behind
    #[arg(long, conflicts_with_all = ["all", "build", "filter", "volumes"])]
    external: bool,
    /// Only those that fit: label=…, label!=… or until=…
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
}

impl SystemPruneArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.external {
            return sweep(session.ops()?);
        }
        if !self.force {
            let images = if self.all { "images without a container" } else { "dangling images" };
            let cache = if self.build || self.filter.is_empty() { ", all build cache" } else { "" };
            let volumes = if self.volumes { ", all volumes that no container uses" } else { "" };
            printer::talk(&format!(
                "WARNING! This will remove all stopped containers{volumes}{cache} and all {images}."
            ));
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        let options =
            SystemPrune { all: self.all, build: self.build, volumes: self.volumes, filters: self.filter };
        let pruned = prune(session.ops()?, &options)?;
        let images: Vec<String> = pruned.images.iter().map(|id| id.hex().to_owned()).collect();
        reclaimed::print_list(session, "Deleted Containers", &pruned.containers)?;
        reclaimed::print_list(session, "Deleted Volumes", &pruned.volumes)?;
        reclaimed::print_list(session, "Deleted Images", &images)?;
        reclaimed::print(session, pruned.freed)
    }
}
