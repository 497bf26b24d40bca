//! The defaults of a container's specification: Podman's, so that an image behaves here as it does there.
//!
//! Every list is the whole of what a container gets when nobody asks for more or less; `ops` adds and removes.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capability, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType, Mount, MountBuilder,
    PosixRlimit, PosixRlimitBuilder, PosixRlimitType,
};

/// The eleven capabilities that a container keeps: 0x800405fb.
pub const CAPABILITIES: [Capability; 11] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// Where commands are looked for when the image does not say.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most processes of a container.
pub const PIDS_LIMIT: i64 = 2048;

/// Bytes of /dev/shm.
pub const SHM_SIZE: u64 = 65_536_000;

/// Soft and hard limit of open files and of processes, clamped to what the caller may have.
pub const NOFILE_AND_NPROC: u64 = 1_048_576;

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

const READ_ONLY: [&str; 6] =
    ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Paths that an empty read-only directory or /dev/null hides, with the thermal records of each CPU
/// of this host: they tell what other work the machine does.
pub fn masked_paths() -> Vec<String> {
    let mut paths: Vec<String> = MASKED.iter().map(|path| (*path).to_owned()).collect();
    paths.extend(thermal_throttle(Path::new("/sys/devices/system/cpu")));
    paths
}

/// Virtual machines have none, which one look at the first CPU tells.
fn thermal_throttle(cpus: &Path) -> Vec<String> {
    let of = |cpu: &Path| cpu.join("thermal_throttle");
    if !of(&cpus.join("cpu0")).exists() {
        return Vec::new();
    }
    let Ok(entries) = crate::base::fs::read_dir(cpus) else { return Vec::new() };
    let mut found: Vec<PathBuf> =
        entries.iter().map(|entry| of(&entry.path())).filter(|path| path.exists()).collect();
    found.sort();
    found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Paths that are bound read-only.
pub fn readonly_paths() -> Vec<String> {
    READ_ONLY.iter().map(|path| (*path).to_owned()).collect()
}

/// The environment that every container has, whatever its image says. `TERM` is for terminals only.
pub fn env(terminal: bool) -> Vec<String> {
    let mut env = vec![format!("PATH={PATH}"), "container=podman".to_owned()];
    if terminal {
        env.push("TERM=xterm".to_owned());
    }
    env
}

/// Kernel parameters of a private network namespace: everybody may ping.
pub fn network_sysctls() -> [(&'static str, &'static str); 1] {
    [("net.ipv4.ping_group_range", "0 0")]
}

/// Open files and processes; the runtime clamps them to the caller's hard limits.
pub fn rlimits() -> Vec<PosixRlimit> {
    [PosixRlimitType::RlimitNofile, PosixRlimitType::RlimitNproc]
        .into_iter()
        .filter_map(|typ| {
            PosixRlimitBuilder::default().typ(typ).soft(NOFILE_AND_NPROC).hard(NOFILE_AND_NPROC).build().ok()
        })
        .collect()
}

/// What the default mounts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountChoices {
    /// Bytes of /dev/shm; `None` leaves the mount out (`--ipc host`, `none` or another container's).
    pub shm_size: Option<u64>,
    /// Whether group 5 exists in the container's id map: `devpts` refuses a group that does not.
    pub tty_group: bool,
    /// Whether /sys and /sys/fs/cgroup may be written to (`--privileged`).
    pub writable_sys: bool,
    /// Whether there is a POSIX message queue mount (an IPC namespace of its own).
    pub mqueue: bool,
    /// Whether /sys/fs/cgroup is mounted.
    pub cgroup: bool,
}

impl Default for MountChoices {
    fn default() -> Self {
        MountChoices {
            shm_size: Some(SHM_SIZE),
            tty_group: true,
            writable_sys: false,
            mqueue: true,
            cgroup: true,
        }
    }
}

/// The kernel's file systems in the order in which they are mounted.
pub fn mounts(choices: &MountChoices) -> Vec<Mount> {
    let access = if choices.writable_sys { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", "devpts", devpts_options(choices.tty_group)),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", access]),
    ];
    if choices.mqueue {
        mounts.push(mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]));
    }
    if let Some(bytes) = choices.shm_size {
        let size = format!("size={bytes}");
        mounts.push(mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &size]));
    }
    if choices.cgroup {
        let options = ["private", "nosuid", "noexec", "nodev", "relatime", access];
        mounts.push(mount("/sys/fs/cgroup", "cgroup", "cgroup", &options));
    }
    mounts
}

fn devpts_options(tty_group: bool) -> &'static [&'static str] {
    const OPTIONS: [&str; 6] = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    if tty_group { &OPTIONS } else { &OPTIONS[..5] }
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let mut mount = MountBuilder::default().destination(target).source(source).options(options).build();
    match &mut mount {
        Ok(mount) => _ = mount.set_typ(Some(kind.to_owned())),
        Err(error) => unreachable!("a mount has a destination: {error}"),
    }
    mount.unwrap_or_default()
}

/// The device rules of the cgroup: everything is denied but making nodes, and the default nodes' use.
///
/// A node that a container makes of a host's device stays useless, since opening it is what is denied.
pub fn device_rules() -> Vec<LinuxDeviceCgroup> {
    use LinuxDeviceType::{A, B, C};
    let mut rules = vec![
        device_rule(false, A, None, None, "rwm"),
        device_rule(true, C, None, None, "m"),
        device_rule(true, B, None, None, "m"),
    ];
    // null zero full random urandom; tty console ptmx; the pseudo-terminals
    let used = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)];
    rules.extend(used.map(|(major, minor)| device_rule(true, C, Some(major), Some(minor), "rwm")));
    rules.push(device_rule(true, C, Some(136), None, "rwm"));
    rules
}

/// One rule; `None` numbers stand for all.
pub fn device_rule(
    allow: bool,
    kind: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> LinuxDeviceCgroup {
    let builder = LinuxDeviceCgroupBuilder::default().allow(allow).typ(kind).access(access);
    let builder = major.into_iter().fold(builder, |builder, major| builder.major(major));
    let builder = minor.into_iter().fold(builder, |builder, minor| builder.minor(minor));
    match builder.build() {
        Ok(rule) => rule,
        Err(error) => unreachable!("a device rule has no field that must be given: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eleven_capabilities_make_podmans_mask() {
        // Numbers of capabilities(7), in the order of the list.
        let numbers = [0u64, 1, 3, 4, 5, 10, 31, 6, 8, 7, 18];
        let mask = numbers.iter().fold(0u64, |mask, number| mask | 1 << number);
        assert_eq!(mask, 0x8004_05fb);
        assert_eq!(CAPABILITIES.len(), numbers.len());
    }

    #[test]
    fn mounts_follow_the_choices() {
        let targets = |choices: &MountChoices| -> Vec<String> {
            mounts(choices).iter().map(|mount| mount.destination().display().to_string()).collect()
        };
        let all = ["/proc", "/dev", "/dev/pts", "/sys", "/dev/mqueue", "/dev/shm", "/sys/fs/cgroup"];
        assert_eq!(targets(&MountChoices::default()), all);
        let few = MountChoices { shm_size: None, mqueue: false, cgroup: false, ..MountChoices::default() };
        assert_eq!(targets(&few), &all[..4]);
        let devpts = |tty_group| {
            let mounts = mounts(&MountChoices { tty_group, ..MountChoices::default() });
            mounts[2].options().as_ref().unwrap().contains(&"gid=5".to_owned())
        };
        assert!(devpts(true) && !devpts(false));
    }

    #[test]
    fn types_and_sizes_reach_the_mount() {
        let mounts =
            mounts(&MountChoices { shm_size: Some(7), writable_sys: true, ..MountChoices::default() });
        assert_eq!(mounts[0].typ().as_deref(), Some("proc"));
        assert!(mounts[5].options().as_ref().unwrap().contains(&"size=7".to_owned()));
        assert!(mounts[3].options().as_ref().unwrap().contains(&"rw".to_owned()));
    }

    #[test]
    fn masks_and_limits_are_complete() {
        assert!(masked_paths().iter().any(|path| path == "/sys/firmware"));
        assert_eq!(readonly_paths().len(), 6);
        assert_eq!(rlimits().len(), 2);
        assert_eq!(device_rules().len(), 12);
        assert!(!device_rules()[0].allow());
        assert_eq!(env(true).len() - env(false).len(), 1);
    }
}
