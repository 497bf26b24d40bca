//! The logic of `dhow runtime`: the OCI runtime command line's verbs on containers that are known by their
//! bundle alone.
//!
//! ```text
//! <run>/runtime/<id>/state.json    written once the container is created; replaced never
//! <run>/runtime/<id>/start.sock    the created container waits here for its start
//! ```
//!
//! The status is never written down: it is what pid, its start time, the socket and the freezer say.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};

use oci_spec::runtime::LinuxResources;

use super::cgroup::{self, Location, Manager, Place, Request};
use super::defaults;
use super::hooks::{self, HookSet, Stage};
use super::launch::{Gate, Launch, Rootfs, Stdio, create as launch, start_through};
use super::supervisor::process_start;
use super::{ExecRequest, exec as join};
use crate::base::error::{Collected, Context, Error, Explain, Kind, Result, bail, ensure, fail};
use crate::base::fs::{self, Durability};
use crate::sys::process::{self, Exit};
use crate::sys::socket;

mod events;
mod features;
mod foreground;
mod stage;
mod template;

pub use features::features;
pub use template::specification;

const SOCKET: &str = "start.sock";

/// Where containers of this face are known, and how they are made.
pub struct Runtime<'a> {
    /// A directory for each container is made in this one.
    pub dir: PathBuf,
    /// Who makes control groups.
    pub manager: Manager,
    /// How much this process may do.
    pub rights: Rights,
    /// Takes what is odd but not fatal.
    pub warn: Box<dyn Fn(&Error) + 'a>,
}

/// How much the calling process may do on this host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rights {
    /// As its ids and the host's files say.
    #[default]
    Found,
    /// Those of an ordinary user, whatever its id: a cgroup that cannot be made is done without.
    User,
    /// Those of root: no user namespace is entered to get them.
    Root,
}

/// Whether `run` waits, and what it does after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// It does not.
    No,
    /// It deletes the container.
    Delete,
    /// It leaves it, stopped.
    Keep,
}

/// What is remembered of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    id: String,
    pid: i32,
    started: u64,
    bundle: PathBuf,
    rootfs: PathBuf,
    owner: u32,
    created: String,
    annotations: HashMap<String, String>,
    cgroup: Location,
}

/// How a container is to be created.
#[derive(Debug, Default, Clone)]
pub struct CreateOptions {
    /// The directory with `config.json`.
    pub bundle: PathBuf,
    /// Where the terminal's master is sent.
    pub console_socket: Option<PathBuf>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// The caller's descriptors that the command gets, under the same numbers.
    pub preserve_fds: Vec<i32>,
    /// Move the root instead of pivoting to it.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
}

/// The state as the specification has it, with what listings show beside.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// The container's name.
    pub id: String,
    /// `created`, `running`, `paused` or `stopped`.
    pub status: String,
    /// Pid of its first process; 0 once it has ended.
    pub pid: i32,
    /// The bundle's absolute path.
    pub bundle: PathBuf,
    /// When it was created.
    pub created: String,
    /// The root file system's path.
    pub rootfs: PathBuf,
    /// Annotations of the specification.
    pub annotations: HashMap<String, String>,
    /// Who created it.
    pub owner: String,
}

impl Runtime<'_> {
    /// Makes a container up to before its command.
    pub fn create(&self, id: &str, options: &CreateOptions) -> Result<()> {
        self.create_or_attend(id, options, false).map(|_| ())
    }

    /// Makes a container. The terminal is given back when `attended` and nobody else asked for it.
    fn create_or_attend(&self, id: &str, options: &CreateOptions, attended: bool) -> Result<Option<OwnedFd>> {
        check_id(id)?;
        let (bundle, spec) = load(&options.bundle)?;
        let dir = self.dir.join(id);
        fs::create_dir_all(&self.dir)?;
        if !fs::create_dir(&dir)? {
            return Err(fail(Kind::InUse, format!("container `{id}` exists")));
        }
        let made = self.create_in(&dir, (id, &bundle), spec, options, attended);
        if made.is_err() {
            let _ = forget(&dir); // the first error is the one to tell
        }
        made
    }

    fn create_in(
        &self,
        dir: &Path,
        (id, bundle): (&str, &Path),
        mut spec: Spec,
        options: &CreateOptions,
        attended: bool,
    ) -> Result<Option<OwnedFd>> {
        let console = options.console_socket.as_deref();
        check_terminal(wants_terminal(&spec), console, attended)?;
        let owner = rustix::process::geteuid();
        if !owner.is_root() && self.rights != Rights::Root {
            stage::enter(&mut spec)?;
        }
        let annotations = spec.annotations().clone().unwrap_or_default();
        let rootfs = spec.root().as_ref().map(|root| bundle.join(root.path())).unwrap_or_default();
        let mut request = self.launch(id, bundle, spec, options)?;
        request.gate = Gate::Listener(socket::listen_at(dir, SOCKET)?);
        let place = request.cgroup.as_ref().map(|cgroup| cgroup.location().clone()).unwrap_or_default();
        let created = launch(request).inspect_err(|_| {
            let _ = place.open().remove(); // the first error is the one to tell
        })?;
        let made = self.remember(dir, &created, (id, bundle), (rootfs, annotations, owner.as_raw()), options);
        match made {
            Ok(()) => Ok(created.master.filter(|_| console.is_none())),
            Err(error) => {
                let _ = process::pidfd_send_signal(created.pidfd.as_fd(), 9); // it may be gone already
                let _ = process::wait(created.pidfd.as_fd()); // no zombie is left of a failed start
                let _ = created.cgroup.map(|cgroup| cgroup.remove()); // the first error is the one to tell
                Err(error)
            }
        }
    }

    /// Hands over the terminal, and writes down what other commands must know.
    fn remember(
        &self,
        dir: &Path,
        created: &super::Created,
        (id, bundle): (&str, &Path),
        (rootfs, annotations, owner): (PathBuf, HashMap<String, String>, u32),
        options: &CreateOptions,
    ) -> Result<()> {
        if let (Some(path), Some(master)) = (&options.console_socket, &created.master) {
            send_master(path, master)?;
        }
        let record = Record {
            version: 1,
            id: id.to_owned(),
            pid: created.pid,
            started: process_start(created.pid).unwrap_or_default(),
            bundle: bundle.to_owned(),
            rootfs,
            owner,
            created: jiff::Timestamp::now().to_string(),
            annotations,
            cgroup: created.cgroup.as_ref().map(|cgroup| cgroup.location().clone()).unwrap_or_default(),
        };
        fs::replace_json(&dir.join("state.json"), &record, Durability::Volatile)?;
        write_pid(options.pid_file.as_deref(), created.pid)
    }

    fn launch(&self, id: &str, bundle: &Path, spec: Spec, options: &CreateOptions) -> Result<Launch> {
        let Some(root) = spec.root() else { bail!("the specification has no `root`") };
        let rootfs = Rootfs::Path(bundle.join(root.path()));
        let stdio = if wants_terminal(&spec) { Stdio::Terminal } else { Stdio::Inherit };
        let cgroup = self.make_cgroup(id, &spec)?;
        let mut request = Launch::new(id, spec, bundle.to_owned(), rootfs, stdio);
        request.cgroup = Some(cgroup);
        request.no_pivot = options.no_pivot;
        request.keep_keyring = options.no_new_keyring;
        request.preserve_fds = preserved(&options.preserve_fds)?;
        Ok(request)
    }

    fn make_cgroup(&self, id: &str, spec: &Spec) -> Result<cgroup::Handle> {
        let linux = spec.linux().clone().unwrap_or_default();
        let path = linux.cgroups_path().as_ref().map(|path| path.to_string_lossy().into_owned());
        let place = match path.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => Place::Exact(path),
            None => Place::Parent(None),
        };
        let mut resources = linux.resources().clone().unwrap_or_default();
        // A specification that denies all devices still means the default ones to work, as with other runtimes.
        let rules = resources.devices().iter().flatten().cloned();
        let rules = rules.chain(defaults::device_rules().into_iter().filter(|rule| rule.allow()));
        resources.set_devices(Some(rules.collect()));
        let host = cgroup::detect()?;
        let request =
            Request { id, place, manager: Some(self.manager), resources: &resources, default_pids: false };
        match cgroup::make(&host, &request) {
            Err(error) if self.rights == Rights::User => {
                (self.warn)(&error);
                Ok(cgroup::Handle::default())
            }
            made => made,
        }
    }

    /// Starts a created container.
    pub fn start(&self, id: &str) -> Result<()> {
        let record = self.record(id)?;
        let status = self.status(&record);
        ensure!(status == "created", "container `{id}` is {status}");
        let dir = self.dir.join(id);
        start_through(socket::connect_at(&dir, SOCKET)?)?;
        fs::remove_file(&dir.join(SOCKET))?;
        // The container runs: what a hook says against it is for the log.
        if let Err(error) = self.run_hooks(&record, Stage::Poststart, "running") {
            (self.warn)(&error);
        }
        Ok(())
    }

    /// Creates and starts; unless detached, waits, deletes (or keeps) and gives how the container ended.
    pub fn run(&self, id: &str, options: &CreateOptions, wait: Wait) -> Result<Option<Exit>> {
        let master = self.create_or_attend(id, options, wait != Wait::No)?;
        let signals = (wait != Wait::No).then(foreground::catch).transpose()?;
        if let Err(error) = self.start(id) {
            let _ = self.delete(id, true); // the first error is the one to tell
            return Err(error);
        }
        let Some(signals) = signals else { return Ok(None) };
        let pidfd = process::pidfd_open(self.record(id)?.pid).context("watch the container")?;
        let exit = foreground::attend(&pidfd, master, &signals)?;
        if wait == Wait::Delete {
            self.delete(id, true)?;
        }
        Ok(Some(exit))
    }

    /// The state of a container.
    pub fn state(&self, id: &str) -> Result<State> {
        let record = self.record(id)?;
        let status = self.status(&record);
        Ok(State {
            oci_version: "1.2.0".to_owned(),
            pid: if status == "stopped" { 0 } else { record.pid },
            id: record.id,
            status: status.to_owned(),
            bundle: record.bundle,
            rootfs: record.rootfs,
            owner: crate::sys::userns::user_name(record.owner).unwrap_or_else(|| record.owner.to_string()),
            created: record.created,
            annotations: record.annotations,
        })
    }

    /// All containers; those that are half made or damaged are left out.
    pub fn list(&self) -> Result<Vec<State>> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.dir)?;
        let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
        let mut states: Vec<State> = names.filter_map(|id| self.state(&id).ok()).collect();
        states.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(states)
    }

    /// Sends a signal to the first process, or to all.
    pub fn kill(&self, id: &str, signal: i32, all: bool) -> Result<()> {
        let record = self.record(id)?;
        if all && !record.cgroup.is_none() {
            let pids = record.cgroup.open().pids()?;
            return pids.into_iter().try_for_each(|pid| match process::kill(pid, signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
                Err(errno) => Err(errno).with_context(|| format!("signal {pid}")),
            });
        }
        match self.pidfd(&record) {
            Some(pidfd) => process::pidfd_send_signal(pidfd.as_fd(), signal).context("signal"),
            None => bail!("container `{id}` is not running"),
        }
    }

    /// Removes what is left of a container; a living one only by `force`.
    pub fn delete(&self, id: &str, force: bool) -> Result<()> {
        let dir = self.dir.join(id);
        let record = match self.record(id) {
            // A creation that was killed half way leaves a directory without a record.
            Err(error) if force && crate::base::error::kind_of(&error) == Kind::NotFound => {
                return forget(&dir);
            }
            record => record?,
        };
        let status = self.status(&record);
        if !force && matches!(status, "running" | "paused") {
            return Err(fail(Kind::InUse, format!("container `{id}` is {status}"))
                .hint("kill it first, or use `--force`"));
        }
        if let Some(pidfd) = self.pidfd(&record) {
            process::pidfd_send_signal(pidfd.as_fd(), 9).context("kill")?;
            if status == "paused" {
                record.cgroup.open().thaw()?; // a frozen process of v1 does not even die
            }
            wait_gone(pidfd.as_fd())?;
        }
        let mut all = Collected::default();
        if !record.cgroup.is_none() {
            let cgroup = record.cgroup.open();
            all.note(cgroup.kill_all());
            all.note(cgroup.remove());
        }
        all.note(forget(&dir));
        if let Err(error) = self.run_hooks(&record, Stage::Poststop, "stopped") {
            (self.warn)(&error);
        }
        all.finish()
    }

    /// Runs a process in a container; gives how it ended, unless detached.
    pub fn exec(
        &self,
        id: &str,
        process: Process,
        options: &CreateOptions,
        detach: bool,
    ) -> Result<Option<Exit>> {
        let record = self.record(id)?;
        let Some(pidfd) = self.pidfd(&record) else { bail!("container `{id}` is not running") };
        let (_, spec) = load(&record.bundle)?;
        let terminal = process.terminal().unwrap_or(false);
        check_terminal(terminal, options.console_socket.as_deref(), !detach)?;
        let mut cgroup = record.cgroup.open();
        cgroup.prepare()?;
        let signals = (!detach).then(foreground::catch).transpose()?;
        let child = join(ExecRequest {
            pid: record.pid,
            pidfd,
            process,
            stdio: if terminal { Stdio::Terminal } else { Stdio::Inherit },
            cgroup: Some(cgroup),
            preserve_fds: preserved(&options.preserve_fds)?,
            filter: None,
            seccomp: spec.linux().as_ref().and_then(|linux| linux.seccomp().clone()),
            personality: spec.linux().as_ref().and_then(|linux| linux.personality().clone()),
            clamp_rlimits: Vec::new(),
            keep_groups: false,
        })?;
        if let (Some(path), Some(master)) = (&options.console_socket, &child.master) {
            send_master(path, master)?;
        }
        write_pid(options.pid_file.as_deref(), child.pid)?;
        let Some(signals) = signals else { return Ok(None) };
        let master = child.master.filter(|_| options.console_socket.is_none());
        foreground::attend(&child.pidfd, master, &signals).map(Some)
    }

    /// Changes limits of a container.
    pub fn update(&self, id: &str, resources: &LinuxResources) -> Result<()> {
        let cgroup = self.cgroup(id)?;
        let mut resources = resources.clone();
        if let Some(memory) = resources.memory_mut()
            && memory.limit().is_none()
            && memory.swap().is_some()
        {
            // The kernel counts both together, so the one that stays is needed as well.
            memory.set_limit(cgroup.stats().memory_limit.and_then(|limit| i64::try_from(limit).ok()));
        }
        cgroup.update(&resources).with_context(|| format!("update container `{id}`"))
    }

    /// The process section of a container's specification, for `exec` to start from.
    pub fn process_of(&self, id: &str) -> Result<Process> {
        let (_, spec) = load(&self.record(id)?.bundle)?;
        spec.process().clone().ok_or_else(|| fail(Kind::Failed, "the specification has no `process` section"))
    }

    /// The pids of a container's processes.
    pub fn pids(&self, id: &str) -> Result<Vec<i32>> {
        let record = self.record(id)?;
        match record.cgroup.is_none() {
            false => record.cgroup.open().pids(),
            true => Ok(self.pidfd(&record).map(|_| record.pid).into_iter().collect()),
        }
    }

    /// The control group of a container.
    pub fn cgroup(&self, id: &str) -> Result<cgroup::Handle> {
        let record = self.record(id)?;
        ensure!(!record.cgroup.is_none(), "container `{id}` has no cgroup");
        Ok(record.cgroup.open())
    }

    fn record(&self, id: &str) -> Result<Record> {
        check_id(id)?;
        let path = self.dir.join(id).join("state.json");
        match fs::read_optional(&path)? {
            Some(bytes) => {
                serde_json::from_slice(&bytes).with_context(|| format!("parse `{}`", path.display()))
            }
            None => Err(fail(Kind::NotFound, format!("no container `{id}`"))),
        }
    }

    /// A pidfd of the container's first process, if that still lives: a reused pid has another start time.
    fn pidfd(&self, record: &Record) -> Option<OwnedFd> {
        let pidfd = process::pidfd_open(record.pid).ok()?;
        let alive = process_start(record.pid) == Some(record.started) && !is_zombie(record.pid);
        alive.then_some(pidfd)
    }

    fn status(&self, record: &Record) -> &'static str {
        if self.pidfd(record).is_none() {
            return "stopped";
        }
        if self.dir.join(&record.id).join(SOCKET).exists() {
            return "created";
        }
        match !record.cgroup.is_none() && record.cgroup.open().is_frozen() {
            true => "paused",
            false => "running",
        }
    }

    fn run_hooks(&self, record: &Record, stage: Stage, status: &str) -> Result<()> {
        let (_, spec) = load(&record.bundle)?;
        let state = serde_json::json!({
            "ociVersion": "1.2.0",
            "id": record.id,
            "status": status,
            "pid": if status == "stopped" { 0 } else { record.pid },
            "bundle": record.bundle,
            "annotations": record.annotations,
        });
        hooks::run(&HookSet::new(&spec), stage, &state)
    }
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read(Path::new(&format!("/proc/{pid}/stat"))).unwrap_or_default();
    let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    stat.get(end + 2).is_some_and(|state| matches!(state, b'Z' | b'X'))
}

/// The id becomes a directory name.
fn check_id(id: &str) -> Result<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    if id.is_empty() || id.len() > 255 || id.starts_with('.') || !id.chars().all(fine) {
        return Err(fail(Kind::Usage, format!("`{id}` is no container id")));
    }
    Ok(())
}

fn load(bundle: &Path) -> Result<(PathBuf, Spec)> {
    let bundle = std::path::absolute(bundle).context("find the bundle")?;
    let spec = fs::read_json(&bundle.join("config.json"))?;
    Ok((bundle, spec))
}

/// A terminal must have somebody on its other side.
fn check_terminal(wanted: bool, socket: Option<&Path>, attended: bool) -> Result<()> {
    match wanted && socket.is_none() && !attended {
        true => Err(fail(Kind::Usage, "a terminal of a detached process needs `--console-socket`")),
        false => Ok(()),
    }
}

fn wants_terminal(spec: &Spec) -> bool {
    spec.process().as_ref().is_some_and(|process| process.terminal().unwrap_or(false))
}

fn preserved(numbers: &[i32]) -> Result<Vec<OwnedFd>> {
    let own = |fd: &i32| process::own(*fd).with_context(|| format!("descriptor {fd} is not open"));
    numbers.iter().map(own).collect()
}

fn write_pid(path: Option<&Path>, pid: i32) -> Result<()> {
    path.map_or(Ok(()), |path| fs::replace(path, pid.to_string().as_bytes(), 0o644, Durability::Volatile))
}

/// Sends a terminal's master over a stream socket, as the runtime command line has it.
fn send_master(path: &Path, master: &OwnedFd) -> Result<()> {
    let stream = std::os::unix::net::UnixStream::connect(path)
        .with_context(|| format!("connect to `{}`", path.display()))?;
    socket::send_with_fds(&stream, &[std::io::IoSlice::new(b"/dev/ptmx")], &[master.as_fd()], true)
        .context("send the terminal")
}

fn wait_gone(pidfd: std::os::fd::BorrowedFd<'_>) -> Result<()> {
    use rustix::event::{PollFd, PollFlags};
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&limit)).context("wait for the end")?;
    Ok(())
}

fn forget(dir: &Path) -> Result<()> {
    for name in ["state.json", SOCKET] {
        fs::remove_file(&dir.join(name))?;
    }
    match std::fs::remove_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove `{}`", dir.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_names() {
        for id in ["a", "a.b_c-d+1"] {
            check_id(id).unwrap();
        }
        for id in ["", ".", "..", "a/b", "a b", "\u{e9}"] {
            assert!(check_id(id).is_err(), "{id}");
        }
    }
}
