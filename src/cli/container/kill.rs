//! `kill`.

use std::path::PathBuf;

use clap::Args;

use super::select::{Named, print_names};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::cli::values;
use crate::ops::container::select::Selection;
use crate::ops::container::stop::kill;

/// Send a signal to running containers: KILL if none is named
#[derive(Debug, Args)]
pub struct KillArgs {
    #[command(flatten)]
    named: Named,
    /// All running containers
    #[arg(short, long)]
    all: bool,
    /// File that holds the id
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
    /// Signal to send
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", value_parser = values::signal)]
    signal: i32,
}

impl KillArgs {
    /// Signals them.
    pub fn run(self, session: &Session) -> Result<()> {
        let select = Selection { all: self.all, cid_files: self.cidfile, ..self.named.select() };
        print_names(session, kill(session.ops()?, &select, self.signal)?)
    }
}
