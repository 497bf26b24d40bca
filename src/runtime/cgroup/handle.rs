//! A container's cgroup: getting in, and all that is done to the processes inside.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::make::{self, write};
use super::systemd::{self, Scope};
use super::{Manager, v1, v2};
use crate::base::error::{Collected, Context, Explain, Kind, Result, bail, fail};
use crate::base::fs;

/// How long a freeze may take: a process in an uninterruptible call holds it up.
const FREEZE: Duration = Duration::from_secs(10);

/// How long a directory may stay busy while its last processes leave.
const LEAVE: Duration = Duration::from_secs(2);

/// Where a cgroup is: small enough for a container's live record, enough to find it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Location {
    /// Who made it.
    pub manager: Manager,
    /// Its v2 directory.
    pub unified: Option<PathBuf>,
    /// Its directories in v1 hierarchies, by the hierarchy's name.
    pub v1: BTreeMap<String, PathBuf>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// Made by a user, not by the host's root.
    pub rootless: bool,
}

impl Location {
    /// Takes hold of the cgroup again.
    pub fn open(&self) -> Handle {
        Handle { location: self.clone(), ..Handle::default() }
    }

    /// Whether the container has no cgroup of its own.
    pub fn is_none(&self) -> bool {
        self.unified.is_none() && self.v1.is_empty() && self.unit.is_none()
    }

    /// The path below the mount point, as Podman's `CgroupPath` shows it; empty without a cgroup.
    pub fn path(&self) -> String {
        let Some(dir) = self.unified.as_deref().or_else(|| self.v1.values().next().map(PathBuf::as_path))
        else {
            return String::new();
        };
        let text = dir.to_string_lossy();
        let below = text.strip_prefix("/sys/fs/cgroup").unwrap_or(&text);
        match self.unified.is_some() {
            true => below.strip_prefix("/unified").unwrap_or(below).to_owned(),
            false => below.splitn(3, '/').nth(2).map(|path| format!("/{path}")).unwrap_or_default(),
        }
    }

    /// The hierarchies to show below /sys/fs/cgroup of the container on a host that is not pure v2: those in which
    /// it has a directory of its own. In any other, its cgroup namespace begins where the host's processes are.
    pub fn mounts(&self) -> Vec<HierarchyMount> {
        let root = Path::new("/sys/fs/cgroup");
        let mut mounts: Vec<HierarchyMount> = Vec::new();
        for dir in self.v1.values() {
            let first = dir.strip_prefix(root).ok().and_then(|below| below.components().next());
            let Some(name) = first.map(|name| name.as_os_str().to_string_lossy().into_owned()) else {
                continue;
            };
            if mounts.iter().any(|mount| mount.name == name) {
                continue;
            }
            let links =
                if name.contains(',') { name.split(',').map(str::to_owned).collect() } else { Vec::new() };
            mounts.push(HierarchyMount {
                options: name.clone(),
                kind: "cgroup",
                dir: dir.clone(),
                links,
                name,
            });
        }
        if let Some(dir) = self.unified.as_ref().filter(|dir| dir.starts_with(root.join("unified"))) {
            let (name, options) = ("unified".to_owned(), String::new());
            mounts.push(HierarchyMount {
                name,
                kind: "cgroup2",
                options,
                dir: dir.clone(),
                links: Vec::new(),
            });
        }
        mounts
    }

    fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.unified.iter().chain(self.v1.values()).map(PathBuf::as_path)
    }
}

/// One hierarchy as a container sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HierarchyMount {
    /// Its directory below /sys/fs/cgroup.
    pub name: String,
    /// The file system to mount where the container has a cgroup namespace: `cgroup` or `cgroup2`.
    pub kind: &'static str,
    /// Its mount data: the controllers.
    pub options: String,
    /// The directory to bind where it has none.
    pub dir: PathBuf,
    /// Links to it by the name of each controller, when several are mounted together.
    pub links: Vec<String>,
}

/// A container's cgroup. Dropping it changes nothing.
#[derive(Default)]
pub struct Handle {
    pub(super) location: Location,
    dir: Option<OwnedFd>,
    tasks: Vec<OwnedFd>,
    pub(super) scope: Option<Scope>,
}

impl Handle {
    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Opens what a new process needs to get in: after this, [`Handle::dir_fd`] and [`Handle::enter`] serve.
    /// [`super::make`] has done it; after [`Location::open`] it is for `exec`.
    pub fn prepare(&mut self) -> Result<()> {
        if let Some(dir) = &self.location.unified {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::open(dir, flags, Mode::empty());
            self.dir = Some(fd.with_context(|| format!("open cgroup `{}`", dir.display()))?);
        }
        self.tasks.clear();
        let mut dirs: Vec<&PathBuf> = self.location.v1.values().collect();
        dirs.dedup(); // controllers that are mounted together
        for dir in dirs {
            let path = dir.join("tasks");
            let fd = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
            self.tasks.push(fd.with_context(|| format!("open `{}`", path.display()))?);
        }
        Ok(())
    }

    /// The v2 directory for `CLONE_INTO_CGROUP` (Linux 5.7): `None` on v1, and for a scope before [`Handle::add`].
    pub fn dir_fd(&self) -> Option<BorrowedFd<'_>> {
        self.dir.as_ref().map(AsFd::as_fd)
    }

    /// Moves the calling process, which must have one thread, into the v1 directories. For the child, before it
    /// makes its cgroup namespace; allocates nothing.
    pub fn enter(&self) -> io::Result<()> {
        for tasks in &self.tasks {
            rustix::io::write(tasks, b"0")?;
        }
        Ok(())
    }

    /// Whether the child is in its cgroup only after [`Handle::enter`] or [`Handle::add`]: a cgroup namespace
    /// made by `clone3` itself would show the wrong root, so the child is to `unshare` it after that.
    pub fn late(&self) -> bool {
        !self.tasks.is_empty() || self.scope.is_some()
    }

    /// Whether [`Handle::add`] must be called from outside with the new process: a systemd scope starts with one.
    pub fn needs_add(&self) -> bool {
        self.scope.is_some()
    }

    /// Moves a process in from outside: the first one of a scope, or one that could not move itself.
    pub fn add(&mut self, pid: i32) -> Result<()> {
        if let Some(scope) = self.scope.take() {
            self.location.unified = Some(scope.start(pid)?);
            return self.prepare();
        }
        for dir in self.location.dirs() {
            write(&dir.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }

    /// All processes inside and below.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        if let Some(dir) = self.location.dirs().next() {
            collect_pids(dir, &mut pids)?;
        }
        pids.sort_unstable();
        Ok(pids)
    }

    /// Stops all processes until [`Handle::thaw`]; returns when they stand.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true).context("pause")
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false).context("unpause")
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        if let Some(dir) = &self.location.unified {
            write(&dir.join("cgroup.freeze"), if frozen { "1" } else { "0" })?;
            return wait_frozen(dir, frozen);
        }
        if let Some(dir) = self.location.v1.get("freezer") {
            return freeze_v1(dir, frozen);
        }
        Err(fail(Kind::Failed, "the container has no cgroup that could freeze it")
            .hint("pausing without root needs cgroup v2"))
    }

    /// Whether the processes are stopped.
    pub fn is_frozen(&self) -> bool {
        let file = |dir: &Path, name| fs::read_to_string(&dir.join(name)).unwrap_or_default();
        match (&self.location.unified, self.location.v1.get("freezer")) {
            (Some(dir), _) => file(dir, "cgroup.freeze").trim() == "1",
            (None, Some(dir)) => file(dir, "freezer.state").trim() != "THAWED",
            _ => false,
        }
    }

    /// Kills all processes inside: in one step from Linux 5.14 on, else until none is left.
    pub fn kill_all(&self) -> Result<()> {
        if let Some(dir) = &self.location.unified
            && dir.join("cgroup.kill").exists()
        {
            return write(&dir.join("cgroup.kill"), "1");
        }
        let since = Instant::now();
        loop {
            // Frozen, none can fork while we read the list; what cannot be frozen is asked again and again.
            let frozen = self.set_frozen(true).is_ok();
            let pids = self.pids()?;
            pids.iter().for_each(|pid| signal(*pid));
            if frozen {
                self.set_frozen(false)?;
            }
            match pids.len() {
                0 => return Ok(()),
                left if since.elapsed() > LEAVE => bail!("kill: {left} processes do not end"),
                _ => sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Whether the kernel killed a process inside because memory was at its limit.
    pub fn oom_killed(&self) -> bool {
        let memory = self.location.v1.get("memory").map(|dir| dir.join("memory.oom_control"));
        let events = self.location.unified.as_ref().map(|dir| dir.join("memory.events"));
        memory.or(events).is_some_and(|path| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            value_of(&text, "oom_kill").is_some_and(|count| count > 0)
        })
    }

    /// Changes limits of a running container.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        let unified = self.location.unified.as_deref();
        let pure_v2 =
            self.location.v1.is_empty() && unified.is_some_and(|d| d.join("cgroup.controllers").exists());
        if !pure_v2 {
            return make::apply_v1(&self.location, &v1::settings(resources, false)?);
        }
        let Some(dir) = unified else { bail!("the container has no cgroup") };
        make::apply_v2(dir, &v2::settings(resources, false)?, self.location.rootless)
    }

    /// Removes the directories, and whatever the container made below them. Processes must be gone or going.
    pub fn remove(&self) -> Result<()> {
        let mut all = Collected::default();
        if let (Some(unit), Some(dir)) = (&self.location.unit, &self.location.unified) {
            if dir.exists() && self.pids().is_ok_and(|pids| !pids.is_empty()) {
                all.note(systemd::stop(unit, self.location.rootless));
            }
            all.note(remove_tree(dir, LEAVE));
            return all.finish();
        }
        for dir in self.location.dirs() {
            all.note(remove_tree(dir, LEAVE));
        }
        all.finish()
    }
}

fn signal(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL); // it may have ended by itself
    }
}

/// The number after `KEY ` in a file of such lines.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

fn collect_pids(dir: &Path, pids: &mut Vec<i32>) -> Result<()> {
    match fs::read_optional(&dir.join("cgroup.procs")) {
        Ok(text) => {
            let text = text.unwrap_or_default();
            pids.extend(String::from_utf8_lossy(&text).lines().filter_map(|l| l.parse::<i32>().ok()));
        }
        // A threaded cgroup does not list processes; those are in the domain above it.
        Err(error) if make::errno(&error) == Some(libc::EOPNOTSUPP) => {}
        Err(error) if make::errno(&error) == Some(libc::ENODEV) => return Ok(()),
        Err(error) => return Err(error),
    }
    for child in children(dir)? {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?;
    let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    Ok(entries.into_iter().filter(is_dir).map(|entry| entry.path()).collect())
}

/// `cgroup.events` can be polled: it changes when the last process stands.
fn wait_frozen(dir: &Path, frozen: bool) -> Result<()> {
    let path = dir.join("cgroup.events");
    let wanted = u64::from(frozen);
    let since = Instant::now();
    loop {
        let file = fs::open(&path)?;
        let text = io::read_to_string(&file).with_context(|| format!("read `{}`", path.display()))?;
        if value_of(&text, "frozen").unwrap_or(wanted) == wanted {
            return Ok(());
        }
        if since.elapsed() > FREEZE {
            write(&dir.join("cgroup.freeze"), "0")?;
            bail!("a process does not stop within {} s", FREEZE.as_secs());
        }
        let half_a_second = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
        let _ = poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&half_a_second)); // looked at again anyhow
    }
}

/// A v1 freezer can hang in FREEZING when a process forks meanwhile: asking again helps it on.
fn freeze_v1(dir: &Path, frozen: bool) -> Result<()> {
    let state = dir.join("freezer.state");
    let wanted = if frozen { "FROZEN" } else { "THAWED" };
    let since = Instant::now();
    loop {
        write(&state, wanted)?;
        if fs::read_to_string(&state)?.trim() == wanted {
            return Ok(());
        }
        if since.elapsed() > FREEZE {
            write(&state, "THAWED")?;
            bail!("a process does not stop within {} s", FREEZE.as_secs());
        }
        sleep(Duration::from_millis(1));
    }
}

/// Removes a cgroup and those below it, deepest first, waiting for processes that are on their way out.
pub(super) fn remove_tree(dir: &Path, patience: Duration) -> Result<()> {
    let since = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        match rustix::fs::rmdir(dir) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(rustix::io::Errno::BUSY | rustix::io::Errno::NOTEMPTY) if since.elapsed() < patience => {}
            Err(error) => return Err(error).with_context(|| format!("remove cgroup `{}`", dir.display())),
        }
        for child in children(dir)? {
            remove_tree(&child, patience.saturating_sub(since.elapsed()))?;
        }
        if rustix::fs::rmdir(dir).is_ok() {
            return Ok(());
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
