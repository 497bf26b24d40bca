//! Limits as files of cgroup v2.

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::Setting;
use crate::base::error::{Explain, Kind, Result, bail, ensure, fail};

/// What `resources` ask for; `default_pids` says that the limit of processes is nobody's wish.
pub(super) fn settings(resources: &LinuxResources, default_pids: bool) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(memory) = resources.memory() {
        self::memory(&mut out, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        self::cpu(&mut out, cpu)?;
    }
    if let Some(pids) = resources.pids() {
        let limit = if pids.limit() > 0 { pids.limit().to_string() } else { "max".into() };
        let unlimited = pids.limit() <= 0;
        out.push(Setting::new("pids", "pids.max", limit).optional(default_pids || unlimited));
    }
    if let Some(io) = resources.block_io() {
        self::io(&mut out, io);
    }
    for page in resources.hugepage_limits().iter().flatten() {
        out.push(Setting::new("hugetlb", &format!("hugetlb.{}.max", page.page_size()), page.limit()));
    }
    for (device, rdma) in resources.rdma().iter().flatten() {
        let part = |name, value: Option<u32>| value.map(|v| format!(" {name}={v}")).unwrap_or_default();
        let limits = part("hca_handle", rdma.hca_handles()) + &part("hca_object", rdma.hca_objects());
        out.push(Setting::new("rdma", "rdma.max", format!("{device}{limits}")));
    }
    unified(&mut out, resources)?;
    Ok(out)
}

/// `--cgroup-conf`: files by name, the last word on what the others said.
fn unified(out: &mut Vec<Setting>, resources: &LinuxResources) -> Result<()> {
    let mut pairs: Vec<_> = resources.unified().iter().flatten().collect();
    pairs.sort();
    for (file, value) in pairs {
        let plain = !file.contains('/') && file.contains('.') && !file.starts_with('.');
        ensure!(plain, "cgroup file `{file}` is not the name of a controller's file");
        let controller = file.split('.').next().unwrap_or_default();
        out.push(Setting::new(controller, file, value));
    }
    Ok(())
}

fn limit(bytes: i64) -> String {
    if bytes < 0 { "max".into() } else { bytes.to_string() }
}

fn memory(out: &mut Vec<Setting>, memory: &LinuxMemory) -> Result<()> {
    let mut put = |file: &str, value: String| out.push(Setting::new("memory", file, value));
    if let Some(bytes) = memory.limit().filter(|bytes| *bytes != 0) {
        put("memory.max", limit(bytes));
    }
    if let Some(bytes) = memory.reservation().filter(|bytes| *bytes != 0) {
        put("memory.low", limit(bytes));
    }
    match (memory.swap().filter(|swap| *swap != 0), memory.limit().filter(|bytes| *bytes != 0)) {
        (None, _) => {}
        (Some(-1), _) => put("memory.swap.max", "max".into()),
        // v1's number is memory and swap together, v2's is swap alone.
        (Some(both), Some(bytes)) if both >= bytes && bytes > 0 => {
            put("memory.swap.max", (both - bytes).to_string());
        }
        (Some(_), Some(bytes)) if bytes > 0 => bail!("memory and swap together are less than memory alone"),
        (Some(_), _) => bail!("a limit of memory and swap needs a limit of memory"),
    }
    if memory.swappiness().is_some() {
        return Err(fail(Kind::Usage, "cgroup v2 has no swappiness of a group")
            .hint("leave `--memory-swappiness` out"));
    }
    if memory.disable_oom_killer() == Some(true) {
        return Err(fail(Kind::Usage, "cgroup v2 cannot disable the OOM killer")
            .hint("leave `--oom-kill-disable` out, or lower `--oom-score-adj`"));
    }
    Ok(())
}

fn cpu(out: &mut Vec<Setting>, cpu: &LinuxCpu) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        out.push(Setting::new("cpu", "cpu.weight", weight(shares)));
    }
    let period = cpu.period().filter(|period| *period != 0);
    match cpu.quota() {
        Some(quota) if quota > 0 => {
            out.push(Setting::new("cpu", "cpu.max", format!("{quota} {}", period.unwrap_or(100_000))));
        }
        _ => out.extend(period.map(|period| Setting::new("cpu", "cpu.max", format!("max {period}")))),
    }
    out.extend(cpu.burst().map(|burst| Setting::new("cpu", "cpu.max.burst", burst)));
    out.extend(cpu.idle().map(|idle| Setting::new("cpu", "cpu.idle", idle)));
    let realtime =
        cpu.realtime_runtime().is_some_and(|us| us != 0) || cpu.realtime_period().is_some_and(|us| us != 0);
    if realtime {
        return Err(fail(Kind::Usage, "cgroup v2 has no limits of realtime CPU time")
            .hint("leave `--cpu-rt-period` and `--cpu-rt-runtime` out"));
    }
    let sets = [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())];
    for (file, set) in sets {
        out.extend(set.iter().filter(|s| !s.is_empty()).map(|s| Setting::new("cpuset", file, s)));
    }
    Ok(())
}

/// v1's shares (2 to 262144, default 1024) as v2's weight (1 to 10000, default 100), the curve of crun 1.23 and
/// runc 1.4 that maps minimum, default and maximum to each other.
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

fn io(out: &mut Vec<Setting>, io: &LinuxBlockIo) {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        // 10 to 1000 becomes 1 to 10000; BFQ, where it schedules, has the old scale in a file of its own.
        out.push(Setting::new("io", "io.weight", format!("default {}", io_weight(weight))));
    }
    for device in io.weight_device().iter().flatten() {
        let at = format!("{}:{}", device.major(), device.minor());
        out.extend(
            device.weight().map(|w| Setting::new("io", "io.weight", format!("{at} {}", io_weight(w)))),
        );
    }
    let limits = [
        ("rbps", io.throttle_read_bps_device()),
        ("wbps", io.throttle_write_bps_device()),
        ("riops", io.throttle_read_iops_device()),
        ("wiops", io.throttle_write_iops_device()),
    ];
    for (key, devices) in limits {
        for device in devices.iter().flatten() {
            let line = format!("{}:{} {key}={}", device.major(), device.minor(), device.rate());
            out.push(Setting::new("io", "io.max", line));
        }
    }
}

pub(super) fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).clamp(10, 1000) - 10) * 9999 / 990
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The settings of a JSON `resources`, one line each.
    pub(in super::super) fn lines(settings: Result<Vec<Setting>>) -> Vec<String> {
        settings.unwrap().into_iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

    fn of(json: &str) -> Result<Vec<Setting>> {
        settings(&serde_json::from_str(json).unwrap(), false)
    }

    #[test]
    fn limits_become_files() {
        for (json, wanted) in [
            (r#"{}"#, &[][..]),
            (
                r#"{"memory":{"limit":1000,"swap":1500,"reservation":500}}"#,
                &["memory.max=1000", "memory.low=500", "memory.swap.max=500"],
            ),
            (r#"{"memory":{"limit":1000,"swap":-1}}"#, &["memory.max=1000", "memory.swap.max=max"]),
            (r#"{"memory":{"limit":1000,"swap":1000}}"#, &["memory.max=1000", "memory.swap.max=0"]),
            (r#"{"memory":{"limit":-1}}"#, &["memory.max=max"]),
            (
                r#"{"cpu":{"shares":1024,"quota":50000,"period":100000}}"#,
                &["cpu.weight=100", "cpu.max=50000 100000"],
            ),
            (r#"{"cpu":{"quota":-1,"period":50000}}"#, &["cpu.max=max 50000"]),
            (r#"{"cpu":{"quota":20000}}"#, &["cpu.max=20000 100000"]),
            (r#"{"cpu":{"cpus":"0-1","mems":"0"}}"#, &["cpuset.cpus=0-1", "cpuset.mems=0"]),
            (r#"{"pids":{"limit":7}}"#, &["pids.max=7"]),
            (r#"{"pids":{"limit":-1}}"#, &["pids.max=max"]),
            (
                r#"{"blockIO":{"weight":10,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":99}]}}"#,
                &["io.weight=default 1", "io.max=8:0 rbps=99"],
            ),
            (r#"{"hugepageLimits":[{"pageSize":"2MB","limit":5}]}"#, &["hugetlb.2MB.max=5"]),
            (r#"{"unified":{"memory.high":"9","cpu.idle":"1"}}"#, &["cpu.idle=1", "memory.high=9"]),
        ] {
            assert_eq!(lines(of(json)), wanted, "{json}");
        }
    }

    #[test]
    fn what_v2_lacks_is_an_error() {
        for json in [
            r#"{"memory":{"swap":1000}}"#,
            r#"{"memory":{"limit":1000,"swap":999}}"#,
            r#"{"memory":{"disableOOMKiller":true}}"#,
            r#"{"cpu":{"realtimeRuntime":5}}"#,
            r#"{"unified":{"../cgroup.procs":"1"}}"#,
            r#"{"unified":{"procs":"1"}}"#,
        ] {
            assert!(of(json).is_err(), "{json}");
        }
    }

    #[test]
    fn weights_map_ends_and_defaults() {
        for (shares, wanted) in [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (1 << 20, 10_000)] {
            assert_eq!(weight(shares), wanted, "{shares}");
        }
        assert_eq!((io_weight(10), io_weight(1000)), (1, 10_000));
    }
}
