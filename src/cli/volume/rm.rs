//! `volume rm`.

use clap::Args;

use crate::base::error::{Collected, Kind, Result, fail, is_not_found};
use crate::cli::names;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::volumes::{list, remove};

/// Remove volumes
#[derive(Debug, Args)]
pub struct VolumeRmArgs {
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// With the containers that use them
    #[arg(short, long)]
    force: bool,
    /// Seconds that --force waits before it kills a container
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true, hide = true)]
    time: Option<i64>,
    /// Names
    #[arg(value_name = "VOLUME", add = names::volumes())]
    names: Vec<String>,
}

impl VolumeRmArgs {
    /// Removes them and prints their names.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.names.is_empty() != self.all {
            return Err(fail(Kind::Usage, "give names of volumes, or `--all`"));
        }
        if self.time.is_some() {
            return Err(crate::cli::refuse::flag_error("--time", "dhow volume rm"));
        }
        let ops = session.ops()?;
        let names = match self.all {
            true => list(ops, &[])?.0.into_iter().map(|one| one.volume.name).collect(),
            false => self.names,
        };
        let (mut failed, mut all_freed) = (Collected::default(), 0);
        for name in &names {
            match remove(ops, name, self.force) {
                Ok((name, freed)) => {
                    all_freed += freed;
                    session.out.line(&name)?;
                }
                Err(error) if self.force && is_not_found(&error) => {}
                Err(error) => drop(failed.note::<()>(Err(error))),
            }
        }
        session.out.flush()?;
        reclaimed::tell(all_freed);
        failed.finish_removal()
    }
}
