//! `healthcheck`.

use clap::{Args, Subcommand};

use super::names;
use super::session::Session;
use crate::base::error::{Kind, Result, fail};
use crate::ops::container::health::check_now;

/// Commands about health checks
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum HealthcheckCommand {
    /// Run a container's health check once and tell by the exit code whether it is healthy: 0 or 1
    Run(HealthcheckRunArgs),
}

impl HealthcheckCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            HealthcheckCommand::Run(args) => args.run(session),
        }
    }
}

/// Run a container's health check once and tell by the exit code whether it is healthy: 0 or 1
#[derive(Debug, Args)]
pub struct HealthcheckRunArgs {
    /// Name or id
    #[arg(add = names::containers())]
    container: String,
}

impl HealthcheckRunArgs {
    /// Checks; the state is printed where it is not healthy.
    pub fn run(self, session: &Session) -> Result<()> {
        let health = check_now(session.ops()?, &self.container)?;
        if health.log.last().is_some_and(|entry| entry.exit_code == 0) {
            return Ok(());
        }
        session.out.now(&health.status)?;
        Err(fail(Kind::Exited(1), "the health check failed"))
    }
}
