//! `manifest rm`.

use clap::Args;

use crate::base::error::{Result, is_not_found};
use crate::cli::image::rm::{print, remove_container};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::{RemoveOptions, lists, remove};

/// Remove lists of images; the images stay
#[derive(Debug, Args)]
pub struct ManifestRmArgs {
    /// Pass over lists that do not exist
    #[arg(short, long)]
    ignore: bool,
    /// Lists, by name or id
    #[arg(required = true, value_name = "LIST", add = names::images())]
    lists: Vec<String>,
}

impl ManifestRmArgs {
    /// Removes them and tells what went.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        ops.enter_stage()?;
        for list in &self.lists {
            match lists::list_named(ops, list) {
                Err(error) if is_not_found(&error) => {} // told below, as of images
                other => drop(other?),
            }
        }
        let options = RemoveOptions { ignore: self.ignore, ..RemoveOptions::default() };
        let (removed, outcome) = remove(ops, &self.lists, &options, &remove_container);
        print(session, &removed)?;
        session.out.flush()?;
        outcome
    }
}
