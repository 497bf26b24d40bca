//! `info`: the host, the store and what dhow makes of them, with Podman's structure and Docker's well-known keys.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::context::Context;
use crate::base::error::Result;
use crate::base::fs;
use crate::container::record::Status;
use crate::layer::Driver;
use crate::registry::Registries;
use crate::runtime::{cgroup, lsm};
use crate::sys::userns;

/// Everything; the first four are Podman's, the rest are Docker's names for the same facts.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's and Docker's")]
pub struct Info {
    pub host: Host,
    pub store: Store,
    pub registries: BTreeMap<String, Vec<String>>,
    pub version: Version,
    #[serde(rename = "ServerVersion")]
    pub server_version: &'static str,
    #[serde(rename = "Driver")]
    pub driver: String,
    #[serde(rename = "DockerRootDir")]
    pub root_dir: String,
    #[serde(rename = "OSType")]
    pub os_type: &'static str,
    #[serde(rename = "Architecture")]
    pub architecture: &'static str,
    #[serde(rename = "OperatingSystem")]
    pub operating_system: String,
    #[serde(rename = "KernelVersion")]
    pub kernel_version: String,
    #[serde(rename = "CgroupVersion")]
    pub cgroup_version: &'static str,
    #[serde(rename = "CgroupDriver")]
    pub cgroup_driver: String,
    #[serde(rename = "NCPU")]
    pub cpus: usize,
    #[serde(rename = "MemTotal")]
    pub memory: u64,
    #[serde(rename = "Name")]
    pub name: String,
    #[serde(rename = "Containers")]
    pub containers: usize,
    #[serde(rename = "ContainersRunning")]
    pub containers_running: usize,
    #[serde(rename = "ContainersPaused")]
    pub containers_paused: usize,
    #[serde(rename = "ContainersStopped")]
    pub containers_stopped: usize,
    #[serde(rename = "Images")]
    pub images: usize,
}

/// The machine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Host {
    pub arch: &'static str,
    pub cgroup_manager: String,
    pub cgroup_version: String,
    pub cgroup_controllers: Vec<String>,
    pub cgroup_delegated: bool,
    pub cpus: usize,
    pub distribution: Distribution,
    pub hostname: String,
    pub kernel: String,
    pub mem_free: u64,
    pub mem_total: u64,
    pub os: &'static str,
    pub oci_runtime: Runtime,
    pub rootless: bool,
    pub security: Security,
    pub id_mappings: IdMappings,
    pub uptime_seconds: u64,
}

/// The distribution, from `os-release`.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Distribution {
    pub distribution: String,
    pub version: String,
}

/// The OCI runtime.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Runtime {
    pub name: &'static str,
    pub version: &'static str,
}

/// What confines containers here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Security {
    pub apparmor_enabled: bool,
    pub selinux_enabled: bool,
    pub seccomp_enabled: bool,
    pub rootless: bool,
}

/// Ids that containers of this user can have.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct IdMappings {
    pub uidmap: Vec<IdMap>,
    pub gidmap: Vec<IdMap>,
}

/// A line of a map.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct IdMap {
    pub container_id: u32,
    pub host_id: u32,
    pub size: u32,
}

/// What is stored where.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Store {
    pub graph_driver_name: String,
    pub graph_driver_reason: &'static str,
    pub graph_root: String,
    pub run_root: String,
    pub volume_path: String,
    pub container_store: ContainerStore,
    pub image_store: ImageStore,
}

/// Containers by state.
#[derive(Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct ContainerStore {
    pub number: usize,
    pub paused: usize,
    pub running: usize,
    pub stopped: usize,
}

/// Images.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct ImageStore {
    pub number: usize,
}

/// dhow's own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Version {
    pub version: &'static str,
    pub os_arch: String,
}

/// Gathers everything. The caller has entered the rootless stage: the driver is found by trying.
pub fn info(ops: &Context, manager: Option<&str>) -> Result<Info> {
    let host = host(ops, manager)?;
    let store = store(ops)?;
    let containers = &store.container_store;
    let version = env!("CARGO_PKG_VERSION");
    Ok(Info {
        server_version: version,
        driver: store.graph_driver_name.clone(),
        root_dir: store.graph_root.clone(),
        os_type: "linux",
        architecture: std::env::consts::ARCH,
        operating_system: host.distribution.distribution.clone(),
        kernel_version: host.kernel.clone(),
        cgroup_version: if host.cgroup_version == "v2" { "2" } else { "1" },
        cgroup_driver: host.cgroup_manager.clone(),
        cpus: host.cpus,
        memory: host.mem_total,
        name: host.hostname.clone(),
        containers: containers.number,
        containers_running: containers.running,
        containers_paused: containers.paused,
        containers_stopped: containers.stopped,
        images: store.image_store.number,
        version: Version { version, os_arch: format!("linux/{}", host.arch) },
        registries: BTreeMap::from([("search".to_owned(), search_registries()?)]),
        host,
        store,
    })
}

fn search_registries() -> Result<Vec<String>> {
    let search = Registries::load()?.search;
    Ok(if search.is_empty() { vec!["docker.io".into()] } else { search })
}

fn host(ops: &Context, manager: Option<&str>) -> Result<Host> {
    let cgroups = cgroup::detect()?;
    let system = rustix::system::uname();
    let memory = memory()?;
    let own = rustix::system::sysinfo();
    Ok(Host {
        arch: go_arch(),
        cgroup_manager: manager
            .map_or_else(|| format!("{:?}", cgroups.manager()).to_lowercase(), str::to_owned),
        cgroup_version: cgroups.version().to_owned(),
        cgroup_controllers: cgroups.controllers(),
        cgroup_delegated: cgroups.delegated(),
        cpus: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        distribution: distribution()?,
        hostname: system.nodename().to_string_lossy().into_owned(),
        kernel: system.release().to_string_lossy().into_owned(),
        mem_free: memory.get("MemFree").copied().unwrap_or(0),
        mem_total: memory.get("MemTotal").copied().unwrap_or(0),
        os: "linux",
        oci_runtime: Runtime { name: "dhow", version: env!("CARGO_PKG_VERSION") },
        rootless: ops.roots.rootless,
        security: Security {
            apparmor_enabled: lsm::apparmor_enabled(),
            selinux_enabled: lsm::selinux_enabled(),
            seccomp_enabled: Path::new("/proc/sys/kernel/seccomp/actions_avail").exists(),
            rootless: ops.roots.rootless,
        },
        id_mappings: IdMappings { uidmap: own_map("uid_map")?, gidmap: own_map("gid_map")? },
        uptime_seconds: u64::try_from(own.uptime).unwrap_or(0),
    })
}

/// The map of the namespace in which containers are made: of the stage when rootless.
fn own_map(name: &str) -> Result<Vec<IdMap>> {
    if !userns::in_stage() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&Path::new("/proc/self").join(name))?;
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
        Some(IdMap { container_id: numbers.next()?, host_id: numbers.next()?, size: numbers.next()? })
    };
    Ok(text.lines().filter_map(line).collect())
}

/// `/proc/meminfo`, in bytes.
fn memory() -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(Path::new("/proc/meminfo"))?;
    let line = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        Some((name.to_owned(), rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn distribution() -> Result<Distribution> {
    let bytes = fs::read_optional(Path::new("/etc/os-release"))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.map_or_else(|| "unknown".to_owned(), |value| value.trim_matches('"').to_owned())
    };
    Ok(Distribution { distribution: value("ID"), version: value("VERSION_ID") })
}

fn store(ops: &Context) -> Result<Store> {
    let driver = ops.layers()?.driver()?;
    let mut containers = ContainerStore::default();
    for container in ops.containers()?.list()? {
        containers.number += 1;
        match container.state.status {
            Status::Running | Status::Stopping => containers.running += 1,
            Status::Paused => containers.paused += 1,
            _ => containers.stopped += 1,
        }
    }
    Ok(Store {
        graph_driver_name: driver.name().to_owned(),
        graph_driver_reason: reason(driver),
        graph_root: ops.roots.root.display().to_string(),
        run_root: ops.roots.run.display().to_string(),
        volume_path: ops.roots.root.join("volumes").display().to_string(),
        container_store: containers,
        image_store: ImageStore { number: ops.images().list()?.images.len() },
    })
}

fn reason(driver: Driver) -> &'static str {
    match driver {
        Driver::Overlay => "the kernel mounts overlays here",
        Driver::Fuse => "asked for, or the kernel refuses overlays here and fuse-overlayfs is installed",
        Driver::Btrfs => {
            "asked for, or overlays do not work here and the store lies on btrfs: containers are snapshots"
        }
        Driver::Vfs => "asked for, or nothing better works here: every container has a copy",
    }
}

/// This machine's architecture as Go and image configurations name it.
pub fn go_arch() -> &'static str {
    crate::container::parse::platform::go_arch(std::env::consts::ARCH)
}
