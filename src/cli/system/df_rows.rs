//! The tables of `system df --verbose`, with Docker's columns.

use serde::Serialize;

use crate::base::{id, units};
use crate::cli::container::{command, status};
use crate::cli::format::ago;
use crate::cli::image::parts;
use crate::ops::system::{ContainerUsage, ImageUsage, VolumeUsage};
use crate::ui::report::Row;

/// An image under one of its names.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImageRow {
    repository: String,
    tag: String,
    #[serde(rename = "ID")]
    id: String,
    created_since: String,
    size: String,
    shared_size: String,
    unique_size: String,
    containers: usize,
}

impl Row for ImageRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("ID", "IMAGE ID"),
        ("CreatedSince", "CREATED"),
        ("Size", "SIZE"),
        ("SharedSize", "SHARED SIZE"),
        ("UniqueSize", "UNIQUE SIZE"),
        ("Containers", "CONTAINERS"),
    ];
}

impl ImageRow {
    pub(super) const COLUMNS: &'static str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t\
         {{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";

    /// A row a name; an image without a name has one row.
    pub(super) fn all(usage: &ImageUsage) -> Vec<ImageRow> {
        let image = &usage.image;
        let names: Vec<&str> = match image.names.is_empty() {
            true => vec!["<none>:<none>"],
            false => image.names.iter().map(String::as_str).collect(),
        };
        let row = |name: &str| ImageRow {
            repository: parts(name).0.to_string(),
            tag: parts(name).1.to_string(),
            id: id::short(image.id.hex()).to_owned(),
            created_since: ago(image.created),
            size: units::human(usage.share.shared + usage.share.unique),
            shared_size: units::human(usage.share.shared),
            unique_size: units::human(usage.share.unique),
            containers: usage.containers,
        };
        names.into_iter().map(row).collect()
    }
}

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerRow {
    #[serde(rename = "ID")]
    id: String,
    image: String,
    command: String,
    local_volumes: usize,
    size: String,
    created_since: String,
    status: String,
    names: String,
}

impl Row for ContainerRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("Command", "COMMAND"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Size", "SIZE"),
        ("CreatedSince", "CREATED"),
        ("Status", "STATUS"),
        ("Names", "NAMES"),
    ];
}

impl ContainerRow {
    pub(super) const COLUMNS: &'static str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t\
         {{.CreatedSince}}\t{{.Status}}\t{{.Names}}";

    pub(super) fn new(usage: &ContainerUsage) -> ContainerRow {
        let config = &usage.container.config;
        let argv = [config.process.entrypoint.as_slice(), config.process.command.as_slice()].concat();
        ContainerRow {
            id: id::short(&config.id).to_owned(),
            image: config.rootfs.image_name.clone(),
            command: command(&argv, false),
            local_volumes: usage.volumes,
            size: units::human(usage.size),
            created_since: ago(config.created),
            status: status(&usage.container),
            names: config.name.clone(),
        }
    }
}

/// A volume.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VolumeRow {
    name: String,
    links: usize,
    size: String,
}

impl Row for VolumeRow {
    const HEADINGS: &'static [(&'static str, &'static str)] =
        &[("Name", "VOLUME NAME"), ("Links", "LINKS"), ("Size", "SIZE")];
}

impl VolumeRow {
    pub(super) const COLUMNS: &'static str = "{{.Name}}\t{{.Links}}\t{{.Size}}";

    pub(super) fn new(usage: &VolumeUsage) -> VolumeRow {
        VolumeRow {
            name: usage.listed.volume.name.clone(),
            links: usage.listed.users.len(),
            size: units::human(usage.size),
        }
    }
}
