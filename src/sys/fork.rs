//! `fork` without exec: how a command leaves a small process of itself behind.
#![expect(unsafe_code, reason = "fork, _exit and closing descriptors by number have no safe wrapper")]

use std::os::fd::RawFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::base::error::{Context, Result, bail};

/// Forks; `None` in the child. The process must have one thread only: another one's locks (the allocator's too)
/// would stay held for ever in the child.
pub fn fork() -> Result<Option<Pid>> {
    // SAFETY: the callers are single-threaded (stated above), so the child may go on running any code; it ends
    // by `exit_now` or exec and never returns into frames that would release the parent's resources twice.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(std::io::Error::last_os_error()).context("fork");
    }
    Ok(Pid::from_raw(pid))
}

/// Ends this process at once: no destructors, no exit handlers (they belong to the process that forked).
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit is always allowed and does not return.
    unsafe { libc::_exit(status) }
}

/// Leaves the caller's session: own session, `/` as working directory, and standard streams on `/dev/null`.
pub fn detach() -> Result<()> {
    rustix::process::setsid().context("start a session")?;
    rustix::process::chdir("/").context("change to `/`")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open `/dev/null`")?;
    rustix::stdio::dup2_stdin(&null).context("replace standard input")?;
    rustix::stdio::dup2_stdout(&null).context("replace standard output")?;
    rustix::stdio::dup2_stderr(&null).context("replace standard error")
}

/// Closes every descriptor from 3 upward that is not listed.
///
/// Only for a process that was just forked: whoever owns a closed descriptor must never run again in it.
pub fn close_all_but(keep: &[RawFd]) -> Result<()> {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut from = 3;
    for fd in keep {
        close_range(from, fd.wrapping_sub(1))?;
        from = fd + 1;
    }
    close_range(from, u32::MAX)
}

/// Closes descriptors by number: ones that were inherited for somebody else and belong to no value here.
pub fn close(fds: &[RawFd]) {
    for &fd in fds.iter().filter(|fd| **fd > 2) {
        // SAFETY: closing a number touches no memory; the caller says that no value owns it.
        unsafe { libc::close(fd) };
    }
}

/// `close_range` (Linux 5.9), or one close a number where the kernel or a filter does not know it.
fn close_range(first: u32, last: u32) -> Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: three numbers, no memory; the caller gave up the descriptors in the range (see `close_all_but`).
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return Ok(());
    }
    for fd in open_descriptors()?.into_iter().filter(|fd| (first..=last).contains(fd)) {
        // SAFETY: as above; a number that is not open gives EBADF, which is fine.
        unsafe { libc::close(fd.cast_signed()) };
    }
    Ok(())
}

fn open_descriptors() -> Result<Vec<u32>> {
    let entries = crate::base::fs::read_dir(std::path::Path::new("/proc/self/fd"))?;
    if entries.is_empty() {
        bail!("list the open descriptors: `/proc` is not mounted");
    }
    Ok(entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Gives the pages of the stack below this frame back to the kernel: what deep calls of the past have touched.
///
/// A process that lives for days should not hold what parsing its command line once needed.
#[inline(never)]
pub fn trim_stack() {
    const MARGIN: usize = 32 << 10;
    const DEPTH: usize = 2 << 20;
    let here = 0u8;
    let page = rustix::param::page_size();
    let top = ((&raw const here) as usize - MARGIN) & !(page - 1);
    // SAFETY: the range lies below every live frame and its red zone (MARGIN is far larger than what this call
    // needs), on the main thread's stack, which grows down; dropped pages come back as zeroes when touched.
    // Where part of the range was never mapped madvise gives ENOMEM after doing the mapped part.
    unsafe { libc::madvise((top - DEPTH) as *mut libc::c_void, DEPTH, libc::MADV_DONTNEED) };
}
