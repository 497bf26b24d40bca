//! What confines a container, seen from inside.

use crate::kit::{Sandbox, rootless};

fn sh(sandbox: &Sandbox, flags: &[&str], script: &str) -> String {
    sandbox.dhow(["run", "--rm"]).args(flags).args(["busybox", "sh", "-c", script]).ok()
}

fn status(sandbox: &Sandbox, flags: &[&str], field: &str) -> String {
    let out = sh(sandbox, flags, &format!("grep ^{field}: /proc/self/status"));
    out.split_whitespace().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn capabilities_are_the_eleven() {
    let sandbox = Sandbox::with_busybox();
    for field in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(&sandbox, &[], field), "00000000800405fb", "{field}");
    }
    for field in ["CapInh", "CapAmb"] {
        assert_eq!(status(&sandbox, &[], field), "0000000000000000", "{field}");
    }
    assert_eq!(status(&sandbox, &["-u", "1000"], "CapEff"), "0000000000000000");
    assert_eq!(status(&sandbox, &["--cap-drop", "all"], "CapEff"), "0000000000000000");
    assert_eq!(
        status(&sandbox, &["--cap-drop", "ALL", "--cap-add", "net_raw"], "CapEff"),
        "0000000000002000"
    );
    assert_eq!(status(&sandbox, &["-u", "1000", "--cap-add", "CAP_NET_RAW"], "CapAmb"), "0000000000002000");
    sandbox.line("run --rm --cap-add CAP_NONSENSE busybox true").fails(125);
}

#[test]
fn seccomp_and_no_new_privileges() {
    let sandbox = Sandbox::with_busybox();
    assert_eq!(status(&sandbox, &[], "Seccomp"), "2");
    assert_eq!(status(&sandbox, &["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
    assert_eq!(status(&sandbox, &["--privileged"], "Seccomp"), "0");
    assert_eq!(status(&sandbox, &[], "NoNewPrivs"), "0");
    assert_eq!(status(&sandbox, &["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    let profile = sandbox.file(
        "work/profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    let option = format!("seccomp={}", profile.display());
    let out = sh(&sandbox, &["--security-opt", &option], "mkdir /tmp/x 2>/dev/null || echo refused");
    assert_eq!(out, "refused\n");
    let broken = sandbox.file("work/broken.json", "{");
    let option = format!("seccomp={}", broken.display());
    sandbox.dhow(["run", "--rm", "--security-opt", &option, "busybox", "true"]).fails(125);
    sandbox.line("run --rm --security-opt seccomp=/no/such/file busybox true").fails(125);
    sandbox.line("run --rm --security-opt nonsense=1 busybox true").fails(125);
}

#[test]
fn kernel_files_are_masked_or_read_only() {
    let sandbox = Sandbox::with_busybox();
    let script = "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : ; \
        echo 1 2>/dev/null > /proc/sys/kernel/panic || echo ro; echo h 2>/dev/null > /proc/sysrq-trigger || echo ro";
    let seen = sh(&sandbox, &[], script);
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "ro", "ro"]);
    let out = sh(&sandbox, &["--security-opt", "mask=/etc/passwd"], "wc -c < /etc/passwd");
    assert_eq!(out.trim(), "0");
    let script = "wc -c < /proc/timer_list || echo refused by the kernel"; // rootless: only the host's root reads it
    let out = sh(&sandbox, &["--security-opt", "unmask=ALL"], script);
    assert!(out.trim() != "0", "{out}");
    let out = sh(&sandbox, &[], "mount | grep ' /sys type' ");
    assert!(out.contains("(ro"), "{out}");
}

#[test]
fn no_descriptor_and_no_variable_of_the_caller_leaks() {
    let sandbox = Sandbox::with_busybox();
    let secret = sandbox.file("work/secret", "open");
    let script = format!(
        "exec 7<{} 9<{}; {} run --rm busybox sh -c 'ls /proc/self/fd | tr \"\\n\" \" \"; env'",
        secret.display(),
        secret.display(),
        crate::kit::sandbox::binary().display(),
    );
    let out = sandbox.program("bash").args(["-c", &script]).env("TOKEN", "leak").ok();
    assert!(out.starts_with("0 1 2 3 "), "0 to 2, and the directory that ls reads: {out}");
    assert!(!out.starts_with("0 1 2 3 4") && !out.contains("leak"), "{out}");
    let preserve = script.replace("--rm", "--rm --preserve-fds 7").replace("env'", "cat <&7'");
    let out = sandbox.program("bash").args(["-c", &preserve]).run();
    assert!(out.stdout().contains('7') || out.status == 125, "{out}");
}

#[test]
fn a_container_cannot_signal_or_see_the_host() {
    let sandbox = Sandbox::with_busybox();
    let own = std::process::id();
    let out = sh(
        &sandbox,
        &[],
        &format!("kill -0 {own} 2>/dev/null && echo seen; ls -d /proc/{own} 2>/dev/null; true"),
    );
    assert!(!out.contains("seen"), "{out}");
}

#[test]
fn links_in_the_image_do_not_lead_out() {
    use crate::kit::image::{ImageSpec, Tar, busybox_layer};
    let sandbox = Sandbox::with_busybox();
    let outside = sandbox.path("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let target = outside.display().to_string();
    let evil = Tar::new()
        .symlink("dev", &target)
        .symlink("proc", &target)
        .symlink("sys", &target)
        .symlink("run", &target)
        .symlink("data", &target)
        .symlink("etc/resolv.conf", "../../../../../../../../tmp/evil-resolv")
        .symlink("etc/hosts", &format!("{target}/hosts"))
        .bytes();
    let image = ImageSpec {
        name: "localhost/evil:latest".into(),
        layers: vec![busybox_layer(), evil],
        config: serde_json::json!({"Cmd": ["sh"], "WorkingDir": "/data/work", "Env": ["PATH=/bin"]}),
    };
    let archive = sandbox.file("tmp/evil.tar", image.docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
    let outcome = sandbox.dhow(["run", "--rm", "-v", "vol:/data/sub", "evil", "true"]).run();
    assert!(matches!(outcome.status, 0 | 125..=127), "{outcome}");
    let left: Vec<_> = std::fs::read_dir(&outside).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "made outside: {left:?}");
    assert!(!std::path::Path::new("/tmp/evil-resolv").exists());
}

#[test]
fn hostile_passwd_files_cost_nothing() {
    use crate::kit::image::{ImageSpec, Tar, busybox_layer};
    let sandbox = Sandbox::new();
    let evil = Tar::new().symlink("etc/passwd", "/dev/zero").symlink("etc/group", "/proc/self/fd/0").bytes();
    let image = ImageSpec {
        name: "localhost/evil:latest".into(),
        layers: vec![busybox_layer(), evil],
        config: serde_json::json!({"Cmd": ["id"], "Env": ["PATH=/bin"], "User": "alice"}),
    };
    let archive = sandbox.file("tmp/evil.tar", image.docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
    let outcome = sandbox.line("run --rm evil").run();
    assert!(matches!(outcome.status, 125 | 126), "an unknown user is an error, not root: {outcome}");
    // Not `id`: inside the container that link means the container's own /dev/zero, which `id` reads for ever.
    let outcome = sandbox.line("run --rm -u 5 evil grep ^Uid: /proc/self/status").run();
    assert_eq!(outcome.stdout(), "Uid:\t5\t5\t5\t5\n", "{outcome}");
}

#[test]
fn metadata_cannot_drive_the_terminal() {
    use crate::kit::image::{ImageSpec, busybox_layer};
    let sandbox = Sandbox::new();
    let image = ImageSpec {
        name: "localhost/esc:latest".into(),
        layers: vec![busybox_layer()],
        config: serde_json::json!({"Cmd": ["sh", "-c", "\u{1b}[2J"], "Labels": {"\u{1b}]0;x\u{7}": "\u{1b}[31m"}}),
    };
    let archive = sandbox.file("tmp/esc.tar", image.docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
    sandbox.line("create --name c esc").ok();
    for line in ["ps -a --no-trunc", "images", "history esc", "inspect esc", "inspect c", "ps -a"] {
        let out = sandbox.line(line).ok();
        assert!(!out.contains('\u{1b}') && !out.contains('\u{7}'), "{line}: {out:?}");
    }
}
