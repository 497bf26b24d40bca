//! What `resolve` needs to know besides the options: the caller, the defaults, the image, the other containers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::base::config::Containers;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Result};
use crate::base::roots::Roots;
use crate::container;
use crate::container::record::{HealthCheck, LogDriver};
use crate::sys::userns::Stage;

/// The person and process that typed the command, seen from outside of any user namespace of dhow.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Login name, if the host knows one.
    pub user: String,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
}

impl Caller {
    /// Asks the kernel. Must run before the process enters a user namespace.
    pub fn current() -> Result<Caller> {
        let uid = rustix::process::geteuid().as_raw();
        let name = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        Ok(Caller {
            uid,
            gid: rustix::process::getegid().as_raw(),
            user: name.unwrap_or_default(),
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            cwd: std::env::current_dir().context("find the working directory")?,
        })
    }
}

/// The defaults that `containers.conf` can change.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// `annotations`
    pub annotations: Vec<String>,
    /// `apparmor_profile`; empty for the default.
    pub apparmor_profile: String,
    /// `base_hosts_file`: a path, `image`, `none`, or empty for the host's.
    pub base_hosts_file: String,
    /// `cgroupns`
    pub cgroupns: String,
    /// `cgroups`
    pub cgroups: String,
    /// `default_capabilities`; `None` for the built-in eleven.
    pub default_capabilities: Option<Vec<String>>,
    /// `default_sysctls`
    pub default_sysctls: Vec<String>,
    /// `default_ulimits`
    pub default_ulimits: Vec<String>,
    /// `devices`
    pub devices: Vec<String>,
    /// `dns_servers`
    pub dns_servers: Vec<String>,
    /// `dns_options`
    pub dns_options: Vec<String>,
    /// `dns_searches`
    pub dns_searches: Vec<String>,
    /// `env`
    pub env: Vec<String>,
    /// `env_host`
    pub env_host: bool,
    /// `http_proxy`
    pub http_proxy: bool,
    /// `init`
    pub init: bool,
    /// `ipcns`
    pub ipcns: String,
    /// `label`: false switches SELinux separation off.
    pub label: bool,
    /// `log_driver`
    pub log_driver: Option<LogDriver>,
    /// `log_size_max`; 0 or less unlimited.
    pub log_size_max: i64,
    /// `log_tag`
    pub log_tag: String,
    /// `mounts`, in the syntax of `--mount`.
    pub mounts: Vec<String>,
    /// `netns`
    pub netns: String,
    /// `no_hosts`
    pub no_hosts: bool,
    /// `pidns`
    pub pidns: String,
    /// `pids_limit`
    pub pids_limit: i64,
    /// `privileged`
    pub privileged: bool,
    /// `read_only`
    pub read_only: bool,
    /// `seccomp_profile`; empty for the built-in one.
    pub seccomp_profile: String,
    /// `shm_size`
    pub shm_size: String,
    /// `tz`
    pub tz: String,
    /// `umask`
    pub umask: String,
    /// `userns`
    pub userns: String,
    /// `utsns`
    pub utsns: String,
    /// `volumes`, in the syntax of `-v`.
    pub volumes: Vec<String>,
    /// `[engine] stop_timeout`
    pub stop_timeout: u64,
    /// `[engine] detach_keys`
    pub detach_keys: String,
    /// `[engine] image_volume_mode`
    pub image_volume_mode: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            annotations: Vec::new(),
            apparmor_profile: String::new(),
            base_hosts_file: String::new(),
            cgroupns: String::new(),
            cgroups: "enabled".into(),
            default_capabilities: None,
            default_sysctls: vec!["net.ipv4.ping_group_range=0 0".into()],
            default_ulimits: Vec::new(),
            devices: Vec::new(),
            dns_servers: Vec::new(),
            dns_options: Vec::new(),
            dns_searches: Vec::new(),
            env: Vec::new(),
            env_host: false,
            http_proxy: true,
            init: false,
            ipcns: "shareable".into(),
            label: true,
            log_driver: None,
            log_size_max: -1,
            log_tag: String::new(),
            mounts: Vec::new(),
            netns: String::new(),
            no_hosts: false,
            pidns: "private".into(),
            pids_limit: 2048,
            privileged: false,
            read_only: false,
            seccomp_profile: String::new(),
            shm_size: "65536k".into(),
            tz: String::new(),
            umask: "0022".into(),
            userns: String::new(),
            utsns: "private".into(),
            volumes: Vec::new(),
            stop_timeout: 10,
            detach_keys: "ctrl-p,ctrl-q".into(),
            image_volume_mode: "anonymous".into(),
        }
    }
}

/// An image as far as a container's record depends on it.
#[derive(Debug, Clone, Default)]
pub struct ImageFacts {
    /// The image's id.
    pub id: Option<Digest>,
    /// The name by which it was asked for, normalised.
    pub name: String,
    /// Its layers, lowest first.
    pub layers: Vec<Digest>,
    /// `User`
    pub user: String,
    /// `Env`
    pub env: Vec<String>,
    /// `Entrypoint`
    pub entrypoint: Vec<String>,
    /// `Cmd`
    pub command: Vec<String>,
    /// `WorkingDir`
    pub workdir: String,
    /// The keys of `Volumes`.
    pub volumes: Vec<String>,
    /// The keys of `ExposedPorts`.
    pub exposed: Vec<String>,
    /// `Labels`
    pub labels: BTreeMap<String, String>,
    /// `StopSignal`
    pub stop_signal: Option<String>,
    /// `Healthcheck`
    pub health: Option<HealthCheck>,
}

/// What `resolve` is given.
pub struct Context<'a> {
    /// Where state lies, and whether the caller is root.
    pub roots: &'a Roots,
    /// Who calls.
    pub caller: &'a Caller,
    /// What `containers.conf` says.
    pub defaults: &'a Defaults,
    /// The other containers (`--volumes-from`, `container:` namespaces, `--requires`).
    pub containers: &'a container::Store,
    /// The rootless stage with the caller's sub-ids; `None` for root.
    pub stage: Option<&'a Stage>,
    /// Looks up an image for `--mount type=image`.
    pub find_image: &'a FindImage<'a>,
}

/// Gives an image's id and its layers, lowest first.
pub type FindImage<'a> = dyn Fn(&str) -> Result<(Digest, Vec<Digest>)> + 'a;

impl Context<'_> {
    /// Whether the caller is an ordinary user.
    pub fn rootless(&self) -> bool {
        self.roots.rootless
    }
}

impl Defaults {
    /// The built-in defaults with what `containers.conf` says over them.
    pub fn from_config(config: &Containers) -> Result<Defaults> {
        let mut defaults = Defaults::default();
        let (keys, engine) = (&config.containers, &config.engine);
        macro_rules! take {
            ($from:ident: $($field:ident),* $(,)?) => {
                $(if let Some(value) = &$from.$field { defaults.$field = value.clone().into(); })*
            };
        }
        take!(keys: annotations, apparmor_profile, base_hosts_file, cgroupns, cgroups, default_capabilities,
            default_sysctls, default_ulimits, devices, dns_options, dns_searches, dns_servers, env, env_host,
            http_proxy, init, ipcns, label, log_size_max, log_tag, mounts, netns, no_hosts, pidns, pids_limit,
            privileged, read_only, seccomp_profile, shm_size, tz, umask, userns, utsns, volumes);
        take!(engine: detach_keys, image_volume_mode, stop_timeout);
        let driver = keys.log_driver.as_deref().filter(|driver| !driver.is_empty());
        defaults.log_driver = driver.map(crate::container::parse::log::parse_driver).transpose()?;
        Ok(defaults)
    }
}
