//! Events: told by the verbs as they happen, and read back by `events`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::context::Context as Ops;
use crate::base::error::{Kind, Result, fail};
use crate::base::time;
use crate::container::record::Config;
use crate::event::{Event, Subject};
use crate::image::Image;

/// How long a wait lasts at most, so that `--until` is kept.
const TURN: Duration = Duration::from_secs(1);

/// Keeps an event, where events are kept at all.
///
/// Nothing depends on it: a full disk must not keep `rm` from making room.
pub fn tell(ops: &Ops, event: Event) {
    if let Some(store) = ops.events() {
        let _ = store.append(&event);
    }
}

/// Tells what happened to a container.
pub fn container(ops: &Ops, config: &Config, status: &str) {
    tell(ops, about(config, status));
}

/// An event about a container, for details to be added to.
pub fn about(config: &Config, status: &str) -> Event {
    Event {
        image: config.rootfs.image_name.clone(),
        attributes: config.labels.clone(),
        ..Event::now(Subject::Container, status, &config.id, &config.name)
    }
}

/// Tells what happened to an image, under its first name or the one that was typed.
pub fn image(ops: &Ops, image: &Image, name: Option<&str>, status: &str) {
    let name = name.or(image.names.first().map(String::as_str)).unwrap_or_default();
    tell(ops, Event::now(Subject::Image, status, image.id.hex(), name));
}

/// Tells what happened to a volume.
pub fn volume(ops: &Ops, name: &str, status: &str) {
    tell(ops, Event::now(Subject::Volume, status, name, name));
}

/// Which events `events` gives.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// `--filter`, `KEY=VALUE`.
    pub filters: Vec<String>,
    /// `--since`
    pub since: Option<Timestamp>,
    /// `--until`; one in the future ends the wait.
    pub until: Option<Timestamp>,
    /// Goes on with what comes.
    pub stream: bool,
}

/// Gives the events that pass, oldest first, to `show`. While streaming without `--since` or `--until`, only new ones.
pub fn events(ops: &Ops, options: &EventsOptions, show: &mut dyn FnMut(&Event) -> Result<()>) -> Result<()> {
    let filters = Filters::parse(&options.filters)?;
    let Some(store) = ops.events() else {
        return Err(fail(Kind::Failed, "no events are kept: the events backend is `none`"));
    };
    let only_new = options.stream && options.since.is_none() && options.until.is_none();
    let mut reader = store.read(only_new)?;
    loop {
        while let Some(event) = reader.next()? {
            if options.until.is_some_and(|until| event.time > until) {
                return Ok(());
            }
            let recent = options.since.is_none_or(|since| event.time >= since);
            if recent && filters.accept(&event) {
                show(&event)?;
            }
        }
        let left = options.until.map_or(TURN, |until| time::since(time::now(), until));
        if !options.stream || left.is_zero() {
            return Ok(());
        }
        reader.wait(left.min(TURN))?;
    }
}

/// Filters: one of each key must fit.
#[derive(Debug, Default)]
struct Filters(BTreeMap<&'static str, Vec<String>>);

const KEYS: [&str; 6] = ["container", "event", "image", "label", "type", "volume"];

impl Filters {
    fn parse(texts: &[String]) -> Result<Filters> {
        let mut filters = Filters::default();
        for text in texts {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            let key = if key.eq_ignore_ascii_case("status") { "event" } else { key };
            let Some(known) = KEYS.iter().find(|known| known.eq_ignore_ascii_case(key)) else {
                let message = format!("unknown filter `{key}`: {}", KEYS.join(", "));
                return Err(fail(Kind::Usage, message));
            };
            if value.is_empty() {
                return Err(fail(Kind::Usage, format!("filter `{text}` is not of the form `KEY=VALUE`")));
            }
            filters.0.entry(known).or_default().push(value.to_owned());
        }
        Ok(filters)
    }

    fn accept(&self, event: &Event) -> bool {
        self.0.iter().all(|(key, values)| values.iter().any(|value| fits(event, key, value)))
    }
}

fn fits(event: &Event, key: &str, value: &str) -> bool {
    let named = |subject| event.subject == subject && (event.name == value || event.id.starts_with(value));
    match key {
        "container" => named(Subject::Container),
        "volume" => named(Subject::Volume),
        // Also what happened to the image's containers, as Docker has it.
        "image" => {
            let familiar = |name: &str| super::image::name_fits(value, name);
            named(Subject::Image)
                || (event.subject == Subject::Image && familiar(&event.name))
                || (event.subject == Subject::Container && familiar(&event.image))
        }
        "type" => event.subject.word() == value,
        "event" => event.status == podmans(value),
        _ => match value.split_once('=') {
            Some((label, wanted)) => event.attributes.get(label).is_some_and(|held| held == wanted),
            None => event.attributes.contains_key(value),
        },
    }
}

/// Docker's words for what podman calls otherwise.
fn podmans(status: &str) -> &str {
    match status {
        "die" => "died",
        "destroy" | "delete" => "remove",
        "load" => "loadfromarchive",
        "exec_start" => "exec",
        "exec_die" => "exec_died",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_are_alternatives_and_keys_add_up() {
        let mut event = Event::now(Subject::Container, "died", "abc123", "web");
        event.image = "docker.io/library/alpine:latest".into();
        event.attributes.insert("a".into(), "b".into());
        let accepts = |filters: &[&str]| {
            let texts: Vec<String> = filters.iter().map(|text| (*text).to_owned()).collect();
            Filters::parse(&texts).unwrap().accept(&event)
        };
        assert!(accepts(&[]) && accepts(&["event=start", "event=die"]) && accepts(&["container=abc"]));
        assert!(accepts(&["type=container", "container=web", "label=a=b", "label=c"]));
        assert!(accepts(&["image=alpine"]) && !accepts(&["image=busybox"]));
        assert!(!accepts(&["type=image"]) && !accepts(&["event=died", "container=other"]));
        assert!(!accepts(&["label=a=c"]) && !accepts(&["volume=web"]));
        for bad in ["nonsense=1", "event=", "event"] {
            assert!(Filters::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
