//! Parents and children: an image is built on another when it has all its layers and all its history, and more.

use crate::base::digest::Digest;
use crate::image::Image;

/// Whether `child` was built on `parent`. A configuration that cannot be read has no relatives.
pub(super) fn is_child(child: &Image, parent: &Image) -> bool {
    if child.id == parent.id || !child.layers.starts_with(&parent.layers) {
        return false;
    }
    let (Ok(child), Ok(parent)) = (child.config(), parent.config()) else { return false };
    child.history.len() > parent.history.len() && child.history.starts_with(&parent.history)
}

/// Whether any image was built on this one.
pub(super) fn has_children(image: &Image, all: &[Image]) -> bool {
    all.iter().any(|other| is_child(other, image))
}

/// The nearest image on which this one was built.
pub(super) fn parent_of<'a>(image: &Image, all: &'a [Image]) -> Option<&'a Image> {
    let history = |image: &Image| image.config().map_or(0, |config| config.history.len());
    all.iter().filter(|other| is_child(image, other)).max_by_key(|other| history(other))
}

/// The id of the nearest image on which this one was built, or an empty text.
pub(super) fn parent_id(image: &Image, all: &[Image]) -> Option<Digest> {
    parent_of(image, all).map(|parent| parent.id.clone())
}
