//! `tag`, `untag`, `image exists`.

use super::find_or_install;
use crate::base::error::{Kind, Result, fail, is_not_found};
use crate::image::Image;
use crate::ops::context::Context;
use crate::ops::events;
use crate::registry::Reference;
use crate::registry::reference::is_short_name;

/// A name that a user gives to an image: a short one is of this machine, as with Podman; `latest` by default.
pub fn own_name(text: &str) -> Result<Reference> {
    let registry = if is_short_name(text) { "localhost" } else { "" };
    let name =
        if registry.is_empty() { Reference::parse(text)? } else { Reference::parse_on(text, registry)? };
    if name.digest.is_some() {
        return Err(fail(Kind::Usage, format!("`{text}`: an image cannot be named by a digest")));
    }
    Ok(name.or_latest())
}

/// Gives an image more names. Gives back the image as it was.
pub fn tag(context: &Context, image: &str, names: &[String]) -> Result<Image> {
    let references = names.iter().map(|name| own_name(name)).collect::<Result<Vec<_>>>()?;
    let image = find_or_install(context, image)?;
    context.images().tag(&image.id, &references)?;
    for name in &references {
        events::image(context, &image, Some(&name.full()), "tag");
    }
    Ok(image)
}

/// Takes names away from an image: those given, or all. Gives back what was taken.
pub fn untag(context: &Context, image: &str, names: &[String]) -> Result<Vec<String>> {
    let image = find_or_install(context, image)?;
    if names.is_empty() {
        let taken = context.images().untag(&image.id, None)?;
        events::image(context, &image, None, "untag");
        return Ok(taken);
    }
    let full = names.iter().map(|name| name_of(&image, name)).collect::<Result<Vec<_>>>()?;
    let taken = context.images().untag(&image.id, Some(&full))?;
    taken.iter().for_each(|name| events::image(context, &image, Some(name), "untag"));
    Ok(taken)
}

/// The image's name that a typed one means.
fn name_of(image: &Image, text: &str) -> Result<String> {
    let spellings = [own_name(text).ok(), Reference::parse(text).ok().map(Reference::or_latest)];
    let full = spellings.into_iter().flatten().map(|name| name.full());
    full.into_iter()
        .find(|name| image.names.contains(name))
        .ok_or_else(|| fail(Kind::NotFound, format!("`{text}`: tag not known")))
}

/// Whether an image is in the store; the embedded one always is.
pub fn exists(context: &Context, image: &str) -> Result<bool> {
    if crate::image::embedded::is_name(image) {
        return Ok(true);
    }
    match context.images().resolve(image) {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
