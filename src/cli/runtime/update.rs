//! `dhow runtime update`

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

use crate::base::error::{Context, Result, ensure};
use crate::base::fs;
use crate::container::parse::resources::bytes;
use crate::runtime::oci::Runtime;

/// Arguments of `runtime update`.
#[derive(Debug, Args)]
pub(super) struct UpdateArgs {
    /// The `resources` section of a specification; `-` is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with_all = [
        "blkio_weight", "cpu_period", "cpu_quota", "cpu_burst", "cpu_idle", "cpu_rt_period", "cpu_rt_runtime",
        "cpu_share", "cpuset_cpus", "cpuset_mems", "memory", "memory_reservation", "memory_swap", "pids_limit",
    ])]
    resources: Option<PathBuf>,
    /// Weight of block devices, 10 to 1000
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u16>,
    /// Period of the processor quota, microseconds
    #[arg(long, value_name = "US")]
    cpu_period: Option<u64>,
    /// Processor time in a period, microseconds
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Quota that may be saved up, microseconds
    #[arg(long, value_name = "US")]
    cpu_burst: Option<u64>,
    /// 1 for only when nobody else wants to run
    #[arg(long, value_name = "N")]
    cpu_idle: Option<i64>,
    /// Real-time period, microseconds
    #[arg(long, value_name = "US")]
    cpu_rt_period: Option<u64>,
    /// Real-time in a period, microseconds
    #[arg(long, value_name = "US", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Share of the processors, against other containers
    #[arg(long, value_name = "N")]
    cpu_share: Option<u64>,
    /// Processors
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Memory
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory: Option<String>,
    /// Memory that is left when others need theirs
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1 is no limit
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_swap: Option<String>,
    /// Processes and threads
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Name of the container
    id: String,
}

impl UpdateArgs {
    pub(super) fn run(self, runtime: &Runtime<'_>) -> Result<()> {
        let resources = match &self.resources {
            Some(path) => read(path)?,
            None => self.typed()?,
        };
        runtime.update(&self.id, &resources)
    }

    fn typed(&self) -> Result<LinuxResources> {
        let size =
            |flag: &str, text: &Option<String>| text.as_ref().map(|text| bytes(flag, text, true)).transpose();
        let cpu = section(&[
            ("period", json!(self.cpu_period)),
            ("quota", json!(self.cpu_quota)),
            ("burst", json!(self.cpu_burst)),
            ("idle", json!(self.cpu_idle)),
            ("realtimePeriod", json!(self.cpu_rt_period)),
            ("realtimeRuntime", json!(self.cpu_rt_runtime)),
            ("shares", json!(self.cpu_share)),
            ("cpus", json!(self.cpuset_cpus)),
            ("mems", json!(self.cpuset_mems)),
        ]);
        let memory = section(&[
            ("limit", json!(size("--memory", &self.memory)?)),
            ("reservation", json!(size("--memory-reservation", &self.memory_reservation)?)),
            ("swap", json!(size("--memory-swap", &self.memory_swap)?)),
        ]);
        let all = section(&[
            ("cpu", cpu),
            ("memory", memory),
            ("blockIO", section(&[("weight", json!(self.blkio_weight))])),
            ("pids", section(&[("limit", json!(self.pids_limit))])),
        ]);
        ensure!(!all.is_null(), "nothing to change: give `--resources` or a limit");
        serde_json::from_value(all).context("read the limits")
    }
}

/// An object of what was given; null when nothing was.
fn section(fields: &[(&str, Value)]) -> Value {
    let given = fields.iter().filter(|(_, value)| !value.is_null());
    let map: serde_json::Map<String, Value> =
        given.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    if map.is_empty() { Value::Null } else { Value::Object(map) }
}

fn read(path: &Path) -> Result<LinuxResources> {
    if path.as_os_str() != "-" {
        return fs::read_json(path);
    }
    let mut text = String::new();
    std::io::stdin().take(1 << 20).read_to_string(&mut text).context("read standard input")?;
    serde_json::from_str(&text).context("parse standard input")
}
