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
    /// Time between checks within the start period
    #[arg(long, value_name = "DURATION")]
    health_start_interval: Option<String>,
    /// Command that must pass before the checks proper begin
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    health_startup_cmd: Option<String>,
    /// Time between start-up checks
    #[arg(long, value_name = "DURATION")]
    health_startup_interval: Option<String>,
    /// Start-up failures after which the container is restarted; 0 is never
    #[arg(long, value_name = "N")]
    health_startup_retries: Option<u32>,
    /// Start-up successes in a row that are enough
    #[arg(long, value_name = "N")]
    health_startup_success: Option<u32>,
    /// Time that a start-up check may take
    #[arg(long, value_name = "DURATION")]
    health_startup_timeout: Option<String>,
    /// Where the outcome of checks is kept: local, events_logger or a directory
    #[arg(long, value_name = "DESTINATION")]
    health_log_destination: Option<String>,
    /// How many checks are remembered (default 5); 0 is all
    #[arg(long, value_name = "N")]
    health_max_log_count: Option<u32>,
    /// How many characters of a check's output are remembered (default 500); 0 is all
    #[arg(long, value_name = "N")]
    health_max_log_size: Option<u32>,
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
        options.health_start_interval = self.health_start_interval;
        options.health_startup_cmd = self.health_startup_cmd;
        options.health_startup_interval = self.health_startup_interval;
        options.health_startup_retries = self.health_startup_retries;
        options.health_startup_success = self.health_startup_success;
        options.health_startup_timeout = self.health_startup_timeout;
        options.health_log_destination = self.health_log_destination;
        options.health_max_log_count = self.health_max_log_count;
        options.health_max_log_size = self.health_max_log_size;
        options.no_healthcheck = self.no_healthcheck;
    }
}
