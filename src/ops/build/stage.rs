//! One stage from its base to its last step.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cache::{Active, Inputs, Record, key};
use super::job::Job;
use super::space::Space;
use super::voice::Voice;
use super::{base, run, settings, transfer, workdir};
use crate::base::digest::Digest;
use crate::base::error::{Result, bail};
use crate::base::time;
use crate::dockerfile::{Action, Dockerfile, Scope, Step, history, parse_trigger};
use crate::image::Config;
use crate::image::config::History;

/// What a stage came to. Travels between processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    /// Configuration, history and layers.
    pub(super) config: Config,
    /// How many of the layers and of the history are the base's.
    pub(super) inherited: (usize, usize),
    /// The key after its last step.
    pub(super) key: Digest,
    /// Something was done anew: what is built on it cannot be had from the cache.
    pub(super) fresh: bool,
    /// The environment of the image at the bottom.
    pub(super) base_env: Vec<String>,
    /// The triggers of the base, which ran first.
    pub(super) triggers: Vec<String>,
    /// The image at the bottom.
    pub(super) from: Option<From>,
    /// The image that this still is, since nothing was done to it.
    pub(super) image: Option<Digest>,
}

/// The image at the bottom of a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct From {
    /// Its full name.
    pub(super) name: String,
    /// The digest of its manifest.
    pub(super) digest: Digest,
}

/// A stage under way.
pub(super) struct Stage<'a> {
    pub(super) job: &'a Job<'a>,
    /// Its index in the file.
    pub(super) index: usize,
    /// What the other stages came to.
    pub(super) done: &'a [Option<Done>],
    pub(super) voice: Voice<'a>,
    pub(super) scope: Scope,
    pub(super) config: Config,
    pub(super) space: Space<'a>,
    pub(super) active: Active,
    /// The key of the last step.
    key: Digest,
    /// Whether records may be used: nothing was done anew so far.
    cached: bool,
    fresh: bool,
    own_cmd: bool,
    base: Done,
    changed: bool,
}

/// What makes a step this step.
pub(super) struct Identity {
    /// What the step says and brings.
    pub(super) parts: Vec<String>,
    /// What went into it, to say why it is done again.
    pub(super) inputs: Inputs,
    /// What history calls the content.
    pub(super) content: String,
    /// Nothing of the steps before is in its key (`COPY --link`).
    pub(super) alone: bool,
}

impl Identity {
    /// Of a step that only is what it says.
    pub(super) fn plain(action: &Action) -> Identity {
        let parts = vec![format!("{action:?}")];
        Identity { parts, inputs: Inputs::default(), content: String::new(), alone: false }
    }
}

/// Builds a stage whose needs are done.
pub(super) fn build(job: &Job<'_>, index: usize, done: &[Option<Done>]) -> Result<Done> {
    let mut stage = begin(job, index, done)?;
    let worked = stage.steps();
    match worked {
        Ok(()) => stage.finish(),
        Err(error) => {
            stage.space.abandon();
            Err(error)
        }
    }
}

fn begin<'a>(job: &'a Job<'a>, index: usize, done: &'a [Option<Done>]) -> Result<Stage<'a>> {
    let voice = job.voice(index);
    let source = &job.file.stages[index].source;
    let mut active = Active::new(&job.cache)?;
    let base = base::find(job, index, done, &voice, &mut active).map_err(|error| source.explain(error))?;
    let scope = scope_before(job, index, done, &base)?;
    let off = job.options.cache.off
        || job.options.cache.off_stages.iter().any(|name| *name == job.file.stages[index].label());
    let layers = base.config.rootfs.diff_ids.clone();
    Ok(Stage {
        job,
        index,
        done,
        voice,
        scope,
        config: base.config.clone(),
        space: Space::new(job.ops.layers()?, layers, job.times),
        active,
        key: base.key.clone(),
        cached: !off && !base.fresh,
        fresh: base.fresh,
        own_cmd: false,
        base,
        changed: false,
    })
}

/// The variables at the beginning of a stage: those of the stage that it is built on go on.
fn scope_before(job: &Job<'_>, index: usize, done: &[Option<Done>], base: &Done) -> Result<Scope> {
    match job.base_stage(index) {
        Some(below) => scope_after(job, below, done),
        None => Ok(job.globals.stage(&base.base_env)),
    }
}

fn scope_after(job: &Job<'_>, index: usize, done: &[Option<Done>]) -> Result<Scope> {
    let Some(Some(result)) = done.get(index) else { bail!("stage {index} is not built") };
    let mut scope = scope_before(job, index, done, result)?;
    for step in steps_of(job.file, index, &result.triggers)? {
        let action = step.expand(&scope)?;
        scope.apply(&action)?;
    }
    Ok(scope)
}

/// The triggers of the base, then the steps of the file.
fn steps_of(file: &Dockerfile, index: usize, triggers: &[String]) -> Result<Vec<Step>> {
    let triggers = triggers.iter().map(|text| parse_trigger("ONBUILD", text));
    let own = file.stages[index].steps.iter().cloned().map(Ok);
    triggers.chain(own).collect()
}

impl Stage<'_> {
    fn steps(&mut self) -> Result<()> {
        let steps = steps_of(self.job.file, self.index, &self.base.triggers)?;
        let count = steps.len() + 1;
        self.voice.say(&format!("STEP 1/{count}: {}", self.job.file.stages[self.index].source.text));
        for (number, step) in steps.iter().enumerate() {
            self.job.check_interrupted()?;
            self.voice.say(&format!("STEP {}/{count}: {}", number + 2, step.source.text));
            self.step(step).map_err(|error| {
                let place = format!("stage {}, step {}/{count}", self.job.label(self.index), number + 2);
                step.source.explain(error).context(place)
            })?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let action = step.expand(&self.scope)?;
        match &action {
            Action::Run(run) => run::step(self, step, run)?,
            Action::Copy(what) => transfer::step(self, step, &action, what, false)?,
            Action::Add(what) => transfer::step(self, step, &action, what, true)?,
            Action::Workdir(dir) => workdir::step(self, step, &action, dir)?,
            _ => self.configure(step, &action)?,
        }
        settings::apply(&mut self.config, &action, &mut self.own_cmd);
        self.scope.apply(&action)?;
        self.changed = true;
        Ok(())
    }

    /// A step that makes no layer.
    fn configure(&mut self, step: &Step, action: &Action) -> Result<()> {
        let identity = Identity::plain(action);
        let key = self.next_key(&identity);
        let record = match self.look_up(&key) {
            Some(record) => record,
            None => {
                let record = Record::new(None, time::now(), &step.source.text);
                self.job.cache.keep(&key, &record)?;
                record
            }
        };
        self.note(step, &identity, record.created, true);
        self.key = key;
        Ok(())
    }

    fn next_key(&self, identity: &Identity) -> Digest {
        let before = if identity.alone { "alone" } else { self.key.as_str() };
        let times = format!("{:?}", self.job.times);
        let own = identity.parts.iter().map(String::as_str);
        let parts: Vec<&str> = [before, &times].into_iter().chain(own).collect();
        key(&parts)
    }

    /// The record of a step, if it may be used and its layer is there.
    fn look_up(&self, key: &Digest) -> Option<Record> {
        let record = self.job.cache.find(key, self.job.options.cache.ttl).filter(|_| self.cached)?;
        let layers = self.job.ops.layers().ok()?;
        record.layer.as_ref().is_none_or(|layer| layers.has(layer)).then_some(record)
    }

    /// Uses what an earlier build made; otherwise says why not, and the step must be done: [`Stage::finished`] follows.
    pub(super) fn reuse(&mut self, step: &Step, identity: &Identity) -> Result<bool> {
        let key = self.next_key(identity);
        let lock = self.job.ops.layers()?.lock_shared()?;
        let Some(record) = self.look_up(&key) else {
            drop(lock);
            self.explain(step, identity)?;
            return Ok(false);
        };
        self.active.hold(record.layer.as_slice())?;
        drop(lock);
        let what = record.layer.as_ref().unwrap_or(&key);
        self.voice.say(&format!("--> Using cache {}", crate::base::id::short(what.as_str())));
        self.note(step, identity, record.created, record.layer.is_none());
        if let Some(layer) = record.layer {
            self.space.push(layer)?;
        }
        self.key = key;
        Ok(true)
    }

    /// A step was done: its directory of changes becomes a layer, unless it made none.
    pub(super) fn finished(
        &mut self,
        step: &Step,
        identity: &Identity,
        space: Option<super::space::Workspace>,
    ) -> Result<()> {
        let key = self.next_key(identity);
        let record = Record::new(None, time::now(), &step.source.text);
        self.note(step, identity, record.created, space.is_none());
        match space {
            Some(space) => self.space.close(space, &self.job.cache, &key, record)?,
            None => self.job.cache.keep(&key, &record)?,
        }
        self.key = key;
        (self.cached, self.fresh) = (false, true);
        Ok(())
    }

    /// Says why a step is done again, where that can be known, and remembers what goes into it.
    fn explain(&mut self, step: &Step, identity: &Identity) -> Result<()> {
        let place = key(&[self.job.place(self.index).as_str(), &step.source.text]);
        if self.cached
            && let Some(before) = self.job.cache.seen(&place)
            && let Some(what) = identity.inputs.difference(&before)
        {
            self.voice.say(&format!("--> cache miss: {what}"));
        }
        self.job.cache.see(&place, &identity.inputs)
    }

    /// An entry of history.
    fn note(&mut self, step: &Step, identity: &Identity, created: Timestamp, empty: bool) {
        let created = self.job.fixed.unwrap_or(created).to_string();
        let comment = match &self.base.from {
            Some(from) if self.config.history.len() == self.base.inherited.1 => format!("FROM {}", from.name),
            _ => String::new(),
        };
        self.config.created = Some(created.clone());
        self.config.history.push(History {
            created: Some(created),
            created_by: history::created_by(step, &self.scope.args(), &identity.content),
            author: self.config.author.clone(),
            comment,
            empty_layer: empty,
            ..History::default()
        });
    }

    fn finish(mut self) -> Result<Done> {
        let layers = self.space.layers()?.to_vec();
        self.config.rootfs.diff_ids = layers;
        Ok(Done {
            config: self.config,
            key: self.key,
            fresh: self.fresh,
            image: self.base.image.filter(|_| !self.changed),
            ..self.base
        })
    }
}
