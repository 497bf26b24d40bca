//! `image exists`.

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image;

/// Tell by the exit code whether an image is here: 0 or 1
#[derive(Debug, Args)]
pub struct ImageExistsArgs {
    /// Image, by name or id
    #[arg(add = names::images())]
    image: String,
}

impl ImageExistsArgs {
    /// Looks.
    pub fn run(self, session: &Session) -> Result<()> {
        match image::exists(session.ops()?, &self.image)? {
            true => Ok(()),
            false => Err(fail(Kind::No, format!("no image `{}`", self.image))),
        }
    }
}
