//! The fork that leaves a supervisor behind.

use super::{Handle, Plan, supervise};
use crate::base::error::{Context, Result};
use crate::sys::{fork, socket};

/// Forks the supervisor, which launches the container; see [`Handle::wait_started`] for how that went.
///
/// The calling process must be single-threaded. Its copies of the plan's lock, descriptors and [`super::Lifecycle`] are
/// dropped here: dropping them must close them and nothing more. The lock stays taken, by the supervisor.
pub fn spawn(plan: Plan) -> Result<Handle> {
    let (mine, theirs) = socket::pair()?;
    match fork::fork().context("start the container's supervisor")? {
        Some(_) => Ok(Handle { conn: mine }),
        None => supervise::run(plan, theirs),
    }
}
