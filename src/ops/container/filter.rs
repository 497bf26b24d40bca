//! `--filter` of commands about containers: parsed once, then asked for each container.
//!
//! Filters of one key are alternatives, different keys must all hold (labels: all must hold), as podman has it.

use jiff::Timestamp;

use crate::base::error::{Context, Kind, Result, fail};
use crate::base::time::{self, parse_when};
use crate::container::record::{MountSource, NetworkMode, RestartPolicy, Status};
use crate::container::store::{Container, Store};

/// The parsed filters of one command.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, Vec<Test>)>);

/// One condition.
#[derive(Debug)]
enum Test {
    Id(String),
    Name(String),
    Label { key: String, value: Option<String>, wanted: bool },
    Annotation { key: String, value: Option<String> },
    Exited(i32),
    Status(Status),
    Ancestor(String),
    Before(Timestamp),
    Since(Timestamp),
    Until(Timestamp),
    Volume(String),
    Network(String),
    Health(String),
    Restart(String),
    Command(String),
    Pod,
}

impl Filters {
    /// Parses `KEY=VALUE` texts; names of other containers (`before`, `since`) are looked up in the store.
    pub fn parse(texts: &[String], store: &Store) -> Result<Filters> {
        let mut filters = Filters::default();
        for text in texts {
            let (key, test) = parse_one(text, store)?;
            match filters.0.iter_mut().find(|(known, _)| *known == key) {
                Some((_, tests)) => tests.push(test),
                None => filters.0.push((key, vec![test])),
            }
        }
        Ok(filters)
    }

    /// Whether nothing was asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the filters is about the state (then `ps` looks at all containers, running or not).
    pub fn is_about_state(&self) -> bool {
        self.0.iter().any(|(key, _)| matches!(key.as_str(), "status" | "exited" | "health"))
    }

    /// Whether a container passes.
    pub fn accept(&self, container: &Container) -> bool {
        self.0.iter().all(|(key, tests)| match key.as_str() {
            "label" | "label!" => tests.iter().all(|test| test.holds(container)),
            _ => tests.iter().any(|test| test.holds(container)),
        })
    }
}

fn parse_one(text: &str, store: &Store) -> Result<(String, Test)> {
    let malformed = || fail(Kind::Usage, format!("filter `{text}` is not of the form `KEY=VALUE`"));
    let (key, value) = match text.split_once("!=") {
        Some(("label", value)) => ("label!", value),
        _ => text.split_once('=').ok_or_else(malformed)?,
    };
    let pair = || match value.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (value.to_owned(), None),
    };
    let created = || store.resolve(value).map(|other| other.config.created);
    let test = match key {
        "id" => Test::Id(value.to_lowercase()),
        "name" => Test::Name(value.to_owned()),
        "label" | "label!" => {
            let (key_text, value) = pair();
            Test::Label { key: key_text, value, wanted: key == "label" }
        }
        "annotation" => {
            let (key, value) = pair();
            Test::Annotation { key, value }
        }
        "exited" => Test::Exited(value.parse().ok().with_context(|| format!("read exit code `{value}`"))?),
        "status" => Test::Status(parse_status(value)?),
        "ancestor" => Test::Ancestor(value.to_owned()),
        "before" => Test::Before(created()?),
        "since" => Test::Since(created()?),
        "until" => Test::Until(parse_when(value, time::now())?),
        "volume" => Test::Volume(value.to_owned()),
        "network" => Test::Network(value.to_owned()),
        "health" => Test::Health(value.to_owned()),
        "restart-policy" => Test::Restart(value.to_owned()),
        "command" => Test::Command(value.to_owned()),
        "pod" => Test::Pod,
        _ => return Err(fail(Kind::Usage, format!("unknown filter `{key}`"))),
    };
    Ok((key.to_owned(), test))
}

/// Reads a state as filters and `wait --condition` spell it; docker's and podman's words.
pub fn parse_status(word: &str) -> Result<Status> {
    Ok(match word {
        "created" | "configured" => Status::Created,
        "initialized" => Status::Initialized,
        "running" => Status::Running,
        "paused" => Status::Paused,
        "stopping" => Status::Stopping,
        "exited" | "stopped" | "dead" => Status::Exited,
        "removing" => Status::Removing,
        _ => {
            let known = "created, initialized, running, paused, stopping, exited, removing";
            return Err(fail(Kind::Usage, format!("`{word}` is not a state of a container: {known}")));
        }
    })
}

impl Test {
    fn holds(&self, container: &Container) -> bool {
        let config = &container.config;
        match self {
            Test::Id(id) => config.id.starts_with(id.as_str()),
            Test::Name(name) => name_matches(&config.name, name),
            Test::Label { key, value, wanted } => {
                let found = config.labels.get(key);
                let holds = found.is_some() && (value.is_none() || found == value.as_ref());
                holds == *wanted
            }
            Test::Annotation { key, value } => {
                let found = config.annotations.get(key);
                found.is_some() && (value.is_none() || found == value.as_ref())
            }
            Test::Exited(code) => {
                container.state.status == Status::Exited && container.state.exit_code == *code
            }
            Test::Status(status) => container.state.status == *status,
            Test::Ancestor(image) => descends_from(container, image),
            Test::Before(when) => config.created < *when,
            Test::Since(when) => config.created > *when,
            Test::Until(when) => config.created <= *when,
            Test::Volume(text) => has_volume(container, text),
            Test::Network(text) => network_word(&config.network.mode) == *text,
            Test::Health(word) => {
                let found = container.state.health.as_ref().map(|health| health.status.as_str());
                found.unwrap_or(if config.health.is_some() { "starting" } else { "none" }) == word
            }
            Test::Restart(word) => restart_word(config.restart) == word,
            Test::Command(text) => config.process.command.first() == Some(text),
            Test::Pod => false, // no container is in a pod yet
        }
    }
}

/// A part of the name, or a pattern anchored with `^` and `$`.
fn name_matches(name: &str, wanted: &str) -> bool {
    let start = wanted.strip_prefix('^');
    let wanted = start.unwrap_or(wanted).trim_start_matches('/');
    match (start.is_some(), wanted.strip_suffix('$')) {
        (true, Some(exact)) => name == exact,
        (true, None) => name.starts_with(wanted),
        (false, Some(end)) => name.ends_with(end),
        (false, None) => name.contains(wanted),
    }
}

fn descends_from(container: &Container, image: &str) -> bool {
    let rootfs = &container.config.rootfs;
    let by_id = rootfs.image_id.as_ref().is_some_and(|id| {
        let hex = image.strip_prefix("sha256:").unwrap_or(image);
        hex.len() >= 4 && id.hex().starts_with(hex)
    });
    let bare = |name: &str| match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => name.to_owned(),
    };
    let matches =
        |full: &str| full == image || full.strip_suffix(image).is_some_and(|rest| rest.ends_with('/'));
    by_id || matches(&rootfs.image_name) || matches(&bare(&rootfs.image_name))
}

fn has_volume(container: &Container, text: &str) -> bool {
    container.config.mounts.iter().any(|mount| {
        let source = match &mount.source {
            MountSource::Volume { name, .. } => name == text,
            MountSource::Bind(path) => path.as_os_str() == text,
            _ => false,
        };
        source || mount.target == text
    })
}

/// The network mode in the words of `--network`.
pub fn network_word(mode: &NetworkMode) -> String {
    match mode {
        NetworkMode::None => "none".into(),
        NetworkMode::Host => "host".into(),
        NetworkMode::Private => "private".into(),
        NetworkMode::Pasta(_) => "pasta".into(),
        NetworkMode::Slirp4netns(_) => "slirp4netns".into(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Path(path) => format!("ns:{}", path.display()),
    }
}

/// The restart policy in the words of `--restart`, without the count.
pub fn restart_word(policy: RestartPolicy) -> &'static str {
    match policy {
        RestartPolicy::No => "no",
        RestartPolicy::OnFailure(_) => "on-failure",
        RestartPolicy::Always => "always",
        RestartPolicy::UnlessStopped => "unless-stopped",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_part_or_anchored() {
        let table = [
            ("web", true),
            ("we", true),
            ("^web$", true),
            ("^eb", false),
            ("b$", true),
            ("/web", true),
            ("x", false),
        ];
        for (wanted, holds) in table {
            assert_eq!(name_matches("web", wanted), holds, "{wanted}");
        }
    }

    #[test]
    fn states_have_the_words_of_both_tools() {
        assert_eq!(parse_status("configured").unwrap(), Status::Created);
        assert_eq!(parse_status("stopped").unwrap(), Status::Exited);
        assert!(parse_status("sleeping").is_err());
    }
}
