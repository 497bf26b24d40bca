//! `image tree`: the layers of an image, and what is built on it.

use super::find_or_install;
use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::image::Image;
use crate::ops::context::Context;

/// One layer of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerNode {
    /// Its diff id.
    pub id: Digest,
    /// Unpacked bytes.
    pub size: u64,
    /// Names of the images whose topmost layer it is.
    pub top_of: Vec<String>,
    /// Layers of other images right above it, where these were asked for.
    pub above: Vec<LayerNode>,
}

/// The layers of an image, lowest first.
#[derive(Debug, Clone)]
pub struct LayerTree {
    /// The image.
    pub image: Image,
    /// Its layers one after another; with `what_requires` only the topmost, with all that is built on it.
    pub layers: Vec<LayerNode>,
}

/// The layers of an image; with `what_requires` the images that are built on it, as a tree over its topmost layer.
pub fn tree(context: &Context, text: &str, what_requires: bool) -> Result<LayerTree> {
    let image = find_or_install(context, text)?;
    let all = context.images().list()?.images;
    let store = context.layers()?;
    let size_of = |layer: &Digest| store.info(layer).map_or(0, |info| info.size);
    let node = |chain: &[Digest]| node(&all, chain, &size_of);
    let layers = match what_requires {
        true => {
            let mut top = node(&image.layers);
            if let Some(top) = &mut top {
                top.above = above(&all, &image.layers, &size_of);
            }
            top.into_iter().collect()
        }
        false => (1..=image.layers.len()).filter_map(|length| node(&image.layers[..length])).collect(),
    };
    Ok(LayerTree { image, layers })
}

/// The last layer of a chain.
fn node(all: &[Image], chain: &[Digest], size_of: &dyn Fn(&Digest) -> u64) -> Option<LayerNode> {
    let id = chain.last()?.clone();
    let ends_here = all.iter().filter(|image| image.layers == chain);
    let top_of = ends_here.flat_map(|image| &image.names).cloned().collect();
    Some(LayerNode { size: size_of(&id), id, top_of, above: Vec::new() })
}

/// Everything that some image has right above a chain; what the oldest image has comes first.
fn above(all: &[Image], chain: &[Digest], size_of: &dyn Fn(&Digest) -> u64) -> Vec<LayerNode> {
    let longer =
        all.iter().filter(|image| image.layers.len() > chain.len() && image.layers.starts_with(chain));
    let mut chains: Vec<&[Digest]> = Vec::new();
    for image in longer.rev() {
        let chain = &image.layers[..=chain.len()];
        if !chains.contains(&chain) {
            chains.push(chain);
        }
    }
    let grown = |chain: &[Digest]| {
        let node = node(all, chain, size_of)?;
        Some(LayerNode { above: above(all, chain, size_of), ..node })
    };
    chains.into_iter().filter_map(grown).collect()
}
