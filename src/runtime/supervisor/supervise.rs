//! A supervisor's life: launch, relay, record the end, start again or clean up.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::backoff::Backoff;
use super::frame::{self, Type};
use super::relay::{Life, Relay, discard};
use super::streams::Ends;
use super::{ExitInfo, Lifecycle, Live, Next, Phase, Plan, Running, SOCKET, Streams, process_start};
use crate::base::error::{Context, Error, Result, bail, render};
use crate::base::failure::Failure;
use crate::base::fs;
use crate::base::lock::Lock;
use crate::base::time::now;
use crate::runtime::log::Sink;
use crate::sys::event::Signals;
use crate::sys::{event, fork, process, pty};

/// Runs the supervisor in a process that was just forked for it, to its end.
pub(super) fn run(plan: Plan, conn: OwnedFd) -> ! {
    match Supervisor::new(plan, conn) {
        Ok(supervisor) => supervisor.live(),
        Err((conn, error)) => tell_failure(&conn, &error),
    }
    process::exit_now(0)
}

fn tell_failure(conn: &OwnedFd, error: &Error) {
    let _ = frame::send(conn, Type::Failed, &failure(error), true); // the command died: nobody to tell
}

fn failure(error: &Error) -> Vec<u8> {
    serde_json::to_vec(&Failure::new(error)).unwrap_or_default()
}

struct Supervisor {
    dir: std::path::PathBuf,
    lock: Lock,
    streams: Streams,
    relay: Relay,
    lifecycle: Box<dyn Lifecycle>,
    timeout: Option<Duration>,
    backoff: Backoff,
    /// The next launch waits to be started.
    hold: bool,
    /// Completed by each launch.
    live: Live,
    /// What went wrong without stopping anything.
    trouble: Vec<String>,
}

impl Supervisor {
    fn new(plan: Plan, conn: OwnedFd) -> std::result::Result<Supervisor, (OwnedFd, Error)> {
        let prepared = leave_the_command(&plan, &conn).and_then(|signals| {
            let log = Sink::open(&plan.log)?;
            Relay::new(&plan.dir, log, signals, plan.streams.takes_input())
        });
        let mut relay = match prepared {
            Ok(relay) => relay,
            Err(error) => return Err((conn, abandon(plan, error))),
        };
        relay.size = plan.size;
        let me = std::process::id().cast_signed();
        let live = Live {
            version: 1,
            pid: 0,
            pid_start: 0,
            supervisor: me,
            supervisor_start: process_start(me).unwrap_or(0),
            status: Phase::Running,
            started: now(),
            restarts: 0,
            cgroup: serde_json::Value::Null,
            extra: serde_json::Value::Null,
        };
        let mut supervisor = Supervisor {
            dir: plan.dir,
            lock: plan.lock,
            streams: plan.streams,
            relay,
            lifecycle: plan.lifecycle,
            timeout: plan.timeout,
            backoff: Backoff::default(),
            hold: plan.hold,
            live,
            trouble: Vec::new(),
        };
        if let Err(error) = supervisor.relay.add_foreground(conn, plan.attach) {
            supervisor.give_up(&error);
            process::exit_now(0);
        }
        Ok(supervisor)
    }

    /// One life after the other, until the last.
    fn live(mut self) {
        loop {
            let begun = Instant::now();
            let info = match self.one_life() {
                Ok(info) => info,
                Err(error) => return self.give_up(&error),
            };
            let next = self.lifecycle.exited(&info);
            if next == Next::End || self.relay.no_restart {
                return self.end(info);
            }
            self.farewell(&info, false);
            let pause = self.backoff.after(begun.elapsed());
            if let Err(error) = self.rest(pause) {
                return self.give_up(&error);
            }
            if self.relay.no_restart {
                return self.end(info);
            }
            self.live.restarts += 1;
        }
    }

    /// Waits before the next life, in which clients are served and a stop is heard.
    fn rest(&mut self, pause: Duration) -> Result<()> {
        self.live.pid = 0;
        self.live.status = Phase::Restarting;
        self.live.save(&self.dir)?;
        self.relay.idle(Instant::now() + pause)
    }

    fn one_life(&mut self) -> Result<ExitInfo> {
        let mut life = self.launch()?;
        self.relay.answer_start(None);
        self.relay.clients.tell_foreground(Type::Started, &self.live.pid.to_ne_bytes());
        self.relay.clients.release_detached();
        let relayed = self.relay.run(&mut life);
        if relayed.is_err() {
            discard(&life.pidfd); // without its relay a container cannot go on: this is out of memory at best
        }
        relayed?;
        let info = self.reap(&life.pidfd);
        drop(life);
        info
    }

    /// Launches the container and lets it execute its command.
    fn launch(&mut self) -> Result<Life> {
        let (stdio, mut ends) = self.streams.prepare()?;
        let mut running = self.lifecycle.launch(stdio)?;
        if let Err(error) = self.start(&mut running, &mut ends) {
            discard(&running.pidfd);
            return Err(error);
        }
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        Ok(Life::new(running.pidfd, ends, deadline))
    }

    fn start(&mut self, running: &mut Running, ends: &mut Ends) -> Result<()> {
        if let Some(master) = running.master.take() {
            if let Some(size) = self.relay.size {
                pty::set_size(&master, size)?;
            }
            ends.set_master(master)?;
        }
        self.live.pid = running.pid;
        self.live.pid_start = process_start(running.pid).unwrap_or(0);
        self.live.cgroup = running.cgroup.take();
        self.live.extra = running.extra.take();
        if std::mem::take(&mut self.hold) {
            self.wait_for_start(running)?;
        }
        self.live.status = Phase::Running;
        self.live.started = now();
        self.live.save(&self.dir)?;
        self.lifecycle.start()?;
        self.lifecycle.started(&self.live)
    }

    /// `init`: the container is there and waits; so does its supervisor, which serves clients meanwhile.
    fn wait_for_start(&mut self, running: &Running) -> Result<()> {
        self.live.status = Phase::Initialized;
        self.live.save(&self.dir)?;
        self.relay.clients.tell_foreground(Type::Started, &self.live.pid.to_ne_bytes());
        self.relay.clients.release_detached();
        match self.relay.wait_for_start(&running.pidfd)? {
            true => Ok(()),
            false => bail!("the container ended before it was started"),
        }
    }

    fn reap(&mut self, pidfd: impl AsFd) -> Result<ExitInfo> {
        let status = loop {
            match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => break status,
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for the container"),
            }
        };
        let signal = status.terminating_signal();
        let code = match (signal, status.exit_status()) {
            (Some(signal), _) => 128 + signal,
            (None, Some(code)) => code,
            (None, None) => bail!("the container ended in an unknown way"),
        };
        let mut trouble = std::mem::take(&mut self.trouble);
        trouble.extend(self.relay.log.take_trouble());
        let oom_killed = self.lifecycle.oom_killed();
        Ok(ExitInfo { code, signal, oom_killed, finished: now(), trouble })
    }

    /// The orderly end: everything undone, the lock released, and then the news.
    fn end(mut self, mut info: ExitInfo) {
        info.trouble.extend(self.clean_up());
        self.farewell(&info, true);
    }

    fn farewell(&mut self, info: &ExitInfo, forever: bool) {
        let payload = serde_json::to_vec(info).unwrap_or_default();
        self.relay.clients.farewell(Type::Exited, &payload, forever);
    }

    /// The end after a launch or the supervisor itself failed.
    fn give_up(mut self, error: &Error) {
        self.lifecycle.failed(error);
        self.clean_up();
        let payload = failure(error);
        self.relay.answer_start(Some(&payload));
        self.relay.clients.tell_foreground(Type::Failed, &payload);
        self.relay.clients.farewell(Type::Failed, &payload, false);
    }

    /// Undoes everything and releases the lock; what failed of that.
    fn clean_up(&mut self) -> Option<String> {
        let finished = self.lifecycle.finish();
        release(&self.dir, &self.lock);
        finished.err().map(|error| render(&error))
    }
}

/// The container is nobody's any more. Files first: whoever takes the lock next makes new ones.
fn release(dir: &std::path::Path, lock: &Lock) {
    // They lie in a volatile directory and mean nothing once the lock is free: no error of it is worth telling.
    let _ = fs::remove_file(&dir.join(SOCKET));
    let _ = fs::remove_file(&Live::path(dir));
    // Not by closing: the command may have a copy of the descriptor, and the lock belongs to all copies.
    let _ = lock.file().unlock();
}

/// The supervisor could not even begin: the container is undone as after a failed launch.
fn abandon(mut plan: Plan, error: Error) -> Error {
    plan.lifecycle.failed(&error);
    let _ = plan.lifecycle.finish(); // the first error is the one to tell
    release(&plan.dir, &plan.lock);
    error
}

/// Cuts all ties to the command's session, and gives back what it held.
fn leave_the_command(plan: &Plan, conn: &OwnedFd) -> Result<Signals> {
    let mut keep = plan.lifecycle.descriptors();
    keep.extend([conn.as_raw_fd(), plan.lock.file().as_raw_fd()]);
    keep.extend(plan.streams.descriptors());
    keep.extend(&plan.preserve_fds);
    fork::detach()?;
    process::close_from(3, &keep).context("close what the command had open")?;
    fork::trim_stack();
    event::ignore_signal(libc::SIGPIPE);
    // Caught, not ignored: an ignored signal would stay ignored in every program started from here.
    Signals::catch(&[libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2])
}
