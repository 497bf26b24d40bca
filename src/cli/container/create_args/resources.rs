//! Limits.

use clap::Args;

use crate::ops::create::CreateOptions;

/// Limits of a container.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct ResourceArgs {
    /// Memory: a size such as 512m
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory that is kept under pressure
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1 for unlimited swap
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_swap: Option<String>,
    /// How readily memory is swapped: 0 to 100 (control groups v1)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    memory_swappiness: Option<i64>,
    /// Never kill it for memory (control groups v1)
    #[arg(long)]
    oom_kill_disable: bool,
    /// Number of processors, such as 1.5
    #[arg(long, value_name = "N")]
    cpus: Option<String>,
    /// Share of processor time, relative to 1024
    #[arg(short = 'c', long, value_name = "N")]
    cpu_shares: Option<u64>,
    /// Period of the processor limit, microseconds
    #[arg(long, value_name = "N")]
    cpu_period: Option<u64>,
    /// Processor time in each period, microseconds
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Period of real-time tasks, microseconds (control groups v1)
    #[arg(long, value_name = "N")]
    cpu_rt_period: Option<u64>,
    /// Time of real-time tasks in each period, microseconds (control groups v1)
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Processors to run on: 0-3,5
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Number of processes; 0 or -1 for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Share of disk time: 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<String>,
    /// The same for one device: DEVICE:WEIGHT
    #[arg(long, value_name = "DEVICE:N", value_delimiter = ',')]
    blkio_weight_device: Vec<String>,
    /// Bytes a second read from a device: DEVICE:SIZE
    #[arg(long, value_name = "DEVICE:SIZE", value_delimiter = ',')]
    device_read_bps: Vec<String>,
    /// Reads a second from a device: DEVICE:N
    #[arg(long, value_name = "DEVICE:N", value_delimiter = ',')]
    device_read_iops: Vec<String>,
    /// Bytes a second written to a device: DEVICE:SIZE
    #[arg(long, value_name = "DEVICE:SIZE", value_delimiter = ',')]
    device_write_bps: Vec<String>,
    /// Writes a second to a device: DEVICE:N
    #[arg(long, value_name = "DEVICE:N", value_delimiter = ',')]
    device_write_iops: Vec<String>,
    /// File of the control group: NAME=VALUE (v2)
    #[arg(long, value_name = "NAME=VALUE")]
    cgroup_conf: Vec<String>,
    /// Control group under which the container's is made
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Whether it has a control group: enabled, disabled, no-conmon or split
    #[arg(long, value_name = "MODE")]
    cgroups: Option<String>,
}

impl ResourceArgs {
    /// What was typed.
    pub fn fill(self, options: &mut CreateOptions) {
        options.memory = self.memory;
        options.memory_reservation = self.memory_reservation;
        options.memory_swap = self.memory_swap;
        options.memory_swappiness = self.memory_swappiness;
        options.oom_kill_disable = self.oom_kill_disable;
        options.cpus = self.cpus;
        options.cpu_shares = self.cpu_shares;
        options.cpu_period = self.cpu_period;
        options.cpu_quota = self.cpu_quota;
        options.cpu_rt_period = self.cpu_rt_period;
        options.cpu_rt_runtime = self.cpu_rt_runtime;
        options.cpuset_cpus = self.cpuset_cpus;
        options.cpuset_mems = self.cpuset_mems;
        options.pids_limit = self.pids_limit;
        options.blkio_weight = self.blkio_weight;
        options.blkio_weight_device = self.blkio_weight_device;
        options.device_read_bps = self.device_read_bps;
        options.device_read_iops = self.device_read_iops;
        options.device_write_bps = self.device_write_bps;
        options.device_write_iops = self.device_write_iops;
        options.cgroup_conf = self.cgroup_conf;
        options.cgroup_parent = self.cgroup_parent;
        options.cgroups = self.cgroups;
    }
}
