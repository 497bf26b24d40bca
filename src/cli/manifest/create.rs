//! `manifest create`.

use clap::Args;

use super::annotations;
use crate::base::error::Result;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::ops::image::lists::{self, AddOptions};

/// Make a list of images and print its id
#[derive(Debug, Args)]
pub struct ManifestCreateArgs {
    /// Of images that are lists, add all images
    #[arg(long)]
    all: bool,
    /// Add to a list that is there already
    #[arg(short, long)]
    amend: bool,
    /// Annotation of the list: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Docker's name for `--tls-verify=false`
    #[arg(long, hide = true, conflicts_with = "tls_verify")]
    insecure: bool,
    #[command(flatten)]
    reach: Reach,
    /// Name of the list
    #[arg(value_name = "LIST")]
    list: String,
    /// Images to put into it
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

impl ManifestCreateArgs {
    /// Makes it.
    pub fn run(mut self, session: &Session) -> Result<()> {
        if self.insecure {
            self.reach.tls_verify = Some(false);
        }
        let annotations = annotations(&self.annotation)?;
        let reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        let options = AddOptions { all: self.all, reach, ..AddOptions::default() };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let id = lists::create(ops, &self.list, &self.images, self.amend, annotations, &options)?;
        session.out.line(id.hex())
    }
}
