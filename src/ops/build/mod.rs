//! `build`: images out of Dockerfiles.
//!
//! ```text
//! options      what was asked for                      input        context and Dockerfile (context, sources)
//! job          what all stages share                   schedule     stages at once, each a process (task)
//! stage        one stage, step by step                 base         what it begins with
//! space        its root file system and new layers     settings     what only changes the configuration
//! run          RUN, with mounts, cache_mount,          transfer     COPY and ADD, from an origin, from elsewhere
//!              secret, agent (run_secret)              workdir      WORKDIR
//! copy         what COPY and ADD bring: finding,       cache        finished steps; prune
//!              digesting, placing                      result       the image in the end; output
//! context      what PATH, `-`, URLs, --build-context   sources      files by http(s), git repositories
//!              name; Dockerfiles, ignore lists         voice        what is said meanwhile
//! interrupt    what ends a build early
//! ```
//!
//! A step's directory of changes (the overlay's upper one) becomes its layer by a rename; its digest is computed by a
//! process of its own while the next step runs. A step that was done before, on the same steps and with the same
//! content, is not done again: see [`cache`].

pub mod agent;
mod base;
mod cache;
mod cache_mount;
pub mod context;
pub mod copy;
mod fetched;
mod input;
mod interrupt;
mod job;
mod mounts;
mod options;
mod origin;
pub mod output;
mod prune;
mod result;
mod run;
mod run_secret;
mod schedule;
pub mod secret;
mod settings;
pub mod sources;
mod space;
mod stage;
mod task;
mod transfer;
mod voice;
mod workdir;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, fail};
use crate::dockerfile::{Globals, graph, parse, scope};
use crate::layer::Times;
use crate::ops::context::Context as Ops;
use crate::ops::create::{Caller, Defaults};
use crate::ops::progress::Progress;
use crate::registry::Platform;

use output::Output;

pub use options::{BuildOptions, CacheOptions, ResultOptions};
pub use prune::{Kept, kept, layers_in_use, prune};
pub use voice::Reporter;

/// What a build made.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image.
    pub id: Digest,
    /// Its configuration's and its manifest's digests, names and so on can be read from the store.
    pub names: Vec<String>,
    /// An output went to standard output, where nothing else may go then.
    pub takes_stdout: bool,
}

/// Builds an image. Rootless, the process enters its user namespace stage on the way; it must be single-threaded.
pub fn build(
    ops: &Ops,
    options: &BuildOptions,
    defaults: &Defaults,
    reporter: &dyn Reporter,
    progress: &dyn Progress,
) -> Result<Built> {
    let caller = Caller::current()?; // as seen from outside of the stage
    let outputs = outputs(options)?;
    let options = &with_names(options, &outputs);
    ops.enter_stage()?;
    ops.layers()?; // makes the staging directory, which contexts may need
    let input = input::Input::find(ops, options, &caller)?;
    let mut file = parse(&input.name, &input.text)?;
    if let (Some(from), Some(stage)) = (&options.from, file.stages.first_mut()) {
        stage.base.clone_from(from);
    }
    let target = options.platform.clone().unwrap_or_else(Platform::host).to_string();
    let platforms = scope::platform_args(&Platform::host().to_string(), &target, options.target.as_deref());
    let globals = Globals::new(&file, options.args.clone(), platforms)?;
    let contexts: BTreeSet<String> = options.contexts.keys().cloned().collect();
    let plan = graph::plan(&file, &globals, options.target.as_deref(), &contexts)?;
    let voice = voice::Voice::new(reporter, 1, 1);
    file.warnings.iter().for_each(|odd| voice.warn(&format!("{}:{}: {}", input.name, odd.line, odd.message)));
    for name in scope::unused(&file, &options.args) {
        voice.warn(&format!("no ARG consumes the build argument `{name}`"));
    }
    let (fixed, times) = when(options)?;
    let job = job::Job {
        ops,
        options,
        caller: &caller,
        defaults,
        file: &file,
        globals: &globals,
        plan: &plan,
        contexts: &contexts,
        input: &input,
        cache: cache::Cache::new(&ops.roots.root),
        fixed,
        times,
        reporter,
        progress,
        signals: &interrupt::Watch::new()?,
    };
    job.cache.create()?;
    let mut active = cache::Active::new(&job.cache)?;
    let built = schedule::run(&job);
    ops.layers()?.sweep()?;
    let done = built?;
    active.hold(&done.config.rootfs.diff_ids)?;
    let id = result::commit(&job, done)?;
    for output in &outputs {
        output.write(ops, &caller.cwd, &id, &options.names, progress)?;
    }
    let takes_stdout = outputs.iter().any(Output::takes_stdout);
    Ok(Built { id, names: options.names.iter().map(|name| name.full()).collect(), takes_stdout })
}

/// The options with the names that outputs give the image.
fn with_names(options: &BuildOptions, outputs: &[Output]) -> BuildOptions {
    let mut options = options.clone();
    options.names.extend(outputs.iter().flat_map(Output::names).cloned());
    options
}

/// What becomes of the result, checked before the work.
fn outputs(options: &BuildOptions) -> Result<Vec<Output>> {
    let outputs: Vec<Output> =
        options.outputs.iter().map(|text| Output::parse(text)).collect::<Result<_>>()?;
    if outputs.iter().filter(|output| output.takes_stdout()).count() > 1 {
        return Err(fail(Kind::Usage, "only one output can be standard output"));
    }
    outputs.iter().try_for_each(Output::check)?;
    Ok(outputs)
}

/// The time that everything is said to be made at, and what becomes of the times of files.
fn when(options: &BuildOptions) -> Result<(Option<Timestamp>, Times)> {
    let result = &options.result;
    let (seconds, times) = match (result.timestamp, result.epoch) {
        (Some(time), _) => (Some(time), Times::Set(time)),
        (None, Some(time)) if result.rewrite => (Some(time), Times::AtMost(time)),
        (None, epoch) => (epoch, Times::Kept),
    };
    let fixed = seconds.map(|seconds| Timestamp::from_second(seconds).context("read the time of the image"));
    Ok((fixed.transpose()?, times))
}
