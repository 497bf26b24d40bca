//! `login` and `logout`: where credentials go, who else reads them, and what helpers do.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::kit::registry::{Options, PASSWORD, Registry, USER};
use crate::kit::{Cmd, Sandbox};

fn registry(sandbox: &Sandbox) -> Registry {
    Registry::with(sandbox, Options { tls: false, password: true })
}

fn login(sandbox: &Sandbox, key: &str) -> Cmd {
    sandbox.dhow(["login", "-u", USER, "--password-stdin", key]).stdin(PASSWORD)
}

fn read(path: &std::path::Path) -> Value {
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_file_of_others_is_changed_only_where_it_must_be() {
    let sandbox = Sandbox::new();
    let registry = registry(&sandbox);
    let before =
        r#"{"HttpHeaders":{"X":"y"},"auths":{"quay.io":{"auth":"YTpi","email":"x"}},"psFormat":"table"}"#;
    let file = sandbox.file("home/docker/config.json", before);
    let dir = sandbox.path("home/docker");
    login(&sandbox, &registry.host()).env("DOCKER_CONFIG", &dir).ok();
    let after = read(&file);
    assert_eq!((&after["HttpHeaders"]["X"], &after["psFormat"]), (&"y".into(), &"table".into()));
    assert_eq!(after["auths"]["quay.io"]["email"], "x");
    assert!(after["auths"][registry.host()]["auth"].is_string());
    assert!(!sandbox.path("home/.config/containers/auth.json").exists());
    let whoami = sandbox.dhow(["login", "--get-login", &registry.host()]).env("DOCKER_CONFIG", &dir).ok();
    assert_eq!(whoami.trim(), USER);
    sandbox.dhow(["logout", &registry.host()]).env("DOCKER_CONFIG", &dir).ok();
    assert_eq!(read(&file)["auths"], serde_json::json!({"quay.io": {"auth": "YTpi", "email": "x"}}));
    sandbox.dhow(["logout", "--all"]).env("DOCKER_CONFIG", &dir).ok();
    assert_eq!(read(&file)["auths"], serde_json::json!({}));
}

#[test]
fn the_file_that_was_named_is_used_alone() {
    let sandbox = Sandbox::new();
    let registry = registry(&sandbox);
    let (one, two) = (sandbox.path("work/one.json"), sandbox.path("work/two.json"));
    login(&sandbox, &registry.host()).arg("--authfile").arg(&one).ok();
    login(&sandbox, &registry.host()).env("REGISTRY_AUTH_FILE", &two).ok();
    assert_eq!(read(&one), read(&two));
    let out = login(&sandbox, &registry.host()).args(["-v", "--authfile"]).arg(&one).run();
    assert!(out.stderr().contains("one.json"), "{out}");
    sandbox.dhow(["login", "--get-login", &registry.host()]).fails(125);
    sandbox.dhow(["login", "--get-login", &registry.host(), "--authfile"]).arg(&one).ok();
    let none = sandbox.path("work/none.json");
    let error = sandbox.dhow(["login", "--get-login", &registry.host(), "--authfile"]).arg(&none).fails(125);
    assert!(error.contains("not logged into"), "{error}");
    // As Docker wants to read it, whatever the file is called.
    let docker = sandbox.path("work/docker.json");
    login(&sandbox, &registry.host()).arg("--compat-auth-file").arg(&docker).ok();
    assert!(read(&docker)["auths"][registry.host()].is_object());
    let part = format!("{}/team", registry.host());
    let error = login(&sandbox, &part).arg("--compat-auth-file").arg(&docker).fails(125);
    assert!(error.contains("no place for a part"), "{error}");
    login(&sandbox, &part).arg("--authfile").arg(&one).arg("--compat-auth-file").arg(&docker).fails(125);
}

#[test]
fn a_part_of_a_registry_has_its_own_login() {
    let sandbox = Sandbox::with_busybox();
    let registry = registry(&sandbox);
    let part = format!("{}/team", registry.host());
    login(&sandbox, &part).ok();
    sandbox.dhow(["push", "-q", "busybox", &format!("{part}/tool:v1")]).ok();
    let error =
        sandbox.dhow(["push", "-q", "busybox", &format!("{}/other/tool:v1", registry.host())]).fails(125);
    assert!(error.contains("dhow login"), "{error}");
    sandbox.dhow(["login", "--get-login", &registry.host()]).fails(125);
    sandbox.dhow(["logout", &part]).ok();
    sandbox.dhow(["push", "-q", "busybox", &format!("{part}/tool:v1")]).fails(125);
}

#[test]
fn kept_credentials_serve_again_while_they_are_good() {
    let sandbox = Sandbox::new();
    let registry = registry(&sandbox);
    login(&sandbox, &registry.host()).ok();
    let out = sandbox.dhow(["login", &registry.host()]).ok();
    assert!(out.contains(&format!("Already logged in to {}", registry.host())), "{out}");
    let wrong = "d3Jvbmc6d3Jvbmc="; // wrong:wrong
    let text = format!(r#"{{"auths":{{"{}":{{"auth":"{wrong}"}}}}}}"#, registry.host());
    sandbox.file("home/.config/containers/auth.json", text);
    let error = sandbox.dhow(["login", &registry.host()]).fails(125);
    assert!(
        error.contains("Existing credentials are invalid") && error.contains("--password-stdin"),
        "{error}"
    );
}

#[test]
fn credential_helpers_keep_the_secret() {
    let sandbox = Sandbox::with_busybox();
    let registry = registry(&sandbox);
    let host = registry.host();
    // Keeps one login in a file beside it; what it was asked is in its log.
    let helper = r#"#!/bin/sh
        cd "$(dirname "$0")"; echo "$1" >> log
        case "$1" in
            store) cat > kept;;
            get) if [ -e kept ]; then cat kept; else echo credentials not found in native keychain; exit 1; fi;;
            erase) cat > /dev/null; rm -f kept;;
            list) if [ -e kept ]; then echo "{\"HOST\":\"alice\"}"; else echo "{}"; fi;;
        esac"#;
    let path = sandbox.file("home/bin/docker-credential-test", helper.replace("HOST", &host));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let search = format!("{}:/usr/bin:/bin", sandbox.path("home/bin").display());
    let kept = sandbox.path("home/bin/kept");
    let helped = |key: &str| format!(r#"{{"credHelpers":{{"{key}":"test"}}}}"#);
    for config in [r#"{"credsStore":"test"}"#.to_owned(), helped(&host)] {
        let file = sandbox.file("home/.config/containers/auth.json", config);
        login(&sandbox, &host).env("PATH", &search).ok();
        assert!(std::fs::read_to_string(&kept).unwrap().contains(PASSWORD));
        assert!(!std::fs::read_to_string(&file).unwrap().contains("\"auth\""), "no secret beside the helper");
        sandbox.dhow(["push", "-q", "busybox", &format!("{host}/x:1")]).env("PATH", &search).ok();
        sandbox.dhow(["logout", &host]).env("PATH", &search).ok();
        assert!(!kept.exists());
        login(&sandbox, &host).env("PATH", &search).ok();
        sandbox.dhow(["logout", "-a"]).env("PATH", &search).ok();
        assert!(!kept.exists());
    }
    let error = sandbox.dhow(["push", "-q", "busybox", &format!("{host}/x:1")]).fails(125);
    assert!(error.contains("docker-credential-test"), "{error}");
    // One that registries.conf names comes before the file.
    std::fs::remove_file(sandbox.path("home/.config/containers/auth.json")).unwrap();
    let conf = sandbox.file("home/registries.conf", "credential-helpers = [\"test\"]\n");
    let with = |cmd: Cmd| cmd.env("PATH", &search).env("CONTAINERS_REGISTRIES_CONF", &conf);
    with(login(&sandbox, &host)).ok();
    assert!(kept.exists() && !sandbox.path("home/.config/containers/auth.json").exists());
    assert_eq!(with(sandbox.dhow(["login", "--get-login", &host])).ok().trim(), USER);
    with(sandbox.dhow(["logout", &host])).ok();
    assert!(!kept.exists());
}

#[test]
fn podman_skopeo_and_dhow_read_each_others_logins() {
    let sandbox = Sandbox::with_busybox();
    let registry = registry(&sandbox);
    let host = registry.host();
    login(&sandbox, &host).ok();
    let file = sandbox.path("home/.config/containers/auth.json");
    let skopeo = |args: &[&str]| sandbox.program("skopeo").args(args).env("REGISTRY_AUTH_FILE", &file);
    assert_eq!(skopeo(&["login", "--get-login", &host]).ok().trim(), USER);
    sandbox.dhow(["logout", &host]).ok();
    skopeo(&["login", "--tls-verify=false", "-u", USER, "-p", PASSWORD, &host]).ok();
    assert_eq!(sandbox.dhow(["login", "--get-login", &host]).ok().trim(), USER);
    sandbox.dhow(["push", "-q", "busybox", &format!("{host}/x:1")]).ok();
}

#[test]
fn a_registry_that_wants_a_certificate_gets_it() {
    let sandbox = Sandbox::with_busybox();
    let registry = Registry::for_known_clients(&sandbox);
    let name = format!("{}/tool:v1", registry.host());
    let error = sandbox
        .dhow(["push", "-q", "--cert-dir"])
        .arg(registry.cert_dir())
        .args(["busybox", &name])
        .fails(125);
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let certs = registry.client_cert_dir();
    sandbox.dhow(["push", "-q", "--cert-dir"]).arg(&certs).args(["busybox", &name]).ok();
    let other = Sandbox::new();
    let place = other.path(&format!("home/.config/containers/certs.d/{}", registry.host()));
    std::fs::create_dir_all(&place).unwrap();
    for file in ["ca.crt", "client.cert", "client.key"] {
        std::fs::copy(certs.join(file), place.join(file)).unwrap();
    }
    other.dhow(["pull", "-q", &name]).ok();
    std::fs::remove_file(place.join("client.key")).unwrap();
    let error = other.dhow(["pull", "-q", &name]).fails(125);
    assert!(error.contains("needs its key"), "{error}");
}
