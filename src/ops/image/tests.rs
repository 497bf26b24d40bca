//! Images through real registries, skopeo and podman, where these are installed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::slice;
use std::sync::Mutex;

use super::*;
use crate::base::digest::Digest;
use crate::base::error::{Kind, kind_of};
use crate::base::roots::Roots;
use crate::base::{fs, id};
use crate::image::archive::Format;
use crate::ops::context::GlobalOptions;
use crate::ops::progress::{Progress, Silent, Task};

/// A directory with a store in it; both go away in the end.
struct Sandbox {
    dir: PathBuf,
    context: Context,
}

impl Sandbox {
    fn new() -> Sandbox {
        let dir = std::env::temp_dir().join(format!("dhow-ops-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        let context = context(&dir);
        Sandbox { dir, context }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A second store beside the first.
    fn other(&self, name: &str) -> Context {
        context(&self.dir.join(name))
    }
}

fn context(dir: &Path) -> Context {
    let roots = Roots {
        root: dir.join("root"),
        additional: Vec::new(),
        run: dir.join("run"),
        tmp: dir.to_owned(),
        rootless: false,
        uid: 0,
    };
    roots.create().unwrap();
    let options = GlobalOptions { storage_driver: Some("vfs".into()), ..GlobalOptions::default() };
    Context::new(roots, options)
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = crate::layer::tree::remove(&self.dir);
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a test needs that a machine may lack; the missing thing is named on stderr.
fn have(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let found =
            ["/usr/bin", "/usr/local/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists());
        if !found {
            eprintln!("not run: `{program}` is not installed");
        }
        found
    })
}

/// An OCI layout `layout:t` with several layers, as buildah would make it.
fn make_layout(dir: &Path, layers: usize) -> PathBuf {
    let layout = dir.join("layout");
    let mut blobs = Vec::new();
    let mut diff_ids = Vec::new();
    let write = |bytes: &[u8]| -> Digest {
        let digest = Digest::of(bytes);
        let path = layout.join("blobs/sha256").join(digest.hex());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::replace(&path, bytes, 0o644, fs::Durability::Volatile).unwrap();
        digest
    };
    for n in 0..layers {
        let tree = dir.join(format!("tree{n}"));
        fs::create_dir_all(&tree.join("etc/deep")).unwrap();
        fs::replace(
            &tree.join(format!("etc/deep/f{n}")),
            &vec![n as u8; 70_000 * (n + 1)],
            0o640,
            fs::Durability::Volatile,
        )
        .unwrap();
        std::os::unix::fs::symlink("deep/x", tree.join(format!("etc/l{n}"))).unwrap();
        let tar = dir.join(format!("l{n}.tar"));
        run("tar", &["-C", tree.to_str().unwrap(), "-cf", tar.to_str().unwrap(), "."]);
        let plain = fs::read(&tar).unwrap();
        diff_ids.push(Digest::of(&plain));
        let kind = if n % 2 == 0 {
            crate::layer::codec::Compression::Gzip
        } else {
            crate::layer::codec::Compression::Zstd
        };
        let mut encoder = crate::layer::codec::encoder(Vec::new(), kind, None).unwrap();
        std::io::Write::write_all(&mut encoder, &plain).unwrap();
        let packed = encoder.finish().unwrap();
        let suffix = if n % 2 == 0 { "gzip" } else { "zstd" };
        blobs.push(serde_json::json!({
            "mediaType": format!("application/vnd.oci.image.layer.v1.tar+{suffix}"),
            "digest": write(&packed), "size": packed.len(),
        }));
    }
    let config = serde_json::to_vec(&serde_json::json!({
        "created": "2026-02-03T04:05:06Z", "architecture": crate::registry::Platform::host().arch, "os": "linux",
        "config": {"Cmd": ["/bin/true"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": diff_ids.iter().map(|d| serde_json::json!({"created_by": format!("make {d}")})).collect::<Vec<_>>(),
    }))
    .unwrap();
    let manifest = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": write(&config), "size": config.len()},
        "layers": blobs,
    }))
    .unwrap();
    let index = serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2,
        "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": write(&manifest),
            "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "quay.io/t/made:v1"}}],
    }))
    .unwrap();
    for (name, bytes) in
        [("index.json", index.as_slice()), ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)]
    {
        fs::replace(&layout.join(name), bytes, 0o644, fs::Durability::Volatile).unwrap();
    }
    layout
}

fn load_path(context: &Context, path: &Path) -> Vec<Loaded> {
    load(context, &LoadSource::Path(path.to_owned()), &Silent).unwrap()
}

/// `docker-registry` on a free port of the loopback.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start(dir: &Path) -> Registry {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let storage = dir.join("registry");
        let config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: false\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            storage.display()
        );
        let file = dir.join("registry.yml");
        fs::replace(&file, config.as_bytes(), 0o644, fs::Durability::Volatile).unwrap();
        let log = fs::create(&dir.join("registry.log")).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", file.to_str().unwrap()])
            .stdout(log.try_clone().unwrap())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(&address).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        Registry { process, address }
    }

    fn push(&self, layout: &Path, name: &str) {
        let from = format!("oci:{}:quay.io/t/made:v1", layout.display());
        run(
            "skopeo",
            &["copy", "-q", "--dest-tls-verify=false", &from, &format!("docker://{}/{name}", self.address)],
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn empty(context: &Context) -> bool {
    let layers = context.layers().unwrap().diff_ids().unwrap();
    let staging = fs::read_dir(&context.roots.root.join("staging")).unwrap();
    layers.is_empty() && context.images().list().unwrap().images.is_empty() && staging.is_empty()
}

#[test]
fn the_embedded_image_needs_no_registry() {
    let sandbox = Sandbox::new();
    let start = std::time::Instant::now();
    let image = obtain(&sandbox.context, "dhow-hello", &PullOptions::default(), &Silent).unwrap();
    eprintln!("embedded image made in {:?}", start.elapsed());
    assert_eq!(image.names, ["localhost/dhow-hello:latest"]);
    assert!(sandbox.context.layers().unwrap().diff_dir(&image.layers[0]).join("hello").exists());
    assert!(exists(&sandbox.context, "dhow-hello").unwrap());
    let (removed, outcome) =
        remove(&sandbox.context, &["dhow-hello".into()], &RemoveOptions::default(), &|_, _| Ok(0));
    outcome.unwrap();
    assert_eq!(removed.untagged, ["localhost/dhow-hello:latest"]);
    assert_eq!(removed.deleted, [image.id]);
    assert!(removed.freed > 1000 && empty(&sandbox.context));
}

#[test]
fn a_layout_loads_and_every_saved_form_loads_again_with_the_same_id() {
    let sandbox = Sandbox::new();
    let layout = make_layout(&sandbox.dir, 3);
    let loaded = load_path(&sandbox.context, &layout);
    assert_eq!(loaded[0].names, ["quay.io/t/made:v1"]);
    let forms = [Format::DockerArchive, Format::OciArchive, Format::OciDir, Format::DockerDir];
    for (n, format) in forms.into_iter().enumerate() {
        for (m, plain) in [false, true].into_iter().enumerate() {
            let output = sandbox.path(&format!("out{n}{m}"));
            let options = SaveOptions {
                format,
                output: Some(output.clone()),
                uncompressed: plain,
                compress: !plain && format == Format::DockerDir,
                ..SaveOptions::default()
            };
            save(&sandbox.context, &["quay.io/t/made:v1".into()], &options, &Silent).unwrap();
            let other = sandbox.other(&format!("other{n}{m}"));
            let again = load_path(&other, &output);
            assert_eq!(again[0].id, loaded[0].id, "{format:?}");
            let named =
                if format == Format::DockerDir { vec![] } else { vec!["quay.io/t/made:v1".to_owned()] };
            assert_eq!(again[0].names, named, "{format:?}");
            if !format.is_directory() {
                let first = fs::read(&output).unwrap();
                save(&sandbox.context, &["made:v1".into()], &options, &Silent).unwrap();
                assert!(fs::read(&output).unwrap() == first, "{format:?} is not deterministic");
            }
        }
    }
}

#[test]
fn compressed_archives_and_several_images_load() {
    let sandbox = Sandbox::new();
    let one = load_path(&sandbox.context, &make_layout(&sandbox.dir, 2))[0].id.clone();
    let hello = find_or_install(&sandbox.context, "dhow-hello").unwrap().id;
    tag(&sandbox.context, "made:v1", &["second".into()]).unwrap();
    let output = sandbox.path("many.tar");
    let names = ["made:v1".to_owned(), "dhow-hello".into(), "second".into(), "third:3".into()];
    let options = SaveOptions { output: Some(output.clone()), ..SaveOptions::default() };
    save(&sandbox.context, &names, &options, &Silent).unwrap();
    assert_eq!(
        kind_of(
            &save(&sandbox.context, &names, &SaveOptions { multi: true, ..options }, &Silent).unwrap_err()
        ),
        Kind::NotFound
    );
    save(
        &sandbox.context,
        &names,
        &SaveOptions { output: Some(output.clone()), ..SaveOptions::default() },
        &Silent,
    )
    .unwrap();
    let programs: Vec<&str> = ["gzip", "xz", "bzip2", "zstd"].into_iter().filter(|p| have(&[p])).collect();
    for program in programs {
        let packed = sandbox.path(&format!("many.{program}"));
        let out = Command::new(program).arg("-c").arg(&output).output().unwrap().stdout;
        fs::replace(&packed, &out, 0o644, fs::Durability::Volatile).unwrap();
        let loaded = load_path(&sandbox.other(program), &packed);
        assert_eq!(loaded.iter().map(|l| &l.id).collect::<Vec<_>>(), [&one, &hello], "{program}");
        assert_eq!(loaded[0].names, ["quay.io/t/made:v1", "localhost/second:latest", "localhost/third:3"]);
    }
}

#[test]
fn hostile_archives_change_nothing() {
    let sandbox = Sandbox::new();
    load_path(&sandbox.context, &make_layout(&sandbox.dir, 1));
    let good = sandbox.path("good.tar");
    let options = SaveOptions { output: Some(good.clone()), ..SaveOptions::default() };
    save(&sandbox.context, &["made:v1".into()], &options, &Silent).unwrap();
    let bytes = fs::read(&good).unwrap();
    let other = sandbox.other("victim");
    other.layers().unwrap();
    let mut attempts: Vec<Vec<u8>> =
        vec![b"".to_vec(), vec![0; 10_240], b"hello".repeat(1000), bytes[..bytes.len() / 2].to_vec()];
    for (n, byte) in [(600, 0xff), (bytes.len() / 3, 0x55)] {
        let mut changed = bytes.clone();
        changed[n] ^= byte;
        attempts.push(changed);
    }
    let archive = |list: &str| {
        let mut tar = Vec::new();
        crate::image::archive::tarball::write_member(&mut tar, "manifest.json", 0o644, list.as_bytes())
            .unwrap();
        crate::image::archive::tarball::finish(&mut tar).unwrap();
        tar
    };
    attempts.extend([
        archive(r#"[{"Config":"/etc/passwd","Layers":[]}]"#),
        archive(r#"[{"Config":"../../etc/passwd","Layers":[]}]"#),
        archive(r#"[{"Config":"manifest.json","Layers":["../x"]}]"#),
        archive("[]"),
        archive("[{]"),
        archive(&"[".repeat(100_000)),
        archive(r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:../../x","size":1},"layers":[]}"#),
    ]);
    for (n, attempt) in attempts.iter().enumerate() {
        let path = sandbox.path("bad.tar");
        fs::replace(&path, attempt, 0o644, fs::Durability::Volatile).unwrap();
        let outcome = load(&other, &LoadSource::Path(path), &Silent);
        assert!(outcome.is_err(), "attempt {n}");
        assert!(empty(&other), "attempt {n}");
    }
}

/// Counts what was downloaded.
#[derive(Default)]
struct Watch(Mutex<Vec<String>>);

struct Watched<'a>(std::marker::PhantomData<&'a ()>);

impl Progress for Watch {
    fn message(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
    fn start(&self, _: &str, _: Option<u64>) -> Box<dyn Task> {
        let _ = Watched(std::marker::PhantomData);
        Box::new(Silent)
    }
}

#[test]
fn images_come_from_a_real_registry() {
    if !have(&["docker-registry", "skopeo"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let layout = make_layout(&sandbox.dir, 5);
    let registry = Registry::start(&sandbox.dir);
    registry.push(&layout, "a/b:v1");
    registry.push(&layout, "a/b:latest");
    let name = format!("{}/a/b", registry.address);
    let options = PullOptions { retry: 0, ..PullOptions::default() };
    let watch = Watch::default();
    let pulled = pull(&sandbox.context, &format!("{name}:v1"), &options, &watch).unwrap();
    assert!(pulled[0].fetched && watch.0.lock().unwrap()[0].starts_with("Trying to pull"));
    let image = sandbox.context.images().resolve(&format!("{name}:v1")).unwrap();
    assert_eq!(image.id, pulled[0].id);
    assert_eq!(image.layers.len(), 5);

    // The manifest is stored exactly, and its digest names the image.
    let by_digest = format!("{name}@{}", Digest::of(&image.manifest_bytes().unwrap()));
    assert_eq!(sandbox.context.images().resolve(&by_digest).unwrap().id, image.id);
    let raw = run("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}:v1")]);
    assert_eq!(raw.as_bytes(), image.manifest_bytes().unwrap());

    // Policies.
    for (policy, fetched) in
        [(PullPolicy::Missing, false), (PullPolicy::Newer, false), (PullPolicy::Always, true)]
    {
        let again = pull(
            &sandbox.context,
            &format!("{name}:v1"),
            &PullOptions { policy, ..options.clone() },
            &Silent,
        )
        .unwrap();
        assert_eq!(again[0].fetched, fetched, "{policy:?}");
    }
    let never = PullOptions { policy: PullPolicy::Never, ..options.clone() };
    assert_eq!(
        kind_of(&pull(&sandbox.context, &format!("{name}:none"), &never, &Silent).unwrap_err()),
        Kind::NotFound
    );

    // All tags, one image.
    let all = PullOptions { all_tags: true, policy: PullPolicy::Always, ..options.clone() };
    assert_eq!(pull(&sandbox.context, &name, &all, &Silent).unwrap().len(), 2);
    assert_eq!(sandbox.context.images().get(&image.id).unwrap().names.len(), 2);

    // What the registry does not have leaves the store as it is.
    let other = sandbox.other("fresh");
    other.layers().unwrap();
    assert!(pull(&other, &format!("{name}:none"), &options, &Silent).is_err());
    let blob = image.config().unwrap().rootfs.diff_ids.len();
    assert_eq!(blob, 5);
    break_a_blob(&sandbox.dir, &image);
    assert!(pull(&other, &format!("{name}:v1"), &options, &Silent).is_err());
    assert!(empty(&other));
}

/// Overwrites the content of the image's last layer in the registry's storage.
fn break_a_blob(dir: &Path, image: &Image) {
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest_bytes().unwrap()).unwrap();
    let digest = manifest["layers"][4]["digest"].as_str().unwrap().split_once(':').unwrap().1.to_owned();
    let path =
        dir.join("registry/docker/registry/v2/blobs/sha256").join(&digest[..2]).join(&digest).join("data");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::replace(&path, &bytes, 0o644, fs::Durability::Volatile).unwrap();
}

#[test]
fn twenty_pulls_of_one_image_download_its_layers_once() {
    if !have(&["docker-registry", "skopeo"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let layout = make_layout(&sandbox.dir, 4);
    let registry = Registry::start(&sandbox.dir);
    registry.push(&layout, "x:1");
    let name = format!("{}/x:1", registry.address);
    sandbox.context.layers().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let own = super::tests::context(&sandbox.dir);
                pull(&own, &name, &PullOptions::default(), &Silent).unwrap();
            });
        }
    });
    let log = fs::read_to_string(&sandbox.path("registry.log")).unwrap();
    let manifest = sandbox.context.images().resolve(&name).unwrap().manifest_bytes().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = format!("GET /v2/x/blobs/{}", layer["digest"].as_str().unwrap());
        let asked = log.lines().filter(|line| line.contains(&blob) && line.contains(" 200 ")).count();
        assert_eq!(asked, 1, "{blob}");
    }
}

#[test]
fn skopeo_reads_what_was_saved_and_the_other_way_round() {
    if !have(&["skopeo"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let layout = make_layout(&sandbox.dir, 3);
    let id = load_path(&sandbox.context, &layout)[0].id.clone();
    let image = sandbox.context.images().get(&id).unwrap();
    let forms = [
        (Format::DockerArchive, "docker-archive", ""),
        (Format::OciArchive, "oci-archive", ""),
        (Format::OciDir, "oci", ""),
        (Format::DockerDir, "dir", ""),
    ];
    for (format, transport, suffix) in forms {
        let output = sandbox.path(transport);
        let options = SaveOptions { format, output: Some(output.clone()), ..SaveOptions::default() };
        save(&sandbox.context, &["made:v1".into()], &options, &Silent).unwrap();
        let from = format!("{transport}:{}{suffix}", output.display());
        let config = run("skopeo", &["inspect", "--config", "--raw", &from]);
        assert_eq!(Digest::of(config.as_bytes()), id, "{transport}");
        // A copy by skopeo reads every layer and checks it.
        let copy = sandbox.path(&format!("copy-{transport}"));
        let to = match format {
            Format::DockerArchive => format!("docker-archive:{}:quay.io/t/made:v1", copy.display()),
            _ => format!("{transport}:{}", copy.display()),
        };
        run("skopeo", &["copy", "-q", &from, &to]);
        let other = sandbox.other(&format!("store-{transport}"));
        let loaded = load_path(&other, &copy);
        let again = other.images().get(&loaded[0].id).unwrap();
        assert_eq!(again.layers, image.layers, "{transport}");
    }
}

#[test]
#[ignore = "a measurement: run it alone, on an idle machine"]
fn the_speed_of_a_pull() {
    if !have(&["docker-registry", "skopeo", "curl", "gzip", "tar"]) {
        return;
    }
    let sandbox = Sandbox::new();
    let big = sandbox.path("tree0/usr");
    fs::create_dir_all(&big).unwrap();
    run("cp", &["-a", "/usr/share/doc", "/usr/lib/x86_64-linux-gnu", big.to_str().unwrap()]);
    let layout = make_layout(&sandbox.dir, 1);
    let registry = Registry::start(&sandbox.dir);
    registry.push(&layout, "big:1");
    let name = format!("{}/big:1", registry.address);
    let timed = |what: &str, work: &dyn Fn()| {
        let start = std::time::Instant::now();
        work();
        eprintln!("{what}: {:?}", start.elapsed());
    };
    timed("pull", &|| drop(pull(&sandbox.context, &name, &PullOptions::default(), &Silent).unwrap()));
    let image = sandbox.context.images().resolve(&name).unwrap();
    eprintln!("unpacked bytes: {}", image.size);
    timed("pull again", &|| {
        let always = PullOptions { policy: PullPolicy::Always, ..PullOptions::default() };
        drop(pull(&sandbox.context, &name, &always, &Silent).unwrap());
    });
    let manifest: serde_json::Value = serde_json::from_slice(&image.manifest_bytes().unwrap()).unwrap();
    let url = format!(
        "http://{}/v2/big/blobs/{}",
        registry.address,
        manifest["layers"][0]["digest"].as_str().unwrap()
    );
    let out = sandbox.path("plain");
    fs::create_dir_all(&out).unwrap();
    timed("curl | gzip -d | tar -x", &|| {
        run("sh", &["-c", &format!("curl -s {url} | gzip -dc | tar -xf - -C {}", out.display())]);
    });
    let archive = sandbox.path("saved.tar");
    let options = SaveOptions { output: Some(archive.clone()), ..SaveOptions::default() };
    timed("save", &|| drop(save(&sandbox.context, slice::from_ref(&name), &options, &Silent).unwrap()));
    timed("tar -c", &|| {
        drop(run(
            "tar",
            &["-cf", sandbox.path("plain.tar").to_str().unwrap(), "-C", out.to_str().unwrap(), "."],
        ))
    });
    let other = sandbox.other("again");
    timed("load", &|| drop(load_path(&other, &archive)));
    timed("remove", &|| {
        remove(&other, slice::from_ref(&name), &RemoveOptions::default(), &|_, _| Ok(0)).1.unwrap();
    });
}
