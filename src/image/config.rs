//! The configuration of an image (OCI image specification, config.md; Docker's superset of it).
//!
//! Read leniently, since registries serve what many builders wrote: `null` is an absent value, unknown fields
//! are kept in `extra`. The bytes as fetched are the image id's content: an existing configuration is stored
//! and shown, never written back from these types.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};

/// The largest configuration that is read.
pub const LIMIT: u64 = 4 << 20;

/// `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// When it was built, as written; see [`Config::created_at`].
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who built it.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Docker's comment of the last step.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// `amd64`, `arm64`…
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// `v7`, `v8`…
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// `linux`
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// What a container of it runs by default.
    #[serde(deserialize_with = "nullable")]
    pub config: Settings,
    /// The layers.
    #[serde(deserialize_with = "nullable")]
    pub rootfs: RootFs,
    /// How it came about, oldest first.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Everything else that was there.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The `config` object: defaults of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Settings {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `80/tcp` and so on.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Its arguments, or what is run.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Directories that become anonymous volumes.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Value>,
    /// Where it runs.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that stops it, name or number.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Docker's health check.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// What runs the shell form of instructions.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Instructions for builds on top of it.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Everything else that was there.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Docker's `Healthcheck`; times are nanoseconds, 0 inherits the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between checks.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// For one check.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// In which failures do not count.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between checks while starting.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Digests of the uncompressed layers, lowest first.
    #[serde(deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        RootFs { kind: "layers".into(), diff_ids: Vec::new() }
    }
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When, as written.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Anything.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// The step made no layer.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
    /// Everything else that was there.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Config {
    /// Reads a configuration from untrusted bytes: bounded in size, and in depth by the JSON parser.
    pub fn parse(bytes: &[u8]) -> Result<Config> {
        if bytes.len() as u64 > LIMIT {
            bail!("image configuration is larger than the limit of {LIMIT} bytes");
        }
        serde_json::from_slice(bytes).context("parse image configuration")
    }

    /// When it was built; the epoch when it does not say.
    pub fn created_at(&self) -> Timestamp {
        timestamp(self.created.as_deref())
    }
}

impl History {
    /// When the step was made; the epoch when it does not say.
    pub fn created_at(&self) -> Timestamp {
        timestamp(self.created.as_deref())
    }
}

fn timestamp(text: Option<&str>) -> Timestamp {
    text.and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Go writes absent maps, lists and texts as `null`.
fn nullable<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(de: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(de)?.unwrap_or_default())
}

/// A list of words; old builders wrote a single text.
fn words<'de, D: Deserializer<'de>>(de: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Words {
        Many(Vec<String>),
        One(String),
    }
    Ok(match Option::<Words>::deserialize(de)? {
        None => Vec::new(),
        Some(Words::Many(words)) => words,
        Some(Words::One(word)) => vec![word],
    })
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_odd_shapes_of_builders_are_read() {
        let text = r#"{"created":null,"architecture":"amd64","os":"linux","container":"x","config":{
            "Env":null,"Cmd":"sh","Entrypoint":["a","b"],"Labels":null,"Volumes":{"/v":{}},"OnBuild":null,
            "ArgsEscaped":true,"Healthcheck":{"Test":["NONE"]}},"rootfs":{"diff_ids":null},"history":null}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.config.cmd, ["sh"]);
        assert_eq!(config.config.entrypoint, ["a", "b"]);
        assert_eq!(config.config.volumes.keys().collect::<Vec<_>>(), ["/v"]);
        assert_eq!(config.config.healthcheck.as_ref().unwrap().test, ["NONE"]);
        assert_eq!(config.created_at(), Timestamp::UNIX_EPOCH);
        assert!(config.extra.contains_key("container") && config.config.extra.contains_key("ArgsEscaped"));
        assert!(Config::parse(br#"{"config":null,"rootfs":null}"#).is_ok());
    }

    #[test]
    fn hostile_configurations_are_errors() {
        let deep = "[".repeat(100_000);
        let evil = r#"{"rootfs":{"diff_ids":["sha256:../../etc"]}}"#;
        let huge = format!(r#"{{"author":"{}"}}"#, "x".repeat(LIMIT as usize));
        for bad in ["", "[]", "7", &deep, evil, &huge, r#"{"config":[]}"#] {
            assert!(Config::parse(bad.as_bytes()).is_err(), "{}", &bad[..bad.len().min(40)]);
        }
    }

    #[test]
    fn a_written_configuration_reads_back_the_same() {
        let text = r#"{"created":"2026-01-02T03:04:05.5Z","architecture":"arm64","variant":"v8","os":"linux","config":
            {"User":"1","StopSignal":"9","WorkingDir":"/w"},"rootfs":{"type":"layers","diff_ids":[]},
            "history":[{"created_by":"x","empty_layer":true}],"os.version":"1"}"#;
        let config = Config::parse(text.as_bytes()).unwrap();
        let again = Config::parse(&serde_json::to_vec(&config).unwrap()).unwrap();
        assert_eq!(config, again);
        assert_eq!(config.created_at().as_second(), 1_767_323_045);
    }
}
