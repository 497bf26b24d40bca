//! The OCI runtime specification of a container, from its record and its root file system.
//!
//! Everything that comes from the image (accounts, links, directories) is looked at through the confined root.

pub mod caps;
mod masks;
mod mounts;
mod namespaces;
mod resources;
#[cfg(test)]
mod tests;
pub mod user;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxPersonality, LinuxPersonalityBuilder, LinuxPersonalityDomain, LinuxSeccomp,
    PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, RootBuilder, Spec,
    SpecBuilder, UserBuilder,
};

use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, fail};
use crate::container::record::{Config, Seccomp, Ulimit};
use crate::runtime::{lsm, seccomp};

pub use mounts::GENERATED;
pub use namespaces::hostname;
pub use user::Identity;

/// What building needs besides the record.
pub struct SpecContext<'a> {
    /// The record.
    pub config: &'a Config,
    /// Whether the caller is an ordinary user (in the stage).
    pub rootless: bool,
    /// Whether the stage maps a single id.
    pub single_id: bool,
    /// Who the process is (see [`user::resolve`]).
    pub identity: &'a Identity,
    /// What `root.path` of the specification says; the runtime is given the mount itself.
    pub root_path: &'a Path,
    /// The container's directory, where the generated files lie.
    pub dir: &'a Path,
    /// `linux.cgroupsPath`, if it has a cgroup.
    pub cgroups_path: Option<PathBuf>,
    /// Whether the default limit of processes can be set here (a limit that was asked for always is).
    pub default_pids: bool,
    /// The directory with a volume's content.
    pub volume_dir: &'a dyn Fn(&str) -> Result<PathBuf>,
    /// The first process of a running container, to join its namespaces.
    pub pid_of: &'a dyn Fn(&str) -> Result<i32>,
}

/// A specification, and what the caller must do besides.
#[derive(Debug, Clone)]
pub struct Built {
    /// The specification.
    pub spec: Spec,
    /// Mounts whose source is made by the caller, or whose owner is changed before the start.
    pub prepared: Vec<Prepared>,
    /// Who the process is.
    pub identity: Identity,
    /// Limits that are defaults: cut to the caller's hard limit where that is lower.
    pub clamp: Vec<PosixRlimitType>,
    /// The filter is the built-in default for [`Built::granted`]: a precompiled one may be used.
    pub default_filter: bool,
    /// The bounding set.
    pub granted: oci_spec::runtime::Capabilities,
}

/// A mount of the specification that needs work before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Its place in `spec.mounts`.
    pub index: usize,
    /// Where it appears.
    pub target: PathBuf,
    /// What must be mounted and passed as a descriptor; `None` leaves the source of the specification.
    pub source: Option<Source>,
    /// `U`: the source's owner becomes the container's user, recursively.
    pub chown: bool,
}

/// A source that is a mount itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `:O`: an overlay over a directory; without `upper` changes end with the container.
    Overlay {
        /// The directory that is not changed.
        lower: PathBuf,
        /// Where changes go, if the user keeps them.
        upper: Option<PathBuf>,
        /// The overlay's own directory beside `upper`.
        work: Option<PathBuf>,
    },
    /// `/dev/shm` of the process that this one shares its IPC namespace with.
    SharedMemory {
        /// That process.
        pid: i32,
    },
    /// An image's root file system.
    Image {
        /// Its layers, lowest first.
        layers: Vec<Digest>,
        /// Whether writes are refused; otherwise they go to a layer that ends with the container.
        read_only: bool,
        /// Part of it, resolved inside of it.
        subpath: Option<PathBuf>,
    },
}

/// The capabilities of the bounding set of a record, sorted, `CAP_…`: for `inspect`.
pub fn capabilities(config: &Config) -> Vec<String> {
    let set = caps::bounding(&config.security).unwrap_or_default(); // names were checked at create
    let mut names: Vec<String> = set.iter().map(|capability| caps::full(capability.to_string())).collect();
    names.sort();
    names
}

/// The sysctl that `--domainname` stands for.
const DOMAINNAME: &str = "kernel.domainname";

/// Builds the specification.
pub fn build(context: &SpecContext<'_>) -> Result<Built> {
    let config = context.config;
    let identity = context.identity;
    let granted = caps::bounding(&config.security)?;
    let (mounts, prepared) = mounts::list(context)?;
    let (hostname, set_hostname) = namespaces::hostname(config);
    let process = process(config, identity, &hostname)?;
    let root = RootBuilder::default().path(context.root_path).readonly(config.rootfs.read_only).build()?;
    let annotations: HashMap<String, String> = annotations(config);
    let mut spec = SpecBuilder::default()
        .version("1.2.1")
        .process(process)
        .root(root)
        .mounts(mounts)
        .annotations(annotations)
        .linux(linux(context, &granted)?)
        .build()
        .context("assemble the specification")?;
    spec.set_hostname(set_hostname.then_some(hostname));
    spec.set_domainname(config.security.sysctls.get(DOMAINNAME).cloned());
    Ok(Built {
        spec,
        prepared,
        identity: identity.clone(),
        clamp: clamped(&config.process.ulimits)?,
        default_filter: filter_kind(config) == &Seccomp::Default,
        granted,
    })
}

/// Whether the caller's supplementary groups stay (`--group-add keep-groups`).
pub fn keeps_groups(config: &Config) -> bool {
    config.process.groups.iter().any(|group| group == "keep-groups")
}

fn annotations(config: &Config) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = config.annotations.clone().into_iter().collect();
    all.insert("org.opencontainers.image.stopSignal".into(), config.process.stop_signal.to_string());
    if keeps_groups(config) {
        all.insert("run.oci.keep_original_groups".into(), "1".into());
    }
    all
}

/// A process to be run as the record says, in this root file system: the first one, or one of `exec`.
pub fn process(config: &Config, identity: &Identity, hostname: &str) -> Result<Process> {
    let wanted = &config.process;
    let user = UserBuilder::default()
        .uid(identity.uid)
        .gid(identity.gid)
        .umask(wanted.umask)
        .additional_gids(identity.groups.clone())
        .build()?;
    let mut builder = ProcessBuilder::default()
        .terminal(wanted.tty)
        .user(user)
        .args([wanted.entrypoint.as_slice(), wanted.command.as_slice()].concat())
        .env(environment(config, identity, hostname))
        .cwd(wanted.workdir.as_str())
        .capabilities(caps::sets(&config.security, identity.uid)?)
        .rlimits(wanted.ulimits.iter().map(rlimit).collect::<Result<Vec<_>>>()?)
        .no_new_privileges(config.security.no_new_privileges);
    if let Some(score) = wanted.oom_score_adj {
        builder = builder.oom_score_adj(score);
    }
    if let Some(profile) = apparmor(config)? {
        builder = builder.apparmor_profile(profile);
    }
    if let Some(labels) = selinux(config)? {
        builder = builder.selinux_label(labels.process);
    }
    builder.build().context("assemble the process")
}

/// What the record holds, with HOME and HOSTNAME as this root file system and these namespaces have them.
pub fn environment(config: &Config, identity: &Identity, hostname: &str) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(config.process.env.len() + 2);
    for line in &config.process.env {
        let name = line.split('=').next();
        env.retain(|known| known.split('=').next() != name); // the last one counts
        env.push(line.clone());
    }
    for (name, value) in [("HOME", identity.home.as_str()), ("HOSTNAME", hostname)] {
        let known =
            env.iter().any(|line| line.split_once('=').is_some_and(|(n, v)| n == name && !v.is_empty()));
        if !known {
            env.retain(|line| line.split('=').next() != Some(name));
            env.push(format!("{name}={value}"));
        }
    }
    env
}

fn rlimit_type(limit: &Ulimit) -> Result<PosixRlimitType> {
    let name = format!("RLIMIT_{}", limit.name.to_ascii_uppercase());
    PosixRlimitType::from_str(&name)
        .or_else(|_| serde_json::from_value(serde_json::Value::String(name)))
        .with_context(|| format!("limit `{}` is not known", limit.name))
}

fn rlimit(limit: &Ulimit) -> Result<PosixRlimit> {
    let built =
        PosixRlimitBuilder::default().typ(rlimit_type(limit)?).soft(limit.soft).hard(limit.hard).build();
    built.with_context(|| format!("assemble the limit `{}`", limit.name))
}

/// The limits that are defaults, and cut to the caller's hard limit where that is lower.
pub fn clamped(limits: &[Ulimit]) -> Result<Vec<PosixRlimitType>> {
    limits.iter().filter(|limit| !limit.asked).map(rlimit_type).collect()
}

fn apparmor(config: &Config) -> Result<Option<String>> {
    match (&config.security.apparmor, config.security.privileged) {
        (None, true) => Ok(None),
        (asked, _) => lsm::apparmor_profile(asked.as_deref()),
    }
}

fn selinux(config: &Config) -> Result<Option<lsm::Labels>> {
    let words = lsm::parse_label_words(&config.security.labels)?;
    let asked = words.need_selinux();
    if asked && !lsm::selinux_enabled() {
        return Err(fail(Kind::Failed, "--security-opt label=: this host has no SELinux"));
    }
    let off = words.disable || !lsm::selinux_enabled() || (config.security.privileged && !asked);
    if off { Ok(None) } else { lsm::selinux_labels(&words) }
}

fn linux(context: &SpecContext<'_>, granted: &oci_spec::runtime::Capabilities) -> Result<Linux> {
    let config = context.config;
    let devices = resources::devices(config)?;
    let bound: Vec<&Path> = config
        .devices
        .iter()
        .filter(|d| mounts::is_bound(context, d))
        .map(|d| d.container.as_path())
        .collect();
    let made: Vec<_> =
        devices.iter().filter(|device| !bound.contains(&device.path().as_path())).cloned().collect();
    let (masked, read_only) = masks::paths(&config.security);
    let mut sysctl: HashMap<String, String> = config.security.sysctls.clone().into_iter().collect();
    sysctl.remove(DOMAINNAME); // by its system call: the file is closed to a user namespace
    let mut builder = LinuxBuilder::default()
        .namespaces(namespaces::list(context)?)
        .resources(resources::limits(config, &devices, context.default_pids)?)
        .devices(made)
        .masked_paths(masked)
        .readonly_paths(read_only)
        .sysctl(sysctl);
    if let Some((uids, gids)) = namespaces::maps(&config.namespaces.user)? {
        builder = builder.uid_mappings(uids).gid_mappings(gids);
    }
    if let Some(path) = &context.cgroups_path {
        builder = builder.cgroups_path(path.clone());
    }
    if let Some(filter) = filter(config, granted)? {
        builder = builder.seccomp(filter);
    }
    if let Some(spread) = root_propagation(config) {
        builder = builder.rootfs_propagation(spread);
    }
    if let Some(labels) = selinux(config)? {
        builder = builder.mount_label(labels.mount);
    }
    let mut linux = builder.build().context("assemble the Linux part")?;
    linux.set_personality(personality(config)?);
    Ok(linux)
}

/// The execution domain of a container, also for `exec`.
pub fn personality(config: &Config) -> Result<Option<LinuxPersonality>> {
    let Some(name) = &config.process.personality else { return Ok(None) };
    let domain = LinuxPersonalityDomain::from_str(name).with_context(|| format!("personality `{name}`"))?;
    Ok(Some(LinuxPersonalityBuilder::default().domain(domain).build()?))
}

/// Mounts reach a container, or leave it, only when its root lets them through.
fn root_propagation(config: &Config) -> Option<&'static str> {
    let words: Vec<&str> =
        config.mounts.iter().filter_map(|mount| mount.options.propagation.as_deref()).collect();
    match () {
        () if words.iter().any(|word| word.contains("shared")) => Some("shared"),
        () if words.iter().any(|word| word.contains("slave")) => Some("rslave"),
        () => None,
    }
}

/// `--privileged` has no filter unless one was asked for by its path.
fn filter_kind(config: &Config) -> &Seccomp {
    match &config.security.seccomp {
        Seccomp::Default if config.security.privileged => &Seccomp::Unconfined,
        kind => kind,
    }
}

/// The limits of a record without its devices, which stay as they are while it runs.
pub fn limits(config: &Config) -> Result<oci_spec::runtime::LinuxResources> {
    let mut limits = resources::limits(config, &[], false)?;
    limits.set_devices(None);
    Ok(limits)
}

/// The seccomp filter of a record, as a specification has it.
pub fn filter(config: &Config, granted: &oci_spec::runtime::Capabilities) -> Result<Option<LinuxSeccomp>> {
    match filter_kind(config) {
        Seccomp::Unconfined => Ok(None),
        Seccomp::Default => Ok(Some(seccomp::default_spec(granted))),
        Seccomp::Profile(path) => seccomp::Profile::read(path)?.resolve(granted).map(Some),
    }
}
