//! `manifest`: lists of images (Docker's manifest lists, OCI's indexes) in the store.

use std::collections::BTreeMap;

use super::copy::{self, CopyOptions, Instances};
use super::place::{self, Source, Stored, Stores};
use super::{PullOptions, find, find_or_install, own_name, pull};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail, is_not_found};
use crate::image::list::{Changes, Entry, EntryPlatform, List};
use crate::image::lists::{local_id, local_source};
use crate::image::transport::{Transport, Which};
use crate::image::{Config, Image, ListRecord};
use crate::ops::context::Context;
use crate::ops::progress::Progress;
use crate::registry::manifest::{Descriptor, Document};
use crate::registry::{Fetched, Platform};

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

/// An entry and where its image is.
type New = (Entry, String);

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

/// The entries that an image gives: of the store, of a registry, of a file.
fn entries(context: &Context, text: &str, options: &AddOptions) -> Result<Vec<New>> {
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
    super::trust::allow(&outside)?;
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

fn own_entry(image: &Image) -> Result<New> {
    let size = image.manifest_bytes()?.len() as u64;
    let platform = EntryPlatform::from(image.config()?);
    let entry = Entry::new(&image.manifest_type, image.manifest_digest.clone(), size, Some(platform));
    Ok((entry, local_source(&image.id)))
}

fn platform(options: &AddOptions) -> Platform {
    options.reach.platform.clone().unwrap_or_else(Platform::host)
}

/// What fits a platform best, as whoever pulls the list would find it.
fn choose<'a>(list: &'a List, platform: &Platform) -> Result<&'a Entry> {
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

/// The document of a list: of the store, else of a registry. An image's manifest comes with a warning.
pub fn inspect(
    context: &Context,
    text: &str,
    reach: &PullOptions,
) -> Result<(serde_json::Value, Option<String>)> {
    let fetched = match (Transport::parse(text)?, find(context, text)) {
        (None, Ok(image)) if image.is_list() => {
            return parsed(&image.manifest_bytes()?).map(|list| (list, None));
        }
        (None, here) => match remote_top(text, reach) {
            Ok(fetched) => fetched,
            // What is here serves when nobody else has it.
            Err(error) => match here {
                Ok(image) => {
                    return parsed(&image.manifest_bytes()?)
                        .map(|doc| (doc, Some(single(&image.manifest_type))));
                }
                Err(_) => return Err(error),
            },
        },
        (Some(transport), _) => place::source(context, &transport, reach)?.top()?,
    };
    let warning = matches!(fetched.document, Document::Image(_)).then(|| single(&fetched.media_type));
    Ok((parsed(&fetched.bytes)?, warning))
}

fn remote_top(text: &str, reach: &PullOptions) -> Result<Fetched> {
    let (client, names) = pull::reach(text, reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{text}` names no registry"))?;
    client.manifest(&name)
}

fn single(media_type: &str) -> String {
    format!("the manifest type {media_type} is not a manifest list but a single image")
}

fn parsed(bytes: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(bytes).context("parse manifest")
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

/// The image of a list that is for a platform, if it is in the store.
pub(super) fn instance_here(context: &Context, list: &Image, platform: &Platform) -> Result<Option<Image>> {
    let record = list.as_list()?;
    let parsed = record.list()?;
    let entry =
        choose(&parsed, platform).with_context(|| format!("choose an image of the list `{}`", list.id))?;
    let known = record.sources.get(&entry.digest).and_then(|source| local_id(source));
    match known.map(|id| context.images().get(&id)) {
        Some(Ok(image)) => Ok(Some(image)),
        _ => match context.images().resolve(entry.digest.as_str()) {
            Ok(image) if !image.is_list() => Ok(Some(image)),
            _ => Ok(None),
        },
    }
}

/// The image of a list that is for a platform: from the store, else from where the list has it.
pub(super) fn instance(
    context: &Context,
    list: &Image,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Image> {
    let platform = reach.platform.clone().unwrap_or_else(Platform::host);
    if let Some(image) = instance_here(context, list, &platform)? {
        return Ok(image);
    }
    if reach.policy == super::PullPolicy::Never {
        return Err(fail(
            Kind::NotFound,
            format!("the image of the list for {platform} is not in the store"),
        )
        .hint("the pull policy is `never`"));
    }
    let entry = choose(&list.as_list()?.list()?, &platform)?.descriptor();
    let whole = Stored::new(Stores::of(context)?, list.clone(), reach)?;
    let source = whole.instance(&entry)?;
    let from = Transport::Store(list.id.to_string());
    let options = CopyOptions { from: reach.clone(), ..CopyOptions::default() };
    let kept = copy::into_store(context, &*source, &from, &[], &options, progress)?;
    context.images().get(&kept.id)
}

/// `pull --all-platforms`: every image of a list, and the list under its name.
pub fn pull_all(
    context: &Context,
    text: &str,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let place = match Transport::parse(text)? {
        Some(place) => place,
        None => {
            let name = pull::reach(text, reach)?.1.into_iter().next();
            Transport::Registry(name.with_context(|| format!("`{text}` names no registry"))?)
        }
    };
    let names = match &place {
        Transport::Registry(name) => {
            vec![name.digest.as_ref().map_or_else(|| name.clone(), |digest| name.with_digest(digest))]
        }
        _ => Vec::new(),
    };
    progress.message(&format!("Trying to pull {place}..."));
    let source = place::source(context, &place, reach)?;
    let options = CopyOptions { from: reach.clone(), instances: Instances::All, ..CopyOptions::default() };
    copy::into_store(context, &*source, &place, &names, &options, progress)
        .map(|kept| kept.id)
        .with_context(|| format!("pull `{text}`"))
}

/// The ids of all images that are in some list.
pub(super) fn members(all: &[Image]) -> std::collections::HashSet<Digest> {
    all.iter().filter_map(|image| image.list.as_ref()).flat_map(ListRecord::local).collect()
}
