//! A command's end of the connection to a supervisor.

use std::os::fd::OwnedFd;

use super::frame::{self, Type};
use super::{ExitInfo, client};
use crate::base::error::{Context, Explain, Result, anyhow};
use crate::base::failure::Failure;

/// A connection over which the supervisor tells how the container fares. Dropping it leaves the container alone.
#[derive(Debug)]
pub struct Handle {
    pub(super) conn: OwnedFd,
}

impl Handle {
    /// Waits until the container executes its command; its pid.
    pub fn wait_started(&mut self) -> Result<i32> {
        let mut payload = Vec::new();
        loop {
            match frame::receive(&self.conn, &mut payload, true).context("listen to the supervisor")? {
                Some(Type::Started) => return pid(&payload),
                Some(Type::Failed) => return Err(failure(&payload)),
                Some(_) => {}
                None => return Err(vanished()),
            }
        }
    }

    /// Waits for the end of the container, ignoring its output.
    pub fn wait_exit(self) -> Result<ExitInfo> {
        let mut payload = Vec::new();
        loop {
            match frame::receive(&self.conn, &mut payload, true).context("listen to the supervisor")? {
                Some(Type::Exited) => return client::exit_info(&payload),
                Some(Type::Failed) => return Err(failure(&payload)),
                Some(_) => {}
                None => return Err(vanished()),
            }
        }
    }
}

fn pid(payload: &[u8]) -> Result<i32> {
    let bytes = payload.try_into().context("read the pid from the supervisor")?;
    Ok(i32::from_ne_bytes(bytes))
}

pub(super) fn failure(payload: &[u8]) -> crate::base::error::Error {
    match serde_json::from_slice::<Failure>(payload) {
        Ok(failure) => failure.into_error(),
        Err(error) => anyhow!(error).context("read the supervisor's failure"),
    }
}

pub(super) fn vanished() -> crate::base::error::Error {
    anyhow!("the container's supervisor was killed")
        .hint("the next command on this container cleans up; its log holds what was written so far")
}
