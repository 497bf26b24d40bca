//! `pull` from a real registry: plain, with TLS, with a password, policies, parallel pulls.

use crate::kit::image::{ImageSpec, Tar, busybox};
use crate::kit::registry::{Options, PASSWORD, Registry, USER};
use crate::kit::{Cmd, Sandbox};

#[test]
fn pull_prints_the_id_and_run_uses_it() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    registry.put(&busybox("x"), "team/tool", "v1");
    let name = format!("{}/team/tool:v1", registry.host());
    let id = sandbox.dhow(["pull", &name]).ok();
    assert!(id.trim().len() == 64, "the id alone: {id:?}");
    assert_eq!(sandbox.dhow(["run", "--rm", &name, "echo", "pulled"]).ok(), "pulled\n");
    assert_eq!(sandbox.dhow(["pull", "-q", &name]).ok(), id);
    let other = Sandbox::new();
    let out = other.dhow(["run", "--rm", &name, "echo", "at once"]).run();
    assert_eq!((out.status, out.stdout().as_str()), (0, "at once\n"), "{out}");
    let error = sandbox.dhow(["pull", &format!("{}/team/tool:v2", registry.host())]).fails(125);
    assert!(error.contains("v2"), "the message names the tag: {error}");
    let error = sandbox.dhow(["pull", &format!("{}/no/such", registry.host())]).fails(125);
    assert!(error.contains("no/such"), "{error}");
}

#[test]
fn digests_pin_and_are_verified() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let digest = registry.put(&busybox("x"), "tool", "v1");
    let name = format!("{}/tool@{digest}", registry.host());
    let id = sandbox.dhow(["pull", "-q", &name]).ok();
    assert_eq!(sandbox.dhow(["image", "inspect", "-f", "{{.Id}}", &name]).ok().trim(), id.trim());
    let wrong = format!("{}/tool@sha256:{}", registry.host(), "0".repeat(64));
    sandbox.dhow(["pull", &wrong]).fails(125);
}

#[test]
fn tls_is_verified_and_certificates_are_found() {
    let sandbox = Sandbox::new();
    let registry = Registry::with(&sandbox, Options { tls: true, password: false });
    registry.put(&busybox("x"), "tool", "v1");
    let name = format!("{}/tool:v1", registry.host());
    let error = sandbox.dhow(["pull", &name]).fails(125);
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    sandbox.dhow(["pull", "-q", "--tls-verify=false", &name]).ok();
    let other = Sandbox::new();
    other.dhow(["pull", "-q", "--cert-dir"]).arg(registry.cert_dir()).arg(&name).ok();
    let third = Sandbox::new();
    let certs = third.path(&format!("home/.config/containers/certs.d/{}", registry.host()));
    std::fs::create_dir_all(&certs).unwrap();
    std::fs::copy(registry.cert_dir().join("ca.crt"), certs.join("ca.crt")).unwrap();
    third.dhow(["pull", "-q", &name]).ok();
}

#[test]
fn passwords_come_from_flags_and_files() {
    let sandbox = Sandbox::new();
    let registry = Registry::with(&sandbox, Options { tls: false, password: true });
    registry.put(&busybox("x"), "tool", "v1");
    let name = format!("{}/tool:v1", registry.host());
    let error = sandbox.dhow(["pull", &name]).fails(125);
    assert!(error.contains("login") || error.contains("unauthorized"), "{error}");
    let error = sandbox.dhow(["pull", "--creds", "alice:wrong", &name]).fails(125);
    assert!(!error.contains("wrong"), "no password in a message: {error}");
    sandbox.dhow(["pull", "-q", "--creds", &format!("{USER}:{PASSWORD}"), &name]).ok();
    let other = Sandbox::new();
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let file = other
        .file("home/auth.json", format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.host()));
    other.dhow(["pull", "-q", "--authfile"]).arg(&file).arg(&name).ok();
    let third = Sandbox::new();
    third.dhow(["pull", "-q", &name]).env("REGISTRY_AUTH_FILE", &file).ok();
}

#[test]
fn policies_decide_when_the_registry_is_asked() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    registry.put(&busybox("x"), "tool", "latest");
    let name = format!("{}/tool", registry.host());
    sandbox.dhow(["run", "--rm", "--pull", "never", &name, "true"]).fails(125);
    sandbox.dhow(["run", "--rm", &name, "true"]).ok();
    let old = sandbox.dhow(["image", "inspect", "-f", "{{.Id}}", &name]).ok();
    let mut newer = busybox("x");
    newer.layers.push(Tar::new().file("newer", 0o644, b"yes").bytes());
    registry.put(&newer, "tool", "latest");
    sandbox.dhow(["run", "--rm", &name, "cat", "/newer"]).fails(1);
    assert_eq!(sandbox.dhow(["run", "--rm", "--pull", "newer", &name, "cat", "/newer"]).ok(), "yes");
    assert_ne!(sandbox.dhow(["image", "inspect", "-f", "{{.Id}}", &name]).ok(), old);
    drop(registry);
    sandbox.dhow(["run", "--rm", &name, "true"]).ok();
    sandbox.dhow(["run", "--rm", "--pull", "newer", &name, "true"]).ok();
    sandbox.dhow(["run", "--rm", "--pull", "always", &name, "true"]).fails(125);
    sandbox.dhow(["run", "--rm", "--pull", "sometimes", &name, "true"]).fails(125);
}

#[test]
fn many_pulls_at_once_fetch_each_layer_once() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let mut image = busybox("x");
    for n in 0..6u8 {
        image.layers.push(Tar::new().file(&format!("layer-{n}"), 0o644, &vec![n; 200_000]).bytes());
    }
    registry.put(&image, "many", "latest");
    let name = format!("{}/many", registry.host());
    let begun: Vec<_> = (0..20).map(|_| sandbox.dhow(["pull", "-q", &name]).spawn()).collect();
    for child in begun {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let log = registry.log();
    let oci = image.oci();
    for layer in &oci.layers {
        let digest = crate::kit::image::sha256(layer);
        let fetched = |line: &&str| {
            line.contains("GET /v2/many/blobs/") && line.contains(&digest) && line.contains("\" 200")
        };
        assert!(log.lines().filter(fetched).count() <= 1, "{digest} was fetched more than once");
    }
    sandbox.dhow(["run", "--rm", &name, "ls", "/layer-5"]).ok();
}

#[test]
fn a_lying_registry_changes_nothing() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    // A manifest whose layer is not what the configuration's diff id says.
    let honest = busybox("x");
    let mut lying =
        ImageSpec { name: "x".into(), layers: honest.layers.clone(), config: honest.config.clone() };
    let config = lying.config_json();
    lying.layers[0] = Tar::new().file("other", 0o644, b"content").bytes();
    let layer = crate::kit::image::gzip(&lying.layers[0]);
    registry.put_blob("liar", &layer);
    registry.put_blob("liar", &config);
    let digest = crate::kit::image::sha256;
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest(&layer), "size": layer.len()}],
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    registry.put_manifest("liar", "latest", &bytes, "application/vnd.oci.image.manifest.v1+json");
    let error = sandbox.dhow(["pull", &format!("{}/liar", registry.host())]).fails(125);
    assert!(error.contains("diff id") || error.contains("digest"), "{error}");
    assert_eq!(sandbox.line("images -aq").ok(), "");
    assert_eq!(entries(&sandbox, "layers"), 0);
    assert_eq!(entries(&sandbox, "layers/blobs"), 0);
    assert_eq!(entries(&sandbox, "staging"), 0);
}

fn entries(sandbox: &Sandbox, dir: &str) -> usize {
    // `layers/blobs` is where forms of layers are remembered; locks stay.
    let shown = |name: &std::ffi::OsStr| !name.to_string_lossy().contains("lock") && name != "blobs";
    std::fs::read_dir(sandbox.root().join(dir))
        .map_or(0, |entries| entries.flatten().filter(|entry| shown(&entry.file_name())).count())
}

#[test]
fn skopeo_and_podman_agree_where_they_are_installed() {
    if !std::path::Path::new("/usr/bin/skopeo").exists() {
        return eprintln!("not run: skopeo is not installed");
    }
    let sandbox = Sandbox::with_busybox();
    let archive = sandbox.path("work/a.tar");
    sandbox.dhow(["save", "-q", "-o"]).arg(&archive).arg("busybox").ok();
    let environment = sandbox.environment().to_vec();
    let source = format!("docker-archive:{}", archive.display());
    let out = Cmd::new("skopeo", &environment).args(["inspect", "--config", &source]).ok();
    assert!(out.contains("FROM_IMAGE=yes"), "{out}");
}
