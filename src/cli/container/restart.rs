//! `restart`.

use clap::Args;

use super::select::{Filtered, print_names};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::cli::values;
use crate::ops::container::run::restart;
use crate::ops::container::select::Selection;

/// Stop containers and start them again
#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    which: Filtered,
    /// All that run now
    #[arg(long)]
    running: bool,
    /// Signal to send in place of the container's own
    #[arg(short, long, value_name = "SIGNAL", value_parser = values::signal)]
    signal: Option<i32>,
    /// Seconds to wait before KILL; -1 is for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
}

impl RestartArgs {
    /// Restarts them.
    pub fn run(self, session: &Session) -> Result<()> {
        let select = self.which.select();
        let select = Selection { all: select.all || self.running, ..select };
        print_names(session, restart(session.ops()?, &select, self.running, self.time, self.signal)?)
    }
}
