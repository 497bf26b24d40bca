//! From the words of `COPY` and `ADD` to sources, confined in their root.

use std::path::{Path, PathBuf};

use super::Request;
use super::dirs::{Step, Walker};
use crate::base::error::{Context, Error, Explain, Kind, Result, fail};
use crate::base::text::printable;
use crate::dockerfile::glob::{self, Pattern};
use crate::sys::file::{self, FileType};

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// As written or matched, without dots, relative.
    pub(super) shown: PathBuf,
    /// The same without links: where it really is in the origin.
    pub(super) real: PathBuf,
    /// What it is, links followed.
    pub(super) kind: FileType,
    /// With `--parents`: the path that is kept, and how many of the leading components of `shown` are not.
    pub(super) kept: Option<PathBuf>,
}

/// Finds what a word stands for: one path, or at least one match of a glob. A link in the last place is followed too,
/// inside the origin; leading `..` mean nothing there.
pub(super) fn select(request: &Request<'_>, word: &str) -> Result<Vec<Chosen>> {
    let path = clean(word);
    let skipped = word.find("/./").map_or(0, |at| clean(&word[..at]).components().count());
    let paths =
        if glob::is_pattern(&path.to_string_lossy()) { matches(request, word, &path)? } else { vec![path] };
    paths.into_iter().map(|path| one(request, word, path, skipped)).collect()
}

/// A name as a word that stands for that name alone, whatever characters it has.
pub(crate) fn literal(name: &str) -> String {
    name.chars().fold(String::new(), |mut word, letter| {
        if matches!(letter, '*' | '?' | '[' | '\\') {
            word.push('\\');
        }
        word.push(letter);
        word
    })
}

/// The path from the origin: no empty parts and dots, `..` clamped, relative.
pub(crate) fn clean(word: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in word.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

fn one(request: &Request<'_>, word: &str, shown: PathBuf, skipped: usize) -> Result<Chosen> {
    let origin = request.origin;
    let called = || format!("find `{}` in {}", printable(word), request.called);
    let absent = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(request, word),
        _ => Error::new(error).context(called()),
    };
    let real = origin.real_path(&shown).map_err(absent)?;
    let stat = origin.lstat(&real).map_err(absent)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::Directory && (ignored(request, &shown) || ignored(request, &real)) {
        return Err(missing(request, word).hint("it is there, but the ignore file leaves it out"));
    }
    let kept = request.parents.then(|| shown.components().skip(skipped).collect());
    Ok(Chosen { shown, real, kind, kept })
}

fn missing(request: &Request<'_>, word: &str) -> Error {
    let error = fail(Kind::NotFound, format!("`{}` is not in {}", printable(word), request.called));
    match word.split('/').any(|part| part == "..") {
        true => error.hint("`..` does not lead out: paths count from the top of the context"),
        false => error,
    }
}

fn ignored(request: &Request<'_>, path: &Path) -> bool {
    request.ignore.is_some_and(|ignore| ignore.excludes(&path.to_string_lossy()))
}

/// All paths that a glob matches, in byte order; what is below a match belongs to it. Links before the first
/// component with a pattern are followed.
fn matches(request: &Request<'_>, word: &str, path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = Pattern::new(&path.to_string_lossy())?;
    let plain = |part: &std::path::Component<'_>| !glob::is_pattern(&part.as_os_str().to_string_lossy());
    let prefix: PathBuf = path.components().take_while(plain).collect();
    let nothing =
        || fail(Kind::NotFound, format!("no file in {} matches `{}`", request.called, printable(word)));
    let top = match request.origin.real_path(&prefix).and_then(|real| request.origin.open_dir(&real)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(nothing()),
        top => top.with_context(|| format!("search {} for `{}`", request.called, printable(word)))?,
    };
    let mut found = Vec::new();
    let mut walker = Walker::new(top)?;
    while let Some(step) = walker.next() {
        let Step::Name(name) = step else { continue };
        let path = prefix.join(walker.path_of(name.path()));
        let text = path.to_string_lossy();
        let left_out = ignored(request, &path);
        if left_out && !request.ignore.is_some_and(|ignore| ignore.may_include_below(&text)) {
            continue;
        }
        let dir = is_dir(&mut walker, &name)?;
        if pattern.matches(&text) && (!left_out || dir) {
            found.push(path);
        } else if dir && pattern.may_match_below(&text) {
            walker.enter(name.path()).with_context(|| format!("search `{}`", printable(&text)))?;
        }
    }
    if found.is_empty() { Err(nothing()) } else { Ok(found) }
}

fn is_dir(walker: &mut Walker, name: &file::Name) -> Result<bool> {
    match name.kind {
        FileType::Unknown => {
            let stat = file::stat_at(walker.dir()?, name.path())?;
            Ok(FileType::from_raw_mode(stat.st_mode).is_dir())
        }
        kind => Ok(kind.is_dir()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_paths_from_the_top() {
        for (word, expected) in [
            ("a/./b//c/", "a/b/c"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc", "etc"),
            ("a/../../b", "b"),
            (".", ""),
            ("/", ""),
        ] {
            assert_eq!(clean(word), PathBuf::from(expected), "{word}");
        }
    }
}
