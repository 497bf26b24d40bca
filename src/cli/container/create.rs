//! `create`.

use clap::Args;

use super::create_args::CreateFlags;
use crate::base::error::Result;
use crate::cli::pull_source::Source;
use crate::cli::session::Session;
use crate::ops::container::create::{Made, create};
use crate::ops::create::{CreateOptions, Defaults};
use crate::ui::{printer, progress};

/// Make a container without starting it
#[derive(Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    flags: CreateFlags,
}

impl CreateArgs {
    /// Makes it and prints its id.
    pub fn run(self, session: &Session) -> Result<()> {
        let made = make(session, self.flags.options()?)?;
        print_warnings(session, &made.warnings);
        session.out.line(&made.container.config.id)
    }
}

/// Makes a container: the part that `create` and `run` share.
pub(super) fn make(session: &Session, options: CreateOptions) -> Result<Made> {
    let defaults = Defaults::from_config(session.config()?)?;
    let pull = Source::of_create(&options).options(session)?;
    let progress = progress::choose(options.quiet);
    create(session.ops()?, &options, &defaults, &pull, &*progress)
}

/// Docker's way: lines on stderr that do not stop anything.
pub(super) fn print_warnings(session: &Session, warnings: &[String]) {
    if session.global.level() >= 1 {
        warnings.iter().for_each(|warning| printer::warn(warning));
    }
}
