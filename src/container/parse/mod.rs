//! Parsers of what users type about containers: `&str` in, checked values out, nothing read from the host.
//!
//! One file a topic. Podman's man pages are the reference for the syntax; where Docker's spelling means the
//! same, it is understood as well. Every error names the text that was typed.

pub mod caps;
pub mod device;
pub mod env;
pub mod hosts;
pub mod idmap;
pub mod keys;
pub mod log;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod options;
pub mod path;
pub mod platform;
pub mod publish;
pub mod resources;
pub mod restart;
pub mod security;
pub mod signal;
pub mod sysctl;
pub mod ulimit;
pub mod user;
pub mod volume;

use std::fmt::Display;

use crate::base::error::{Error, Kind, Result, fail};

/// An error about what was typed.
pub(crate) fn usage(message: impl Display) -> Error {
    fail(Kind::Usage, message)
}

/// `true`, `1`, `yes`… and their opposites, as Go's `strconv.ParseBool` and YAML readers take them.
pub fn boolean(what: &str, text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "t" | "yes" | "on" => Ok(true),
        "false" | "0" | "f" | "no" | "off" => Ok(false),
        _ => Err(usage(format!("`{what}` takes true or false, not `{text}`"))),
    }
}

/// The candidate that differs from `word` by the fewest edits, when it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    scored.min().filter(|(edits, _)| *edits <= 2.max(word.len() / 4)).map(|(_, candidate)| candidate)
}

/// Levenshtein distance over bytes, in one row of memory; words here are short.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_only_when_near() {
        assert_eq!(nearest("NET_ADMN", ["NET_ADMIN", "NET_RAW"]), Some("NET_ADMIN"));
        assert_eq!(nearest("quux", ["NET_ADMIN", "CHOWN"]), None);
        assert!(boolean("x", "True").unwrap() && !boolean("x", "0").unwrap() && boolean("x", "").is_err());
    }
}
