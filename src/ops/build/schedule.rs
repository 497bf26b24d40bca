//! The stages that are built at once: each in a process of its own, as soon as what it needs is done.

use std::os::fd::AsFd;

use rustix::event::PollFlags;

use super::job::{Job, interrupted};
use super::stage::{self, Done};
use super::task::Task;
use crate::base::error::{Context, Error, Result};
use crate::sys::event::wait_any;

/// A stage at work.
struct Work {
    index: usize,
    task: Task<Done>,
}

/// Builds all stages that are needed; gives the target's result. The first failure ends the others.
pub(super) fn run(job: &Job<'_>) -> Result<Done> {
    let mut done: Vec<Option<Done>> = vec![None; job.file.stages.len()];
    let mut waiting: Vec<usize> = job.needed().collect();
    let mut working: Vec<Work> = Vec::new();
    while done[job.plan.target].is_none() || !waiting.is_empty() || !working.is_empty() {
        let ready = |index: &usize| job.waits_for(*index).iter().all(|needed| done[*needed].is_some());
        while working.len() < job.options.jobs.max(1)
            && let Some(at) = waiting.iter().position(ready)
        {
            let index = waiting.remove(at);
            let task = Task::start(|| {
                job.signals.renew()?;
                stage::build(job, index, &done)
            })?;
            working.push(Work { index, task });
        }
        let Work { index, task } = match next(job, &mut working) {
            Ok(work) => work,
            Err(error) => return Err(stop(working, error)),
        };
        match task.finish() {
            Ok(result) => done[index] = Some(result),
            Err(error) => return Err(stop(working, error)),
        }
    }
    done[job.plan.target].take().context("build the target")
}

/// Waits for the next stage that ends.
fn next(job: &Job<'_>, working: &mut Vec<Work>) -> Result<Work> {
    let signals = job.signals.fd()?;
    loop {
        if let Some(signal) = job.signals.next() {
            return Err(interrupted(signal));
        }
        let mut watched = vec![(signals.as_fd(), PollFlags::IN)];
        watched.extend(working.iter().map(|work| (work.task.as_fd(), PollFlags::IN)));
        let ready = match wait_any(&watched, None) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            ready => ready.context("wait for a stage")?,
        };
        if let Some(at) = ready.iter().skip(1).position(|flags| !flags.is_empty()) {
            return Ok(working.remove(at));
        }
    }
}

/// Ends what is still at work, and waits for it: its containers end with it.
fn stop(working: Vec<Work>, error: Error) -> Error {
    working.iter().for_each(|work| work.task.signal(libc::SIGTERM));
    working.into_iter().for_each(|work| drop(work.task.finish())); // their errors say that they were stopped
    error
}
