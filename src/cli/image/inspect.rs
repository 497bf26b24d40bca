//! `image inspect`.

use clap::Args;

use crate::base::error::{Collected, Result};
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
        let ops = session.ops()?;
        let mut failed = Collected::default();
        let found: Vec<_> =
            self.images.iter().filter_map(|name| failed.note(image::inspect(ops, name))).collect();
        report::each(&session.out, self.format.as_deref().unwrap_or("json"), &found)?;
        session.out.flush()?;
        failed.finish()
    }
}
