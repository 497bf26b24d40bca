//! Which variables an instruction sees.
//!
//! `ARG`s before `FROM` are seen by `FROM` lines only; a stage declares those that it wants. `ENV` wins over `ARG`
//! of the same name. Proxy variables need no declaration; platform variables need one in a stage, none in `FROM`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::ast::Dockerfile;
use crate::base::error::{Result, bail};

/// Where expansion looks values up.
pub trait Variables {
    /// The value of a variable, `None` when it is not set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

/// Arguments that every stage knows without `ARG`; they are neither in history nor in cache keys.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// `TARGETPLATFORM`, `TARGETOS`, `TARGETARCH`, `TARGETVARIANT` and the same with `BUILD`, for platforms written
/// `os/arch[/variant]`, and `TARGETSTAGE` (`default` without `--target`).
pub fn platform_args(build: &str, target: &str, stage: Option<&str>) -> BTreeMap<String, String> {
    let mut args = BTreeMap::new();
    for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
        let mut parts = platform.splitn(3, '/');
        args.insert(format!("{prefix}PLATFORM"), platform.to_owned());
        for suffix in ["OS", "ARCH", "VARIANT"] {
            args.insert(format!("{prefix}{suffix}"), parts.next().unwrap_or_default().to_owned());
        }
    }
    args.insert("TARGETSTAGE".into(), stage.unwrap_or("default").to_owned());
    args
}

/// What is known outside of stages: build arguments, platform arguments, and the `ARG`s before the first `FROM`.
#[derive(Debug, Clone)]
pub struct Globals {
    given: Arc<BTreeMap<String, String>>,
    values: Arc<BTreeMap<String, String>>,
}

impl Globals {
    /// Evaluates the `ARG`s before `FROM`: `given` is `--build-arg`, `platform` comes from [`platform_args`].
    pub fn new(
        file: &Dockerfile,
        given: BTreeMap<String, String>,
        platform: BTreeMap<String, String>,
    ) -> Result<Globals> {
        let _ = (file, given, platform);
        bail!("not there yet")
    }

    /// The scope of a stage on an image with this environment (`NAME=VALUE`). A stage on another stage starts with
    /// a clone of that stage's last scope instead.
    pub fn stage(&self, env: &[String]) -> Scope {
        let env = env.iter().filter_map(|pair| pair.split_once('='));
        Scope {
            globals: self.clone(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            args: Vec::new(),
        }
    }
}

impl Variables for Globals {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// Variables of a stage as they stand before its next step.
#[derive(Debug, Clone)]
pub struct Scope {
    globals: Globals,
    env: Vec<(String, String)>,
    args: Vec<(String, Option<String>)>,
}

impl Scope {
    /// Takes over what an `ENV` or `ARG` says; other actions change nothing.
    pub fn apply(&mut self, action: &Action) {
        let _ = (action, &self.globals.given);
    }

    /// The environment for the image's configuration: `ENV` in order of first setting.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Declared arguments that have a value and no `ENV` of their name, in order of declaration: with [`Scope::env`]
    /// the environment of `RUN`, and what history and cache key of a `RUN` mention.
    pub fn args(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    /// Given proxy arguments that are not declared: in the environment of `RUN`, but in no history or cache key.
    pub fn proxies(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }
}

/// Which of the `given` build arguments no `ARG` consumes: a warning for each.
pub fn unused<'a>(file: &Dockerfile, given: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let _ = (file, given);
    Vec::new()
}
