//! Patterns of paths: Go's `filepath.Match` (`*`, `?`, `[a-z]`, `[^a]`, `\`) and `**` for any number of directories.

use crate::base::error::{Result, bail};

/// A compiled pattern over slash-separated relative paths.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
}

/// Whether the text has characters that make it a pattern.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

impl Pattern {
    /// Compiles a pattern; leading and trailing slashes and `.` elements mean nothing.
    pub fn new(text: &str) -> Result<Pattern> {
        bail!("`{text}` is not there yet")
    }

    /// Whether the whole path matches.
    pub fn matches(&self, path: &str) -> bool {
        self.text == path
    }

    /// Whether a path below this directory could match: whether a walk must enter it.
    pub fn may_match_below(&self, dir: &str) -> bool {
        self.text.starts_with(dir)
    }
}
