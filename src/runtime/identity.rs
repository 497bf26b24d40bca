//! Becoming the command: descriptors, limits, ids, capabilities, filter, exec. Everything that a container's
//! process must not have is given up here, in an order in which each step still has what it needs.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::launch::Stdio;
use super::lsm;
use super::mounts;
use super::plan::ProcessPlan;
use super::sync::Channel;
use crate::base::error::{Context, Error, Explain, Kind, Result, anyhow, bail, fail};
use crate::sys::caps::{self, Sets};
use crate::sys::process;
use crate::sys::{prctl, userns};

/// Does all of it; returns only why it could not. `proc` is the host's /proc, for labels.
///
/// The caller has set the limits already, where it still had the right to raise them.
pub(super) fn execute(
    plan: &ProcessPlan,
    keyring: Option<&str>,
    stdio: &Stdio,
    terminal: Option<OwnedFd>,
    channel: &Channel,
) -> Error {
    let ready = become_it(plan, keyring, stdio, terminal).and_then(|()| stay_mortal(plan, channel));
    match ready.and_then(|()| run(plan)) {
        Ok(never) => match never {},
        Err(error) => {
            channel.fail(&error);
            process::exit_now(125)
        }
    }
}

/// From here on the death of the parent is this process's own. It comes after the change of user, which undoes it,
/// and a parent that died before has closed its end of the channel.
fn stay_mortal(plan: &ProcessPlan, channel: &Channel) -> Result<()> {
    if !plan.die_with_parent {
        return Ok(());
    }
    let _ = prctl::parent_death_signal(Some(rustix::process::Signal::KILL)); // a filter of the user's may forbid it
    if channel.is_orphan() {
        bail!("the process that makes the container died");
    }
    Ok(())
}

/// No value: an exec that succeeds does not return.
enum Never {}

fn become_it(
    plan: &ProcessPlan,
    keyring: Option<&str>,
    stdio: &Stdio,
    terminal: Option<OwnedFd>,
) -> Result<()> {
    if let (Some(name), false) = (keyring, plan.keep_keyring) {
        process::join_session_keyring(name); // a kernel or filter without keyrings has none to leak
    }
    if let Some(label) = &plan.label {
        let proc = mounts::open_path(Path::new("/proc")).context("open `/proc`")?;
        lsm::set_exec_label(&proc, label)?;
    }
    if let Some(score) = plan.oom_score_adj {
        set_oom_score(Path::new("/proc/self/oom_score_adj"), score)?;
    }
    if let Some(priority) = plan.io_priority {
        process::set_io_priority(priority).context("set the I/O priority")?;
    }
    place_descriptors(plan, stdio, terminal)?;
    if let Some(domain) = plan.personality {
        process::set_personality(domain).context("set the personality")?; // a filter may forbid it later
    }
    process::reset_signals();
    rustix::process::umask(Mode::from_raw_mode(plan.umask.unwrap_or(0o022)));
    // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is about to go.
    if let (Some(filter), false) = (&plan.filter, plan.no_new_privs) {
        filter.load().context("load the seccomp filter")?;
    }
    let entered = rustix::process::chdir(plan.cwd.as_c_str());
    change_user(plan)?;
    enter_cwd(plan, entered)?;
    if plan.no_new_privs {
        prctl::no_new_privs().context("set no_new_privs")?;
        if let Some(filter) = &plan.filter {
            filter.load().context("load the seccomp filter")?;
        }
    }
    Ok(())
}

/// Writes an `oom_score_adj`; lowering it is root's alone, so an unprivileged caller keeps what it has.
pub(super) fn set_oom_score(path: &Path, score: i32) -> Result<()> {
    match userns::write_proc(path, score.to_string().as_bytes()) {
        Err(Errno::ACCESS | Errno::PERM) if userns::restricted() => Ok(()),
        done => done.with_context(|| format!("set the OOM score to {score}")),
    }
}

/// Standard streams, preserved descriptors, and nothing else (CVE-2016-9962, CVE-2024-21626).
fn place_descriptors(plan: &ProcessPlan, stdio: &Stdio, terminal: Option<OwnedFd>) -> Result<()> {
    let streams: [Option<BorrowedFd<'_>>; 3] = match (&terminal, stdio) {
        (Some(slave), _) => [Some(slave.as_fd()); 3],
        (None, Stdio::Files(files)) => [0, 1, 2].map(|n: usize| Some(files[n].as_fd())),
        (None, _) => [None; 3],
    };
    if let Some(slave) = &terminal {
        rustix::process::ioctl_tiocsctty(slave).context("take the terminal")?;
    }
    // A stream that sits where another one is to go moves away first.
    let moved = streams.map(|stream| {
        stream.filter(|fd| fd.as_raw_fd() < 3).map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3))
    });
    for (target, (stream, moved)) in (0..).zip(streams.iter().zip(&moved)) {
        let moved = moved.as_ref().and_then(|fd| fd.as_ref().ok()).map(AsFd::as_fd);
        if let Some(stream) = moved.or(*stream) {
            process::dup_onto(stream, target).context("place the standard streams")?;
        }
    }
    own_streams(plan.uid, terminal.is_some());
    process::close_on_exec_from(3).context("seal descriptors")?;
    // They sit where the caller had them, and nothing of ours can have those numbers.
    plan.preserve
        .iter()
        .try_for_each(|fd| process::dup_onto(fd.as_fd(), fd.as_raw_fd()))
        .context("preserve descriptors")
}

/// Pipes and terminals are handed to the user who is to reopen them (`/dev/stdout` of a non-root image).
fn own_streams(uid: u32, terminal: bool) {
    if uid == 0 {
        return;
    }
    for number in if terminal { 0..1 } else { 0..3 } {
        let fd = process::borrow(number);
        let Ok(stat) = rustix::fs::fstat(fd) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if terminal || kind == FileType::Fifo {
            let _ = rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None); // another's pipe stays another's
        }
    }
}

/// Groups, gid, uid and capabilities. The bounding set needs CAP_SETPCAP, so it goes first; the ambient set needs
/// the permitted and inheritable ones, so it comes last.
fn change_user(plan: &ProcessPlan) -> Result<()> {
    let wanted = plan.capabilities;
    if let Some(sets) = &wanted {
        caps::bound(sets.bounding).context("drop capabilities from the bounding set")?;
    }
    if plan.uid != 0 && wanted.is_some() {
        prctl::keep_capabilities(true).context("keep capabilities")?;
    }
    set_groups(plan)?;
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .with_context(|| format!("become group {}", plan.gid))
        .hint("the id must be in the container's id map")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
        .with_context(|| format!("become user {}", plan.uid))
        .hint("the id must be in the container's id map")?;
    match wanted {
        Some(sets) => set_capabilities(&sets),
        None => Ok(()),
    }
}

/// Where `setgroups` is denied (a namespace with one id) the list cannot be changed, and nothing was asked.
fn set_groups(plan: &ProcessPlan) -> Result<()> {
    if plan.keep_groups {
        return Ok(());
    }
    let groups: Vec<Gid> = plan.groups.iter().copied().map(Gid::from_raw).collect();
    match rustix::thread::set_thread_groups(&groups) {
        Err(Errno::PERM) if groups.is_empty() => Ok(()),
        done => done.context("set the supplementary groups"),
    }
}

fn set_capabilities(sets: &Sets) -> Result<()> {
    let own = caps::get().context("read capabilities")?.permitted;
    let within = Sets {
        effective: sets.effective & own,
        permitted: sets.permitted & own,
        inheritable: sets.inheritable & own,
        ..*sets
    };
    caps::set(&within).context("set capabilities")?;
    caps::set_ambient(sets.ambient & within.permitted & within.inheritable)
        .context("set ambient capabilities")
}

/// Enters the working directory as the user, and makes sure that it lies in the container: a directory that was
/// reached through a leaked descriptor has no path from this root (CVE-2024-21626).
fn enter_cwd(plan: &ProcessPlan, entered: rustix::io::Result<()>) -> Result<()> {
    let cwd = plan.cwd.to_string_lossy();
    if entered.is_err() {
        rustix::process::chdir(plan.cwd.as_c_str())
            .with_context(|| format!("enter the working directory `{cwd}`"))
            .kind(Kind::NotExecutable)?;
    }
    let path = rustix::process::getcwd(Vec::new()).context("find the working directory")?;
    if path.to_bytes().first() != Some(&b'/') {
        bail!("the working directory `{cwd}` is outside of the container");
    }
    Ok(())
}

/// Executes the command, or dhow's own init above it.
fn run(plan: &ProcessPlan) -> Result<Never> {
    if let Some(init) = &plan.init {
        find(plan)?; // init could only say it on the container's own standard error
        let error = process::execveat(init.as_fd(), &plan.init_arguments, &plan.environment);
        return Err(error).context("execute dhow as init");
    }
    Err(exec_command(&plan.command, plan.search.as_deref(), &plan.arguments, &plan.environment))
}

/// As `execvp`, with the container's own `PATH`; gives the error of the best candidate.
pub(super) fn exec_command(
    command: &str,
    search: Option<&str>,
    arguments: &process::Strings,
    environment: &process::Strings,
) -> Error {
    let mut denied = None;
    for candidate in candidates(command, search) {
        match process::execve(&candidate, arguments, environment) {
            Errno::NOENT | Errno::NOTDIR => {}
            Errno::ACCESS => denied = Some(Errno::ACCESS),
            errno => return not_executable(command, errno),
        }
    }
    match denied {
        Some(errno) => not_executable(command, errno),
        None => not_found(command),
    }
}

fn candidates(command: &str, search: Option<&str>) -> Vec<CString> {
    const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    if command.contains('/') {
        return CString::new(command).into_iter().collect();
    }
    let dirs = search.unwrap_or(DEFAULT).split(':');
    let dirs = dirs.map(|dir| if dir.is_empty() { "." } else { dir });
    dirs.filter(|_| !command.is_empty())
        .filter_map(|dir| CString::new(format!("{dir}/{command}")).ok())
        .collect()
}

fn not_found(command: &str) -> Error {
    let message = match command.contains('/') {
        true => format!("executable `{command}`: no such file or directory"),
        false => format!("executable file `{command}` not found in $PATH"),
    };
    fail(Kind::NoCommand, message)
}

fn not_executable(command: &str, errno: Errno) -> Error {
    Error::from(errno).context(format!("execute `{command}`")).kind(Kind::NotExecutable)
}

/// Whether there is a command to execute, without doing it.
pub(super) fn find(plan: &ProcessPlan) -> Result<()> {
    let mut exists = false;
    for candidate in candidates(&plan.command, plan.search.as_deref()) {
        match rustix::fs::access(candidate.as_c_str(), rustix::fs::Access::EXEC_OK) {
            Ok(()) if is_directory(&candidate) => exists = true,
            Ok(()) => return Ok(()),
            Err(errno) => exists |= errno == Errno::ACCESS,
        }
    }
    match exists {
        true => Err(anyhow!("execute `{}`: permission denied", plan.command).kind(Kind::NotExecutable)),
        false => Err(not_found(&plan.command)),
    }
}

fn is_directory(path: &CString) -> bool {
    rustix::fs::stat(path.as_c_str())
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
