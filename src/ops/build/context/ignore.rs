//! Which list of what is left out counts: `--ignorefile`, then `FILE.containerignore` or `FILE.dockerignore` beside the
//! Dockerfile, then `.containerignore`, then `.dockerignore` at the top of the context.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{BuildContext, FILE_LIMIT, Text, Wanted};
use crate::base::error::{Context, Result};
use crate::base::fs;
use crate::base::text::printable;
use crate::dockerfile::ignore::Ignore;

const SUFFIXES: [&str; 2] = [".containerignore", ".dockerignore"];

/// The list for the main context.
pub(super) fn find(
    cwd: &Path,
    context: &BuildContext,
    wanted: &Wanted<'_>,
    files: &[Text],
) -> Result<Ignore> {
    if let Some(path) = wanted.ignore_file {
        let path = cwd.join(path);
        return parse(&path, fs::read_limited(&path, FILE_LIMIT)?);
    }
    for suffix in SUFFIXES {
        for file in files {
            if let Some(found) = beside(context, file, suffix)? {
                return Ok(found);
            }
        }
    }
    own(context)
}

/// The list that a context has itself.
pub(super) fn own(context: &BuildContext) -> Result<Ignore> {
    for name in SUFFIXES {
        if let Some(found) = inside(context, Path::new(name))? {
            return Ok(found);
        }
    }
    Ok(Ignore::default())
}

fn beside(context: &BuildContext, file: &Text, suffix: &str) -> Result<Option<Ignore>> {
    if let Some(path) = &file.inside {
        return inside(context, &with_suffix(path, suffix));
    }
    let Some(path) = file.outside.as_ref().map(|path| with_suffix(path, suffix)) else { return Ok(None) };
    match path.is_file() {
        true => parse(&path, fs::read_limited(&path, FILE_LIMIT)?).map(Some),
        false => Ok(None),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn inside(context: &BuildContext, path: &Path) -> Result<Option<Ignore>> {
    let shown = || format!("read `{}` of {}", printable(&path.to_string_lossy()), context.called);
    let bytes = context.root.read_small(path, FILE_LIMIT).with_context(shown)?;
    bytes.map(|bytes| parse(path, bytes)).transpose()
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<Ignore> {
    Ignore::parse(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("read `{}`", printable(&path.to_string_lossy())))
}
