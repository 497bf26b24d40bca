//! Signals that end a build: heard by the process that leads it, and by each stage's.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};

use crate::base::error::{Context, Result};
use crate::sys::event::Signals;

/// What ends a build.
const ENDING: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

/// The signals that came.
#[derive(Debug)]
pub(super) struct Watch(RefCell<Signals>);

impl Watch {
    /// Catches them from now on.
    pub(super) fn new() -> Result<Watch> {
        Ok(Watch(RefCell::new(Signals::catch(&ENDING)?)))
    }

    /// In a process that was forked: hears its own signals, not those of its maker.
    pub(super) fn renew(&self) -> Result<()> {
        std::mem::forget(self.0.replace(Signals::catch(&ENDING)?)); // its drop would undo what was just set
        Ok(())
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<i32> {
        self.0.borrow().next()
    }

    /// Readable when one came.
    pub(super) fn fd(&self) -> Result<OwnedFd> {
        self.0.borrow().as_fd().try_clone_to_owned().context("duplicate a descriptor")
    }
}
