//! `history`: how an image came about, newest step first.

use jiff::Timestamp;
use serde::Serialize;

use super::find_or_install;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::base::time;
use crate::image::Image;
use crate::ops::context::Context;

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryEntry {
    /// The image that this step made, where the store has it; `<missing>` elsewhere.
    pub id: Option<Digest>,
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
    pub tags: Vec<String>,
}

impl HistoryEntry {
    /// When, as JSON shows it.
    pub fn created_at(&self) -> String {
        time::rfc3339(self.created)
    }
}

/// Lists the steps, with the sizes that `size_of` knows.
pub(super) fn steps(image: &Image, size_of: &dyn Fn(&Digest) -> u64) -> Result<Vec<HistoryEntry>> {
    let config = image.config()?;
    let mut layers = image.layers.iter();
    let mut steps: Vec<HistoryEntry> = config
        .history
        .iter()
        .map(|step| {
            let layer = if step.empty_layer { None } else { layers.next() };
            HistoryEntry {
                id: None,
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
        id: None,
        created: image.created,
        created_by: String::new(),
        size: size_of(layer),
        comment: String::new(),
        tags: Vec::new(),
    }));
    if let Some(newest) = steps.last_mut() {
        newest.id = Some(image.id.clone());
        newest.tags = image.names.clone();
    }
    steps.reverse();
    Ok(steps)
}

/// The history of an image.
pub fn history(context: &Context, text: &str) -> Result<Vec<HistoryEntry>> {
    let image = find_or_install(context, text)?;
    let layers = context.layers()?;
    steps(&image, &|layer| layers.info(layer).map_or(0, |info| info.size))
}
