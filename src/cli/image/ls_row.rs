//! One name of an image as a line of `images`, with the fields of Docker's and Podman's templates.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::{id, time, units};
use crate::cli::format::{ago, created_at};
use crate::ops::image::Listed;
use crate::ui::report::Row;

const NONE: &str = "<none>";

/// The fields of a template.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageRow {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Id")]
    whole_id: String,
    repository: String,
    tag: String,
    digest: String,
    created: String,
    created_since: String,
    created_at: String,
    created_time: String,
    size: String,
    virtual_size: String,
    shared_size: String,
    unique_size: String,
    containers: String,
    labels: BTreeMap<String, String>,
    parent_id: String,
    history: String,
    names: Vec<String>,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    dangling: bool,
    read_only: bool,
    os: String,
    arch: String,
}

impl Row for ImageRow {
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

impl ImageRow {
    /// By repository, then tag.
    pub(super) fn name_key(&self) -> (&str, &str) {
        (&self.repository, &self.tag)
    }

    /// By tag, then repository.
    pub(super) fn tag_key(&self) -> (&str, &str) {
        (&self.tag, &self.repository)
    }
}

/// A row a name; an image without a name has one row. `whole` ids; `labels` only where they are asked for, since they
/// are read from the configurations.
pub(super) fn rows(listed: &[Listed], whole: bool, labels: bool) -> Vec<ImageRow> {
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

/// Docker's word for what nobody looked up.
fn unknown() -> String {
    "N/A".into()
}

fn image_row(one: &Listed, whole: bool, labels: bool) -> ImageRow {
    let image = &one.image;
    let size = units::human_short(image.size);
    let ago = ago(image.created);
    ImageRow {
        id: if whole { image.id.as_str().to_owned() } else { id::short(image.id.hex()).to_owned() },
        whole_id: image.id.hex().to_owned(),
        repository: NONE.into(),
        tag: NONE.into(),
        digest: image.manifest_digest.to_string(),
        created: ago.clone(),
        created_since: ago,
        created_at: created_at(image.created),
        created_time: time::rfc3339(image.created),
        size: size.clone(),
        virtual_size: size,
        shared_size: one.share.map_or_else(unknown, |share| units::human_short(share.shared)),
        unique_size: one.share.map_or_else(unknown, |share| units::human_short(share.unique)),
        containers: if one.containers < 0 { unknown() } else { one.containers.to_string() },
        labels: if labels { one.labels() } else { BTreeMap::new() },
        parent_id: one.parent.as_ref().map(|parent| parent.hex().to_owned()).unwrap_or_default(),
        history: image.names.join(", "),
        names: image.names.clone(),
        repo_tags: image.tags().map(str::to_owned).collect(),
        repo_digests: image.digests.clone(),
        dangling: image.names.is_empty(),
        read_only: false,
        os: image.os.clone(),
        arch: image.architecture.clone(),
    }
}

/// Repository and tag as Podman lists them: the full name, which says where an image came from.
pub(in crate::cli) fn parts(name: &str) -> (String, String) {
    let bare = name.split_once('@').map_or(name, |(bare, _)| bare);
    match bare.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository.into(), tag.into()),
        _ => (bare.into(), NONE.into()),
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
            assert_eq!(parts(name), (repository.to_owned(), tag.to_owned()), "{name}");
        }
    }
}
