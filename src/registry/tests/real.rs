//! Debian's `docker-registry`: plain, with TLS, with passwords; filled by `skopeo`.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::base::error::{hints_of, kind_of};
use crate::base::fs::{self, Durability};
use crate::base::{Kind, id};
use crate::registry::Platform;
use crate::registry::manifest;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum With {
    Nothing,
    Tls,
    Passwords,
}

pub(super) struct Registry {
    child: Child,
    port: u16,
    dir: PathBuf,
}

impl Registry {
    pub(super) fn start(with: With) -> Registry {
        let dir = std::env::temp_dir().join(format!("dhow-registry-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let shown = dir.display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: {shown}/data\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if with == With::Tls {
            run(
                "openssl",
                &[
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=DNS:localhost",
                    "-keyout",
                    &format!("{shown}/key.pem"),
                    "-out",
                    &format!("{shown}/ca.crt"),
                ],
            );
            config += &format!("  tls:\n    certificate: {shown}/ca.crt\n    key: {shown}/key.pem\n");
        }
        if with == With::Passwords {
            run("htpasswd", &["-B", "-b", "-c", &format!("{shown}/htpasswd"), "me", "secret"]);
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {shown}/htpasswd\n");
        }
        let file = dir.join("config.yml");
        fs::replace(&file, config.as_bytes(), 0o600, Durability::Volatile).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need the package `docker-registry`");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "docker-registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Registry { child, port, dir }
    }

    pub(super) fn reference(&self, name: &str) -> Reference {
        Reference::parse(&format!("localhost:{}/{name}", self.port)).unwrap()
    }

    /// Puts an image with two platforms there by skopeo.
    fn fill(&self, name: &str, extra: &[&str]) -> Vec<u8> {
        let (layout, layer) = oci_layout(&self.dir.join("layout"));
        let target = format!("docker://127.0.0.1:{}/{name}", self.port);
        let source = format!("oci:{}:it", layout.display());
        let mut arguments = vec!["copy", "--all", "--quiet", "--dest-tls-verify=false"];
        arguments.extend(extra);
        arguments.extend([source.as_str(), target.as_str()]);
        run("skopeo", &arguments);
        layer
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        #[expect(clippy::disallowed_methods, reason = "a shallow tree of the test's own")]
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|_| panic!("these tests need `{program}`"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An OCI layout with an index of two platforms; gives back the layer's bytes.
fn oci_layout(dir: &Path) -> (PathBuf, Vec<u8>) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::replace(&blobs.join(digest.hex()), bytes, 0o644, Durability::Volatile).unwrap();
        (digest, bytes.len())
    };
    // Compressed, so that skopeo leaves it as it is.
    let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    let noise: Vec<u8> = id::bytes::<32>().iter().cycle().take(300_000).copied().collect();
    layer.write_all(&noise).unwrap();
    let layer = layer.finish().unwrap();
    let (layer_digest, layer_size) = put(&layer);
    let mut entries = Vec::new();
    for arch in ["amd64", "arm64"] {
        let config = format!(
            r#"{{"architecture":"{arch}","os":"linux","rootfs":{{"type":"layers","diff_ids":["{layer_digest}"]}}}}"#
        );
        let (config_digest, config_size) = put(config.as_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{config_digest}","size":{config_size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer_digest}","size":{layer_size}}}]}}"#,
            manifest::OCI_MANIFEST,
            manifest::OCI_CONFIG
        );
        let (digest, size) = put(manifest.as_bytes());
        entries.push(format!(
            r#"{{"mediaType":"{}","digest":"{digest}","size":{size},"platform":{{"os":"linux","architecture":"{arch}"}}}}"#,
            manifest::OCI_MANIFEST
        ));
    }
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
        manifest::OCI_INDEX,
        entries.join(",")
    );
    let (digest, size) = put(index.as_bytes());
    let top = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"it"}}}}]}}"#,
        manifest::OCI_INDEX
    );
    let write = |name: &str, text: &str| {
        fs::replace(&dir.join(name), text.as_bytes(), 0o644, Durability::Volatile).unwrap()
    };
    write("index.json", &top);
    write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    (dir.to_owned(), layer)
}

#[test]
fn an_image_of_a_platform_is_pulled_over_plain_http_on_loopback() {
    let registry = Registry::start(With::Nothing);
    let layer = registry.fill("a/b:v1", &[]);
    let (client, reference) = (client(), registry.reference("a/b:v1"));
    let found = client.image(&reference, &"linux/arm64".parse().unwrap()).unwrap();
    assert_eq!(found.top.media_type, manifest::OCI_INDEX);
    assert_eq!(found.image.layers[0].digest, Digest::of(&layer));
    assert_eq!(read_blob(&client, &reference, &layer).unwrap(), layer);
    let config = client.small_blob(&reference, &found.image.config.digest, found.image.config.size).unwrap();
    assert!(String::from_utf8(config).unwrap().contains("arm64"));
    assert_eq!(client.head(&reference).unwrap().unwrap().digest, Some(found.top.digest.clone()));
    assert_eq!(client.tags(&reference).unwrap(), ["v1"]);
    assert_eq!(client.catalog(&reference.registry).unwrap(), ["a/b"]);
    let pinned = reference.with_digest(&found.top.digest);
    assert_eq!(client.manifest(&pinned).unwrap().bytes, found.top.bytes);

    let error = client.manifest(&registry.reference("a/b:nosuch")).unwrap_err();
    assert_eq!(kind_of(&error), Kind::NotFound);
    assert!(
        say(&error).contains("a/b:nosuch") && say(&error).contains("MANIFEST_UNKNOWN"),
        "{}",
        say(&error)
    );
    assert_eq!(client.head(&registry.reference("a/b:nosuch")).unwrap(), None);
    let error = client.image(&reference, &"linux/s390x".parse().unwrap()).unwrap_err();
    assert_eq!(hints_of(&error), ["it has: linux/amd64, linux/arm64"]);
    assert!(client.blob(&reference, &Digest::of(b"none"), 4).is_err());
}

#[test]
fn docker_manifests_and_mirrors_are_understood() {
    let registry = Registry::start(With::Nothing);
    let layer = registry.fill("hub/library/x:1", &["--format", "v2s2"]);
    let conf = format!(
        "[[registry]]\nprefix = 'docker.io'\nlocation = 'localhost:1/none'\n\
         [[registry.mirror]]\nlocation = 'localhost:1/dead'\n[[registry.mirror]]\nlocation = 'localhost:{}/hub'\n",
        registry.port
    );
    let mut options = options();
    options.registries.add(&conf).unwrap();
    let client = Client::new(options);
    let reference = Reference::parse("x:1").unwrap();
    let found = client.image(&reference, &Platform::host()).unwrap();
    assert_eq!(found.top.media_type, manifest::DOCKER_LIST);
    assert_eq!(found.manifest.media_type, manifest::DOCKER_MANIFEST);
    assert_eq!(read_blob(&client, &reference, &layer).unwrap(), layer);
    let error = client.manifest(&Reference::parse("x:2").unwrap()).unwrap_err();
    assert!(hints_of(&error).iter().any(|hint| hint.contains("mirror") && hint.contains("404")), "{error:?}");
}

#[test]
fn tls_is_verified_unless_told_otherwise() {
    let registry = Registry::start(With::Tls);
    let layer = registry.fill("t:1", &[]);
    let reference = registry.reference("t:1");
    let error = client().manifest(&reference).unwrap_err();
    assert!(say(&error).contains("certificate"), "{}", say(&error));
    assert!(hints_of(&error).iter().any(|hint| hint.contains("--tls-verify=false")));
    for options in [
        ClientOptions { cert_dir: Some(registry.dir.clone()), ..options() },
        ClientOptions { tls_verify: Some(false), ..options() },
    ] {
        let client = Client::new(options);
        assert_eq!(client.image(&reference, &Platform::host()).unwrap().image.layers.len(), 1);
        assert_eq!(read_blob(&client, &reference, &layer).unwrap(), layer);
    }
    // The certificate is for localhost, not for the address.
    let by_address = Reference::parse(&format!("127.0.0.1:{}/t:1", registry.port)).unwrap();
    let strict = Client::new(ClientOptions { cert_dir: Some(registry.dir.clone()), ..options() });
    assert!(say(&strict.manifest(&by_address).unwrap_err()).contains("certificate"));
}

#[test]
fn passwords_are_asked_for_and_checked() {
    let registry = Registry::start(With::Passwords);
    registry.fill("p:1", &["--dest-creds", "me:secret"]);
    let reference = registry.reference("p:1");
    assert!(with_creds("me:secret").manifest(&reference).is_ok());
    assert!(with_creds("me:secret").check_login(&reference.registry).is_ok());
    for wrong in [client(), with_creds("me:wrong")] {
        let error = wrong.manifest(&reference).unwrap_err();
        assert!(say(&error).contains("401") && !say(&error).contains("wrong"), "{}", say(&error));
        assert!(hints_of(&error)[0].contains("dhow login"), "{error:?}");
        assert!(wrong.check_login(&reference.registry).is_err());
    }
    let authfile = registry.dir.join("auth.json");
    crate::registry::auth::store(&authfile, &reference.name(), &Credentials::parse("me:secret").unwrap())
        .unwrap();
    let by_file = Client::new(ClientOptions { authfile: Some(authfile), ..options() });
    assert!(by_file.manifest(&reference).is_ok());
}

#[test]
fn verified_tls_is_never_given_up_for_plain_http() {
    let registry = Registry::start(With::Nothing);
    let strict = Client::new(ClientOptions { tls_verify: Some(true), ..options() });
    assert!(strict.manifest(&registry.reference("x:1")).is_err());
}
