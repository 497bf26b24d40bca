//! `image copy` and `image inspect` of images that are not in the store, with Skopeo and umoci as peers.

use std::path::Path;

use crate::kit::Sandbox;
use crate::kit::image::{busybox, busybox_archive, sha256};
use crate::kit::registry::{Options, PASSWORD, Registry, USER};

fn skopeo(sandbox: &Sandbox, words: &str) -> String {
    let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    let copies = words.starts_with("copy");
    let words: Vec<&str> = words.split_whitespace().collect();
    let flags = if copies { &insecure[..] } else { &["--tls-verify=false"] };
    sandbox.program("skopeo").arg(words[0]).args(flags).args(&words[1..]).ok()
}

fn manifest_digest(dir: &Path) -> String {
    sha256(&std::fs::read(dir.join("manifest.json")).unwrap())
}

#[test]
fn what_is_copied_has_the_same_digests_everywhere() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    let digest = registry.put(&busybox("x"), "team/tool", "v1");
    let from = format!("docker://{host}/team/tool:v1");
    sandbox.line(&format!("image copy -q --digestfile d {from} dir:plain")).ok();
    assert_eq!(std::fs::read_to_string(sandbox.path("work/d")).unwrap(), digest);
    assert_eq!(manifest_digest(&sandbox.path("work/plain")), digest);
    for (source, destination) in [
        (from.as_str(), "oci:layout:v1"),
        ("oci:layout:v1", "oci-archive:a.tar:v1"),
        ("oci-archive:a.tar:v1", "dir:again"),
    ] {
        sandbox.line(&format!("image cp -q --preserve-digests {source} {destination}")).ok();
    }
    assert_eq!(manifest_digest(&sandbox.path("work/again")), digest);
    sandbox.line(&format!("image copy -q dir:again docker://{host}/other/tool:v2")).ok();
    // What others make of what dhow wrote, and dhow of what others wrote.
    for place in
        ["oci:layout:v1", "oci-archive:a.tar:v1", "dir:again", &format!("docker://{host}/other/tool:v2")]
    {
        assert_eq!(
            skopeo(&sandbox, &format!("inspect --format {{{{.Digest}}}} {place}")).trim(),
            digest,
            "{place}"
        );
        assert_eq!(
            sandbox.line(&format!("image inspect -f {{{{.Digest}}}} {place}")).ok().trim(),
            digest,
            "{place}"
        );
    }
    for (n, source) in ["oci:layout:v1", "oci-archive:a.tar:v1"].iter().enumerate() {
        skopeo(&sandbox, &format!("copy {source} dir:s{n}"));
        assert_eq!(manifest_digest(&sandbox.path(&format!("work/s{n}"))), digest);
        skopeo(&sandbox, &format!("copy {source} oci:so{n}:x"));
        sandbox.line(&format!("image copy -q oci:so{n}:x dir:d{n}")).ok();
        assert_eq!(manifest_digest(&sandbox.path(&format!("work/d{n}"))), digest);
    }
    let list = sandbox.program("umoci").args(["list", "--layout", "layout"]).ok();
    assert_eq!(list, "v1\n");
    sandbox.program("umoci").args(["stat", "--image", "layout:v1"]).ok();
}

#[test]
fn other_forms_are_made_where_the_destination_needs_them() {
    let sandbox = Sandbox::new();
    busybox_archive(&sandbox.path("work/save.tar"));
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    let config = |place: &str| sandbox.line(&format!("image inspect --config --raw {place}")).ok();
    let original = config("docker-archive:save.tar");
    for place in [
        "oci:layout:v1".to_owned(),
        "oci-archive:oci.tar".into(),
        "dir:plain".into(),
        "docker-archive:again.tar:localhost/busybox:latest".into(),
        format!("docker://{host}/tool:v1"),
    ] {
        sandbox.line(&format!("image copy -q docker-archive:save.tar {place}")).ok();
        assert_eq!(config(&place), original, "{place}");
        skopeo(&sandbox, &format!("inspect {place}"));
    }
    skopeo(&sandbox, "copy docker-archive:again.tar docker-archive:third.tar:x:y");
    sandbox.line("image copy -q docker-archive:save.tar docker-archive:again.tar:x:y").fails(125);
    sandbox.line(&format!("image copy -q -f oci docker://{host}/tool:v1 dir:as-oci")).ok();
    sandbox.line("image copy -q -f v2s2 dir:as-oci dir:as-docker").ok();
    let types =
        |dir: &str| std::fs::read_to_string(sandbox.path(&format!("work/{dir}/manifest.json"))).unwrap();
    assert!(types("as-oci").contains("oci.image.layer") && !types("as-oci").contains("docker"));
    assert!(types("as-docker").contains("rootfs.diff") && !types("as-docker").contains("oci"));
    skopeo(&sandbox, "inspect dir:as-docker");
    sandbox.line("image copy -q --dest-compress-format zstd dir:as-docker oci:zstd:v1").ok();
    let shown = sandbox.line("image inspect oci:zstd:v1").ok();
    assert!(shown.contains("tar+zstd"), "{shown}");
    let error =
        sandbox.line("image copy -q --preserve-digests docker-archive:save.tar oci:kept:v1").fails(125);
    assert!(error.contains("--preserve-digests"), "{error}");
    sandbox.line("image copy -q -f v2s2 dir:as-oci oci:no:v1").fails(125);
    sandbox.line("image copy -q busybox dir:x").fails(125);
    // Into the own store and out of it.
    sandbox.line("image copy -q oci:zstd:v1 containers-storage:kept:v1").ok();
    assert_eq!(sandbox.line("run --rm kept:v1 echo stored").ok(), "stored\n");
    sandbox.line("image copy -q containers-storage:kept:v1 oci-archive:out.tar:v1").ok();
    assert_eq!(config("oci-archive:out.tar:v1"), original);
    sandbox.line(&format!("image copy -q containers-storage:kept:v1 docker://{host}/kept:v1")).ok();
    skopeo(&sandbox, &format!("copy docker://{host}/kept:v1 oci-archive:checked.tar"));
}

#[test]
fn blobs_that_are_there_are_not_sent_and_mounted_from_the_neighbour() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    registry.put(&busybox("x"), "team/tool", "v1");
    let before = registry.log().matches("PATCH").count() + registry.log().matches("\"PUT /v2/").count();
    sandbox.line(&format!("image copy -q docker://{host}/team/tool:v1 docker://{host}/other/tool:v1")).ok();
    let log = registry.log();
    assert!(log.contains("mount=sha256"), "mounts are asked for");
    assert!(!log.contains("PATCH"), "nothing is sent");
    let after = log.matches("\"PUT /v2/").count();
    assert!(after <= before + 2, "only the manifest is put");
    sandbox.line(&format!("run --rm {host}/other/tool:v1 true")).ok();
}

#[test]
fn each_end_has_its_own_credentials_and_certificates() {
    let sandbox = Sandbox::new();
    let open = Registry::start(&sandbox);
    let closed = Registry::with(&sandbox, Options { tls: true, password: true });
    let digest = open.put(&busybox("x"), "tool", "v1");
    let certificates = closed.cert_dir();
    let to = format!("docker://{}/tool:v1", closed.host());
    let from = format!("docker://{}/tool:v1", open.host());
    sandbox.line(&format!("image copy -q {from} {to}")).fails(125);
    let creds = format!("{USER}:{PASSWORD}");
    sandbox
        .dhow(["image", "copy", "-q", "--dest-creds", &creds, "--dest-cert-dir"])
        .arg(&certificates)
        .args([&from, &to])
        .ok();
    sandbox
        .dhow(["image", "copy", "-q", "--src-creds", &creds, "--src-cert-dir"])
        .arg(&certificates)
        .args([to.as_str(), "dir:back"])
        .ok();
    assert_eq!(manifest_digest(&sandbox.path("work/back")), digest);
    let error = sandbox.dhow(["image", "inspect", "--creds", &creds, &to]).fails(125);
    assert!(!error.contains(PASSWORD), "{error}");
    sandbox.dhow(["image", "inspect", "--tls-verify=false", "--creds", &creds, &to]).ok();
}

#[test]
fn inspect_says_what_skopeo_says() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    registry.put(&busybox("x"), "team/tool", "v1");
    registry.put(&busybox("x"), "team/tool", "v2");
    let place = format!("docker://{}/team/tool:v1", registry.host());
    let read = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap();
    let (ours, theirs) = (
        read(sandbox.dhow(["image", "inspect", &place]).ok()),
        read(skopeo(&sandbox, &format!("inspect {place}"))),
    );
    for (key, value) in theirs.as_object().unwrap() {
        assert_eq!(ours[key], *value, "{key}");
    }
    assert_eq!(ours["RepoTags"], serde_json::json!(["v1", "v2"]));
    assert_eq!(
        read(sandbox.dhow(["image", "inspect", "--no-tags", &place]).ok())["RepoTags"],
        serde_json::json!([])
    );
    let raw = sandbox.dhow(["image", "inspect", "--raw", &place]).ok();
    assert_eq!(raw, skopeo(&sandbox, &format!("inspect --raw {place}")));
    let config = sandbox.dhow(["image", "inspect", "--config", &place]).ok();
    assert_eq!(read(config), read(skopeo(&sandbox, &format!("inspect --config {place}"))));
    assert!(!sandbox.root().join("images").exists(), "nothing is stored");
    sandbox.dhow(["image", "inspect", "--raw", &format!("{place}-none")]).fails(125);
    sandbox.dhow(["image", "inspect", &place, "busybox"]).fails(125);
}

#[test]
fn layouts_that_lie_are_refused_and_leave_nothing() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    registry.put(&busybox("x"), "tool", "v1");
    let from = format!("docker://{}/tool:v1", registry.host());
    let fresh = |name: &str| {
        sandbox.line(&format!("image copy -q {from} oci:{name}:v1")).ok();
        sandbox.path(&format!("work/{name}"))
    };
    let refused = |name: &str, to: &str| {
        let error = sandbox.line(&format!("image copy -q oci:{name}:v1 {to}")).fails(125);
        assert!(!error.contains("panicked"), "{error}");
        error
    };
    let blobs = |dir: &Path| -> Vec<std::path::PathBuf> {
        let mut all: Vec<_> =
            std::fs::read_dir(dir.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.sort_by_key(|path| std::fs::metadata(path).unwrap().len());
        all
    };
    // The layer, the largest of its blobs, has other bytes, fewer, or is a link out of the layout.
    let dir = fresh("changed");
    let layer = blobs(&dir).pop().unwrap();
    let mut bytes = std::fs::read(&layer).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&layer, &bytes).unwrap();
    for to in [
        "oci:out1:v1",
        "dir:out2",
        "oci-archive:out3.tar",
        "docker-archive:out4.tar",
        "containers-storage:out5",
    ] {
        refused("changed", to);
    }
    for gone in ["out1/index.json", "out2/manifest.json", "out3.tar", "out4.tar"] {
        assert!(!sandbox.path(&format!("work/{gone}")).exists(), "{gone}");
    }
    assert_eq!(sandbox.line("images -qa").ok(), "");
    let dir = fresh("short");
    let layer = blobs(&dir).pop().unwrap();
    let bytes = std::fs::read(&layer).unwrap();
    std::fs::write(&layer, &bytes[..bytes.len() - 9]).unwrap();
    refused("short", "dir:out6");
    let dir = fresh("link");
    let layer = blobs(&dir).pop().unwrap();
    std::fs::remove_file(&layer).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &layer).unwrap();
    refused("link", "dir:out7");
    // Digests that are paths, huge documents, deep documents.
    let index = |digest: &str, size: u64| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#
        )
    };
    for (n, text) in [
        index("sha256:../../../../etc/passwd", 5),
        index("sha256:00", 5),
        index("md5:d41d8cd98f00b204e9800998ecf8427e", 0),
        "[".repeat(1_000_000),
        format!("{}{}", index("x", 1), " ".repeat(5 << 20)),
        "{}".into(),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("index{n}");
        std::fs::write(fresh(&name).join("index.json"), text).unwrap();
        refused(&name, "dir:out8");
        sandbox.line(&format!("image inspect oci:{name}:v1")).fails(125);
    }
    // A name with escape sequences is shown harmless.
    std::fs::write(
        fresh("names").join("index.json"),
        index(&format!("sha256:{}", "0".repeat(64)), 1).replace("\"v1\"", "\"\\u001b[2Jevil\""),
    )
    .unwrap();
    let error = refused("names", "dir:out9");
    assert!(!error.contains('\u{1b}'), "{error}");
}

#[test]
fn attestations_stay_what_they_are() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    let config = busybox("x").config_json();
    let statement = br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#;
    registry.put_blob("tool", &config);
    registry.put_blob("tool", statement);
    let media = "application/vnd.oci.image.manifest.v1+json";
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(&config), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": sha256(statement), "size": statement.len(),
            "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}}]});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    registry.put_manifest("tool", "attested", &manifest, media);
    sandbox.line(&format!("image copy -q --preserve-digests docker://{host}/tool:attested oci:l:v1")).ok();
    sandbox.line("image copy -q --preserve-digests oci:l:v1 dir:d").ok();
    assert_eq!(manifest_digest(&sandbox.path("work/d")), sha256(&manifest));
    sandbox.line(&format!("pull -q {host}/tool:attested")).fails(125);
}
