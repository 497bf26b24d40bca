//! `artifact rm`.

use std::collections::HashSet;
use std::path::Path;

use super::{Artifact, REF_NAME, error_is_missing, find, list, load, root};
use crate::base::digest::Digest;
use crate::base::error::{Collected, Result};
use crate::base::fs;
use crate::base::lock::Lock;
use crate::image::list::List;
use crate::ops::context::Context;
use crate::ops::image::place;

/// Removes artifacts. Gives the digests of what went.
pub fn remove(context: &Context, names: &[String], all: bool, ignore: bool) -> (Vec<Digest>, Result<()>) {
    let (mut gone, mut errors) = (Vec::new(), Collected::default());
    let targets = match all {
        true => list(context).map(|all| all.into_iter().map(|artifact| artifact.name).collect()),
        false => Ok(names.to_vec()),
    };
    let targets: Vec<String> = match targets {
        Ok(targets) => targets,
        Err(error) => return (gone, Err(error)),
    };
    for text in &targets {
        match find(context, text).and_then(|found| forget(context, &found)) {
            Ok(digest) => gone.push(digest),
            Err(error) if ignore && error_is_missing(&error) => {}
            Err(error) => {
                errors.note::<()>(Err(error));
            }
        }
    }
    if !gone.is_empty() {
        errors.note(collect(&root(context)));
    }
    (gone, errors.finish_removal())
}

fn forget(context: &Context, found: &Artifact) -> Result<Digest> {
    place::edit_index(&root(context), |list| {
        list.manifests.retain(|entry| entry.annotations.get(REF_NAME) != Some(&found.name));
        Ok(found.digest.clone())
    })
}

/// Removes blobs that no artifact names. Somebody who adds right now leaves that to the next removal.
fn collect(root: &Path) -> Result<()> {
    let Some(_lock) = Lock::try_exclusive(&root.join("lock"))? else { return Ok(()) };
    let index = place::read_index(root)?;
    let needed = needed(root, &index)?;
    for entry in fs::read_dir(&root.join("blobs/sha256"))? {
        if !entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
            fs::remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// The names of blobs that are in use. A manifest that cannot be read is an error: it may need any of them.
fn needed(root: &Path, index: &List) -> Result<HashSet<String>> {
    let mut needed = HashSet::new();
    for entry in &index.manifests {
        let artifact = load(root, "", entry)?;
        needed.insert(entry.digest.hex().to_owned());
        let blobs = artifact.manifest.layers.iter().chain([&artifact.manifest.config]);
        needed.extend(blobs.map(|blob| blob.digest.hex().to_owned()));
    }
    Ok(needed)
}
