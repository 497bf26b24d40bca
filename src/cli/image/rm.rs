//! `rmi`, `image rm`.

use clap::Args;

use crate::base::error::{Collected, Error, Kind, Result, fail};
use crate::cli::session::Session;
use crate::cli::{names, reclaimed, refuse};
use crate::ops::container::rm::{RmOptions, rm};
use crate::ops::container::select::Selection;
use crate::ops::context::Context;
use crate::ops::image::{RemoveOptions, Removed, remove};

/// Remove images
#[derive(Debug, Args)]
pub struct ImageRmArgs {
    /// All images
    #[arg(short, long)]
    all: bool,
    /// With all their names, and the containers made from them
    #[arg(short, long)]
    force: bool,
    /// Pass over images that do not exist
    #[arg(short, long)]
    ignore: bool,
    /// Keep parents that have no name
    #[arg(long)]
    no_prune: bool,
    #[arg(long, hide = true)]
    platform: Vec<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ImageRmArgs {
    /// Removes them and tells what went.
    pub fn run(self, session: &Session) -> Result<()> {
        if !self.platform.is_empty() {
            return Err(refuse::flag_error("--platform", "dhow rmi"));
        }
        if self.images.is_empty() != self.all {
            return Err(wrong_choice(self.all));
        }
        let options = RemoveOptions {
            force: self.force,
            ignore: self.ignore || self.force,
            all: self.all,
            no_prune: self.no_prune,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let (removed, outcome) = remove(ops, &self.images, &options, &remove_container);
        print(session, &removed)?;
        if removed.freed > 0 {
            reclaimed::print(session, removed.freed)?;
        }
        session.out.flush()?;
        outcome
    }
}

fn wrong_choice(all: bool) -> Error {
    let message = if all { "images and `--all` cannot go together" } else { "no image was named" };
    fail(Kind::Usage, message)
}

/// `--force` takes the containers of an image too.
pub(in crate::cli) fn remove_container(ops: &Context, id: &str) -> Result<u64> {
    let options =
        RmOptions { select: Selection::one(id), force: true, time: Some(0), ..RmOptions::default() };
    let (mut failed, mut freed) = (Collected::default(), 0);
    for done in rm(ops, &options)? {
        freed += failed.note(done.result).unwrap_or(0);
    }
    failed.finish().map(|()| freed)
}

/// Prints what went.
pub(in crate::cli) fn print(session: &Session, removed: &Removed) -> Result<()> {
    removed.untagged.iter().try_for_each(|name| session.out.line(&format!("Untagged: {name}")))?;
    removed.deleted.iter().try_for_each(|id| session.out.line(&format!("Deleted: {id}")))
}
