//! Dockerfiles: beside the caller or in the context, and then reached by no link that leads out of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{BuildContext, FILE_LIMIT, Finder};
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::ops::build::copy::clean;
use crate::ops::build::sources::url::is_url;

/// The names that are looked for without `-f`.
const NAMES: [&str; 2] = ["Containerfile", "Dockerfile"];

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What messages call it.
    pub name: String,
    /// What it says.
    pub content: String,
    /// Where it lies in the context.
    pub(super) inside: Option<PathBuf>,
    /// Where it lies otherwise.
    pub(super) outside: Option<PathBuf>,
}

impl Text {
    /// Reads one that has no place.
    pub(super) fn read(called: &str, from: &mut dyn Read) -> Result<Text> {
        let mut bytes = Vec::new();
        from.take(FILE_LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("read {called}"))?;
        Text::new(called.trim_matches('`').to_owned(), bytes, None, None)
    }

    fn new(name: String, bytes: Vec<u8>, inside: Option<PathBuf>, outside: Option<PathBuf>) -> Result<Text> {
        let shown = printable(&name).into_owned();
        if bytes.len() as u64 > FILE_LIMIT {
            bail!("`{shown}` is larger than the limit of {FILE_LIMIT} bytes for a Dockerfile");
        }
        let Some(content) = String::from_utf8(bytes).ok().filter(|content| !content.contains('\0')) else {
            bail!("`{shown}` is no Dockerfile: it is not text");
        };
        Ok(Text { name, content, inside, outside })
    }
}

/// Reads the Dockerfiles: those of `-f`, or the one of the context.
pub(super) fn read(finder: &mut Finder<'_>, context: &BuildContext, files: &[String]) -> Result<Vec<Text>> {
    if files.is_empty() {
        return default(context).map(|text| vec![text]);
    }
    files.iter().map(|file| one(finder, context, file)).collect()
}

fn default(context: &BuildContext) -> Result<Text> {
    for name in NAMES {
        if context.root.lstat(Path::new(name)).is_ok() {
            return inside(context, Path::new(name));
        }
    }
    Err(fail(
        Kind::NotFound,
        format!("there is neither a Containerfile nor a Dockerfile in {}", context.called),
    ))
    .hint("name the file with -f")
}

fn one(finder: &mut Finder<'_>, context: &BuildContext, file: &str) -> Result<Text> {
    if file == "-" {
        return Text::read("standard input", &mut (finder.stdin)());
    }
    if is_url(file) {
        let download = finder.client.download(file, None)?.context("an answer without a file")?;
        return Text::read(&format!("`{file}`"), &mut { download.body });
    }
    // As Podman: beside the caller first, then in the context; only there for a context from elsewhere.
    let Some(top) = &context.path else { return inside(context, &clean(file)) };
    let path = finder.cwd.join(file);
    if let Some(below) = below(top, &path) {
        return inside(context, &below);
    }
    if std::fs::symlink_metadata(&path).is_ok() {
        return outside(&path, file);
    }
    match Path::new(file).is_absolute() {
        true => Err(fail(Kind::NotFound, format!("there is no Dockerfile `{}`", printable(file)))),
        false => inside(context, &clean(file)),
    }
}

/// The path in the context, when the file is there.
fn below(top: &Path, path: &Path) -> Option<PathBuf> {
    let plain = |path: &Path| PathBuf::from("/").join(clean(&path.to_string_lossy()));
    let (top, path) = (plain(top), plain(path));
    let below = path.strip_prefix(&top).ok()?;
    std::fs::symlink_metadata(&path).is_ok().then(|| below.to_owned())
}

fn inside(context: &BuildContext, path: &Path) -> Result<Text> {
    let shown = printable(&path.to_string_lossy()).into_owned();
    let bytes = context.root.read_small(path, FILE_LIMIT);
    let bytes = bytes.with_context(|| format!("read Dockerfile `{shown}` of {}", context.called))?;
    let Some(bytes) = bytes else {
        let error = fail(Kind::NotFound, format!("there is no Dockerfile `{shown}` in {}", context.called));
        return Err(match context.root.lstat(path).is_ok() {
            true => error.hint("it is a link that leads out of the context or nowhere"),
            false => error,
        });
    };
    Text::new(path.to_string_lossy().into_owned(), bytes, Some(path.to_owned()), None)
}

/// A file that the caller named outside of the context.
fn outside(path: &Path, file: &str) -> Result<Text> {
    let shown = || format!("read Dockerfile `{}`", printable(file));
    let found = std::fs::metadata(path).with_context(shown)?;
    if found.is_dir() {
        return Err(fail(Kind::Usage, format!("`{}` is a directory, no Dockerfile", printable(file))));
    }
    let mut bytes = Vec::new();
    let opened = crate::base::fs::open(path)?;
    opened.take(FILE_LIMIT + 1).read_to_end(&mut bytes).with_context(shown)?;
    Text::new(file.to_owned(), bytes, None, Some(path.to_owned()))
}
