//! `container inspect`: the record in the JSON form that podman prints, which is Docker's with additions.

use serde_json::{Map, Value, json};

use super::filter::{network_word, restart_word};
use super::logs;
use super::ps::{self, Sizes};
use crate::base::error::Result;
use crate::base::time::rfc3339;
use crate::container::record::{
    Config, HealthLogTo, LogDriver, Mount, MountSource, Namespace, PortMapping, RestartPolicy, Seccomp,
    State, UserNs,
};
use crate::container::store::{Container, Store};
use crate::ops::context::Context as Ops;
use crate::ops::volumes;
use crate::runtime::supervisor::Live;

/// The time that stands for "never" in Docker's and podman's JSON.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Describes one container; with `size`, what it takes on disk.
pub fn inspect(ops: &Ops, container: &Container, size: bool) -> Result<Value> {
    let store = ops.containers()?;
    let config = &container.config;
    let live = Live::load(&store.run_dir(&config.id))?.filter(|_| container.is_alive());
    let mut all = Map::new();
    let mut put = |key: &str, value: Value| all.insert(key.to_owned(), value);
    let argv: Vec<&String> = config.process.entrypoint.iter().chain(&config.process.command).collect();
    put("Id", json!(config.id));
    put("Created", json!(rfc3339(config.created)));
    put("Path", json!(argv.first()));
    put("Args", json!(argv.get(1..).unwrap_or_default()));
    put("State", state(&container.state, config, live.as_ref()));
    put("Image", json!(config.rootfs.image_id.as_ref().map_or("", |id| id.hex())));
    put("ImageDigest", json!(config.rootfs.image_id.as_ref().map_or("", |id| id.as_str())));
    put("ImageName", json!(config.rootfs.image_name));
    put(
        "Rootfs",
        json!(config.rootfs.path.as_ref().map_or(String::new(), |path| path.display().to_string())),
    );
    put("Pod", json!(""));
    let file = |name: &str| container.dir.join(name).display().to_string();
    put("ResolvConfPath", json!(file("resolv.conf")));
    put("HostnamePath", json!(file("hostname")));
    put("HostsPath", json!(file("hosts")));
    put("StaticDir", json!(container.dir.display().to_string()));
    put("OCIConfigPath", json!(file("spec.json")));
    put("OCIRuntime", json!("dhow"));
    put("ConmonPidFile", json!(""));
    put("PidFile", json!(config.pid_file.as_ref().map_or(String::new(), |path| path.display().to_string())));
    put("LogPath", json!(log_path(store, config)));
    put("Name", json!(config.name));
    put("RestartCount", json!(live.as_ref().map_or(container.state.restarts, |live| live.restarts)));
    put("Driver", json!(ops.layers()?.driver()?.name()));
    put("MountLabel", json!(""));
    put("ProcessLabel", json!(""));
    put("AppArmorProfile", json!(config.security.apparmor.clone().unwrap_or_default()));
    put("EffectiveCaps", json!(capabilities(config)));
    put("BoundingCaps", json!(capabilities(config)));
    put("ExecIDs", json!([]));
    put("GraphDriver", graph_driver(ops, container)?);
    if size {
        let Sizes { own, image } = ps::sizes(ops, container)?;
        put("SizeRw", json!(own));
        put("SizeRootFs", json!(own + image));
    }
    put("Mounts", mounts(ops, config)?);
    put("Dependencies", json!(config.depends));
    put("NetworkSettings", network(container));
    put("Namespace", json!(""));
    put("IsInfra", json!(false));
    put("IsService", json!(false));
    put("Config", settings(config));
    put("HostConfig", host_config(store, config));
    Ok(Value::Object(all))
}

fn log_path(store: &Store, config: &Config) -> String {
    match config.log.driver {
        LogDriver::K8sFile | LogDriver::JsonFile => logs::path(store, config).display().to_string(),
        _ => String::new(),
    }
}

/// The eleven defaults with what was added and dropped.
fn capabilities(config: &Config) -> Vec<String> {
    crate::ops::spec::capabilities(config)
}

fn state(state: &State, config: &Config, live: Option<&Live>) -> Value {
    let word = state.status.word();
    let time = |when: Option<jiff::Timestamp>| when.map_or(NEVER.to_owned(), rfc3339);
    let mut value = json!({
        "OciVersion": "1.2.1",
        "Status": word,
        "Running": live.is_some() && word != "paused" && word != "exited",
        "Paused": word == "paused",
        "Restarting": live.is_some_and(|live| live.pid == 0),
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": state.pid,
        "ConmonPid": live.map_or(0, |live| live.supervisor),
        "ExitCode": if live.is_some() { 0 } else { state.exit_code },
        "Error": state.error,
        "StartedAt": time(live.map(|live| live.started).or(state.started)),
        "FinishedAt": time(state.finished),
        "CheckpointedAt": NEVER,
        "RestoredAt": NEVER,
        "StoppedByUser": state.stopped_by_user,
    });
    if config.health.is_some() {
        value["Health"] = json!(state.health.clone().unwrap_or_default());
    }
    value
}

fn graph_driver(ops: &Ops, container: &Container) -> Result<Value> {
    let layers = ops.layers()?;
    let mut lower: Vec<String> = Vec::new();
    if !container.config.rootfs.layers.is_empty() {
        let dirs = layers.lower_dirs(&container.config.rootfs.layers).unwrap_or_default();
        lower.extend(dirs.iter().map(|dir| dir.display().to_string()));
    }
    let own = |name: &str| container.dir.join(name).display().to_string();
    let data = match layers.driver()?.name() {
        "vfs" | "btrfs" => json!({"RootDir": own("rootfs")}),
        _ => json!({"LowerDir": lower.join(":"), "UpperDir": own("upper"), "WorkDir": own("work")}),
    };
    Ok(json!({"Name": layers.driver()?.name(), "Data": data}))
}

fn mounts(ops: &Ops, config: &Config) -> Result<Value> {
    let shown = config.mounts.iter().filter_map(|mount| one_mount(ops, mount).transpose());
    Ok(Value::Array(shown.collect::<Result<_>>()?))
}

/// Binds and volumes only: what else is mounted stands in `HostConfig`.
fn one_mount(ops: &Ops, mount: &Mount) -> Result<Option<Value>> {
    let options = &mount.options;
    let mut value = match &mount.source {
        MountSource::Bind(path) => {
            json!({"Type": "bind", "Name": "", "Driver": "", "Source": path.display().to_string()})
        }
        MountSource::Volume { name, .. } => {
            let data = volumes::data_dir(ops, name)?;
            json!({"Type": "volume", "Name": name, "Driver": "local", "Source": data.display().to_string()})
        }
        MountSource::Image { id, .. } => {
            json!({"Type": "image", "Name": "", "Driver": "", "Source": id.as_str()})
        }
        MountSource::Tmpfs | MountSource::Ramfs | MountSource::Devpts => return Ok(None),
    };
    value["Destination"] = json!(mount.target);
    value["Mode"] = json!(options.relabel.map_or(String::new(), String::from));
    value["Options"] = json!(options.flags);
    value["RW"] = json!(!options.read_only);
    value["Propagation"] = json!(options.propagation.clone().unwrap_or_else(|| "rprivate".into()));
    Ok(Some(value))
}

/// `{"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}`
fn ports(mappings: &[PortMapping], exposed: &[String]) -> Value {
    let mut all: Map<String, Value> = exposed.iter().map(|port| (port.clone(), Value::Null)).collect();
    for mapping in mappings {
        for offset in 0..mapping.range.max(1) {
            let key = format!("{}/{}", mapping.container_port + offset, mapping.protocol);
            let host =
                json!({"HostIp": mapping.host_ip, "HostPort": (mapping.host_port + offset).to_string()});
            match all.get_mut(&key).and_then(Value::as_array_mut) {
                Some(known) => known.push(host),
                None => drop(all.insert(key, json!([host]))),
            }
        }
    }
    Value::Object(all)
}

fn network(container: &Container) -> Value {
    let bound = if container.state.ports.is_empty() {
        &container.config.network.ports
    } else {
        &container.state.ports
    };
    let networks: Map<String, Value> =
        ps::networks(container).into_iter().map(|name| (name.clone(), json!({"NetworkID": name}))).collect();
    json!({
        "EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "",
        "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "MacAddress": "", "Bridge": "", "SandboxID": "",
        "HairpinMode": false, "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0, "SandboxKey": "",
        "Ports": ports(bound, &container.config.network.exposed),
        "Networks": networks,
    })
}

fn settings(config: &Config) -> Value {
    let process = &config.process;
    let volumes: Map<String, Value> = config
        .mounts
        .iter()
        .filter(|mount| matches!(mount.source, MountSource::Volume { anonymous: true, .. }))
        .map(|mount| (mount.target.clone(), json!({})))
        .collect();
    let mut value = json!({
        "Hostname": hostname(config),
        "Domainname": config.security.sysctls.get("kernel.domainname").cloned().unwrap_or_default(), "User": process.user,
        "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
        "Tty": process.tty, "OpenStdin": process.stdin_open, "StdinOnce": false,
        "Env": process.env,
        "Cmd": process.command,
        "Image": config.rootfs.image_name,
        "Volumes": if volumes.is_empty() { Value::Null } else { Value::Object(volumes) },
        "WorkingDir": process.workdir,
        "Entrypoint": process.entrypoint,
        "OnBuild": null,
        "Healthcheck": null,
        "Labels": config.labels,
        "Annotations": config.annotations,
        "StopSignal": crate::container::parse::signal::name(process.stop_signal),
        "HealthcheckOnFailureAction": "none",
        "CreateCommand": config.create_command,
        "Umask": format!("{:04o}", process.umask),
        "Timeout": config.timeout,
        "StopTimeout": process.stop_timeout,
        "Passwd": true,
        "ExposedPorts": config.network.exposed.iter().map(|p| (p.clone(), json!({}))).collect::<Map<_, _>>(),
        "sdNotifyMode": "container",
    });
    if process.timezone.is_some() {
        value["Timezone"] = json!(process.timezone);
    }
    if let Some(health) = &config.health {
        value["Healthcheck"] = json!({
            "Test": health.test, "Interval": health.interval, "Timeout": health.timeout,
            "StartPeriod": health.start_period, "Retries": health.retries,
        });
        value["HealthcheckOnFailureAction"] = json!(health.on_failure);
        value["HealthMaxLogCount"] = json!(health.log_count.unwrap_or(5));
        value["HealthMaxLogSize"] = json!(health.log_size.unwrap_or(500));
        value["HealthLogDestination"] = match &health.log {
            HealthLogTo::Local => json!("local"),
            HealthLogTo::Events => json!("events_logger"),
            HealthLogTo::Directory(dir) => json!(dir),
        };
        if let Some(startup) = &health.startup {
            value["StartupHealthCheck"] = json!({
                "Test": startup.test, "Interval": startup.interval, "Timeout": startup.timeout,
                "Retries": startup.retries, "Successes": startup.successes,
            });
        }
    }
    value
}

/// What the container calls itself: what was asked for, or the short id.
pub fn hostname(config: &Config) -> String {
    if config.network.hostname.is_empty() {
        crate::base::id::short(&config.id).to_owned()
    } else {
        config.network.hostname.clone()
    }
}

fn namespace(mode: &Namespace) -> String {
    match mode {
        Namespace::Private => "private".into(),
        Namespace::Host => "host".into(),
        Namespace::Container(id) => format!("container:{id}"),
        Namespace::Path(path) => format!("ns:{}", path.display()),
        Namespace::Shareable => "shareable".into(),
        Namespace::None => "none".into(),
    }
}

fn user_namespace(mode: &UserNs) -> String {
    match mode {
        UserNs::Host => String::new(),
        UserNs::Mapped { .. } => "private".into(),
        UserNs::Container(id) => format!("container:{id}"),
        UserNs::Path(path) => format!("ns:{}", path.display()),
    }
}

fn host_config(store: &Store, config: &Config) -> Value {
    let resources = &config.resources;
    let security = &config.security;
    let limits: Vec<Value> = config
        .process
        .ulimits
        .iter()
        .map(|l| json!({"Name": format!("RLIMIT_{}", l.name.to_uppercase()), "Soft": l.soft, "Hard": l.hard}))
        .collect();
    let retries = if let RestartPolicy::OnFailure(count) = config.restart { count } else { 0 };
    let mut value = json!({
        "Binds": binds(config),
        "CgroupManager": "", "CgroupMode": namespace(&config.namespaces.cgroup),
        "ContainerIDFile": config.cid_file.as_ref().map_or(String::new(), |path| path.display().to_string()),
        "LogConfig": {
            "Type": log_word(config.log.driver), "Config": null, "Path": log_path(store, config),
            "Tag": config.log.tag, "Size": crate::base::units::human(config.log.max_size),
        },
        "NetworkMode": network_word(&config.network.mode),
        "PortBindings": ports(&config.network.ports, &[]),
        "RestartPolicy": {"Name": restart_word(config.restart), "MaximumRetryCount": retries},
        "AutoRemove": config.auto_remove, "AutoRemoveImage": config.auto_remove_image,
        "VolumeDriver": "", "VolumesFrom": null,
        "CapAdd": security.cap_add, "CapDrop": security.cap_drop,
        "Dns": config.network.dns, "DnsOptions": config.network.dns_options,
        "DnsSearch": config.network.dns_search, "ExtraHosts": config.network.hosts,
        "GroupAdd": config.process.groups,
        "IpcMode": namespace(&config.namespaces.ipc), "Cgroup": "", "Cgroups": resources.cgroups, "Links": null,
        "OomScoreAdj": config.process.oom_score_adj.unwrap_or(0),
        "PidMode": namespace(&config.namespaces.pid), "UTSMode": namespace(&config.namespaces.uts),
        "UsernsMode": user_namespace(&config.namespaces.user),
        "Privileged": security.privileged, "PublishAllPorts": config.network.publish_all,
        "ReadonlyRootfs": config.rootfs.read_only,
        "SecurityOpt": security_options(config), "Tmpfs": tmpfs(config),
        "ShmSize": resources.shm_size, "Runtime": "oci", "ConsoleSize": [0, 0], "Isolation": "",
        "Init": config.process.init,
        "Ulimits": limits,
    });
    resource_keys(&mut value, config);
    value
}

fn resource_keys(value: &mut Value, config: &Config) {
    let resources = &config.resources;
    let cpus = match (resources.cpu_quota, resources.cpu_period) {
        (Some(quota), Some(period)) if quota > 0 && period > 0 => quota as f64 / period as f64,
        _ => 0.0,
    };
    let rates = |list: &[(std::path::PathBuf, u64)]| -> Vec<Value> {
        list.iter().map(|(path, rate)| json!({"Path": path.display().to_string(), "Rate": rate})).collect()
    };
    let devices: Vec<Value> = config
        .devices
        .iter()
        .map(|device| {
            json!({"PathOnHost": device.host.display().to_string(),
                   "PathInContainer": device.container.display().to_string(), "CgroupPermissions": device.access})
        })
        .collect();
    let more = json!({
        "Memory": resources.memory.unwrap_or(0), "MemoryReservation": resources.memory_reservation.unwrap_or(0),
        "MemorySwap": resources.memory_swap.unwrap_or(0), "KernelMemory": 0,
        "MemorySwappiness": resources.memory_swappiness, "OomKillDisable": resources.oom_kill_disable,
        "NanoCpus": (cpus * 1e9) as i64, "CpuShares": resources.cpu_shares.unwrap_or(0),
        "CpuPeriod": resources.cpu_period.unwrap_or(0), "CpuQuota": resources.cpu_quota.unwrap_or(0),
        "CpuRealtimePeriod": resources.cpu_rt_period.unwrap_or(0),
        "CpuRealtimeRuntime": resources.cpu_rt_runtime.unwrap_or(0),
        "CpusetCpus": resources.cpuset_cpus, "CpusetMems": resources.cpuset_mems,
        "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0, "DiskQuota": 0,
        "PidsLimit": resources.pids_limit.unwrap_or(crate::runtime::defaults::PIDS_LIMIT), "CgroupParent": resources.cgroup_parent.clone().unwrap_or_default(),
        "BlkioWeight": resources.blkio_weight.unwrap_or(0), "BlkioWeightDevice": rates(&resources.blkio_weight_device),
        "BlkioDeviceReadBps": rates(&resources.device_read_bps),
        "BlkioDeviceWriteBps": rates(&resources.device_write_bps),
        "BlkioDeviceReadIOps": rates(&resources.device_read_iops),
        "BlkioDeviceWriteIOps": rates(&resources.device_write_iops),
        "Devices": devices, "CgroupConf": resources.unified,
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
}

/// The log driver in the words of `--log-driver`.
pub fn log_word(driver: LogDriver) -> &'static str {
    match driver {
        LogDriver::K8sFile => "k8s-file",
        LogDriver::JsonFile => "json-file",
        LogDriver::Journald => "journald",
        LogDriver::None => "none",
        LogDriver::Passthrough => "passthrough",
        LogDriver::PassthroughTty => "passthrough-tty",
    }
}

/// Docker's `source:target:options`.
fn binds(config: &Config) -> Vec<String> {
    let shown = config.mounts.iter().filter_map(|mount| {
        let source = match &mount.source {
            MountSource::Bind(path) => path.display().to_string(),
            MountSource::Volume { name, .. } => name.clone(),
            _ => return None,
        };
        let mut options = vec![if mount.options.read_only { "ro" } else { "rw" }.to_owned()];
        options.extend(mount.options.propagation.clone());
        options.extend(mount.options.flags.clone());
        Some(format!("{source}:{}:{}", mount.target, options.join(",")))
    });
    shown.collect()
}

fn tmpfs(config: &Config) -> Value {
    let shown =
        config.mounts.iter().filter(|mount| matches!(mount.source, MountSource::Tmpfs)).map(|mount| {
            let options: Vec<&str> =
                mount.options.flags.iter().chain(&mount.options.extra).map(String::as_str).collect();
            (mount.target.clone(), json!(options.join(",")))
        });
    Value::Object(shown.collect())
}

fn security_options(config: &Config) -> Vec<String> {
    let security = &config.security;
    let mut all = Vec::new();
    match &security.seccomp {
        Seccomp::Default => {}
        Seccomp::Unconfined => all.push("seccomp=unconfined".into()),
        Seccomp::Profile(path) => all.push(format!("seccomp={}", path.display())),
    }
    if security.no_new_privileges {
        all.push("no-new-privileges".into());
    }
    all.extend(security.apparmor.iter().map(|profile| format!("apparmor={profile}")));
    all.extend(security.labels.iter().map(|label| format!("label={label}")));
    all.extend(security.mask.iter().map(|path| format!("mask={path}")));
    all.extend(security.unmask.iter().map(|path| format!("unmask={path}")));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_grouped_by_container_port() {
        let mapping = |host_port| PortMapping {
            host_ip: String::new(),
            host_port,
            container_port: 80,
            range: 1,
            protocol: "tcp".into(),
        };
        let shown = ports(&[mapping(8080), mapping(8081)], &["9/udp".into()]);
        assert_eq!(shown["80/tcp"].as_array().map(Vec::len), Some(2));
        assert!(shown["9/udp"].is_null());
    }
}
