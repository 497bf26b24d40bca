//! `artifact extract`.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Artifact, TITLE, find, root};
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::base::{fs, id};
use crate::image::archive::read;
use crate::ops::context::Context;
use crate::ops::image::load::Verified;
use crate::registry::manifest::Descriptor;
use crate::sys::rootdir::is_plain_name;

/// Which file `artifact extract` gives.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    /// `--title`
    pub title: Option<String>,
    /// `--digest`
    pub digest: Option<String>,
}

/// Writes files of an artifact: into a directory, all or the one that was picked; or one into a file.
pub fn extract(context: &Context, text: &str, target: &Path, pick: &Pick) -> Result<()> {
    let found = find(context, text)?;
    let layers = picked(&found, pick)?;
    if !target.is_dir() {
        let [layer] = layers.as_slice() else {
            return Err(fail(Kind::Usage, format!("the artifact has {} files", layers.len()))
                .hint("give a directory, or pick one with --title or --digest"));
        };
        return write(context, layer, target);
    }
    // All names are looked at before the first file is written.
    let named = layers.iter().map(|layer| Ok((file_name(layer)?, *layer))).collect::<Result<Vec<_>>>()?;
    let distinct: HashSet<&String> = named.iter().map(|(name, _)| name).collect();
    if distinct.len() < named.len() {
        bail!("two files of the artifact have the same title; pick one with --digest");
    }
    named.iter().try_for_each(|(name, layer)| write(context, layer, &target.join(name)))
}

fn picked<'a>(found: &'a Artifact, pick: &Pick) -> Result<Vec<&'a Descriptor>> {
    let all = &found.manifest.layers;
    let fits = |layer: &&Descriptor| {
        let digest = pick.digest.as_deref().map(|text| text.strip_prefix("sha256:").unwrap_or(text));
        pick.title.as_ref().is_none_or(|title| layer.annotations.get(TITLE) == Some(title))
            && digest.is_none_or(|start| !start.is_empty() && layer.digest.hex().starts_with(start))
    };
    let chosen: Vec<&Descriptor> = all.iter().filter(fits).collect();
    let picks = pick.title.is_some() || pick.digest.is_some();
    match chosen.len() {
        0 => Err(fail(Kind::NotFound, format!("artifact `{}` has no such file", found.name))),
        1 => Ok(chosen),
        _ if picks => Err(fail(Kind::Failed, "several files of the artifact fit")),
        _ => Ok(chosen),
    }
}

/// A title is the name of a file and never a path (it was written by whoever pushed the artifact).
fn file_name(layer: &Descriptor) -> Result<String> {
    let Some(title) = layer.annotations.get(TITLE) else { return Ok(layer.digest.hex().to_owned()) };
    let plain =
        is_plain_name(std::ffi::OsStr::from_bytes(title.as_bytes())) && !title.contains(char::is_control);
    if !plain || title.len() > 255 {
        return Err(fail(Kind::Failed, format!("title `{}` is no name of a file", printable(title)))
            .hint("pick it with --title or --digest and give the file to write"));
    }
    Ok(title.clone())
}

/// Written aside and renamed: a link that stands at the target is replaced, not followed.
fn write(context: &Context, layer: &Descriptor, target: &Path) -> Result<()> {
    let from = fs::open(&root(context).join(read::blob(&layer.digest)))?;
    let name = target.file_name().with_context(|| format!("`{}` names no file", target.display()))?;
    let aside = target.with_file_name(format!(".{}.{}", id::word(), name.len()));
    let mut out = fs::create(&aside)?;
    let written = std::io::copy(&mut Verified::new(Box::new(from), &layer.digest), &mut out)
        .with_context(|| format!("write `{}`", target.display()))
        .and_then(|_| {
            rustix::fs::fchmod(&out, rustix::fs::Mode::from_raw_mode(0o644)).context("set the file's mode")
        })
        .and_then(|()| fs::rename(&aside, target));
    if written.is_err() {
        let _ = fs::remove_file(&aside); // the first error is the one to tell
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest::Digest;
    use crate::image::list::Entry;

    #[test]
    fn titles_are_names_of_files_and_nothing_else() {
        let layer = |title: &str| {
            let mut entry = Entry::new("x", Digest::of(b"x"), 1, None);
            entry.annotations.insert(TITLE.into(), title.into());
            entry.descriptor()
        };
        assert_eq!(file_name(&layer("a b.txt")).unwrap(), "a b.txt");
        for bad in ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\0b", "\u{1b}[2J", &"x".repeat(300)] {
            assert!(file_name(&layer(bad)).is_err(), "{bad:?}");
        }
    }
}
