//! Health checks: a small process beside the supervisor runs the test in the container at its interval and keeps
//! the outcome in `<run>/containers/<id>/health.json`.
//!
//! Not the supervisor itself: a check may hang (a frozen container, a full disk), and streams must not. The kernel
//! ends the process with the supervisor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::alive::Alive;
use super::exec::{self, ExecOptions};
use super::stop;
use crate::base::error::{Context, Kind, Result, fail, render};
use crate::base::fs::{self, Durability};
use crate::base::lock::Lock;
use crate::base::time::{self, now};
use crate::container::record::{Health, HealthCheck, HealthLog, HealthLogTo, OnFailure, StartupCheck};
use crate::container::store::{Container, HEALTH, Store};
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::runtime::supervisor::{Phase, Stdio};
use crate::sys::{event, fork, prctl, process};

/// How many checks are remembered, as podman has it.
const KEPT: usize = 5;
/// How much of a check's output is remembered, as podman has it.
const OUTPUT: usize = 500;
/// What stands for "all of it": a container must not fill the memory of the process that checks it.
const MOST_OUTPUT: usize = 1 << 20;
/// A file in the run directory: the container that is being stopped is to be started again.
const RESTART: &str = "restart";

/// The process that checks; a child of the supervisor.
pub(super) struct Monitor(i32);

impl Monitor {
    /// Leaves one behind for a container that runs; `None` when nothing is to be checked.
    pub(super) fn start(ops: &Ops, container: &Container) -> Result<Option<Monitor>> {
        let Some(check) = container.config.health.as_ref().filter(|check| check.interval > 0) else {
            return Ok(None);
        };
        let run = ops.containers()?.run_dir(&container.config.id);
        save(&run, &Health::default())?;
        match fork::fork().context("start the health check")? {
            Some(pid) => Ok(Some(Monitor(pid.as_raw_nonzero().get()))),
            None => {
                let _ = watch(&ops.again(), container, check); // it ends when it cannot go on, and says nothing
                process::exit_now(0)
            }
        }
    }

    /// Ends it.
    pub(super) fn end(self) {
        if let Ok(pidfd) = process::pidfd_open(self.0) {
            let _ = process::pidfd_send_signal(pidfd.as_fd(), 9); // ended already is as good
            let _ = process::wait(pidfd.as_fd()); // the same
        }
    }
}

fn save(run: &Path, health: &Health) -> Result<()> {
    fs::replace_json(&run.join(HEALTH), health, Durability::Volatile)
}

/// Checks until the container ends.
fn watch(ops: &Ops, container: &Container, check: &HealthCheck) -> Result<()> {
    // What the supervisor has open, above all its lock, is not ours; nor are its handlers, which write to it.
    process::reset_signals();
    process::close_from(3, &[]).context("close what the supervisor has open")?;
    prctl::parent_death_signal(Some(rustix::process::Signal::KILL)).context("end with the supervisor")?;
    let store = ops.containers()?;
    if let Some(startup) = &check.startup
        && !passes_startup(store, container, startup)?
    {
        return Ok(());
    }
    let begun = Instant::now();
    let early = || begun.elapsed() < Duration::from_nanos(check.start_period);
    loop {
        let interval =
            if early() && check.start_interval > 0 { check.start_interval } else { check.interval };
        let Some(alive) = rest(store, container, interval)? else { return Ok(()) };
        if alive.live.status != Phase::Running {
            continue; // frozen, or on its way out
        }
        let entry = run_once(container, alive, &check.test, check.timeout, output_limit(check));
        let health = note(ops, container, check, entry, early())?;
        if health.status == "unhealthy" && check.on_failure != OnFailure::None {
            return act(store, container, check.on_failure);
        }
    }
}

/// Waits for the time of the next check; `None` once the container has ended.
fn rest(store: &Store, container: &Container, nanoseconds: u64) -> Result<Option<Alive>> {
    let Some(alive) = Alive::find(store, container)? else { return Ok(None) };
    if alive.ended_within(Some(Duration::from_nanos(nanoseconds)))? {
        return Ok(None);
    }
    Alive::find(store, container)
}

/// Runs the start-up check until it passes; false once the container has ended or is restarted.
fn passes_startup(store: &Store, container: &Container, startup: &StartupCheck) -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    loop {
        let Some(alive) = rest(store, container, startup.interval)? else { return Ok(false) };
        if alive.live.status != Phase::Running {
            continue;
        }
        let entry = run_once(container, alive, &startup.test, startup.timeout, OUTPUT);
        if entry.exit_code == 0 {
            passed += 1;
            if passed >= startup.successes.max(1) {
                return Ok(true);
            }
            continue;
        }
        (passed, failed) = (0, failed + 1);
        if failed == startup.retries {
            act(store, container, OnFailure::Restart)?;
            return Ok(false);
        }
    }
}

/// What an unhealthy container comes to. The supervisor ends this process with the container.
fn act(store: &Store, container: &Container, action: OnFailure) -> Result<()> {
    match action {
        OnFailure::None => Ok(()),
        OnFailure::Kill => Alive::of(store, container)?.signal(9),
        OnFailure::Stop => stop::stop_one(store, container, None, None),
        OnFailure::Restart => {
            let alive = Alive::of(store, container)?;
            fs::create(&alive.run.join(RESTART))?;
            let process = &container.config.process;
            alive.signal(process.stop_signal)?;
            match alive.ended_within(Some(Duration::from_secs(process.stop_timeout)))? {
                true => Ok(()),
                false => stop::kill_now(&alive),
            }
        }
    }
}

/// Whether the check asked for the restart of the container that has just ended; asked once.
pub(super) fn restart_asked(run: &Path) -> bool {
    let mark = run.join(RESTART);
    mark.exists() && fs::remove_file(&mark).is_ok()
}

/// Takes the outcome of a check into the records.
fn note(
    ops: &Ops,
    container: &Container,
    check: &HealthCheck,
    entry: HealthLog,
    early: bool,
) -> Result<Health> {
    let config = &container.config;
    let run = ops.containers()?.run_dir(&config.id);
    let _held = Lock::exclusive(&run.join("health.lock"))?;
    let mut health: Health = fs::read_json(&run.join(HEALTH)).unwrap_or_default(); // none, before the first
    let mut event = events::about(config, "health_status");
    if check.log == HealthLogTo::Events {
        event.attributes.insert("health_log".into(), entry.output.clone());
    }
    health.note(entry, check, early);
    save(&run, &health)?;
    if let HealthLogTo::Directory(dir) = &check.log {
        let path = dir.join(format!("{}-healthcheck.log", config.id));
        fs::replace_json(&path, &health, Durability::Volatile)?;
    }
    event.health = Some(health.status.clone());
    events::tell(ops, event);
    Ok(health)
}

/// `healthcheck run`: checks a running container once; its state after that.
pub fn check_now(ops: &Ops, name: &str) -> Result<Health> {
    let store = ops.containers()?;
    let container = store.resolve(name)?;
    let Some(check) = &container.config.health else {
        return Err(fail(Kind::Failed, format!("container `{}` has no health check", container.config.name)));
    };
    let alive = Alive::of(store, &container)?;
    let age = time::since(alive.live.started, now());
    let entry = run_once(&container, alive, &check.test, check.timeout, output_limit(check));
    note(ops, &container, check, entry, age < Duration::from_nanos(check.start_period))
}

fn output_limit(check: &HealthCheck) -> usize {
    match check.log_size {
        None => OUTPUT,
        Some(0) => MOST_OUTPUT,
        Some(size) => usize::try_from(size).unwrap_or(MOST_OUTPUT).min(MOST_OUTPUT),
    }
}

/// One check, whatever comes of it.
fn run_once(container: &Container, alive: Alive, test: &[String], timeout: u64, limit: usize) -> HealthLog {
    let start = now();
    let (exit_code, output) = match attempt(container, alive, test, timeout, limit) {
        Ok(outcome) => outcome,
        Err(error) => (125, render(&error)),
    };
    HealthLog { start, end: now(), exit_code, output }
}

fn attempt(
    container: &Container,
    alive: Alive,
    test: &[String],
    timeout: u64,
    limit: usize,
) -> Result<(i32, String)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).context("make a pipe")?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
        .context("open `/dev/null`")?;
    let stdio = Stdio::Files([null, write.try_clone().context("duplicate a pipe")?, write]);
    let options = ExecOptions { command: command(test), ..ExecOptions::default() };
    let child = exec::launch(container, alive, &options, stdio)?;
    let deadline = Instant::now() + Duration::from_nanos(timeout);
    let mut output = Vec::new();
    let ended = listen(&read, &child.pidfd, deadline, limit, &mut output)?;
    if !ended {
        let _ = process::pidfd_send_signal(child.pidfd.as_fd(), 9); // ended this moment is as good
    }
    let exit = process::wait(child.pidfd.as_fd()).context("wait for the health check")?;
    let text = String::from_utf8_lossy(&output).into_owned();
    if ended {
        return Ok((exit.code(), text));
    }
    Ok((-1, format!("timed out after {:?}\n{text}", Duration::from_nanos(timeout))))
}

/// Reads what the check says until it ends or its time is over; says whether it ended.
fn listen(
    read: &OwnedFd,
    pidfd: &OwnedFd,
    deadline: Instant,
    limit: usize,
    output: &mut Vec<u8>,
) -> Result<bool> {
    let mut open = true;
    loop {
        let mut watched = vec![(pidfd.as_fd(), PollFlags::IN)];
        watched.extend(open.then_some((read.as_fd(), PollFlags::IN)));
        let left = deadline.saturating_duration_since(Instant::now());
        let ready = event::wait_any(&watched, Some(left)).context("wait for the health check")?;
        if ready.get(1).is_some_and(|flags| !flags.is_empty()) {
            let mut buffer = [0u8; 4096];
            let count = rustix::io::read(read, &mut buffer).unwrap_or(0);
            open = count > 0;
            let room = limit.saturating_sub(output.len());
            output.extend(&buffer[..count.min(room)]);
        } else if !ready[0].is_empty() {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// `["CMD", …]` as it is, `["CMD-SHELL", LINE]` by the container's shell.
fn command(test: &[String]) -> Vec<String> {
    match test.split_first() {
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            [&["/bin/sh".to_owned(), "-c".to_owned()][..], rest].concat()
        }
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        _ => test.to_vec(),
    }
}

impl Health {
    /// Takes the outcome of a check in. `early`: failures do not count yet.
    fn note(&mut self, entry: HealthLog, check: &HealthCheck, early: bool) {
        if entry.exit_code == 0 {
            self.status = "healthy".into();
            self.failing_streak = 0;
        } else if !(early && self.status == "starting") {
            self.failing_streak += 1;
            if self.failing_streak >= check.retries {
                self.status = "unhealthy".into();
            }
        }
        self.log.push(entry);
        let kept = match check.log_count {
            None => KEPT,
            Some(0) => usize::MAX,
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let surplus = self.log.len().saturating_sub(kept);
        self.log.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_after_the_start_period_and_successes_at_once() {
        let check = HealthCheck { retries: 2, ..HealthCheck::default() };
        let entry = |exit_code| HealthLog { start: now(), end: now(), exit_code, output: String::new() };
        let mut health = Health::default();
        let mut after = |code, early| {
            health.note(entry(code), &check, early);
            (health.status.clone(), health.failing_streak, health.log.len())
        };
        assert_eq!(after(1, true), ("starting".into(), 0, 1));
        assert_eq!(after(0, true), ("healthy".into(), 0, 2));
        assert_eq!(after(1, true), ("healthy".into(), 1, 3));
        assert_eq!(after(1, false), ("unhealthy".into(), 2, 4));
        assert_eq!(after(0, false), ("healthy".into(), 0, 5));
        assert_eq!(after(0, false).2, KEPT);
    }

    #[test]
    fn tests_become_commands() {
        let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(command(&words(&["CMD-SHELL", "a b"])), words(&["/bin/sh", "-c", "a b"]));
        assert_eq!(command(&words(&["CMD", "a", "b"])), words(&["a", "b"]));
    }
}
