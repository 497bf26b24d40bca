//! `zstd:chunked` images, made by Skopeo: what is here already is not fetched.

use crate::kit::image::{ImageSpec, Tar, sha256};
use crate::kit::registry::Registry;
use crate::kit::{Sandbox, image};

/// Bytes that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// An image of busybox and of files that are made of these numbers.
fn spec(name: &str, seeds: &[u64]) -> ImageSpec {
    let mut spec = image::busybox(name);
    let mut tar = Tar::new().dir("data", 0o755);
    for seed in seeds {
        tar = tar.file(&format!("data/f{seed}"), 0o644, &noise(*seed, 200_000));
        tar = tar.file(&format!("data/small{seed}"), 0o644, b"small");
    }
    spec.layers.push(tar.bytes());
    spec
}

fn push(sandbox: &Sandbox, registry: &Registry, name: &str, seeds: &[u64]) {
    let file = sandbox.file("work/x.tar", spec(name, seeds).docker_archive());
    sandbox
        .program("skopeo")
        .args(["copy", "-f", "oci", "--dest-compress-format", "zstd:chunked", "--dest-tls-verify=false"])
        .arg(format!("docker-archive:{}", file.display()))
        .arg(format!("docker://{}/{name}:v1", registry.host()))
        .ok();
}

/// Bytes that the registry gave as blobs of a repository: those of parts, those of whole blobs.
fn given(registry: &Registry, name: &str) -> (u64, u64) {
    let (mut parts, mut whole) = (0, 0);
    for line in registry.log().lines().filter(|line| line.contains(&format!("GET /v2/{name}/blobs/"))) {
        let Some((_, rest)) = line.split_once("HTTP/1.1\" ") else { continue };
        let numbers: Vec<u64> = rest.split(' ').take(2).filter_map(|word| word.parse().ok()).collect();
        match numbers.as_slice() {
            [206, bytes] => parts += bytes,
            [200, bytes] => whole += bytes,
            _ => {}
        }
    }
    (parts, whole)
}

#[test]
fn only_what_no_layer_has_is_fetched() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    push(&sandbox, &registry, "first", &[1, 2, 3, 4, 5, 6, 7, 8]);
    push(&sandbox, &registry, "second", &[1, 2, 9, 4, 5, 6, 7, 8]);
    let pull = |name: &str| sandbox.line(&format!("pull -q {}/{name}:v1", registry.host())).ok();
    pull("first");
    pull("second");
    let (parts, whole) = given(&registry, "second");
    assert!(
        parts > 200_000 && parts < 400_000,
        "one file of eight is new: {parts} of parts, {whole} of whole blobs"
    );
    assert!(whole < 100_000, "{whole}");
    let sum = |name: &str, file: &str| {
        let image = format!("{}/{name}:v1", registry.host());
        let line = sandbox.line(&format!("run --rm {image} sha256sum /data/{file}")).ok();
        format!("sha256:{}", &line[..64])
    };
    for seed in [1, 2, 9, 8] {
        assert_eq!(sum("second", &format!("f{seed}")), sha256(&noise(seed, 200_000)), "{seed}");
    }
    // It is a layer as any other: it comes out again byte for byte.
    sandbox.line(&format!("save -q -o s.tar {}/second:v1", registry.host())).ok();
    let loaded = Sandbox::new();
    loaded.dhow(["load", "-q", "-i"]).arg(sandbox.path("work/s.tar")).ok();
}

#[test]
fn a_file_that_is_not_what_it_was_costs_a_whole_fetch() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    push(&sandbox, &registry, "first", &[1, 2, 3, 4]);
    push(&sandbox, &registry, "second", &[1, 2, 3, 5]);
    sandbox.line(&format!("pull -q {}/first:v1", registry.host())).ok();
    let layers = std::fs::read_dir(sandbox.root().join("layers")).unwrap();
    let file =
        layers.map(|layer| layer.unwrap().path().join("diff/data/f2")).find(|path| path.exists()).unwrap();
    let mut bytes = noise(2, 200_000);
    bytes[7] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    sandbox.line(&format!("pull -q {}/second:v1", registry.host())).ok();
    let line = sandbox.line(&format!("run --rm {}/second:v1 sha256sum /data/f2", registry.host())).ok();
    assert_eq!(format!("sha256:{}", &line[..64]), sha256(&noise(2, 200_000)));
    let staging = std::fs::read_dir(sandbox.root().join("staging")).unwrap();
    let left =
        staging.filter(|entry| !entry.as_ref().unwrap().file_name().to_string_lossy().contains("lock"));
    assert_eq!(left.count(), 0, "nothing half-made stays");
}
