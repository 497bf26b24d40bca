//! `stats`: what running containers use, from their cgroups; without one, from their processes.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::alive::Alive;
use super::top;
use crate::base::error::{Kind, Result, fail};
use crate::base::{fs, time};
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::runtime::cgroup::Stats;

/// Clock ticks a second: USER_HZ.
const TICKS: u64 = 100;

/// One look at a container.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It runs.
    pub alive: bool,
    /// Counters and gauges.
    pub stats: Stats,
    /// Bytes received and sent over all interfaces but the loopback one; `None` where it has the host's network.
    pub network: Option<(u64, u64)>,
    /// When it was started.
    pub started: Timestamp,
    taken: Instant,
}

impl Sample {
    /// Processor time since an earlier look, in per cent of one processor; since its start without one.
    pub fn cpu_percent(&self, earlier: Option<&Sample>) -> f64 {
        let used = self.stats.cpu.unwrap_or(0);
        let (used, wall) = match earlier {
            Some(before) => {
                (used.saturating_sub(before.stats.cpu.unwrap_or(0)), self.taken.duration_since(before.taken))
            }
            None => (used, self.uptime()),
        };
        match wall.as_nanos() {
            0 => 0.0,
            nanoseconds => used as f64 / nanoseconds as f64 * 100.0,
        }
    }

    /// How long it has been running.
    pub fn uptime(&self) -> Duration {
        if self.alive { time::since(self.started, time::now()) } else { Duration::ZERO }
    }

    /// Memory that cannot go at once.
    pub fn memory(&self) -> u64 {
        let cache = self.stats.memory_inactive_file.unwrap_or(0);
        self.stats.memory.unwrap_or(0).saturating_sub(cache)
    }
}

/// Looks at the named containers; without names at all that run, with `all` also at the others.
pub fn sample(ops: &Ops, names: &[String], all: bool) -> Result<Vec<Sample>> {
    let store = ops.containers()?;
    if !names.is_empty() {
        if all {
            return Err(fail(Kind::Usage, "names and `--all` cannot go together"));
        }
        return names.iter().map(|name| look(store, &store.resolve(name)?)).collect();
    }
    let chosen = store.list()?.into_iter().filter(|container| all || container.is_alive());
    chosen.map(|container| look(store, &container)).collect()
}

fn look(store: &Store, container: &Container) -> Result<Sample> {
    let mut sample = Sample {
        id: container.config.id.clone(),
        name: container.config.name.clone(),
        alive: false,
        stats: Stats::default(),
        network: None,
        started: time::now(),
        taken: Instant::now(),
    };
    let Some(alive) = Alive::find(store, container)? else { return Ok(sample) };
    sample.alive = true;
    sample.started = alive.live.started;
    sample.network = network(alive.live.pid);
    let counted = alive.cgroup()?.map(|cgroup| cgroup.stats()).unwrap_or_default();
    let of_processes = match counted.cpu.is_some() && counted.memory.is_some() && counted.pids.is_some() {
        true => Stats::default(),
        false => from_processes(&top::processes(&alive)?),
    };
    sample.stats = Stats {
        cpu: counted.cpu.or(of_processes.cpu),
        memory: counted.memory.or(of_processes.memory),
        pids: counted.pids.or(of_processes.pids),
        ..counted
    };
    sample.stats.memory_limit = counted.memory_limit.or_else(host_memory);
    sample.taken = Instant::now();
    Ok(sample)
}

/// Where no cgroup counts for the container: what the processes that live now have used.
fn from_processes(pids: &[i32]) -> Stats {
    let read = |pid: &i32, file: &str| fs::read_to_string(Path::new(&format!("/proc/{pid}/{file}"))).ok();
    let ticks = |pid: &i32| -> Option<u64> {
        let stat = read(pid, "stat")?;
        let fields = stat.rsplit_once(')')?.1.split_whitespace();
        Some(fields.skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum())
    };
    let resident = |pid: &i32| -> Option<u64> {
        let status = read(pid, "status")?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(kib.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    Stats {
        cpu: Some(pids.iter().filter_map(ticks).sum::<u64>() * (1_000_000_000 / TICKS)),
        memory: Some(pids.iter().filter_map(resident).sum()),
        pids: Some(pids.len() as u64),
        ..Stats::default()
    }
}

fn host_memory() -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc/meminfo")).ok()?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(kib.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The traffic of a process's network namespace, unless that is the host's.
fn network(pid: i32) -> Option<(u64, u64)> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    if namespace(&pid.to_string()) == namespace("self") {
        return None;
    }
    let text = fs::read_to_string(Path::new(&format!("/proc/{pid}/net/dev"))).ok()?;
    Some(traffic(&text))
}

/// Adds up `/proc/net/dev`: received bytes are the first column, sent ones the ninth.
fn traffic(text: &str) -> (u64, u64) {
    text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo").fold(
        (0, 0),
        |(received, sent), (_, counters)| {
            let mut counters = counters.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
            let (own_received, own_sent) = (counters.next().unwrap_or(0), counters.nth(7).unwrap_or(0));
            (received + own_received, sent + own_sent)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_adds_up_without_the_loopback() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n\
                    eth0: 100 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  eth1:1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(text), (101, 8));
    }

    #[test]
    fn a_process_counts_for_itself() {
        let me = i32::try_from(std::process::id()).unwrap();
        let stats = from_processes(&[me]);
        assert!(stats.memory.is_some_and(|bytes| bytes > 100_000) && stats.pids == Some(1));
    }
}
