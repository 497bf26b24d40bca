//! What became of a container.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{PortMapping, VERSION};

/// `state.json`: what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// The last state that was written; liveness is decided by the lock, not by this.
    pub status: Status,
    /// Pid of the init process as the host sees it; 0 when none. From `live.json` while alive.
    pub pid: i32,
    /// When it was last started.
    pub started: Option<Timestamp>,
    /// When it last ended.
    pub finished: Option<Timestamp>,
    /// 128+n for a signal.
    pub exit_code: i32,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
    /// Why it could not be started.
    pub error: String,
    /// How often the restart policy started it again.
    pub restarts: u32,
    /// `stop` or `kill` asked for the end: `unless-stopped` and `always` do not restart.
    pub stopped_by_user: bool,
    /// Filled volumes and prepared files once.
    pub initialised: bool,
    /// The ports in force, host ports resolved.
    pub ports: Vec<PortMapping>,
    /// What the health check found, while alive; from the run directory.
    #[serde(skip)]
    pub health: Option<Health>,
}

/// Where in its life a container is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    #[default]
    Created,
    /// `init`: set up, its process waits.
    Initialized,
    /// Alive.
    Running,
    /// Frozen.
    Paused,
    /// Between a stop signal and the end.
    Stopping,
    /// Ended.
    Exited,
    /// Being removed.
    Removing,
}

impl Status {
    /// The lower-case word that filters and listings use.
    pub fn word(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Initialized => "initialized",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopping => "stopping",
            Status::Exited => "exited",
            Status::Removing => "removing",
        }
    }
}

impl Default for State {
    fn default() -> Self {
        State {
            version: VERSION,
            status: Status::Created,
            pid: 0,
            started: None,
            finished: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restarts: 0,
            stopped_by_user: false,
            initialised: false,
            ports: Vec::new(),
            health: None,
        }
    }
}

/// `health.json` in the run directory: what the checks of a running container found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last checks.
    pub log: Vec<HealthLog>,
}

impl Default for Health {
    fn default() -> Health {
        Health { status: "starting".into(), failing_streak: 0, log: Vec::new() }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthLog {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// 0 is healthy; -1 means that it took too long.
    pub exit_code: i32,
    /// What it said, cut.
    pub output: String,
}
