//! `push`, `login` and `logout` against a real registry.

use crate::kit::image::{ImageSpec, Tar, busybox};
use crate::kit::registry::{Options, PASSWORD, Registry, USER};
use crate::kit::{Sandbox, pty::Pty, rootless};

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

/// An image with a layer that is sent in several chunks; what does not compress is as large in the registry.
fn large() -> ImageSpec {
    let mut image = busybox("localhost/large:latest");
    let mut noise = vec![0u8; 12 << 20];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    image.layers.push(Tar::new().file("noise", 0o644, &noise).bytes());
    image.layers.push(Tar::new().file("small", 0o644, b"small").bytes());
    image
}

fn load(sandbox: &Sandbox, image: &ImageSpec) {
    let archive = sandbox.file("tmp/image.tar", image.docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
}

fn lines<'a>(log: &'a str, method: &str, word: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(&format!("\"{method} /v2/")) && line.contains(word)).collect()
}

#[test]
fn a_large_layer_goes_in_chunks_and_a_second_push_sends_nothing() {
    let sandbox = Sandbox::new();
    load(&sandbox, &large());
    let registry = Registry::start(&sandbox);
    let name = format!("{}/team/large:v1", registry.host());
    let digest = sandbox.path("work/digest");
    sandbox.dhow(["push", "-q", "--digestfile"]).arg(&digest).args(["large", &name]).ok();
    let first = std::fs::read_to_string(&digest).unwrap();
    assert!(lines(&registry.log(), "PATCH", "team/large").len() >= 3, "{}", registry.log());
    let uploads = lines(&registry.log(), "POST", "uploads").len();
    sandbox.dhow(["push", "-q", "--digestfile"]).arg(&digest).args(["large", &name]).ok();
    assert_eq!(lines(&registry.log(), "POST", "uploads").len(), uploads, "nothing is sent twice");
    assert_eq!(std::fs::read_to_string(&digest).unwrap(), first);
    // Another store makes the same bytes of the same layers.
    let other = Sandbox::new();
    load(&other, &large());
    let second = format!("{}/other/large:v1", registry.host());
    other.dhow(["push", "-q", "--digestfile"]).arg(&digest).args(["large", &second]).ok();
    assert_eq!(std::fs::read_to_string(&digest).unwrap(), first, "compression is reproducible");
    let third = Sandbox::new();
    third.dhow(["pull", "-q", &name]).ok();
    let inspect = ["image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", "large"];
    let pulled = ["image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", &name];
    assert_eq!(third.dhow(pulled).ok(), sandbox.dhow(inspect).ok());
}

#[test]
fn layers_are_mounted_from_another_repository_of_the_registry() {
    let sandbox = Sandbox::new();
    load(&sandbox, &large());
    let registry = Registry::start(&sandbox);
    let (one, two) =
        (format!("{}/one/large:v1", registry.host()), format!("{}/two/large:v1", registry.host()));
    sandbox.dhow(["tag", "large", &one]).ok();
    sandbox.dhow(["push", "-q", &one]).ok();
    sandbox.dhow(["push", "-q", "large", &two]).ok();
    let log = registry.log();
    let mounted = lines(&log, "POST", "/v2/two/large/").into_iter().filter(|line| line.contains("mount="));
    assert_eq!(mounted.filter(|line| line.contains("\" 201")).count(), 3, "{log}");
    assert!(lines(&log, "PATCH", "/v2/two/large/").is_empty(), "no layer is sent");
    let other = Sandbox::new();
    assert_eq!(other.dhow(["run", "--rm", &two, "cat", "/small"]).run().stdout(), "small");
}

#[test]
fn images_are_pushed_into_files_and_come_back_the_same() {
    let sandbox = Sandbox::with_busybox();
    let id = sandbox.dhow(["image", "inspect", "-f", "{{.Id}}", "busybox"]).ok();
    let work = sandbox.path("work");
    for place in ["dir:d", "oci:o:v1", "oci-archive:o.tar:v1", "docker-archive:a.tar:localhost/again:1"] {
        sandbox.dhow(["push", "-q", "busybox", place]).ok();
        let other = Sandbox::new();
        let pulled = other.dhow(["pull", "-q", place]).dir(&work).ok();
        assert_eq!(pulled.trim(), id.trim(), "{place}");
        if rootless() && place.starts_with("oci-archive") {
            continue; // skopeo unpacks it and wants to give the files to root
        }
        let config = sandbox.program("skopeo").args(["inspect", "--config", place]).ok();
        assert!(config.contains("FROM_IMAGE=yes"), "{place}: {config}");
    }
    let digest = sandbox.path("work/digest");
    sandbox.dhow(["push", "-q", "--digestfile"]).arg(&digest).args(["busybox", "oci:p:v1"]).ok();
    let digest = std::fs::read_to_string(digest).unwrap();
    assert!(work.join("p/blobs").join(digest.replace(':', "/")).exists(), "{digest}");
    for (refused, words) in [
        (&["busybox", "containers-storage:x"][..], "into the store"),
        (&["busybox", "docker-daemon:x:1"], "no daemon"),
        (&["--format", "v2s2", "busybox", "oci:q"], "`oci` only"),
        (&["--format", "v2s1", "busybox", "localhost:1/x"], "obsolete"),
        (&["--compression-format", "zstd:chunked", "busybox", "localhost:1/x"], "zstd:chunked"),
        (&["--format", "v2s2", "--compression-format", "zstd", "busybox", "localhost:1/x"], "gzip"),
        (&["--compression-level", "99", "busybox", "localhost:1/x"], "between 1 and 9"),
        (&["--sign-by", "me", "busybox", "localhost:1/x"], "signatures are not supported"),
        (&["--encrypt-layer", "1", "busybox", "localhost:1/x"], "encrypted"),
    ] {
        let error = sandbox.dhow(["push"]).args(refused).fails(125);
        assert!(error.contains(words), "{refused:?}: {error}");
    }
}

#[test]
fn all_tags_and_digests_are_pushed() {
    let sandbox = Sandbox::with_busybox();
    let registry = Registry::start(&sandbox);
    let repository = format!("{}/many", registry.host());
    for tag in ["a", "b"] {
        sandbox.dhow(["tag", "busybox", &format!("{repository}:{tag}")]).ok();
    }
    sandbox.dhow(["push", "-q", "-a", &repository]).ok();
    let other = Sandbox::new();
    for tag in ["a", "b"] {
        other.dhow(["pull", "-q", &format!("{repository}:{tag}")]).ok();
    }
    sandbox.dhow(["push", "-q", "--all-tags", &format!("{repository}:a")]).fails(125);
    // By digest: the manifest must be the very one.
    let digest = other.dhow(["image", "inspect", "-f", "{{.Digest}}", &format!("{repository}:a")]).ok();
    let pinned = format!("{}/pinned@{}", registry.host(), digest.trim());
    other.dhow(["push", "-q", &format!("{repository}:a"), &pinned]).ok();
    let third = Sandbox::new();
    third.dhow(["pull", "-q", &pinned]).ok();
    let wrong = format!("{}/pinned@sha256:{}", registry.host(), "0".repeat(64));
    let error = other.dhow(["push", "-q", &format!("{repository}:a"), &wrong]).fails(125);
    assert!(error.contains("no manifest with digest"), "{error}");
}
