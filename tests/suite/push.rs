//! `push`, `login` and `logout` against a real registry.

use crate::kit::registry::{Options, PASSWORD, Registry, USER};
use crate::kit::{Sandbox, pty::Pty};

#[test]
fn an_image_goes_to_a_registry_and_comes_back_the_same() {
    let sandbox = Sandbox::with_busybox();
    let registry = Registry::start(&sandbox);
    let name = format!("{}/team/tool:v1", registry.host());
    sandbox.dhow(["tag", "busybox", &name]).ok();
    sandbox.dhow(["push", "-q", &name]).ok();
    let other = Sandbox::new();
    other.dhow(["pull", "-q", &name]).ok();
    assert_eq!(other.dhow(["run", "--rm", &name, "echo", "back"]).ok(), "back\n");
    let layers = |sandbox: &Sandbox| {
        sandbox.dhow(["image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", &name]).ok()
    };
    assert_eq!(layers(&sandbox), layers(&other));
    let uploads =
        |log: &str| log.lines().filter(|line| line.contains("POST /v2/") && line.contains("uploads")).count();
    let before = uploads(&registry.log());
    sandbox.dhow(["push", "-q", "busybox", &format!("docker://{}/team/tool:v2", registry.host())]).ok();
    assert_eq!(uploads(&registry.log()), before, "what is there is not sent again");
    let digest = sandbox.path("work/digest");
    sandbox
        .dhow(["push", "-q", "--format", "v2s2", "--digestfile"])
        .arg(&digest)
        .args(["busybox", &name])
        .ok();
    let pinned = format!("{}/team/tool@{}", registry.host(), std::fs::read_to_string(&digest).unwrap());
    other.dhow(["pull", "-q", &pinned]).ok();
    sandbox.dhow(["push", "-q", "--compression-format", "zstd", "busybox", &name]).ok();
    let third = Sandbox::new();
    assert_eq!(third.dhow(["run", "--rm", &name, "echo", "zstd"]).run().stdout(), "zstd\n");
    sandbox.dhow(["push", "no-such-image", &name]).fails(125);
    sandbox.dhow(["push", "busybox", "127.0.0.1:1/nobody/home"]).fails(125);
}

#[test]
fn credentials_are_checked_kept_and_forgotten() {
    let sandbox = Sandbox::with_busybox();
    let registry = Registry::with(&sandbox, Options { tls: false, password: true });
    let host = registry.host();
    let name = format!("{host}/tool:v1");
    let login = |password: &str| {
        sandbox.dhow(["login", "-u", USER, "--password-stdin", &host]).stdin(format!("{password}\n"))
    };
    let error = login("wrong one").fails(125);
    assert!(!error.contains("wrong one"), "{error}");
    sandbox.dhow(["login", "--get-login", &host]).fails(125);
    assert_eq!(login(PASSWORD).ok(), "Login Succeeded!\n");
    assert_eq!(sandbox.dhow(["login", "--get-login", &host]).ok(), format!("{USER}\n"));
    let file = sandbox.path("home/.config/containers/auth.json");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.dhow(["push", "-q", "busybox", &name]).ok();
    let out = sandbox.dhow(["logout", &host]).ok();
    assert!(out.contains(&host), "{out}");
    sandbox.dhow(["push", "-q", "busybox", &name]).fails(125);
    sandbox.dhow(["logout", &host]).fails(125);
    sandbox.dhow(["login", "-u", USER, &host]).fails(125);
}

#[test]
fn the_password_is_asked_for_without_echo() {
    let sandbox = Sandbox::new();
    let registry = Registry::with(&sandbox, Options { tls: false, password: true });
    let mut pty = Pty::dhow(&sandbox, &["login", &registry.host()]);
    pty.expect("Username");
    pty.send(&format!("{USER}\r"));
    pty.expect("Password: ");
    pty.send(&format!("{PASSWORD}\r"));
    assert_eq!(pty.wait(), 0, "{}", pty.screen());
    assert!(!pty.screen().contains(PASSWORD) && pty.is_cooked(), "{}", pty.screen());
}
