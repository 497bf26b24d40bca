//! `stats` and `update`: what a container uses, and other limits for it.

use crate::kit::{Sandbox, eventually, rootless};

#[test]
fn stats_count_a_container() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c --network none busybox sh -c").arg("while :; do :; done").ok();
    sandbox.line("create --name lies busybox true").ok();
    let table = sandbox.line("stats --no-stream").ok();
    let (heading, row) = table.split_once('\n').unwrap();
    for column in
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
    {
        assert!(heading.contains(column), "{table}");
    }
    assert!(row.contains(" c ") && !table.contains("lies"), "{table}");
    let cpu = sandbox.dhow(["stats", "--no-stream", "--format", "{{.CPUPerc}}", "c"]).ok();
    assert!(cpu.trim().trim_end_matches('%').parse::<f64>().unwrap() > 1.0, "{cpu}");
    let usage = sandbox.dhow(["stats", "--no-stream", "--format", "{{.MemUsageBytes}} {{.PIDS}}", "c"]).ok();
    let numbers: Vec<u64> = usage.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(numbers[0] > 0 && numbers[1] > 0, "{usage}");
    let json = sandbox.line("stats --no-stream --format json -a").ok();
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 2, "{json}");
    assert!(rows[0]["CPUPerc"].is_string() && rows[0]["cpu_percent"].is_string(), "{json}");
    sandbox.line("stats --no-stream nobody").fails(125);
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn limits_change_while_a_container_runs_and_stay() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("create --name lies --memory 64m busybox true").run();
    if sandbox.line("container exists lies").run().status == 0 {
        sandbox.line("update --memory 128m --cpus 0.5 lies").ok();
        let kept =
            sandbox.dhow(["inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}", "lies"]);
        assert_eq!(kept.ok(), "134217728 268435456\n");
    }
    if !rootless() {
        sandbox.line("run -d --name c --pids-limit 100 busybox sleep 100").ok();
        assert_eq!(sandbox.line("update --pids-limit 50 c").ok(), "c\n");
        let pids = "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null";
        let seen = sandbox.line("exec c sh -c").arg(pids).run().stdout();
        assert!(seen.is_empty() || seen.contains("50"), "{seen}");
        assert_eq!(sandbox.dhow(["inspect", "-f", "{{.HostConfig.PidsLimit}}", "c"]).ok(), "50\n");
        sandbox.line("rm -f -t 0 c").ok();
    }
    sandbox.line("update lies").fails(125);
    sandbox.line("update --memory nonsense lies").fails(125);
    sandbox.line("update --memory 1g nobody").fails(125);
}

#[test]
fn a_restart_policy_changes_while_a_container_runs() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sh -c").arg("until [ -e /go ]; do sleep 0.05; done; rm /go").ok();
    sandbox.line("update --restart always c").ok();
    sandbox.line("exec c touch /go").ok();
    let restarts = || sandbox.dhow(["inspect", "-f", "{{.RestartCount}}", "c"]).ok();
    eventually("the new policy holds", || restarts() == "1\n");
    sandbox.line("rm -f -t 0 c").ok();
}
