//! Images go between dhow, skopeo, podman and umoci, and keep their digests.

use crate::kit::image::{ImageSpec, Tar, busybox};
use crate::kit::registry::Registry;
use crate::kit::{Cmd, Sandbox};

fn spec() -> ImageSpec {
    let mut image = busybox("localhost/tool:latest");
    image.layers.push(Tar::new().file("more", 0o644, &vec![b'x'; 5 << 20]).bytes());
    image
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let archive = sandbox.file("tmp/image.tar", spec().docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
    sandbox
}

fn id(sandbox: &Sandbox, name: &str) -> String {
    sandbox
        .dhow(["image", "inspect", "-f", "{{.Id}}", name])
        .ok()
        .trim()
        .trim_start_matches("sha256:")
        .to_owned()
}

/// Podman with a store of its own.
fn podman(sandbox: &Sandbox, args: &[&str]) -> Cmd {
    sandbox.podman().args(args).env("CONTAINERS_REGISTRIES_CONF", "/dev/null")
}

#[test]
fn what_dhow_pushes_skopeo_and_podman_read_with_the_same_digests() {
    let sandbox = sandbox();
    let registry = Registry::start(&sandbox);
    let id = id(&sandbox, "tool");
    for (n, form) in [&["--format", "oci"][..], &["--format", "v2s2"], &["--compression-format", "zstd"]]
        .iter()
        .enumerate()
    {
        let name = format!("{}/tool:{n}", registry.host());
        let file = sandbox.path("work/digest");
        sandbox.dhow(["push", "-q", "--digestfile"]).arg(&file).args(*form).args(["tool", &name]).ok();
        let digest = std::fs::read_to_string(&file).unwrap();
        let remote = format!("docker://{name}");
        let seen = sandbox
            .program("skopeo")
            .args(["inspect", "--tls-verify=false", "-f", "{{.Digest}}", &remote])
            .ok();
        assert_eq!(seen.trim(), digest, "{form:?}");
        let copied = format!("dir:{}", sandbox.path(&format!("work/copy-{n}")).display());
        sandbox
            .program("skopeo")
            .args([
                "copy",
                "-q",
                "--insecure-policy",
                "--preserve-digests",
                "--src-tls-verify=false",
                &remote,
                &copied,
            ])
            .ok();
        let pulled = podman(&sandbox, &["pull", "-q", "--tls-verify=false", &name]).ok();
        assert_eq!(pulled.trim(), id, "{form:?}");
    }
}

#[test]
fn what_skopeo_and_podman_push_dhow_reads_with_the_same_digests() {
    let sandbox = sandbox();
    let registry = Registry::start(&sandbox);
    let archive = sandbox.path("tmp/image.tar").display().to_string();
    let loaded = podman(&sandbox, &["load", "-q", "-i", &archive]).ok();
    assert!(loaded.contains("localhost/tool:latest"), "{loaded}");
    for (n, form) in [&["--format", "oci"][..], &["--format", "v2s2"], &["--compression-format", "zstd"]]
        .iter()
        .enumerate()
    {
        let name = format!("{}/podman:{n}", registry.host());
        let file = sandbox.path("work/digest");
        podman(&sandbox, &["push", "-q", "--tls-verify=false", "--digestfile", &file.display().to_string()])
            .args(*form)
            .args(["localhost/tool:latest", &name])
            .ok();
        let other = Sandbox::new();
        let pulled = other.dhow(["pull", "-q", &name]).ok();
        // Podman may write the configuration anew for another format: what is in the registry counts.
        let raw = sandbox
            .program("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false"])
            .arg(format!("docker://{name}"));
        let manifest: serde_json::Value = serde_json::from_str(&raw.ok()).unwrap();
        assert_eq!(
            format!("sha256:{}", pulled.trim()),
            manifest["config"]["digest"].as_str().unwrap(),
            "{form:?}"
        );
        let digest = other.dhow(["image", "inspect", "-f", "{{.Digest}}", &name]).ok();
        assert_eq!(digest.trim(), std::fs::read_to_string(&file).unwrap().trim(), "{form:?}");
        // And on to another name: the very same manifest, no layer sent.
        let again = format!("{}/again:{n}", registry.host());
        let own = other.path("work/digest");
        other.dhow(["push", "-q", "--digestfile"]).arg(&own).args([&name, &again]).ok();
        assert_eq!(std::fs::read_to_string(own).unwrap(), digest.trim(), "{form:?}");
    }
}

#[test]
fn umoci_unpacks_the_layouts_that_dhow_pushes() {
    let sandbox = sandbox();
    sandbox.dhow(["push", "-q", "tool", "oci:layout:v1"]).ok();
    let listed = sandbox.program("umoci").args(["ls", "--layout", "layout"]).ok();
    assert_eq!(listed.trim(), "v1");
    let rootless: &[&str] = if crate::kit::rootless() { &["--rootless"] } else { &[] };
    sandbox.program("umoci").args(["unpack", "--image", "layout:v1"]).args(rootless).arg("bundle").ok();
    assert_eq!(std::fs::metadata(sandbox.path("work/bundle/rootfs/more")).unwrap().len(), 5 << 20);
}
