//! An image into files: what `push` does for `dir:`, `oci:`, `oci-archive:` and `docker-archive:`.

use super::{ManifestFormat, PushOptions, PushedImage};
use crate::base::digest::Digest;
use crate::base::error::{Explain, Kind, Result, fail};
use crate::image::Image;
use crate::image::archive::Format;
use crate::image::archive::save::{SaveSettings, Saving, save as write};
use crate::image::transport::{Transport, Which};
use crate::layer::codec::Compression;
use crate::ops::context::Context;
use crate::ops::image::save::{into_directory, into_file};
use crate::ops::progress::Progress;

/// Writes an image to a place that is no registry.
pub(super) fn push(
    context: &Context,
    typed: &str,
    image: Image,
    place: &Transport,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let Transport::Files { format, path, which } = place else {
        return Err(fail(Kind::Usage, "an image of the store cannot be pushed into the store")
            .hint("`dhow tag` gives it another name"));
    };
    check(*format, which, options)?;
    let names = match which {
        Which::Named(name) => vec![name.clone()],
        _ if *format == Format::DockerArchive => own_tags(context, typed)?,
        _ => Vec::new(),
    };
    let compress = match format {
        Format::DockerArchive => false,
        Format::DockerDir => options.compress || options.compression.is_some(),
        Format::OciArchive | Format::OciDir => options.compression != Some(Compression::None),
    };
    let settings = SaveSettings { format: *format, compress, tmp: context.roots.tmp.clone() };
    let saving = [Saving { image, names }];
    let layers = context.layers()?;
    let _lock = layers.lock_shared()?; // nobody removes the layers while they are read
    let advance = |layer: &Digest| {
        let label = format!("blob {}", crate::base::id::short(layer.as_str()));
        progress.start(&label, None).done("done");
    };
    let mut digests = Vec::new();
    let mut job = |sink: &mut crate::image::archive::save::Sink<'_>| {
        digests = write(&saving, layers, &settings, sink, &advance)?;
        Ok(())
    };
    if format.is_directory() {
        into_directory(path, &mut job)?
    } else {
        into_file(path, &mut job)?
    }
    Ok(PushedImage { name: place.to_string(), digest: digests.pop() })
}

/// Refuses what the form cannot hold.
fn check(format: Format, which: &Which, options: &PushOptions) -> Result<()> {
    let no = |what: &str| Err(fail(Kind::Usage, what.to_owned()));
    if matches!(which, Which::At(_)) {
        return no("a place to push to has a name, not a number");
    }
    match (format, options.format) {
        (Format::OciArchive | Format::OciDir, Some(ManifestFormat::Docker)) => {
            return no("an image layout holds manifests of format `oci` only");
        }
        (Format::DockerArchive | Format::DockerDir, Some(ManifestFormat::Oci)) => {
            return no("this place holds manifests of format `v2s2` only");
        }
        _ => {}
    }
    match options.compression {
        Some(Compression::Zstd) => no("files are written with gzip layers, or with none"),
        Some(Compression::Gzip) if format == Format::DockerArchive => {
            no("layers of a docker-archive are not compressed")
        }
        _ if options.level.is_some() => no("files are written with the compression level of the format"),
        _ if options.compress && format != Format::DockerDir => no("`--compress` is for `dir:` alone"),
        _ => Ok(()),
    }
}

/// What a docker-archive calls the image when the place gives no name: as it was typed.
fn own_tags(context: &Context, typed: &str) -> Result<Vec<String>> {
    let name = context.images().resolve_named(typed)?.1.filter(|name| !name.contains('@'));
    Ok(name.into_iter().collect())
}
