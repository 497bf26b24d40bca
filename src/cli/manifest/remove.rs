//! `manifest remove`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::lists;

/// Take an image out of a list and print the list's id
#[derive(Debug, Args)]
pub struct ManifestRemoveArgs {
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
    /// The image in it, by digest or by its name in the store
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl ManifestRemoveArgs {
    /// Takes it out.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        ops.enter_stage()?;
        session.out.line(lists::remove(ops, &self.list, &self.image)?.hex())
    }
}
