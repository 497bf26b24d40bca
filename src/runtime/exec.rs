//! Joining a running container with another process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::{LinuxPersonality, LinuxSeccomp, PosixRlimitType, Process};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::cgroup;
use super::launch::{Entry, Stdio, entry, set_limits};
use super::plan::{self, ProcessPlan};
use super::seccomp::{self, Filter};
use super::stage::{self, give_up};
use super::sync::{Channel, Tag};
use super::{console, identity};
use crate::base::error::{Context, Result, bail};
use crate::sys::prctl;
use crate::sys::process::{self, ChildProcess, Forked, flags};

/// A process to be run in a container.
pub struct ExecRequest {
    /// The container's first process.
    pub pid: i32,
    /// A pidfd of it.
    pub pidfd: OwnedFd,
    /// What to run, as whom.
    pub process: Process,
    /// The standard streams.
    pub stdio: Stdio,
    /// The container's control group.
    pub cgroup: Option<cgroup::Handle>,
    /// Descriptors that the command has under the same numbers.
    pub preserve_fds: Vec<OwnedFd>,
    /// The container's filter: compiled, or else to be compiled from `seccomp`.
    pub filter: Option<Filter>,
    /// The `linux.seccomp` of the container.
    pub seccomp: Option<LinuxSeccomp>,
    /// The `linux.personality` of the container.
    pub personality: Option<LinuxPersonality>,
    /// Limits that are defaults: cut to the caller's hard limit instead of failing.
    pub clamp_rlimits: Vec<PosixRlimitType>,
    /// Whether the caller's supplementary groups stay.
    pub keep_groups: bool,
}

/// A process that executes its command in a container; a child of the caller.
#[derive(Debug)]
pub struct Child {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// A pidfd of it.
    pub pidfd: OwnedFd,
    /// The other side of its terminal.
    pub master: Option<OwnedFd>,
}

/// Runs a process in a container; returns once the command executes, or why it does not.
///
/// The caller must be single-threaded, and outside of the user namespace stage when the container was made in
/// another one: an ordinary user has power over all namespaces he owns, but none in one beside them.
pub fn exec(request: ExecRequest) -> Result<Child> {
    let filter = match (request.filter, &request.seccomp) {
        (None, Some(seccomp)) => Some(seccomp::compile(seccomp).context("compile the seccomp filter")?),
        (filter, _) => filter,
    };
    let mut plan = ProcessPlan::new(&request.process, filter, &request.clamp_rlimits)?;
    plan.preserve = request.preserve_fds;
    plan.personality = plan::personality(request.personality.as_ref())?;
    plan.keep_groups = request.keep_groups;
    let join = Join { flags: foreign(request.pid)?, pidfd: request.pidfd, stdio: request.stdio };
    let (ours, theirs) = Channel::pair()?;
    let between = fork_between(&plan, &join, &theirs, &ours, request.cgroup)?;
    drop(theirs);
    let child = stage::adopt(&ours, between)?;
    match finish(&plan, &ours) {
        Ok(master) => Ok(Child { pid: child.pid, pidfd: child.pidfd, master }),
        Err(error) => {
            let _ = process::wait(child.pidfd.as_fd()); // it has said why and ends
            Err(error)
        }
    }
}

struct Join {
    flags: u64,
    pidfd: OwnedFd,
    stdio: Stdio,
}

fn fork_between(
    plan: &ProcessPlan,
    join: &Join,
    theirs: &Channel,
    ours: &Channel,
    mut cgroup: Option<cgroup::Handle>,
) -> Result<ChildProcess> {
    if let Some(directory) = cgroup.as_ref().and_then(cgroup::Handle::dir_fd) {
        match process::clone3(0, Some(directory)) {
            Ok(Forked::Child) => {
                let entry = entry(cgroup.as_ref(), true);
                run_between(plan, join, theirs, ours, (cgroup.as_ref(), entry))
            }
            Ok(Forked::Parent(between)) => return Ok(between),
            Err(errno) if process::cgroup_refused(errno) => {}
            Err(errno) => return Err(errno).context("fork"),
        }
    }
    let entry = entry(cgroup.as_ref(), false);
    match process::clone3(0, None).context("fork")? {
        Forked::Child => run_between(plan, join, theirs, ours, (cgroup.as_ref(), entry)),
        Forked::Parent(between) => {
            if let (Some(cgroup), Entry::Moved) = (&mut cgroup, entry) {
                cgroup.add(between.pid)?;
                ours.send(Tag::Mapped)?;
            }
            Ok(between)
        }
    }
}

/// The way into the cgroup.
type Way<'a> = (Option<&'a cgroup::Handle>, Entry);

/// The joining process: limits while it has the caller's rights, then all namespaces in one step, then the fork
/// that a pid namespace asks for.
fn run_between(plan: &ProcessPlan, join: &Join, channel: &Channel, other: &Channel, way: Way<'_>) -> ! {
    let _ = process::close_one(other.as_fd()); // its copy would hide the parent's death
    match enter(plan, join, channel, way) {
        Ok(Forked::Parent(child)) => stage::report(channel, &child),
        Ok(Forked::Child) => run_inside(plan, join, channel),
        Err(error) => give_up(channel, &error),
    }
}

fn enter(plan: &ProcessPlan, join: &Join, channel: &Channel, way: Way<'_>) -> Result<Forked> {
    match way {
        (Some(cgroup), Entry::Itself) => cgroup.enter().context("enter the cgroup")?,
        (_, Entry::Moved) => _ = channel.expect(Tag::Mapped)?,
        _ => {}
    }
    set_limits(&plan.rlimits, None)?;
    if let Some(score) = plan.oom_score_adj {
        identity::set_oom_score(Path::new("/proc/self/oom_score_adj"), score)?;
    }
    // From the join on, processes of the container could trace this one and take what it still has of the host:
    // its memory, its descriptors, its binary (CVE-2016-9962, CVE-2019-5736).
    prctl::not_dumpable().context("protect the joining process")?;
    process::setns(join.pidfd.as_fd(), join.flags).context("join the container")?;
    stage::fork_in_turn(flags::PARENT).context("fork in the container")
}

fn run_inside(plan: &ProcessPlan, join: &Join, channel: &Channel) -> ! {
    let error = match inside(plan, join, channel) {
        Ok(terminal) => identity::execute(plan, None, &join.stdio, terminal, channel),
        Err(error) => error,
    };
    give_up(channel, &error)
}

fn inside(plan: &ProcessPlan, join: &Join, channel: &Channel) -> Result<Option<OwnedFd>> {
    let _ = rustix::process::setsid(); // a new child leads no session, so this cannot fail
    if join.flags & flags::NEWUSER != 0 {
        use rustix::process::{Gid, Uid};
        let _ = rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT); // 0 need not be mapped
        let _ = rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT); // the same
    }
    if plan.terminal.is_none() || !matches!(join.stdio, Stdio::Terminal) {
        return Ok(None);
    }
    let terminal = open_terminal()?;
    channel.send_with(Tag::Ready, &[], &[terminal.master.as_fd()])?;
    Ok(Some(terminal.slave))
}

/// The container had time to prepare `/dev/pts`: only a real one is used.
fn open_terminal() -> Result<console::Terminal> {
    const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let pts = rustix::fs::open("/dev/pts", flags, Mode::empty()).context("open `/dev/pts`")?;
    if rustix::fs::fstatfs(&pts).context("inspect `/dev/pts`")?.f_type as u64 != DEVPTS_SUPER_MAGIC {
        bail!("`/dev/pts` of the container is no devpts");
    }
    console::open_in(pts.as_fd()).context("make a terminal")
}

fn finish(plan: &ProcessPlan, channel: &Channel) -> Result<Option<OwnedFd>> {
    let mut message = channel.receive()?;
    let mut master = None;
    if let Some(ready) = message.take_if(|message| message.tag == Tag::Ready) {
        master = ready.fds.into_iter().next();
        if let (Some(master), Some((rows, columns))) = (&master, plan.terminal.filter(|s| *s != (0, 0))) {
            let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(master, size).context("set the terminal's size")?;
        }
        channel.executed()?;
        return Ok(master);
    }
    channel.conclude(message)?;
    Ok(master)
}

/// The namespaces of a process that are not the caller's own: joining one's own user namespace is an error, and
/// joining another's network may be beyond one's rights though one is in it already.
fn foreign(pid: i32) -> Result<u64> {
    const KINDS: [(&str, u64); 8] = [
        ("user", flags::NEWUSER),
        ("mnt", flags::NEWNS),
        ("pid", flags::NEWPID),
        ("ipc", flags::NEWIPC),
        ("uts", flags::NEWUTS),
        ("net", flags::NEWNET),
        ("cgroup", flags::NEWCGROUP),
        ("time", flags::NEWTIME),
    ];
    let mut found = 0;
    for (name, flag) in KINDS {
        let of = |who: &str| rustix::fs::statat(CWD, format!("/proc/{who}/ns/{name}"), AtFlags::empty());
        let Ok(own) = of("self") else { continue }; // a kernel without this kind
        let theirs = of(&pid.to_string()).context("inspect the container's namespaces")?;
        if own.st_ino != theirs.st_ino {
            found |= flag;
        }
    }
    match found {
        0 => bail!("the process has no namespace of its own"),
        found => Ok(found),
    }
}
