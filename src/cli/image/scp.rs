//! `image scp`.

use clap::Args;

use super::load::print_loaded;
use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::image::archive::Format;
use crate::ops::image::{End, SaveOptions, scp};
use crate::ui::{printer, progress};

/// Copy an image to or from another machine, through ssh and the dhow or podman there
#[derive(Debug, Args)]
pub struct ImageScpArgs {
    /// Form of the archive in between: docker-archive or oci-archive
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive", hide_default_value = true)]
    format: Format,
    /// Say nothing on the way
    #[arg(short, long)]
    quiet: bool,
    /// IMAGE, or [USER@]HOST[:PORT]::IMAGE
    #[arg(value_name = "SOURCE", add = names::images())]
    source: String,
    /// [USER@]HOST[:PORT]::, or another name for an image that comes here
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl ImageScpArgs {
    /// Copies it.
    pub fn run(self, session: &Session) -> Result<()> {
        let from = End::parse(&self.source)?;
        let to = self.destination.as_deref().map(End::parse).transpose()?;
        if self.format.is_directory() {
            return Err(crate::cli::refuse::flag_error("--format", "dhow image scp"));
        }
        let options = SaveOptions { format: self.format, ..SaveOptions::default() };
        let quiet = self.quiet || !printer::stderr_is_terminal();
        let loaded = scp(session.ops()?, &from, to.as_ref(), &options, &*progress::choose(quiet))?;
        print_loaded(session, &loaded)
    }
}
