//! `stop`.

use clap::Args;

use super::select::{Filtered, print_names};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::cli::values;
use crate::ops::container::stop::{StopOptions, stop};

/// Stop running containers: a signal first, then KILL
#[derive(Debug, Args)]
pub struct StopArgs {
    #[command(flatten)]
    which: Filtered,
    /// Pass over containers that do not exist
    #[arg(short, long)]
    ignore: bool,
    /// Signal to send in place of the container's own
    #[arg(short, long, value_name = "SIGNAL", value_parser = values::signal)]
    signal: Option<i32>,
    /// Seconds to wait before KILL; -1 is for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
}

impl StopArgs {
    /// Stops them.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut select = self.which.select();
        select.ignore = self.ignore;
        let options = StopOptions { select, signal: self.signal, time: self.time };
        print_names(session, stop(session.ops()?, &options)?)
    }
}
