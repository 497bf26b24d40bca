//! `save`: images into archives and directories.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::find_or_install;
use super::name::own_name;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail, is_not_found};
use crate::base::{fs, id};
use crate::image::archive::Format;
use crate::image::archive::save::{SaveSettings, Saving, Sink, save as write};
use crate::ops::context::Context;
use crate::ops::events;
use crate::ops::progress::Progress;

/// What `save` was asked for.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// `--format`
    pub format: Format,
    /// `--output`; `None` is standard output.
    pub output: Option<PathBuf>,
    /// `--multi-image-archive`: every name is an image. Without it, names after the first that the store does not know
    /// are further tags of the first.
    pub multi: bool,
    /// `--compress`: layers of a docker-dir with gzip.
    pub compress: bool,
    /// `--uncompressed`: layers of the OCI forms as they are.
    pub uncompressed: bool,
}

/// Writes images. Gives back what was saved.
pub fn save(
    context: &Context,
    names: &[String],
    options: &SaveOptions,
    progress: &dyn Progress,
) -> Result<Vec<Digest>> {
    if options.output.is_none() && io::stdout().is_terminal() {
        return Err(fail(Kind::Usage, "refusing to save to a terminal")
            .hint("use --output FILE, or redirect standard output"));
    }
    write_images(context, names, options, progress, |write| match &options.output {
        Some(path) if options.format.is_directory() => into_directory(path, write),
        Some(path) => into_file(path, write),
        None => into(io::stdout().lock(), write),
    })
}

/// Writes images as an archive to whoever reads it.
pub(super) fn save_to(
    context: &Context,
    names: &[String],
    options: &SaveOptions,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<()> {
    write_images(context, names, options, progress, |write| into(out, write)).map(drop)
}

/// What writes the images, once it is known where to.
type Writing<'a> = &'a mut dyn FnMut(&mut Sink<'_>) -> Result<()>;

fn write_images(
    context: &Context,
    names: &[String],
    options: &SaveOptions,
    progress: &dyn Progress,
    open: impl FnOnce(Writing<'_>) -> Result<()>,
) -> Result<Vec<Digest>> {
    let settings = settings(context, options)?;
    let images = choose(context, names, options.multi)?;
    let layers = context.layers()?;
    // Nobody removes the layers while they are read.
    let _lock = layers.lock_shared()?;
    let advance =
        |layer: &Digest| progress.start(&format!("blob {}", id::short(layer.as_str())), None).done("done");
    open(&mut |sink| write(&images, layers, &settings, sink, &advance).map(drop))?;
    images.iter().for_each(|saved| events::image(context, &saved.image, None, "save"));
    Ok(images.into_iter().map(|saving| saving.image.id).collect())
}

fn settings(context: &Context, options: &SaveOptions) -> Result<SaveSettings> {
    let oci = matches!(options.format, Format::OciArchive | Format::OciDir);
    if options.compress && options.format != Format::DockerDir {
        return Err(fail(Kind::Usage, "--compress can only be used with --format docker-dir"));
    }
    if options.format.is_directory() && options.output.is_none() {
        return Err(fail(Kind::Usage, "a directory format needs --output"));
    }
    let compress = if oci { !options.uncompressed } else { options.compress };
    Ok(SaveSettings { format: options.format, compress, tmp: context.roots.tmp.clone() })
}

/// The images, each with the names under which it is saved.
fn choose(context: &Context, names: &[String], multi: bool) -> Result<Vec<Saving>> {
    let mut chosen: Vec<Saving> = Vec::new();
    for (n, text) in names.iter().enumerate() {
        match find_or_install(context, text) {
            Ok(image) => {
                let name = context.images().resolve_named(text)?.1.filter(|name| !name.contains('@'));
                match chosen.iter_mut().find(|saving| saving.image.id == image.id) {
                    Some(saving) => saving.names.extend(name),
                    None => chosen.push(Saving { image, names: name.into_iter().collect() }),
                }
            }
            Err(error) if n > 0 && !multi && is_not_found(&error) => {
                let tag = own_name(text)?.full();
                chosen[0].names.push(tag);
            }
            Err(error) => return Err(error),
        }
    }
    if chosen.is_empty() {
        bail!("no image was named");
    }
    for saving in &mut chosen {
        saving.names.dedup();
    }
    Ok(chosen)
}

fn into(out: impl Write, write: impl FnOnce(&mut Sink<'_>) -> Result<()>) -> Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    write(&mut Sink::Tar(&mut out))?;
    out.flush().context("write the archive")
}

/// A file that could not be finished does not stay, unless it is no plain file.
fn into_file(path: &Path, write: impl FnOnce(&mut Sink<'_>) -> Result<()>) -> Result<()> {
    let file: File = fs::create(path)?;
    let regular = file.metadata().is_ok_and(|data| data.is_file());
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let written = write(&mut Sink::Tar(&mut out)).and_then(|()| out.flush().context("write the archive"));
    if written.is_err() && regular {
        let _ = fs::remove_file(path); // the first error is the one to tell
    }
    written.with_context(|| format!("save to `{}`", path.display()))
}

/// A directory that is there must be empty, so that nothing of somebody else's is mixed in or lost.
fn into_directory(path: &Path, write: impl FnOnce(&mut Sink<'_>) -> Result<()>) -> Result<()> {
    if path.exists() && !path.is_dir() {
        bail!("`{}` is not a directory", path.display());
    }
    let new = !path.exists();
    if !new && !fs::read_dir(path)?.is_empty() {
        bail!("directory `{}` is not empty", path.display());
    }
    fs::create_dir_all(path)?;
    let written = write(&mut Sink::Dir(path));
    if written.is_err() && new {
        let _ = crate::layer::tree::remove(path); // the first error is the one to tell
    }
    written.with_context(|| format!("save to `{}`", path.display()))
}
