//! The record of a container: what was asked for, resolved so far that `start` needs nothing else.
//!
//! `config.json` is written once by `create` (only `rename` and `update` replace it), `state.json` at every
//! change of life. Both carry a version; unknown fields of a newer minor version are ignored.

mod mounts;
mod resources;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;

pub use mounts::{Device, Mount, MountOptions, MountSource};
pub use resources::{Network, NetworkMode, PortMapping, Resources};
pub use state::{Health, HealthLog, State, Status};

/// The version of both records.
pub const VERSION: u32 = 1;

/// `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// [`VERSION`].
    pub version: u32,
    /// 64 hexadecimal digits.
    pub id: String,
    /// The unique name.
    pub name: String,
    /// When `create` ran.
    pub created: Timestamp,
    /// Where the root file system comes from.
    pub rootfs: RootFs,
    /// What runs in it.
    pub process: Process,
    /// Namespaces, joined or made.
    pub namespaces: Namespaces,
    /// User, capabilities, profiles, masks.
    pub security: Security,
    /// Everything mounted besides the root and the defaults, in the order asked for.
    pub mounts: Vec<Mount>,
    /// Devices of the host to show (`--device`), already expanded from directories.
    pub devices: Vec<Device>,
    /// Limits, in the units of the OCI runtime specification.
    pub resources: Resources,
    /// Network mode, names and files.
    pub network: Network,
    /// Logging.
    pub log: Log,
    /// `--restart`
    pub restart: RestartPolicy,
    /// `--rm`
    pub auto_remove: bool,
    /// `--rmi`: remove the image as well once nothing uses it.
    pub auto_remove_image: bool,
    /// Labels of the image and of `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`
    pub annotations: BTreeMap<String, String>,
    /// The health check, from the image or from flags.
    pub health: Option<HealthCheck>,
    /// Ids of containers that must run before this one (`--requires`, `container:` namespaces).
    pub depends: Vec<String>,
    /// Seconds after which the container is killed; 0 never (`--timeout`).
    pub timeout: u64,
    /// `--pidfile`
    pub pid_file: Option<PathBuf>,
    /// `--cidfile`, removed with the container.
    pub cid_file: Option<PathBuf>,
    /// The command line that made it, for `inspect`.
    pub create_command: Vec<String>,
}

/// Where the root file system comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RootFs {
    /// The image's id; `None` with `--rootfs`.
    pub image_id: Option<Digest>,
    /// The name by which the image was asked for, normalised.
    pub image_name: String,
    /// The image's layers, lowest first.
    pub layers: Vec<Digest>,
    /// `--rootfs PATH`
    pub path: Option<PathBuf>,
    /// `--rootfs PATH:O`: changes go to an overlay that ends with the container.
    pub overlay: bool,
    /// `--read-only`
    pub read_only: bool,
    /// `--read-only-tmpfs`: writable tmpfs on /dev/shm, /run, /tmp, /var/tmp although read-only.
    pub read_only_tmpfs: bool,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// Entrypoint in force.
    pub entrypoint: Vec<String>,
    /// Command in force; the process is entrypoint followed by this.
    pub command: Vec<String>,
    /// `NAME=value`, complete.
    pub env: Vec<String>,
    /// Absolute.
    pub workdir: String,
    /// Whether `workdir` was given by a flag (podman refuses a missing one then) or by the image (made).
    pub workdir_from_image: bool,
    /// `user[:group]` as asked for or as the image says; empty means root.
    pub user: String,
    /// `--group-add`, names or numbers, or `keep-groups`.
    pub groups: Vec<String>,
    /// `-t`
    pub tty: bool,
    /// `-i`
    pub stdin_open: bool,
    /// `--umask`, octal.
    pub umask: u32,
    /// `--init`
    pub init: bool,
    /// Signal that `stop` sends (number).
    pub stop_signal: i32,
    /// Seconds that `stop` waits before KILL.
    pub stop_timeout: u64,
    /// `--ulimit`, complete with defaults.
    pub ulimits: Vec<Ulimit>,
    /// Whether the ulimit was asked for (an error if it cannot be set) is in [`Ulimit::asked`].
    pub oom_score_adj: Option<i32>,
    /// `--preserve-fds`, `--preserve-fd`: the caller's descriptors that the first start passes on.
    pub preserve_fd: Vec<i32>,
    /// `--personality`: `LINUX` or `LINUX32`.
    pub personality: Option<String>,
    /// `--tz`: a zone name, or `local`.
    pub timezone: Option<String>,
    /// `--systemd` mode in force.
    pub systemd: bool,
    /// `--detach-keys`
    pub detach_keys: String,
    /// `--passwd=false`: /etc/passwd and /etc/group stay as the image has them.
    pub no_passwd: bool,
    /// `--passwd-entry`, with `$USERNAME`, `$UID`, `$GID`, `$NAME`, `$HOME` still in it.
    pub passwd_entry: Option<String>,
    /// `--group-entry`, with `$GROUPNAME`, `$GID` still in it.
    pub group_entry: Option<String>,
}

impl Default for Process {
    fn default() -> Self {
        Process {
            entrypoint: Vec::new(),
            command: Vec::new(),
            env: Vec::new(),
            workdir: "/".into(),
            workdir_from_image: true,
            user: String::new(),
            groups: Vec::new(),
            tty: false,
            stdin_open: false,
            umask: 0o022,
            init: false,
            stop_signal: 15,
            stop_timeout: 10,
            ulimits: Vec::new(),
            oom_score_adj: None,
            preserve_fd: Vec::new(),
            personality: None,
            timezone: None,
            systemd: false,
            detach_keys: "ctrl-p,ctrl-q".into(),
            no_passwd: false,
            passwd_entry: None,
            group_entry: None,
        }
    }
}

/// One resource limit of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Without `RLIMIT_`, lower case: `nofile`.
    pub name: String,
    /// `u64::MAX` is unlimited.
    pub soft: u64,
    /// `u64::MAX` is unlimited.
    pub hard: u64,
    /// Asked for by a flag: must be set exactly. A default is clamped to the caller's hard limit.
    pub asked: bool,
}

/// How a namespace is had.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Namespace {
    /// A new one.
    #[default]
    Private,
    /// The host's (rootless: that of the command's user namespace stage).
    Host,
    /// That of another container, by its full id.
    Container(String),
    /// The one at this path.
    Path(PathBuf),
    /// IPC only: private, and others may join it.
    Shareable,
    /// Nothing is set up (`--ipc none`: private without /dev/shm; `--network none`: loopback only).
    None,
}

/// The namespaces of a container, but for the network ([`Network::mode`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// `--pid`
    pub pid: Namespace,
    /// `--ipc`
    pub ipc: Namespace,
    /// `--uts`
    pub uts: Namespace,
    /// `--cgroupns`
    pub cgroup: Namespace,
    /// `--userns`
    pub user: UserNs,
}

/// `--userns` resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserNs {
    /// None of its own: the host's, or rootless that of the stage with the full sub-id map.
    #[default]
    Host,
    /// Its own, with these maps. Host ids are relative to the namespace of the stage (rootless) or the host.
    Mapped {
        /// User ids.
        uids: Vec<IdRange>,
        /// Group ids.
        gids: Vec<IdRange>,
    },
    /// That of another container.
    Container(String),
    /// The one at this path.
    Path(PathBuf),
}

/// One line of a uid_map or gid_map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// First id inside.
    pub container: u32,
    /// First id outside.
    pub host: u32,
    /// How many.
    pub size: u32,
}

/// Capabilities and confinement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// `--privileged`
    pub privileged: bool,
    /// `--cap-add`, `CAP_…` names or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, `CAP_…` names or `ALL`.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges`
    pub no_new_privileges: bool,
    /// The seccomp profile.
    pub seccomp: Seccomp,
    /// `apparmor=`: a profile name, `unconfined`, or `None` for the default.
    pub apparmor: Option<String>,
    /// `label=`: the words as given (`disable`, `type:x`, `nested`, …).
    pub labels: Vec<String>,
    /// `mask=`: more paths to mask.
    pub mask: Vec<String>,
    /// `unmask=`: paths or globs, or `ALL`.
    pub unmask: Vec<String>,
    /// `proc-opts=`: options for the /proc mount.
    pub proc_opts: Vec<String>,
    /// `--sysctl`
    pub sysctls: BTreeMap<String, String>,
}

/// Which seccomp filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// The built-in default.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// The profile at this path, whose text was checked at `create`.
    Profile(PathBuf),
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Log {
    /// The driver.
    pub driver: LogDriver,
    /// `--log-opt path=`; `None` for `<container>/ctr.log`.
    pub path: Option<PathBuf>,
    /// `--log-opt max-size=`, bytes; 0 unlimited.
    pub max_size: u64,
    /// `--log-opt tag=`, expanded.
    pub tag: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { driver: LogDriver::K8sFile, path: None, max_size: 0, tag: String::new() }
    }
}

/// How logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// `TIME STREAM F|P TEXT`, a line each.
    K8sFile,
    /// Docker's: `{"log":…,"stream":…,"time":…}`.
    JsonFile,
    /// The journal.
    Journald,
    /// Nothing is kept.
    None,
    /// The container has the descriptors of the command that starts it.
    Passthrough,
    /// As passthrough, a terminal too.
    PassthroughTty,
}

/// `--restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it failed; at most so many times (0: always).
    OnFailure(u32),
    /// Always.
    Always,
    /// Always, but not after a `stop`.
    UnlessStopped,
}

/// A health check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", "…"]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Nanoseconds between checks.
    pub interval: u64,
    /// Nanoseconds that a check may take.
    pub timeout: u64,
    /// Nanoseconds in which failures do not count.
    pub start_period: u64,
    /// Nanoseconds between checks within the start period; 0 for the same as later.
    pub start_interval: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// `--health-startup-cmd`: what must pass before the check proper begins.
    pub startup: Option<StartupCheck>,
    /// `--health-on-failure`
    pub on_failure: OnFailure,
    /// `--health-log-destination`
    pub log: HealthLogTo,
    /// `--health-max-log-count`; `None` is five, 0 all.
    pub log_count: Option<u32>,
    /// `--health-max-log-size`, bytes of a check's output; `None` is five hundred, 0 all.
    pub log_size: Option<u32>,
}

/// A check that a container must pass once before the other one begins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StartupCheck {
    /// As [`HealthCheck::test`].
    pub test: Vec<String>,
    /// Nanoseconds between checks.
    pub interval: u64,
    /// Nanoseconds that a check may take.
    pub timeout: u64,
    /// Failures after which the container is restarted; 0 never.
    pub retries: u32,
    /// Successes in a row that are enough; 0 is one.
    pub successes: u32,
}

/// What an unhealthy container comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It goes on.
    #[default]
    None,
    /// It is killed.
    Kill,
    /// It is stopped and started again.
    Restart,
    /// It is stopped.
    Stop,
}

/// Where the outcome of checks is kept besides the run directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthLogTo {
    /// Nowhere else.
    #[default]
    Local,
    /// With the events.
    Events,
    /// In a file of this directory.
    Directory(PathBuf),
}

impl Default for Config {
    fn default() -> Self {
        Config {
            version: VERSION,
            id: String::new(),
            name: String::new(),
            created: Timestamp::UNIX_EPOCH,
            rootfs: RootFs::default(),
            process: Process::default(),
            namespaces: Namespaces::default(),
            security: Security::default(),
            mounts: Vec::new(),
            devices: Vec::new(),
            resources: Resources { shm_size: 65_536_000, cgroups: "enabled".into(), ..Resources::default() },
            network: Network::default(),
            log: Log::default(),
            restart: RestartPolicy::No,
            auto_remove: false,
            auto_remove_image: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            health: None,
            depends: Vec::new(),
            timeout: 0,
            pid_file: None,
            cid_file: None,
            create_command: Vec::new(),
        }
    }
}
