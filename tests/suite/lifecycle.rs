//! The life of a container: create, start, stop, kill, restart, wait, pause, rename, rm, logs, inspect.

use std::time::{Duration, Instant};

use crate::kit::{Sandbox, eventually, rootless};

fn state(sandbox: &Sandbox, name: &str) -> String {
    sandbox.dhow(["inspect", "--format", "{{.State.Status}}", name]).ok().trim().to_owned()
}

#[test]
fn a_container_lives_its_life() {
    let sandbox = Sandbox::with_busybox();
    let id = sandbox.dhow(["create", "--name", "life", "busybox", "sh", "-c", "echo hi; exit 3"]).ok();
    assert_eq!((id.trim().len(), state(&sandbox, "life").as_str()), (64, "created"));
    assert_eq!(sandbox.line("start life").ok(), "life\n");
    assert_eq!(sandbox.line("wait life").ok(), "3\n");
    assert_eq!(state(&sandbox, "life"), "exited");
    assert_eq!(sandbox.line("logs life").ok(), "hi\n");
    assert_eq!(sandbox.line("start -a life").run().status, 3);
    assert_eq!(sandbox.line("logs life").ok(), "hi\nhi\n");
    assert_eq!(sandbox.line("rename life d").ok(), "");
    sandbox.line("container exists d").ok();
    sandbox.line("container exists life").fails(1);
    assert_eq!(sandbox.line("rm d").ok(), "d\n");
    sandbox.line("container exists d").fails(1);
    assert_eq!(
        std::fs::read_dir(sandbox.root().join("containers")).unwrap().count(),
        2,
        "names and its lock"
    );
}

#[test]
fn stop_sends_the_stop_signal_and_waits() {
    let sandbox = Sandbox::with_busybox();
    let script = "trap 'echo got it; exit 4' USR1; while true; do sleep 0.05; done";
    sandbox.dhow(["run", "-d", "--name", "c", "--stop-signal", "USR1", "busybox", "sh", "-c", script]).ok();
    std::thread::sleep(Duration::from_millis(200));
    sandbox.line("stop c").ok();
    assert_eq!(sandbox.line("logs c").ok(), "got it\n");
    assert_eq!(sandbox.dhow(["inspect", "-f", "{{.State.ExitCode}}", "c"]).ok(), "4\n");
    sandbox.line("stop c").ok();
    sandbox.line("start c").ok();
    let begin = Instant::now();
    sandbox.line("stop -t 0 c").ok();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(sandbox.dhow(["inspect", "-f", "{{.State.ExitCode}}", "c"]).ok(), "137\n");
}

#[test]
fn rm_of_a_running_container_needs_force() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 100").ok();
    let error = sandbox.line("rm c").fails(2);
    assert!(error.contains("running") && error.contains('c'), "{error}");
    assert_eq!(sandbox.line("rm -f -t 0 c").ok(), "c\n");
    assert_eq!(sandbox.line("rm -f no-such").run().status, 0, "force makes a missing one fine");
    sandbox.line("rm no-such").fails(1);
}

#[test]
fn kill_takes_names_and_numbers() {
    let sandbox = Sandbox::with_busybox();
    let script = "trap 'echo hup' HUP; while true; do sleep 0.05; done";
    sandbox.dhow(["run", "-d", "--name", "c", "busybox", "sh", "-c", script]).ok();
    std::thread::sleep(Duration::from_millis(200));
    for signal in ["HUP", "SIGHUP", "1", "hup"] {
        sandbox.dhow(["kill", "-s", signal, "c"]).ok();
        std::thread::sleep(Duration::from_millis(120));
    }
    eventually("all four came", || sandbox.line("logs c").ok().lines().count() == 4);
    sandbox.line("kill -s NONSENSE c").fails(125);
    sandbox.line("kill c").ok();
    assert_eq!(sandbox.line("wait c").ok(), "137\n");
    sandbox.line("kill c").fails(125);
}

#[test]
fn logs_know_streams_times_tails_and_follow() {
    let sandbox = Sandbox::with_busybox();
    let script = "echo one; echo two >&2; printf three";
    sandbox.dhow(["run", "--name", "c", "busybox", "sh", "-c", script]).ok();
    let outcome = sandbox.line("logs c").run();
    assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), ("one\nthree", "two\n"), "{outcome}");
    assert_eq!(sandbox.line("logs --tail 1 c").run().stdout().trim(), "three");
    assert_eq!(sandbox.line("logs -n 1 c").run().stdout().trim(), "three", "docker's spelling");
    assert!(sandbox.line("logs -n c").run().stdout().starts_with("c one\n"), "podman's");
    let stamped = sandbox.line("logs -t c").ok();
    assert!(stamped.starts_with("20") && stamped.contains("T") && stamped.contains(" one\n"), "{stamped}");
    assert_eq!(sandbox.line("logs --since 1h c").ok(), "one\nthree");
    assert_eq!(sandbox.line("logs --until 1h c").ok(), "");
    let script = "for i in 1 2 3; do echo $i; sleep 0.2; done";
    sandbox.dhow(["run", "-d", "--name", "f", "busybox", "sh", "-c", script]).ok();
    assert_eq!(sandbox.line("logs -f f").ok(), "1\n2\n3\n");
}

#[test]
fn pause_freezes_where_there_is_a_freezer() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 100").ok();
    if rootless() {
        let error = sandbox.line("pause c").run();
        assert!(error.status == 0 || error.stderr().contains("cgroup"), "{error}");
        return;
    }
    assert_eq!(sandbox.line("pause c").ok(), "c\n");
    assert_eq!(state(&sandbox, "c"), "paused");
    sandbox.line("pause c").fails(125);
    sandbox.line("exec c true").fails(125);
    assert_eq!(sandbox.line("unpause c").ok(), "c\n");
    assert_eq!(state(&sandbox, "c"), "running");
    sandbox.line("pause c").ok();
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn restart_policies_start_again() {
    let sandbox = Sandbox::with_busybox();
    let count = |name: &str| sandbox.dhow(["inspect", "-f", "{{.RestartCount}}", name]).ok();
    sandbox.line("run -d --name f --restart on-failure:2 busybox false").ok();
    eventually("it gave up", || state(&sandbox, "f") == "exited");
    assert_eq!(count("f"), "2\n");
    sandbox.line("run -d --name a --restart always busybox true").ok();
    eventually("it came back", || count("a").trim().parse::<u32>().unwrap() >= 2);
    sandbox.line("stop -t 0 a").ok();
    let before = count("a");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!((count("a"), state(&sandbox, "a").as_str()), (before, "exited"), "a stop is final");
    sandbox.line("run --rm --restart always busybox true").fails(125);
}

#[test]
fn restart_ends_and_begins() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["run", "-d", "--name", "c", "busybox", "sh", "-c", "echo begin; exec sleep 100"]).ok();
    let pid = || sandbox.dhow(["inspect", "-f", "{{.State.Pid}}", "c"]).ok();
    let first = pid();
    assert_eq!(sandbox.line("restart -t 0 c").ok(), "c\n");
    assert_ne!(pid(), first);
    assert_eq!(sandbox.line("logs c").ok(), "begin\nbegin\n");
}

#[test]
fn wait_knows_conditions() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 1").ok();
    assert_eq!(sandbox.line("wait --condition running c").ok(), "-1\n");
    assert_eq!(sandbox.line("wait c").ok(), "0\n");
    sandbox.line("wait no-such").fails(125);
    assert_eq!(sandbox.line("wait --ignore no-such").ok(), "-1\n");
}

#[test]
fn exec_runs_beside_the_command() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["run", "-d", "--name", "c", "-e", "A=1", "-w", "/tmp", "busybox", "sleep", "100"]).ok();
    let exec = |args: &[&str]| sandbox.dhow(["exec"]).args(args).run();
    assert_eq!(exec(&["c", "pwd"]).ok(), "/tmp\n");
    assert_eq!(exec(&["-e", "B=2", "c", "sh", "-c", "echo $A$B"]).ok(), "12\n");
    assert_eq!(exec(&["-w", "/etc", "-u", "alice", "c", "sh", "-c", "pwd; id -un"]).ok(), "/etc\nalice\n");
    assert_eq!(exec(&["c", "sh", "-c", "exit 5"]).status, 5);
    assert_eq!(exec(&["c", "no-such-command"]).status, 127);
    assert_eq!(exec(&["c", "/etc/passwd"]).status, 126);
    assert_eq!(exec(&["no-such", "true"]).status, 125);
    assert_eq!(sandbox.dhow(["exec", "-i", "c", "cat"]).stdin("through").ok(), "through");
    sandbox.dhow(["exec", "-d", "c", "sh", "-c", "echo done > /tmp/detached"]).ok();
    eventually("the detached one ran", || exec(&["c", "cat", "/tmp/detached"]).status == 0);
    let caps = |args: &[&str]| exec(&[args, &["c", "grep", "CapEff", "/proc/self/status"]].concat()).ok();
    assert!(caps(&[]).contains("00000000800405fb"));
    assert!(!caps(&["--privileged"]).contains("00000000800405fb"));
    sandbox.line("stop -t 0 c").ok();
    let error = sandbox.line("exec c true").fails(125);
    assert!(error.contains("not running"), "{error}");
}

#[test]
fn ps_lists_filters_and_formats() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("create --name a --label x=1 busybox true").ok();
    sandbox.line("run -d --name b --label x=2 busybox sleep 100").ok();
    sandbox.dhow(["run", "--name", "c", "busybox", "sh", "-c", "exit 3"]).fails(3);
    let names = |args: &str| {
        let format = ["--format", "{{.Names}}"];
        let out = sandbox.line(&format!("ps {args}")).args(format).ok();
        out.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["b"]);
    assert_eq!(names("-a"), ["c", "b", "a"]);
    assert_eq!(names("-n 2"), ["c", "b"]);
    assert_eq!(names("-a --filter label=x"), ["b", "a"]);
    assert_eq!(names("-a --filter label=x=1"), ["a"]);
    assert_eq!(names("--filter exited=3"), ["c"]);
    assert_eq!(names("--filter status=created"), ["a"]);
    assert_eq!(names("-a --filter name=^b"), ["b"]);
    assert_eq!(names("-a --filter ancestor=busybox").len(), 3);
    assert_eq!(names("-a --filter before=b"), ["a"]);
    assert_eq!(names("-a --filter since=b"), ["c"]);
    sandbox.line("ps --filter nonsense=1").fails(125);
    let table = sandbox.line("ps -a").ok();
    let heading: Vec<&str> =
        table.lines().next().unwrap().split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    assert_eq!(heading[..2], ["CONTAINER ID", "IMAGE"], "{table}");
    assert!(table.contains("Exited (3)") && table.contains("Created") && table.contains("Up "), "{table}");
    let json: serde_json::Value = serde_json::from_str(&sandbox.line("ps -a --format json").ok()).unwrap();
    assert_eq!(json.as_array().map(Vec::len), Some(3));
}

#[test]
fn top_and_port_tell() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 100").ok();
    let all = sandbox.line("top c ruser,rgroup,capamb,label,groups,hgroup,hgroups").ok();
    assert!(all.starts_with("RUSER") && all.lines().nth(1).unwrap().starts_with("root"), "{all}");
    let out = sandbox.line("top c").ok();
    assert!(out.starts_with("USER") && out.contains("sleep 100") && out.contains("root"), "{out}");
    assert_eq!(
        sandbox.line("top c pid comm").ok().lines().nth(1).unwrap().split_whitespace().last(),
        Some("sleep")
    );
    assert_eq!(sandbox.line("port c").ok(), "");
}

#[test]
fn inspect_has_the_keys_of_both_tools() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["create", "--name", "c", "--label", "a=b", "-e", "X=y", "busybox", "echo", "hi"]).ok();
    let all: serde_json::Value = serde_json::from_str(&sandbox.line("inspect c").ok()).unwrap();
    let one = &all[0];
    assert_eq!((one["Name"].as_str(), one["State"]["Status"].as_str()), (Some("c"), Some("created")));
    assert_eq!((one["Path"].as_str(), one["Args"][0].as_str()), (Some("echo"), Some("hi")));
    assert_eq!(one["Config"]["Labels"]["a"], "b");
    assert!(one["Config"]["Env"].as_array().unwrap().iter().any(|v| v == "X=y"));
    sandbox.line("inspect no-such-thing").fails(125);
    let image: serde_json::Value = serde_json::from_str(&sandbox.line("inspect busybox").ok()).unwrap();
    assert!(image[0]["RootFS"]["Layers"].is_array());
}

#[test]
fn init_sets_up_and_start_lets_go() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["create", "--name", "c", "busybox", "sh", "-c", "echo begun; exit 4"]).ok();
    assert_eq!(sandbox.line("init c").ok(), "c\n");
    assert_eq!(state(&sandbox, "c"), "initialized");
    assert_eq!(sandbox.line("logs c").ok(), "");
    sandbox.line("exec c true").fails(125);
    sandbox.line("container init c").fails(125);
    let attached = sandbox.line("start -a c").run();
    assert_eq!((attached.status, attached.stdout().as_str()), (4, "begun\n"), "{attached}");
    sandbox.line("init c").ok();
    assert_eq!(sandbox.line("start c").ok(), "c\n");
    assert_eq!(sandbox.line("wait c").ok(), "4\n");
    assert_eq!(sandbox.line("logs c").ok(), "begun\nbegun\n");
    sandbox.line("init c").ok();
    assert_eq!(sandbox.line("rm c").ok(), "c\n");
    sandbox.line("create --name d busybox no-such-command").ok();
    sandbox.line("init d").ok();
    sandbox.line("start d").fails(127);
}

#[test]
fn namespaces_of_another_container_are_joined() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name first busybox sleep 100").ok();
    for (kind, flag) in [("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts"), ("net", "--network")] {
        let file = format!("/proc/self/ns/{kind}");
        let first = sandbox.dhow(["exec", "first", "readlink", &file]).ok();
        let joined =
            sandbox.dhow(["run", "--rm", flag, "container:first", "busybox", "readlink", &file]).ok();
        assert_eq!(first, joined, "{kind}");
    }
    sandbox.line("create --name second --pid container:first busybox sleep 100").ok();
    sandbox.line("start second").ok();
    assert!(sandbox.line("exec first ps").ok().matches("sleep 100").count() == 2);
    sandbox.line("rm -f -t 0 second").ok();
}
