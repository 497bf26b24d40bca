//! Commands about building: the nouns `builder` and `buildx`.

use clap::{Args, Subcommand};

use super::build::BuildArgs;
use crate::base::error::{Kind, Result, fail};
use crate::base::{time, units};
use crate::cli::session::Session;
use crate::ops::build::prune;
use crate::ui::{printer, prompt};

/// Commands about building
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum BuilderCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArgs>),
    /// Forget the steps that builds have done, and remove their caches
    Prune(BuilderPruneArgs),
}

impl BuilderCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            BuilderCommand::Build(args) => args.run(session),
            BuilderCommand::Prune(args) => args.run(session),
        }
    }
}

/// Forget the steps that builds have done, and remove their caches
#[derive(Debug, Args)]
pub struct BuilderPruneArgs {
    /// Docker's: everything that nobody uses goes anyway
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only what was made longer ago: until=DURATION
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
}

impl BuilderPruneArgs {
    /// Asks and removes.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut older = None;
        for filter in &self.filter {
            match filter.split_once('=') {
                Some(("until", text)) => older = Some(time::parse_duration(text)?),
                _ => return Err(fail(Kind::Usage, format!("`--filter {filter}` is not until=DURATION"))),
            }
        }
        if !self.force {
            printer::talk("WARNING! This will remove all build cache that no running build uses.");
            if !prompt::confirm("Are you sure you want to continue?")? {
                return Ok(());
            }
        }
        let gone = prune(session.ops()?, older)?;
        session.out.line(&format!("Total reclaimed space: {}", units::human(gone.bytes)))
    }
}
