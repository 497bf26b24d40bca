//! Events: what happened to containers, images, volumes and the store, in order.
//!
//! ```text
//! <root>/events/lock       flock'd exclusively for each append and rotation; readers take no lock
//!               log        the newest events, a line of JSON each
//!               log.old    what `log` held before the last rotation
//! ```
//!
//! An append is one write. A `log` that has grown to [`LIMIT`] is renamed over `log.old`, so that at most twice as much
//! is kept. Nothing is synced: after a power cut the last events may be missing, and a line that is torn, or that a
//! later version wrote, is passed over.

mod read;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::error::{Context, Result};
use crate::base::lock::Lock;
use crate::base::{fs, time};

pub use read::Reader;

/// The size in bytes at which the log is set aside.
pub const LIMIT: u64 = 4 << 20;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// The store as a whole.
    System,
}

impl Subject {
    /// The lower-case word of filters and listings.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Container => "container",
            Subject::Image => "image",
            Subject::Volume => "volume",
            Subject::System => "system",
        }
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// About what.
    pub subject: Subject,
    /// What happened, in podman's words: `create`, `start`, `died`, `remove`, …
    pub status: String,
    /// The full id of the container or image; the name of a volume.
    #[serde(default)]
    pub id: String,
    /// The name of the container, image or volume.
    #[serde(default)]
    pub name: String,
    /// The image of a container.
    #[serde(default)]
    pub image: String,
    /// The exit code, where something ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What a health check found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Labels, and details of the status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// An event of this moment.
    pub fn now(subject: Subject, status: &str, id: &str, name: &str) -> Event {
        Event {
            time: time::now(),
            subject,
            status: status.to_owned(),
            id: id.to_owned(),
            name: name.to_owned(),
            image: String::new(),
            exit_code: None,
            health: None,
            attributes: BTreeMap::new(),
        }
    }
}

/// The log of events.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// The log below a root directory; nothing is made before the first event.
    pub fn open(root: &Path) -> Store {
        Store { dir: root.join("events") }
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn old(&self) -> PathBuf {
        self.dir.join("log.old")
    }

    /// Adds an event.
    pub fn append(&self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_vec(event).context("encode an event")?;
        line.push(b'\n');
        fs::create_dir_all(&self.dir)?;
        let _held = Lock::exclusive(&self.dir.join("lock"))?;
        let path = self.log();
        let mut file = append_to(&path)?;
        if file.metadata().is_ok_and(|now| now.len() >= LIMIT) {
            fs::rename(&path, &self.old())?;
            file = append_to(&path)?;
        }
        file.write_all(&line).with_context(|| format!("write `{}`", path.display()))
    }

    /// Reads from the oldest event that is kept, or with `only_new` from this moment on.
    pub fn read(&self, only_new: bool) -> Result<Reader> {
        // A reader that waits needs a file to wait for.
        fs::create_dir_all(&self.dir)?;
        append_to(&self.log())?;
        Reader::open(self.log(), (!only_new).then(|| self.old()))
    }
}

fn append_to(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.open(path).with_context(|| format!("open `{}`", path.display()))
}

/// Which file this is, whatever its name is by now.
fn identity(file: &File) -> Option<(u64, u64)> {
    file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sandbox(PathBuf, Store);

    impl Sandbox {
        fn new() -> Sandbox {
            let dir = std::env::temp_dir().join(format!("dhow-events-{}", crate::base::id::word()));
            Sandbox(dir.clone(), Store::open(&dir))
        }

        fn tell(&self, name: &str) {
            self.1.append(&Event::now(Subject::Volume, "create", name, name)).unwrap();
        }

        fn names(reader: &mut Reader) -> Vec<String> {
            std::iter::from_fn(|| reader.next().unwrap()).map(|event| event.name).collect()
        }
    }

    impl Drop for Sandbox {
        fn drop(&mut self) {
            let _ = std::process::Command::new("rm").arg("-rf").arg(&self.0).status();
        }
    }

    #[test]
    fn events_come_back_in_order_and_torn_lines_are_passed_over() {
        let sandbox = Sandbox::new();
        sandbox.tell("a");
        append_to(&sandbox.1.log()).unwrap().write_all(b"{\"time\":\"20\nnonsense\n").unwrap();
        sandbox.tell("b");
        let mut reader = sandbox.1.read(false).unwrap();
        assert_eq!(Sandbox::names(&mut reader), ["a", "b"]);
        append_to(&sandbox.1.log()).unwrap().write_all(b"{\"time\":").unwrap();
        assert_eq!(reader.next().unwrap(), None);
        let mut new = sandbox.1.read(true).unwrap();
        assert_eq!(new.next().unwrap(), None);
        append_to(&sandbox.1.log()).unwrap().write_all(b"\n").unwrap();
        sandbox.tell("c");
        assert_eq!(Sandbox::names(&mut reader), ["c"]);
        assert_eq!(Sandbox::names(&mut new), ["c"]);
    }

    #[test]
    fn a_rotation_is_followed_and_keeps_what_was_before() {
        let sandbox = Sandbox::new();
        sandbox.tell("first");
        let mut reader = sandbox.1.read(false).unwrap();
        assert_eq!(Sandbox::names(&mut reader), ["first"]);
        append_to(&sandbox.1.log()).unwrap().set_len(LIMIT).unwrap();
        append_to(&sandbox.1.log()).unwrap().write_all(b"\n").unwrap();
        sandbox.tell("second");
        assert_eq!(Sandbox::names(&mut reader), ["second"]);
        assert_eq!(Sandbox::names(&mut sandbox.1.read(false).unwrap()), ["first", "second"]);
    }

    #[test]
    fn the_form_on_disk_stays() {
        let text = r#"{"time":"2026-01-02T03:04:05Z","subject":"container","status":"died","id":"x","name":"n","image":"i","exit_code":3}"#;
        let event: Event = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
    }
}
