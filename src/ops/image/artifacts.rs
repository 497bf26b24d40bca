//! `artifact`: files in registries (OCI image specification, "Guidelines for Artifact Usage").
//!
//! ```text
//! <root>/artifacts/                an OCI image layout: other tools read it as `oci:<root>/artifacts:NAME`
//!     oci-layout index.json        what is in it, by name; replaced whole under index.lock
//!     blobs/sha256/<hex>           manifests, and the files; each written aside and renamed
//!     lock                         shared while something is added, exclusive to remove blobs that nothing names
//! ```
//!
//! A killed command leaves blobs that no name leads to; the next `artifact rm` removes them.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::copy::{self, CopyOptions};
use super::load::Verified;
use super::place::{self, Layers, Layout, Remote, Source};
use super::pull::reach as reach_registry;
use super::{PullOptions, own_name};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Collected, Context as _, Explain, Kind, Result, bail, fail};
use crate::base::fs;
use crate::base::id;
use crate::base::lock::Lock;
use crate::base::text::printable;
use crate::image::archive::read;
use crate::image::list::{Entry, List};
use crate::image::transport::{Transport, Which};
use crate::ops::context::Context;
use crate::ops::progress::Progress;
use crate::registry::Reference;
use crate::registry::manifest::{self, Descriptor, Document, ImageManifest, OCI_MANIFEST};
use crate::sys::rootdir::is_plain_name;

const TITLE: &str = "org.opencontainers.image.title";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const UNKNOWN_TYPE: &str = "application/vnd.unknown.artifact.v1";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// An artifact of the store.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its full name.
    pub name: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// The same as it is written.
    pub document: Value,
}

impl Artifact {
    /// Bytes of its files.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().map(|layer| layer.size).sum()
    }
}

/// What `artifact add` was asked for.
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// `--annotation`, of each file.
    pub annotations: BTreeMap<String, String>,
    /// `--append`: to an artifact that is there.
    pub append: bool,
    /// `--replace`: in place of one that is there.
    pub replace: bool,
    /// `--type`
    pub kind: Option<String>,
    /// `--file-type`
    pub file_type: Option<String>,
}

fn root(context: &Context) -> PathBuf {
    context.roots.root.join("artifacts")
}

/// Opens the layout for writing; the lock keeps blobs from being removed before a name leads to them.
fn open(context: &Context, name: &Reference) -> Result<(Layout, Lock)> {
    context.roots.create()?;
    let root = root(context);
    fs::create_dir_all(&root)?;
    let lock = Lock::shared(&root.join("lock"))?;
    Ok((Layout::open(&root, Some(name.full()), Layers::Kept)?, lock))
}

/// Makes an artifact of files. Gives the digest of its manifest.
pub fn add(context: &Context, name: &str, files: &[PathBuf], options: &AddOptions) -> Result<Digest> {
    let reference = own_name(name)?;
    let known = match find(context, name) {
        Ok(known) => Some(known),
        Err(error) if error_is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    if known.is_some() && !options.append && !options.replace {
        return Err(fail(Kind::Failed, format!("artifact `{reference}` is there already"))
            .hint("`--append` adds to it, `--replace` takes its place"));
    }
    let base = match known {
        Some(known) if options.append => Some(known),
        None if options.append => return Err(missing(name)),
        _ => None,
    };
    if base.is_some() && options.kind.is_some() {
        return Err(fail(Kind::Usage, "`--type` is of a new artifact, not of one that is added to"));
    }
    let (layout, _lock) = open(context, &reference)?;
    let mut layers = base.as_ref().map_or_else(Vec::new, |base| listed(&base.document));
    for file in files {
        let layer = add_file(context, file, options).with_context(|| format!("add `{}`", file.display()))?;
        if layers.iter().any(|known| known["annotations"][TITLE] == layer["annotations"][TITLE]) {
            bail!(
                "the artifact has a file `{}` already",
                printable(&layer["annotations"][TITLE].to_string())
            );
        }
        layers.push(layer);
    }
    let bytes = document(base.as_ref(), layers, options)?;
    let digest = Digest::of(&bytes);
    let config = Entry::new(EMPTY_TYPE, Digest::of(EMPTY), EMPTY.len() as u64, None).descriptor();
    place::Sink::put(&layout, &config, None, &|| Ok(Box::new(EMPTY)))?;
    place::Sink::finish(&layout, &bytes, OCI_MANIFEST, &digest)?;
    Ok(digest)
}

fn error_is_missing(error: &crate::base::error::Error) -> bool {
    crate::base::error::kind_of(error) == Kind::NotFound
}

fn missing(name: &str) -> crate::base::error::Error {
    fail(Kind::NotFound, format!("`{name}`: artifact not known"))
}

fn listed(document: &Value) -> Vec<Value> {
    document["layers"].as_array().cloned().unwrap_or_default()
}

fn document(base: Option<&Artifact>, layers: Vec<Value>, options: &AddOptions) -> Result<Vec<u8>> {
    let value = match base {
        Some(base) => {
            let mut value = base.document.clone();
            value["layers"] = layers.into();
            value
        }
        None => json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": options.kind.as_deref().unwrap_or(UNKNOWN_TYPE),
            "config": {"mediaType": EMPTY_TYPE, "digest": Digest::of(EMPTY), "size": EMPTY.len(), "data": "e30="},
            "layers": layers,
        }),
    };
    let bytes = serde_json::to_vec(&value).context("encode the manifest")?;
    manifest::parse(&bytes, Some(OCI_MANIFEST))?; // among others, its size is checked
    Ok(bytes)
}

/// Brings a file into the layout: written aside, since its digest is known at its end. Gives its descriptor.
fn add_file(context: &Context, file: &Path, options: &AddOptions) -> Result<Value> {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .context("the file has no name that can be a title")?;
    let mut from = fs::open(file)?;
    if !from.metadata().is_ok_and(|data| data.is_file()) {
        return Err(fail(Kind::Usage, "only regular files can be added"));
    }
    let blobs = root(context).join("blobs/sha256");
    let aside = blobs.join(format!(".{}", id::word()));
    let mut start = Vec::with_capacity(512);
    Read::by_ref(&mut from).take(512).read_to_end(&mut start).context("read it")?;
    let media_type = options.file_type.clone().unwrap_or_else(|| detect(&start).to_owned());
    let copied = write_aside(&aside, &start, &mut from).and_then(|(digest, size)| {
        fs::rename(&aside, &blobs.join(digest.hex()))?;
        Ok((digest, size))
    });
    if copied.is_err() {
        let _ = fs::remove_file(&aside); // the first error is the one to tell
    }
    let (digest, size) = copied?;
    let mut annotations = options.annotations.clone();
    annotations.entry(TITLE.to_owned()).or_insert_with(|| name.to_owned());
    Ok(json!({"mediaType": media_type, "digest": digest, "size": size, "annotations": annotations}))
}

fn write_aside(aside: &Path, start: &[u8], rest: &mut File) -> Result<(Digest, u64)> {
    let mut out = Counted::new(fs::create(aside)?, Algorithm::Sha256);
    let copied = std::io::copy(&mut start.chain(rest), &mut out);
    copied.with_context(|| format!("write `{}`", aside.display()))?;
    out.flush().with_context(|| format!("write `{}`", aside.display()))?;
    let (file, digest, size) = out.finish();
    file.sync_all().with_context(|| format!("sync `{}`", aside.display()))?;
    Ok((digest, size))
}

/// The media type by the first bytes: what is common, as Go's `http.DetectContentType` calls it.
fn detect(start: &[u8]) -> &'static str {
    let magic: [(&[u8], &str); 8] = [
        (b"\x1f\x8b\x08", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"\0asm", "application/wasm"),
        (b"<?xml", "text/xml; charset=utf-8"),
    ];
    if let Some((_, kind)) = magic.iter().find(|(magic, _)| start.starts_with(magic)) {
        return kind;
    }
    let binary = |byte: &u8| matches!(byte, 0..=8 | 11 | 14..=26 | 28..=31);
    if start.iter().any(binary) { "application/octet-stream" } else { "text/plain; charset=utf-8" }
}

/// All artifacts, by name.
pub fn list(context: &Context) -> Result<Vec<Artifact>> {
    let root = root(context);
    let mut found = Vec::new();
    for entry in place::read_index(&root)?.manifests {
        let Some(name) = entry.annotations.get(REF_NAME) else { continue };
        found
            .push(load(&root, name, &entry).with_context(|| format!("read artifact `{}`", printable(name)))?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn load(root: &Path, name: &str, entry: &Entry) -> Result<Artifact> {
    let bytes = fs::read_limited(&root.join(read::blob(&entry.digest)), manifest::LIMIT)?;
    if Digest::of(&bytes) != entry.digest {
        bail!("its manifest is damaged");
    }
    match manifest::parse(&bytes, Some(&entry.media_type))? {
        (Document::Image(image), _) => Ok(Artifact {
            name: name.to_owned(),
            digest: entry.digest.clone(),
            manifest: *image,
            document: serde_json::from_slice(&bytes).context("parse manifest")?,
        }),
        _ => bail!("it is a list of images"),
    }
}

/// Finds an artifact by its name, or by the beginning of its digest.
pub fn find(context: &Context, text: &str) -> Result<Artifact> {
    let all = list(context)?;
    let spellings = [own_name(text).ok(), Reference::parse(text).ok().map(Reference::or_latest)];
    for name in spellings.into_iter().flatten().map(|name| name.full()) {
        if let Some(found) = all.iter().find(|artifact| artifact.name == name) {
            return Ok(found.clone());
        }
    }
    let bare = text.strip_prefix("sha256:").unwrap_or(text);
    let fitting = |artifact: &&Artifact| id::is_prefix(bare) && artifact.digest.hex().starts_with(bare);
    let mut found: Vec<&Artifact> = all.iter().filter(fitting).collect();
    found.dedup_by(|a, b| a.digest == b.digest);
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(missing(text)),
        _ => Err(fail(Kind::Failed, format!("`{text}` could mean several artifacts"))),
    }
}

/// Pulls an artifact. Gives the digest of its manifest.
pub fn pull(context: &Context, text: &str, reach: &PullOptions, progress: &dyn Progress) -> Result<Digest> {
    let (client, names) = reach_registry(text.strip_prefix("docker://").unwrap_or(text), reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{text}` names no registry"))?;
    super::trust::allow(&Transport::Registry(name.clone()))?;
    let what = || format!("pull `{name}`");
    let source = Remote::with(client, name.clone());
    if matches!(source.top().with_context(what)?.document, Document::Index(_)) {
        bail!("`{name}` is a list of images, not an artifact");
    }
    let (layout, _lock) = open(context, &name)?;
    let sent = copy::send(&source, &layout, &CopyOptions::default(), &context.roots.tmp, progress);
    sent.map(|sent| sent.digest).with_context(what)
}

/// Pushes an artifact. Gives the digest of its manifest.
pub fn push(
    context: &Context,
    text: &str,
    destination: Option<&str>,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let found = find(context, text)?;
    let to = destination.unwrap_or(&found.name);
    let (client, names) = reach_registry(to.strip_prefix("docker://").unwrap_or(to), reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{to}` names no registry"))?;
    let from = Transport::Files {
        format: crate::image::archive::Format::OciDir,
        path: root(context),
        which: Which::Named(found.name.clone()),
    };
    let source = place::own_files(context, &from)?;
    let sink = Remote::with(client, name.clone());
    let sent = copy::send(&*source, &sink, &CopyOptions::default(), &context.roots.tmp, progress);
    sent.map(|sent| sent.digest).with_context(|| format!("push `{name}`"))
}

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

/// Which file `artifact extract` gives.
#[derive(Debug, Clone, Default)]
pub struct Pick {
    /// `--title`
    pub title: Option<String>,
    /// `--digest`
    pub digest: Option<String>,
}

/// Writes files of an artifact: into a directory, all or the one that was picked; or one into a file.
pub fn extract(context: &Context, text: &str, target: &Path, pick: &Pick) -> Result<()> {
    let found = find(context, text)?;
    let layers = picked(&found, pick)?;
    if !target.is_dir() {
        let [layer] = layers.as_slice() else {
            return Err(fail(Kind::Usage, format!("the artifact has {} files", layers.len()))
                .hint("give a directory, or pick one with --title or --digest"));
        };
        return write(context, layer, target);
    }
    // All names are looked at before the first file is written.
    let named = layers.iter().map(|layer| Ok((file_name(layer)?, *layer))).collect::<Result<Vec<_>>>()?;
    let distinct: HashSet<&String> = named.iter().map(|(name, _)| name).collect();
    if distinct.len() < named.len() {
        bail!("two files of the artifact have the same title; pick one with --digest");
    }
    named.iter().try_for_each(|(name, layer)| write(context, layer, &target.join(name)))
}

fn picked<'a>(found: &'a Artifact, pick: &Pick) -> Result<Vec<&'a Descriptor>> {
    let all = &found.manifest.layers;
    let fits = |layer: &&Descriptor| {
        let digest = pick.digest.as_deref().map(|text| text.strip_prefix("sha256:").unwrap_or(text));
        pick.title.as_ref().is_none_or(|title| layer.annotations.get(TITLE) == Some(title))
            && digest.is_none_or(|start| !start.is_empty() && layer.digest.hex().starts_with(start))
    };
    let chosen: Vec<&Descriptor> = all.iter().filter(fits).collect();
    let picks = pick.title.is_some() || pick.digest.is_some();
    match chosen.len() {
        0 => Err(fail(Kind::NotFound, format!("artifact `{}` has no such file", found.name))),
        1 => Ok(chosen),
        _ if picks => Err(fail(Kind::Failed, "several files of the artifact fit")),
        _ => Ok(chosen),
    }
}

/// A title is the name of a file and never a path (it was written by whoever pushed the artifact).
fn file_name(layer: &Descriptor) -> Result<String> {
    let Some(title) = layer.annotations.get(TITLE) else { return Ok(layer.digest.hex().to_owned()) };
    let plain =
        is_plain_name(std::ffi::OsStr::from_bytes(title.as_bytes())) && !title.contains(char::is_control);
    if !plain || title.len() > 255 {
        return Err(fail(Kind::Failed, format!("title `{}` is no name of a file", printable(title)))
            .hint("pick it with --title or --digest and give the file to write"));
    }
    Ok(title.clone())
}

/// Written aside and renamed: a link that stands at the target is replaced, not followed.
fn write(context: &Context, layer: &Descriptor, target: &Path) -> Result<()> {
    let from = fs::open(&root(context).join(read::blob(&layer.digest)))?;
    let name = target.file_name().with_context(|| format!("`{}` names no file", target.display()))?;
    let aside = target.with_file_name(format!(".{}.{}", id::word(), name.len()));
    let mut out = fs::create(&aside)?;
    let written = std::io::copy(&mut Verified::new(Box::new(from), &layer.digest), &mut out)
        .with_context(|| format!("write `{}`", target.display()))
        .and_then(|_| {
            rustix::fs::fchmod(&out, rustix::fs::Mode::from_raw_mode(0o644)).context("set the file's mode")
        })
        .and_then(|()| fs::rename(&aside, target));
    if written.is_err() {
        let _ = fs::remove_file(&aside); // the first error is the one to tell
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_names_of_files_and_nothing_else() {
        let layer = |title: &str| {
            let mut entry = Entry::new("x", Digest::of(b"x"), 1, None);
            entry.annotations.insert(TITLE.into(), title.into());
            entry.descriptor()
        };
        assert_eq!(file_name(&layer("a b.txt")).unwrap(), "a b.txt");
        for bad in ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\0b", "\u{1b}[2J", &"x".repeat(300)] {
            assert!(file_name(&layer(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn types_are_found_by_the_first_bytes() {
        assert_eq!(detect(b"hello\n"), "text/plain; charset=utf-8");
        assert_eq!(detect(b"\x1f\x8b\x08\0"), "application/x-gzip");
        assert_eq!(detect(b"a\0b"), "application/octet-stream");
    }
}
