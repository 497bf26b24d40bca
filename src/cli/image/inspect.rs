//! `image inspect`.

use clap::Args;
use serde_json::Value;

use crate::base::error::{Collected, Context, Result};
use crate::cli::names;
use crate::cli::refuse;
use crate::cli::session::Session;
use crate::ops::image;
use crate::ui::report;

/// Show everything about images
#[derive(Debug, Args)]
pub struct ImageInspectArgs {
    /// `json`, or a Go template such as `{{.Config.Cmd}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    #[arg(long, hide = true)]
    platform: Option<String>,
    /// Images, by name or id
    #[arg(required = true, value_name = "IMAGE", add = names::images())]
    images: Vec<String>,
}

impl ImageInspectArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.platform.is_some() {
            return Err(refuse::flag_error("--platform", "dhow image inspect"));
        }
        let mut failed = Collected::default();
        let found: Vec<Value> =
            self.images.iter().filter_map(|name| failed.note(one(session, name))).collect();
        report::documents(&session.out, self.format.as_deref(), &found)?;
        session.out.flush()?;
        failed.finish()
    }
}

/// The description of one image.
pub(in crate::cli) fn one(session: &Session, name: &str) -> Result<Value> {
    serde_json::to_value(image::inspect(session.ops()?, name)?).context("encode the description")
}
