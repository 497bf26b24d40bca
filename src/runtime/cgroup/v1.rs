//! Limits as files of cgroup v1's controllers.

use std::path::Path;

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::Setting;
use crate::base::error::{Result, bail, ensure};
use crate::base::fs;

/// What `resources` ask for, in the order in which the files are to be written.
pub(super) fn settings(resources: &LinuxResources, default_pids: bool) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(memory) = resources.memory() {
        self::memory(&mut out, memory)?;
    }
    if let Some(cpu) = resources.cpu() {
        self::cpu(&mut out, cpu);
    }
    if let Some(pids) = resources.pids().filter(|pids| pids.limit() > 0) {
        out.push(Setting::new("pids", "pids.max", pids.limit()).optional(default_pids));
    }
    if let Some(io) = resources.block_io() {
        blkio(&mut out, io);
    }
    for page in resources.hugepage_limits().iter().flatten() {
        let file = format!("hugetlb.{}.limit_in_bytes", page.page_size());
        out.push(Setting::new("hugetlb", &file, page.limit()));
    }
    if let Some(network) = resources.network() {
        out.extend(network.class_id().map(|id| Setting::new("net_cls", "net_cls.classid", id)));
        for map in network.priorities().iter().flatten() {
            let line = format!("{} {}", map.name(), map.priority());
            out.push(Setting::new("net_prio", "net_prio.ifpriomap", line));
        }
    }
    let unified = resources.unified().as_ref().is_some_and(|map| !map.is_empty());
    ensure!(!unified, "cgroup files by name (`--cgroup-conf`) need cgroup v2, this host has v1");
    Ok(out)
}

fn memory(out: &mut Vec<Setting>, memory: &LinuxMemory) -> Result<()> {
    let mut put = |file: &str, value: i64| out.push(Setting::new("memory", file, value));
    let limit = memory.limit().filter(|bytes| *bytes != 0);
    if let Some(bytes) = limit {
        put("memory.limit_in_bytes", bytes);
    }
    if let Some(bytes) = memory.reservation().filter(|bytes| *bytes != 0) {
        put("memory.soft_limit_in_bytes", bytes);
    }
    match (memory.swap().filter(|bytes| *bytes != 0), limit) {
        (None, _) => {}
        (Some(both), Some(bytes)) if both > 0 && both < bytes => {
            bail!("memory and swap together are less than memory alone")
        }
        (Some(both), None) if both > 0 => bail!("a limit of memory and swap needs a limit of memory"),
        // After the limit of memory, which may not be the larger one at any moment.
        (Some(both), _) => put("memory.memsw.limit_in_bytes", both),
    }
    if let Some(percent) = memory.swappiness() {
        put("memory.swappiness", i64::try_from(percent).unwrap_or(100));
    }
    if memory.disable_oom_killer() == Some(true) {
        put("memory.oom_control", 1);
    }
    // The plain kernel memory limit is gone since Linux 5.16 and ignored by all; that of TCP buffers is not.
    if let Some(bytes) = memory.kernel_tcp().filter(|bytes| *bytes != 0) {
        put("memory.kmem.tcp.limit_in_bytes", bytes);
    }
    Ok(())
}

fn cpu(out: &mut Vec<Setting>, cpu: &LinuxCpu) {
    let mut put = |file: &str, value: i64| out.push(Setting::new("cpu", file, value));
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    if let Some(shares) = cpu.shares().filter(|shares| *shares != 0) {
        put("cpu.shares", number(shares));
    }
    if let Some(period) = cpu.period().filter(|period| *period != 0) {
        put("cpu.cfs_period_us", number(period));
    }
    if let Some(quota) = cpu.quota().filter(|quota| *quota != 0) {
        put("cpu.cfs_quota_us", quota);
    }
    if let Some(burst) = cpu.burst() {
        put("cpu.cfs_burst_us", number(burst));
    }
    if let Some(period) = cpu.realtime_period().filter(|period| *period != 0) {
        put("cpu.rt_period_us", number(period));
    }
    if let Some(runtime) = cpu.realtime_runtime().filter(|runtime| *runtime != 0) {
        put("cpu.rt_runtime_us", runtime);
    }
    if let Some(idle) = cpu.idle() {
        put("cpu.idle", idle);
    }
    let sets = [("cpuset.cpus", cpu.cpus()), ("cpuset.mems", cpu.mems())];
    for (file, set) in sets {
        out.extend(set.iter().filter(|s| !s.is_empty()).map(|s| Setting::new("cpuset", file, s)));
    }
}

fn blkio(out: &mut Vec<Setting>, io: &LinuxBlockIo) {
    if let Some(weight) = io.weight().filter(|weight| *weight != 0) {
        out.push(Setting::new("blkio", "blkio.weight", weight));
    }
    for device in io.weight_device().iter().flatten() {
        let line = |weight| format!("{}:{} {weight}", device.major(), device.minor());
        out.extend(device.weight().map(|w| Setting::new("blkio", "blkio.weight_device", line(w))));
    }
    let limits = [
        ("blkio.throttle.read_bps_device", io.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", io.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", io.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", io.throttle_write_iops_device()),
    ];
    for (file, devices) in limits {
        for device in devices.iter().flatten() {
            let line = format!("{}:{} {}", device.major(), device.minor(), device.rate());
            out.push(Setting::new("blkio", file, line));
        }
    }
}

/// Fills a new cpuset from the one above: the kernel lets no process into one without CPUs or memory nodes.
pub(super) fn fill_cpuset(dir: &Path) -> Result<()> {
    let Some(above) = dir.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let has = fs::read_to_string(&dir.join(file))?;
        if has.trim().is_empty() {
            let inherited = fs::read_to_string(&above.join(file))?;
            super::make::write(&dir.join(file), inherited.trim())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::v2::tests::lines;
    use super::*;

    fn of(json: &str) -> Result<Vec<Setting>> {
        settings(&serde_json::from_str(json).unwrap(), false)
    }

    #[test]
    fn limits_become_files() {
        for (json, wanted) in [
            (r#"{}"#, &[][..]),
            (
                r#"{"memory":{"limit":1000,"swap":1500,"swappiness":0,"disableOOMKiller":true}}"#,
                &[
                    "memory.limit_in_bytes=1000",
                    "memory.memsw.limit_in_bytes=1500",
                    "memory.swappiness=0",
                    "memory.oom_control=1",
                ],
            ),
            (
                r#"{"memory":{"limit":1000,"swap":-1}}"#,
                &["memory.limit_in_bytes=1000", "memory.memsw.limit_in_bytes=-1"],
            ),
            (
                r#"{"cpu":{"shares":512,"quota":5,"period":10,"realtimeRuntime":3,"realtimePeriod":4}}"#,
                &[
                    "cpu.shares=512",
                    "cpu.cfs_period_us=10",
                    "cpu.cfs_quota_us=5",
                    "cpu.rt_period_us=4",
                    "cpu.rt_runtime_us=3",
                ],
            ),
            (r#"{"cpu":{"cpus":"0"}}"#, &["cpuset.cpus=0"]),
            (r#"{"pids":{"limit":7}}"#, &["pids.max=7"]),
            (r#"{"pids":{"limit":-1}}"#, &[]),
            (
                r#"{"blockIO":{"weight":300,"throttleWriteIOPSDevice":[{"major":8,"minor":1,"rate":9}]}}"#,
                &["blkio.weight=300", "blkio.throttle.write_iops_device=8:1 9"],
            ),
        ] {
            assert_eq!(lines(of(json)), wanted, "{json}");
        }
        assert!(of(r#"{"unified":{"memory.high":"9"}}"#).is_err());
        assert!(of(r#"{"memory":{"limit":1000,"swap":999}}"#).is_err());
    }
}
