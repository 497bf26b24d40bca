//! A container, decided in full before the fork.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, LinuxNamespaceType, Spec};
use rustix::fs::{FileType, makedev};

use super::cgroup;
use super::hooks::HookSet;
use super::init;
use super::launch::{Entry, Gate, Launch, Rootfs, Stdio, refuse_unsupported};
use super::mounts::{self, MountPlan};
use super::plan::{self, ProcessPlan};
use super::seccomp;
use crate::base::error::{Context, Result, bail};
use crate::sys::mount as sys;
use crate::sys::process::flags;
use crate::sys::userns::{self, IdMap};

/// Everything that the child acts on.
pub(super) struct ContainerPlan {
    /// Until the parent takes it back after the fork.
    pub(super) cgroup: Option<cgroup::Handle>,
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    pub(super) annotations: HashMap<String, String>,
    pub(super) process: ProcessPlan,
    pub(super) stdio: Stdio,
    pub(super) gate: Gate,
    /// The root file system: a detached mount.
    pub(super) root: OwnedFd,
    pub(super) read_only: bool,
    pub(super) propagation: Option<(u64, bool)>,
    pub(super) no_pivot: bool,
    pub(super) mounts: Vec<MountPlan>,
    pub(super) devices: Vec<DevicePlan>,
    pub(super) masked: Vec<PathBuf>,
    pub(super) readonly_paths: Vec<PathBuf>,
    /// Below `/proc/sys`, and the value.
    pub(super) sysctls: Vec<(PathBuf, String)>,
    pub(super) hostname: Option<String>,
    pub(super) domainname: Option<String>,
    /// `CLONE_NEW*` of the namespaces to make.
    pub(super) new: u64,
    /// The namespaces to join.
    pub(super) join: Vec<(u64, OwnedFd)>,
    /// Maps of the user namespace to make.
    pub(super) maps: Option<(Vec<IdMap>, Vec<IdMap>)>,
    /// `/proc/PID/timens_offsets`
    pub(super) time_offsets: Option<String>,
    pub(super) hooks: HookSet,
}

/// A node in `/dev`.
#[derive(Debug)]
pub(super) struct DevicePlan {
    /// Relative to the root.
    pub(super) path: PathBuf,
    pub(super) kind: FileType,
    pub(super) device: u64,
    pub(super) mode: u32,
    pub(super) owner: Option<(u32, u32)>,
    /// The host's own node, to be bound: in a user namespace nobody may make one.
    pub(super) host: Option<OwnedFd>,
}

const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("dev/null", 1, 3),
    ("dev/zero", 1, 5),
    ("dev/full", 1, 7),
    ("dev/random", 1, 8),
    ("dev/urandom", 1, 9),
    ("dev/tty", 5, 0),
];

impl ContainerPlan {
    /// Reads the specification and opens what it names.
    pub(super) fn new(launch: Launch) -> Result<ContainerPlan> {
        let Launch { id, spec, bundle, rootfs, stdio, cgroup, mut mount_fds, .. } = launch;
        refuse_unsupported(&spec)?;
        let Some(linux) = spec.linux() else { bail!("the specification has no `linux` section") };
        let Some(process) = spec.process() else { bail!("the specification has no `process` section") };
        let (new, join) = namespaces(linux, launch.join)?;
        let in_user = new & flags::NEWUSER != 0 || joins(&join, flags::NEWUSER) || userns::restricted();
        let filter = match (launch.filter, linux.seccomp()) {
            (Some(filter), _) => Some(filter),
            (None, Some(seccomp)) => Some(seccomp::compile(seccomp).context("compile the seccomp filter")?),
            (None, None) => None,
        };
        let mut process = ProcessPlan::new(process, filter, &launch.clamp_rlimits)?;
        process.preserve = launch.preserve_fds;
        process.personality = plan::personality(linux.personality().as_ref())?;
        process.init = launch.init.then(init::own_binary).transpose()?;
        process.keep_keyring = launch.keep_keyring;
        process.die_with_parent = launch.die_with_parent;
        process.keep_groups = keeps_groups(spec.annotations().as_ref());
        let mounts = spec.mounts().iter().flatten().enumerate();
        let mounts = mounts
            .map(|(index, mount)| MountPlan::new(mount, &bundle, mount_fds.remove(&index)))
            .collect::<Result<_>>()?;
        let plan = ContainerPlan {
            cgroup,
            annotations: spec.annotations().clone().unwrap_or_default(),
            process,
            stdio,
            gate: launch.gate,
            root: open_root(rootfs)?,
            read_only: spec.root().as_ref().is_some_and(|root| root.readonly().unwrap_or(false)),
            propagation: propagation(linux)?,
            no_pivot: launch.no_pivot,
            mounts,
            devices: devices(linux, in_user)?,
            masked: paths(linux.masked_paths()),
            readonly_paths: paths(linux.readonly_paths()),
            sysctls: sysctls(linux, new, &join)?,
            hostname: spec.hostname().clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname().clone().filter(|name| !name.is_empty()),
            maps: maps(linux, new)?,
            time_offsets: time_offsets(linux, new)?,
            hooks: HookSet::new(&spec),
            new,
            join,
            id,
            bundle,
        };
        plan.check(&spec)?;
        Ok(plan)
    }

    fn check(&self, spec: &Spec) -> Result<()> {
        if self.new & flags::NEWNS == 0 {
            bail!("a container needs a mount namespace of its own");
        }
        let uts = self.new & flags::NEWUTS != 0 || joins(&self.join, flags::NEWUTS);
        if (spec.hostname().is_some() || spec.domainname().is_some()) && !uts {
            bail!("a host name needs a UTS namespace");
        }
        Ok(())
    }

    /// Whether a process in between must join namespaces first, because they decide how the others are made.
    pub(super) fn needs_stage(&self) -> bool {
        joins(&self.join, flags::NEWUSER)
            || joins(&self.join, flags::NEWPID)
            || self.new & flags::NEWTIME != 0
            || (self.new & flags::NEWUSER != 0 && !self.join.is_empty())
    }

    /// Whether the container's user namespace is not that of the caller.
    pub(super) fn in_user_namespace(&self) -> bool {
        self.new & flags::NEWUSER != 0 || joins(&self.join, flags::NEWUSER)
    }

    /// Whether the child itself must hand out its network namespace: once it has changed its user, or comes from a
    /// process that joined others, nobody else may look into its `/proc/PID/ns`.
    pub(super) fn sends_network(&self) -> bool {
        self.new & flags::NEWNET != 0 && (self.maps.is_some() || self.needs_stage())
    }

    /// Whether the child can do nothing before the parent has mapped its ids or moved it.
    pub(super) fn child_waits(&self, entry: Entry) -> bool {
        self.maps.is_some() || entry == Entry::Moved
    }

    /// The state that hooks read (OCI runtime specification, "State").
    pub(super) fn state(&self, pid: i32, status: &str) -> serde_json::Value {
        serde_json::json!({
            "ociVersion": "1.2.0",
            "id": self.id,
            "status": status,
            "pid": pid,
            "bundle": self.bundle,
            "annotations": self.annotations,
        })
    }
}

/// crun's annotation for `--group-add keep-groups`.
fn keeps_groups(annotations: Option<&HashMap<String, String>>) -> bool {
    annotations.is_some_and(|all| all.get("run.oci.keep_original_groups").is_some_and(|value| value != "0"))
}

/// Whether a namespace of this kind is joined.
pub(super) fn joins(join: &[(u64, OwnedFd)], flag: u64) -> bool {
    join.iter().any(|(kind, _)| *kind == flag)
}

fn namespaces(
    linux: &Linux,
    given: Vec<(LinuxNamespaceType, OwnedFd)>,
) -> Result<(u64, Vec<(u64, OwnedFd)>)> {
    let mut join: Vec<(u64, OwnedFd)> =
        given.into_iter().map(|(kind, fd)| (plan::namespace_flag(kind), fd)).collect();
    let mut new = 0;
    for namespace in linux.namespaces().iter().flatten() {
        let flag = plan::namespace_flag(namespace.typ());
        if joins(&join, flag) {
            continue;
        }
        match namespace.path() {
            Some(path) if !path.as_os_str().is_empty() => {
                let opened = plan::open_namespace(path)?;
                // The kernel refuses to join the user namespace that one is in.
                if flag != flags::NEWUSER || !plan::is_own(&opened, "user")? {
                    join.push((flag, opened));
                }
            }
            _ => new |= flag,
        }
    }
    if joins(&join, flags::NEWNS) {
        bail!("joining a mount namespace is not supported");
    }
    Ok((new, join))
}

fn maps(linux: &Linux, new: u64) -> Result<Option<(Vec<IdMap>, Vec<IdMap>)>> {
    let uids = plan::id_maps(linux.uid_mappings().as_ref());
    let gids = plan::id_maps(linux.gid_mappings().as_ref());
    match new & flags::NEWUSER != 0 {
        true if uids.is_empty() || gids.is_empty() => bail!("a user namespace needs id mappings"),
        true => Ok(Some((uids, gids))),
        false => Ok(None),
    }
}

fn open_root(rootfs: Rootfs) -> Result<OwnedFd> {
    match rootfs {
        Rootfs::Mount(fd) => Ok(fd),
        Rootfs::Path(path) => sys::clone_path(&path, true)
            .with_context(|| format!("open root file system `{}`", path.display())),
    }
}

fn propagation(linux: &Linux) -> Result<Option<(u64, bool)>> {
    let Some(word) = linux.rootfs_propagation().as_deref().filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    let options = mounts::Options::parse(&[word.to_owned()])?;
    match options.propagation.first() {
        Some(found) => Ok(Some(*found)),
        None => bail!("unknown root propagation `{word}`"),
    }
}

fn paths(paths: &Option<Vec<String>>) -> Vec<PathBuf> {
    paths.iter().flatten().filter_map(|path| mounts::relative(Path::new(path)).ok()).collect()
}

/// Only parameters that belong to a namespace of the container may be set: the others are the host's.
fn sysctls(linux: &Linux, new: u64, join: &[(u64, OwnedFd)]) -> Result<Vec<(PathBuf, String)>> {
    let own = |flag| new & flag != 0 || joins(join, flag);
    let mut found = Vec::new();
    for (name, value) in linux.sysctl().iter().flatten() {
        let name = name.replace('.', "/");
        let ipc = ["kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"];
        let allowed = match () {
            () if ipc.iter().any(|prefix| name.starts_with(prefix)) => own(flags::NEWIPC),
            () if name.starts_with("net/") => own(flags::NEWNET),
            () if name == "kernel/domainname" || name == "kernel/hostname" => own(flags::NEWUTS),
            () => false,
        };
        if !allowed || name.contains("..") {
            bail!("sysctl `{}` is not in a namespace of the container", name.replace('/', "."));
        }
        found.push((PathBuf::from(name), value.clone()));
    }
    Ok(found)
}

fn time_offsets(linux: &Linux, new: u64) -> Result<Option<String>> {
    let Some(offsets) = linux.time_offsets().as_ref().filter(|offsets| !offsets.is_empty()) else {
        return Ok(None);
    };
    if new & flags::NEWTIME == 0 {
        bail!("time offsets need a time namespace");
    }
    let line = |(clock, offset): (&String, &oci_spec::runtime::LinuxTimeOffset)| {
        format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0))
    };
    Ok(Some(offsets.iter().map(line).collect()))
}

fn devices(linux: &Linux, in_user: bool) -> Result<Vec<DevicePlan>> {
    let default = DEFAULT_DEVICES.iter().map(|(path, major, minor)| {
        Ok(DevicePlan {
            path: PathBuf::from(path),
            kind: FileType::CharacterDevice,
            device: makedev(*major, *minor),
            mode: 0o666,
            owner: None,
            host: None,
        })
    });
    let asked = linux.devices().iter().flatten().map(device);
    let mut all: Vec<DevicePlan> = Vec::new();
    for device in default.chain(asked) {
        let device = device?;
        all.retain(|other| other.path != device.path);
        all.push(device);
    }
    if in_user {
        for device in &mut all {
            device.host = host_node(device)?;
        }
    }
    Ok(all)
}

fn host_node(device: &DevicePlan) -> Result<Option<OwnedFd>> {
    if device.kind == FileType::Fifo {
        return Ok(None);
    }
    let same_path = mounts::host_device(&Path::new("/").join(&device.path), device.device);
    match (same_path, kernels_name(device)) {
        // `--device /dev/HOST:/dev/OTHER`: the container's path says nothing about the host's.
        (Err(_), Some(path)) => mounts::host_device(&path, device.device).map(Some),
        (found, _) => found.map(Some),
    }
}

/// Where the host's device manager puts a device: `DEVNAME` in sysfs.
fn kernels_name(device: &DevicePlan) -> Option<PathBuf> {
    let class = if device.kind == FileType::BlockDevice { "block" } else { "char" };
    let (major, minor) = (rustix::fs::major(device.device), rustix::fs::minor(device.device));
    let path = format!("/sys/dev/{class}/{major}:{minor}/uevent");
    let event = crate::base::fs::read_to_string(Path::new(&path)).ok()?;
    let name = event.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(Path::new("/dev").join(name))
}

fn device(device: &LinuxDevice) -> Result<DevicePlan> {
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => bail!("device `{}` has no type", device.path().display()),
    };
    let number = |n: i64| u32::try_from(n).context("device number");
    let owner = (device.uid().is_some() || device.gid().is_some())
        .then(|| (device.uid().unwrap_or(0), device.gid().unwrap_or(0)));
    Ok(DevicePlan {
        path: mounts::relative(device.path())?,
        kind,
        device: if kind == FileType::Fifo {
            0
        } else {
            makedev(number(device.major())?, number(device.minor())?)
        },
        mode: device.file_mode().unwrap_or(0o666),
        owner,
        host: None,
    })
}
