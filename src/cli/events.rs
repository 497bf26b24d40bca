//! `events`.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::format::created_at;
use super::session::Session;
use super::values::go_bool;
use crate::base::error::{Context, Result};
use crate::base::id;
use crate::base::text::printable;
use crate::base::time::{now, parse_when};
use crate::event::{Event, Subject};
use crate::ops::events::{EventsOptions, events};
use crate::ui::template::Template;

/// Show what happens to containers, images and volumes
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only those that fit: container=, event=, image=, label=, type= or volume=
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// `json`, or a Go template such as `{{.Type}} {{.Status}} {{.Name}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Begin with what happened since: a time, or a duration ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// End with what happens until: a time, or a duration from now
    #[arg(long, value_name = "TIME", value_parser = end)]
    until: Option<Timestamp>,
    /// Stay and show what comes (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    stream: Option<bool>,
    /// Whole ids (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    no_trunc: Option<bool>,
}

fn moment(text: &str) -> Result<Timestamp> {
    parse_when(text, now())
}

/// A duration counts forwards, as with podman; one that begins with `-` backwards.
fn end(text: &str) -> Result<Timestamp> {
    let is_time = text.contains(['-', ':', 'T']) || text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match crate::base::time::parse_duration(text) {
        Ok(ahead) if !is_time => Ok(now() + ahead),
        _ => parse_when(text.trim_start_matches('-'), now()),
    }
}

impl EventsArgs {
    /// Shows them, each at once.
    pub fn run(self, session: &Session) -> Result<()> {
        let options = EventsOptions {
            filters: self.filter,
            since: self.since,
            until: self.until,
            stream: self.stream.unwrap_or(true),
        };
        let whole = self.no_trunc.unwrap_or(true);
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(text) => Some(Template::parse(text)?),
        };
        let json = self.format.as_deref() == Some("json");
        events(session.ops()?, &options, &mut |event| {
            let line = match &template {
                Some(template) => template.render(&Record::new(event, whole))?,
                None if json => Record::new(event, whole).json()?.to_string(),
                None => sentence(event, whole),
            };
            session.out.now(&line)
        })
    }
}

fn shown(text: &str, whole: bool) -> &str {
    if whole { text } else { id::short(text) }
}

/// The line that podman prints.
fn sentence(event: &Event, whole: bool) -> String {
    let head = format!("{} {} {}", created_at_nano(event.time), event.subject.word(), event.status);
    let id = shown(&event.id, whole);
    let line = match event.subject {
        Subject::System => head,
        Subject::Volume => format!("{head} {}", event.name),
        Subject::Image => format!("{head} {id} {}", event.name),
        Subject::Container => {
            let mut details = vec![format!("image={}", event.image), format!("name={}", event.name)];
            details.extend(event.exit_code.map(|code| format!("exit_code={code}")));
            details.extend(event.health.as_ref().map(|health| format!("health_status={health}")));
            details.extend(event.attributes.iter().map(|(key, value)| format!("{key}={value}")));
            format!("{head} {id} ({})", details.join(", "))
        }
    };
    printable(&line).into_owned()
}

/// Go's way of printing a time, with its nanoseconds.
fn created_at_nano(when: Timestamp) -> String {
    let text = created_at(when);
    let (day, rest) = (&text[..text.len().min(19)], text.get(19..).unwrap_or_default());
    format!("{day}.{:09}{rest}", when.subsec_nanosecond())
}

/// An event with the fields of podman's and Docker's JSON and templates.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    image: &'a str,
    status: &'a str,
    #[serde(rename = "Type")]
    subject: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_status: Option<&'a str>,
    time: i64,
    time_nano: i64,
    attributes: &'a BTreeMap<String, String>,
    // Docker's.
    action: &'a str,
    actor: Actor<'a>,
    from: &'a str,
    scope: &'static str,
}

#[derive(Debug, Serialize)]
struct Actor<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    #[serde(rename = "Attributes")]
    attributes: BTreeMap<&'a str, String>,
}

/// Keys that the JSON spells otherwise than templates do: podman's, then Docker's.
const JSON_KEYS: [(&str, &str); 5] = [
    ("Time", "time"),
    ("TimeNano", "timeNano"),
    ("HealthStatus", "health_status"),
    ("From", "from"),
    ("Scope", "scope"),
];

impl<'a> Record<'a> {
    /// The JSON document, with the keys of both tools.
    fn json(&self) -> Result<serde_json::Value> {
        let mut json = serde_json::to_value(self).context("encode an event")?;
        if let Some(fields) = json.as_object_mut() {
            for (field, key) in JSON_KEYS {
                if let Some(value) = fields.remove(field) {
                    fields.insert(key.into(), value);
                }
            }
            fields.insert("status".into(), self.status.into());
            fields.insert("id".into(), self.id.into());
        }
        Ok(json)
    }

    fn new(event: &'a Event, whole: bool) -> Record<'a> {
        let id = shown(&event.id, whole);
        let mut attributes: BTreeMap<&str, String> =
            event.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        attributes.insert("name", event.name.clone());
        if event.subject == Subject::Container {
            attributes.insert("image", event.image.clone());
        }
        attributes.extend(event.exit_code.map(|code| ("exitCode", code.to_string())));
        Record {
            id,
            name: &event.name,
            image: &event.image,
            status: &event.status,
            subject: event.subject.word(),
            container_exit_code: event.exit_code,
            health_status: event.health.as_deref(),
            time: event.time.as_second(),
            time_nano: i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX),
            attributes: &event.attributes,
            action: &event.status,
            actor: Actor { id, attributes },
            from: &event.image,
            scope: "local",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_as_podman_writes_it() {
        let mut event = Event::now(Subject::Container, "died", &"a".repeat(64), "web");
        event.image = "i".into();
        event.exit_code = Some(3);
        let line = sentence(&event, false);
        assert!(line.ends_with(" container died aaaaaaaaaaaa (image=i, name=web, exit_code=3)"), "{line}");
        let json = Record::new(&event, true).json().unwrap();
        assert_eq!((&json["Status"], &json["Action"]), (&"died".into(), &"died".into()));
        assert_eq!(json["ContainerExitCode"], 3);
        assert_eq!(json["Actor"]["Attributes"]["exitCode"], "3");
        assert_eq!(json["timeNano"].as_i64().unwrap() / 1_000_000_000, json["time"].as_i64().unwrap());
    }

    #[test]
    fn an_end_lies_ahead_unless_it_is_a_time() {
        assert!(end("10m").unwrap() > now() && end("-10m").unwrap() < now());
        assert!(end("2026-01-02T03:04:05Z").unwrap() < now() && end("1700000000").unwrap() < now());
    }
}
