//! The container's first process, from its birth to its exec. Order matters: each step says what it needs.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::container::ContainerPlan;
use super::hooks::{self, Stage};
use super::identity;
use super::launch::{self, Entry, Gate, Stdio};
use super::plan::open_namespace;
use super::rootfs::RootBuilder;
use super::stage::{self, give_up};
use super::sync::{Channel, Tag};
use super::{console, hide};
use crate::base::error::{Context, Error, Result, bail};
use crate::sys::process::{self, flags};
use crate::sys::{loopback, mount, rootdir::RootDir};

/// Runs in the new process; never returns. Every failure is told to the parent.
pub(super) fn run(plan: &ContainerPlan, channel: &Channel, parents: &Channel, entry: Entry) -> ! {
    // The copy of the parent's end would keep the talk alive after the parent's death. It is not used here and
    // the process ends by exec or exit, so closing it under its owner is sound.
    let _ = process::close_one(parents.as_fd());
    let error = match set_up(plan, channel, entry).and_then(|terminal| wait(plan, channel, terminal)) {
        Ok((terminal, started)) => {
            let started = started.as_ref().unwrap_or(channel);
            let error = run_command(plan, terminal, started);
            give_up(started, &error)
        }
        Err(error) => error,
    };
    give_up(channel, &error)
}

/// Builds the container around this process.
fn set_up(plan: &ContainerPlan, channel: &Channel, entry: Entry) -> Result<Option<OwnedFd>> {
    rustix::process::umask(rustix::fs::Mode::empty());
    if plan.child_waits(entry) {
        channel.expect(Tag::Mapped)?;
    }
    // An ordinary user who entered a user namespace to make this container kept the id that files are known by.
    if plan.in_user_namespace() || !rustix::process::geteuid().is_root() {
        become_root()?;
    }
    // A session of its own: the terminal becomes the controlling one, and no signal of the caller's reaches it.
    let _ = rustix::process::setsid(); // fails only for one that leads a session already
    enter_namespaces(plan, entry)?;
    set_own_names(plan)?;
    // While the host's /proc is still here.
    let own = Path::new("/proc/self/ns/net");
    let network = plan.sends_network().then(|| open_namespace(own)).transpose()?;
    let mut root = RootBuilder::new(plan)?;
    root.build(plan)?;
    let terminal = match plan.process.terminal {
        Some(size) if matches!(plan.stdio, Stdio::Terminal) => Some(console::open(&root, size)?),
        _ => None,
    };
    run_early_hooks(plan, channel)?;
    root.enter(plan)?;
    if !plan.in_user_namespace() {
        launch::set_limits(&plan.process.rlimits, None)?;
    }
    // Whoever creates now and starts later wants to hear of a missing command while it can be repaired.
    if matches!(plan.gate, Gate::Listener(_)) {
        identity::find(&plan.process)?;
    }
    let (master, slave) = terminal.map(|pair| (pair.master, pair.slave)).unzip();
    let fds: Vec<_> = network.iter().chain(&master).map(AsFd::as_fd).collect();
    channel.send_with(Tag::Ready, &[], &fds)?;
    Ok(slave)
}

/// Root of the new user namespace; a map without 0 leaves the process who it is.
fn become_root() -> Result<()> {
    use rustix::process::{Gid, Uid};
    let _ = rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT); // EINVAL: 0 is not mapped
    let _ = rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT); // the same
    Ok(())
}

/// What the clone could not do: joins, and the cgroup namespace when the process had to be moved first.
fn enter_namespaces(plan: &ContainerPlan, entry: Entry) -> Result<()> {
    if !plan.needs_stage() {
        stage::join_all(&plan.join)?;
    }
    if let (Some(cgroup), Entry::Itself) = (&plan.cgroup, entry) {
        cgroup.enter().context("enter the cgroup")?;
    }
    if launch::later(entry) & plan.new != 0 {
        hide::remember_cgroups()?; // their names are gone once the namespace starts here
        process::unshare(flags::NEWCGROUP).context("make a cgroup namespace")?;
    }
    if plan.new & flags::NEWNET != 0 {
        loopback::raise().context("raise the loopback interface")?;
    }
    Ok(())
}

fn set_own_names(plan: &ContainerPlan) -> Result<()> {
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).with_context(|| format!("set host name `{name}`"))?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes())
            .with_context(|| format!("set domain name `{name}`"))?;
    }
    Ok(())
}

/// Hooks that must see the mounts but run before the root changes.
fn run_early_hooks(plan: &ContainerPlan, channel: &Channel) -> Result<()> {
    if !plan.hooks.before_root() {
        return Ok(());
    }
    channel.send(Tag::Hooks)?;
    channel.expect(Tag::HooksDone)?;
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    hooks::run(&plan.hooks, Stage::CreateContainer, &plan.state(pid, "created"))
}

/// Waits until somebody starts the container; gives the channel on which the exec is to be reported.
fn wait(
    plan: &ContainerPlan,
    channel: &Channel,
    terminal: Option<OwnedFd>,
) -> Result<(Option<OwnedFd>, Option<Channel>)> {
    let accepted = match &plan.gate {
        Gate::Created => None,
        Gate::Listener(listener) => Some(Channel::accept(listener.as_fd())?),
    };
    match accepted.as_ref().unwrap_or(channel).receive() {
        Ok(Some(message)) if message.tag == Tag::Go => Ok((terminal, accepted)),
        Ok(Some(_)) => bail!("expected the start"),
        // The creator died: nobody will ever start this container, and nobody listens.
        Ok(None) | Err(_) => process::exit_now(125),
    }
}

/// After the start: the last steps and the exec, which returns only its error.
fn run_command(plan: &ContainerPlan, terminal: Option<OwnedFd>, channel: &Channel) -> Error {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let prepared = hooks::run(&plan.hooks, Stage::StartContainer, &plan.state(pid, "created"))
        .and_then(|()| make_cwd(plan));
    match prepared {
        Ok(()) => identity::execute(&plan.process, Some(&plan.id), &plan.stdio, terminal, channel),
        Err(error) => error,
    }
}

/// The working directory is made when it is missing; inside the new root no link leads out of it.
fn make_cwd(plan: &ContainerPlan) -> Result<()> {
    let cwd = plan.process.cwd.as_c_str();
    // Whatever else is wrong with it, the process itself reports when it goes there as who it will be.
    if let Err(rustix::io::Errno::NOENT) = rustix::process::chdir(cwd) {
        let path = Path::new(OsStr::from_bytes(cwd.to_bytes()));
        let root = RootDir::open(Path::new("/")).context("open the root")?;
        root.mkdir_all(path, rustix::fs::Mode::from_raw_mode(0o755))
            .with_context(|| format!("make working directory `{}`", path.display()))?;
    }
    Ok(())
}

/// Moves into the root without pivot: for a root on an initramfs, which cannot be pivoted away from.
pub(super) fn move_root(root: std::os::fd::BorrowedFd<'_>) -> Result<()> {
    rustix::process::fchdir(root).context("enter the root file system")?;
    let slash = mount::open_slash().context("open the old root")?;
    mount::move_to(root, slash.as_fd()).context("move the root file system")?;
    rustix::process::chroot(".").context("change the root")?;
    rustix::process::chdir("/").context("enter the root")
}
