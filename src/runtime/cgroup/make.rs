//! Makes the cgroup of a new container: directories, limits, devices; undone when a step fails.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::LinuxResources;
use rustix::process::{Pid, Signal, kill_process};

use super::handle::{Handle, Location, remove_tree};
use super::host::{Host, Layout, below};
use super::{Manager, Setting, devices, systemd, v1, v2};
use crate::base::error::{Context, Error, Explain, Kind, Result, bail, ensure, fail};
use crate::base::fs;

/// Where the cgroup is to be.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// Below this parent (`--cgroup-parent`), or where containers are by default.
    Parent(Option<&'a str>),
    /// Exactly here: `linux.cgroupsPath` of a runtime specification; for systemd `SLICE:PREFIX:NAME`.
    Exact(&'a str),
}

/// What a new container needs.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Where.
    pub place: Place<'a>,
    /// Who makes it; `None` for the host's own way.
    pub manager: Option<Manager>,
    /// Limits and device rules.
    pub resources: &'a LinuxResources,
    /// The limit of processes is only the default: a host that cannot set it runs the container without.
    pub default_pids: bool,
}

/// Makes a cgroup. A host where none can be made gives an empty handle, as long as no limit was asked for.
pub fn make(host: &Host, request: &Request<'_>) -> Result<Handle> {
    let manager = request.manager.unwrap_or_else(|| host.manager());
    match (host.layout, manager) {
        (Layout::None, _) => without(host, request),
        (Layout::V2, Manager::Systemd) => systemd::handle(host, request),
        (_, Manager::Systemd) => Err(fail(Kind::Usage, "cgroup manager `systemd` needs cgroup v2")
            .hint("use `--cgroup-manager cgroupfs` on this host")),
        (Layout::V2, Manager::Cgroupfs) => make_v2(host, request),
        (Layout::Hybrid | Layout::V1, Manager::Cgroupfs) => make_v1(host, request),
    }
    .with_context(|| format!("make the cgroup of container `{}`", request.id))
}

/// No cgroup at all: right when nobody asked for what only a cgroup gives.
fn without(host: &Host, request: &Request<'_>) -> Result<Handle> {
    if let Place::Parent(Some(parent)) = request.place {
        return Err(fail(Kind::Failed, format!("no cgroup can be made below `{parent}`"))
            .hint("without root that needs cgroup v2, delegated by systemd"));
    }
    let asked = v2::settings(request.resources, request.default_pids)?;
    match asked.iter().find(|setting| !setting.optional) {
        None => Ok(Handle::default()),
        Some(setting) => Err(cannot_limit(setting, host.rootless, host.layout)),
    }
}

fn cannot_limit(setting: &Setting, rootless: bool, layout: Layout) -> Error {
    let what =
        format!("cannot set `{}`: the `{}` controller is not ours to use", setting.file, setting.controller);
    let error = fail(Kind::Failed, what);
    match (rootless, layout) {
        (_, Layout::None) => error.hint("this host has no control groups mounted at /sys/fs/cgroup"),
        (true, Layout::V2) => error.hint(format!(
            "have the controller delegated: `systemctl edit user@.service` with `[Service]` and `Delegate={}`, or \
             run as root",
            "cpu cpuset io memory pids"
        )),
        (true, _) => error.hint("limits without root need cgroup v2: run as root, or leave the limit out"),
        (false, _) => error.hint("the kernel has it disabled, or /sys/fs/cgroup is read-only here"),
    }
}

fn denied(error: &Error) -> bool {
    matches!(errno(error), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}

/// The system error at the bottom of a chain.
pub(super) fn errno(error: &Error) -> Option<i32> {
    error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
}

/// Writes one value, in one call as the kernel wants it; the file must be there.
pub(super) fn write(path: &Path, value: &str) -> Result<()> {
    let written =
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.with_context(|| format!("write `{value}` to `{}`", path.display()))
}

/// The path below a hierarchy's root: `own` is where a relative one begins.
fn relative(request: &Request<'_>, own: &str) -> Result<PathBuf> {
    let (path, clean) = match request.place {
        Place::Exact(path) => {
            (if path.starts_with('/') { path.to_owned() } else { format!("{own}/{path}") }, path)
        }
        Place::Parent(None) => (format!("{own}/dhow/{}", request.id), request.id),
        Place::Parent(Some(parent)) => (format!("{parent}/dhow-{}", request.id), parent),
    };
    if matches!(request.place, Place::Parent(Some(parent)) if parent.ends_with(".slice")) {
        return Err(fail(Kind::Usage, format!("cgroup parent `{clean}` is a systemd slice"))
            .hint("use `--cgroup-manager systemd` with it"));
    }
    let escapes = clean.split('/').any(|part| part == "..");
    ensure!(!escapes, "cgroup path `{clean}` leads upward");
    Ok(path.split('/').filter(|part| !part.is_empty() && *part != ".").collect())
}

fn make_v2(host: &Host, request: &Request<'_>) -> Result<Handle> {
    let settings = v2::settings(request.resources, request.default_pids)?;
    let Some(root) = host.unified() else { bail!("cgroup v2 is not mounted") };
    let own = match request.place {
        // A user's containers are where the user may make cgroups; root's below the root.
        Place::Parent(None) => {
            let base = host.base().unwrap_or_else(|| root.clone());
            format!("/{}", base.strip_prefix(&root).unwrap_or(Path::new("")).display())
        }
        _ => host.own.clone(),
    };
    let dir = root.join(relative(request, &own)?);
    let location = Location {
        manager: Manager::Cgroupfs,
        unified: Some(dir.clone()),
        rootless: host.rootless,
        ..Location::default()
    };
    match create(&dir, request.place) {
        Err(error) if denied(&error) => match request.place {
            Place::Parent(Some(_)) => {
                return Err(error.hint("give `--cgroup-parent` a cgroup that is yours, or leave it out"));
            }
            _ => return without(host, request),
        },
        other => other?,
    };
    finish(location, |_| {
        apply_v2(&dir, &settings, host.rootless)?;
        confine_devices(&dir, host, request)
    })
}

/// Only the host's root may attach programs; a user's container has no devices but those bound into it.
fn confine_devices(dir: &Path, host: &Host, request: &Request<'_>) -> Result<()> {
    match request.resources.devices() {
        Some(rules) if !host.rootless => devices::attach_v2(dir, rules),
        _ => Ok(()),
    }
}

/// Does the rest; on failure the directories go again.
fn finish(location: Location, rest: impl FnOnce(&Location) -> Result<()>) -> Result<Handle> {
    let mut handle = location.open();
    let done = rest(&location).and_then(|()| handle.prepare());
    if done.is_err() {
        let _ = handle.remove(); // the first error is the one to tell
    }
    done.map(|()| handle)
}

/// Makes a directory and those above it; gives the ones that are new, top first.
fn create(dir: &Path, place: Place<'_>) -> Result<Vec<PathBuf>> {
    let mkdir = |path: &Path| DirBuilder::new().mode(0o755).create(path);
    match mkdir(dir) {
        Ok(()) => return Ok(vec![dir.to_owned()]),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return take_over(dir, place),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("create cgroup `{}`", dir.display()));
        }
        Err(_) => {}
    }
    let Some(above) = dir.parent() else { bail!("cgroup `{}` cannot be made", dir.display()) };
    let mut made = create(above, Place::Exact(""))?;
    match mkdir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("create cgroup `{}`", dir.display()))
        }
        _ => {
            made.push(dir.to_owned());
            Ok(made)
        }
    }
}

/// A container's own directory that is there already was left by a killed run: it goes, unless it is in use.
fn take_over(dir: &Path, place: Place<'_>) -> Result<Vec<PathBuf>> {
    if matches!(place, Place::Exact(_)) {
        return Ok(Vec::new());
    }
    end_processes(dir); // named by the container's id: only its own can be there
    if remove_tree(dir, Duration::from_secs(2)).is_err() {
        let message = format!("cgroup `{}` is in use by other processes", dir.display());
        return Err(fail(Kind::InUse, message));
    }
    create(dir, Place::Exact(""))
}

/// Kills what is left in a cgroup; the removal that follows tells whether that worked.
fn end_processes(dir: &Path) {
    if write(&dir.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let procs = fs::read_to_string(&dir.join("cgroup.procs")).unwrap_or_default();
    for pid in procs.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(pid, Signal::KILL); // it may have ended by itself
    }
    let freezer = dir.join("freezer.state");
    if freezer.exists() {
        let _ = write(&freezer, "THAWED"); // frozen, they would not die
    }
}

/// Writes limits of v2. A controller that is not enabled down to here is enabled when its file is missing: where
/// all is in place, which is nearly always, that costs nothing.
pub(super) fn apply_v2(dir: &Path, settings: &[Setting], rootless: bool) -> Result<()> {
    for setting in settings {
        let path = dir.join(&setting.file);
        let mut result = write(&path, &setting.value);
        if matches!(&result, Err(error) if errno(error) == Some(libc::ENOENT)) {
            result = match enable(dir, &setting.controller) {
                Ok(()) => write(&path, &setting.value),
                Err(error) => Err(error),
            };
        }
        explain(result, setting, rootless, Layout::V2)?;
    }
    Ok(())
}

fn explain(result: Result<()>, setting: &Setting, rootless: bool, layout: Layout) -> Result<()> {
    match result {
        Err(_) if setting.optional => Ok(()),
        Err(error)
            if matches!(errno(&error), Some(libc::ENOENT | libc::EACCES | libc::EPERM | libc::EROFS)) =>
        {
            Err(cannot_limit(setting, rootless, layout))
        }
        Err(error) if errno(&error) == Some(libc::EBUSY) => Err(error.hint(
            "the cgroup above holds processes of its own, which cgroup v2 forbids: use another parent",
        )),
        other => other,
    }
}

/// Hands a controller down from the mount point to the directory above `dir`.
fn enable(dir: &Path, controller: &str) -> Result<()> {
    let mut levels: Vec<&Path> =
        dir.ancestors().skip(1).take_while(|level| level.join("cgroup.subtree_control").exists()).collect();
    levels.reverse();
    let Some(top) = levels.first() else { bail!("`{}` is not in a cgroup v2 tree", dir.display()) };
    for level in &levels {
        let path = level.join("cgroup.subtree_control");
        if fs::read_to_string(&path)?.split_whitespace().any(|word| word == controller) {
            continue;
        }
        let word = format!("+{controller}");
        match write(&path, &word) {
            // The root of a cgroup namespace (we are in a container) is not exempt from the rule that a cgroup
            // with controllers for others holds no processes: they go into one of their own, as Podman does it.
            Err(error) if errno(&error) == Some(libc::EBUSY) && level == top => {
                evacuate(level)?;
                write(&path, &word)?;
            }
            other => other?,
        }
    }
    Ok(())
}

fn evacuate(dir: &Path) -> Result<()> {
    let init = dir.join("init");
    create(&init, Place::Exact(""))?;
    for pid in fs::read_to_string(&dir.join("cgroup.procs"))?.lines() {
        // Kernel threads cannot move, and some processes end meanwhile.
        let _ = write(&init.join("cgroup.procs"), pid);
    }
    Ok(())
}

/// v1: one directory in each hierarchy that is needed and no other, and on a hybrid host one in v2, which
/// groups, freezes and kills.
fn make_v1(host: &Host, request: &Request<'_>) -> Result<Handle> {
    let settings = v1::settings(request.resources, request.default_pids)?;
    if host.rootless && settings.iter().all(|setting| setting.optional) {
        return without(host, request);
    }
    let rules = request.resources.devices().as_deref().unwrap_or_default();
    let mut controllers: Vec<&str> = settings.iter().map(|setting| setting.controller.as_str()).collect();
    controllers.extend((!host.rootless && devices::restrict(rules)).then_some("devices"));
    controllers.extend((host.layout == Layout::V1).then_some("freezer"));
    let mut location = Location { rootless: host.rootless, ..Location::default() };
    if let Some(root) = host.unified() {
        location.unified = Some(root.join(relative(request, &host.own)?));
    }
    for controller in &controllers {
        if let Some(hierarchy) = host.hierarchy(controller) {
            let root = below(&host.root, &hierarchy.dir);
            location.v1.insert((*controller).to_owned(), root.join(relative(request, &hierarchy.own)?));
        }
    }
    match create_v1(&location, request.place) {
        Err(error) if denied(&error) => {
            let _ = location.open().remove(); // what was made before the refusal
            return without(host, request);
        }
        other => other?,
    }
    finish(location, |location| {
        apply_v1(location, &settings)?;
        location.v1.get("devices").map_or(Ok(()), |dir| devices::write_v1(dir, rules))
    })
}

fn create_v1(location: &Location, place: Place<'_>) -> Result<()> {
    let mut seen: Vec<&Path> = Vec::new();
    for (controller, dir) in &location.v1 {
        // Controllers that are mounted together share the directory.
        let made = if seen.contains(&dir.as_path()) { Vec::new() } else { create(dir, place)? };
        seen.push(dir);
        if controller == "cpuset" {
            made.iter().try_for_each(|dir| v1::fill_cpuset(dir))?;
        }
    }
    location.unified.iter().try_for_each(|dir| create(dir, place).map(drop))
}

/// Writes limits of v1.
pub(super) fn apply_v1(location: &Location, settings: &[Setting]) -> Result<()> {
    for setting in settings {
        let layout = if location.unified.is_some() { Layout::Hybrid } else { Layout::V1 };
        let Some(dir) = location.v1.get(&setting.controller) else {
            if setting.optional {
                continue;
            }
            return Err(cannot_limit(setting, location.rootless, layout));
        };
        explain(write_v1(dir, setting), setting, location.rootless, layout)?;
    }
    Ok(())
}

fn write_v1(dir: &Path, setting: &Setting) -> Result<()> {
    let result = write(&dir.join(&setting.file), &setting.value);
    let Err(error) = result else { return Ok(()) };
    match (setting.file.as_str(), errno(&error)) {
        // Raised limits: memory alone may never exceed both together, so both go first.
        ("memory.limit_in_bytes", Some(libc::EINVAL)) => {
            write(&dir.join("memory.memsw.limit_in_bytes"), "-1")?;
            write(&dir.join(&setting.file), &setting.value)
        }
        // BFQ has the weight under its own name; a kernel without swap accounting has no limit of both.
        ("blkio.weight", Some(libc::ENOENT)) => write(&dir.join("blkio.bfq.weight"), &setting.value),
        ("memory.memsw.limit_in_bytes", Some(libc::ENOENT)) => {
            Err(fail(Kind::Failed, "cannot limit swap: this kernel does not account for it")
                .hint("boot with `swapaccount=1`, or give `--memory-swap -1`"))
        }
        _ => Err(error),
    }
}
