//! Making a container: the parent's side.
//!
//! Everything that can be decided or opened is decided and opened here, before the fork; the child then makes as
//! few system calls as the specification allows, in [`super::child`].

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, PosixRlimitType, Spec};

use super::cgroup;
use super::container::ContainerPlan;
use super::hooks::{self, Stage};
use super::plan::Limit;
use super::seccomp::Filter;
use super::sync::{Channel, Tag};
use super::{child, identity, stage};
use crate::base::error::{Context, Explain, Result, anyhow, bail};
use crate::sys::process::{self, ChildProcess, Forked, flags};
use crate::sys::userns;

/// A container to be made. Moved into [`create`]: what it holds open is closed when the container has it.
pub struct Launch {
    /// Name of the container: the session keyring's and that in the state given to hooks.
    pub id: String,
    /// What to make.
    pub spec: Spec,
    /// What relative paths of the specification are relative to.
    pub bundle: PathBuf,
    /// The root file system.
    pub rootfs: Rootfs,
    /// The standard streams.
    pub stdio: Stdio,
    /// Its control group, already made and limited; `None` leaves it where the caller is.
    pub cgroup: Option<cgroup::Handle>,
    /// Descriptors that the command gets as 3, 4, 5…
    pub preserve_fds: Vec<OwnedFd>,
    /// Sources of `spec.mounts` (by index) that are prepared detached mounts.
    pub mount_fds: HashMap<usize, OwnedFd>,
    /// Namespaces to join by descriptor, beside those that the specification joins by path.
    pub join: Vec<(LinuxNamespaceType, OwnedFd)>,
    /// A compiled filter to use instead of compiling `linux.seccomp`.
    pub filter: Option<Filter>,
    /// Limits of the specification that are defaults: cut to the caller's hard limit instead of failing.
    pub clamp_rlimits: Vec<PosixRlimitType>,
    /// Whether dhow stays as pid 1, reaps and passes signals on (`--init`).
    pub init: bool,
    /// Whether the caller's session keyring is kept (`--no-new-keyring`).
    pub keep_keyring: bool,
    /// Whether the root is moved and entered instead of pivoted to (`--no-pivot`, on an initramfs).
    pub no_pivot: bool,
    /// Whether the kernel kills the container when the caller dies: who else would record its end?
    pub die_with_parent: bool,
    /// How the start will be told.
    pub gate: Gate,
}

impl Launch {
    /// A launch of `spec` with everything else as most callers want it.
    pub fn new(id: &str, spec: Spec, bundle: PathBuf, rootfs: Rootfs, stdio: Stdio) -> Launch {
        Launch {
            id: id.to_owned(),
            spec,
            bundle,
            rootfs,
            stdio,
            cgroup: None,
            preserve_fds: Vec::new(),
            mount_fds: HashMap::new(),
            join: Vec::new(),
            filter: None,
            clamp_rlimits: Vec::new(),
            init: false,
            keep_keyring: false,
            no_pivot: false,
            die_with_parent: false,
            gate: Gate::Created,
        }
    }
}

/// Where the root file system comes from.
#[derive(Debug)]
pub enum Rootfs {
    /// A detached mount that is the root itself.
    Mount(OwnedFd),
    /// A directory, to be bound with what is mounted in it.
    Path(PathBuf),
}

/// What a process gets as its standard streams.
#[derive(Debug)]
pub enum Stdio {
    /// Those of the caller.
    Inherit,
    /// Standard input, output and error.
    Files([OwnedFd; 3]),
    /// A terminal made inside the container; its master comes back in [`Created::master`].
    Terminal,
}

/// How a created container learns that it may start.
#[derive(Debug)]
pub enum Gate {
    /// By [`Created::start`] in the process that made it.
    Created,
    /// By whoever connects to this listening socket, with [`start_through`]; the maker may end before.
    Listener(OwnedFd),
}

/// A container that is fully set up and waits before its exec. A child of the caller.
pub struct Created {
    /// Its first process in the caller's pid namespace.
    pub pid: i32,
    /// A pidfd of it.
    pub pidfd: OwnedFd,
    /// The other side of its terminal.
    pub master: Option<OwnedFd>,
    /// Its network namespace, where it has a user namespace of its own and `/proc` would not give it.
    pub network: Option<OwnedFd>,
    /// Its control group; a systemd scope has its place only now.
    pub cgroup: Option<cgroup::Handle>,
    channel: Option<Channel>,
}

impl Created {
    /// Lets the command execute; returns when it does, or the reason why it does not, with its kind
    /// ([`NoCommand`](crate::base::error::Kind::NoCommand), [`NotExecutable`](crate::base::error::Kind)).
    pub fn start(&mut self) -> Result<()> {
        let channel = self.channel.take().ok_or_else(|| anyhow!("the container was started before"))?;
        go(&channel)
    }
}

/// Starts a container that waits at a [`Gate::Listener`], over a connection to it.
pub fn start_through(connection: OwnedFd) -> Result<()> {
    go(&Channel::from_fd(connection))
}

fn go(channel: &Channel) -> Result<()> {
    channel.send(Tag::Go)?;
    channel.executed()
}

/// Makes a container up to the point before its exec.
///
/// The caller must be single-threaded; the container's first process becomes its child.
pub fn create(launch: Launch) -> Result<Created> {
    let mut plan = ContainerPlan::new(launch)?;
    let (ours, theirs) = Channel::pair()?;
    let born = spawn(&plan, &theirs, &ours)?;
    drop(theirs);
    let mut cgroup = plan.cgroup.take();
    match set_up(&plan, &ours, &born, cgroup.as_mut()) {
        Ok((master, network)) => Ok(Created {
            pid: born.process.pid,
            pidfd: born.process.pidfd,
            master,
            network,
            cgroup,
            channel: matches!(plan.gate, Gate::Created).then_some(ours),
        }),
        Err(error) => {
            let _ = process::pidfd_send_signal(born.process.pidfd.as_fd(), 9); // it may be gone already
            let _ = process::wait(born.process.pidfd.as_fd()); // no zombie is left of a failed start
            Err(error)
        }
    }
}

/// The first process, as it came out of the fork.
struct Born {
    process: ChildProcess,
    entry: Entry,
}

/// How the first process gets into its cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It was born where it belongs, or has none.
    Born,
    /// It moves itself, by descriptors that the parent opened (v1).
    Itself,
    /// The parent moves it, and says so.
    Moved,
}

/// How a process gets into this cgroup when its birth there succeeds or not.
pub(super) fn entry(cgroup: Option<&cgroup::Handle>, born_inside: bool) -> Entry {
    match cgroup {
        None => Entry::Born,
        Some(cgroup) if cgroup.needs_add() => Entry::Moved,
        Some(cgroup) if cgroup.dir_fd().is_some() && !born_inside => Entry::Moved,
        Some(cgroup) if cgroup.late() => Entry::Itself,
        Some(_) => Entry::Born,
    }
}

/// Forks the first process, into its cgroup where the kernel can.
fn spawn(plan: &ContainerPlan, theirs: &Channel, ours: &Channel) -> Result<Born> {
    let direct = if plan.needs_stage() { 0 } else { plan.new };
    if let Some(directory) = plan.cgroup.as_ref().and_then(cgroup::Handle::dir_fd) {
        let entry = entry(plan.cgroup.as_ref(), true);
        match process::clone3(direct & !later(entry), Some(directory)) {
            Ok(Forked::Child) => child_side(plan, theirs, ours, entry),
            Ok(Forked::Parent(process)) => return parent_side(plan, ours, process, entry),
            Err(errno) if process::cgroup_refused(errno) => {}
            Err(errno) => return Err(explain_clone(plan, errno)),
        }
    }
    let entry = entry(plan.cgroup.as_ref(), false);
    match process::clone3(direct & !later(entry), None) {
        Ok(Forked::Child) => child_side(plan, theirs, ours, entry),
        Ok(Forked::Parent(process)) => parent_side(plan, ours, process, entry),
        Err(errno) => Err(explain_clone(plan, errno)),
    }
}

/// A cgroup namespace starts where the process is, so it must wait until the process has moved.
pub(super) fn later(entry: Entry) -> u64 {
    if entry == Entry::Born { 0 } else { flags::NEWCGROUP }
}

fn explain_clone(plan: &ContainerPlan, errno: rustix::io::Errno) -> anyhow::Error {
    let error = anyhow::Error::from(errno).context("make the container's namespaces");
    match errno {
        rustix::io::Errno::NOSPC => error.hint("raise `sysctl user.max_*_namespaces`"),
        rustix::io::Errno::PERM if plan.new & flags::NEWUSER == 0 => {
            error.hint("without root a user namespace is needed")
        }
        _ => error,
    }
}

fn child_side(plan: &ContainerPlan, theirs: &Channel, ours: &Channel, entry: Entry) -> ! {
    if plan.needs_stage() {
        stage::run(plan, theirs, ours, entry)
    }
    child::run(plan, theirs, ours, entry)
}

fn parent_side(plan: &ContainerPlan, ours: &Channel, process: ChildProcess, entry: Entry) -> Result<Born> {
    if !plan.needs_stage() {
        return Ok(Born { process, entry });
    }
    Ok(Born { process: stage::adopt(ours, process)?, entry })
}

/// What only the parent can do for the child, and the wait until it is ready.
fn set_up(
    plan: &ContainerPlan,
    channel: &Channel,
    born: &Born,
    cgroup: Option<&mut cgroup::Handle>,
) -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    let pid = born.process.pid;
    if let Some((uids, gids)) = &plan.maps {
        userns::write_maps(pid, uids, gids)?;
    }
    if let (Some(cgroup), Entry::Moved) = (cgroup, born.entry) {
        cgroup.add(pid)?;
    }
    if plan.child_waits(born.entry) {
        channel.send(Tag::Mapped)?;
    }
    if plan.hooks.before_root() {
        channel.expect(Tag::Hooks)?;
        hooks::run(&plan.hooks, Stage::CreateRuntime, &plan.state(pid, "creating"))?;
        channel.send(Tag::HooksDone)?;
    }
    let ready = channel.expect(Tag::Ready).with_context(|| format!("create container `{}`", plan.id))?;
    if plan.in_user_namespace() {
        set_limits(&plan.process.rlimits, Some(pid))?;
        if let Some(score) = plan.process.oom_score_adj {
            let path = format!("/proc/{pid}/oom_score_adj");
            identity::set_oom_score(Path::new(&path), score)?;
        }
    }
    let mut fds = ready.fds.into_iter();
    let network = if plan.sends_network() { fds.next() } else { None };
    Ok((fds.next(), network))
}

/// Sets resource limits of a process.
pub(super) fn set_limits(limits: &[Limit], pid: Option<i32>) -> Result<()> {
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    for limit in limits {
        let mut wanted = limit.limit;
        if limit.clamp {
            clamp(&mut wanted, rustix::process::getrlimit(limit.resource).maximum);
        }
        rustix::process::prlimit(pid, limit.resource, wanted)
            .with_context(|| format!("set resource limit {:?}", limit.resource))
            .hint("only root may raise a hard limit; see `ulimit -H -a`")?;
    }
    Ok(())
}

/// `None` is no limit.
fn clamp(wanted: &mut rustix::process::Rlimit, most: Option<u64>) {
    let Some(most) = most else { return };
    for value in [&mut wanted.current, &mut wanted.maximum] {
        *value = Some(value.map_or(most, |value| value.min(most)));
    }
}

/// Refuses what this runtime cannot do rather than ignoring it.
pub(super) fn refuse_unsupported(spec: &Spec) -> Result<()> {
    let Some(linux) = spec.linux() else { bail!("the specification has no `linux` section") };
    let unsupported = [
        ("linux.intelRdt", linux.intel_rdt().is_some()),
        ("linux.memoryPolicy", linux.memory_policy().is_some()),
        ("linux.netDevices", linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty())),
        ("vm", spec.vm().is_some()),
    ];
    match unsupported.iter().find(|(_, present)| *present) {
        Some((name, _)) => bail!("`{name}` is not supported"),
        None => Ok(()),
    }
}
