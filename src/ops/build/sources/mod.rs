//! Sources that are elsewhere: files by http(s) and git repositories.

pub mod git;
pub mod url;

/// Whether a source of `ADD` is fetched rather than found in the context.
pub fn is_remote(word: &str) -> bool {
    url::is_url(word) || git::is_git(word)
}
