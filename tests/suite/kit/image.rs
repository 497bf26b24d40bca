//! Images made here from the busybox-static of the host's distribution.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// An image in the making: one layer per call of `layer`.
pub struct ImageSpec {
    /// The name it is saved under.
    pub name: String,
    /// Uncompressed layer tars, lowest first.
    pub layers: Vec<Vec<u8>>,
    /// The `config` object of the image configuration.
    pub config: serde_json::Value,
}

/// A tar in memory.
pub struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    /// An empty one.
    pub fn new() -> Tar {
        Tar(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Adds a regular file.
    pub fn file(mut self, path: &str, mode: u32, content: &[u8]) -> Tar {
        let mut header = Tar::header(tar::EntryType::Regular, mode, content.len() as u64);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    /// Adds a directory.
    pub fn dir(mut self, path: &str, mode: u32) -> Tar {
        let mut header = Tar::header(tar::EntryType::Directory, mode, 0);
        self.0.append_data(&mut header, path, std::io::empty()).unwrap();
        self
    }

    /// Adds a symbolic link.
    pub fn symlink(mut self, path: &str, target: &str) -> Tar {
        let mut header = Tar::header(tar::EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// Adds a file that belongs to somebody.
    pub fn owned(mut self, path: &str, mode: u32, owner: (u64, u64), content: &[u8]) -> Tar {
        let mut header = Tar::header(tar::EntryType::Regular, mode, content.len() as u64);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    /// The bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// The layer that most tests need: busybox with links for its applets, a passwd with two users.
pub fn busybox_layer() -> Vec<u8> {
    const APPLETS: &str = "sh ls cat echo true false sleep id env pwd mkdir rm touch stat mount umount hostname ps \
        kill head tail wc dd grep sed cp mv ln chmod chown test printf seq yes sha256sum tr sort date stty tty \
        readlink find df nproc ip nc od cut uname whoami mknod mkfifo trap sync dirname basename tee xargs vi top";
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed by tests/setup.sh");
    let mut layer = Tar::new().dir("bin", 0o755).file("bin/busybox", 0o755, &busybox);
    for applet in APPLETS.split_whitespace() {
        layer = layer.symlink(&format!("bin/{applet}"), "busybox");
    }
    let users = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\n";
    layer
        .dir("etc", 0o755)
        .file("etc/passwd", 0o644, users.as_bytes())
        .file("etc/group", 0o644, b"root:x:0:\nalice:x:1000:\nwheel:x:10:alice\n")
        .dir("root", 0o700)
        .dir("home", 0o755)
        .dir("tmp", 0o1777)
        .dir("var", 0o755)
        .bytes()
}

/// An image of that layer.
pub fn busybox(name: &str) -> ImageSpec {
    let config = serde_json::json!({
        "Env": ["PATH=/bin:/usr/bin", "FROM_IMAGE=yes"],
        "Cmd": ["sh"],
        "Labels": {"org.example.kind": "test"},
    });
    ImageSpec { name: name.into(), layers: vec![busybox_layer()], config }
}

/// Writes `localhost/busybox:latest` as a docker-archive (made once a process) and gives the path.
pub fn busybox_archive(path: &Path) -> PathBuf {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let bytes = BYTES.get_or_init(|| busybox("localhost/busybox:latest").docker_archive());
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl ImageSpec {
    /// The image configuration, as its JSON bytes.
    pub fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<String> =
            self.layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
        let history: Vec<_> = self
            .layers
            .iter()
            .map(|_| serde_json::json!({"created": "2026-01-01T00:00:00Z", "created_by": "made by a test"}))
            .collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": self.config, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history,
        });
        serde_json::to_vec(&config).unwrap()
    }

    /// The image configuration to be changed, and the layers.
    pub fn config_and_layers(&self) -> (serde_json::Value, Vec<Vec<u8>>) {
        (serde_json::from_slice(&self.config_json()).unwrap(), self.layers.clone())
    }

    /// What `docker save` writes.
    pub fn docker_archive(&self) -> Vec<u8> {
        self.docker_archive_with(self.config_json())
    }

    fn docker_archive_with(&self, config: Vec<u8>) -> Vec<u8> {
        let config_name = format!("{}.json", digest(&config));
        let mut archive = Tar::new().file(&config_name, 0o644, &config);
        let mut names = Vec::new();
        for layer in &self.layers {
            let name = format!("{}.tar", digest(layer));
            if !names.contains(&name) {
                archive = archive.file(&name, 0o644, layer);
            }
            names.push(name);
        }
        let manifest = serde_json::json!([{"Config": config_name, "RepoTags": [self.name], "Layers": names}]);
        archive.file("manifest.json", 0o644, &serde_json::to_vec(&manifest).unwrap()).bytes()
    }

    /// Config, compressed layers and manifest in the OCI form, ready to be put into a registry.
    pub fn oci(&self) -> OciImage {
        let config = self.config_json();
        let layers: Vec<Vec<u8>> = self.layers.iter().map(|layer| gzip(layer)).collect();
        let descriptor = |media: &str, bytes: &[u8]| serde_json::json!({"mediaType": media, "digest": format!("sha256:{}", digest(bytes)), "size": bytes.len()});
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(|layer| descriptor(layer_type, layer)).collect::<Vec<_>>(),
        });
        OciImage { config, layers, manifest: serde_json::to_vec(&manifest).unwrap() }
    }
}

/// What `docker save` writes of an image with a changed configuration.
pub fn docker_archive_of(name: &str, (config, layers): &(serde_json::Value, Vec<Vec<u8>>)) -> Vec<u8> {
    let spec = ImageSpec { name: name.into(), layers: layers.clone(), config: serde_json::Value::Null };
    spec.docker_archive_with(serde_json::to_vec(config).unwrap())
}

/// The blobs of an OCI image.
pub struct OciImage {
    /// Image configuration.
    pub config: Vec<u8>,
    /// Gzip layers, lowest first.
    pub layers: Vec<Vec<u8>>,
    /// Manifest.
    pub manifest: Vec<u8>,
}

/// Compresses quickly.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `sha256:…` of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", digest(bytes))
}
