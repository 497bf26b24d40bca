//! `manifest add`.

use clap::Args;

use super::Said;
use crate::base::error::Result;
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::ops::image::lists::{self, AddOptions};
use crate::registry::Platform;

/// Add images to a list and print its id
#[derive(Debug, Args)]
pub struct ManifestAddArgs {
    /// Of images that are lists, add all images
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    reach: Reach,
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
    /// Images: of the store, of a registry, or with a transport in front
    #[arg(required = true, value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ManifestAddArgs {
    /// Adds them.
    pub fn run(self, session: &Session) -> Result<()> {
        let changes = self.said.changes()?;
        let mut reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        // As with Podman, they also choose the image when it comes from a list.
        if changes.os.is_some() || changes.arch.is_some() {
            let parts = [&changes.os, &changes.arch, &changes.variant].map(Option::as_deref);
            reach.platform = Some(Platform::host_with(parts[0], parts[1], parts[2]));
        }
        let options = AddOptions { all: self.all, changes, reach };
        let ops = session.ops()?;
        ops.enter_stage()?;
        session.out.line(lists::add(ops, &self.list, &self.images, &options)?.hex())
    }
}
