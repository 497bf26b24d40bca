//! One container as a line of `ps`: the names of the fields are those of Podman's and Docker's templates.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::base::{id, text, time, units};
use crate::cli::format::{Ago, CreatedAt};
use crate::container::record::{MountSource, PortMapping, Status};
use crate::container::store::Container;
use crate::ops::container::ps::{Listed, Sizes, networks};
use crate::ui::report::Row;

/// The fields of a template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PsRow<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    image: Cow<'a, str>,
    #[serde(rename = "ImageID")]
    image_id: &'a str,
    command: Command<'a>,
    created: CreatedAt,
    created_at: CreatedAt,
    created_human: Ago,
    created_since: Ago,
    running_for: Ago,
    #[serde(serialize_with = "worded_status")]
    status: &'a Listed,
    state: &'a str,
    #[serde(serialize_with = "worded_ports")]
    ports: &'a [PortMapping],
    #[serde(serialize_with = "worded_size")]
    size: Option<Sizes>,
    names: &'a str,
    labels: &'a BTreeMap<String, String>,
    #[serde(serialize_with = "worded_mounts")]
    mounts: &'a Listed,
    #[serde(serialize_with = "worded_networks")]
    networks: &'a Listed,
    local_volumes: usize,
    pod: &'a str,
    pod_name: &'a str,
    pid: i32,
    exit_code: i32,
    exited: bool,
    exited_at: i64,
    started_at: i64,
    restarts: u32,
    auto_remove: bool,
    is_infra: bool,
    #[serde(rename = "CGROUPNS")]
    cgroup: Namespace,
    #[serde(rename = "IPC")]
    ipc: Namespace,
    #[serde(rename = "MNT")]
    mnt: Namespace,
    #[serde(rename = "NET")]
    net: Namespace,
    #[serde(rename = "PIDNS")]
    pidns: Namespace,
    #[serde(rename = "USERNS")]
    userns: Namespace,
    #[serde(rename = "UTS")]
    uts: Namespace,
}

impl Row for PsRow<'_> {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("ID", "CONTAINER ID"),
        ("Image", "IMAGE"),
        ("ImageID", "IMAGE ID"),
        ("Command", "COMMAND"),
        ("Created", "CREATED"),
        ("CreatedAt", "CREATED AT"),
        ("CreatedHuman", "CREATED"),
        ("CreatedSince", "CREATED"),
        ("RunningFor", "CREATED"),
        ("Status", "STATUS"),
        ("State", "STATE"),
        ("Ports", "PORTS"),
        ("Size", "SIZE"),
        ("Names", "NAMES"),
        ("Labels", "LABELS"),
        ("Mounts", "MOUNTS"),
        ("Networks", "NETWORKS"),
        ("LocalVolumes", "LOCAL VOLUMES"),
        ("Pod", "POD ID"),
        ("PodName", "PODNAME"),
        ("Pid", "PID"),
        ("ExitCode", "EXIT CODE"),
        ("Exited", "EXITED"),
        ("ExitedAt", "EXITED AT"),
        ("StartedAt", "STARTED AT"),
        ("Restarts", "RESTARTS"),
        ("AutoRemove", "AUTO REMOVE"),
        ("IsInfra", "IS INFRA"),
        ("CGROUPNS", "CGROUPNS"),
        ("IPC", "IPC"),
        ("MNT", "MNT"),
        ("NET", "NET"),
        ("PIDNS", "PIDNS"),
        ("USERNS", "USERNS"),
        ("UTS", "UTS"),
    ];
}

impl PsRow<'_> {
    /// Prepares a record; what costs something to word is worded where a template names it.
    pub(super) fn new(one: &Listed, whole: bool) -> PsRow<'_> {
        let (config, state) = (&one.container.config, &one.container.state);
        let look = |name| Namespace { pid: state.pid, name };
        let image_id = config.rootfs.image_id.as_ref().map_or("", |digest| digest.hex());
        let cut = |text| if whole { text } else { id::short(text) };
        let volumes = config.mounts.iter().filter(|mount| matches!(mount.source, MountSource::Volume { .. }));
        PsRow {
            id: cut(&config.id),
            image: image_name(one),
            image_id: cut(image_id),
            command: Command { one, whole },
            created: CreatedAt(config.created),
            created_at: CreatedAt(config.created),
            created_human: Ago(config.created),
            created_since: Ago(config.created),
            running_for: Ago(config.created),
            status: one,
            state: state.status.word(),
            ports: published(one),
            size: one.size,
            names: &config.name,
            labels: &config.labels,
            mounts: one,
            networks: one,
            local_volumes: volumes.count(),
            pod: "",
            pod_name: "",
            pid: state.pid,
            exit_code: state.exit_code,
            exited: state.status == Status::Exited,
            exited_at: unix(state.finished),
            started_at: unix(state.started),
            restarts: state.restarts,
            auto_remove: config.auto_remove,
            is_infra: false,
            cgroup: look("cgroup"),
            ipc: look("ipc"),
            mnt: look("mnt"),
            net: look("net"),
            pidns: look("pid"),
            userns: look("user"),
            uts: look("uts"),
        }
    }
}

/// The command on one line, cut unless the whole is wanted.
#[derive(Debug)]
struct Command<'a> {
    one: &'a Listed,
    whole: bool,
}

impl Serialize for Command<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&command(&argv(self.one), self.whole))
    }
}

/// The number of a namespace of a live process, looked up where it is wanted.
#[derive(Debug)]
struct Namespace {
    pid: i32,
    name: &'static str,
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&namespace(self.pid, self.name))
    }
}

fn worded_status<S: Serializer>(one: &&Listed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&status(&one.container))
}

fn worded_ports<S: Serializer>(mappings: &&[PortMapping], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&ports(mappings))
}

fn worded_size<S: Serializer>(sizes: &Option<Sizes>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&sizes.map_or_else(String::new, size))
}

fn worded_mounts<S: Serializer>(one: &&Listed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&mounts(one).join(","))
}

fn worded_networks<S: Serializer>(one: &&Listed, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&networks(&one.container).join(","))
}

/// The fields of `--format json`, with Podman's names and types.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JsonRow {
    auto_remove: bool,
    command: Vec<String>,
    created_at: Ago,
    #[serde(rename = "CIDFile")]
    cid_file: String,
    exited: bool,
    exited_at: i64,
    exit_code: i32,
    id: String,
    image: String,
    #[serde(rename = "ImageID")]
    image_id: String,
    is_infra: bool,
    labels: BTreeMap<String, String>,
    mounts: Vec<String>,
    names: Vec<String>,
    networks: Vec<String>,
    pid: i32,
    pod: String,
    pod_name: String,
    ports: Vec<JsonPort>,
    restarts: u32,
    size: Option<JsonSize>,
    started_at: i64,
    state: String,
    status: String,
    created: i64,
}

#[derive(Debug, Serialize)]
struct JsonPort {
    host_ip: String,
    container_port: u16,
    host_port: u16,
    range: u16,
    protocol: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonSize {
    root_fs_size: u64,
    rw_size: u64,
}

impl JsonRow {
    pub(super) fn new(one: &Listed) -> JsonRow {
        let (config, state) = (&one.container.config, &one.container.state);
        let port = |port: &PortMapping| JsonPort {
            host_ip: port.host_ip.clone(),
            container_port: port.container_port,
            host_port: port.host_port,
            range: port.range,
            protocol: port.protocol.clone(),
        };
        JsonRow {
            auto_remove: config.auto_remove,
            command: argv(one),
            created_at: Ago(config.created),
            cid_file: config.cid_file.as_deref().map_or_else(String::new, |path| path.display().to_string()),
            exited: state.status == Status::Exited,
            exited_at: unix(state.finished),
            exit_code: state.exit_code,
            id: config.id.clone(),
            image: image_name(one).into_owned(),
            image_id: config
                .rootfs
                .image_id
                .as_ref()
                .map_or_else(String::new, |digest| digest.hex().to_owned()),
            is_infra: false,
            labels: config.labels.clone(),
            mounts: mounts(one),
            names: vec![config.name.clone()],
            networks: networks(&one.container),
            pid: state.pid,
            pod: String::new(),
            pod_name: String::new(),
            ports: published(one).iter().map(port).collect(),
            restarts: state.restarts,
            size: one.size.map(|size| JsonSize { root_fs_size: size.own + size.image, rw_size: size.own }),
            started_at: unix(state.started),
            state: state.status.word().to_owned(),
            status: status(&one.container),
            created: config.created.as_second(),
        }
    }
}

fn unix(when: Option<jiff::Timestamp>) -> i64 {
    when.map_or(0, jiff::Timestamp::as_second)
}

fn image_name(one: &Listed) -> Cow<'_, str> {
    let rootfs = &one.container.config.rootfs;
    match &rootfs.path {
        Some(path) => path.to_string_lossy(),
        None => Cow::Borrowed(&rootfs.image_name),
    }
}

fn argv(one: &Listed) -> Vec<String> {
    let process = &one.container.config.process;
    process.entrypoint.iter().chain(&process.command).cloned().collect()
}

/// The command on one line, cut as Podman cuts it.
pub(in crate::cli) fn command(argv: &[String], whole: bool) -> String {
    let line = argv.join(" ");
    let line = text::printable(&line);
    if whole || line.chars().count() <= 17 {
        return line.into_owned();
    }
    line.chars().take(17).chain("...".chars()).collect()
}

/// What became of a container, in Docker's words.
pub(in crate::cli) fn status(container: &Container) -> String {
    let state = &container.state;
    let since = |when: Option<jiff::Timestamp>| {
        when.map_or_else(String::new, |when| time::human(time::since(when, time::now())))
    };
    match state.status {
        Status::Running => format!("Up {}{}", since(state.started), health(container)),
        Status::Paused => format!("Up {} (Paused)", since(state.started)),
        Status::Exited if state.finished.is_none() => format!("Exited ({})", state.exit_code),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished)),
        Status::Created => "Created".into(),
        Status::Initialized => "Initialized".into(),
        Status::Stopping => "Stopping".into(),
        Status::Removing => "Removing".into(),
    }
}

/// ` (healthy)`, where there is a check.
fn health(container: &Container) -> String {
    if container.config.health.is_none() {
        return String::new();
    }
    format!(" ({})", container.state.health.clone().unwrap_or_default().status)
}

/// The ports in force while it runs, else those that were asked for.
fn published(one: &Listed) -> &[PortMapping] {
    let state = &one.container.state;
    if state.ports.is_empty() { &one.container.config.network.ports } else { &state.ports }
}

/// `0.0.0.0:8080->80/tcp`, joined by commas.
pub(super) fn ports(mappings: &[PortMapping]) -> String {
    let one = |port: &PortMapping| {
        let host = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
        let span = |first: u16| match port.range {
            0 | 1 => first.to_string(),
            count => format!("{first}-{}", u32::from(first) + u32::from(count) - 1),
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{host}:{}->{}/{}", span(port.host_port), span(port.container_port), port.protocol)
    };
    mappings.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn mounts(one: &Listed) -> Vec<String> {
    one.container.config.mounts.iter().map(|mount| mount.target.clone()).collect()
}

fn size(size: Sizes) -> String {
    format!("{} (virtual {})", units::human_short(size.own), units::human_short(size.own + size.image))
}

fn namespace(pid: i32, name: &str) -> String {
    let number = || -> std::io::Result<String> {
        let link = std::fs::read_link(Path::new("/proc").join(pid.to_string()).join("ns").join(name))?;
        let text = link.to_string_lossy();
        Ok(text.split(['[', ']']).nth(1).unwrap_or_default().to_owned())
    };
    if pid > 0 { number().unwrap_or_default() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut_and_made_printable() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(command(&words("sleep 10"), false), "sleep 10");
        assert_eq!(command(&words("/bin/sh -c while true"), false), "/bin/sh -c while ...");
        assert_eq!(command(&words("/bin/sh -c while true"), true), "/bin/sh -c while true");
        assert_eq!(command(&["\x1b[2J".to_owned()], true), "\\u{1b}[2J");
    }

    #[test]
    fn ports_read_as_docker_writes_them() {
        let port = |ip: &str, host, container, range| PortMapping {
            host_ip: ip.into(),
            host_port: host,
            container_port: container,
            range,
            protocol: "tcp".into(),
        };
        assert_eq!(ports(&[port("", 8080, 80, 1)]), "0.0.0.0:8080->80/tcp");
        assert_eq!(
            ports(&[port("127.0.0.1", 1, 1, 3), port("::1", 53, 53, 1)]),
            "127.0.0.1:1-3->1-3/tcp, [::1]:53->53/tcp"
        );
    }
}
