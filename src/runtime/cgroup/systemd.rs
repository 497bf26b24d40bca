//! Scopes of systemd: cgroup v2 directories that systemd makes, knows and gives to us (`Delegate=yes`).
//!
//! A scope must have a process when it starts, so the container's first one is moved in from outside.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxResources};

use super::dbus::{Connection, Message, Value};
use super::handle::{Handle, Location};
use super::host::{Host, below, unified_of};
use super::make::{Place, Request, apply_v2};
use super::{Manager, Setting, devices, v2};
use crate::base::error::{Context, Explain, Kind, Result, bail, ensure, fail};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// The socket of the bus where systemd listens: the system's for root, else the user's.
pub(super) fn bus_path(rootless: bool) -> Option<PathBuf> {
    if !rootless {
        return Some(PathBuf::from("/run/dbus/system_bus_socket"));
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(runtime) = env("XDG_RUNTIME_DIR") {
        return Some(Path::new(&runtime).join("bus"));
    }
    let address = env("DBUS_SESSION_BUS_ADDRESS")?;
    let path = address.strip_prefix("unix:path=")?;
    Some(PathBuf::from(path.split([',', ';']).next()?))
}

/// A scope that starts when the container's first process is there.
pub(super) struct Scope {
    bus: PathBuf,
    unit: String,
    properties: Vec<(&'static str, Value)>,
    settings: Vec<Setting>,
    devices: Vec<LinuxDeviceCgroup>,
    root: PathBuf,
    rootless: bool,
}

/// Prepares the scope of a request.
pub(super) fn handle(host: &Host, request: &Request<'_>) -> Result<Handle> {
    let Some(bus) = bus_path(host.rootless) else {
        return Err(fail(Kind::Failed, "no message bus leads to systemd")
            .hint("log in with a session of its own, or use `--cgroup-manager cgroupfs`"));
    };
    let (slice, unit) = names(host, request)?;
    let settings = v2::settings(request.resources, request.default_pids)?;
    let mut properties = vec![
        ("Description", Value::Text(format!("dhow container {}", request.id))),
        ("Slice", Value::Text(slice)),
        ("Delegate", Value::Bool(true)),
        ("DefaultDependencies", Value::Bool(false)),
        ("CollectMode", Value::Text("inactive-or-failed".into())),
    ];
    properties.extend(limits(request.resources)?);
    let rules = request.resources.devices().as_deref().unwrap_or_default();
    let scope = Scope {
        bus,
        unit: unit.clone(),
        properties,
        settings,
        devices: if host.rootless { Vec::new() } else { rules.to_vec() },
        root: host.root.clone(),
        rootless: host.rootless,
    };
    let location = Location {
        manager: Manager::Systemd,
        unit: Some(unit),
        rootless: host.rootless,
        ..Location::default()
    };
    let mut handle = location.open();
    handle.scope = Some(scope);
    Ok(handle)
}

/// The slice and the scope of a request.
fn names(host: &Host, request: &Request<'_>) -> Result<(String, String)> {
    let default = if host.rootless { "user.slice" } else { "machine.slice" };
    let (slice, unit) = match request.place {
        Place::Parent(parent) => (parent.unwrap_or(default), format!("dhow-{}.scope", request.id)),
        Place::Exact(path) => {
            let parts: Vec<&str> = path.split(':').collect();
            let [slice, prefix, name] = parts[..] else {
                bail!("cgroup path `{path}` is not SLICE:PREFIX:NAME, as the systemd manager needs it")
            };
            let unit = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}-{name}") };
            (if slice.is_empty() { default } else { slice }, format!("{unit}.scope"))
        }
    };
    let slice = slice.trim_matches('/').rsplit('/').next().unwrap_or(default);
    if !slice.ends_with(".slice") {
        return Err(fail(Kind::Usage, format!("cgroup parent `{slice}` is not a systemd slice"))
            .hint("give a name that ends in `.slice`, or use `--cgroup-manager cgroupfs`"));
    }
    Ok((slice.to_owned(), unit))
}

/// The limits that systemd knows by name. It would undo what only the files say when it reloads.
fn limits(resources: &LinuxResources) -> Result<Vec<(&'static str, Value)>> {
    let mut out = Vec::new();
    let mut put = |name, value: u64| out.push((name, Value::U64(value)));
    let bytes = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let given = |value: Option<i64>| value.filter(|value| *value != 0);
    if let Some(memory) = resources.memory() {
        if let Some(limit) = given(memory.limit()) {
            put("MemoryMax", bytes(limit));
        }
        if let Some(low) = given(memory.reservation()) {
            put("MemoryLow", bytes(low));
        }
        match (given(memory.swap()), given(memory.limit())) {
            (Some(-1), _) => put("MemorySwapMax", u64::MAX),
            (Some(both), Some(limit)) => put("MemorySwapMax", bytes((both - limit).max(0))),
            _ => {}
        }
    }
    if let Some(pids) = resources.pids() {
        put("TasksMax", if pids.limit() > 0 { bytes(pids.limit()) } else { u64::MAX });
    }
    if let Some(weight) =
        resources.block_io().as_ref().and_then(|io| io.weight()).filter(|weight| *weight != 0)
    {
        put("IOWeight", v2::io_weight(weight));
    }
    let Some(cpu) = resources.cpu() else { return Ok(out) };
    if let Some(quota) = cpu.quota().filter(|quota| *quota > 0) {
        let period = cpu.period().filter(|period| *period != 0).unwrap_or(100_000);
        // systemd keeps hundredths of a CPU: rounded up, as runc does.
        put("CPUQuotaPerSecUSec", (bytes(quota) * 1_000_000 / period).next_multiple_of(10_000));
        put("CPUQuotaPeriodUSec", period);
    }
    for (name, set) in [("AllowedCPUs", cpu.cpus()), ("AllowedMemoryNodes", cpu.mems())] {
        if let Some(list) = set.as_deref().filter(|list| !list.is_empty()) {
            out.push((name, Value::Bytes(bitmap(list)?)));
        }
    }
    Ok(out)
}

/// `0-2,8` as bits, lowest first.
fn bitmap(list: &str) -> Result<Vec<u8>> {
    let mut bits = Vec::new();
    for part in list.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|number| *number < 1 << 16);
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            bail!("`{list}` is not a list of CPUs")
        };
        ensure!(from <= to, "`{list}` is not a list of CPUs");
        for bit in from..=to {
            if bits.len() <= bit / 8 {
                bits.resize(bit / 8 + 1, 0);
            }
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    Ok(bits)
}

impl Scope {
    /// Starts the scope around a process, waits until it is there, and gives its directory.
    pub(super) fn start(mut self, pid: i32) -> Result<PathBuf> {
        self.properties.push(("PIDs", Value::U32s(vec![pid.unsigned_abs()])));
        start_unit(&self.bus, &self.unit, &self.properties)
            .with_context(|| format!("start systemd scope `{}`", self.unit))?;
        let dir = below(&self.root, &unified_of(pid)?);
        ensure!(dir.ends_with(&self.unit), "systemd did not move process {pid} into `{}`", self.unit);
        apply_v2(&dir, &self.settings, self.rootless)?;
        devices::attach_v2(&dir, &self.devices)?;
        Ok(dir)
    }
}

pub(super) fn start_unit(bus: &Path, unit: &str, properties: &[(&str, Value)]) -> Result<()> {
    let mut bus = Connection::open(bus)?;
    let rule = format!("type='signal',sender='{NAME}',interface='{MANAGER}',member='JobRemoved'");
    let dbus = "org.freedesktop.DBus";
    let add_match = Message::call(dbus, "/org/freedesktop/DBus", dbus, "AddMatch");
    bus.ask(add_match.body("s", |e| e.text(&rule)))?;
    let call = Message::call(NAME, PATH, MANAGER, "StartTransientUnit").body("ssa(sv)a(sa(sv))", |e| {
        e.text(unit);
        e.text("fail");
        e.properties(properties);
        e.array(8, |_| {});
    });
    // The job may be done before its number is told.
    let mut early = Vec::new();
    let job =
        bus.ask_with(call, |signal| early.push(signal))?.words()?.into_iter().next().unwrap_or_default();
    let mut early = early.into_iter();
    loop {
        let message = match early.next() {
            Some(message) => message,
            None => bus.receive()?,
        };
        if message.member != "JobRemoved" || message.interface != MANAGER {
            continue;
        }
        // id, job, unit, result
        match &message.words()?[..] {
            [_, done, _, result] if *done == job && result == "done" => return Ok(()),
            [_, done, _, result] if *done == job => bail!("systemd says `{result}`"),
            _ => {}
        }
    }
}

/// Stops a scope that still has processes.
pub(super) fn stop(unit: &str, rootless: bool) -> Result<()> {
    let Some(bus) = bus_path(rootless) else { return Ok(()) };
    let call = Message::call(NAME, PATH, MANAGER, "StopUnit").body("ss", |e| {
        e.text(unit);
        e.text("replace");
    });
    let stopped = Connection::open(&bus)?.ask(call);
    match stopped {
        Err(error) if error.to_string().contains("not loaded") => Ok(()), // it went by itself
        other => other.map(drop).with_context(|| format!("stop systemd scope `{unit}`")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    #[test]
    fn cpu_lists_become_bits() {
        for (list, wanted) in [("0", &[1u8][..]), ("0-2,8", &[7, 1]), ("1,3", &[10]), ("7-8", &[128, 1])] {
            assert_eq!(bitmap(list).unwrap(), wanted, "{list}");
        }
        for bad in ["", "a", "3-1", "1-", "99999999"] {
            assert!(bitmap(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_have_systemds_names() {
        let json = r#"{"memory":{"limit":1000,"swap":1500},"cpu":{"quota":15000,"period":100000,"cpus":"0"},
                       "pids":{"limit":-1}}"#;
        let limits = limits(&serde_json::from_str(json).unwrap()).unwrap();
        let wanted = [
            ("MemoryMax", Value::U64(1000)),
            ("MemorySwapMax", Value::U64(500)),
            ("TasksMax", Value::U64(u64::MAX)),
            ("CPUQuotaPerSecUSec", Value::U64(150_000)),
            ("CPUQuotaPeriodUSec", Value::U64(100_000)),
            ("AllowedCPUs", Value::Bytes(vec![1])),
        ];
        assert_eq!(limits, wanted);
    }

    /// A message bus of the test's own, which ends with it.
    struct Daemon {
        process: std::process::Child,
        dir: PathBuf,
    }

    impl Daemon {
        /// `None` where dbus-daemon is not installed.
        fn start() -> Option<Daemon> {
            let dir = std::env::temp_dir().join(format!("dhow-bus-{}", crate::base::id::word()));
            crate::base::fs::create_dir_all(&dir).unwrap();
            let config = format!(
                "<busconfig><type>session</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>\
                 <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                 <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
                dir.display()
            );
            let file = dir.join("config");
            crate::base::fs::write_new(
                &file,
                config.as_bytes(),
                0o600,
                crate::base::fs::Durability::Volatile,
            )
            .unwrap();
            let mut command = std::process::Command::new("dbus-daemon");
            command.args(["--nofork", "--print-address"]).arg(format!("--config-file={}", file.display()));
            let process = command.stdout(std::process::Stdio::piped()).spawn();
            let mut daemon = process.ok().map(|process| Daemon { process, dir: dir.clone() });
            // It prints its address once it listens; the socket's file is there before that.
            let output = daemon.as_mut().and_then(|daemon| daemon.process.stdout.take());
            if let Some(output) = output {
                let mut address = String::new();
                std::io::BufReader::new(output).read_line(&mut address).unwrap();
                assert!(address.starts_with("unix:"), "dbus-daemon said `{address}`");
            }
            daemon
        }

        fn bus(&self) -> PathBuf {
            self.dir.join("bus")
        }
    }

    impl Drop for Daemon {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
            for entry in crate::base::fs::read_dir(&self.dir).unwrap() {
                crate::base::fs::remove_file(&entry.path()).unwrap();
            }
            std::fs::remove_dir(&self.dir).unwrap();
        }
    }

    /// What a systemd would do, once for each unit name: the name says how the job ends.
    fn pretend_to_be_systemd(bus: &Path, ready: std::sync::mpsc::Sender<()>, units: usize) -> Vec<Message> {
        use super::super::dbus::MessageKind;
        let mut bus = Connection::open(bus).unwrap();
        let dbus = "org.freedesktop.DBus";
        let own = Message::call(dbus, "/org/freedesktop/DBus", dbus, "RequestName").body("su", |e| {
            e.text(NAME);
            e.u32(0);
        });
        bus.ask(own).unwrap();
        ready.send(()).unwrap();
        let mut seen = Vec::new();
        while seen.len() < units {
            let call = bus.receive().unwrap();
            if call.kind != MessageKind::Call {
                continue;
            }
            let text = String::from_utf8_lossy(&call.body).into_owned();
            let to = |kind| Message {
                reply_to: call.serial,
                destination: call.sender.clone(),
                ..Message::new(kind)
            };
            let job = format!("{PATH}/job/{}", seen.len());
            let removed = |result: &str| {
                let signal = Message::call("", PATH, MANAGER, "JobRemoved").body("uoss", |e| {
                    e.u32(1);
                    e.text(&job);
                    e.text("x.scope");
                    e.text(result);
                });
                Message { kind: MessageKind::Signal, ..signal }
            };
            let answer = to(MessageKind::Return).body("o", |e| e.text(&job));
            if text.contains("taken") {
                let mut error = to(MessageKind::Error).body("s", |e| e.text("Unit was already loaded"));
                error.error = "org.freedesktop.systemd1.UnitExists".into();
                bus.send(error).unwrap();
            } else if text.contains("early") {
                bus.send(removed("done")).unwrap();
                bus.send(answer).unwrap();
            } else {
                bus.send(answer).unwrap();
                bus.send(removed(if text.contains("bad") { "failed" } else { "done" })).unwrap();
            }
            seen.push(call);
        }
        seen
    }

    #[test]
    fn scopes_start_over_a_real_bus() {
        let Some(daemon) = Daemon::start() else { return };
        let (ready, wait) = std::sync::mpsc::channel();
        let bus = daemon.bus();
        let service = std::thread::spawn(move || pretend_to_be_systemd(&bus, ready, 4));
        wait.recv().unwrap();
        let properties = [("PIDs", Value::U32s(vec![1])), ("Delegate", Value::Bool(true))];
        let start = |unit: &str| start_unit(&daemon.bus(), unit, &properties);
        start("good.scope").unwrap();
        start("early.scope").unwrap();
        let error = crate::base::error::render(&start("taken.scope").unwrap_err());
        assert!(error.contains("Unit was already loaded"), "{error}");
        let error = crate::base::error::render(&start("bad.scope").unwrap_err());
        assert!(error.contains("`failed`"), "{error}");
        let calls = service.join().unwrap();
        assert_eq!(calls[0].signature, "ssa(sv)a(sa(sv))");
        assert_eq!(calls[0].member, "StartTransientUnit");
    }
}
