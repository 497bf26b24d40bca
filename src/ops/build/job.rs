//! What all stages of a build share.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::cache::Cache;
use super::input::Input;
use super::voice::{Reporter, Voice};
use super::{BuildOptions, interrupt};
use crate::base::error::{Context, Kind, Result, fail};
use crate::dockerfile::graph::{Origin, Plan, Planned};
use crate::dockerfile::{Dockerfile, Globals};
use crate::layer::Times;
use crate::ops::context::Context as Ops;
use crate::ops::create::{Caller, Defaults};
use crate::ops::progress::Progress;
use crate::registry::Platform;

/// See the module.
pub(super) struct Job<'a> {
    pub(super) ops: &'a Ops,
    pub(super) options: &'a BuildOptions,
    pub(super) caller: &'a Caller,
    pub(super) defaults: &'a Defaults,
    pub(super) file: &'a Dockerfile,
    pub(super) globals: &'a Globals,
    pub(super) plan: &'a Plan,
    /// Names of `--build-context`.
    pub(super) contexts: &'a BTreeSet<String>,
    pub(super) input: &'a Input,
    pub(super) cache: Cache,
    /// The one time that everything is said to be made at.
    pub(super) fixed: Option<Timestamp>,
    /// Times of files in layers.
    pub(super) times: Times,
    pub(super) reporter: &'a dyn Reporter,
    pub(super) progress: &'a dyn Progress,
    pub(super) signals: &'a interrupt::Watch,
}

impl Job<'_> {
    /// The voice of a stage.
    pub(super) fn voice(&self, index: usize) -> Voice<'_> {
        let needed: Vec<usize> = self.needed().collect();
        let number = needed.iter().position(|one| *one == index).unwrap_or(0) + 1;
        Voice::new(self.reporter, number, needed.len())
    }

    /// The stages to be built, in order.
    pub(super) fn needed(&self) -> impl Iterator<Item = usize> {
        self.plan.stages.iter().enumerate().filter_map(|(index, stage)| stage.as_ref().map(|_| index))
    }

    /// What is known of a stage to be built.
    pub(super) fn planned(&self, index: usize) -> Result<&Planned> {
        self.plan.stages.get(index).and_then(Option::as_ref).context("build a stage that is not planned")
    }

    /// What to call a stage.
    pub(super) fn label(&self, index: usize) -> String {
        self.file.stages.get(index).map_or_else(|| index.to_string(), |stage| format!("`{}`", stage.label()))
    }

    /// The stage that a stage is built on.
    pub(super) fn base_stage(&self, index: usize) -> Option<usize> {
        match &self.plan.stages.get(index)?.as_ref()?.base {
            Origin::Stage(below) => Some(*below),
            _ => None,
        }
    }

    /// The stages that must be done before this one.
    pub(super) fn waits_for(&self, index: usize) -> Vec<usize> {
        let planned = self.plan.stages.get(index).and_then(Option::as_ref);
        let needs = planned.into_iter().flat_map(|planned| planned.needs.iter().chain([&planned.base]));
        needs
            .filter_map(|origin| if let Origin::Stage(index) = origin { Some(*index) } else { None })
            .collect()
    }

    /// Whether a platform was asked for.
    pub(super) fn asked_platform(&self) -> bool {
        self.options.platform.is_some()
            || self.plan.stages.iter().flatten().any(|stage| stage.platform.is_some())
    }

    /// The platform of a stage.
    pub(super) fn platform(&self, index: usize) -> Result<Platform> {
        match self.planned(index)?.platform.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => text.parse(),
            None => Ok(self.options.platform.clone().unwrap_or_else(Platform::host)),
        }
    }

    /// Names a stage of this file in this context, from one build to the next.
    pub(super) fn place(&self, index: usize) -> String {
        let files = self.options.files.join("\n");
        let cwd = self.caller.cwd.display();
        format!("{cwd}\n{}\n{files}\n{}", self.options.context, self.label(index))
    }

    /// Fails once somebody wants the build to end.
    pub(super) fn check_interrupted(&self) -> Result<()> {
        match self.signals.next() {
            Some(signal) => Err(interrupted(signal)),
            None => Ok(()),
        }
    }
}

/// The error of a build that a signal ended.
pub(super) fn interrupted(signal: i32) -> crate::base::error::Error {
    let status = u8::try_from(128 + signal).unwrap_or(255);
    fail(Kind::Command(status), format!("the build was ended by signal {signal}"))
}
