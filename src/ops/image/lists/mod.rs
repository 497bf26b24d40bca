//! `manifest`: lists of images (Docker's manifest lists, OCI's indexes) in the store.
//!
//! ```text
//! entries    what an image gives to a list          change     annotate, remove
//! instance   the image of a list for a platform     inspect    a list as it is
//! ```

mod change;
mod entries;
mod inspect;
mod instance;

use std::collections::{BTreeMap, HashSet};

use super::copy::{self, CopyOptions};
use super::place::{self, Stored, Stores};
use super::{PullOptions, find, own_name, pull};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Result, is_not_found};
use crate::image::list::{Changes, List};
use crate::image::transport::Transport;
use crate::image::{Image, ListRecord};
use crate::ops::context::Context;
use crate::ops::progress::Progress;

pub use change::{AnnotateOptions, annotate, remove};
use entries::{New, entries, own_entry};
pub use inspect::inspect;
pub use instance::pull_all;
pub(super) use instance::{instance, instance_here};

/// What `manifest create` and `manifest add` were asked for.
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// `--all`: of a list all images.
    pub all: bool,
    /// What is said about the images.
    pub changes: Changes,
    /// How registries are reached; the platform chooses an image of a list.
    pub reach: PullOptions,
}

/// Makes a list. Gives its id. With `amend`, one that is there is added to.
pub fn create(
    context: &Context,
    name: &str,
    images: &[String],
    amend: bool,
    annotations: BTreeMap<String, String>,
    options: &AddOptions,
) -> Result<Digest> {
    let reference = own_name(name)?;
    let known = match find(context, name) {
        Ok(image) if amend => {
            image.as_list()?;
            Some(image.id)
        }
        _ => None,
    };
    let mut new = Vec::new();
    for image in images {
        new.extend(entries(context, image, options)?);
    }
    let put = |record: &mut ListRecord| {
        change(record, |list, sources| {
            list.annotations.extend(annotations.clone());
            put_all(list, sources, new.clone());
            Ok(())
        })
    };
    if let Some(id) = known {
        context.images().edit_list(&id, put)?;
        return Ok(id);
    }
    let mut record = ListRecord { text: String::from_utf8(List::new().bytes()?)?, sources: BTreeMap::new() };
    put(&mut record)?;
    let committed = context.images().commit_list(record, &[reference], true);
    committed.map(|committed| committed.id).with_context(|| format!("create list `{name}`"))
}

/// Adds images to a list. Gives the list's id.
pub fn add(context: &Context, list: &str, images: &[String], options: &AddOptions) -> Result<Digest> {
    let id = list_named(context, list)?.id;
    let mut new = Vec::new();
    for image in images {
        new.extend(entries(context, image, options).with_context(|| format!("add `{image}` to `{list}`"))?);
    }
    context.images().edit_list(&id, |record| {
        change(record, |list, sources| {
            put_all(list, sources, new);
            Ok(())
        })
    })?;
    Ok(id)
}

/// Puts images of the store into the list of this name, which is made if it is not there: `build --manifest`.
pub fn put(context: &Context, name: &str, images: &[Image]) -> Result<Digest> {
    let new = images.iter().map(own_entry).collect::<Result<Vec<_>>>()?;
    let id = match find(context, name) {
        Ok(known) => known.as_list().map(|_| known.id.clone())?,
        Err(error) if is_not_found(&error) => {
            create(context, name, &[], false, BTreeMap::new(), &AddOptions::default())?
        }
        Err(error) => return Err(error),
    };
    context.images().edit_list(&id, |record| {
        change(record, |list, sources| {
            put_all(list, sources, new);
            Ok(())
        })
    })?;
    Ok(id)
}

fn put_all(list: &mut List, sources: &mut BTreeMap<Digest, String>, new: Vec<New>) {
    for (entry, source) in new {
        sources.insert(entry.digest.clone(), source);
        list.add(entry);
    }
}

/// Reads, changes and writes the document.
fn change(
    record: &mut ListRecord,
    act: impl FnOnce(&mut List, &mut BTreeMap<Digest, String>) -> Result<()>,
) -> Result<()> {
    let mut list = record.list()?;
    act(&mut list, &mut record.sources)?;
    list.settle();
    record.sources.retain(|digest, _| list.manifests.iter().any(|entry| entry.digest == *digest));
    record.text = String::from_utf8(list.bytes()?)?;
    Ok(())
}

/// Finds a list; an image that is none is an error.
pub fn list_named(context: &Context, text: &str) -> Result<Image> {
    let image = find(context, text)?;
    image.as_list()?;
    Ok(image)
}

/// Whether there is a list of this name.
pub fn exists(context: &Context, text: &str) -> Result<bool> {
    match find(context, text) {
        Ok(image) => Ok(image.is_list()),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Pushes a list, and its images unless only the list was asked for. Gives the digest at the destination.
pub fn push(
    context: &Context,
    list: &str,
    destination: Option<&str>,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let image = list_named(context, list)?;
    let text = destination.unwrap_or(list);
    let to = match Transport::parse(text)? {
        Some(transport) => transport,
        None => {
            let name = pull::reach(text, &options.to)?.1.into_iter().next();
            Transport::Registry(name.with_context(|| format!("`{text}` names no registry"))?)
        }
    };
    let what = || format!("push list `{list}` to `{to}`");
    let source = Stored::new(Stores::of(context)?, image, &options.from).with_context(what)?;
    let sink = place::sink(&to, &options.to).with_context(what)?;
    copy::send(&source, &*sink, options, &context.roots.tmp, progress)
        .map(|sent| sent.digest)
        .with_context(what)
}

/// The ids of all images that are in some list.
pub(super) fn members(all: &[Image]) -> HashSet<Digest> {
    all.iter().filter_map(|image| image.list.as_ref()).flat_map(ListRecord::local).collect()
}
