//! `diff`, `commit` and `export`: what a container made of its image.

use std::collections::HashSet;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::alive::Alive;
use super::prepare::Shifted;
use crate::base::digest::Digest;
use crate::base::error::{Collected, Context, Kind, Result, fail};
use crate::container::record::Config;
use crate::container::store::Container;
use crate::image::config::Config as ImageConfig;
use crate::layer::{Change, ChangeKind, MountRequest, TreeTar};
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::ops::image::{self, About};
use crate::ops::spec::GENERATED;
use crate::registry::Platform;
use crate::runtime::supervisor::Phase;
use crate::sys::mount::{self, OverlayOptions};

/// Where the runtime mounts something in every container.
const MOUNTED: [&str; 5] = ["dev", "proc", "sys", "run/.containerenv", "run/secrets"];

/// What a container changed, sorted by path. What was only made to mount something on is left out.
pub fn diff(ops: &Ops, container: &Container) -> Result<Vec<Change>> {
    ops.enter_stage()?;
    let config = &container.config;
    if config.rootfs.path.is_some() {
        return Err(fail(Kind::Failed, format!("container `{}` has no image to compare with", config.name)));
    }
    if !container.dir.join("upper").exists() && !container.dir.join("rootfs").exists() {
        return Ok(Vec::new()); // never started
    }
    let all = ops.layers()?.diff(&config.rootfs.layers, &container.dir)?;
    Ok(without_mount_points(all, &mount_points(container)))
}

/// Leaves out what was only made to mount something on.
pub fn without_mount_points(all: Vec<Change>, points: &HashSet<PathBuf>) -> Vec<Change> {
    let (points, own): (Vec<Change>, Vec<Change>) =
        all.into_iter().partition(|change| is_mount_point(points, &change.path));
    let (holds_own, holds_points) = (parents(&own), parents(&points));
    // A directory counts when something of the container's own is in it, or when nothing was mounted there.
    let kept = |change: &Change| {
        let path = change.path.as_path();
        holds_own.contains(path) || (!change.only_inside && !holds_points.contains(path))
    };
    own.iter().filter(|change| kept(change)).cloned().collect()
}

/// Every directory that something of the list is in, at any depth.
fn parents(list: &[Change]) -> HashSet<&Path> {
    list.iter().flat_map(|change| change.path.ancestors().skip(1)).collect()
}

/// Where something is mounted in a container, relative to its root.
pub fn mount_points(container: &Container) -> HashSet<PathBuf> {
    let made = GENERATED.iter().filter(|(file, _)| container.dir.join(file).is_file());
    let asked = container.config.mounts.iter().map(|mount| mount.target.as_str());
    let all = made.map(|(_, target)| *target).chain(asked).chain(MOUNTED);
    all.map(|path| PathBuf::from(path.trim_start_matches('/'))).collect()
}

fn is_mount_point(points: &HashSet<PathBuf>, path: &Path) -> bool {
    path.ancestors().any(|ancestor| points.contains(ancestor))
}

/// How `commit` makes an image.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// What is said about it.
    pub about: About,
    /// `--pause`: freeze the container meanwhile, where that is possible.
    pub pause: bool,
    /// `--squash`: one layer in place of all.
    pub squash: bool,
    /// `--include-volumes`: the container's volumes become volumes of the image.
    pub include_volumes: bool,
}

/// Makes an image of a container; its id.
pub fn commit(ops: &Ops, container: &Container, options: &CommitOptions) -> Result<Digest> {
    ops.enter_stage()?;
    let frozen = if options.pause { freeze(ops, container)? } else { None };
    let mut errors = Collected::default();
    let made = errors.note(commit_now(ops, container, options));
    if let Some(cgroup) = frozen {
        errors.note(cgroup.thaw());
    }
    errors.finish()?;
    events::container(ops, &container.config, "commit");
    made.context("commit a container")
}

/// Freezes a running container that has a freezer and is not paused already.
fn freeze(ops: &Ops, container: &Container) -> Result<Option<crate::runtime::cgroup::Handle>> {
    let Some(alive) = Alive::find(ops.containers()?, container)? else { return Ok(None) };
    let Some(cgroup) = alive.cgroup()?.filter(|_| alive.live.status == Phase::Running) else {
        return Ok(None);
    };
    Ok(cgroup.freeze().is_ok().then_some(cgroup)) // without a freezer it goes on, as podman's default is
}

fn commit_now(ops: &Ops, container: &Container, options: &CommitOptions) -> Result<Digest> {
    let config = &container.config;
    let layers = ops.layers()?;
    let _lock = layers.lock_shared()?;
    let mut base = base(ops, config)?;
    if options.squash {
        base.rootfs.diff_ids.clear();
        base.history.clear();
    }
    settings(&mut base, config, options.include_volumes);
    let layer = through_pipe(
        |out| {
            if options.squash { write_root(ops, container, out) } else { write_changes(ops, container, out) }
        },
        |mut tar| layers.unpack_new(&mut tar, &|_| {}),
    )?;
    let committed = image::commit(ops, base, &layer, &options.about)?;
    Ok(committed.id)
}

/// The configuration of the container's image, or that of an empty one for this machine.
fn base(ops: &Ops, config: &Config) -> Result<ImageConfig> {
    match &config.rootfs.image_id {
        Some(id) => ops.images().get(id)?.config().cloned(),
        None => {
            let host = Platform::host();
            Ok(ImageConfig { architecture: host.arch, os: host.os, ..ImageConfig::default() })
        }
    }
}

/// What the container runs becomes what the image runs.
fn settings(base: &mut ImageConfig, config: &Config, include_volumes: bool) {
    let process = &config.process;
    let own = ["container", "HOSTNAME", "HOME", "TERM"];
    let kept = |line: &&String| {
        let name = line.split('=').next().unwrap_or_default();
        !own.contains(&name) || base.config.env.iter().any(|known| known == *line)
    };
    let env: Vec<String> = process.env.iter().filter(kept).cloned().collect();
    let run = &mut base.config;
    run.env = env;
    run.cmd.clone_from(&process.command);
    run.entrypoint.clone_from(&process.entrypoint);
    run.user.clone_from(&process.user);
    run.working_dir.clone_from(&process.workdir);
    run.labels.clone_from(&config.labels);
    run.exposed_ports.extend(config.network.exposed.iter().map(|port| (port.clone(), serde_json::json!({}))));
    if include_volumes {
        run.volumes.extend(config.mounts.iter().map(|mount| (mount.target.clone(), serde_json::json!({}))));
    }
}

/// Runs a writer and a reader of one archive at once; both must succeed.
fn through_pipe<T>(
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
    read: impl FnOnce(std::io::BufReader<std::io::PipeReader>) -> Result<T> + Send,
) -> Result<T>
where
    T: Send,
{
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(std::io::BufReader::with_capacity(256 << 10, reader)));
        let mut out = std::io::BufWriter::with_capacity(256 << 10, writer);
        let written = write(&mut out).and_then(|()| out.flush().context("write the archive"));
        drop(out);
        let read = reading.join().map_err(|_| fail(Kind::Failed, "unpacking the archive panicked"))?;
        match (written, read) {
            (Ok(()), read) => read,
            (Err(_), Err(cause)) => Err(cause), // the pipe broke because reading failed
            (Err(error), Ok(_)) => Err(error),
        }
    })
}

fn write_changes(ops: &Ops, container: &Container, out: &mut dyn Write) -> Result<()> {
    let kept: HashSet<PathBuf> = diff(ops, container)?.into_iter().map(|change| change.path).collect();
    if kept.is_empty() {
        return TreeTar::new(&container.dir, None, out)?.finish();
    }
    let shifted = Shifted::new(&container.config)?;
    let keep = |change: &Change| kept.contains(&change.path);
    let layers = &container.config.rootfs.layers;
    ops.layers()?.write_diff_tar(layers, &container.dir, shifted.shift().as_ref(), &keep, out)
}

/// The whole file system of a container as a detached, read-only mount, with owners as the host has them.
pub fn mount(ops: &Ops, container: &Container) -> Result<OwnedFd> {
    let rootfs = &container.config.rootfs;
    if let Some(own) = &rootfs.path {
        return mount::clone_path(own, false).with_context(|| format!("open `{}`", own.display()));
    }
    let request = MountRequest {
        layers: &rootfs.layers,
        dir: Some(&container.dir),
        read_only: true,
        ..MountRequest::default()
    };
    view(ops, container, &request)
}

/// Writes the whole file system of a container as an archive (`export`).
pub fn write_root(ops: &Ops, container: &Container, out: &mut dyn Write) -> Result<()> {
    ops.enter_stage()?;
    let rootfs = &container.config.rootfs;
    let shifted = Shifted::new(&container.config)?;
    let shift = shifted.shift();
    let (mounted, path);
    if let Some(own) = &rootfs.path {
        path = own.clone();
    } else {
        let request = MountRequest {
            layers: &rootfs.layers,
            dir: Some(&container.dir),
            read_only: true,
            shift: shift.as_ref(),
            ..MountRequest::default()
        };
        mounted = view(ops, container, &request)?;
        path = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
    }
    let points = mount_points(container);
    let mut tar = TreeTar::new(&path, shift.as_ref(), out)?;
    tar.everything(&|dir| !points.contains(dir))?;
    tar.finish()
}

/// A view of a container's root file system. The overlay of a running container cannot be mounted a second time with
/// its upper directory, but that directory can serve as the topmost layer of a read-only one.
fn view(ops: &Ops, container: &Container, request: &MountRequest<'_>) -> Result<OwnedFd> {
    let upper = container.dir.join("upper");
    if Alive::find(ops.containers()?, container)?.is_none() || !upper.exists() {
        return ops.layers()?.mount(request);
    }
    let mut lower = vec![upper];
    lower.extend(ops.layers()?.lower_dirs(request.layers)?.into_iter().rev());
    let options = OverlayOptions { lower: &lower, userxattr: ops.restricted(), ..OverlayOptions::default() };
    mount::overlay(&options).context("look at the running container's files")
}

/// The letter of `diff` and the absolute path.
pub fn shown(change: &Change) -> (char, String) {
    let kind: ChangeKind = change.kind;
    (kind.letter(), format!("/{}", change.path.display()))
}
