//! A process of a container, decided in full before the fork: the child only acts.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use oci_spec::runtime::{
    Capabilities, Capability, LinuxIdMapping, LinuxNamespaceType, LinuxPersonality, LinuxPersonalityDomain,
    PosixRlimit, PosixRlimitType, Process,
};
use rustix::process::{Resource, Rlimit};

use super::lsm::{self, ExecLabel};
use super::seccomp::Filter;
use crate::base::error::{Context, Result, bail};
use crate::sys::caps::Sets;
use crate::sys::process::Strings;
use crate::sys::userns::IdMap;

/// What the process will be, apart from the namespaces it lives in.
pub(super) struct ProcessPlan {
    pub(super) command: String,
    pub(super) arguments: Strings,
    pub(super) environment: Strings,
    /// Value of `PATH` in that environment.
    pub(super) search: Option<String>,
    pub(super) cwd: CString,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) umask: Option<u32>,
    /// `None`: all that the caller has.
    pub(super) capabilities: Option<Sets>,
    pub(super) no_new_privs: bool,
    pub(super) filter: Option<Filter>,
    pub(super) rlimits: Vec<Limit>,
    pub(super) oom_score_adj: Option<i32>,
    pub(super) label: Option<ExecLabel>,
    /// Rows and columns of the terminal, if it has one.
    pub(super) terminal: Option<(u16, u16)>,
    pub(super) io_priority: Option<u32>,
    /// Execution domain; `None`: the caller's.
    pub(super) personality: Option<u32>,
    /// Descriptors that the command has under the same numbers.
    pub(super) preserve: Vec<OwnedFd>,
    /// The own binary, to be executed as pid 1 above the command (`--init`).
    pub(super) init: Option<OwnedFd>,
    /// Its arguments.
    pub(super) init_arguments: Strings,
    /// Whether the process keeps the caller's session keyring.
    pub(super) keep_keyring: bool,
    /// Whether the kernel kills the process when the one that made it dies.
    pub(super) die_with_parent: bool,
    /// Whether the caller's supplementary groups stay, mapped or not.
    pub(super) keep_groups: bool,
}

/// A resource limit.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub(super) resource: Resource,
    pub(super) limit: Rlimit,
    /// A default, cut to what the caller may have; an asked one that cannot be set is an error.
    pub(super) clamp: bool,
}

impl ProcessPlan {
    pub(super) fn new(process: &Process, filter: Option<Filter>, clamp: &[PosixRlimitType]) -> Result<Self> {
        let args = process.args().as_deref().unwrap_or_default();
        let Some(command) = args.first().cloned() else { bail!("no command to run") };
        refuse_unsupported(process)?;
        let environment = process.env().as_deref().unwrap_or_default();
        let user = process.user();
        Ok(ProcessPlan {
            command,
            arguments: Strings::new(args).context("NUL in an argument")?,
            environment: Strings::new(environment).context("NUL in the environment")?,
            search: environment.iter().rev().find_map(|v| v.strip_prefix("PATH=")).map(str::to_owned),
            cwd: CString::new(process.cwd().as_os_str().as_bytes())
                .context("NUL in the working directory")?,
            uid: user.uid(),
            gid: user.gid(),
            groups: user.additional_gids().clone().unwrap_or_default(),
            umask: user.umask(),
            capabilities: process.capabilities().as_ref().map(sets),
            no_new_privs: process.no_new_privileges().unwrap_or(false),
            filter,
            rlimits: limits(process.rlimits().as_deref().unwrap_or_default(), clamp)?,
            oom_score_adj: process.oom_score_adj(),
            label: label(process),
            terminal: terminal(process),
            io_priority: process.io_priority().as_ref().map(io_priority),
            personality: None,
            preserve: Vec::new(),
            init: None,
            init_arguments: Strings::new(
                [super::init::NAME, "--"].into_iter().chain(args.iter().map(String::as_str)),
            )
            .context("NUL in an argument")?,
            keep_keyring: false,
            die_with_parent: false,
            keep_groups: false,
        })
    }
}

fn refuse_unsupported(process: &Process) -> Result<()> {
    if process.scheduler().is_some() {
        bail!("`process.scheduler` is not supported");
    }
    if process.exec_cpu_affinity().is_some() {
        bail!("`process.execCPUAffinity` is not supported");
    }
    if !process.cwd().is_absolute() {
        bail!("the working directory `{}` is not absolute", process.cwd().display());
    }
    Ok(())
}

fn label(process: &Process) -> Option<ExecLabel> {
    let apparmor = process.apparmor_profile().as_deref().filter(|profile| !profile.is_empty());
    let selinux = process.selinux_label().as_deref().filter(|label| !label.is_empty());
    match (apparmor, selinux) {
        (Some(profile), _) if lsm::apparmor_enabled() => Some(ExecLabel::AppArmor(profile.to_owned())),
        (_, Some(context)) if lsm::selinux_enabled() => Some(ExecLabel::SeLinux(context.to_owned())),
        _ => None,
    }
}

fn terminal(process: &Process) -> Option<(u16, u16)> {
    let side = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    let size = process.console_size().map_or((0, 0), |size| (side(size.height()), side(size.width())));
    process.terminal().unwrap_or(false).then_some(size)
}

/// The number of an execution domain (`sys/personality.h`). The specification reserves flags and defines none.
pub(super) fn personality(wanted: Option<&LinuxPersonality>) -> Result<Option<u32>> {
    let Some(wanted) = wanted else { return Ok(None) };
    if let Some(flag) = wanted.flags().iter().flatten().next() {
        bail!("`linux.personality` has the unknown flag `{flag}`");
    }
    Ok(Some(match wanted.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    }))
}

fn io_priority(priority: &oci_spec::runtime::LinuxIOPriority) -> u32 {
    use oci_spec::runtime::IOPriorityClass as Class;
    let class = match priority.class() {
        Class::IoprioClassRt => 1,
        Class::IoprioClassBe => 2,
        Class::IoprioClassIdle => 3,
    };
    class << 13 | u32::try_from(priority.priority()).unwrap_or(0) & 0x1fff
}

fn limits(rlimits: &[PosixRlimit], clamp: &[PosixRlimitType]) -> Result<Vec<Limit>> {
    let value = |number: u64| (number != u64::MAX).then_some(number);
    rlimits
        .iter()
        .map(|rlimit| {
            let limit = Rlimit { current: value(rlimit.soft()), maximum: value(rlimit.hard()) };
            Ok(Limit { resource: resource(rlimit.typ())?, limit, clamp: clamp.contains(&rlimit.typ()) })
        })
        .collect()
}

fn resource(kind: PosixRlimitType) -> Result<Resource> {
    use PosixRlimitType as T;
    Ok(match kind {
        T::RlimitCpu => Resource::Cpu,
        T::RlimitFsize => Resource::Fsize,
        T::RlimitData => Resource::Data,
        T::RlimitStack => Resource::Stack,
        T::RlimitCore => Resource::Core,
        T::RlimitRss => Resource::Rss,
        T::RlimitNproc => Resource::Nproc,
        T::RlimitNofile => Resource::Nofile,
        T::RlimitMemlock => Resource::Memlock,
        T::RlimitAs => Resource::As,
        T::RlimitLocks => Resource::Locks,
        T::RlimitSigpending => Resource::Sigpending,
        T::RlimitMsgqueue => Resource::Msgqueue,
        T::RlimitNice => Resource::Nice,
        T::RlimitRtprio => Resource::Rtprio,
        T::RlimitRttime => Resource::Rttime,
    })
}

fn sets(caps: &oci_spec::runtime::LinuxCapabilities) -> Sets {
    let mask = |set: &Option<Capabilities>| set.as_ref().map_or(0, mask);
    Sets {
        bounding: mask(caps.bounding()),
        effective: mask(caps.effective()),
        permitted: mask(caps.permitted()),
        inheritable: mask(caps.inheritable()),
        ambient: mask(caps.ambient()),
    }
}

fn mask(set: &Capabilities) -> u64 {
    set.iter().fold(0, |mask, capability| mask | 1 << number(*capability))
}

/// The kernel's number of a capability.
pub(super) fn number(capability: Capability) -> u32 {
    use Capability as C;
    match capability {
        C::Chown => 0,
        C::DacOverride => 1,
        C::DacReadSearch => 2,
        C::Fowner => 3,
        C::Fsetid => 4,
        C::Kill => 5,
        C::Setgid => 6,
        C::Setuid => 7,
        C::Setpcap => 8,
        C::LinuxImmutable => 9,
        C::NetBindService => 10,
        C::NetBroadcast => 11,
        C::NetAdmin => 12,
        C::NetRaw => 13,
        C::IpcLock => 14,
        C::IpcOwner => 15,
        C::SysModule => 16,
        C::SysRawio => 17,
        C::SysChroot => 18,
        C::SysPtrace => 19,
        C::SysPacct => 20,
        C::SysAdmin => 21,
        C::SysBoot => 22,
        C::SysNice => 23,
        C::SysResource => 24,
        C::SysTime => 25,
        C::SysTtyConfig => 26,
        C::Mknod => 27,
        C::Lease => 28,
        C::AuditWrite => 29,
        C::AuditControl => 30,
        C::Setfcap => 31,
        C::MacOverride => 32,
        C::MacAdmin => 33,
        C::Syslog => 34,
        C::WakeAlarm => 35,
        C::BlockSuspend => 36,
        C::AuditRead => 37,
        C::Perfmon => 38,
        C::Bpf => 39,
        C::CheckpointRestore => 40,
    }
}

/// Id maps of a specification.
pub(super) fn id_maps(maps: Option<&Vec<LinuxIdMapping>>) -> Vec<IdMap> {
    let map = |map: &LinuxIdMapping| IdMap {
        inside: map.container_id(),
        outside: map.host_id(),
        count: map.size(),
    };
    maps.map(|maps| maps.iter().map(map).collect()).unwrap_or_default()
}

/// The `CLONE_NEW*` flag of a namespace.
pub(super) fn namespace_flag(kind: LinuxNamespaceType) -> u64 {
    kind as u64
}

/// Opens a namespace file.
pub(super) fn open_namespace(path: &Path) -> Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("open namespace `{}`", path.display()))
}

/// Whether a namespace is that of this process.
pub(super) fn is_own(namespace: &OwnedFd, kind: &str) -> Result<bool> {
    let own = rustix::fs::stat(format!("/proc/self/ns/{kind}")).context("inspect an own namespace")?;
    let other = rustix::fs::fstat(namespace).context("inspect a namespace")?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_capabilities_are_the_known_mask() {
        let caps = crate::runtime::defaults::CAPABILITIES.into_iter().collect();
        assert_eq!(mask(&caps), 0x8004_05fb);
        assert_eq!(number(Capability::CheckpointRestore), 40);
    }
}
