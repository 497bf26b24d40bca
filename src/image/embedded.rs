//! The image inside the binary, `dhow-hello`: a scratch image of one static program that greets.
//!
//! It is put into a store the first time that somebody asks for it; no registry has it.

use serde_json::json;

use super::archive::tarball;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::registry::Reference;

/// Its name in the store.
pub const NAME: &str = "localhost/dhow-hello:latest";

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dhow-hello"));

/// The image's parts.
#[derive(Debug)]
pub struct Embedded {
    /// Configuration.
    pub config: Vec<u8>,
    /// Manifest, of OCI's type.
    pub manifest: Vec<u8>,
    /// Diff id of the only layer.
    pub diff_id: Digest,
    /// The layer, a tar.
    pub layer: Vec<u8>,
}

/// Whether `text` asks for the embedded image.
pub fn is_name(text: &str) -> bool {
    let bare = text.strip_prefix("localhost/").unwrap_or(text);
    matches!(bare, "dhow-hello" | "dhow-hello:latest")
}

/// Its name as a reference.
pub fn reference() -> Result<Reference> {
    Reference::parse(NAME)
}

/// Makes the parts from the program. The same binary makes the same image id every time.
pub fn build() -> Result<Embedded> {
    let mut layer = Vec::with_capacity(PROGRAM.len() + 4 * tarball::BLOCK);
    tarball::write_member(&mut layer, "hello", 0o755, PROGRAM).context("write embedded layer")?;
    tarball::finish(&mut layer).context("write embedded layer")?;
    let diff_id = Digest::of(&layer);
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = serde_json::to_vec(&json!({
        "created": "2026-01-01T00:00:00Z",
        "author": "dhow",
        "architecture": arch,
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Cmd": ["/hello"],
            "Labels": {"org.opencontainers.image.title": "dhow-hello"},
        },
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [
            {"created": "2026-01-01T00:00:00Z", "created_by": "COPY hello /hello"},
            {"created": "2026-01-01T00:00:00Z", "created_by": "CMD [\"/hello\"]", "empty_layer": true},
        ],
    }))
    .context("encode embedded configuration")?;
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": Digest::of(&config), "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": diff_id, "size": layer.len(),
        }],
    }))
    .context("encode embedded manifest")?;
    Ok(Embedded { config, manifest, diff_id, layer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_image_is_the_same_every_time() {
        let (one, two) = (build().unwrap(), build().unwrap());
        assert_eq!((&one.config, &one.manifest), (&two.config, &two.manifest));
        assert_eq!(one.layer.len() % 512, 0);
        assert!(is_name("dhow-hello") && is_name("localhost/dhow-hello:latest") && !is_name("hello"));
        assert_eq!(reference().unwrap().full(), NAME);
    }
}
