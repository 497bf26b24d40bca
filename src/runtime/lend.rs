//! A mount of a running container for another one: only a process in its mount namespace can make the copy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::stage::give_up;
use super::sync::{Channel, Tag};
use crate::base::error::{Context, Result};
use crate::sys::process::{self, Forked, flags};
use crate::sys::{mount, prctl};

/// A detached copy of the mount at `path` as the process behind the pidfd sees it.
pub fn mount_of(pidfd: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    let (ours, theirs) = Channel::pair()?;
    let child = match process::clone3(0, None).context("fork")? {
        Forked::Child => {
            match copy(pidfd, path).and_then(|fd| theirs.send_with(Tag::Ready, &[], &[fd.as_fd()])) {
                Ok(()) => process::exit_now(0),
                Err(error) => give_up(&theirs, &error),
            }
        }
        Forked::Parent(child) => child,
    };
    drop(theirs);
    let message = ours.expect(Tag::Ready);
    process::wait(child.pidfd.as_fd()).context("wait for the lender of a mount")?;
    message?.fds.into_iter().next().context("receive a mount")
}

fn copy(pidfd: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    prctl::not_dumpable().context("protect the joining process")?; // CVE-2016-9962
    process::setns(pidfd, flags::NEWNS).context("join the mount namespace of another container")?;
    mount::clone_path(path, false).with_context(|| format!("copy the mount `{}`", path.display()))
}
