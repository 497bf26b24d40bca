//! `manifest exists`.

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::lists;

/// Tell by the exit code whether a list is here: 0 or 1
#[derive(Debug, Args)]
pub struct ManifestExistsArgs {
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
}

impl ManifestExistsArgs {
    /// Looks.
    pub fn run(self, session: &Session) -> Result<()> {
        match lists::exists(session.ops()?, &self.list)? {
            true => Ok(()),
            false => Err(fail(Kind::No, format!("no list `{}`", self.list))),
        }
    }
}
