//! What the commands of `RUN` have.

use clap::Args;

use crate::base::error::{Kind, Result, fail};
use crate::cli::values::go_bool;
use crate::ops::build::BuildOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Commands of RUN")]
pub(in crate::cli::image) struct RunArgs {
    /// Network of RUN: none, host, private or another mode of `run`
    #[arg(long, alias = "net", value_name = "MODE")]
    pub(in crate::cli::image) network: Vec<String>,
    /// Line of /etc/hosts: NAME:IP
    #[arg(long, value_name = "HOST:IP", value_delimiter = ',')]
    pub(in crate::cli::image) add_host: Vec<String>,
    /// Name server
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(in crate::cli::image) dns: Vec<String>,
    /// Option of resolv.conf
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_delimiter = ',')]
    pub(in crate::cli::image) dns_option: Vec<String>,
    /// Domain to search
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    pub(in crate::cli::image) dns_search: Vec<String>,
    /// Leave /etc/hosts alone
    #[arg(long)]
    pub(in crate::cli::image) no_hosts: bool,
    /// Leave /etc/hostname alone
    #[arg(long)]
    pub(in crate::cli::image) no_hostname: bool,
    /// Pass the caller's proxy variables to RUN (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) http_proxy: Option<bool>,
    /// Directory of the host for RUN: DIR:TARGET[:OPTIONS]
    #[arg(short, long, value_name = "VOLUME")]
    pub(in crate::cli::image) volume: Vec<String>,
    /// Device of the host for RUN
    #[arg(long, value_name = "DEVICE")]
    pub(in crate::cli::image) device: Vec<String>,
    /// Capability to add, or `all`
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    pub(in crate::cli::image) cap_add: Vec<String>,
    /// Capability to drop, or `all`
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    pub(in crate::cli::image) cap_drop: Vec<String>,
    /// seccomp=…, no-new-privileges, label=…, apparmor=…
    #[arg(long, value_name = "OPTION")]
    pub(in crate::cli::image) security_opt: Vec<String>,
    /// Allow a Dockerfile this: security.insecure
    #[arg(long, value_name = "RIGHT", value_delimiter = ',')]
    pub(in crate::cli::image) allow: Vec<String>,
    /// Further groups of RUN
    #[arg(long, value_name = "GROUP")]
    pub(in crate::cli::image) group_add: Vec<String>,
    /// Resource limit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT", value_delimiter = ',')]
    pub(in crate::cli::image) ulimit: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli::image) shm_size: Option<String>,
    /// Memory: a size such as 512m
    #[arg(short, long, value_name = "SIZE")]
    pub(in crate::cli::image) memory: Option<String>,
    /// Memory and swap together
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub(in crate::cli::image) memory_swap: Option<String>,
    /// Share of processor time, relative to 1024
    #[arg(short = 'c', long, value_name = "N")]
    pub(in crate::cli::image) cpu_shares: Option<u64>,
    /// Period of the processor limit, microseconds
    #[arg(long, value_name = "N")]
    pub(in crate::cli::image) cpu_period: Option<u64>,
    /// Processor time in each period, microseconds
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(in crate::cli::image) cpu_quota: Option<i64>,
    /// Processors to run on: 0-3,5
    #[arg(long, value_name = "LIST")]
    pub(in crate::cli::image) cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    pub(in crate::cli::image) cpuset_mems: Option<String>,
    /// Control group under which those of RUN are made
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) cgroup_parent: Option<String>,
    /// Process ids: private or host
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli::image) pid: Option<String>,
    /// Shared memory: private or host
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli::image) ipc: Option<String>,
    /// Host name: private or host
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli::image) uts: Option<String>,
    /// Control groups: private or host
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli::image) cgroupns: Option<String>,
    /// How RUN is isolated: oci or default
    #[arg(long, value_name = "TYPE", value_parser = ["oci", "default"])]
    pub(in crate::cli::image) isolation: Option<String>,
    /// Users: host
    #[arg(long, value_name = "MODE", value_parser = ["host"])]
    pub(in crate::cli::image) userns: Option<String>,
}

impl RunArgs {
    pub(in crate::cli::image) fn fill(self, options: &mut BuildOptions) -> Result<()> {
        for right in &self.allow {
            match right.as_str() {
                "security.insecure" => options.insecure = true,
                "network.host" => {} // RUN may ask for the host's network, as with Podman
                _ => return Err(fail(Kind::Usage, format!("`--allow {right}` is not known"))),
            }
        }
        let run = &mut options.run;
        run.network = self.network;
        run.add_host = self.add_host;
        run.dns = self.dns;
        run.dns_option = self.dns_option;
        run.dns_search = self.dns_search;
        run.no_hosts = self.no_hosts;
        run.no_hostname = self.no_hostname;
        run.http_proxy = self.http_proxy;
        run.volume = self.volume;
        run.device = self.device;
        run.cap_add = self.cap_add;
        run.cap_drop = self.cap_drop;
        run.security_opt = self.security_opt;
        run.group_add = self.group_add;
        run.ulimit = self.ulimit;
        run.shm_size = self.shm_size;
        run.memory = self.memory;
        run.memory_swap = self.memory_swap;
        run.cpu_shares = self.cpu_shares;
        run.cpu_period = self.cpu_period;
        run.cpu_quota = self.cpu_quota;
        run.cpuset_cpus = self.cpuset_cpus;
        run.cpuset_mems = self.cpuset_mems;
        run.cgroup_parent = self.cgroup_parent;
        run.pid = self.pid;
        run.ipc = self.ipc;
        run.uts = self.uts;
        run.cgroupns = self.cgroupns;
        run.userns = self.userns;
        Ok(())
    }
}
