//! Flags of `create`, `run` and `exec`, one row each: what a container sees of them, and what is refused.

use std::path::Path;

use crate::kit::{Sandbox, rootless};

/// Runs `run --rm --network none FLAGS busybox sh -c SCRIPT` and compares what it prints.
fn sees(sandbox: &Sandbox, table: &[(&str, &str, &str)]) {
    for (flags, script, wanted) in table {
        let out = sandbox
            .line("run --rm --network none")
            .args(flags.split_whitespace())
            .args(["busybox", "sh", "-c", script])
            .ok();
        assert_eq!(out.trim_end(), *wanted, "{flags}: {script}");
    }
}

/// Each line is refused with 125 and a message that has the words; nothing stays.
fn refused(sandbox: &Sandbox, table: &[(&str, &str)]) {
    for (flags, words) in table {
        let error =
            sandbox.line("run --rm").args(flags.split_whitespace()).args(["busybox", "true"]).fails(125);
        assert!(error.contains(words), "{flags}: {error}");
    }
    assert_eq!(sandbox.line("ps -aq").ok(), "", "nothing is left behind");
}

#[test]
fn names_and_resolvers_are_written_as_asked() {
    let sandbox = Sandbox::with_busybox();
    sees(
        &sandbox,
        &[
            ("--add-host a:1.2.3.4 --add-host b;c:10.0.0.1", "grep -cE '1.2.3.4|10.0.0.1' /etc/hosts", "3"),
            (
                "--dns 1.1.1.1 --dns-search ex.org --dns-option ndots:3",
                "cat /etc/resolv.conf",
                "search ex.org\nnameserver 1.1.1.1\noptions ndots:3",
            ),
            ("--dns 9.9.9.9 --dns-search .", "cat /etc/resolv.conf", "nameserver 9.9.9.9"),
            ("--dns none", "test -e /etc/resolv.conf || echo none", "none"),
            ("-h foo.bar", "hostname; cat /etc/hostname; echo $HOSTNAME", "foo.bar\nfoo.bar\nfoo.bar"),
            ("--domainname dom", "cat /proc/sys/kernel/domainname", "dom"),
            ("--no-hosts --no-hostname", "ls /etc/hosts /etc/hostname 2>/dev/null | wc -l", "0"),
            ("--tz Asia/Tokyo", "date +%Z", "JST"),
        ],
    );
    refused(
        &sandbox,
        &[
            ("--add-host bad", "NAME:IP"),
            ("--dns bad", "--dns"),
            ("--tz No/Where", "No/Where"),
            ("--uts host -h x", "UTS"),
            ("--no-hosts --add-host a:1.2.3.4", "--no-hosts"),
        ],
    );
}

#[test]
fn the_process_is_as_asked() {
    let sandbox = Sandbox::with_busybox();
    let env = sandbox.file("work/env", "FROM_FILE=1\n# no\nEMPTY=\n");
    let labels = sandbox.file("work/labels", "k=v\nk2\n");
    let (env, labels) = (env.display(), labels.display());
    sees(
        &sandbox,
        &[
            (&format!("--env-file {env}"), "echo $FROM_FILE", "1"),
            ("--env-merge FROM_IMAGE=${FROM_IMAGE}-more", "echo $FROM_IMAGE", "yes-more"),
            ("--unsetenv FROM_IMAGE", "echo [$FROM_IMAGE]", "[]"),
            ("-u 1234:5678", "id -u; id -g", "1234\n5678"),
            ("-u alice --group-add 777", "id -G", "1000 10 777"),
            ("-u :10", "id -u; id -g", "0\n10"),
            ("--umask 0077", "umask", "0077"),
            ("--ulimit nofile=100:200", "ulimit -n; ulimit -Hn", "100\n200"),
            ("--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500"),
            ("--sysctl net.ipv4.ip_forward=1", "cat /proc/sys/net/ipv4/ip_forward", "1"),
            ("-w /new/dir", "pwd", "/new/dir"),
            ("--init", "tr '\\0' ' ' < /proc/1/cmdline | cut -d ' ' -f 1", "/run/dhow-init"),
        ],
    );
    let all = sandbox.line("run --rm --env-host busybox env").env("OF_THE_HOST", "yes").ok();
    assert!(all.contains("OF_THE_HOST=yes"), "{all}");
    let line = format!("create --name l --label x=1 --label-file {labels} --annotation a=b busybox");
    sandbox.line(&line).ok();
    let shown = sandbox
        .dhow([
            "inspect",
            "l",
            "--format",
            "{{.Config.Labels.k}} {{.Config.Labels.x}} {{.Config.Annotations.a}}",
        ])
        .ok();
    assert_eq!(shown, "v 1 b\n");
    sandbox.line("rm l").ok();
    refused(
        &sandbox,
        &[
            ("-e =bad", "no name"),
            ("--env-file /no/such", "/no/such"),
            ("--label-file /no/such", "/no/such"),
            ("--annotation ab", "KEY=VALUE"),
            ("-u nobodyhere", "nobodyhere"),
            ("-u 4294967296", "4294967296"),
            ("--group-add nogroup", "nogroup"),
            ("--umask 9", "octal"),
            ("--ulimit bogus=1", "bogus"),
            ("--ulimit nofile=200:100", "above"),
            ("--oom-score-adj 2000", "-1000"),
            ("--sysctl kernel.panic=1", "kernel.panic"),
            ("--sysctl net.ipv4.ip_forward=1 --network host", "--sysctl"),
            ("-w rel", "absolute"),
            ("--init-path /x", "built in"),
            ("--preserve-fds 7", "descriptor"),
            ("--preserve-fd 77", "descriptor 77"),
            ("--preserve-fd 1", "standard streams"),
            ("--personality BSD", "LINUX32"),
            ("--shm-size-systemd 1m", "--systemd=always"),
            ("--storage-opt size=1g", "quota"),
            ("--sdnotify container", "systemd"),
            ("--health-on-failure bogus", "--health-on-failure"),
            ("--cidfile /no/such/dir/id", "/no/such/dir/id"),
            ("--pidfile /no/such/dir/pid", "/no/such/dir"),
            ("--stop-signal BOGUS", "BOGUS"),
            ("--restart bogus", "bogus"),
            ("--restart always", "--restart"),
            ("--detach-keys bogus", "bogus"),
            ("--platform bogus", "bogus"),
        ],
    );
}

#[test]
fn an_entrypoint_is_a_word_an_array_or_nothing() {
    let sandbox = Sandbox::with_busybox();
    let run = |args: &[&str]| sandbox.dhow(["run", "--rm", "--network", "none"]).args(args).run();
    for (args, wanted) in [
        (&["--entrypoint", "echo", "busybox", "a"][..], "a\n"),
        (&["--entrypoint", "[\"echo\",\"j\"]", "busybox", "a"], "j a\n"),
        (&["--entrypoint", "", "busybox", "echo", "b"], "b\n"),
        (&["--entrypoint=pwd", "busybox"], "/\n"),
    ] {
        let outcome = run(args);
        assert_eq!((outcome.status, outcome.stdout().as_str()), (0, wanted), "{args:?}: {outcome}");
    }
    assert_eq!(run(&["--entrypoint", "[\"echo\",", "busybox"]).status, 127);
    assert_eq!(run(&["--entrypoint", "", "busybox"]).status, 125);
}

#[test]
fn namespaces_of_another_container_are_shared_whole() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name base --network none -h base busybox sleep 1000").ok();
    sandbox.dhow(["exec", "base", "sh", "-c", "echo shared > /dev/shm/f"]).ok();
    for (flags, script, wanted) in [
        ("--ipc container:base", "cat /dev/shm/f", "shared"),
        ("--uts container:base", "hostname", "base"),
        ("--pid container:base", "cat /proc/1/cmdline | tr '\\0' ' '", "sleep 1000"),
        ("--userns container:base", "id -u", "0"),
        ("--volumes-from base", "echo ok", "ok"),
    ] {
        let out = sandbox.line("run --rm --network container:base").args(flags.split_whitespace());
        let out = out.args(["busybox", "sh", "-c", script]).ok();
        assert_eq!(out.trim(), wanted, "{flags}");
    }
    sandbox.line("rm -f -t 0 base").ok();
    refused(
        &sandbox,
        &[
            ("--pid container:nope", "nope"),
            ("--pid bogus", "bogus"),
            ("--ipc bogus", "bogus"),
            ("--uts bogus", "bogus"),
            ("--cgroupns bogus", "bogus"),
            ("--userns bogus", "bogus"),
            ("--userns keep-id:bad=2", "bad"),
            ("--uidmap bad", "bad"),
            ("--pid ns:/no/such", "/no/such"),
            ("--network none -p 80:80", "--publish"),
        ],
    );
}

#[test]
fn limits_are_set_and_shown_in_the_container() {
    let sandbox = Sandbox::with_busybox();
    refused(
        &sandbox,
        &[
            ("--memory 64x", "64x"),
            ("--memory 64m --memory-swap 10m", "--memory-swap"),
            ("--memory-swappiness 200", "100"),
            ("--cpus x", "--cpus"),
            ("--cpus 1 --cpu-quota 1000", "--cpus"),
            ("--cpuset-cpus a", "--cpuset-cpus"),
            ("--blkio-weight 5", "10"),
            ("--device-write-bps /dev/null:x", "x"),
            ("--device-cgroup-rule x", if rootless() { "needs root" } else { "device rule" }),
            ("--cgroups bogus", "--cgroups"),
            ("--cgroups disabled --memory 10m", "--cgroups"),
            ("--shm-size 0", "greater"),
        ],
    );
    sees(&sandbox, &[("--shm-size 1m", "df -k /dev/shm | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2", "1024")]);
    if rootless() || !Path::new("/sys/fs/cgroup/memory").exists() {
        return; // the files below are those of cgroup v1
    }
    let pids = "cat /sys/fs/cgroup/pids/pids.max";
    sees(
        &sandbox,
        &[
            ("--memory 64m", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864"),
            ("--memory-swappiness 20", "cat /sys/fs/cgroup/memory/memory.swappiness", "20"),
            ("--cpus 0.5", "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000"),
            ("--cpu-shares 512", "cat /sys/fs/cgroup/cpu/cpu.shares", "512"),
            ("--cpuset-cpus 0", "cat /sys/fs/cgroup/cpuset/cpuset.cpus; nproc", "0\n1"),
            ("--pids-limit 33", pids, "33"),
            ("--cgroupns private --pids-limit 34", pids, "34"),
            ("", pids, "2048"),
        ],
    );
}

#[test]
fn mounts_take_their_options() {
    let sandbox = Sandbox::with_busybox();
    sandbox.file("work/bind/f", "hello\n");
    let bind = sandbox.path("work/bind").display().to_string();
    let options = "grep ' /m ' /proc/self/mountinfo | cut -d ' ' -f 6";
    let spread = "grep ' /m ' /proc/self/mountinfo | grep -c shared:";
    sees(
        &sandbox,
        &[
            (&format!("-v {bind}:/m:ro,nosuid,nodev,noexec"), options, "ro,nosuid,nodev,noexec,relatime"),
            (&format!("-v {bind}:/m:z"), "cat /m/f", "hello"),
            (&format!("-v {bind}:/m:rshared"), spread, "1"),
            (&format!("-v {bind}:/m:O"), "echo x > /m/x && cat /m/x", "x"),
            ("-v vol:/m:U -u 1000", "stat -c %u /m; echo y > /m/y", "1000"),
            ("-v vol:/m:U -u 5", "stat -c %u /m /m/y", "5\n5"),
            ("--mount type=volume,src=vol,dst=/m,subpath=y", "cat /m", "y"),
            ("--mount type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=700", "stat -c %a /m", "700"),
            ("--mount type=tmpfs,dst=/m,chown=true -u 1000", "stat -c %u /m", "1000"),
            ("--mount type=image,src=busybox,dst=/m", "test -x /m/bin/busybox && echo ok", "ok"),
            ("--mount type=image,src=busybox,dst=/m,subpath=/etc", "ls /m", "group\npasswd"),
            (&format!("--mount type=glob,src={bind}/*,dst=/m"), "ls /m", "f"),
            ("--mount type=devpts,dst=/m", "ls /m", "ptmx"),
            ("--device /dev/null:/dev/nn", "echo x > /dev/nn; test -c /dev/nn && echo ok", "ok"),
            ("--read-only", "touch /x 2>/dev/null || touch /tmp/x && echo ok", "ok"),
        ],
    );
    assert!(!sandbox.path("work/bind/x").exists(), "an overlay keeps the source as it is");
    refused(
        &sandbox,
        &[
            (&format!("-v {bind}:/m:bogus"), "bogus"),
            (&format!("-v {bind}:m"), "absolute"),
            ("-v rel/path:/m", "rel/path"),
            ("-v a:/m -v b:/m", "twice"),
            (&format!("--mount type=bind,src={bind}/nope,dst=/m"), "nope"),
            (&format!("--mount type=bind,src={bind},dst=/m,bogus=1"), "bogus"),
            ("--mount type=bogus,dst=/m", "bogus"),
            ("--tmpfs /t:bogus", "bogus"),
            ("--volumes-from nope", "nope"),
            ("--device /dev/nope", "/dev/nope"),
            ("--device /dev/null:/dev/nn:bad", "bad"),
            ("--device /etc/passwd", "not a device"),
            ("--image-volume bogus", "bogus"),
            ("--volume-driver bogus -v x:/m", "--volume-driver"),
        ],
    );
}

#[test]
fn rights_are_those_asked_for() {
    let sandbox = Sandbox::with_busybox();
    let effective = "grep CapEff /proc/self/status | cut -f 2";
    sees(
        &sandbox,
        &[
            ("--cap-drop all --cap-add net_admin", effective, "0000000000001000"),
            ("--cap-add NET_ADMIN", effective, "00000000800415fb"),
            ("--security-opt no-new-privileges", "grep NoNew /proc/self/status | cut -f 2", "1"),
            ("--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status | cut -f 2", "0"),
            ("--security-opt mask=/etc/passwd", "wc -c < /etc/passwd", "0"),
            (
                "--security-opt proc-opts=hidepid=2",
                "grep ' /proc ' /proc/self/mountinfo | grep -c hidepid",
                "1",
            ),
            ("--security-opt label=disable", "echo ok", "ok"),
        ],
    );
    for flags in ["--privileged", "--cap-add ALL"] {
        let out = sandbox.line("run --rm").args(flags.split_whitespace());
        let out = out.args(["busybox", "sh", "-c", effective]).ok();
        let set = u64::from_str_radix(out.trim(), 16).unwrap();
        assert!(set.count_ones() > 30, "{flags}: {out}");
    }
    refused(
        &sandbox,
        &[
            ("--cap-add bogus", "bogus"),
            ("--cap-add NET_ADMIN --cap-drop NET_ADMIN", "both"),
            ("--security-opt bogus=1", "bogus"),
            ("--security-opt seccomp", "seccomp"),
            ("--security-opt seccomp=/no/such", "/no/such"),
        ],
    );
}

#[test]
fn what_inspect_shows_is_what_scripts_ask_for() {
    let sandbox = Sandbox::with_busybox();
    sandbox
        .line("create --name c --restart on-failure:3 -v vol:/m:ro --cap-add NET_ADMIN --hostname hh busybox sleep 9")
        .ok();
    for (template, wanted) in [
        ("{{.State.Status}} {{.State.Running}} {{.State.Pid}} {{.State.ExitCode}}", "created false 0 0"),
        (
            "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
            "on-failure 3",
        ),
        (
            "{{.HostConfig.CapAdd}} {{.HostConfig.PidsLimit}} [{{.HostConfig.CgroupParent}}]",
            "[CAP_NET_ADMIN] 2048 []",
        ),
        ("{{.Config.Hostname}} {{.Config.Cmd}} {{json .Config.Healthcheck}}", "hh [sleep 9] null"),
        (
            "{{range .Mounts}}{{.Type}} {{.Name}} {{.Driver}} {{.Destination}} {{.RW}}{{end}}",
            "volume vol local /m false",
        ),
        ("{{json .NetworkSettings.Ports}} [{{.NetworkSettings.IPAddress}}]", "{} []"),
    ] {
        let out = sandbox.dhow(["inspect", "--format", template, "c"]).ok();
        assert_eq!(out.trim_end(), wanted, "{template}");
    }
    sandbox.line("run -d --name s --network none --stop-timeout 0 busybox sleep 100").ok();
    sandbox.line("stop s").ok();
    let stopped = || sandbox.dhow(["inspect", "--format", "{{.State.StoppedByUser}}", "s"]).ok();
    assert_eq!(stopped(), "true\n");
    sandbox.line("start s").ok();
    assert_eq!(stopped(), "false\n");
}

#[test]
fn descriptors_pass_by_number_and_others_do_not() {
    let sandbox = Sandbox::with_busybox();
    let secret = sandbox.file("work/secret", "open\n");
    let script = "cat <&5; ls /proc/self/fd | tr '\\n' ' '";
    let run = |flags: &str| {
        let line = format!(
            "exec 3<{0} 4<{0} 5<{0} 6<{0}; exec {1} \"$@\"",
            secret.display(),
            crate::kit::sandbox::binary().display()
        );
        let words = flags.split(' ').chain(["sh", "-c", script]);
        sandbox.program("sh").args(["-c", &line, "sh"]).args(words).run()
    };
    let outcome = run("run --rm --network none --preserve-fd 3,5 busybox");
    assert_eq!(outcome.stdout(), "open\n0 1 2 3 4 5 ", "{outcome}");
    assert_eq!(run("run --rm --network none --preserve-fds 3 busybox").stdout(), "open\n0 1 2 3 4 5 6 ");
    sandbox.line("run -d --name c --network none busybox sleep 100").ok();
    assert_eq!(run("exec --preserve-fd 5 c").stdout(), "open\n0 1 2 3 5 ");
    assert!(!run("exec --preserve-fd 4 c").stdout().contains("open"));
}

#[test]
fn a_personality_holds_for_every_command() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c --network none --personality LINUX32 busybox sleep 100").ok();
    let inside = sandbox.line("exec c cat /proc/self/personality").ok();
    assert_eq!(inside.trim(), "00000008");
    sees(&sandbox, &[("--personality LINUX", "cat /proc/self/personality", "00000000")]);
}

#[test]
fn the_memory_file_systems_of_systemd_have_their_size() {
    let sandbox = Sandbox::with_busybox();
    let size = |dir: &str| format!("df -k {dir} | tail -n 1 | tr -s ' ' | cut -d ' ' -f 2");
    for dir in ["/run", "/tmp", "/run/lock", "/var/log/journal"] {
        sees(&sandbox, &[("--systemd=always --shm-size-systemd 1m", &size(dir), "1024")]);
    }
}
