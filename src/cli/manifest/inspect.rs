//! `manifest inspect`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::refuse;
use crate::cli::session::Session;
use crate::ops::image::lists;
use crate::ui::json;

/// Show a list of images: of the store, else of a registry
#[derive(Debug, Args)]
pub struct ManifestInspectArgs {
    #[command(flatten)]
    reach: Reach,
    /// Docker's name for `--tls-verify=false`
    #[arg(long, hide = true, conflicts_with = "tls_verify")]
    insecure: bool,
    #[arg(short, long, hide = true)]
    verbose: bool,
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
}

impl ManifestInspectArgs {
    /// Shows it.
    pub fn run(mut self, session: &Session) -> Result<()> {
        if self.verbose {
            return Err(refuse::flag_error("--verbose", "dhow manifest inspect"));
        }
        if self.insecure {
            self.reach.tls_verify = Some(false);
        }
        let reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        let (document, warning) = lists::inspect(session.ops()?, &self.list, &reach)?;
        warning.iter().for_each(|warning| session.warn(warning));
        json::print(&session.out, &document)
    }
}
