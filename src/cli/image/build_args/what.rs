//! What is built.

use std::path::PathBuf;

use clap::Args;

use super::looked_up;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs;
use crate::cli::values::go_bool;
use crate::ops::build::BuildOptions;

#[derive(Debug, Args)]
pub(in crate::cli::image) struct WhatArgs {
    /// Dockerfile: a path or `-` for stdin; several are read as one
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli::image) file: Vec<String>,
    /// File in place of .containerignore and .dockerignore
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) ignorefile: Option<PathBuf>,
    /// Stage to build: a name or number
    #[arg(long, value_name = "STAGE")]
    pub(in crate::cli::image) target: Option<String>,
    /// Value of an ARG: NAME=VALUE; NAME takes the caller's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli::image) build_arg: Vec<String>,
    /// File of such lines
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) build_arg_file: Vec<PathBuf>,
    /// Further context: NAME=DIRECTORY, docker-image://IMAGE, oci-layout://PATH, an archive's or repository's URL
    #[arg(long, value_name = "NAME=WHERE")]
    pub(in crate::cli::image) build_context: Vec<String>,
    /// Secret for RUN --mount=type=secret: id=ID[,src=PATH|env=NAME]
    #[arg(long, value_name = "SECRET")]
    pub(in crate::cli::image) secret: Vec<String>,
    /// ssh agent for RUN --mount=type=ssh: default or ID[=SOCKET|KEY,…]
    #[arg(long, value_name = "AGENT")]
    pub(in crate::cli::image) ssh: Vec<String>,
    /// Base of the first stage, in place of what its FROM says
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::cli::image) from: Option<String>,
    /// When to pull bases: always, missing, never or newer; alone it means always
    #[arg(long, value_name = "POLICY", num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub(in crate::cli::image) pull: Option<String>,
    /// Skip stages that the target does not need (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) skip_unused_stages: Option<bool>,
    /// How many stages are built at once (default: one a processor)
    #[arg(short, long, value_name = "N")]
    pub(in crate::cli::image) jobs: Option<usize>,
}

impl WhatArgs {
    pub(in crate::cli::image) fn fill(self, options: &mut BuildOptions) -> Result<()> {
        options.files = self.file;
        options.ignore_file = self.ignorefile;
        options.target = self.target;
        options.from = self.from;
        options.secrets = self.secret;
        options.ssh = self.ssh;
        options.all_stages = self.skip_unused_stages == Some(false);
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        options.jobs = self.jobs.filter(|jobs| *jobs > 0).unwrap_or_else(processors);
        for path in &self.build_arg_file {
            let text = fs::read_to_string(path)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines {
                let pair = looked_up("--build-arg-file", line);
                options.args.extend(pair.with_context(|| format!("read `{}`", path.display()))?);
            }
        }
        for text in &self.build_arg {
            options.args.extend(looked_up("--build-arg", text)?);
        }
        for text in &self.build_context {
            let pair = text.split_once('=').filter(|(name, place)| !name.is_empty() && !place.is_empty());
            let Some((name, place)) = pair else {
                return Err(fail(Kind::Usage, format!("`--build-context {text}` is not NAME=WHERE")));
            };
            options.contexts.insert(name.to_lowercase(), place.to_owned());
        }
        Ok(())
    }
}
