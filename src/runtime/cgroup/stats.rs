//! What a container used, for `stats`.

use std::path::Path;

use super::Handle;
use super::handle::value_of;
use crate::base::fs;

/// Counters and gauges; `None` where the host does not count it for this container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time, nanoseconds.
    pub cpu: Option<u64>,
    /// Of that in the kernel.
    pub cpu_system: Option<u64>,
    /// Memory, bytes, with the page cache.
    pub memory: Option<u64>,
    /// Of that, page cache that can go at once.
    pub memory_inactive_file: Option<u64>,
    /// The limit of memory; `None` without one.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes read from block devices.
    pub block_read: Option<u64>,
    /// Bytes written to them.
    pub block_write: Option<u64>,
}

impl Handle {
    /// Reads the counters.
    pub fn stats(&self) -> Stats {
        let v1 = &self.location().v1;
        let mut stats = match &self.location().unified {
            Some(dir) => from_v2(dir),
            None => Stats::default(),
        };
        let v1 = |controller: &str| v1.get(controller).map(std::path::PathBuf::as_path);
        if let Some(dir) = v1("cpuacct") {
            stats.cpu = number(dir, "cpuacct.usage");
            stats.cpu_system = number(dir, "cpuacct.usage_sys");
        }
        if let Some(dir) = v1("memory") {
            stats.memory = number(dir, "memory.usage_in_bytes");
            stats.memory_inactive_file = value_of(&text(dir, "memory.stat"), "total_inactive_file");
            // "No limit" is the largest page-aligned number.
            stats.memory_limit = number(dir, "memory.limit_in_bytes").filter(|limit| *limit < 1 << 62);
        }
        if let Some(dir) = v1("pids") {
            stats.pids = number(dir, "pids.current");
        }
        if let Some(dir) = v1("blkio") {
            let (read, write) = blkio(&text(dir, "blkio.throttle.io_service_bytes_recursive"));
            (stats.block_read, stats.block_write) = (Some(read), Some(write));
        }
        stats
    }
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(&dir.join(file)).unwrap_or_default()
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    text(dir, file).trim().parse().ok()
}

fn from_v2(dir: &Path) -> Stats {
    let cpu = text(dir, "cpu.stat");
    let micro = |key| value_of(&cpu, key).map(|us| us * 1000);
    let io = text(dir, "io.stat");
    let sum = |key: &str| (!io.is_empty()).then(|| io_stat(&io, key));
    Stats {
        cpu: micro("usage_usec"),
        cpu_system: micro("system_usec"),
        memory: number(dir, "memory.current"),
        memory_inactive_file: value_of(&text(dir, "memory.stat"), "inactive_file"),
        memory_limit: number(dir, "memory.max"),
        pids: number(dir, "pids.current"),
        block_read: sum("rbytes"),
        block_write: sum("wbytes"),
    }
}

/// `8:0 rbytes=1 wbytes=2 …`, a line a device.
fn io_stat(text: &str, key: &str) -> u64 {
    let of = |word: &str| word.split_once('=').filter(|(name, _)| *name == key)?.1.parse::<u64>().ok();
    text.split_whitespace().filter_map(of).sum()
}

/// `8:0 Read 1`, a line a device and direction.
fn blkio(text: &str) -> (u64, u64) {
    let of = |direction: &str| {
        text.lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace().skip(1);
                (words.next() == Some(direction)).then(|| words.next()?.parse::<u64>().ok()).flatten()
            })
            .sum()
    };
    (of("Read"), of("Write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_over_devices() {
        let v2 = "8:0 rbytes=5 wbytes=7 rios=1\n8:16 rbytes=1 wbytes=1 rios=9\n";
        assert_eq!((io_stat(v2, "rbytes"), io_stat(v2, "wbytes")), (6, 8));
        let v1 = "8:0 Read 5\n8:0 Write 7\n8:0 Total 12\n8:16 Read 1\nTotal 13\n";
        assert_eq!(blkio(v1), (6, 7));
    }
}
