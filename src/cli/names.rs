//! Completion of names: what the stores hold, looked up when a shell asks. A store that cannot be read has
//! nothing to offer; a shell is no place for errors.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::base::error::Result;
use crate::base::roots::{Overrides, Roots};
use crate::{base, container, image};

/// Completes names of containers.
pub fn containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| matching(current, container_names()))
}

/// Completes names of images.
pub fn images() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| matching(current, image_names()))
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

/// Names as they are stored and as people type them: `docker.io/library/alpine:latest`, `alpine:latest`, `alpine`.
fn image_names() -> Result<Vec<String>> {
    let store = image::Store::open(&Roots::decide(&Overrides::default())?.root);
    let mut names = Vec::new();
    for image in store.list()?.images {
        for name in image.names {
            let short =
                name.strip_prefix("docker.io/library/").or(name.strip_prefix("docker.io/")).unwrap_or(&name);
            names.extend([short.trim_end_matches(":latest").to_owned(), short.to_owned(), name.clone()]);
        }
    }
    names.dedup();
    Ok(names)
}

fn volume_names() -> Result<Vec<String>> {
    let roots = Roots::decide(&Overrides::default())?;
    let entries = base::fs::read_dir(&roots.root.join("volumes"))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}
