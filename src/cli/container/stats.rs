//! `stats`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::select::newest;
use crate::base::error::Result;
use crate::base::{id, units};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::stats::{Sample, sample};
use crate::ui::json;
use crate::ui::printer::stdout_is_terminal;
use crate::ui::report::{self, Row};

/// Show what running containers use, again and again
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Containers that do not run, too
    #[arg(short, long)]
    all: bool,
    /// `json`, or a Go template such as `{{.Name}} {{.CPUPerc}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Seconds between two looks
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1, hide_default_value = true)]
    interval: u64,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// One look below the other, in place of a screen that is drawn again
    #[arg(long)]
    no_reset: bool,
    /// One look, and the end
    #[arg(long)]
    no_stream: bool,
    /// Whole ids
    #[arg(long, visible_alias = "notruncate")]
    no_trunc: bool,
    /// Names or ids; all that run by default
    #[arg(value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// The columns of Docker.
const COLUMNS: &str =
    "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// How long the only look of `--no-stream` watches.
const GLANCE: Duration = Duration::from_millis(250);

impl StatsArgs {
    /// Shows them, once or until the user has had enough.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let mut names = self.containers.clone();
        if self.latest {
            names.push(newest(ops)?);
        }
        let mut before = sample(ops, &names, self.all)?;
        if self.no_stream {
            std::thread::sleep(GLANCE);
            return self.show(session, &before, &sample(ops, &names, self.all)?);
        }
        loop {
            std::thread::sleep(Duration::from_secs(self.interval.max(1)));
            let now = sample(ops, &names, self.all)?;
            if !self.no_reset && self.format.is_none() && stdout_is_terminal() {
                session.out.text("\x1b[2J\x1b[H")?; // clear, home
            }
            self.show(session, &before, &now)?;
            session.out.flush()?;
            before = now;
        }
    }

    fn show(&self, session: &Session, before: &[Sample], now: &[Sample]) -> Result<()> {
        let rows: Vec<StatsRow> = now
            .iter()
            .map(|one| StatsRow::new(one, before.iter().find(|old| old.id == one.id), self.no_trunc))
            .collect();
        match self.format.as_deref() {
            Some("json") => json::print(&session.out, &rows.iter().map(JsonRow::new).collect::<Vec<_>>()),
            format => report::listing(&session.out, format, COLUMNS, true, &rows),
        }
    }
}

/// The fields of Docker's and Podman's templates.
#[derive(Debug, Serialize)]
struct StatsRow {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "ContainerID")]
    container_id: String,
    #[serde(rename = "Container")]
    container: String,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "CPUPerc")]
    cpu_percent: String,
    #[serde(rename = "CPU")]
    cpu: String,
    #[serde(rename = "AvgCPU")]
    average_cpu: String,
    #[serde(rename = "CPUNano")]
    cpu_nanoseconds: u64,
    #[serde(rename = "MemUsage")]
    memory: String,
    #[serde(rename = "MemUsageBytes")]
    memory_bytes: u64,
    #[serde(rename = "MemLimit")]
    memory_limit: u64,
    #[serde(rename = "MemPerc")]
    memory_percent: String,
    #[serde(rename = "NetIO")]
    network: String,
    #[serde(rename = "NetInput")]
    network_in: u64,
    #[serde(rename = "NetOutput")]
    network_out: u64,
    #[serde(rename = "BlockIO")]
    block: String,
    #[serde(rename = "BlockInput")]
    block_in: u64,
    #[serde(rename = "BlockOutput")]
    block_out: u64,
    #[serde(rename = "PIDs")]
    processes: String,
    #[serde(rename = "PIDS")]
    pids: u64,
    #[serde(rename = "UpTime")]
    uptime: String,
}

impl Row for StatsRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("ID", "CONTAINER ID"),
        ("ContainerID", "CONTAINER ID"),
        ("Container", "CONTAINER"),
        ("Name", "NAME"),
        ("CPUPerc", "CPU %"),
        ("CPU", "CPU"),
        ("AvgCPU", "AVG CPU %"),
        ("CPUNano", "CPU TIME"),
        ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemUsageBytes", "MEM USAGE / LIMIT"),
        ("MemLimit", "MEM LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"),
        ("NetInput", "NET INPUT"),
        ("NetOutput", "NET OUTPUT"),
        ("BlockIO", "BLOCK I/O"),
        ("BlockInput", "BLOCK INPUT"),
        ("BlockOutput", "BLOCK OUTPUT"),
        ("PIDs", "PIDS"),
        ("PIDS", "PIDS"),
        ("UpTime", "UPTIME"),
    ];
}

/// Docker's form of what is counted, and of what is not.
fn pair(counted: Option<(u64, u64)>) -> String {
    match counted {
        Some((one, other)) => format!("{} / {}", units::human_short(one), units::human_short(other)),
        None => "-- / --".into(),
    }
}

impl StatsRow {
    fn new(sample: &Sample, before: Option<&Sample>, whole: bool) -> StatsRow {
        let stats = &sample.stats;
        let shown = if whole { sample.id.clone() } else { id::short(&sample.id).to_owned() };
        let limit = stats.memory_limit.unwrap_or(0);
        let used = sample.memory();
        let percent = if limit > 0 { used as f64 / limit as f64 * 100.0 } else { 0.0 };
        let per_cent = |value: f64| if sample.alive { format!("{value:.2}%") } else { "--".into() };
        let cpu = sample.cpu_percent(before.filter(|old| old.alive));
        let memory = format!("{} / {}", units::human_binary(used), units::human_binary(limit));
        let block = stats.block_read.zip(stats.block_write);
        let (network_in, network_out) = sample.network.unwrap_or_default();
        StatsRow {
            container_id: shown.clone(),
            container: shown.clone(),
            id: shown,
            name: sample.name.clone(),
            cpu_percent: per_cent(cpu),
            cpu: format!("{cpu:.2}"),
            average_cpu: per_cent(sample.cpu_percent(None)),
            cpu_nanoseconds: stats.cpu.unwrap_or(0),
            memory: if sample.alive { memory } else { "-- / --".into() },
            memory_bytes: used,
            memory_limit: limit,
            memory_percent: per_cent(percent),
            network: pair(sample.network),
            network_in,
            network_out,
            block: pair(block),
            block_in: stats.block_read.unwrap_or(0),
            block_out: stats.block_write.unwrap_or(0),
            processes: if sample.alive { stats.pids.unwrap_or(0).to_string() } else { "--".into() },
            pids: stats.pids.unwrap_or(0),
            uptime: format!("{:.6}s", sample.uptime().as_secs_f64()),
        }
    }
}

/// Podman's JSON, with the keys of Docker's beside them.
#[derive(Debug, Serialize)]
struct JsonRow<'a> {
    id: &'a str,
    name: &'a str,
    cpu_time: String,
    cpu_percent: &'a str,
    avg_cpu: &'a str,
    mem_usage: &'a str,
    mem_percent: &'a str,
    net_io: &'a str,
    block_io: &'a str,
    pids: String,
    #[serde(flatten)]
    dockers: DockerRow<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerRow<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    container: &'a str,
    name: &'a str,
    #[serde(rename = "CPUPerc")]
    cpu: &'a str,
    mem_usage: &'a str,
    mem_perc: &'a str,
    #[serde(rename = "NetIO")]
    network: &'a str,
    #[serde(rename = "BlockIO")]
    block: &'a str,
    #[serde(rename = "PIDs")]
    pids: &'a str,
}

impl<'a> JsonRow<'a> {
    fn new(row: &'a StatsRow) -> JsonRow<'a> {
        JsonRow {
            id: &row.id,
            name: &row.name,
            cpu_time: format!("{:?}", Duration::from_nanos(row.cpu_nanoseconds)),
            cpu_percent: &row.cpu_percent,
            avg_cpu: &row.average_cpu,
            mem_usage: &row.memory,
            mem_percent: &row.memory_percent,
            net_io: &row.network,
            block_io: &row.block,
            pids: row.pids.to_string(),
            dockers: DockerRow {
                id: &row.id,
                container: &row.container,
                name: &row.name,
                cpu: &row.cpu_percent,
                mem_usage: &row.memory,
                mem_perc: &row.memory_percent,
                network: &row.network,
                block: &row.block,
                pids: &row.processes,
            },
        }
    }
}
