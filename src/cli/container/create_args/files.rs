//! What is mounted in the container, and its devices.

use clap::Args;

use crate::cli::names;
use crate::cli::values::go_bool;
use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileArgs {
    /// Directory or volume to show: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, add = names::volumes())]
    volume: Vec<String>,
    /// The same, spelt out: type=bind,source=…,target=…
    #[arg(long)]
    mount: Vec<String>,
    /// Fresh memory at a directory: DIR[:OPTIONS]
    #[arg(long, value_name = "DIR")]
    tmpfs: Vec<String>,
    /// Mount what another container has mounted: CONTAINER[:OPTIONS]
    #[arg(long, value_name = "CONTAINER", value_delimiter = ',', add = names::containers())]
    volumes_from: Vec<String>,
    /// Driver of the volumes that are made on demand
    #[arg(long, value_name = "DRIVER")]
    volume_driver: Option<String>,
    /// Let nothing be written to the root file system
    #[arg(long)]
    read_only: bool,
    /// With --read-only, keep /tmp, /run, /var/tmp and /dev/shm writable (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// Size of each tmpfs that --systemd makes: /run, /run/lock, /tmp and /var/log/journal
    #[arg(long, value_name = "SIZE")]
    shm_size_systemd: Option<String>,
    #[arg(long, value_name = "OPTION", hide = true)]
    storage_opt: Vec<String>,
    /// Device of the host: PATH[:TARGET][:rwm]
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Rule for devices: TYPE MAJOR:MINOR rwm
    #[arg(long, value_name = "RULE")]
    device_cgroup_rule: Vec<String>,
}

impl FileArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) {
        options.volume = self.volume;
        options.mount = self.mount;
        options.tmpfs = self.tmpfs;
        options.volumes_from = self.volumes_from;
        options.volume_driver = self.volume_driver;
        options.read_only = self.read_only;
        options.read_only_tmpfs = self.read_only_tmpfs;
        options.shm_size = self.shm_size;
        options.shm_size_systemd = self.shm_size_systemd;
        options.storage_opt = self.storage_opt;
        options.device = self.device;
        options.device_cgroup_rule = self.device_cgroup_rule;
    }
}
