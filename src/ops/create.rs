//! `create`: from what was typed, the image and the configuration to the record of a container.

mod context;
mod options;

pub use context::{Caller, Context, Defaults, ImageFacts};
pub use options::CreateOptions;

use crate::base::error::Result;
use crate::container::record::Config;

/// A record ready for [`crate::container::Store::create`], and what the user should be told.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The record; its name may be empty (the store makes one up).
    pub config: Config,
    /// Lines for stderr.
    pub warnings: Vec<String>,
    /// Directories of the host that `-v` names and that do not exist: to be made before the start, each with a
    /// line on stderr (Docker's way; `--mount type=bind` refuses them).
    pub missing_dirs: Vec<std::path::PathBuf>,
}

/// Checks everything that was typed and decides everything that is left open.
pub fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: Option<&ImageFacts>,
) -> Result<Resolved> {
    let _ = (context, options, image);
    Ok(Resolved { config: Config::default(), warnings: Vec::new(), missing_dirs: Vec::new() })
}
