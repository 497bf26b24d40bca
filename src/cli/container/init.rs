//! `init`.

use clap::Args;

use super::select::{Named, print_names};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::container::run::init;
use crate::ops::container::select::Selection;

/// Set containers up, all but the start of their commands
#[derive(Debug, Args)]
pub struct InitArgs {
    #[command(flatten)]
    named: Named,
    /// All containers that do not run
    #[arg(short, long)]
    all: bool,
}

impl InitArgs {
    /// Sets them up.
    pub fn run(self, session: &Session) -> Result<()> {
        let select = Selection { all: self.all, ..self.named.select() };
        print_names(session, init(session.ops()?, &select)?)
    }
}
