//! Limits, device rules and device nodes.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpuBuilder, LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup,
    LinuxDeviceType, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder,
    LinuxThrottleDevice, LinuxThrottleDeviceBuilder, LinuxWeightDevice, LinuxWeightDeviceBuilder,
};

use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs;
use crate::container::parse::device::parse_rule;
use crate::container::record::{Config, Device, Resources};
use crate::runtime::defaults;

type Path64 = (std::path::PathBuf, u64);

/// Builds the limits. `default_pids` says whether the default limit of processes can be set here.
pub(super) fn limits(config: &Config, devices: &[LinuxDevice], default_pids: bool) -> Result<LinuxResources> {
    let r = &config.resources;
    let mut builder = LinuxResourcesBuilder::default().devices(device_rules(config, devices)?);
    builder = builder.memory(memory(r)?).cpu(cpu(r)?);
    let pids =
        r.pids_limit.or(Some(defaults::PIDS_LIMIT).filter(|_| default_pids && r.cgroups != "disabled"));
    if let Some(limit) = pids {
        builder = builder.pids(LinuxPidsBuilder::default().limit(limit).build()?);
    }
    if let Some(block_io) = block_io(r)? {
        builder = builder.block_io(block_io);
    }
    if !r.unified.is_empty() {
        let unified = r.unified.iter().map(|(name, value)| (name.clone(), value.clone()));
        builder = builder.unified(unified.collect::<std::collections::HashMap<_, _>>());
    }
    builder.build().context("assemble the limits")
}

macro_rules! set {
    ($builder:ident, $($method:ident = $value:expr),* $(,)?) => {
        $(if let Some(value) = $value { $builder = $builder.$method(value); })*
    };
}

fn memory(r: &Resources) -> Result<oci_spec::runtime::LinuxMemory> {
    let mut builder = LinuxMemoryBuilder::default();
    set!(
        builder,
        limit = r.memory,
        reservation = r.memory_reservation,
        swap = r.memory_swap,
        swappiness = r.memory_swappiness,
        disable_oom_killer = r.oom_kill_disable.then_some(true)
    );
    builder.build().context("assemble the memory limits")
}

fn cpu(r: &Resources) -> Result<oci_spec::runtime::LinuxCpu> {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut builder = LinuxCpuBuilder::default();
    set!(
        builder,
        shares = r.cpu_shares,
        quota = r.cpu_quota,
        period = r.cpu_period,
        realtime_runtime = r.cpu_rt_runtime,
        realtime_period = r.cpu_rt_period,
        cpus = text(&r.cpuset_cpus),
        mems = text(&r.cpuset_mems)
    );
    builder.build().context("assemble the processor limits")
}

fn block_io(r: &Resources) -> Result<Option<LinuxBlockIo>> {
    let throttle =
        |list: &[Path64]| list.iter().map(throttle_device).collect::<Result<Vec<LinuxThrottleDevice>>>();
    let rates = [&r.device_read_bps, &r.device_write_bps, &r.device_read_iops, &r.device_write_iops];
    if r.blkio_weight.is_none()
        && r.blkio_weight_device.is_empty()
        && rates.iter().all(|list| list.is_empty())
    {
        return Ok(None);
    }
    let weights =
        r.blkio_weight_device.iter().map(weight_device).collect::<Result<Vec<LinuxWeightDevice>>>()?;
    let mut builder = LinuxBlockIoBuilder::default()
        .weight_device(weights)
        .throttle_read_bps_device(throttle(rates[0])?)
        .throttle_write_bps_device(throttle(rates[1])?)
        .throttle_read_iops_device(throttle(rates[2])?)
        .throttle_write_iops_device(throttle(rates[3])?);
    set!(builder, weight = r.blkio_weight);
    builder.build().map(Some).context("assemble the I/O limits")
}

fn numbers(path: &Path) -> Result<(i64, i64)> {
    let stat = std::fs::metadata(path).with_context(|| format!("stat `{}`", path.display()))?;
    if !stat.file_type().is_block_device() && !stat.file_type().is_char_device() {
        return Err(fail(Kind::Usage, format!("`{}` is not a device", path.display())));
    }
    let device = stat.rdev();
    Ok((i64::from(rustix::fs::major(device)), i64::from(rustix::fs::minor(device))))
}

fn throttle_device((path, rate): &Path64) -> Result<LinuxThrottleDevice> {
    let (major, minor) = numbers(path)?;
    Ok(LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(*rate).build()?)
}

fn weight_device((path, weight): &Path64) -> Result<LinuxWeightDevice> {
    let (major, minor) = numbers(path)?;
    let weight = u16::try_from(*weight).context("a weight fits 16 bits")?;
    Ok(LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(weight).build()?)
}

/// Privileged containers may use every device; others the default nodes, what `--device` shows and rules allow.
fn device_rules(config: &Config, devices: &[LinuxDevice]) -> Result<Vec<LinuxDeviceCgroup>> {
    if config.security.privileged {
        return Ok(vec![defaults::device_rule(true, LinuxDeviceType::A, None, None, "rwm")]);
    }
    let mut rules = defaults::device_rules();
    for (device, asked) in devices.iter().zip(&config.devices) {
        let (major, minor) = (Some(device.major()), Some(device.minor()));
        rules.push(defaults::device_rule(true, device.typ(), major, minor, &asked.access));
    }
    for text in &config.resources.device_cgroup_rules {
        let rule = parse_rule(text)?;
        let kind = match rule.kind {
            'b' => LinuxDeviceType::B,
            'c' => LinuxDeviceType::C,
            _ => LinuxDeviceType::A,
        };
        rules.push(defaults::device_rule(true, kind, rule.major, rule.minor, &rule.access));
    }
    Ok(rules)
}

/// The nodes of `--device`, in that order, then with `--privileged` all of the host's.
pub(super) fn devices(config: &Config) -> Result<Vec<LinuxDevice>> {
    let mut all: Vec<LinuxDevice> = config.devices.iter().map(node).collect::<Result<_>>()?;
    if config.security.privileged {
        host_devices(Path::new("/dev"), 0, &mut all)?;
    }
    Ok(all)
}

fn node(device: &Device) -> Result<LinuxDevice> {
    let stat =
        std::fs::metadata(&device.host).with_context(|| format!("stat `{}`", device.host.display()))?;
    let kind = if stat.file_type().is_block_device() {
        LinuxDeviceType::B
    } else if stat.file_type().is_char_device() {
        LinuxDeviceType::C
    } else {
        return Err(fail(Kind::Usage, format!("`{}` is not a device", device.host.display())));
    };
    let rdev = stat.rdev();
    let built = LinuxDeviceBuilder::default()
        .path(device.container.clone())
        .typ(kind)
        .major(i64::from(rustix::fs::major(rdev)))
        .minor(i64::from(rustix::fs::minor(rdev)))
        .file_mode(stat.mode() & 0o7777)
        .uid(stat.uid())
        .gid(stat.gid())
        .build();
    built.with_context(|| format!("assemble the device `{}`", device.host.display()))
}

/// What a container makes itself, and file systems that happen to lie in /dev.
const OWN: &[&str] = &[
    "pts",
    "shm",
    "mqueue",
    "fd",
    "stdin",
    "stdout",
    "stderr",
    "core",
    "console",
    "ptmx",
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "log",
    "hugepages",
    ".lxc",
    ".lxd-mounts",
    ".udev",
];

fn host_devices(dir: &Path, depth: u32, all: &mut Vec<LinuxDevice>) -> Result<()> {
    if depth > 8 {
        return Ok(());
    }
    let mut entries = fs::read_dir(dir)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue }; // unplugged meanwhile
        if depth == 0 && entry.file_name().to_str().is_some_and(|name| OWN.contains(&name)) {
            continue;
        }
        if kind.is_dir() {
            host_devices(&path, depth + 1, all)?;
        } else if (kind.is_char_device() || kind.is_block_device())
            && !all.iter().any(|known| *known.path() == path)
        {
            all.extend(node(&Device { host: path.clone(), container: path, access: "rwm".into() }).ok());
        }
    }
    Ok(())
}
