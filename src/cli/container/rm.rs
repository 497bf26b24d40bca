//! `rm`.

use std::path::PathBuf;

use clap::Args;

use super::select::{Named, print_removed};
use crate::base::error::{Explain, Result};
use crate::cli::refuse;
use crate::cli::session::Session;
use crate::ops::container::rm::{RmOptions, rm};
use crate::ops::container::select::Selection;

/// Remove containers
#[derive(Debug, Args)]
pub struct RmArgs {
    #[command(flatten)]
    named: Named,
    /// All containers
    #[arg(short, long)]
    all: bool,
    /// Running ones too: they are stopped, or killed with --time 0
    #[arg(short, long)]
    force: bool,
    /// Only those that fit: KEY=VALUE
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// File that holds the id
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Pass over containers that do not exist
    #[arg(short, long)]
    ignore: bool,
    /// Containers that depend on them too
    #[arg(long)]
    depend: bool,
    /// Their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Seconds that --force waits before KILL; -1 is for ever
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    #[arg(long, hide = true)]
    link: bool,
}

impl RmArgs {
    /// Removes them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.link {
            return Err(refuse::flag_error("--link", "dhow rm")
                .hint("there are no links to remove; `dhow rm CONTAINER` removes the container"));
        }
        let select = Selection {
            all: self.all,
            filters: self.filter,
            cid_files: self.cidfile,
            // As with podman and docker, force also means that nothing has to be there.
            ignore: self.ignore || self.force,
            ..self.named.select()
        };
        let (force, volumes, depend) = (self.force, self.volumes, self.depend);
        let options =
            RmOptions { select, force, volumes, depend, time: self.time.or(self.force.then_some(10)) };
        session.ops()?.enter_stage()?;
        print_removed(session, rm(session.ops()?, &options)?)
    }
}
