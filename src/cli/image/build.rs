//! `build`.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;

use clap::Args;
use serde_json::json;

use super::build_args::{HowArgs, ResultArgs, RunArgs, WhatArgs};
use crate::base::error::Result;
use crate::base::fs::{self, Durability};
use crate::cli::pull_source::{Reach, Source, Which};
use crate::cli::session::Session;
use crate::ops::build::{BuildOptions, Built, Reporter, build};
use crate::ops::create::Defaults;
use crate::ui::{printer, progress};

/// Build an image from a Dockerfile
#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    result: ResultArgs,
    #[command(flatten)]
    how: HowArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    reach: Reach,
    /// Directory with the files that COPY and ADD take
    #[arg(value_name = "CONTEXT", default_value = ".")]
    context: String,
}

impl BuildArgs {
    /// Builds it and prints its id.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut options = BuildOptions { context: self.context, ..BuildOptions::default() };
        let source = Source {
            policy: self.what.pull.clone().map(policy),
            all_tags: false,
            which: self.which,
            reach: self.reach,
        };
        options.pull = source.options(session)?;
        options.platform = options.pull.platform.take();
        self.what.fill(&mut options)?;
        self.result.fill(&mut options)?;
        self.how.fill(&mut options)?;
        self.run.fill(&mut options)?;
        let defaults = Defaults::from_config(session.config()?)?;
        let reporter = Talk::new(&self.how)?;
        let progress = match self.how.progress.as_deref() {
            Some("plain") if !self.how.quiet => progress::plain(),
            _ => progress::choose(self.how.quiet),
        };
        let built = build(session.ops()?, &options, &defaults, &reporter, &*progress)?;
        write_files(session, &self.result, &built)?;
        match built.takes_stdout {
            true => Ok(()),
            false => session.out.line(built.id.hex()),
        }
    }
}

/// Docker's and Buildah's other words for a policy.
fn policy(text: String) -> String {
    match text.as_str() {
        "true" | "1" => "always".into(),
        "false" | "0" | "ifmissing" => "missing".into(),
        "ifnewer" => "newer".into(),
        _ => text,
    }
}

fn write_files(session: &Session, args: &ResultArgs, built: &Built) -> Result<()> {
    let write =
        |path: &std::path::Path, text: &str| fs::replace(path, text.as_bytes(), 0o644, Durability::Volatile);
    if let Some(path) = &args.iidfile {
        write(path, built.id.as_str())?;
    }
    if let Some(path) = &args.iidfile_raw {
        write(path, built.id.hex())?;
    }
    if let Some(path) = &args.metadata_file {
        let image = session.ops()?.images().get(&built.id)?;
        let metadata = json!({
            "containerimage.config.digest": built.id,
            "containerimage.digest": image.manifest_digest,
            "image.name": built.names.join(","),
        });
        write(path, &(serde_json::to_string_pretty(&metadata).unwrap_or_default() + "\n"))?;
    }
    Ok(())
}

/// Where a build speaks: on stderr, into a file, or nowhere.
enum Talk {
    Silent,
    Stderr,
    File(RefCell<File>),
}

impl Talk {
    fn new(args: &HowArgs) -> Result<Talk> {
        Ok(match &args.logfile {
            Some(path) => Talk::File(RefCell::new(fs::create(path)?)),
            None if args.quiet => Talk::Silent,
            None => Talk::Stderr,
        })
    }
}

impl Reporter for Talk {
    fn write(&self, bytes: &[u8]) {
        match self {
            Talk::Silent => {}
            Talk::Stderr => printer::talk_bytes(bytes),
            // A full disk under the log is no reason to stop.
            Talk::File(file) => drop(file.borrow_mut().write_all(bytes)),
        }
    }
}
