//! `run`: streams, exit codes, environment, user, working directory, names.

use crate::kit::{Sandbox, eventually, rootless};

#[test]
fn exit_codes_are_the_containers_own_or_those_of_the_contract() {
    let sandbox = Sandbox::with_busybox();
    let run = |args: &[&str]| sandbox.dhow(["run", "--rm", "--network", "none", "busybox"]).args(args).run();
    for code in [0, 1, 7, 125, 255] {
        assert_eq!(run(&["sh", "-c", &format!("exit {code}")]).status, code);
    }
    assert_eq!(
        run(&["sh", "-c", "kill -TERM $$; sleep 5"]).status,
        0,
        "pid 1 ignores TERM without a handler"
    );
    let killed = run(&["sh", "-c", "sleep 9 & kill -KILL $!; wait $!"]);
    assert_eq!(killed.status, 137, "{killed}");
    let missing = run(&["no-such-command"]);
    assert_eq!(missing.status, 127, "{missing}");
    assert!(missing.stderr().contains("no-such-command"), "{missing}");
    let not_executable = run(&["/etc/passwd"]);
    assert_eq!(not_executable.status, 126, "{not_executable}");
    assert_eq!(run(&["/etc"]).status, 126);
    assert_eq!(sandbox.line("run --no-such-flag busybox").run().status, 125);
    assert_eq!(sandbox.line("ps -aq").ok(), "", "nothing is left behind");
}

#[test]
fn streams_stay_apart_and_stdin_ends() {
    let sandbox = Sandbox::with_busybox();
    let outcome = sandbox.dhow(["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]).run();
    assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), ("out\n", "err\n"));
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let through = sandbox.line("run -i --rm busybox cat").stdin(bytes.clone()).run();
    assert!(through.status == 0 && through.out == bytes, "every byte comes back");
    let kept = sandbox.line("run -i busybox cat").stdin(bytes.clone()).run();
    assert!(kept.status == 0 && kept.out == bytes, "also with a log");
    let unread = sandbox.line("run --rm busybox cat").stdin("ignored without -i").run();
    assert_eq!((unread.status, unread.stdout().as_str()), (0, ""));
}

#[test]
fn a_reader_that_goes_away_ends_the_pipeline() {
    let sandbox = Sandbox::with_busybox();
    let script = format!("{} run --rm busybox yes | head -n 1", crate::kit::sandbox::binary().display());
    assert_eq!(sandbox.program("sh").args(["-c", &script]).ok(), "y\n");
    eventually("the container is gone", || sandbox.line("ps -aq").ok().is_empty());
}

#[test]
fn the_environment_is_the_images_and_what_was_asked_for() {
    let sandbox = Sandbox::with_busybox();
    let file = sandbox.file("work/env", "# comment\nFROM_FILE=a b\nFROM_HOST\n\nEMPTY=\n");
    let out = sandbox
        .dhow(["run", "--rm", "-e", "A=1", "-e", "FROM_HOST", "--env", "NOT_SET", "--env-file"])
        .arg(&file)
        .args(["--hostname", "box", "busybox", "env"])
        .env("FROM_HOST", "yes")
        .env("SECRET", "not passed")
        .ok();
    let has = |line: &str| out.lines().any(|l| l == line);
    for line in
        ["A=1", "FROM_HOST=yes", "FROM_FILE=a b", "EMPTY=", "FROM_IMAGE=yes", "HOSTNAME=box", "HOME=/root"]
    {
        assert!(has(line), "{line} in {out}");
    }
    assert!(has("PATH=/bin:/usr/bin") && out.contains("container="), "{out}");
    assert!(!out.contains("SECRET") && !out.contains("NOT_SET"), "{out}");
}

#[test]
fn user_group_and_working_directory_are_set() {
    let sandbox = Sandbox::with_busybox();
    let run = |args: &str| sandbox.line(&format!("run --rm {args}")).run();
    assert_eq!(run("-u alice busybox id -un").ok(), "alice\n");
    assert_eq!(run("-u 1000:10 busybox id -u").ok(), "1000\n");
    assert_eq!(run("-u alice busybox id -G").ok(), "1000 10\n");
    assert_eq!(run("-u 4242 busybox id -u").ok(), "4242\n");
    assert_eq!(run("--group-add wheel busybox id -G").ok(), "0 10\n");
    assert_eq!(run("-w /made/on/demand busybox pwd").ok(), "/made/on/demand\n");
    for bad in ["nobody-here", "4294967296", "-1", "alice:nogroup", "1000x"] {
        let outcome = run(&format!("-u {bad} busybox id"));
        assert!(matches!(outcome.status, 125..=126), "{outcome}");
        assert!(outcome.out.is_empty(), "never root by accident: {outcome}");
    }
}

#[test]
fn the_container_sees_itself_alone() {
    let sandbox = Sandbox::with_busybox();
    let out = sandbox.dhow(["run", "--rm", "--hostname", "alone", "busybox", "sh", "-c"]).arg(
        "hostname; echo $$; ls /proc | grep -c '^[0-9]'; ls /sys/class/net 2>/dev/null; cat /etc/hostname",
    );
    let out = out.ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(&lines[..2], ["alone", "1"], "{out}");
    assert!(lines[2].parse::<u32>().unwrap() <= 4, "{out}");
    assert_eq!(lines.last(), Some(&"alone"), "{out}");
}

#[test]
fn network_modes_are_none_host_private_and_anothers() {
    let sandbox = Sandbox::with_busybox();
    let none = sandbox.line("run --rm --network none busybox cat /proc/net/dev").ok();
    assert_eq!(none.lines().filter(|line| line.contains(':')).count(), 1, "loopback only: {none}");
    let of = |file: &str| std::fs::read_link(file).unwrap().display().to_string();
    let host = sandbox.line("run --rm --network host busybox readlink /proc/self/ns/net").ok();
    assert_eq!(host.trim(), of("/proc/self/ns/net"));
    sandbox.line("run -d --name first --network none busybox sleep 100").ok();
    let first = sandbox.line("exec first readlink /proc/self/ns/net").ok();
    let joined = sandbox.line("run --rm --network container:first busybox readlink /proc/self/ns/net").ok();
    assert_eq!(first, joined);
    assert_ne!(first.trim(), of("/proc/self/ns/net"));
    let refused = sandbox.line("run --rm --network no-such-network busybox true").run();
    assert_eq!(refused.status, 125, "{refused}");
}

#[test]
fn names_are_unique_and_replace_replaces() {
    let sandbox = Sandbox::with_busybox();
    let first = sandbox.line("create --name web busybox true").ok();
    let error = sandbox.line("create --name web busybox true").fails(125);
    assert!(error.contains("web") && error.contains("already in use"), "{error}");
    let second = sandbox.line("create --replace --name web busybox true").ok();
    assert_ne!(first, second);
    assert_eq!(sandbox.line("ps -aq --no-trunc").ok(), second);
    let error = sandbox.dhow(["create", "--name", "../x", "busybox"]).fails(125);
    assert!(error.contains("../x"), "{error}");
}

#[test]
fn detach_prints_the_full_id_and_rm_cleans_up() {
    let sandbox = Sandbox::with_busybox();
    let id = sandbox.line("run -d --rm --name bg busybox sleep 60").ok();
    assert_eq!(id.trim().len(), 64, "{id}");
    assert_eq!(sandbox.line("ps -q --no-trunc").ok(), id);
    assert_eq!(sandbox.line("stop -t 0 bg").ok(), "bg\n");
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}

#[test]
fn cidfile_and_pidfile_are_written() {
    let sandbox = Sandbox::with_busybox();
    let (cid, pid) = (sandbox.path("work/cid"), sandbox.path("work/pid"));
    let command =
        sandbox.dhow(["run", "-d", "--name", "x"]).arg("--cidfile").arg(&cid).arg("--pidfile").arg(&pid);
    let id = command.args(["busybox", "sleep", "60"]).ok();
    assert_eq!(std::fs::read_to_string(&cid).unwrap().trim(), id.trim());
    let number: u32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let shown = sandbox.dhow(["inspect", "--format", "{{.State.Pid}}", "x"]).ok();
    assert_eq!(shown.trim().parse(), Ok(number));
    let again = sandbox.dhow(["run", "--rm", "--cidfile"]).arg(&cid).args(["busybox", "true"]).run();
    assert_eq!(again.status, 125, "an existing cidfile is refused: {again}");
    sandbox.line("rm -f -t 0 x").ok();
    assert!(!cid.exists());
}

#[test]
fn init_reaps_and_forwards() {
    let sandbox = Sandbox::with_busybox();
    let out = sandbox
        .dhow(["run", "--rm", "--init", "busybox", "sh", "-c", "echo $$; ps -o pid,comm | head -3"])
        .ok();
    assert_ne!(out.lines().next(), Some("1"), "{out}");
    assert_eq!(sandbox.dhow(["run", "--rm", "--init", "busybox", "sh", "-c", "exit 9"]).run().status, 9);
    sandbox.line("run -d --init --name sleeper busybox sleep 100").ok();
    let start = std::time::Instant::now();
    sandbox.line("stop -t 20 sleeper").ok();
    assert!(start.elapsed().as_secs() < 10, "TERM reaches the command through init");
    assert_eq!(sandbox.dhow(["inspect", "-f", "{{.State.ExitCode}}", "sleeper"]).ok(), "143\n");
}

#[test]
fn limits_of_the_process_are_set() {
    let sandbox = Sandbox::with_busybox();
    let out = sandbox
        .dhow([
            "run",
            "--rm",
            "--ulimit",
            "nofile=100:200",
            "--umask",
            "0027",
            "--oom-score-adj",
            "500",
            "busybox",
        ])
        .args(["sh", "-c", "ulimit -Sn; ulimit -Hn; umask; cat /proc/self/oom_score_adj"])
        .ok();
    assert_eq!(out, "100\n200\n0027\n500\n");
    let out = sandbox.line("run --rm --sysctl kernel.msgmax=4096 busybox cat /proc/sys/kernel/msgmax").ok();
    assert_eq!(out, "4096\n");
    assert_eq!(sandbox.line("run --rm --sysctl kernel.panic=1 busybox true").run().status, 125);
    let out = sandbox.line("run --rm --shm-size 1m busybox df -k /dev/shm").ok();
    assert!(out.contains(" 1024 "), "{out}");
}

#[test]
fn timeout_kills() {
    let sandbox = Sandbox::with_busybox();
    let outcome = sandbox.line("run --rm --timeout 1 busybox sleep 60").run();
    assert!(matches!(outcome.status, 137 | 255), "{outcome}");
}

#[test]
fn a_read_only_container_can_still_write_to_memory() {
    let sandbox = Sandbox::with_busybox();
    let out = sandbox
        .dhow(["run", "--rm", "--read-only", "busybox", "sh", "-c"])
        .arg("touch /x 2>/dev/null || echo refused; touch /tmp/x /run/x /dev/shm/x && echo fine")
        .ok();
    assert_eq!(out, "refused\nfine\n");
    let script = "touch /tmp/x 2>/dev/null || echo refused";
    let out = sandbox.dhow([
        "run",
        "--rm",
        "--read-only",
        "--read-only-tmpfs=false",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(out.ok(), "refused\n");
}

#[test]
fn user_namespaces_map_as_asked() {
    let sandbox = Sandbox::with_busybox();
    if rootless() {
        let uid = rustix::process::geteuid().as_raw();
        let out = sandbox.line("run --rm --userns keep-id busybox id -u").ok();
        assert_eq!(out.trim().parse(), Ok(uid));
        let map = sandbox.line("run --rm --userns keep-id:uid=77,gid=88 busybox id").ok();
        assert!(map.contains("uid=77") && map.contains("gid=88"), "{map}");
    } else {
        let out = sandbox.line("run --rm --uidmap 0:300000:1000 busybox cat /proc/self/uid_map").ok();
        assert_eq!(out.split_whitespace().collect::<Vec<_>>(), ["0", "300000", "1000"]);
        let out = sandbox.line("run --rm --uidmap 0:300000:1000 busybox stat -c %u /bin/busybox").ok();
        assert_eq!(out, "0\n", "the image's files belong to the container's root");
    }
}

#[test]
fn an_image_that_exists_nowhere_says_so() {
    let sandbox = Sandbox::new();
    let error = sandbox.line("run --rm --pull never no-such-image true").fails(125);
    assert!(error.contains("no-such-image"), "{error}");
    let error = sandbox.line("run --rm 127.0.0.1:1/no/such:image true").fails(125);
    assert!(error.contains("127.0.0.1:1"), "{error}");
}

#[test]
fn the_callers_groups_can_be_kept() {
    let sandbox = Sandbox::with_busybox();
    let kept = sandbox.line("run --rm --group-add keep-groups busybox grep Groups /proc/self/status").ok();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find(|line| line.starts_with("Groups")).unwrap();
    assert_eq!(kept.split_whitespace().count(), own.split_whitespace().count(), "{kept}");
}
