//! `image inspect`: of images in the store, and of images elsewhere.

use clap::Args;
use serde_json::Value;

use crate::base::error::{Collected, Context, Kind, Result, fail};
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source, Which};
use crate::cli::session::Session;
use crate::ops::image::{self, PullOptions, remote};
use crate::ui::{json, report};

/// Show everything about images
///
/// An image with a transport in front (docker://, dir:, oci:, oci-archive:, docker-archive:) is looked at where it is,
/// without being stored.
#[derive(Debug, Args)]
pub struct ImageInspectArgs {
    /// `json`, or a Go template such as `{{.Config.Cmd}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print the manifest as it is, or with --config the configuration
    #[arg(long)]
    raw: bool,
    /// Print the configuration
    #[arg(long)]
    config: bool,
    /// Leave out the tags of the repository
    #[arg(short, long)]
    no_tags: bool,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    reach: Reach,
    /// Images: by name or id, or with a transport in front
    #[arg(required = true, value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ImageInspectArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut elsewhere = 0;
        for text in &self.images {
            elsewhere += usize::from(remote::is_remote(text)?);
        }
        if elsewhere > 0 || self.raw || self.config {
            if elsewhere < self.images.len() && elsewhere > 0 {
                return Err(fail(
                    Kind::Usage,
                    "images with and without a transport cannot be shown together",
                ));
            }
            return self.elsewhere(session);
        }
        let given = [&self.which.platform, &self.which.os, &self.which.arch, &self.which.variant];
        if given.iter().any(|part| part.is_some()) {
            return Err(fail(Kind::Usage, "a platform chooses among images that are not in the store"));
        }
        let mut failed = Collected::default();
        let found: Vec<Value> =
            self.images.iter().filter_map(|name| failed.note(one(session, name))).collect();
        report::documents(&session.out, self.format.as_deref(), &found)?;
        session.out.flush()?;
        failed.finish()
    }

    fn elsewhere(self, session: &Session) -> Result<()> {
        let reach = Source { reach: self.reach.clone(), which: self.which.clone(), ..Source::default() };
        let reach = reach.options(session)?;
        let mut failed = Collected::default();
        for text in &self.images {
            // Of an image in the store, raw documents are to be had too.
            let place =
                if remote::is_remote(text)? { text.clone() } else { format!("containers-storage:{text}") };
            failed.note(self.show(session, &place, &reach));
        }
        session.out.flush()?;
        failed.finish()
    }

    fn show(&self, session: &Session, place: &str, reach: &PullOptions) -> Result<()> {
        let ops = session.ops()?;
        if self.config || self.raw {
            let bytes = match self.config {
                true => remote::raw_config(ops, place, reach)?,
                false => remote::raw_manifest(ops, place, reach)?,
            };
            if self.raw {
                return session.out.text(&String::from_utf8(bytes).context("print the document")?);
            }
            let document: Value = serde_json::from_slice(&bytes).context("parse image configuration")?;
            return self.print(session, &document);
        }
        let found = remote::inspect(ops, place, reach, !self.no_tags)?;
        self.print(session, &serde_json::to_value(found).context("encode the description")?)
    }

    fn print(&self, session: &Session, document: &Value) -> Result<()> {
        match self.format.as_deref() {
            None | Some("json") => json::print(&session.out, document),
            Some(format) => report::one_document(&session.out, format, document),
        }
    }
}

/// The description of one image.
pub(in crate::cli) fn one(session: &Session, name: &str) -> Result<Value> {
    serde_json::to_value(image::inspect(session.ops()?, name)?).context("encode the description")
}
