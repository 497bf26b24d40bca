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

use super::cgroup::{self, Location, Manager, Place, Request};
use super::defaults;
use super::hooks::{self, HookSet, Stage};
use super::launch::{Gate, Launch, Rootfs, Stdio, create as launch, start_through};
use super::supervisor::process_start;
use super::{ExecRequest, exec as join};
use crate::base::error::{Collected, Context, Kind, Result, bail, ensure, fail};
use crate::base::fs::{self, Durability};
use crate::sys::process::{self, Exit};
use crate::sys::socket;

const SOCKET: &str = "start.sock";

/// Where containers of this face are known.
#[derive(Debug)]
pub struct Runtime {
    dir: PathBuf,
    manager: Option<Manager>,
}

/// What is remembered of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    version: u32,
    id: String,
    pid: i32,
    started: u64,
    bundle: PathBuf,
    created: String,
    annotations: HashMap<String, String>,
    cgroup: Location,
}

/// How a container is to be created.
#[derive(Debug, Default)]
pub struct CreateOptions {
    /// The directory with `config.json`.
    pub bundle: PathBuf,
    /// Where the terminal's master is sent.
    pub console_socket: Option<PathBuf>,
    /// Where the pid is written.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors from 3 on the command gets.
    pub preserve_fds: u32,
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
    /// Annotations of the specification.
    pub annotations: HashMap<String, String>,
}

impl Runtime {
    /// Containers below `<run>/runtime`, or another root.
    pub fn new(dir: PathBuf, manager: Option<Manager>) -> Runtime {
        Runtime { dir, manager }
    }

    /// Makes a container up to before its command.
    pub fn create(&self, id: &str, options: &CreateOptions) -> Result<()> {
        check_id(id)?;
        let (bundle, spec) = load(&options.bundle)?;
        let dir = self.dir.join(id);
        fs::create_dir_all(&self.dir)?;
        if !fs::create_dir(&dir)? {
            return Err(fail(Kind::InUse, format!("container `{id}` exists")));
        }
        let made = self.create_in(&dir, id, &bundle, spec, options);
        if made.is_err() {
            let _ = forget(&dir); // the first error is the one to tell
        }
        made
    }

    fn create_in(
        &self,
        dir: &Path,
        id: &str,
        bundle: &Path,
        spec: Spec,
        options: &CreateOptions,
    ) -> Result<()> {
        let console = options.console_socket.as_deref();
        let terminal = wants_terminal(&spec);
        ensure!(!terminal || console.is_some(), "a terminal needs `--console-socket`");
        let annotations = spec.annotations().clone().unwrap_or_default();
        let mut request = self.launch(id, bundle, spec, options)?;
        request.gate = Gate::Listener(socket::listen_at(dir, SOCKET)?);
        let created = launch(request)?;
        if let (Some(path), Some(master)) = (console, &created.master) {
            send_master(path, master)?;
        }
        let record = Record {
            version: 1,
            id: id.to_owned(),
            pid: created.pid,
            started: process_start(created.pid).unwrap_or_default(),
            bundle: bundle.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            annotations,
            cgroup: created.cgroup.map(|cgroup| cgroup.location().clone()).unwrap_or_default(),
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
        request.preserve_fds = preserved(options.preserve_fds)?;
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
            Request { id, place, manager: self.manager, resources: &resources, default_pids: false };
        cgroup::make(&host, &request)
    }

    /// Starts a created container.
    pub fn start(&self, id: &str) -> Result<()> {
        let record = self.record(id)?;
        let status = self.status(&record);
        ensure!(status == "created", "container `{id}` is {status}");
        let dir = self.dir.join(id);
        start_through(socket::connect_at(&dir, SOCKET)?)?;
        fs::remove_file(&dir.join(SOCKET))?;
        self.run_hooks(&record, Stage::Poststart, "running")
    }

    /// Creates, starts, waits and deletes; gives how the container ended.
    pub fn run(&self, id: &str, options: &CreateOptions, detach: bool) -> Result<Option<Exit>> {
        self.create(id, options)?;
        let started = self.start(id);
        if let Err(error) = started {
            let _ = self.delete(id, true); // the first error is the one to tell
            return Err(error);
        }
        if detach {
            return Ok(None);
        }
        let pidfd = process::pidfd_open(self.record(id)?.pid).context("watch the container")?;
        let exit = process::wait(pidfd.as_fd()).context("wait for the container")?;
        self.delete(id, true)?;
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
            created: record.created,
            annotations: record.annotations,
        })
    }

    /// All containers; those that are half made or damaged are left out.
    pub fn list(&self) -> Result<Vec<State>> {
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
            Err(error) if force && crate::base::error::kind_of(&error) == Kind::NotFound => return Ok(()),
            record => record?,
        };
        match self.pidfd(&record) {
            Some(_) if !force && self.status(&record) == "running" => {
                return Err(fail(Kind::InUse, format!("container `{id}` is running")));
            }
            Some(pidfd) => {
                process::pidfd_send_signal(pidfd.as_fd(), 9).context("kill")?;
                wait_gone(pidfd.as_fd())?;
            }
            None => {}
        }
        let mut all = Collected::default();
        if !record.cgroup.is_none() {
            let cgroup = record.cgroup.open();
            all.note(cgroup.kill_all());
            all.note(cgroup.remove());
        }
        all.note(self.run_hooks(&record, Stage::Poststop, "stopped"));
        all.note(forget(&dir));
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
        ensure!(!terminal || options.console_socket.is_some(), "a terminal needs `--console-socket`");
        let mut cgroup = record.cgroup.open();
        cgroup.prepare()?;
        let child = join(ExecRequest {
            pid: record.pid,
            pidfd,
            process,
            stdio: if terminal { Stdio::Terminal } else { Stdio::Inherit },
            cgroup: Some(cgroup),
            preserve_fds: preserved(options.preserve_fds)?,
            filter: None,
            seccomp: spec.linux().as_ref().and_then(|linux| linux.seccomp().clone()),
            clamp_rlimits: Vec::new(),
        })?;
        if let (Some(path), Some(master)) = (&options.console_socket, &child.master) {
            send_master(path, master)?;
        }
        write_pid(options.pid_file.as_deref(), child.pid)?;
        match detach {
            true => Ok(None),
            false => process::wait(child.pidfd.as_fd()).map(Some).context("wait for the process"),
        }
    }

    /// The process section of a container's specification, for `exec` to start from.
    pub fn process_of(&self, id: &str) -> Result<Process> {
        let (_, spec) = load(&self.record(id)?.bundle)?;
        spec.process().clone().ok_or_else(|| fail(Kind::Failed, "the specification has no `process` section"))
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

fn wants_terminal(spec: &Spec) -> bool {
    spec.process().as_ref().is_some_and(|process| process.terminal().unwrap_or(false))
}

fn preserved(count: u32) -> Result<Vec<OwnedFd>> {
    let first = 3 + i32::try_from(count).context("preserve descriptors")?;
    (3..first).map(|fd| process::own(fd).with_context(|| format!("descriptor {fd} is not open"))).collect()
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
