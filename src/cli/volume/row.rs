//! A volume as listings and `inspect` show it, with the fields of both tools.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::time::rfc3339;
use crate::ops::volumes::Listed;
use crate::ui::report::Row;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VolumeRow {
    name: String,
    driver: &'static str,
    mountpoint: String,
    created_at: String,
    labels: BTreeMap<String, String>,
    scope: &'static str,
    options: BTreeMap<String, String>,
    anonymous: bool,
    mount_count: usize,
}

impl Row for VolumeRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("Name", "VOLUME NAME"),
        ("Driver", "DRIVER"),
        ("Mountpoint", "MOUNTPOINT"),
        ("CreatedAt", "CREATED AT"),
        ("Labels", "LABELS"),
        ("Scope", "SCOPE"),
        ("Options", "OPTIONS"),
        ("Anonymous", "ANONYMOUS"),
        ("MountCount", "MOUNT COUNT"),
    ];
}

impl VolumeRow {
    pub(super) fn new(one: &Listed) -> VolumeRow {
        VolumeRow {
            name: one.volume.name.clone(),
            driver: "local",
            mountpoint: one.mountpoint.display().to_string(),
            created_at: rfc3339(one.volume.created),
            labels: one.volume.labels.clone(),
            scope: "local",
            options: one.volume.options.clone(),
            anonymous: one.volume.anonymous,
            mount_count: one.users.len(),
        }
    }
}
