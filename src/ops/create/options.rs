//! What was typed after `run` and `create`, as plain data: the first of the two stages of arguments.
//!
//! Texts stay as typed; [`super::resolve`] parses them, because their meaning depends on the image, the
//! configuration and the host. `Option<bool>` marks switches whose default is not false.

use std::path::PathBuf;

/// Everything that `run` and `create` accept. One field a flag, whose name stands in the comment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateOptions {
    /// The image, or with `--rootfs` a path (`PATH[:O]`).
    pub image: String,
    /// What follows the image.
    pub command: Vec<String>,
    /// The whole command line, for `inspect`.
    pub create_command: Vec<String>,

    // Image and pull.
    /// `--pull` always, missing, never, newer.
    pub pull: Option<String>,
    /// `--platform` OS/ARCH[/VARIANT]
    pub platform: Option<String>,
    /// `--arch`
    pub arch: Option<String>,
    /// `--os`
    pub os: Option<String>,
    /// `--variant`
    pub variant: Option<String>,
    /// `--authfile`
    pub authfile: Option<PathBuf>,
    /// `--creds`
    pub creds: Option<String>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--tls-verify`
    pub tls_verify: Option<bool>,
    /// `--retry`
    pub retry: Option<u32>,
    /// `--retry-delay`
    pub retry_delay: Option<String>,
    /// `--decryption-key`
    pub decryption_key: Vec<String>,
    /// `-q`, `--quiet`
    pub quiet: bool,
    /// `--rootfs`
    pub rootfs: bool,
    /// `--image-volume` anonymous (bind), tmpfs, ignore.
    pub image_volume: Option<String>,

    // Identity and life.
    /// `--name`
    pub name: Option<String>,
    /// `--replace`
    pub replace: bool,
    /// `--rm`
    pub rm: bool,
    /// `--rmi`
    pub rmi: bool,
    /// `--restart`
    pub restart: Option<String>,
    /// `--requires`
    pub requires: Vec<String>,
    /// `-l`, `--label`
    pub label: Vec<String>,
    /// `--label-file`
    pub label_file: Vec<PathBuf>,
    /// `--annotation`
    pub annotation: Vec<String>,
    /// `--cidfile`
    pub cidfile: Option<PathBuf>,
    /// `--pidfile`
    pub pidfile: Option<PathBuf>,
    /// `--conmon-pidfile`
    pub conmon_pidfile: Option<PathBuf>,
    /// `--timeout`
    pub timeout: Option<u64>,
    /// `--stop-signal`
    pub stop_signal: Option<String>,
    /// `--stop-timeout`
    pub stop_timeout: Option<i64>,
    /// `--sdnotify`
    pub sdnotify: Option<String>,
    /// `--init-ctr`
    pub init_ctr: Option<String>,
    /// `--pod`
    pub pod: Option<String>,
    /// `--pod-id-file`
    pub pod_id_file: Option<PathBuf>,

    // Streams and terminal.
    /// `-d`, `--detach` (run)
    pub detach: bool,
    /// `-i`, `--interactive`
    pub interactive: bool,
    /// `-t`, `--tty`
    pub tty: bool,
    /// `-a`, `--attach`: stdin, stdout, stderr.
    pub attach: Vec<String>,
    /// `--detach-keys`
    pub detach_keys: Option<String>,
    /// `--sig-proxy` (run; default true without `-t`)
    pub sig_proxy: Option<bool>,
    /// `--preserve-fds`, `--preserve-fd`: descriptors by number.
    pub preserve_fd: Vec<i32>,
    /// `--log-driver`
    pub log_driver: Option<String>,
    /// `--log-opt`
    pub log_opt: Vec<String>,

    // Process.
    /// `--entrypoint`: a string or a JSON array; empty clears.
    pub entrypoint: Option<String>,
    /// `-e`, `--env`
    pub env: Vec<String>,
    /// `--env-file`
    pub env_file: Vec<PathBuf>,
    /// `--env-host`
    pub env_host: bool,
    /// `--env-merge`
    pub env_merge: Vec<String>,
    /// `--unsetenv`
    pub unsetenv: Vec<String>,
    /// `--unsetenv-all`
    pub unsetenv_all: bool,
    /// `--http-proxy` (default true)
    pub http_proxy: Option<bool>,
    /// `-w`, `--workdir`
    pub workdir: Option<String>,
    /// `-u`, `--user`
    pub user: Option<String>,
    /// `--group-add`
    pub group_add: Vec<String>,
    /// `--umask`
    pub umask: Option<String>,
    /// `--init`
    pub init: bool,
    /// `--init-path`
    pub init_path: Option<String>,
    /// `--systemd` true, false, always.
    pub systemd: Option<String>,
    /// `--ulimit`
    pub ulimit: Vec<String>,
    /// `--oom-score-adj`
    pub oom_score_adj: Option<i32>,
    /// `--tz`
    pub tz: Option<String>,
    /// `--passwd` (default true)
    pub passwd: Option<bool>,
    /// `--passwd-entry`
    pub passwd_entry: Option<String>,
    /// `--group-entry`
    pub group_entry: Option<String>,
    /// `--hostuser`
    pub hostuser: Vec<String>,
    /// `--personality`
    pub personality: Option<String>,
    /// `--chrootdirs`
    pub chrootdirs: Vec<String>,

    // File systems.
    /// `-v`, `--volume`
    pub volume: Vec<String>,
    /// `--mount`
    pub mount: Vec<String>,
    /// `--tmpfs`
    pub tmpfs: Vec<String>,
    /// `--volumes-from`
    pub volumes_from: Vec<String>,
    /// `--volume-driver`
    pub volume_driver: Option<String>,
    /// `--read-only`
    pub read_only: bool,
    /// `--read-only-tmpfs` (default true)
    pub read_only_tmpfs: Option<bool>,
    /// `--shm-size`
    pub shm_size: Option<String>,
    /// `--shm-size-systemd`
    pub shm_size_systemd: Option<String>,
    /// `--storage-opt`
    pub storage_opt: Vec<String>,
    /// `--secret`
    pub secret: Vec<String>,
    /// `--device`
    pub device: Vec<String>,
    /// `--device-cgroup-rule`
    pub device_cgroup_rule: Vec<String>,
    /// `--gpus`
    pub gpus: Vec<String>,

    // Namespaces and network.
    /// `--network`, `--net`
    pub network: Vec<String>,
    /// `--network-alias`
    pub network_alias: Vec<String>,
    /// `--ip`
    pub ip: Option<String>,
    /// `--ip6`
    pub ip6: Option<String>,
    /// `--mac-address`
    pub mac_address: Option<String>,
    /// `--link`
    pub link: Vec<String>,
    /// `--link-local-ip`
    pub link_local_ip: Vec<String>,
    /// `-p`, `--publish`
    pub publish: Vec<String>,
    /// `-P`, `--publish-all`
    pub publish_all: bool,
    /// `--expose`
    pub expose: Vec<String>,
    /// `-h`, `--hostname`
    pub hostname: Option<String>,
    /// `--domainname`
    pub domainname: Option<String>,
    /// `--add-host`
    pub add_host: Vec<String>,
    /// `--dns`
    pub dns: Vec<String>,
    /// `--dns-option`
    pub dns_option: Vec<String>,
    /// `--dns-search`
    pub dns_search: Vec<String>,
    /// `--no-hosts`
    pub no_hosts: bool,
    /// `--no-hostname`
    pub no_hostname: bool,
    /// `--hosts-file`
    pub hosts_file: Option<String>,
    /// `--pid`
    pub pid: Option<String>,
    /// `--ipc`
    pub ipc: Option<String>,
    /// `--uts`
    pub uts: Option<String>,
    /// `--cgroupns`
    pub cgroupns: Option<String>,
    /// `--userns`
    pub userns: Option<String>,
    /// `--uidmap`
    pub uidmap: Vec<String>,
    /// `--gidmap`
    pub gidmap: Vec<String>,
    /// `--subuidname`
    pub subuidname: Option<String>,
    /// `--subgidname`
    pub subgidname: Option<String>,

    // Security.
    /// `--privileged`
    pub privileged: bool,
    /// `--cap-add`
    pub cap_add: Vec<String>,
    /// `--cap-drop`
    pub cap_drop: Vec<String>,
    /// `--security-opt`
    pub security_opt: Vec<String>,
    /// `--seccomp-policy`
    pub seccomp_policy: Option<String>,
    /// `--sysctl`
    pub sysctl: Vec<String>,

    // Resources.
    /// `-m`, `--memory`
    pub memory: Option<String>,
    /// `--memory-reservation`
    pub memory_reservation: Option<String>,
    /// `--memory-swap`
    pub memory_swap: Option<String>,
    /// `--memory-swappiness`
    pub memory_swappiness: Option<i64>,
    /// `--oom-kill-disable`
    pub oom_kill_disable: bool,
    /// `--cpus`
    pub cpus: Option<String>,
    /// `-c`, `--cpu-shares`
    pub cpu_shares: Option<u64>,
    /// `--cpu-period`
    pub cpu_period: Option<u64>,
    /// `--cpu-quota`
    pub cpu_quota: Option<i64>,
    /// `--cpu-rt-period`
    pub cpu_rt_period: Option<u64>,
    /// `--cpu-rt-runtime`
    pub cpu_rt_runtime: Option<i64>,
    /// `--cpuset-cpus`
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`
    pub pids_limit: Option<i64>,
    /// `--blkio-weight`
    pub blkio_weight: Option<String>,
    /// `--blkio-weight-device`
    pub blkio_weight_device: Vec<String>,
    /// `--device-read-bps`
    pub device_read_bps: Vec<String>,
    /// `--device-read-iops`
    pub device_read_iops: Vec<String>,
    /// `--device-write-bps`
    pub device_write_bps: Vec<String>,
    /// `--device-write-iops`
    pub device_write_iops: Vec<String>,
    /// `--cgroup-conf`
    pub cgroup_conf: Vec<String>,
    /// `--cgroup-parent`
    pub cgroup_parent: Option<String>,
    /// `--cgroups` enabled, disabled, no-conmon, split.
    pub cgroups: Option<String>,
    /// `--rdt-class`
    pub rdt_class: Option<String>,

    // Health.
    /// `--health-cmd`
    pub health_cmd: Option<String>,
    /// `--health-interval`
    pub health_interval: Option<String>,
    /// `--health-retries`
    pub health_retries: Option<u32>,
    /// `--health-start-period`
    pub health_start_period: Option<String>,
    /// `--health-timeout`
    pub health_timeout: Option<String>,
    /// `--health-on-failure`
    pub health_on_failure: Option<String>,
    /// `--health-start-interval`
    pub health_start_interval: Option<String>,
    /// `--health-startup-cmd`
    pub health_startup_cmd: Option<String>,
    /// `--health-startup-interval`
    pub health_startup_interval: Option<String>,
    /// `--health-startup-retries`
    pub health_startup_retries: Option<u32>,
    /// `--health-startup-success`
    pub health_startup_success: Option<u32>,
    /// `--health-startup-timeout`
    pub health_startup_timeout: Option<String>,
    /// `--health-log-destination`
    pub health_log_destination: Option<String>,
    /// `--health-max-log-count`
    pub health_max_log_count: Option<u32>,
    /// `--health-max-log-size`
    pub health_max_log_size: Option<u32>,
    /// `--no-healthcheck`
    pub no_healthcheck: bool,
}
