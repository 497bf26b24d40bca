//! Limits and network of a container.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Limits, in the units of the OCI runtime specification (bytes, microseconds, shares).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// `--memory`
    pub memory: Option<i64>,
    /// `--memory-reservation`
    pub memory_reservation: Option<i64>,
    /// `--memory-swap`: memory plus swap; -1 unlimited.
    pub memory_swap: Option<i64>,
    /// `--memory-swappiness`
    pub memory_swappiness: Option<u64>,
    /// `--oom-kill-disable`
    pub oom_kill_disable: bool,
    /// `--cpu-shares`
    pub cpu_shares: Option<u64>,
    /// `--cpu-quota` or from `--cpus`, microseconds.
    pub cpu_quota: Option<i64>,
    /// `--cpu-period`, microseconds.
    pub cpu_period: Option<u64>,
    /// `--cpu-rt-runtime`
    pub cpu_rt_runtime: Option<i64>,
    /// `--cpu-rt-period`
    pub cpu_rt_period: Option<u64>,
    /// `--cpuset-cpus`
    pub cpuset_cpus: String,
    /// `--cpuset-mems`
    pub cpuset_mems: String,
    /// `--pids-limit`; -1 unlimited, `None` the default.
    pub pids_limit: Option<i64>,
    /// `--blkio-weight`, 10..1000.
    pub blkio_weight: Option<u16>,
    /// `--blkio-weight-device`: path and weight.
    pub blkio_weight_device: Vec<(PathBuf, u64)>,
    /// `--device-read-bps`: path and bytes a second.
    pub device_read_bps: Vec<(PathBuf, u64)>,
    /// `--device-write-bps`
    pub device_write_bps: Vec<(PathBuf, u64)>,
    /// `--device-read-iops`
    pub device_read_iops: Vec<(PathBuf, u64)>,
    /// `--device-write-iops`
    pub device_write_iops: Vec<(PathBuf, u64)>,
    /// `--device-cgroup-rule`, as typed, checked.
    pub device_cgroup_rules: Vec<String>,
    /// `--shm-size`, bytes.
    pub shm_size: u64,
    /// `--shm-size-systemd`, bytes; `None` is no limit of its own.
    pub shm_size_systemd: Option<u64>,
    /// `--cgroup-conf`
    pub unified: BTreeMap<String, String>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<String>,
    /// `--cgroups`: `enabled`, `disabled`, `no-conmon`, `split`.
    pub cgroups: String,
}

/// Network mode, names and files.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// How the network namespace is had.
    pub mode: NetworkMode,
    /// `--publish`
    pub ports: Vec<PortMapping>,
    /// `--expose` and the image's, `80/tcp`.
    pub exposed: Vec<String>,
    /// `--publish-all`
    pub publish_all: bool,
    /// `--hostname`; empty for the default.
    pub hostname: String,
    /// `--add-host`, `name:ip`.
    pub hosts: Vec<String>,
    /// `--dns`; `none` leaves /etc/resolv.conf alone.
    pub dns: Vec<String>,
    /// `--dns-search`
    pub dns_search: Vec<String>,
    /// `--dns-option`
    pub dns_options: Vec<String>,
    /// `--hosts-file`: a path, `image`, `none`; empty for the host's.
    pub hosts_file: String,
    /// `--no-hosts`
    pub no_hosts: bool,
    /// `--no-hostname`
    pub no_hostname: bool,
}

/// `--network`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Own namespace with loopback and nothing else.
    #[default]
    None,
    /// The host's.
    Host,
    /// Own namespace with loopback; the issue of networking makes it a bridge for root.
    Private,
    /// Own namespace, connected by pasta; its extra arguments.
    Pasta(Vec<String>),
    /// Own namespace, connected by slirp4netns; its options.
    Slirp4netns(Vec<String>),
    /// That of another container, by full id.
    Container(String),
    /// The namespace at this path.
    Path(PathBuf),
}

/// One `--publish`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortMapping {
    /// Address to bind; empty for all.
    pub host_ip: String,
    /// First port of the host; 0 picks one.
    pub host_port: u16,
    /// First port in the container.
    pub container_port: u16,
    /// How many.
    pub range: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}
