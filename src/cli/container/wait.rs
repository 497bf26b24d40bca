//! `wait`.

use std::time::Duration;

use clap::Args;

use super::select::{Named, print_done};
use crate::base::error::Result;
use crate::base::time;
use crate::cli::session::Session;
use crate::ops::container::wait::{Condition, WaitOptions, wait};

/// Wait for containers to end and print their exit codes
#[derive(Debug, Args)]
pub struct WaitArgs {
    #[command(flatten)]
    named: Named,
    /// State to wait for instead of the end
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    condition: Vec<String>,
    /// Time between looks: milliseconds or a duration
    #[arg(short, long, value_name = "DURATION", default_value = "250ms", value_parser = interval)]
    interval: Duration,
    /// Let the first container that is there end the wait
    #[arg(long)]
    exit_first_match: bool,
    /// Pass over containers that do not exist
    #[arg(long)]
    ignore: bool,
}

impl WaitArgs {
    /// Waits for them.
    pub fn run(self, session: &Session) -> Result<()> {
        let select = self.named.select();
        let conditions = self.condition.iter().map(|word| Condition::parse(word)).collect::<Result<_>>()?;
        let options = WaitOptions {
            select,
            conditions,
            interval: self.interval,
            first: self.exit_first_match,
            ignore: self.ignore,
        };
        print_done(session, wait(session.ops()?, &options)?, |_, code| code.to_string())
    }
}

/// A plain number is milliseconds here.
fn interval(text: &str) -> Result<Duration> {
    text.parse().map(Duration::from_millis).or_else(|_| time::parse_duration(text))
}
