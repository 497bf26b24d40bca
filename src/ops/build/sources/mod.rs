//! Sources that are elsewhere: files by http(s) and git repositories.

pub mod git;
pub mod url;
