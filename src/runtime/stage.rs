//! The process in between: joins namespaces, then makes the container's process as a child of its own parent.
//!
//! Needed where a namespace decides how others are made: in a joined user namespace the new ones must be made
//! after the join (they would belong to the caller's otherwise), and a pid namespace is joined by children only.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::child;
use super::container::ContainerPlan;
use super::launch::{self, Entry};
use super::sync::{Channel, Tag};
use crate::base::error::{Context, Error, Result, bail};
use crate::sys::process::{self, ChildProcess, Forked, flags};
use crate::sys::{prctl, userns};

/// Joins, forks the container's process with the caller's parent as its parent, says its pid, ends.
pub(super) fn run(plan: &ContainerPlan, channel: &Channel, other: &Channel, entry: Entry) -> ! {
    let new = plan.new & !flags::NEWTIME & !launch::later(entry);
    let forked = prepare(plan)
        .and_then(|()| fork_in_turn(new | flags::PARENT).context("make the container's namespaces"));
    match forked {
        Ok(Forked::Child) => child::run(plan, channel, other, entry),
        Ok(Forked::Parent(process)) => report(channel, &process),
        Err(error) => give_up(channel, &error),
    }
}

/// Forks a process that speaks only after this one has said its pid and ended: both write to one channel.
pub(super) fn fork_in_turn(flags: u64) -> Result<Forked> {
    use std::os::fd::IntoRawFd;
    let (turn, mine) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context("make a pipe")?;
    let forked = process::clone3(flags, None)?;
    if matches!(forked, Forked::Child) {
        drop(mine);
        let _ = rustix::io::retry_on_intr(|| rustix::io::read(&turn, &mut [0u8; 1])); // its end is the message
    } else {
        let _ = mine.into_raw_fd(); // closed by this process's end
    }
    Ok(forked)
}

fn prepare(plan: &ContainerPlan) -> Result<()> {
    // Once a container's namespaces are joined its processes must not be able to trace this one, which still
    // has the host's descriptors (CVE-2016-9962).
    prctl::not_dumpable().context("protect the joining process")?;
    if plan.new & flags::NEWTIME != 0 {
        process::unshare(flags::NEWTIME).context("make a time namespace")?;
        if let Some(offsets) = &plan.time_offsets {
            let path = std::path::Path::new("/proc/self/timens_offsets");
            userns::write_proc(path, offsets.as_bytes()).context("set time offsets")?;
        }
    }
    join_all(&plan.join)
}

/// Joins namespaces: those of the caller's user namespace before that is left, those of the new one after.
pub(super) fn join_all(join: &[(u64, OwnedFd)]) -> Result<()> {
    let mut later: Vec<(u64, BorrowedFd<'_>)> = Vec::new();
    for (flag, fd) in join {
        if *flag == flags::NEWUSER {
            continue;
        }
        match process::setns(fd.as_fd(), *flag) {
            Ok(()) => {}
            Err(Errno::PERM) => later.push((*flag, fd.as_fd())),
            Err(errno) => return Err(errno).with_context(|| format!("join {}", name(*flag))),
        }
    }
    if let Some((flag, fd)) = join.iter().find(|(flag, _)| *flag == flags::NEWUSER) {
        process::setns(fd.as_fd(), *flag).context("join the user namespace")?;
    }
    for (flag, fd) in later {
        process::setns(fd, flag).with_context(|| format!("join {}", name(flag)))?;
    }
    Ok(())
}

fn name(flag: u64) -> &'static str {
    match flag {
        flags::NEWNET => "the network namespace",
        flags::NEWPID => "the pid namespace",
        flags::NEWIPC => "the ipc namespace",
        flags::NEWUTS => "the uts namespace",
        flags::NEWCGROUP => "the cgroup namespace",
        flags::NEWUSER => "the user namespace",
        _ => "a namespace",
    }
}

/// Tells the parent which process it has got, and ends.
pub(super) fn report(channel: &Channel, process: &ChildProcess) -> ! {
    let sent = channel.send_with(Tag::Child, &process.pid.to_ne_bytes(), &[process.pidfd.as_fd()]);
    process::exit_now(i32::from(sent.is_err()))
}

/// Tells the parent why there is no process, and ends.
pub(super) fn give_up(channel: &Channel, error: &Error) -> ! {
    channel.fail(error);
    process::exit_now(125)
}

/// The parent's side of [`report`]: takes the new child over from the process in between.
pub(super) fn adopt(channel: &Channel, between: ChildProcess) -> Result<ChildProcess> {
    let message = channel.expect(Tag::Child);
    process::wait(between.pidfd.as_fd()).context("wait for the joining process")?;
    let message = message?;
    let pid = message.body.as_slice().try_into().map(i32::from_ne_bytes);
    match (pid, message.fds.into_iter().next()) {
        (Ok(pid), Some(pidfd)) => Ok(ChildProcess { pid, pidfd }),
        _ => bail!("the joining process reported no child"),
    }
}
