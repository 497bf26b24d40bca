//! Work in a process of its own, whose answer comes back over a pipe.
//!
//! A container can only be made by a process with one thread, so stages that are built at once, and the hashing of a
//! layer while the next step runs, are processes.

use std::fs::File;
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::error::{Context, Kind, Result, fail};
use crate::base::failure::Failure;
use crate::sys::prctl;
use crate::sys::process::{self, Forked};

/// What the process says at its end.
#[derive(Serialize, Deserialize)]
enum Answer<T> {
    Done(T),
    Failed(Failure),
}

/// A process at work. It ends with its maker.
#[derive(Debug)]
pub(super) struct Task<T> {
    pidfd: OwnedFd,
    answer: OwnedFd,
    kind: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Task<T> {
    /// Forks a process that does `work`. Nothing that this process holds is dropped in it. The calling process must be
    /// single-threaded.
    pub(super) fn start(work: impl FnOnce() -> Result<T>) -> Result<Task<T>> {
        let (answer, writer) = std::io::pipe().context("make a pipe")?;
        match process::clone3(0, None).context("fork")? {
            Forked::Parent(child) => {
                Ok(Task { pidfd: child.pidfd, answer: answer.into(), kind: PhantomData })
            }
            Forked::Child => {
                let _ = prctl::parent_death_signal(Some(rustix::process::Signal::TERM)); // best effort
                let answer = match work() {
                    Ok(value) => Answer::Done(value),
                    Err(error) => Answer::Failed(Failure::new(&error)),
                };
                let bytes = serde_json::to_vec(&answer).unwrap_or_default();
                let _ = File::from(OwnedFd::from(writer)).write_all(&bytes); // the maker is gone
                process::exit_now(0);
            }
        }
    }

    /// Waits for the end; gives what the work gave.
    pub(super) fn finish(self) -> Result<T> {
        let mut bytes = Vec::new();
        let read = File::from(self.answer).read_to_end(&mut bytes);
        let exit = process::wait(self.pidfd.as_fd()).context("wait for a part of the build")?;
        read.context("hear from a part of the build")?;
        match serde_json::from_slice(&bytes) {
            Ok(Answer::Done(value)) => Ok(value),
            Ok(Answer::Failed(failure)) => Err(failure.into_error()),
            Err(_) => {
                Err(fail(Kind::Failed, format!("a part of the build ended with status {}", exit.code())))
            }
        }
    }

    /// Asks it to end.
    pub(super) fn signal(&self, signal: i32) {
        let _ = process::pidfd_send_signal(self.pidfd.as_fd(), signal); // it may have ended
    }
}

impl<T> AsFd for Task<T> {
    /// Readable when it is about to end.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }
}
