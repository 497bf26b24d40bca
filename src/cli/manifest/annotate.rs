//! `manifest annotate`.

use clap::Args;

use super::Said;
use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::lists::{self, AnnotateOptions};

/// Say something about an image of a list, or about the list, and print its id
#[derive(Debug, Args)]
pub struct ManifestAnnotateArgs {
    #[command(flatten)]
    said: Said,
    /// The annotations are of the list itself
    #[arg(long)]
    index: bool,
    /// The image to which the list belongs
    #[arg(long, value_name = "IMAGE")]
    subject: Option<String>,
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
    /// The image in it, by digest or by its name in the store
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
}

impl ManifestAnnotateArgs {
    /// Says it.
    pub fn run(self, session: &Session) -> Result<()> {
        let options = AnnotateOptions {
            changes: self.said.changes()?,
            index: self.index,
            subject: self.subject,
            ..AnnotateOptions::default()
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        session.out.line(lists::annotate(ops, &self.list, self.image.as_deref(), &options)?.hex())
    }
}
