//! The verbs of images.

mod ahead;
mod ancestry;
pub mod artifacts;
mod change;
mod chunked;
mod copy;
mod fetch;
mod filter;
mod history;
mod inspect;
mod layers;
mod list;
pub mod lists;
mod load;
mod made;
mod mounts;
mod name;
mod place;
mod pull;
mod push;
pub mod remote;
mod remove;
mod resume;
mod save;
mod scp;
mod shares;
pub mod trust;
mod usage;

#[cfg(test)]
mod tests;

pub use copy::{CopyOptions, Instances, copy};
pub use fetch::{remove_unused, sweep_layers};
pub use filter::{Filter, name_fits};
pub use history::{HistoryEntry, MISSING, history};
pub use inspect::{GraphDriver, Inspect, RootFs, inspect};
pub use layers::{LayerNode, LayerTree, tree};
pub use list::{Detail, ListOptions, Listed, Sort, Summary, list};
pub use load::{LoadSource, Loaded, load};
pub use made::{About, ImportSource, assemble, commit, import};
pub use mounts::{Mounted, mount_image, mounted, unmount};
pub use name::{exists, own_name, tag, untag};
pub use pull::{PullOptions, PullPolicy, Pulled, client, obtain, pull};
pub use push::{ManifestFormat, PushOptions, PushedImage, push, push_all_tags};
pub use remove::{PruneOptions, RemoveContainer, RemoveOptions, Removed, prune, remove};
pub use save::{SaveOptions, save};
pub use scp::{End, Remote, scp};
pub use shares::{Share, shares};
pub use usage::{Usage, usage};

use super::context::Context;
use crate::base::error::{Result, is_not_found};
use crate::image::{Image, embedded};

/// Finds a local image by what was typed.
pub fn find(context: &Context, text: &str) -> Result<Image> {
    context.images().resolve(text)
}

/// As [`find`]; the embedded image is put into the store when it is asked for and not there.
pub fn find_or_install(context: &Context, text: &str) -> Result<Image> {
    match find(context, text) {
        Err(error) if embedded::is_name(text) && is_not_found(&error) => pull::install_embedded(context),
        other => other,
    }
}
