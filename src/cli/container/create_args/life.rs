//! Name, life and records of the container.

use std::path::PathBuf;

use clap::Args;

use crate::cli::names;
use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
pub(super) struct LifeArgs {
    /// Name of the container; a made-up one otherwise
    #[arg(long)]
    name: Option<String>,
    /// Remove a container of the same name first
    #[arg(long)]
    replace: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Start it again when it ends: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Containers that must run before this one
    #[arg(long, value_name = "CONTAINER", value_delimiter = ',', add = names::containers())]
    requires: Vec<String>,
    /// Label: KEY=VALUE
    #[arg(short, long)]
    label: Vec<String>,
    /// File with a label on each line
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    label_file: Vec<PathBuf>,
    /// Annotation for the runtime: KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
    /// Write the container's id to this file
    #[arg(long, value_name = "PATH")]
    cidfile: Option<PathBuf>,
    /// Write the pid of the container's first process to this file
    #[arg(long, value_name = "PATH")]
    pidfile: Option<PathBuf>,
    /// Kill the container after so many seconds; 0 is never
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Signal that `stop` sends
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds that `stop` waits before it kills; -1 is for ever
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    stop_timeout: Option<i64>,
    /// How the container tells systemd that it is ready: container, conmon, healthy or ignore
    #[arg(long, value_name = "MODE", hide = true)]
    sdnotify: Option<String>,
    /// Where the log goes: k8s-file, json-file, journald, none or passthrough
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Option of the log: path=PATH, max-size=SIZE or tag=TEXT
    #[arg(long, value_name = "KEY=VALUE")]
    log_opt: Vec<String>,
}

impl LifeArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.name = self.name;
        options.replace = self.replace;
        options.rm = self.rm;
        options.restart = self.restart;
        options.requires = self.requires;
        options.label = self.label;
        options.label_file = self.label_file;
        options.annotation = self.annotation;
        options.cidfile = self.cidfile;
        options.pidfile = self.pidfile;
        options.timeout = self.timeout;
        options.stop_signal = self.stop_signal;
        options.stop_timeout = self.stop_timeout;
        options.sdnotify = self.sdnotify;
        options.log_driver = self.log_driver;
        options.log_opt = self.log_opt;
    }
}
