//! What was asked for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ops::create::CreateOptions;
use crate::ops::image::PullOptions;
use crate::registry::{Platform, Reference};

/// Everything that decides what a build does.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The context as typed; empty for none.
    pub context: String,
    /// `-f`
    pub files: Vec<String>,
    /// `--ignorefile`
    pub ignore_file: Option<PathBuf>,
    /// `-t`
    pub names: Vec<Reference>,
    /// `--target`
    pub target: Option<String>,
    /// `--build-arg`, values looked up.
    pub args: BTreeMap<String, String>,
    /// `--build-context`, names in lower case.
    pub contexts: BTreeMap<String, String>,
    /// `--from`: the base of the first stage.
    pub from: Option<String>,
    /// `--platform`; the host's by default.
    pub platform: Option<Platform>,
    /// How base images are had.
    pub pull: PullOptions,
    /// What is said about the result.
    pub result: ResultOptions,
    /// What is used of earlier builds.
    pub cache: CacheOptions,
    /// Network, limits, mounts, capabilities of `RUN`, as `run` takes them.
    pub run: CreateOptions,
    /// `--allow security.insecure`
    pub insecure: bool,
    /// `--secret`
    pub secrets: Vec<String>,
    /// `--ssh`
    pub ssh: Vec<String>,
    /// `-o`
    pub outputs: Vec<String>,
    /// How many stages are built at once.
    pub jobs: usize,
    /// `--skip-unused-stages=false`: all stages up to the target.
    pub all_stages: bool,
}

/// What is said about the result.
#[derive(Debug, Clone, Default)]
pub struct ResultOptions {
    /// `--format docker`
    pub docker: bool,
    /// `--label`
    pub labels: Vec<(String, String)>,
    /// `--unsetlabel`
    pub unset_labels: Vec<String>,
    /// `--inherit-labels=false`
    pub no_inherited_labels: bool,
    /// `--identity-label`
    pub identity_label: bool,
    /// `--annotation`
    pub annotations: BTreeMap<String, String>,
    /// `--env`
    pub env: Vec<(String, String)>,
    /// `--unsetenv`
    pub unset_env: Vec<String>,
    /// `--omit-history`
    pub omit_history: bool,
    /// `--squash`: one layer for what the build adds.
    pub squash: bool,
    /// `--squash-all`: one layer for all.
    pub squash_all: bool,
    /// `--timestamp`: of the image and of all files that the build adds.
    pub timestamp: Option<i64>,
    /// `--source-date-epoch`: of the image.
    pub epoch: Option<i64>,
    /// `--rewrite-timestamp`: no file is later than `epoch`.
    pub rewrite: bool,
}

/// What is used of earlier builds.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    /// `--no-cache`
    pub off: bool,
    /// `--no-cache-filter`: stages in which nothing is used.
    pub off_stages: Vec<String>,
    /// `--cache-ttl`
    pub ttl: Option<Duration>,
}
