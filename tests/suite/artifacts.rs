//! `artifact`: files in a registry, read by other tools too.

use crate::kit::Sandbox;
use crate::kit::registry::Registry;

#[test]
fn files_go_to_a_registry_and_come_back() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let name = format!("{}/team/model:v1", registry.host());
    sandbox.file("work/a.txt", "first\n");
    sandbox.file("work/b.bin", [0u8, 1, 2, 3]);
    let digest =
        sandbox.line(&format!("artifact add --type application/x-model --annotation k=v {name} a.txt")).ok();
    assert_eq!(digest.trim().len(), 64);
    sandbox.line(&format!("artifact add {name} b.bin")).fails(125);
    let digest =
        sandbox.line(&format!("artifact add --append --file-type application/x-b {name} b.bin")).ok();
    sandbox.line(&format!("artifact add --append {name} a.txt")).fails(125);
    let shown: serde_json::Value =
        serde_json::from_str(&sandbox.line(&format!("artifact inspect {name}")).ok()).unwrap();
    assert_eq!(shown["Name"], name.as_str());
    assert_eq!(shown["Manifest"]["artifactType"], "application/x-model");
    let layers = shown["Manifest"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert_eq!(layers[0]["mediaType"], "text/plain; charset=utf-8");
    assert_eq!(layers[0]["annotations"]["k"], "v");
    assert_eq!(layers[1]["mediaType"], "application/x-b");
    let listed = sandbox.line("artifact ls").ok();
    assert!(listed.starts_with("REPOSITORY") && listed.contains(&digest[..12]), "{listed}");
    sandbox.line(&format!("artifact push -q --digestfile d {name}")).ok();
    assert_eq!(std::fs::read_to_string(sandbox.path("work/d")).unwrap(), format!("sha256:{}", digest.trim()));
    // The store is a layout that others read.
    let layout = format!("oci:{}:{name}", sandbox.root().join("artifacts").display());
    sandbox.program("skopeo").args(["inspect", "--raw", &layout]).ok();
    let raw = sandbox
        .program("skopeo")
        .args(["inspect", "--tls-verify=false", "--raw"])
        .arg(format!("docker://{name}"))
        .ok();
    assert_eq!(crate::kit::image::sha256(raw.as_bytes()), format!("sha256:{}", digest.trim()));

    let other = Sandbox::new();
    assert_eq!(other.line(&format!("artifact pull -q {name}")).ok(), digest);
    other.line(&format!("pull -q {name}")).fails(125);
    std::fs::create_dir(other.path("work/out")).unwrap();
    other.line(&format!("artifact extract {name} out")).ok();
    assert_eq!(std::fs::read(other.path("work/out/a.txt")).unwrap(), b"first\n");
    assert_eq!(std::fs::read(other.path("work/out/b.bin")).unwrap(), [0, 1, 2, 3]);
    other.line(&format!("artifact extract {name} alone")).fails(125);
    other.line(&format!("artifact extract --title a.txt {} alone", digest.trim())).ok();
    assert_eq!(std::fs::read(other.path("work/alone")).unwrap(), b"first\n");
    let second = layers[1]["digest"].as_str().unwrap();
    other.line(&format!("artifact extract --digest {second} {name} alone")).ok();
    assert_eq!(std::fs::read(other.path("work/alone")).unwrap(), [0, 1, 2, 3]);
    other.line(&format!("artifact extract --title nothing {name} out")).fails(125);
    assert_eq!(other.line(&format!("artifact rm {name}")).ok(), digest);
    assert_eq!(
        std::fs::read_dir(other.root().join("artifacts/blobs/sha256")).unwrap().count(),
        0,
        "the space comes back"
    );
    other.line(&format!("artifact rm {name}")).fails(1);
    other.line(&format!("artifact rm --ignore {name}")).ok();
    sandbox.line(&format!("artifact add --replace {name} b.bin")).ok();
    sandbox.line("artifact rm --all").ok();
    assert_eq!(sandbox.line("artifact ls -q").ok(), "");
}

#[test]
fn titles_are_no_way_out_of_the_directory() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let blob = b"evil";
    registry.put_blob("evil", blob);
    registry.put_blob("evil", b"{}");
    let put = |tag: &str, titles: &[&str]| {
        let layers: Vec<_> = titles
            .iter()
            .map(|title| {
                serde_json::json!({"mediaType": "text/plain", "digest": crate::kit::image::sha256(blob), "size": 4,
                    "annotations": {"org.opencontainers.image.title": title}})
            })
            .collect();
        let media = "application/vnd.oci.image.manifest.v1+json";
        let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": media, "artifactType": "x/y",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": crate::kit::image::sha256(b"{}"), "size": 2},
            "layers": layers});
        registry.put_manifest("evil", tag, &serde_json::to_vec(&manifest).unwrap(), media);
        format!("{}/evil:{tag}", registry.host())
    };
    std::fs::create_dir(sandbox.path("work/out")).unwrap();
    for (n, titles) in [
        &["../escaped"][..],
        &["/tmp/escaped-by-a-title"],
        &["a/b"],
        &[".."],
        &[""],
        &["\u{1b}[2J"],
        &["x", "x"],
        &["good", "../x"],
    ]
    .iter()
    .enumerate()
    {
        let name = put(&format!("t{n}"), titles);
        sandbox.line(&format!("artifact pull -q {name}")).ok();
        let error = sandbox.line(&format!("artifact extract {name} out")).fails(125);
        assert!(!error.contains('\u{1b}'), "{error}");
        assert_eq!(std::fs::read_dir(sandbox.path("work/out")).unwrap().count(), 0, "{titles:?}");
    }
    assert!(!sandbox.path("work/escaped").exists());
    // A link at the target is replaced, not followed.
    let name = put("link", &["name"]);
    sandbox.line(&format!("artifact pull -q {name}")).ok();
    let victim = sandbox.file("work/victim", "untouched");
    std::os::unix::fs::symlink(&victim, sandbox.path("work/out/name")).unwrap();
    sandbox.line(&format!("artifact extract {name} out")).ok();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(std::fs::read(sandbox.path("work/out/name")).unwrap(), blob);
    // A blob that was changed on disk is not given out.
    let path = sandbox.root().join("artifacts/blobs").join(crate::kit::image::sha256(blob).replace(':', "/"));
    std::fs::write(path, b"else").unwrap();
    sandbox.line(&format!("artifact extract {name} again")).fails(125);
    assert!(!sandbox.path("work/again").exists());
}
