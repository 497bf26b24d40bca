//! What images share with each other.

use std::collections::HashMap;

use crate::base::digest::Digest;
use crate::image::Image;

/// The bytes of one image, by whether another image has them too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// In layers that other images have too.
    pub shared: u64,
    /// In layers of its own: what its removal gives back when no container is in the way.
    pub unique: u64,
}

/// The shares of every image, in their order; `size_of` measures a layer.
pub fn shares(images: &[&Image], size_of: &dyn Fn(&Digest) -> u64) -> Vec<Share> {
    let mut users: HashMap<&Digest, usize> = HashMap::new();
    for image in images {
        own_layers(image).for_each(|layer| *users.entry(layer).or_default() += 1);
    }
    let share = |image: &&Image| {
        own_layers(image).fold(Share::default(), |share, layer| match users.get(layer) {
            Some(1) => Share { unique: share.unique + size_of(layer), ..share },
            _ => Share { shared: share.shared + size_of(layer), ..share },
        })
    };
    images.iter().map(share).collect()
}

/// The layers of an image, each once: an empty layer may be listed many times.
fn own_layers(image: &Image) -> impl Iterator<Item = &Digest> {
    let first = |(at, layer): &(usize, &Digest)| !image.layers[..*at].contains(*layer);
    image.layers.iter().enumerate().filter(first).map(|(_, layer)| layer)
}
