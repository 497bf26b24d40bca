//! What `dhow runtime events` reports: resource use and out-of-memory kills, in runc's JSON.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use serde_json::{Value, json};

use super::Runtime;
use crate::base::error::{Context, Result, bail};
use crate::runtime::cgroup::Stats;

impl Runtime<'_> {
    /// The present resource use of a container, as one event.
    pub fn stats(&self, id: &str) -> Result<Value> {
        Ok(stats_event(id, &self.cgroup(id)?.stats()))
    }

    /// Reports until the container ends: its use every `interval`, and once that the kernel killed for memory.
    pub fn watch(&self, id: &str, interval: Duration, report: impl Fn(&Value) -> Result<()>) -> Result<()> {
        let record = self.record(id)?;
        let Some(pidfd) = self.pidfd(&record) else { bail!("container `{id}` is not running") };
        let cgroup = self.cgroup(id)?;
        let mut killed = cgroup.oom_killed();
        let tick = Timespec::try_from(interval).context("use the interval")?;
        loop {
            report(&stats_event(id, &cgroup.stats()))?;
            let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
            let ended = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&tick)));
            let ended = ended.context("wait for the container")? > 0;
            if !killed && cgroup.oom_killed() {
                killed = true;
                report(&json!({"type": "oom", "id": id}))?;
            }
            if ended {
                return Ok(());
            }
        }
    }
}

fn stats_event(id: &str, stats: &Stats) -> Value {
    let kernel = stats.cpu_system.unwrap_or(0);
    let total = stats.cpu.unwrap_or(0);
    let blocks: Vec<Value> = [("Read", stats.block_read), ("Write", stats.block_write)]
        .into_iter()
        .filter_map(|(op, bytes)| {
            bytes.map(|bytes| json!({"major": 0, "minor": 0, "op": op, "value": bytes}))
        })
        .collect();
    json!({
        "type": "stats",
        "id": id,
        "data": {
            "cpu": {
                "usage": {"total": total, "kernel": kernel, "user": total.saturating_sub(kernel)},
                "throttling": {},
            },
            "memory": {
                "cache": stats.memory_inactive_file.unwrap_or(0),
                "usage": {
                    "limit": stats.memory_limit.unwrap_or(u64::MAX),
                    "usage": stats.memory.unwrap_or(0),
                },
            },
            "pids": {"current": stats.pids.unwrap_or(0)},
            "blkio": {"ioServiceBytesRecursive": blocks},
        },
    })
}
