//! The verbs of images.

mod ancestry;
mod filter;
mod history;
mod inspect;
mod list;
mod name;
mod usage;

pub use filter::Filter;
pub use history::{HistoryEntry, history};
pub use inspect::{GraphDriver, Inspect, RootFs, inspect};
pub use list::{ListOptions, Listed, Sort, Summary, list};
pub use name::{exists, own_name, tag, untag};
pub use usage::{Usage, usage};

use super::context::Context;
use crate::base::error::Result;
use crate::image::{Image, embedded};

/// Finds a local image by what was typed; the embedded image is always there.
pub fn find(context: &Context, text: &str) -> Result<Image> {
    match context.images().resolve(text) {
        Err(error) if embedded::is_name(text) && crate::base::error::is_not_found(&error) => Err(error),
        other => other,
    }
}
