//! What an image, wherever it is, gives to a list: an entry, and where the image is to be had.

use std::collections::BTreeMap;

use super::AddOptions;
use crate::base::error::{Context as _, Result, bail, is_not_found};
use crate::image::list::{Entry, EntryPlatform, List};
use crate::image::lists::local_source;
use crate::image::transport::{Transport, Which};
use crate::image::{Config, Image};
use crate::ops::context::Context;
use crate::ops::image::place::{self, Source};
use crate::ops::image::{find_or_install, pull, trust};
use crate::registry::manifest::Document;
use crate::registry::{Fetched, Platform};

/// An entry and where its image is.
pub(super) type New = (Entry, String);

/// The entries that an image gives: of the store, of a registry, of a file.
pub(super) fn entries(context: &Context, text: &str, options: &AddOptions) -> Result<Vec<New>> {
    let mut found = match Transport::parse(text)? {
        None => match find_or_install(context, text) {
            Ok(image) => of_image(&image, options)?,
            Err(error) if is_not_found(&error) => of_name(text, options)?,
            Err(error) => return Err(error),
        },
        Some(Transport::Store(name)) => of_image(&find_or_install(context, &name)?, options)?,
        Some(outside) => of_place(&*place::source(context, &outside, &options.reach)?, &outside, options)?,
    };
    found.iter_mut().for_each(|(entry, _)| entry.change(&options.changes));
    Ok(found)
}

/// A name that the store does not know means a registry.
fn of_name(text: &str, options: &AddOptions) -> Result<Vec<New>> {
    let (client, names) = pull::reach(text, &options.reach)?;
    let Some(name) = names.into_iter().next() else { bail!("`{text}` names no registry") };
    let outside = Transport::Registry(name.clone());
    trust::allow(&outside, &options.reach)?;
    of_place(&place::Remote::with(client, name), &outside, options)
}

fn of_image(image: &Image, options: &AddOptions) -> Result<Vec<New>> {
    if !image.is_list() {
        return own_entry(image).map(|new| vec![new]);
    }
    let record = image.as_list()?;
    let list = record.list()?;
    let source = |entry: &Entry| record.sources.get(&entry.digest).cloned().unwrap_or_default();
    if options.all {
        return Ok(list.manifests.iter().map(|entry| (entry.clone(), source(entry))).collect());
    }
    let chosen = choose(&list, &platform(options))?;
    Ok(vec![(chosen.clone(), source(chosen))])
}

pub(super) fn own_entry(image: &Image) -> Result<New> {
    let size = image.manifest_bytes()?.len() as u64;
    let platform = EntryPlatform::from(image.config()?);
    let entry = Entry::new(&image.manifest_type, image.manifest_digest.clone(), size, Some(platform));
    Ok((entry, local_source(&image.id)))
}

fn platform(options: &AddOptions) -> Platform {
    options.reach.platform.clone().unwrap_or_else(Platform::host)
}

/// What fits a platform best, as whoever pulls the list would find it.
pub(super) fn choose<'a>(list: &'a List, platform: &Platform) -> Result<&'a Entry> {
    let index = crate::registry::manifest::Index {
        schema_version: 2,
        media_type: None,
        manifests: list.manifests.iter().map(Entry::descriptor).collect(),
        annotations: BTreeMap::new(),
    };
    let digest = &index.choose(platform)?.digest;
    list.manifests.iter().find(|entry| entry.digest == *digest).context("choose an image of the list")
}

fn of_place(source: &dyn Source, outside: &Transport, options: &AddOptions) -> Result<Vec<New>> {
    let top = source.top()?;
    let at = |entry: &Entry| match outside {
        Transport::Registry(name) => Ok(Transport::Registry(name.with_digest(&entry.digest)).to_string()),
        Transport::Files { format, path, which } => {
            let path = path.canonicalize().with_context(|| format!("open `{}`", path.display()))?;
            let which = Which::clone(which);
            Ok(Transport::Files { format: *format, path, which }.to_string())
        }
        Transport::Store(_) => bail!("an image of the store is not outside of it"),
    };
    match &top.document {
        Document::Image(image) => {
            let config = Config::parse(&source.small(&image.config)?)?;
            let entry = entry_of(&top, Some(EntryPlatform::from(&config)));
            let source = at(&entry)?;
            Ok(vec![(entry, source)])
        }
        Document::Index(_) => {
            if !matches!(outside, Transport::Registry(_)) {
                bail!("a list in a file cannot be added from there: copy it to `containers-storage:` first");
            }
            let list = List::parse(&top.bytes, Some(&top.media_type))?;
            let chosen: Vec<Entry> = match options.all {
                true => list.manifests.clone(),
                false => vec![choose(&list, &platform(options))?.clone()],
            };
            chosen.into_iter().map(|entry| at(&entry).map(|source| (entry, source))).collect()
        }
    }
}

fn entry_of(fetched: &Fetched, platform: Option<EntryPlatform>) -> Entry {
    Entry::new(&fetched.media_type, fetched.digest.clone(), fetched.bytes.len() as u64, platform)
}
