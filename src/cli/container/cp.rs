//! `cp`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::container::copy::{CopyOptions, End, copy};

/// Copy files between a container and the host
#[derive(Debug, Args)]
pub struct CpArgs {
    /// Give what is copied to the container's user, or to the caller (default true)
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    archive: Option<bool>,
    /// Follow a link that is the source
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Let a directory be replaced by something else, and the other way round
    #[arg(long)]
    overwrite: bool,
    // Nothing is said anyway.
    #[arg(short, long, hide = true)]
    quiet: bool,
    /// CONTAINER:PATH, a path of the host, or - for an archive on standard input
    source: String,
    /// CONTAINER:PATH, a path of the host, or - for an archive on standard output
    destination: String,
}

impl CpArgs {
    /// Copies.
    pub fn run(self, session: &Session) -> Result<()> {
        let options = CopyOptions {
            archive: self.archive.unwrap_or(true),
            follow: self.follow_link,
            overwrite: self.overwrite,
        };
        copy(session.ops()?, &End::parse(&self.source), &End::parse(&self.destination), options)
    }
}
