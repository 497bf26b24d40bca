//! Everything a launch of a container needs, opened and made: root file system, generated files, specification,
//! sources of mounts, cgroup. Nothing of it is visible in the host's mount table.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::alive::Alive;
use super::exec::{preserved, runtime_stdio};
use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};
use crate::container::record::{Config, IdRange, MountSource, UserNs};
use crate::container::store::Container;
use crate::layer::owner::change_owner as change_owner_of;
use crate::layer::{MountRequest, Shift, tree};
use crate::ops::context::Context as Ops;
use crate::ops::etc;
use crate::ops::spec::{self, Built, Prepared, Source, SpecContext};
use crate::ops::volumes;
use crate::runtime::supervisor::Stdio;
use crate::runtime::{Launch, Rootfs, cgroup, seccomp};
use crate::sys::mount::{self, OverlayOptions};
use crate::sys::rootdir::RootDir;
use crate::sys::userns::{self, IdMap};

/// Prepares a launch. `first` tells the first start of a supervisor from its restarts, for which the descriptors of
/// the command (`--preserve-fds`) are gone.
pub(super) fn prepare(ops: &Ops, container: &Container, stdio: Stdio, first: bool) -> Result<Launch> {
    let shifted = Shifted::new(&container.config)?;
    let rootfs = root_file_system(ops, container, &shifted)?;
    prepare_on(ops, container, rootfs, stdio, first)
}

/// As [`prepare`], with a root file system that is mounted already.
pub(super) fn prepare_on(
    ops: &Ops,
    container: &Container,
    rootfs: OwnedFd,
    stdio: Stdio,
    first: bool,
) -> Result<Launch> {
    let config = &container.config;
    let root = RootDir::from_fd(rootfs.try_clone().context("duplicate the root's descriptor")?);
    fill_volumes(ops, config, &root)?;
    let host = cgroup::detect()?;
    let built = specification(ops, container, &root, &host)?;
    let mount_fds = sources(ops, container, &built, &root)?;
    let cgroup = control_group(ops, config, &built, &host)?;
    if !config.auto_remove {
        fs::replace_json(&container.dir.join("spec.json"), &built.spec, Durability::Volatile)?;
    }
    let filter = built.default_filter.then(|| seccomp::default_filter(&built.granted));
    let preserve_fds = if first { preserved(&config.process.preserve_fd)? } else { Vec::new() };
    let mut launch = Launch::new(
        &config.id,
        built.spec,
        container.dir.clone(),
        Rootfs::Mount(rootfs),
        runtime_stdio(stdio),
    );
    launch.cgroup = cgroup;
    launch.preserve_fds = preserve_fds;
    launch.mount_fds = mount_fds;
    launch.filter = filter;
    launch.clamp_rlimits = built.clamp;
    launch.init = config.process.init;
    launch.die_with_parent = true;
    Ok(launch)
}

/// The maps of a container with a user namespace of its own, and such a namespace for idmapped mounts.
pub(super) struct Shifted {
    userns: Option<OwnedFd>,
    uids: Vec<IdMap>,
    gids: Vec<IdMap>,
}

impl Shifted {
    pub(super) fn new(config: &Config) -> Result<Shifted> {
        let UserNs::Mapped { uids, gids } = &config.namespaces.user else {
            return Ok(Shifted { userns: None, uids: Vec::new(), gids: Vec::new() });
        };
        let maps = |ranges: &[IdRange]| -> Vec<IdMap> {
            ranges.iter().map(|r| IdMap { inside: r.container, outside: r.host, count: r.size }).collect()
        };
        let (uids, gids) = (maps(uids), maps(gids));
        let userns = userns::create(&uids, &gids).context("make the container's user namespace")?;
        Ok(Shifted { userns: Some(userns), uids, gids })
    }

    pub(super) fn shift(&self) -> Option<Shift<'_>> {
        let userns = self.userns.as_ref()?;
        Some(Shift { userns: Some(userns.as_fd()), uids: self.uids.clone(), gids: self.gids.clone() })
    }
}

/// The root file system as a detached mount.
fn root_file_system(ops: &Ops, container: &Container, shifted: &Shifted) -> Result<OwnedFd> {
    let rootfs = &container.config.rootfs;
    match &rootfs.path {
        Some(path) if rootfs.overlay => overlay(ops, path, &container.dir.join("overlay-root"), None),
        Some(path) => {
            mount::clone_path(path, true).with_context(|| format!("use `{}` as root", path.display()))
        }
        None => {
            let layers = ops.layers()?;
            let shift = shifted.shift();
            let request = MountRequest {
                layers: &rootfs.layers,
                dir: Some(&container.dir),
                volatile: container.config.auto_remove,
                shift: shift.as_ref(),
                ..MountRequest::default()
            };
            layers.sync_if_needed(&rootfs.layers)?;
            layers.mount(&request)
        }
    }
}

/// An overlay over a directory; changes go to `upper`, or to a fresh directory that the next start empties.
fn overlay(ops: &Ops, lower: &Path, scratch: &Path, upper: Option<(&Path, &Path)>) -> Result<OwnedFd> {
    let own = (scratch.join("upper"), scratch.join("work"));
    let (upper, work) = match upper {
        Some((upper, work)) => (upper, work),
        None => {
            tree::remove(scratch)?;
            fs::create_dir_all(&own.0)?;
            fs::create_dir_all(&own.1)?;
            (own.0.as_path(), own.1.as_path())
        }
    };
    let lower = [lower.to_owned()];
    let options = OverlayOptions {
        lower: &lower,
        upper: Some((upper, work)),
        userxattr: ops.restricted(),
        ..OverlayOptions::default()
    };
    mount::overlay(&options).with_context(|| format!("mount an overlay over `{}`", lower[0].display()))
}

/// Copies what the image has at the mount points of new volumes into them.
fn fill_volumes(ops: &Ops, config: &Config, root: &RootDir) -> Result<()> {
    for mount in &config.mounts {
        if let MountSource::Volume { name, anonymous } = &mount.source {
            volumes::ensure(ops, name, *anonymous)?;
            if mount.options.copy_up != Some(false) {
                volumes::fill(ops, name, root, &mount.target)?;
            }
        }
    }
    Ok(())
}

fn specification(ops: &Ops, container: &Container, root: &RootDir, host: &cgroup::Host) -> Result<Built> {
    let store = ops.containers()?;
    let pid_of = |id: &str| {
        let other = store.get(id)?;
        Alive::of(store, &other).map(|alive| alive.live.pid)
    };
    let volume_dir = |name: &str| volumes::source(ops, name);
    let identity = spec::user::resolve(root, &container.config)?;
    let caller = || {
        let home = crate::base::roots::home().unwrap_or_default();
        (userns::user_name(ops.roots.uid).unwrap_or_default(), home.to_string_lossy().into_owned())
    };
    etc::prepare(&etc::Etc {
        config: &container.config,
        root,
        dir: &container.dir,
        identity: &identity,
        caller: &caller,
        rootless: ops.roots.rootless,
        dir_of: &|id| store.dir(id),
    })?;
    spec::build(&SpecContext {
        config: &container.config,
        rootless: ops.roots.rootless,
        single_id: ops.stage().is_some_and(|stage| stage.single),
        identity: &identity,
        root_path: Path::new("rootfs"),
        dir: &container.dir,
        cgroups_path: None,
        default_pids: !ops.roots.rootless || host.delegated(),
        volume_dir: &volume_dir,
        pid_of: &pid_of,
    })
}

fn control_group(
    ops: &Ops,
    config: &Config,
    built: &Built,
    host: &cgroup::Host,
) -> Result<Option<cgroup::Handle>> {
    if config.resources.cgroups == "disabled" {
        return Ok(None);
    }
    let nothing = oci_spec::runtime::LinuxResources::default();
    let resources = built.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let manager = ops.options.cgroup_manager.as_deref().map(str::parse).transpose()?;
    let handle = cgroup::make(
        host,
        &cgroup::Request {
            id: &config.id,
            place: cgroup::Place::Parent(config.resources.cgroup_parent.as_deref()),
            manager,
            resources: resources.unwrap_or(&nothing),
            default_pids: config.resources.pids_limit.is_none(),
        },
    )?;
    Ok(Some(handle))
}

/// The mounts that must be made here and passed as descriptors, by their place in the specification.
fn sources(
    ops: &Ops,
    container: &Container,
    built: &Built,
    root: &RootDir,
) -> Result<HashMap<usize, OwnedFd>> {
    let mut fds = HashMap::new();
    for prepared in &built.prepared {
        let fd =
            prepared.source.as_ref().map(|source| source_of(ops, container, prepared, source)).transpose()?;
        if prepared.chown {
            change_owner(built, prepared, fd.as_ref())?;
        }
        fds.extend(fd.map(|fd| (prepared.index, fd)));
    }
    memory_volumes(ops, &container.config, built, &mut fds)?;
    let _ = root;
    Ok(fds)
}

fn source_of(ops: &Ops, container: &Container, prepared: &Prepared, source: &Source) -> Result<OwnedFd> {
    let scratch = container.dir.join(format!("overlay-{}", prepared.index));
    match source {
        Source::Overlay { lower, upper, work } => {
            overlay(ops, lower, &scratch, upper.as_deref().zip(work.as_deref()))
        }
        Source::SharedMemory { pid } => {
            let namespace = userns::open_namespace(*pid, "mnt")?;
            mount::clone_there(namespace.as_fd(), Path::new("/dev/shm")).context("share /dev/shm")
        }
        Source::Image { layers, read_only, subpath } => {
            if !read_only {
                fs::create_dir_all(&scratch)?;
            }
            let request = MountRequest {
                layers,
                dir: (!read_only).then_some(scratch.as_path()),
                read_only: *read_only,
                ..MountRequest::default()
            };
            let mounted = ops.layers()?.mount(&request)?;
            match subpath {
                Some(path) => part_of(mounted, path),
                None => Ok(mounted),
            }
        }
    }
}

/// A directory or file inside a mount, as a mount of its own.
fn part_of(mounted: OwnedFd, path: &Path) -> Result<OwnedFd> {
    let whole = mounted.try_clone().context("duplicate an image's descriptor")?;
    let root = RootDir::from_fd(whole);
    let inside = root.resolve(path).with_context(|| format!("find `{}` in the image", path.display()))?;
    mount::clone_part(mounted.as_fd(), inside.as_fd())
        .with_context(|| format!("mount `{}` of the image", path.display()))
}

/// `U`: everything in the source belongs to the container's user.
fn change_owner(built: &Built, prepared: &Prepared, fd: Option<&OwnedFd>) -> Result<()> {
    use std::os::fd::AsRawFd;
    let path = match fd {
        Some(fd) => PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())),
        None => {
            let mounts = built.spec.mounts().as_ref();
            let source =
                mounts.and_then(|all| all.get(prepared.index)).and_then(|mount| mount.source().clone());
            source.context("change the owner of a mount without source")?
        }
    };
    let linux = built.spec.linux().as_ref();
    let outside = |map: Option<&Vec<oci_spec::runtime::LinuxIdMapping>>, id: u32| {
        let ranges = map.map_or(&[][..], Vec::as_slice);
        let found = ranges.iter().find(|r| id >= r.container_id() && id - r.container_id() < r.size());
        found.map_or(id, |range| range.host_id() + (id - range.container_id()))
    };
    let uid = outside(linux.and_then(|l| l.uid_mappings().as_ref()), built.identity.uid);
    let gid = outside(linux.and_then(|l| l.gid_mappings().as_ref()), built.identity.gid);
    change_owner_of(&path, uid, gid)
        .with_context(|| format!("change the owner of `{}`", prepared.target.display()))
}

/// Volumes whose options say tmpfs: fresh memory for each container.
fn memory_volumes(
    ops: &Ops,
    config: &Config,
    built: &Built,
    fds: &mut HashMap<usize, OwnedFd>,
) -> Result<()> {
    for mount in &config.mounts {
        let MountSource::Volume { name, .. } = &mount.source else { continue };
        let volume = ops.volumes().get(name)?;
        let Some(("tmpfs", _, options)) = volume.mounted_from() else { continue };
        let all = built.spec.mounts().as_ref();
        let place = all.and_then(|all| all.iter().position(|m| m.destination() == Path::new(&mount.target)));
        if let Some(index) = place {
            let made = mount::detached("tmpfs", &options, rustix::mount::MountAttrFlags::empty());
            fds.insert(index, made.with_context(|| format!("mount volume `{name}`"))?);
        }
    }
    Ok(())
}
