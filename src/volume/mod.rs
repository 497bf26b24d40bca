//! The volume noun: directories that outlive containers.
//!
//! ```text
//! <root>/volumes/<name>/volume.json    [`Volume`]; replaced in one step
//!                       _data/         what containers see
//!                       lock           held while the volume is being filled from an image or removed
//! <root>/volumes/.new-<word>/          being made; renamed into place
//! <root>/volumes/.gone-<word>/         being deleted: gone for everybody else
//! ```
//!
//! Who uses a volume is written in the records of containers, which this noun does not know: `ops` asks them before
//! it removes one. An unreadable record makes a volume damaged; it never breaks a command about another one.

mod store;

pub use store::{Damaged, Store};

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of `volume.json`.
pub const VERSION: u32 = 1;

/// `volume.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// [`VERSION`].
    pub version: u32,
    /// Unique.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--opt`: `type`, `device`, `o`.
    pub options: BTreeMap<String, String>,
    /// Made for one container, to be removed with it.
    pub anonymous: bool,
    /// Nothing was copied into it from an image yet, and nothing must be any more once this is false.
    pub needs_fill: bool,
}

impl Default for Volume {
    fn default() -> Self {
        Volume {
            version: VERSION,
            name: String::new(),
            created: Timestamp::UNIX_EPOCH,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            anonymous: false,
            needs_fill: true,
        }
    }
}

impl Volume {
    /// A volume of this name, made now.
    pub fn new(name: &str) -> Volume {
        Volume { name: name.to_owned(), created: crate::base::time::now(), ..Volume::default() }
    }

    /// What it is mounted from, when its options say that it is no plain directory: type, source, mount options.
    pub fn mounted_from(&self) -> Option<(&str, PathBuf, Vec<&str>)> {
        let kind = self.options.get("type").map_or("", String::as_str);
        let device = self.options.get("device").map(PathBuf::from).unwrap_or_default();
        let words: Vec<&str> = self.options.get("o").map_or("", String::as_str).split(',').collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        match kind {
            "" if device.as_os_str().is_empty() => None,
            "" | "none" | "bind" => Some(("bind", device, words)),
            other => Some((other, device, words)),
        }
    }
}
