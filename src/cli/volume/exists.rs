//! `volume exists`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::volumes::exists;

/// Tell by the exit code whether a volume exists: 0 or 1
#[derive(Debug, Args)]
pub struct VolumeExistsArgs {
    /// Name
    #[arg(add = names::volumes())]
    volume: String,
}

impl VolumeExistsArgs {
    /// Looks.
    pub fn run(self, session: &Session) -> Result<()> {
        exists(session.ops()?, &self.volume)
    }
}
