//! `system check`.

use std::time::Duration;

use clap::Args;

use crate::base::error::{Explain, Kind, Result, fail};
use crate::base::time;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::system::{CheckOptions, check};

/// Look for damage in the store: records that cannot be read, layers that are gone or not what they were
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Do not read the content of layers
    #[arg(short, long)]
    quick: bool,
    /// Remove what is damaged, as far as no container needs it
    #[arg(short, long)]
    repair: bool,
    /// Remove what is damaged, with containers that stand on it and volumes
    #[arg(short, long)]
    force: bool,
    /// How long a layer may lie in the store with nothing that refers to it
    #[arg(short, long, value_name = "DURATION", default_value = "24h", value_parser = time::parse_duration)]
    max: Duration,
}

impl CheckArgs {
    /// Prints a line a problem; what is left of them is an error.
    pub fn run(self, session: &Session) -> Result<()> {
        let CheckArgs { quick, repair, force, max } = self;
        let (checked, outcome) = check(session.ops()?, &CheckOptions { quick, repair, force, max_age: max })?;
        for problem in &checked.problems {
            let done = if problem.repaired { " (removed)" } else { "" };
            session.out.line(&format!("{}: {}{done}", problem.what, problem.why))?;
        }
        if repair || force {
            reclaimed::print(session, checked.freed)?;
        }
        session.out.flush()?;
        outcome?;
        match checked.left() {
            0 => Ok(()),
            left => {
                let things = if left == 1 { "thing is" } else { "things are" };
                let error = fail(Kind::Failed, format!("{left} {things} damaged"));
                Err(error.hint(if repair && !force {
                    "what containers stand on, and volumes, go only with `--force`"
                } else {
                    "`system check --repair` removes what is damaged"
                }))
            }
        }
    }
}
