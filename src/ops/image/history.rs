//! `history`: how an image came about, newest step first.

use jiff::Timestamp;
use serde::Serialize;

use super::{ancestry, find_or_install};
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::image::Image;
use crate::ops::context::Context;

/// One step, with Podman's keys.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryEntry {
    /// The image that this step made, where the store has it; elsewhere `<missing>`.
    pub id: String,
    /// When.
    pub created: Timestamp,
    /// The instruction.
    #[serde(rename = "CreatedBy")]
    pub created_by: String,
    /// Unpacked bytes of the step's layer.
    pub size: u64,
    /// Comment of the step.
    pub comment: String,
    /// Names of that image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// The id of a step whose image is not in the store.
pub const MISSING: &str = "<missing>";

/// Lists the steps, with the sizes that `size_of` knows and the ids of those `others` that a step made.
pub(super) fn steps(
    image: &Image,
    others: &[Image],
    size_of: &dyn Fn(&Digest) -> u64,
) -> Result<Vec<HistoryEntry>> {
    let config = image.config()?;
    let mut layers = image.layers.iter();
    let mut steps: Vec<HistoryEntry> = config
        .history
        .iter()
        .map(|step| {
            let layer = if step.empty_layer { None } else { layers.next() };
            HistoryEntry {
                id: MISSING.to_owned(),
                created: step.created_at(),
                created_by: step.created_by.clone(),
                size: layer.map_or(0, size_of),
                comment: step.comment.clone(),
                tags: Vec::new(),
            }
        })
        .collect();
    // Layers that the history says nothing about.
    steps.extend(layers.map(|layer| HistoryEntry {
        id: MISSING.to_owned(),
        created: image.created,
        created_by: String::new(),
        size: size_of(layer),
        comment: String::new(),
        tags: Vec::new(),
    }));
    for made in others.iter().filter(|other| ancestry::is_child(image, other)).chain([image]) {
        let length = made.config().map_or(0, |config| config.history.len());
        let last = if made.id == image.id { steps.len() } else { length };
        if let Some(step) = last.checked_sub(1).and_then(|at| steps.get_mut(at)) {
            step.id = made.id.hex().to_owned();
            step.tags.clone_from(&made.names);
        }
    }
    steps.reverse();
    Ok(steps)
}

/// The history of an image.
pub fn history(context: &Context, text: &str) -> Result<Vec<HistoryEntry>> {
    let image = find_or_install(context, text)?;
    let layers = context.layers()?;
    let others = context.images().list()?.images;
    steps(&image, &others, &|layer| layers.info(layer).map_or(0, |info| info.size))
}
