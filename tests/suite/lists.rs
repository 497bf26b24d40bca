//! `manifest`: lists of images, in the store and in registries, read by other tools.

use crate::kit::Sandbox;
use crate::kit::image::busybox;
use crate::kit::registry::Registry;

/// A sandbox with `localhost/busybox` and an image of another architecture, `localhost/other`.
fn two_images() -> Sandbox {
    let sandbox = Sandbox::with_busybox();
    let mut other = busybox("localhost/other:latest").config_and_layers();
    other.0["architecture"] = "arm64".into();
    let archive = sandbox
        .file("work/other.tar", crate::kit::image::docker_archive_of("localhost/other:latest", &other));
    sandbox.dhow(["load", "-q", "-i"]).arg(archive).ok();
    sandbox
}

#[test]
fn a_list_is_made_changed_shown_and_removed() {
    let sandbox = two_images();
    let id = sandbox.line("manifest create multi busybox").ok();
    assert_eq!(id.trim().len(), 64, "{id}");
    sandbox.line("manifest create multi").fails(125);
    assert_eq!(sandbox.line("manifest add --annotation a=b multi other").ok(), id, "the id stays");
    let shown = sandbox.line("manifest inspect multi").ok();
    let list: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(list["mediaType"], "application/vnd.oci.image.index.v1+json", "{shown}");
    let entries = list["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["platform"]["architecture"], "arm64");
    assert_eq!(entries[1]["annotations"]["a"], "b");
    let digest = entries[1]["digest"].as_str().unwrap();
    sandbox.line(&format!("manifest annotate --variant v8 --os-version 9 multi {digest}")).ok();
    sandbox.line("manifest annotate --index --annotation whole=list multi").ok();
    let shown = sandbox.line("manifest inspect multi").ok();
    assert!(
        shown.contains("\"v8\"") && shown.contains("\"os.version\": \"9\"") && shown.contains("\"whole\""),
        "{shown}"
    );
    assert_eq!(sandbox.line("images -q --no-trunc --filter manifest=true").ok(), format!("sha256:{id}"));
    assert!(!sandbox.line("images -q --no-trunc --filter manifest=false").ok().contains(id.trim()));
    sandbox.line("manifest exists multi").ok();
    sandbox.line("manifest exists busybox").fails(1);
    sandbox.line("tag multi again:v1").ok();
    sandbox.line("manifest inspect again:v1").ok();
    sandbox.line("rmi again:v1").ok();
    sandbox.line("manifest add multi nowhere.invalid/none").fails(125);
    sandbox.line("manifest remove multi other").ok();
    assert!(!sandbox.line("manifest inspect multi").ok().contains("arm64"));
    sandbox.line("manifest remove multi other").fails(125);
    sandbox.line("manifest rm busybox").fails(125);
    assert!(sandbox.line("manifest rm multi").ok().contains("Untagged: localhost/multi:latest"));
    sandbox.line("manifest exists multi").fails(1);
    sandbox.line("image exists busybox").ok();
}

#[test]
fn run_takes_the_image_of_a_list_that_fits() {
    let sandbox = two_images();
    sandbox.line("manifest create multi other busybox").ok();
    assert_eq!(sandbox.line("run --rm multi echo fits").ok(), "fits\n");
    let shown = sandbox.line("image inspect --format {{.Architecture}} multi").ok();
    assert_eq!(shown, "amd64\n");
    sandbox.line("untag busybox").ok();
    sandbox.line("image prune -f").ok();
    assert_eq!(sandbox.line("run --rm multi echo still").ok(), "still\n", "what a list needs is not pruned");
    assert!(!sandbox.line("images").ok().contains("<none>"));
    sandbox.line("save -o x.tar multi").fails(125);
    sandbox.line("history multi").fails(125);
}

#[test]
fn a_list_goes_to_a_registry_and_comes_back_whole() {
    let sandbox = two_images();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    sandbox.line("manifest create multi busybox other").ok();
    let digest = sandbox.path("work/digest");
    sandbox.line(&format!("manifest push -q --digestfile digest multi docker://{host}/team/multi:v1")).ok();
    let pushed = std::fs::read_to_string(&digest).unwrap();
    let raw = sandbox
        .program("skopeo")
        .args(["inspect", "--tls-verify=false", "--raw"])
        .arg(format!("docker://{host}/team/multi:v1"))
        .ok();
    assert_eq!(crate::kit::image::sha256(raw.as_bytes()), pushed);
    for arch in ["amd64", "arm64"] {
        let shown = sandbox
            .program("skopeo")
            .args(["inspect", "--tls-verify=false", "--override-arch", arch])
            .args(["--format", "{{.Architecture}}"])
            .arg(format!("docker://{host}/team/multi:v1"))
            .ok();
        assert_eq!(shown.trim(), arch);
    }
    let other = Sandbox::new();
    let id = other.line(&format!("pull -q --all-platforms {host}/team/multi:v1")).ok();
    assert_eq!(
        other.line("images -q --no-trunc").ok(),
        format!("sha256:{id}"),
        "images without a name of a list are hidden"
    );
    assert_eq!(other.line("images -qa").ok().lines().count(), 3);
    assert_eq!(other.line(&format!("run --rm {host}/team/multi:v1 echo back")).ok(), "back\n");
    other.line(&format!("push -q {host}/team/multi:v1 docker://{host}/team/again:v1")).ok();
    let again = sandbox.line(&format!("image inspect --raw docker://{host}/team/again:v1")).ok();
    assert_eq!(again, raw, "the same list byte for byte");
    // Without its images, the list alone.
    sandbox.line(&format!("manifest push -q --all=false multi docker://{host}/team/bare:v1")).fails(125);
    sandbox.line(&format!("manifest create --all copied docker://{host}/team/multi:v1")).ok();
    let copied = sandbox.line("manifest inspect copied").ok();
    assert!(copied.contains("arm64") && copied.contains("amd64"), "{copied}");
    sandbox.line(&format!("manifest push -q --rm copied docker://{host}/other/copied:v1")).ok();
    sandbox.line("manifest exists copied").fails(1);
    other.line(&format!("run --rm {host}/other/copied:v1 echo copied")).ok();
    // What came from this registry is mounted, and keeps its digests.
    let third = Sandbox::new();
    let tool = crate::kit::image::busybox("x");
    let digest = registry.put(&tool, "source/tool", "v1");
    third.line(&format!("pull -q {host}/source/tool:v1")).ok();
    third.line(&format!("manifest create mounted {host}/source/tool:v1")).ok();
    third.line(&format!("manifest push -q mounted docker://{host}/target/tool:v1")).ok();
    let mounted = sandbox.line(&format!("image inspect --raw docker://{host}/target/tool:v1")).ok();
    assert!(mounted.contains(&digest), "{mounted}");
    // v2s2 and directories.
    sandbox.line(&format!("manifest push -q -f v2s2 multi docker://{host}/team/docker:v1")).ok();
    let list = sandbox.line(&format!("manifest inspect docker://{host}/team/docker:v1")).ok();
    assert!(list.contains("manifest.list.v2+json") && !list.contains("oci.image"), "{list}");
    sandbox.line("manifest push -q multi dir:listdir").ok();
    sandbox.program("skopeo").args(["copy", "--all", "dir:listdir", "oci:back:v1"]).ok();
    sandbox.line("manifest push -q multi oci:layout:v1").ok();
    sandbox.program("skopeo").args(["copy", "--all", "oci:layout:v1", "dir:fromlayout"]).ok();
}

#[test]
fn lists_that_cannot_be_trusted_are_refused() {
    let sandbox = Sandbox::with_busybox();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    let spec = busybox("x");
    let good = registry.put(&spec, "evil", "good");
    let index = "application/vnd.oci.image.index.v1+json";
    let entry = |digest: &str, size: usize, media: &str| {
        serde_json::json!({"mediaType": media, "digest": digest, "size": size,
            "platform": {"os": "linux", "architecture": "amd64"}})
    };
    // A size that lies.
    let list = |entry: serde_json::Value| {
        let list = serde_json::json!({"schemaVersion": 2, "mediaType": index, "manifests": [entry]});
        serde_json::to_vec(&list).unwrap()
    };
    let image = "application/vnd.oci.image.manifest.v1+json";
    registry.put_manifest("evil", "size", &list(entry(&good, 3, image)), index);
    sandbox.line(&format!("pull -q --all-platforms {host}/evil:size")).fails(125);
    // Lists in lists in lists…, which this registry does not take.
    sandbox.line(&format!("image copy -q docker://{host}/evil:good oci:deep:good")).ok();
    let (mut digest, mut size, mut media) = (good, spec.oci().manifest.len(), image);
    for depth in 1..8 {
        let bytes = list(entry(&digest, size, media));
        (digest, size, media) = (crate::kit::image::sha256(&bytes), bytes.len(), index);
        std::fs::write(sandbox.path(&format!("work/deep/blobs/{}", digest.replace(':', "/"))), bytes)
            .unwrap();
        let mut top = entry(&digest, size, media);
        top["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": format!("n{depth}")});
        let mut index: serde_json::Value =
            serde_json::from_slice(&std::fs::read(sandbox.path("work/deep/index.json")).unwrap()).unwrap();
        index["manifests"].as_array_mut().unwrap().push(top);
        std::fs::write(sandbox.path("work/deep/index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    }
    sandbox.line("pull -q --all-platforms oci:deep:n2").ok();
    for words in [
        "pull -q --all-platforms oci:deep:n7",
        "image copy -q --all oci:deep:n7 dir:deepcopy",
        "image copy -q oci:deep:n7 dir:deepcopy",
        "image inspect oci:deep:n7",
        "manifest create --all deep oci:deep:n7",
    ] {
        let error = sandbox.line(words).fails(125);
        assert!(error.contains("nested deeper") || words.starts_with("manifest"), "{words}: {error}");
    }
    assert!(!sandbox.path("work/deepcopy/manifest.json").exists());
}

#[test]
fn many_who_add_at_once_lose_nothing() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("manifest create many").ok();
    let (config, layers) = busybox("x").config_and_layers();
    for n in 0..6 {
        let mut config = config.clone();
        config["author"] = format!("{n}").into();
        let name = format!("localhost/i{n}:latest");
        let archive = crate::kit::image::docker_archive_of(&name, &(config, layers.clone()));
        sandbox.dhow(["load", "-q", "-i"]).arg(sandbox.file(&format!("work/{n}.tar"), archive)).ok();
    }
    std::thread::scope(|scope| {
        for n in 0..6 {
            let sandbox = &sandbox;
            scope.spawn(move || sandbox.line(&format!("manifest add many i{n}")).ok());
        }
    });
    let list: serde_json::Value = serde_json::from_str(&sandbox.line("manifest inspect many").ok()).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 6);
}

#[test]
fn podman_reads_lists_of_dhow_and_dhow_those_of_podman() {
    if !std::path::Path::new("/usr/bin/podman").exists() {
        return eprintln!("not run: podman is not installed");
    }
    let sandbox = two_images();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    let conf =
        sandbox.file("work/registries.conf", format!("[[registry]]\nlocation = '{host}'\ninsecure = true\n"));
    let podman = |words: &str| {
        sandbox.podman().env("CONTAINERS_REGISTRIES_CONF", &conf).args(words.split_whitespace()).ok()
    };
    sandbox.line("manifest create multi busybox other").ok();
    sandbox.line(&format!("manifest push -q multi docker://{host}/ours:v1")).ok();
    let ours: serde_json::Value =
        serde_json::from_str(&podman(&format!("manifest inspect {host}/ours:v1"))).unwrap();
    assert_eq!(ours["manifests"].as_array().unwrap().len(), 2);
    let id = podman(&format!("pull -q {host}/ours:v1"));
    assert_eq!(id, sandbox.line("image inspect -f {{.Id}} busybox").ok(), "the same image");
    podman("manifest create theirs");
    podman(&format!("manifest add --all theirs docker://{host}/ours:v1"));
    podman(&format!("manifest push --all theirs docker://{host}/theirs:v1"));
    let other = Sandbox::new();
    other.line(&format!("pull -q --all-platforms {host}/theirs:v1")).ok();
    assert_eq!(other.line(&format!("run --rm {host}/theirs:v1 echo theirs")).ok(), "theirs\n");
    // Archives and layouts of every form.
    for place in ["oci-archive:o.tar", "oci:layout:v1", "docker-archive:d.tar:localhost/back:v1", "dir:plain"]
    {
        sandbox.line(&format!("image copy -q docker://{host}/ours:v1 {place}")).ok();
        assert_eq!(podman(&format!("pull -q {place}")).lines().last().unwrap(), id.trim(), "{place}");
    }
}
