//! Completion of names: what the stores hold, looked up when a shell asks. A store that cannot be read has
//! nothing to offer; a shell is no place for errors.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::base::error::Result;
use crate::base::roots::{Overrides, Roots};
use crate::{base, container};

/// Completes names of containers.
pub fn containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| matching(current, container_names()))
}

/// Completes names of volumes.
pub fn volumes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| matching(current, volume_names()))
}

fn matching(current: &OsStr, names: Result<Vec<String>>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let mut names = names.unwrap_or_default();
    names.retain(|name| name.starts_with(&*current));
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn container_names() -> Result<Vec<String>> {
    let store = container::Store::open(&Roots::decide(&Overrides::default())?)?;
    Ok(store.list()?.into_iter().map(|container| container.config.name).collect())
}

fn volume_names() -> Result<Vec<String>> {
    let roots = Roots::decide(&Overrides::default())?;
    let entries = base::fs::read_dir(&roots.root.join("volumes"))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
