//! Health checks.

use clap::Args;

use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Health")]
pub(super) struct HealthArgs {
    /// Command that tells whether the container is well
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    health_cmd: Option<String>,
    /// Time between checks
    #[arg(long, value_name = "DURATION")]
    health_interval: Option<String>,
    /// Failures in a row that make it unhealthy
    #[arg(long, value_name = "N")]
    health_retries: Option<u32>,
    /// Time in which failures do not count
    #[arg(long, value_name = "DURATION")]
    health_start_period: Option<String>,
    /// Time that a check may take
    #[arg(long, value_name = "DURATION")]
    health_timeout: Option<String>,
    /// What to do when it is unhealthy: none, kill, restart or stop
    #[arg(long, value_name = "ACTION")]
    health_on_failure: Option<String>,
    /// Leave the image's health check out
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.health_cmd = self.health_cmd;
        options.health_interval = self.health_interval;
        options.health_retries = self.health_retries;
        options.health_start_period = self.health_start_period;
        options.health_timeout = self.health_timeout;
        options.health_on_failure = self.health_on_failure;
        options.no_healthcheck = self.no_healthcheck;
    }
}
