//! `artifact add`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Artifact, TITLE, error_is_missing, find, missing, open, root};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::base::{fs, id};
use crate::image::list::Entry;
use crate::ops::context::Context;
use crate::ops::image::own_name;
use crate::ops::image::place::Sink as _;
use crate::registry::manifest::{self, OCI_MANIFEST};

const UNKNOWN_TYPE: &str = "application/vnd.unknown.artifact.v1";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

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
    layout.put(&config, None, &|| Ok(Box::new(EMPTY)))?;
    layout.finish(&bytes, OCI_MANIFEST, &digest)?;
    Ok(digest)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_the_first_bytes() {
        assert_eq!(detect(b"hello\n"), "text/plain; charset=utf-8");
        assert_eq!(detect(b"\x1f\x8b\x08\0"), "application/x-gzip");
        assert_eq!(detect(b"a\0b"), "application/octet-stream");
    }
}
