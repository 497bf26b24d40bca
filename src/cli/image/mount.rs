//! `image mount` and `image unmount`.

use clap::Args;
use serde_json::json;

use crate::base::error::{Collected, Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::{Mounted, mount_image, mounted, unmount};
use crate::ui::{json, table};

/// Mount images read-only and print where; without a name, list what is mounted
#[derive(Debug, Args)]
pub struct ImageMountArgs {
    /// All images
    #[arg(short, long)]
    all: bool,
    /// `json` for the list
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ImageMountArgs {
    /// Mounts them, or lists.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let images = match (self.all, self.images.is_empty()) {
            (true, false) => return Err(fail(Kind::Usage, "images and `--all` cannot go together")),
            (true, true) => ops.images().list()?.images.iter().map(|image| image.id.to_string()).collect(),
            (false, _) => self.images.clone(),
        };
        if images.is_empty() && !self.all {
            return self.show(session, &mounted(ops)?);
        }
        let mut failed = Collected::default();
        let done: Vec<Mounted> =
            images.iter().filter_map(|image| failed.note(mount_image(ops, image))).collect();
        match (self.format.is_some() || images.len() > 1, done.first()) {
            (false, Some(one)) => session.out.line(&one.path.display().to_string())?,
            _ => self.show(session, &done)?,
        }
        session.out.flush()?;
        failed.finish()
    }

    fn show(&self, session: &Session, all: &[Mounted]) -> Result<()> {
        let name = |one: &Mounted| one.names.first().cloned().unwrap_or_else(|| one.id.hex().to_owned());
        if self.format.is_some() {
            let entry = |one: &Mounted| json!({"id": one.id.hex(), "Repositories": one.names, "mountpoint": one.path.display().to_string()});
            return json::print(&session.out, &all.iter().map(entry).collect::<Vec<_>>());
        }
        let rows: String = all.iter().map(|one| format!("{}\t{}\n", name(one), one.path.display())).collect();
        session.out.text(&table::align(&rows))
    }
}

/// Unmount images that were mounted with `image mount`
#[derive(Debug, Args)]
pub struct ImageUnmountArgs {
    /// All that are mounted
    #[arg(short, long)]
    all: bool,
    /// However often they were mounted
    #[arg(short, long)]
    force: bool,
    /// Images, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ImageUnmountArgs {
    /// Unmounts them and prints their ids.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.images.is_empty() != self.all {
            return Err(fail(Kind::Usage, "give names of images, or `--all`"));
        }
        let (done, outcome) = unmount(session.ops()?, &self.images, self.force);
        done.iter().try_for_each(|id| session.out.line(id.hex()))?;
        session.out.flush()?;
        outcome
    }
}
