//! `live.json`: who runs there now.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};

/// Where in its life a supervised container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Set up; its command waits for the start (`init`).
    Initialized,
    /// Its command executes.
    Running,
    /// Frozen: written by `pause`.
    Paused,
    /// A stop signal was sent: written by `stop`.
    Stopping,
    /// It ended; the supervisor waits before it starts it again. `pid` is 0.
    Restarting,
}

/// The record. True only while `alive.lock` is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// 1.
    pub version: u32,
    /// The container's first process; 0 while there is none.
    pub pid: i32,
    /// Its start time, in clock ticks after boot: tells it from a later process with the same number.
    pub pid_start: u64,
    /// The supervisor.
    pub supervisor: i32,
    /// The supervisor's start time.
    pub supervisor_start: u64,
    /// Where in its life it is.
    pub status: Phase,
    /// When it was started.
    pub started: Timestamp,
    /// How often the policy started it again in this supervisor's life.
    pub restarts: u32,
    /// Opaque here.
    pub cgroup: serde_json::Value,
    /// Opaque here.
    pub extra: serde_json::Value,
}

impl Live {
    /// Its place in the run directory.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("live.json")
    }

    /// Reads the record; `None` when there is none.
    pub fn load(dir: &Path) -> Result<Option<Live>> {
        let path = Live::path(dir);
        let Some(bytes) = fs::read_optional(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).with_context(|| format!("parse `{}`", path.display()))
    }

    /// Writes the record in one step.
    pub fn save(&self, dir: &Path) -> Result<()> {
        fs::replace_json(&Live::path(dir), self, Durability::Volatile)
    }

    /// Whether the container's first process still exists: for what a killed supervisor left behind.
    pub fn process_exists(&self) -> bool {
        self.pid > 0 && process_start(self.pid).is_some_and(|start| start == self.pid_start)
    }
}

/// A process's start time in clock ticks after boot, the 22nd field of `/proc/PID/stat`; `None` if there is no such
/// process.
pub fn process_start(pid: i32) -> Option<u64> {
    let stat = fs::read(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    start_of(&stat)
}

/// The name in the second field may hold blanks and parentheses: count from the last closing one.
fn start_of(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_does_not_move_the_fields() {
        let stat = b"7 (a) b) R 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0\n";
        assert_eq!(start_of(stat), Some(4711));
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(process_start(me).is_some_and(|start| start > 0));
        assert_eq!(process_start(i32::MAX), None);
    }
}
