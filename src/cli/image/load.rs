//! `load`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::refuse;
use crate::cli::session::Session;
use crate::ops::image::{LoadSource, Loaded, load};
use crate::ui::progress;

/// Load images from an archive
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// File or directory to read; stdin otherwise
    #[arg(short, long, value_name = "PATH")]
    input: Option<PathBuf>,
    /// Say nothing on the way
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    platform: Option<String>,
}

impl LoadArgs {
    /// Loads them and prints their names.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.platform.is_some() {
            return Err(refuse::flag_error("--platform", "dhow load"));
        }
        let source = match self.input {
            Some(path) => LoadSource::Path(path),
            None if io::stdin().is_terminal() => {
                return Err(fail(Kind::Usage, "cannot load from a terminal: use `--input` or a pipe"));
            }
            None => LoadSource::Stdin,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        print_loaded(session, &load(ops, &source, &*progress::choose(self.quiet))?)
    }
}

/// A line a name; an image without a name by its id.
pub(super) fn print_loaded(session: &Session, all: &[Loaded]) -> Result<()> {
    for loaded in all {
        match loaded.names.is_empty() {
            true => session.out.line(&format!("Loaded image: {}", loaded.id))?,
            false => {
                loaded
                    .names
                    .iter()
                    .try_for_each(|name| session.out.line(&format!("Loaded image: {name}")))?;
            }
        }
    }
    Ok(())
}
