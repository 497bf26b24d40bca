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

/// A row a name; an image without a name has one row.
pub(super) fn rows(listed: &[Listed], whole: bool) -> Vec<ImageRow> {
    let mut rows = Vec::with_capacity(listed.len());
    for one in listed {
        let row = image_row(one, whole);
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

fn image_row(one: &Listed, whole: bool) -> ImageRow {
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
        shared_size: "N/A".into(),
        unique_size: "N/A".into(),
        containers: if one.containers < 0 { "N/A".into() } else { one.containers.to_string() },
        labels: BTreeMap::new(),
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
fn parts(name: &str) -> (String, String) {
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
