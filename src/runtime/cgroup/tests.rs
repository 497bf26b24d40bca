//! On this machine's own control groups, as root, below a directory of the test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci_spec::runtime::LinuxResources;

use super::handle::remove_tree;
use super::*;
use crate::base::error::{hints_of, render};
use crate::base::{fs, id};

/// A host whose hierarchies are entered below `dhow-test-…`, which is removed at the end.
struct Bench {
    host: Host,
    name: String,
}

impl Bench {
    /// `None` where there is nothing to test on: not root, or no v1 hierarchies.
    fn new() -> Option<Bench> {
        let mut host = detect().unwrap();
        if host.rootless || !matches!(host.layout, Layout::Hybrid | Layout::V1) {
            return None;
        }
        let name = format!("dhow-test-{}", id::word());
        for hierarchy in &mut host.hierarchies {
            hierarchy.own = format!("/{name}");
        }
        host.own = format!("/{name}");
        Some(Bench { host, name })
    }

    /// The v2 tree of a hybrid host, as if it were all there is.
    fn v2() -> Option<Bench> {
        let mut bench = Bench::new()?;
        bench.host.root = bench.host.unified()?;
        bench.host.layout = Layout::V2;
        bench.host.hierarchies.clear();
        Some(bench)
    }

    fn make(&self, resources: &str, place: Option<Place<'_>>) -> Result<Handle, Error> {
        let resources: LinuxResources = serde_json::from_str(resources).unwrap();
        let parent = format!("/{}", self.name);
        let place = place.unwrap_or(if self.host.layout == Layout::V2 {
            Place::Parent(Some(&parent))
        } else {
            Place::Parent(None)
        });
        let manager = Some(Manager::Cgroupfs);
        let request = Request { id: "c1", place, manager, resources: &resources, default_pids: true };
        make(&self.host, &request)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let mut roots: Vec<PathBuf> =
            self.host.hierarchies.iter().map(|h| self.host.root.join(&h.dir)).collect();
        roots.extend(self.host.unified());
        for root in roots {
            remove_tree(&root.join(&self.name), Duration::from_secs(2)).unwrap();
        }
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("100").spawn().unwrap()
}

fn ended(child: &mut Child) -> bool {
    (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        child.try_wait().unwrap().is_some()
    })
}

fn read(location: &Location, controller: &str, file: &str) -> String {
    fs::read_to_string(&location.v1[controller].join(file)).unwrap().trim().to_owned()
}

const DEFAULTS: &str = r#"{"pids":{"limit":2048},"devices":[{"allow":false,"access":"rwm"},
    {"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}]}"#;

#[test]
fn a_container_as_root_gets_only_the_directories_that_it_needs() {
    let Some(bench) = Bench::new() else { return };
    let handle = bench.make(DEFAULTS, None).unwrap();
    let location = handle.location();
    let controllers: Vec<&str> = location.v1.keys().map(String::as_str).collect();
    assert_eq!(controllers, ["devices", "pids"]);
    assert_eq!(read(location, "pids", "pids.max"), "2048");
    assert_eq!(read(location, "devices", "devices.list"), "c 1:3 rwm");
    assert!(handle.late() && !handle.needs_add());
    let text = serde_json::to_string(location).unwrap();
    let again: Location = serde_json::from_str(&text).unwrap();
    assert_eq!(&again, location);
    assert_eq!(again.path(), format!("/{}/dhow/c1", bench.name));
    let mounts: Vec<(String, &str)> = location.mounts().into_iter().map(|m| (m.name, m.kind)).collect();
    let wanted = [("devices", "cgroup"), ("pids", "cgroup"), ("unified", "cgroup2")];
    assert!(mounts.iter().zip(wanted).all(|((name, kind), wanted)| (name.as_str(), *kind) == wanted));
    again.open().remove().unwrap();
    assert!(!location.v1["pids"].exists());
}

#[test]
fn processes_enter_freeze_thaw_and_die() {
    let Some(bench) = Bench::new() else { return };
    let mut handle = bench.make(DEFAULTS, None).unwrap();
    let mut child = sleeper();
    handle.add(child.id() as i32).unwrap();
    assert_eq!(handle.pids().unwrap(), [child.id() as i32]);
    handle.freeze().unwrap();
    assert!(handle.is_frozen());
    handle.thaw().unwrap();
    assert!(!handle.is_frozen());
    assert_eq!(handle.stats().pids, Some(1));
    assert!(!handle.oom_killed());
    handle.kill_all().unwrap();
    assert!(ended(&mut child));
    handle.remove().unwrap();
}

#[test]
fn a_process_enters_by_itself() {
    let Some(bench) = Bench::new() else { return };
    let handle = bench.make(DEFAULTS, None).unwrap();
    let pids = handle.location().v1["pids"].join("cgroup.procs");
    let status = crate::sys::bpf::in_child(|| {
        let inside = handle.enter().is_ok()
            && fs::read_to_string(&pids).is_ok_and(|text| text.trim() == std::process::id().to_string());
        i32::from(!inside)
    });
    assert_eq!(status, 0);
    handle.remove().unwrap();
}

#[test]
fn pure_v1_freezes_and_kills_without_v2() {
    let Some(mut bench) = Bench::new() else { return };
    bench.host.layout = Layout::V1;
    let mut handle = bench.make(DEFAULTS, None).unwrap();
    assert!(handle.location().unified.is_none() && handle.location().v1.contains_key("freezer"));
    let mut child = sleeper();
    handle.add(child.id() as i32).unwrap();
    handle.freeze().unwrap();
    assert!(handle.is_frozen());
    handle.thaw().unwrap();
    let waiter = std::thread::spawn(move || ended(&mut child));
    handle.kill_all().unwrap();
    assert!(waiter.join().unwrap());
    handle.remove().unwrap();
}

#[test]
fn limits_of_v1_reach_their_files() {
    let Some(bench) = Bench::new() else { return };
    let json = r#"{"memory":{"limit":67108864,"swap":67108864},"cpu":{"shares":512,"quota":50000,"period":100000,
        "cpus":"0"},"blockIO":{"throttleReadBpsDevice":[]}}"#;
    match bench.make(json, None) {
        Ok(handle) => {
            let location = handle.location();
            assert_eq!(read(location, "memory", "memory.limit_in_bytes"), "67108864");
            assert_eq!(read(location, "cpu", "cpu.shares"), "512");
            assert_eq!(read(location, "cpu", "cpu.cfs_quota_us"), "50000");
            assert_eq!(read(location, "cpuset", "cpuset.cpus"), "0");
            assert!(!read(location, "cpuset", "cpuset.mems").is_empty());
            let more = r#"{"memory":{"limit":134217728,"swap":134217728}}"#;
            handle.update(&serde_json::from_str(more).unwrap()).unwrap();
            assert_eq!(read(location, "memory", "memory.limit_in_bytes"), "134217728");
            assert_eq!(handle.stats().memory_limit, Some(134_217_728));
            handle.remove().unwrap();
        }
        Err(error) => assert!(render(&error).contains("swap"), "{}", render(&error)),
    }
}

#[test]
fn a_limit_that_cannot_be_set_names_controller_and_remedy_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let error = bench.make(r#"{"pids":{"limit":5},"hugepageLimits":[{"pageSize":"3MB","limit":5}]}"#, None);
    let error = error.err().unwrap();
    assert!(render(&error).contains("hugetlb") && !hints_of(&error).is_empty(), "{}", render(&error));
    assert!(!bench.host.root.join("pids").join(&bench.name).join("dhow/c1").exists());
    let mut rootless = bench.host.clone();
    rootless.rootless = true;
    let resources: LinuxResources = serde_json::from_str(DEFAULTS).unwrap();
    let request = Request {
        id: "c1",
        place: Place::Parent(None),
        manager: None,
        resources: &resources,
        default_pids: true,
    };
    assert!(make(&rootless, &request).unwrap().location().is_none(), "a default limit is left out");
    let asked = Request { default_pids: false, ..request };
    rootless.layout = Layout::None;
    let error = make(&rootless, &asked).err().unwrap();
    assert!(render(&error).contains("`pids`"), "{}", render(&error));
}

#[test]
fn a_directory_left_by_a_killed_run_is_taken_over_with_what_still_runs_in_it() {
    let Some(bench) = Bench::new() else { return };
    drop(bench.make(DEFAULTS, None).unwrap());
    let mut handle = bench.make(DEFAULTS, None).unwrap();
    let mut child = sleeper();
    handle.add(child.id() as i32).unwrap();
    let again = bench.make(DEFAULTS, None).unwrap();
    assert!(again.location().v1["pids"].exists() && again.pids().unwrap().is_empty());
    assert!(!child.wait().unwrap().success(), "what was left in it was killed");
    again.remove().unwrap();
}

#[test]
fn v2_takes_limits_devices_and_processes() {
    let Some(bench) = Bench::v2() else { return };
    let json = r#"{"hugepageLimits":[{"pageSize":"2MB","limit":2097152}],"pids":{"limit":2048},
        "devices":[{"allow":false,"access":"rwm"}]}"#;
    let mut handle = match bench.make(json, None) {
        Ok(handle) => handle,
        Err(error) => panic!("{}", render(&error)),
    };
    let dir = handle.location().unified.clone().unwrap();
    assert_eq!(fs::read_to_string(&dir.join("hugetlb.2MB.max")).unwrap().trim(), "2097152");
    assert!(handle.dir_fd().is_some() && !handle.late());
    let mut command = Command::new("sh");
    command.args(["-c", "read x; exec cat /dev/zero"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    handle.add(child.id() as i32).unwrap();
    drop(child.stdin.take());
    assert!(!child.wait().unwrap().success(), "a denied device cannot be opened");
    handle.remove().unwrap();
    let error = bench.make(r#"{"memory":{"limit":1000000}}"#, None).err().unwrap();
    assert!(render(&error).contains("`memory` controller"), "{}", render(&error));
}

#[test]
fn paths_that_lead_upward_and_slices_are_refused() {
    let Some(bench) = Bench::new() else { return };
    for parent in ["/a/../..", "machine.slice"] {
        assert!(bench.make(DEFAULTS, Some(Place::Parent(Some(parent)))).is_err(), "{parent}");
    }
    let exact = format!("/{}/exact", bench.name);
    let handle = bench.make(DEFAULTS, Some(Place::Exact(&exact))).unwrap();
    assert_eq!(handle.location().path(), exact);
    handle.remove().unwrap();
}

/// What a default container as root pays here, from looking at the host to removal.
#[test]
fn the_default_costs_little() {
    let Some(bench) = Bench::new() else { return };
    let mut json: LinuxResources = serde_json::from_str(r#"{"pids":{"limit":2048}}"#).unwrap();
    json.set_devices(Some(crate::runtime::defaults::device_rules()));
    let text = serde_json::to_string(&json).unwrap();
    bench.make(&text, None).unwrap().remove().unwrap(); // the parents are there from now on
    let start = crate::base::time::thread_time();
    for _ in 0..20 {
        detect().unwrap();
        bench.make(&text, None).unwrap().remove().unwrap();
    }
    let each = (crate::base::time::thread_time() - start) / 20;
    println!("cgroup of a default container: {each:?}");
    assert!(each.as_millis() < 50);
}

#[test]
fn a_process_killed_for_memory_is_noticed() {
    let Some(bench) = Bench::new() else { return };
    let json = r#"{"memory":{"limit":8388608}}"#;
    let mut handle = match bench.make(json, None) {
        Ok(handle) => handle,
        Err(error) => panic!("{}", render(&error)),
    };
    let mut command = Command::new("sh");
    command.args(["-c", "read x; exec tail /dev/zero"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    handle.add(child.id() as i32).unwrap();
    assert!(!handle.oom_killed());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(handle.oom_killed());
    handle.remove().unwrap();
}
