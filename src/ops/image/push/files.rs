//! An image into files: what `push` does for `dir:`, `oci:`, `oci-archive:` and `docker-archive:`, as `image copy` from
//! the own store does it.

use super::{PushOptions, PushedImage};
use crate::base::error::{Explain, Kind, Result, fail};
use crate::image::Image;
use crate::image::archive::Format;
use crate::image::transport::{Transport, Which};
use crate::layer::codec::Compression;
use crate::ops::context::Context;
use crate::ops::image::copy::{self, CopyOptions, Instances};
use crate::ops::image::place::{self, Stored, Stores};
use crate::ops::progress::Progress;

/// Writes an image to a place that is no registry.
pub(super) fn push(
    context: &Context,
    typed: &str,
    image: Image,
    place: Transport,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let place = named(context, typed, place)?;
    let Transport::Files { format, .. } = &place else {
        return Err(fail(Kind::Usage, "an image of the store cannot be pushed into the store")
            .hint("`dhow tag` gives it another name"));
    };
    if options.compress && *format != Format::DockerDir {
        return Err(fail(Kind::Usage, "`--compress` is for `dir:` alone"));
    }
    let copy = CopyOptions {
        from: options.reach.clone(),
        to: options.reach.clone(),
        instances: Instances::System,
        format: options.format,
        compression: options.compression.or(options.compress.then_some(Compression::Gzip)),
        level: options.level,
        force: options.force || options.compress || options.compression.is_some(),
        preserve: false,
    };
    let source = Stored::new(Stores::of(context)?, image, &options.reach)?;
    let sink = place::sink(&place, &options.reach)?;
    let sent = copy::send(&source, &*sink, &copy, &context.roots.tmp, progress)?;
    Ok(PushedImage { name: place.to_string(), digest: sent.digest })
}

/// A docker-archive without a name for the image gets the one that was typed.
fn named(context: &Context, typed: &str, place: Transport) -> Result<Transport> {
    match place {
        Transport::Files { format: format @ Format::DockerArchive, path, which: Which::Any } => {
            let name = context.images().resolve_named(typed)?.1.filter(|name| !name.contains('@'));
            Ok(Transport::Files { format, path, which: name.map_or(Which::Any, Which::Named) })
        }
        other => Ok(other),
    }
}
