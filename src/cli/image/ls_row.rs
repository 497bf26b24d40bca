//! One name of an image as a line of `images`, with the fields of Docker's and Podman's templates.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::base::digest::Digest;
use crate::base::id;
use crate::cli::format::{Ago, Bytes, CreatedAt, Rfc3339};
use crate::ops::image::Listed;
use crate::ui::report::Row;

const NONE: &str = "<none>";
/// Docker's word for what nobody looked up.
const UNKNOWN: &str = "N/A";

/// The fields of a template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageRow<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Id")]
    whole_id: &'a str,
    repository: &'a str,
    tag: &'a str,
    digest: &'a Digest,
    created: Ago,
    created_since: Ago,
    created_at: CreatedAt,
    created_time: Rfc3339,
    size: Bytes,
    virtual_size: Bytes,
    #[serde(serialize_with = "if_known")]
    shared_size: Option<Bytes>,
    #[serde(serialize_with = "if_known")]
    unique_size: Option<Bytes>,
    #[serde(serialize_with = "count")]
    containers: i64,
    labels: BTreeMap<String, String>,
    parent_id: &'a str,
    #[serde(serialize_with = "joined")]
    history: &'a [String],
    names: &'a [String],
    #[serde(serialize_with = "with_tag")]
    repo_tags: &'a [String],
    repo_digests: &'a [String],
    dangling: bool,
    read_only: bool,
    os: &'a str,
    arch: &'a str,
}

impl Row for ImageRow<'_> {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("ID", "IMAGE ID"),
        ("Id", "ID"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("Digest", "DIGEST"),
        ("Created", "CREATED"),
        ("CreatedSince", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedTime", "CREATED TIME"),
        ("Size", "SIZE"),
        ("VirtualSize", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("Containers", "CONTAINERS"),
        ("Labels", "LABELS"),
        ("ParentId", "PARENT ID"),
        ("History", "HISTORY"),
        ("Names", "NAMES"),
        ("RepoTags", "REPO TAGS"),
        ("RepoDigests", "REPO DIGESTS"),
        ("Dangling", "DANGLING"),
        ("ReadOnly", "R/O"),
        ("Os", "OS"),
        ("Arch", "ARCH"),
    ];
}

impl ImageRow<'_> {
    /// By repository, then tag.
    pub(super) fn name_key(&self) -> (&str, &str) {
        (self.repository, self.tag)
    }

    /// By tag, then repository.
    pub(super) fn tag_key(&self) -> (&str, &str) {
        (self.tag, self.repository)
    }
}

/// A row a name; an image without a name has one row. `whole` ids; `labels` only where they are asked for, since they
/// are read from the configurations.
pub(super) fn rows(listed: &[Listed], whole: bool, labels: bool) -> Vec<ImageRow<'_>> {
    let mut rows = Vec::with_capacity(listed.len());
    for one in listed {
        let row = image_row(one, whole, labels);
        if one.names.is_empty() {
            rows.push(row);
            continue;
        }
        rows.extend(one.names.iter().map(|name| {
            let (repository, tag) = parts(name);
            ImageRow { repository, tag, ..row.clone() }
        }));
    }
    rows
}

fn image_row(one: &Listed, whole: bool, labels: bool) -> ImageRow<'_> {
    let image = &one.image;
    ImageRow {
        id: if whole { image.id.as_str() } else { id::short(image.id.hex()) },
        whole_id: image.id.hex(),
        repository: NONE,
        tag: NONE,
        digest: &image.manifest_digest,
        created: Ago(image.created),
        created_since: Ago(image.created),
        created_at: CreatedAt(image.created),
        created_time: Rfc3339(image.created),
        size: Bytes(image.size),
        virtual_size: Bytes(image.size),
        shared_size: one.share.map(|share| Bytes(share.shared)),
        unique_size: one.share.map(|share| Bytes(share.unique)),
        containers: one.containers,
        labels: if labels { one.labels() } else { BTreeMap::new() },
        parent_id: one.parent.as_ref().map_or("", |parent| parent.hex()),
        history: &image.names,
        names: &image.names,
        repo_tags: &image.names,
        repo_digests: &image.digests,
        dangling: image.names.is_empty(),
        read_only: image.read_only,
        os: &image.os,
        arch: &image.architecture,
    }
}

/// How many containers use it, where somebody looked.
fn count<S: Serializer>(count: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&if *count < 0 { UNKNOWN.into() } else { count.to_string() })
}

fn if_known<S: Serializer>(bytes: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    match bytes {
        Some(bytes) => bytes.serialize(serializer),
        None => serializer.serialize_str(UNKNOWN),
    }
}

fn joined<S: Serializer>(names: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&names.join(", "))
}

fn with_tag<S: Serializer>(names: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names.iter().filter(|name| !name.contains('@')))
}

/// Repository and tag as Podman lists them: the full name, which says where an image came from.
pub(in crate::cli) fn parts(name: &str) -> (&str, &str) {
    let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
    match bare.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (bare, NONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_into_repository_and_tag() {
        for (name, repository, tag) in [
            ("docker.io/library/alpine:3.20", "docker.io/library/alpine", "3.20"),
            ("docker.io/user/repo:v1", "docker.io/user/repo", "v1"),
            ("127.0.0.1:5000/nginx:latest", "127.0.0.1:5000/nginx", "latest"),
            ("localhost/x:latest", "localhost/x", "latest"),
            ("quay.io/a/b@sha256:00", "quay.io/a/b", NONE),
            ("127.0.0.1:5000/nginx@sha256:00", "127.0.0.1:5000/nginx", NONE),
        ] {
            assert_eq!(parts(name), (repository, tag), "{name}");
        }
    }
}
