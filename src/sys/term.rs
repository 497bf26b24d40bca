//! The caller's own terminal: raw mode that is undone on every way out, and job control.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;

use rustix::io::{Errno, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::termios::{OptionalActions, OutputModes, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

use crate::base::error::{Context, Result};

pub use super::pty::size;

/// Whether the descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    isatty(fd)
}

/// Whether this process may read the terminal without being stopped: it is in the foreground process group,
/// or the terminal is not its controlling one (nobody would stop it then).
pub fn in_foreground(terminal: impl AsFd) -> bool {
    match tcgetpgrp(terminal) {
        Ok(group) => group == rustix::process::getpgrp(),
        Err(Errno::NOTTY) => true,
        Err(_) => false,
    }
}

/// The terminal that is raw now, with what it was before: for the panic hook, which has no other way to it.
static RAW: Mutex<Option<Saved>> = Mutex::new(None);

struct Saved {
    terminal: OwnedFd,
    before: Termios,
}

/// A terminal in raw mode until this is dropped; a panic undoes it as well.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Makes the terminal raw: every key goes to the reader as it is typed.
    pub fn enter(terminal: impl AsFd) -> Result<RawMode> {
        let terminal = fcntl_dupfd_cloexec(terminal, 3).context("duplicate the terminal")?;
        let before = tcgetattr(&terminal).context("read the terminal's mode")?;
        make_raw(&terminal, &before)?;
        if let Ok(mut slot) = RAW.lock() {
            *slot = Some(Saved { terminal, before });
        }
        restore_on_panic();
        Ok(RawMode(()))
    }

    /// Undoes raw mode for a while, so that a shell finds its terminal as it left it.
    pub fn suspend(&self) {
        restore();
    }

    /// Makes the terminal raw again after [`RawMode::suspend`].
    pub fn resume(&self) -> Result<()> {
        match RAW.lock() {
            Ok(slot) => slot.as_ref().map_or(Ok(()), |saved| make_raw(&saved.terminal, &saved.before)),
            Err(_) => Ok(()),
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
        if let Ok(mut slot) = RAW.lock() {
            slot.take();
        }
    }
}

fn make_raw(terminal: &OwnedFd, before: &Termios) -> Result<()> {
    let mut raw = before.clone();
    raw.make_raw();
    // The line discipline of the container's own terminal makes newlines; ours must not add to them, which is
    // what cfmakeraw's cleared OPOST says already. Stated here since a staircase on screen is how it shows.
    raw.output_modes.remove(OutputModes::OPOST);
    set_mode(terminal, &raw).context("make the terminal raw")
}

/// Waiting for output to drain can be interrupted by a signal; the mode must be set all the same.
fn set_mode(terminal: &OwnedFd, mode: &Termios) -> rustix::io::Result<()> {
    retry_on_intr(|| tcsetattr(terminal, OptionalActions::Drain, mode))
}

fn restore() {
    // try_lock: a panic while the lock is held must not hang in the hook.
    if let Ok(slot) = RAW.try_lock()
        && let Some(saved) = slot.as_ref()
    {
        let _ = set_mode(&saved.terminal, &saved.before); // nobody left to tell
    }
}

/// Release builds abort on panic, so no destructor runs: only a hook can put the terminal right.
fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let then = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            then(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::LocalModes;

    #[test]
    fn raw_mode_ends_with_its_guard() {
        let pair = crate::sys::pty::open().unwrap();
        let echo = || tcgetattr(&pair.slave).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echo());
        let raw = RawMode::enter(&pair.slave).unwrap();
        assert!(!echo());
        raw.suspend();
        assert!(echo());
        raw.resume().unwrap();
        assert!(!echo());
        drop(raw);
        assert!(echo());
    }
}
