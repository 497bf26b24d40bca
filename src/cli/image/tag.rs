//! `tag` and `untag`.

use clap::Args;

use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image;

/// Give an image more names
#[derive(Debug, Args)]
pub struct TagArgs {
    /// Image, by name or id
    #[arg(add = names::images())]
    image: String,
    /// The new names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl TagArgs {
    /// Names it.
    pub fn run(self, session: &Session) -> Result<()> {
        image::tag(session.ops()?, &self.image, &self.names).map(drop)
    }
}

/// Take names away from an image; it stays
#[derive(Debug, Args)]
pub struct UntagArgs {
    /// Image, by name or id
    #[arg(add = names::images())]
    image: String,
    /// The names to take away; all if none is given
    #[arg(value_name = "NAME", add = names::images())]
    names: Vec<String>,
}

impl UntagArgs {
    /// Takes them away.
    pub fn run(self, session: &Session) -> Result<()> {
        image::untag(session.ops()?, &self.image, &self.names).map(drop)
    }
}
