//! `manifest annotate` and `manifest remove`.

use super::{AddOptions, change, entries, list_named};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::image::ListRecord;
use crate::image::list::Changes;
use crate::ops::context::Context;
use crate::ops::image::{PullOptions, find};
use crate::registry::manifest::Descriptor;

/// What `manifest annotate` was asked for.
#[derive(Debug, Clone, Default)]
pub struct AnnotateOptions {
    /// What is said.
    pub changes: Changes,
    /// `--index`: annotations are of the list itself.
    pub index: bool,
    /// `--subject`: the image to which the list belongs.
    pub subject: Option<String>,
    /// How registries are reached.
    pub reach: PullOptions,
}

/// Says something about an image of a list, or about the list. Gives the list's id.
pub fn annotate(
    context: &Context,
    list: &str,
    image: Option<&str>,
    options: &AnnotateOptions,
) -> Result<Digest> {
    let found = list_named(context, list)?;
    let digest = match image {
        Some(image) if !options.index => Some(digest_in(context, found.as_list()?, image)?),
        None if !options.index && options.subject.is_none() => {
            return Err(
                fail(Kind::Usage, "no image of the list was named").hint("`--index` means the list itself")
            );
        }
        _ => None,
    };
    let subject =
        options.subject.as_deref().map(|text| subject(context, text, &options.reach)).transpose()?;
    context.images().edit_list(&found.id, |record| {
        change(record, |list, _| {
            match &digest {
                Some(digest) => list.entry_mut(digest)?.change(&options.changes),
                None => list.annotations.extend(options.changes.annotations.clone()),
            }
            if subject.is_some() {
                list.subject = subject;
            }
            Ok(())
        })
    })?;
    Ok(found.id)
}

fn subject(context: &Context, text: &str, reach: &PullOptions) -> Result<Descriptor> {
    let options = AddOptions { reach: reach.clone(), ..AddOptions::default() };
    let (mut entry, _) =
        entries(context, text, &options)?.into_iter().next().context("the subject is no image")?;
    entry.platform = None;
    Ok(entry.descriptor())
}

/// The digest in a list that is meant: a digest, or an image of the store.
fn digest_in(context: &Context, record: &ListRecord, text: &str) -> Result<Digest> {
    if let Ok(digest) = text.parse() {
        return Ok(digest);
    }
    let image =
        find(context, text).with_context(|| format!("`{text}` is no digest of an image in the list"))?;
    let list = record.list()?;
    let known = list.manifests.iter().find(|entry| image.has_digest(&entry.digest));
    known
        .map(|entry| entry.digest.clone())
        .ok_or_else(|| fail(Kind::NotFound, format!("image `{text}` is not in the list")))
}

/// Takes an image out of a list. Gives the list's id.
pub fn remove(context: &Context, list: &str, image: &str) -> Result<Digest> {
    let found = list_named(context, list)?;
    let digest = digest_in(context, found.as_list()?, image)?;
    context.images().edit_list(&found.id, |record| change(record, |list, _| list.remove(&digest)))?;
    Ok(found.id)
}
