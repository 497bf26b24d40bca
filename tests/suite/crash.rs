//! kill -9 at any moment, many at once, damaged records: the next command works with no repair.

use std::time::Duration;

use crate::kit::{Sandbox, eventually};

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

fn field(sandbox: &Sandbox, name: &str, field: &str) -> String {
    sandbox.dhow(["inspect", "--format", field, name]).ok().trim().to_owned()
}

#[test]
fn fifty_runs_at_once_succeed() {
    let sandbox = Sandbox::with_busybox();
    let begun: Vec<_> =
        (0..50).map(|n| sandbox.dhow(["run", "--rm", "busybox", "echo", &n.to_string()]).spawn()).collect();
    for (n, child) in begun.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{n}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{n}\n"));
    }
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}

#[test]
fn a_killed_supervisor_takes_its_container_along() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 100").ok();
    let supervisor: u32 = field(&sandbox, "c", "{{.State.ConmonPid}}").parse().unwrap();
    let pid: u32 = field(&sandbox, "c", "{{.State.Pid}}").parse().unwrap();
    kill(supervisor);
    eventually("the lock is free", || field(&sandbox, "c", "{{.State.Status}}") == "exited");
    sandbox.line("start c").ok();
    eventually("the old process is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(sandbox.line("exec c echo again").ok(), "again\n");
    sandbox.line("rm -f -t 0 c").ok();
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}

#[test]
fn a_killed_run_leaves_nothing_in_the_way() {
    let sandbox = Sandbox::with_busybox();
    for delay in 0..12u64 {
        let mut child = sandbox.dhow(["run", "--rm", "--name", "same", "busybox", "true"]).spawn();
        std::thread::sleep(Duration::from_millis(delay * 2));
        kill(child.id());
        drop(child.wait());
        eventually("the name can be used again", || {
            sandbox.line("rm -f -t 0 same").ok();
            sandbox.line("ps -aq").ok().is_empty()
        });
        sandbox.line("run --rm --name same busybox true").ok();
    }
    let left = std::fs::read_dir(sandbox.root().join("containers")).unwrap().count();
    assert_eq!(left, 2, "names and its lock");
}

#[test]
fn a_killed_load_leaves_the_store_usable() {
    let sandbox = Sandbox::new();
    let archive = crate::kit::image::busybox_archive(&sandbox.path("tmp/b.tar"));
    for delay in [1u64, 3, 6, 10, 15, 25] {
        let mut child = sandbox.dhow(["load", "-q", "-i"]).arg(&archive).spawn();
        std::thread::sleep(Duration::from_millis(delay));
        kill(child.id());
        drop(child.wait());
        sandbox.line("images").ok();
    }
    sandbox.dhow(["load", "-q", "-i"]).arg(&archive).ok();
    assert_eq!(sandbox.line("run --rm busybox echo fine").ok(), "fine\n");
}

#[test]
fn a_reboot_shows_as_exited_and_start_works() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["run", "-d", "--name", "c", "busybox", "sh", "-c", "echo x >> /kept; exec sleep 100"]).ok();
    let supervisor: u32 = field(&sandbox, "c", "{{.State.ConmonPid}}").parse().unwrap();
    kill(supervisor);
    eventually("it ended", || field(&sandbox, "c", "{{.State.Status}}") == "exited");
    let pid = field(&sandbox, "c", "{{.State.Pid}}");
    assert_eq!(pid, "0");
    std::fs::remove_dir_all(sandbox.path("run/dhow")).unwrap();
    assert_eq!(field(&sandbox, "c", "{{.State.Status}}"), "exited");
    sandbox.line("start c").ok();
    eventually("the file system is intact", || sandbox.line("exec c cat /kept").run().stdout() == "x\nx\n");
}

#[test]
fn a_damaged_record_hurts_nobody_else() {
    let sandbox = Sandbox::with_busybox();
    let bad = sandbox.line("create --name bad busybox true").ok();
    sandbox.line("create --name good busybox true").ok();
    let record = sandbox.root().join("containers").join(bad.trim()).join("config.json");
    std::fs::write(record, "{ this is not").unwrap();
    assert_eq!(sandbox.dhow(["ps", "-a", "--format", "{{.Names}}"]).ok(), "good\n");
    sandbox.line("start good").ok();
    sandbox.line("start bad").fails(125);
    sandbox.line("rm -f bad").ok();
    sandbox.line("create --name bad busybox true").ok();
}

#[test]
fn twenty_five_tags_at_once_are_twenty_five_tags() {
    let sandbox = Sandbox::with_busybox();
    let begun: Vec<_> =
        (0..25).map(|n| sandbox.dhow(["tag", "busybox", &format!("many:{n}")]).spawn()).collect();
    for child in begun {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let tags = sandbox.dhow(["images", "--format", "{{.Tag}}", "many"]).ok();
    assert_eq!(tags.lines().count(), 25, "{tags}");
    assert_eq!(sandbox.line("images -q many").ok().lines().count(), 1, "an id once, as podman prints it");
}
