//! Storage in containers: binds, volumes, tmpfs, image mounts, devices.

use std::fs;

use crate::kit::{Sandbox, rootless};

fn sh(sandbox: &Sandbox, flags: &[&str], script: &str) -> crate::kit::Outcome {
    sandbox.dhow(["run", "--rm"]).args(flags).args(["busybox", "sh", "-c", script]).run()
}

#[test]
fn binds_show_the_hosts_files_and_obey_options() {
    let sandbox = Sandbox::with_busybox();
    let file = sandbox.file("work/data/f", "host");
    let dir = file.parent().unwrap().display().to_string();
    assert_eq!(
        sh(&sandbox, &["-v", &format!("{dir}:/data")], "cat /data/f; echo new > /data/g").ok(),
        "host"
    );
    assert_eq!(fs::read_to_string(sandbox.path("work/data/g")).unwrap(), "new\n");
    let script = "touch /data/x 2>/dev/null || echo refused";
    assert_eq!(sh(&sandbox, &["-v", &format!("{dir}:/data:ro")], script).ok(), "refused\n");
    assert_eq!(
        sh(&sandbox, &["--mount", &format!("type=bind,src={dir},dst=/data,readonly")], script).ok(),
        "refused\n"
    );
    let file = file.display().to_string();
    assert_eq!(sh(&sandbox, &["-v", &format!("{file}:/one/file")], "cat /one/file").ok(), "host");
    assert_eq!(sh(&sandbox, &["-v", "./data:/data"], "cat /data/f").ok(), "host");
    let out = sh(&sandbox, &["-v", &format!("{dir}:/data:O")], "echo changed > /data/f; cat /data/f").ok();
    assert_eq!((out.as_str(), fs::read_to_string(&file).unwrap().as_str()), ("changed\n", "host"));
}

#[test]
fn a_missing_source_is_made_by_v_and_refused_by_mount() {
    let sandbox = Sandbox::with_busybox();
    let dir = sandbox.path("work/not/yet").display().to_string();
    let outcome = sh(&sandbox, &["-v", &format!("{dir}:/data")], "echo fine > /data/f");
    assert!(outcome.status == 0 && outcome.stderr().contains("not/yet"), "{outcome}");
    assert_eq!(fs::read_to_string(format!("{dir}/f")).unwrap(), "fine\n");
    let other = sandbox.path("work/never").display().to_string();
    let outcome = sh(&sandbox, &["--mount", &format!("type=bind,src={other},dst=/data")], "true");
    assert!(outcome.status == 125 && !sandbox.path("work/never").exists(), "{outcome}");
}

#[test]
fn named_volumes_are_made_filled_kept_and_shared() {
    let sandbox = Sandbox::with_busybox();
    assert_eq!(
        sh(&sandbox, &["-v", "vol:/etc"], "cat /etc/group | head -n 1; echo x > /etc/mine").ok(),
        "root:x:0:\n"
    );
    assert_eq!(sh(&sandbox, &["-v", "vol:/v"], "cat /v/mine").ok(), "x\n");
    assert_eq!(sandbox.line("volume ls -q").ok(), "vol\n");
    sandbox.line("create --name user -v vol:/v busybox true").ok();
    let error = sandbox.line("volume rm vol").fails(2);
    assert!(error.contains("vol"), "{error}");
    sandbox.line("rm user").ok();
    sandbox.line("volume exists vol").ok();
    assert_eq!(sandbox.line("volume rm vol").ok(), "vol\n");
    sandbox.line("volume exists vol").fails(1);
    sandbox.line("volume rm vol").fails(1);
}

#[test]
fn volume_verbs_create_list_inspect_and_prune() {
    let sandbox = Sandbox::with_busybox();
    assert_eq!(sandbox.line("volume create --label a=b one").ok(), "one\n");
    sandbox.line("volume create one").fails(125);
    assert_eq!(sandbox.line("volume create --ignore one").ok(), "one\n");
    let anonymous = sandbox.line("volume create").ok();
    assert_eq!(anonymous.trim().len(), 64);
    assert_eq!(sandbox.line("volume ls -q --filter label=a=b").ok(), "one\n");
    assert_eq!(
        sandbox.dhow(["volume", "ls", "--format", "{{.Name}} {{.Driver}}", "-f", "name=one"]).ok(),
        "one local\n"
    );
    let all: serde_json::Value = serde_json::from_str(&sandbox.line("volume inspect one").ok()).unwrap();
    assert_eq!((all[0]["Name"].as_str(), all[0]["Labels"]["a"].as_str()), (Some("one"), Some("b")));
    sandbox.line("volume inspect none").fails(125);
    sandbox.dhow(["volume", "create", "../x"]).fails(125);
    sandbox.line("volume prune -f --all").ok();
    assert_eq!(sandbox.line("volume ls -q").ok(), "");
}

#[test]
fn anonymous_volumes_end_with_rm() {
    let sandbox = Sandbox::with_busybox();
    sh(&sandbox, &["-v", "/data"], "echo x > /data/f").ok();
    assert_eq!(sandbox.line("volume ls -q").ok(), "");
    sandbox.line("create --name c -v /data busybox true").ok();
    assert_eq!(sandbox.line("volume ls -q").ok().lines().count(), 1);
    sandbox.line("rm -v c").ok();
    assert_eq!(sandbox.line("volume ls -q").ok(), "");
}

#[test]
fn volumes_from_lends_them() {
    let sandbox = Sandbox::with_busybox();
    sandbox
        .dhow(["run", "--name", "data", "-v", "/shared", "busybox", "sh", "-c", "echo lent > /shared/f"])
        .ok();
    assert_eq!(sh(&sandbox, &["--volumes-from", "data"], "cat /shared/f").ok(), "lent\n");
    let out =
        sh(&sandbox, &["--volumes-from", "data:ro"], "touch /shared/g 2>/dev/null || echo refused").ok();
    assert_eq!(out, "refused\n");
}

#[test]
fn tmpfs_and_image_mounts() {
    let sandbox = Sandbox::with_busybox();
    let script = "stat -f -c %T /t; touch /t/x && df -k /t | tail -n 1";
    let out = sh(&sandbox, &["--tmpfs", "/t:size=2m"], script).ok();
    assert!(out.starts_with("tmpfs\n") && out.contains(" 2048 "), "{out}");
    let out =
        sh(&sandbox, &["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700"], "stat -c %a /t").ok();
    assert_eq!(out, "700\n");
    let flags = ["--mount", "type=image,src=localhost/busybox,dst=/img"];
    let out = sh(&sandbox, &flags, "ls /img/bin/busybox; touch /img/x 2>/dev/null || echo refused").ok();
    assert_eq!(out, "/img/bin/busybox\nrefused\n");
}

#[test]
fn devices_are_the_defaults_and_what_was_asked_for() {
    let sandbox = Sandbox::with_busybox();
    let out = sh(&sandbox, &[], "ls /dev | sort | tr '\\n' ' '").ok();
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ";
    assert_eq!(out.replace("console ", ""), expected, "{out}");
    let out =
        sh(&sandbox, &["--device", "/dev/null:/dev/mine"], "echo x > /dev/mine && stat -c %F /dev/mine").ok();
    assert_eq!(out, "character special file\n");
    let outcome = sh(&sandbox, &["--device", "/dev/no-such-device"], "true");
    assert!(outcome.status == 125 && outcome.stderr().contains("/dev/no-such-device"), "{outcome}");
    let out = sh(
        &sandbox,
        &[],
        "mknod /tmp/d b 8 0 2>/dev/null && cat /tmp/d >/dev/null 2>&1 && echo opened; true",
    )
    .ok();
    assert_eq!(out, "", "made nodes of the host's devices cannot be opened");
}

#[test]
fn bad_mounts_are_refused_with_a_reason() {
    let sandbox = Sandbox::with_busybox();
    for flags in [
        ["-v", "/a:relative"],
        ["-v", "/a:/b:nonsense"],
        ["-v", ":::"],
        ["--mount", "type=nonsense,dst=/x"],
        ["--mount", "type=bind,src=/tmp"],
        ["--mount", "dst=/x,unknown=1"],
        ["--tmpfs", "relative"],
        ["-v", "/tmp:/proc"],
        ["-v", "/tmp:/"],
    ] {
        let outcome = sh(&sandbox, &flags, "true");
        assert!(matches!(outcome.status, 125 | 126), "{flags:?}: {outcome}");
        assert!(outcome.stderr().starts_with("Error: "), "{flags:?}: {outcome}");
    }
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}

#[test]
fn u_changes_the_owner_for_the_containers_user() {
    let sandbox = Sandbox::with_busybox();
    let dir = sandbox.path("work/owned");
    fs::create_dir_all(&dir).unwrap();
    let volume = format!("{}:/data:U", dir.display());
    assert_eq!(
        sh(&sandbox, &["-v", &volume, "-u", "1000"], "touch /data/f && stat -c %u /data").ok(),
        "1000\n"
    );
    if !rootless() {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(&dir).unwrap().uid(), 1000);
    }
}
