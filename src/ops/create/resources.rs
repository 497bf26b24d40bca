//! Limits, in the units of the OCI runtime specification.

use super::{Context, CreateOptions, Resolved};
use crate::base::error::{Kind, Result, fail};
use crate::container::parse::{device, env, resources as parse};
use crate::container::record::Resources;
use crate::runtime::defaults;

pub(super) fn resolve(context: &Context<'_>, options: &CreateOptions, resolved: &mut Resolved) -> Result<()> {
    let mut limits = Resources::default();
    memory(options, &mut limits)?;
    cpu(options, &mut limits)?;
    if context.rootless() && !options.device_cgroup_rule.is_empty() {
        return Err(fail(Kind::Usage, "--device-cgroup-rule needs root"));
    }
    block_io(options, &mut limits)?;
    limits.pids_limit = pids(context, options);
    let shm = options.shm_size.as_deref().unwrap_or(&context.defaults.shm_size);
    limits.shm_size = match parse::bytes("--shm-size", shm, false)? {
        0 => return Err(fail(Kind::Usage, "--shm-size must be greater than 0")),
        bytes => bytes.unsigned_abs(),
    };
    limits.shm_size_systemd = match options.shm_size_systemd.as_deref() {
        Some(text) => {
            Some(parse::bytes("--shm-size-systemd", text, false)?.unsigned_abs()).filter(|size| *size > 0)
        }
        None => None,
    };
    for text in &options.cgroup_conf {
        let (name, value) = env::parse_pair("--cgroup-conf", text)?;
        if name.contains('/') || name.starts_with('.') {
            return Err(fail(Kind::Usage, format!("--cgroup-conf `{name}` is not a file of a cgroup")));
        }
        limits.unified.insert(name, value);
    }
    limits.cgroup_parent = options.cgroup_parent.clone().filter(|parent| !parent.is_empty());
    if limits.cgroup_parent.as_deref().is_some_and(|parent| parent.split('/').any(|part| part == "..")) {
        return Err(fail(Kind::Usage, "--cgroup-parent must not contain `..`"));
    }
    limits.cgroups = options.cgroups.clone().unwrap_or_else(|| context.defaults.cgroups.clone());
    cgroups(&limits)?;
    resolved.config.resources = limits;
    Ok(())
}

/// The limits of a container with what was typed over them (`update`).
pub fn updated(options: &CreateOptions, now: &Resources) -> Result<Resources> {
    let mut all = options.clone();
    let text = |typed: &Option<String>, kept: Option<i64>| typed.clone().or(kept.map(|n| n.to_string()));
    // The default for swap is twice the memory: it moves with it.
    let usual_swap = now.memory.map(|memory| memory.saturating_mul(2)) == now.memory_swap;
    all.memory = text(&options.memory, now.memory);
    all.memory_reservation = text(&options.memory_reservation, now.memory_reservation);
    all.memory_swap = text(&options.memory_swap, now.memory_swap.filter(|_| !usual_swap));
    all.memory_swappiness = options.memory_swappiness.or(now.memory_swappiness.map(u64::cast_signed));
    all.oom_kill_disable |= now.oom_kill_disable;
    all.cpu_shares = options.cpu_shares.or(now.cpu_shares);
    if options.cpus.is_none() {
        all.cpu_quota = options.cpu_quota.or(now.cpu_quota);
        all.cpu_period = options.cpu_period.or(now.cpu_period);
    }
    all.cpu_rt_runtime = options.cpu_rt_runtime.or(now.cpu_rt_runtime);
    all.cpu_rt_period = options.cpu_rt_period.or(now.cpu_rt_period);
    all.cpuset_cpus = options.cpuset_cpus.clone().or(Some(now.cpuset_cpus.clone()));
    all.cpuset_mems = options.cpuset_mems.clone().or(Some(now.cpuset_mems.clone()));
    all.blkio_weight = options.blkio_weight.clone().or(now.blkio_weight.map(|weight| weight.to_string()));
    let mut limits = now.clone();
    memory(&all, &mut limits)?;
    cpu(&all, &mut limits)?;
    let mut devices = Resources::default();
    block_io(&all, &mut devices)?;
    limits.blkio_weight = devices.blkio_weight;
    let lists = [
        (&mut limits.blkio_weight_device, devices.blkio_weight_device),
        (&mut limits.device_read_bps, devices.device_read_bps),
        (&mut limits.device_write_bps, devices.device_write_bps),
        (&mut limits.device_read_iops, devices.device_read_iops),
        (&mut limits.device_write_iops, devices.device_write_iops),
    ];
    for (kept, typed) in lists.into_iter().filter(|(_, typed)| !typed.is_empty()) {
        *kept = typed;
    }
    if let Some(limit) = options.pids_limit {
        limits.pids_limit = Some(if limit <= 0 { -1 } else { limit });
    }
    Ok(limits)
}

fn cgroups(limits: &Resources) -> Result<()> {
    match limits.cgroups.as_str() {
        "enabled" | "no-conmon" | "split" => Ok(()),
        "disabled" if has_limits(limits) => {
            Err(fail(Kind::Usage, "--cgroups=disabled excludes limits of memory, processors and processes"))
        }
        "disabled" => Ok(()),
        other => Err(fail(
            Kind::Usage,
            format!("--cgroups takes enabled, disabled, no-conmon or split, not `{other}`"),
        )),
    }
}

fn has_limits(limits: &Resources) -> bool {
    let none = Resources {
        shm_size: limits.shm_size,
        cgroups: limits.cgroups.clone(),
        cgroup_parent: limits.cgroup_parent.clone(),
        ..Resources::default()
    };
    *limits != none
}

fn memory(options: &CreateOptions, limits: &mut Resources) -> Result<()> {
    let usage = |message: &str| Err(fail(Kind::Usage, message));
    limits.memory = options.memory.as_deref().map(parse::memory).transpose()?.flatten();
    let reservation = options.memory_reservation.as_deref();
    limits.memory_reservation = reservation
        .map(|text| parse::bytes("--memory-reservation", text, false))
        .transpose()?
        .filter(|bytes| *bytes > 0);
    let swap =
        options.memory_swap.as_deref().map(|text| parse::bytes("--memory-swap", text, true)).transpose()?;
    limits.memory_swap = match (limits.memory, swap.filter(|swap| *swap != 0)) {
        (None, Some(swap)) if swap > 0 => return usage("--memory-swap needs --memory"),
        (Some(memory), Some(swap)) if swap > 0 && swap < memory => {
            return usage("--memory-swap counts memory and swap together: it cannot be below --memory");
        }
        // Podman's and Docker's default: as much swap as memory.
        (Some(memory), None) => Some(memory.saturating_mul(2)),
        (_, swap) => swap,
    };
    if limits.memory.zip(limits.memory_reservation).is_some_and(|(most, kept)| kept > most) {
        return usage("--memory-reservation cannot be above --memory");
    }
    limits.memory_swappiness = match options.memory_swappiness {
        None | Some(-1) => None,
        Some(value @ 0..=100) => Some(value.unsigned_abs()),
        Some(_) => return usage("--memory-swappiness goes from 0 to 100"),
    };
    limits.oom_kill_disable = options.oom_kill_disable;
    if limits.oom_kill_disable && limits.memory.is_none() {
        return usage("--oom-kill-disable without --memory could take the whole host down");
    }
    Ok(())
}

fn cpu(options: &CreateOptions, limits: &mut Resources) -> Result<()> {
    limits.cpu_shares = options.cpu_shares.filter(|shares| *shares > 0);
    limits.cpu_quota = options.cpu_quota.filter(|quota| *quota != 0);
    limits.cpu_period = options.cpu_period.filter(|period| *period > 0);
    if let Some(text) = options.cpus.as_deref() {
        if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
            return Err(fail(Kind::Usage, "--cpus excludes --cpu-quota and --cpu-period"));
        }
        limits.cpu_quota = parse::cpus(text)?;
        limits.cpu_period = limits.cpu_quota.map(|_| parse::CPU_PERIOD);
    }
    if limits.cpu_period.is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
        return Err(fail(Kind::Usage, "--cpu-period goes from 1000 to 1000000 microseconds"));
    }
    if limits.cpu_quota.is_some_and(|quota| quota != -1 && quota < 1_000) {
        return Err(fail(Kind::Usage, "--cpu-quota is at least 1000 microseconds"));
    }
    (limits.cpu_rt_runtime, limits.cpu_rt_period) = (options.cpu_rt_runtime, options.cpu_rt_period);
    limits.cpuset_cpus = parse::cpuset("--cpuset-cpus", options.cpuset_cpus.as_deref().unwrap_or_default())?;
    limits.cpuset_mems = parse::cpuset("--cpuset-mems", options.cpuset_mems.as_deref().unwrap_or_default())?;
    Ok(())
}

fn block_io(options: &CreateOptions, limits: &mut Resources) -> Result<()> {
    let weight = options.blkio_weight.as_deref().map(parse::blkio_weight).transpose()?;
    limits.blkio_weight = weight.filter(|weight| *weight > 0);
    let all = |texts: &[String], one: fn(&str) -> Result<(std::path::PathBuf, u64)>| {
        texts.iter().map(|text| one(text)).collect::<Result<Vec<_>>>()
    };
    limits.blkio_weight_device = all(&options.blkio_weight_device, device::parse_weight)?;
    limits.device_read_bps = all(&options.device_read_bps, device::parse_bps)?;
    limits.device_write_bps = all(&options.device_write_bps, device::parse_bps)?;
    limits.device_read_iops = all(&options.device_read_iops, device::parse_iops)?;
    limits.device_write_iops = all(&options.device_write_iops, device::parse_iops)?;
    for text in &options.device_cgroup_rule {
        device::parse_rule(text)?;
        limits.device_cgroup_rules.push(text.clone());
    }
    Ok(())
}

/// `None` is the default, which may be left out where cgroups cannot be had; a limit that was asked for may not.
fn pids(context: &Context<'_>, options: &CreateOptions) -> Option<i64> {
    let asked =
        options.pids_limit.or(Some(context.defaults.pids_limit).filter(|l| *l != defaults::PIDS_LIMIT));
    asked.map(|limit| if limit <= 0 { -1 } else { limit })
}
