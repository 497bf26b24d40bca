//! Waiting: `poll`, `epoll`, signals by way of a self-pipe, `inotify`.
#![expect(unsafe_code, reason = "sigaction and epoll's event data have no safe wrapper in rustix")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::process;
use crate::base::error::{Context, Result};

pub use rustix::event::epoll::EventFlags;

fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    timeout.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    })
}

/// Waits until one of the descriptors is ready or the time is over; a signal ends the wait as the time does.
///
/// Gives for each descriptor what is ready.
pub fn wait_any(
    fds: &[(BorrowedFd<'_>, PollFlags)],
    timeout: Option<Duration>,
) -> io::Result<Vec<PollFlags>> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
    match poll(&mut polled, timespec(timeout).as_ref()) {
        Ok(_) => Ok(polled.iter().map(PollFd::revents).collect()),
        Err(Errno::INTR) => Ok(vec![PollFlags::empty(); fds.len()]),
        Err(error) => Err(error.into()),
    }
}

/// An epoll instance whose events carry a number.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<epoll::Event>,
}

impl std::fmt::Debug for Epoll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Epoll").field(&self.fd).finish()
    }
}

impl Epoll {
    /// Makes an instance.
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll { fd: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(16) })
    }

    /// Watches a descriptor.
    pub fn add(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.fd, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Changes what a descriptor is watched for.
    pub fn modify(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.fd, fd, epoll::EventData::new_u64(token), flags)?)
    }

    /// Ends the watch of a descriptor.
    pub fn delete(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.fd, fd)?)
    }

    /// Waits; fills `ready` with at most 16 pairs of token and what is ready. A signal gives none.
    pub fn wait(&mut self, ready: &mut Vec<(u64, EventFlags)>, timeout: Option<Duration>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        match epoll::wait(&self.fd, spare_capacity(&mut self.events), timespec(timeout).as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| ({ event.data }.u64(), { event.flags })));
        Ok(())
    }
}

/// The write end of the self-pipe of [`Signals`]; -1 when no signals are caught.
static PIPE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn note(signal: libc::c_int) {
    let pipe = PIPE.load(Ordering::Relaxed);
    let byte = signal as u8;
    // SAFETY: errno is saved around the only call, write(2), which POSIX lists as async-signal-safe; the buffer
    // is one live byte. A full pipe (non-blocking) or a closed one loses the note, never more.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(pipe, (&raw const byte).cast(), 1);
        *libc::__errno_location() = errno;
    }
}

/// Signals caught, as bytes to read: a blocking call is interrupted (no `SA_RESTART`), a poll wakes up.
///
/// At most one instance at a time. Dropping it restores the dispositions of before. An exec resets handlers to the
/// default by itself, so (unlike ignored ones) they do not leak into programs.
#[derive(Debug)]
pub struct Signals {
    pipe: OwnedFd,
    _write: OwnedFd,
    before: Vec<(i32, Before)>,
}

struct Before(libc::sigaction);

impl std::fmt::Debug for Before {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sigaction")
    }
}

impl Signals {
    /// Catches these signals.
    pub fn catch(signals: &[i32]) -> Result<Signals> {
        let (pipe, write) =
            pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).context("make a pipe for signals")?;
        PIPE.store(write.as_raw_fd(), Ordering::Relaxed);
        let mut caught = Signals { pipe, _write: write, before: Vec::new() };
        for &signal in signals {
            let handler = note as extern "C" fn(libc::c_int);
            if let Some(before) = set_action(signal, handler as libc::sighandler_t) {
                caught.before.push((signal, Before(before)));
            }
        }
        Ok(caught)
    }

    /// The next signal that came, if any.
    pub fn next(&self) -> Option<i32> {
        let mut byte = [0u8; 1];
        match rustix::io::read(&self.pipe, &mut byte) {
            Ok(1) => Some(byte[0].into()),
            _ => None,
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // SAFETY: the action was given by sigaction for this very signal; no old one is asked for.
            unsafe { libc::sigaction(*signal, &before.0, std::ptr::null_mut()) };
        }
        PIPE.store(-1, Ordering::Relaxed);
    }
}

/// Sets a handler without `SA_RESTART`; gives the action of before, `None` for a signal that cannot be caught.
fn set_action(signal: i32, handler: libc::sighandler_t) -> Option<libc::sigaction> {
    // SAFETY: an all-zero sigaction is valid (empty mask, no flags); both pointers are to live values; the handler
    // is SIG_DFL, SIG_IGN or `note`, which is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let mut before: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        (libc::sigaction(signal, &action, &mut before) == 0).then_some(before)
    }
}

/// Ignores a signal.
pub fn ignore_signal(signal: i32) {
    set_action(signal, libc::SIG_IGN);
}

/// Sends a signal to this process with its default action, which for most ends it here; a stop signal returns
/// once the process was continued.
///
/// It goes to this very thread: `kill` may pick another one, and this one would run on until that is scheduled.
pub fn die_of(signal: i32) {
    let before = set_action(signal, libc::SIG_DFL);
    // SAFETY: plain calls on this process with valid values; the signal is unblocked so that it acts at once.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(signal);
        if let Some(before) = before {
            libc::sigaction(signal, &before, std::ptr::null_mut());
        }
    }
}

/// Sends a signal through a pidfd; a process that is gone already is fine.
pub fn pidfd_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    match process::pidfd_send_signal(pidfd.as_fd(), signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Watches one file for changes.
#[derive(Debug)]
pub struct FileWatch(OwnedFd);

impl FileWatch {
    /// Watches the file for writes and for being replaced.
    pub fn new(path: &Path) -> io::Result<FileWatch> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let flags = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::ATTRIB
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::DELETE_SELF;
        inotify::add_watch(&fd, path, flags)?;
        Ok(FileWatch(fd))
    }

    /// Waits for a change, or for the time to be over.
    pub fn wait(&self, timeout: Duration) -> io::Result<()> {
        wait_any(&[(self.0.as_fd(), PollFlags::IN)], Some(timeout))?;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(&self.0, &mut buffer).is_ok_and(|(read, _)| read.len() == buffer_size()) {}
        Ok(())
    }
}

const fn buffer_size() -> usize {
    4096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfd_signal_ends_a_process() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        pidfd_signal(&pidfd, 9).unwrap();
        assert!(!child.wait().unwrap().success());
        pidfd_signal(&pidfd, 9).unwrap();
    }

    #[test]
    fn epoll_gives_the_token_back() {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut epoll = Epoll::new().unwrap();
        epoll.add(&read, 42, EventFlags::IN).unwrap();
        let mut ready = Vec::new();
        epoll.wait(&mut ready, Some(Duration::ZERO)).unwrap();
        assert!(ready.is_empty());
        rustix::io::write(&write, b"x").unwrap();
        epoll.wait(&mut ready, None).unwrap();
        assert_eq!(ready, [(42, EventFlags::IN)]);
    }
}
