//! Archives that want something else than to be loaded: every one ends with status 0 or 125 and a clear line, in
//! bounded time, and changes nothing outside of the store.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::kit::image::{ImageSpec, Tar, busybox, busybox_layer, gzip, sha256};
use crate::kit::{Outcome, Sandbox, rootless};

/// A tar with whatever an honest writer refuses to write.
#[derive(Default)]
pub(crate) struct Raw(Vec<u8>);

impl Raw {
    pub(crate) fn header(mut self, kind: u8, name: &str, size: &[u8], link: &str) -> Raw {
        let mut header = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name.as_bytes());
        put(100, b"0000755\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, size);
        put(136, b"14524610000\0");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        put(148, b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(header);
        self
    }

    pub(crate) fn entry(self, kind: u8, name: &str, data: &[u8], link: &str) -> Raw {
        let size = format!("{:011o}\0", data.len());
        self.header(kind, name, size.as_bytes(), link).data(data)
    }

    pub(crate) fn data(mut self, data: &[u8]) -> Raw {
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Raw {
        self.entry(b'0', name, data, "")
    }

    pub(crate) fn pax(self, key: &str, value: &str) -> Raw {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while length != rest.len() + length.to_string().len() {
            length = rest.len() + length.to_string().len();
        }
        self.entry(b'x', "pax", format!("{length}{rest}").as_bytes(), "")
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// A sandbox with files beside the store that nothing may touch.
pub(crate) struct Watched {
    pub(crate) sandbox: Sandbox,
    outside: PathBuf,
    before: Vec<String>,
}

impl Watched {
    pub(crate) fn new() -> Watched {
        let sandbox = Sandbox::new();
        let outside = sandbox.path("outside");
        fs::create_dir_all(outside.join("dir")).unwrap();
        fs::write(outside.join("secret"), "host").unwrap();
        fs::write(outside.join("dir/kept"), "host").unwrap();
        let before = snapshot(&outside);
        Watched { sandbox, outside, before }
    }

    fn target(&self, name: &str) -> String {
        self.outside.join(name).display().to_string()
    }

    pub(crate) fn load(&self, archive: &[u8]) -> Outcome {
        let path = self.sandbox.file("tmp/hostile.tar", archive);
        let outcome = self.sandbox.dhow(["load", "-q", "-i"]).arg(path).run();
        self.check(&outcome);
        outcome
    }

    /// An image of busybox and this layer; what `run` shows of it must be the container's own.
    pub(crate) fn load_layer(&self, layer: Vec<u8>) -> Outcome {
        let config = serde_json::json!({"Cmd": ["sh"], "Env": ["PATH=/bin"]});
        let layers = vec![busybox_layer(), layer];
        self.load(&ImageSpec { name: "localhost/evil:latest".into(), layers, config }.docker_archive())
    }

    fn check(&self, outcome: &Outcome) {
        assert!(matches!(outcome.status, 0 | 125), "{outcome}");
        let error = outcome.stderr();
        assert!(outcome.status == 0 || error.starts_with("Error: "), "{outcome}");
        assert!(!error.contains("panicked") && !error.contains('\u{1b}'), "{outcome}");
        assert_eq!(snapshot(&self.outside), self.before, "{outcome}");
        let staged = fs::read_dir(self.sandbox.root().join("staging")).into_iter().flatten().flatten();
        let left: Vec<_> = staged.map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "left in staging: {left:?} after {outcome}");
    }

    pub(crate) fn refuses(&self, archive: &[u8]) -> String {
        let outcome = self.load(archive);
        assert_eq!(outcome.status, 125, "{outcome}");
        assert_eq!(self.sandbox.line("images -aq").ok(), "", "nothing came in: {outcome}");
        outcome.stderr()
    }

    /// The store still works, and gives everything back.
    pub(crate) fn remove(&self) {
        self.sandbox.line("rmi -af").ok();
        assert_eq!(self.sandbox.line("images -aq").ok(), "");
    }
}

/// Path, mode, owner, links, size, time and content of everything.
fn snapshot(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let (path, meta) = (entry.path(), entry.metadata().unwrap());
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        let (mode, owner, links) = (meta.mode(), (meta.uid(), meta.gid()), meta.nlink());
        all.push(format!("{path:?} {mode:o} {owner:?} {links} {} {content:?}", meta.mtime_nsec()));
        if meta.is_dir() {
            all.extend(snapshot(&path));
        }
    }
    all.sort();
    all
}

#[test]
fn layers_that_climb_out_stay_inside() {
    let watched = Watched::new();
    let (secret, dir) = (watched.target("secret"), watched.target("dir"));
    let up = "../".repeat(20);
    let layers = [
        Raw::default().file(&format!("{up}tmp/dhow-escaped"), b"x").file("/../../dhow-escaped", b"x").end(),
        Raw::default().pax("path", &format!("{up}{secret}")).file("short", b"x").end(),
        Raw::default().entry(b'2', "d", b"", &dir).file("d/kept", b"x").file("d/new", b"x").end(),
        Raw::default().entry(b'2', "d", b"", &dir).file("d/.wh.kept", b"").end(),
        Raw::default().entry(b'2', "d", b"", &dir).file("d/.wh..wh..opq", b"").end(),
        Raw::default().entry(b'2', "s", b"", &secret).file("s", b"replaced").end(),
        Raw::default().entry(b'1', "h", b"", &secret).file("h", b"x").end(),
        Raw::default().entry(b'1', "h", b"", &format!("{up}{secret}")).end(),
        Raw::default().entry(b'2', "s", b"", &secret).entry(b'1', "h", b"", "s").file("h", b"x").end(),
        Raw::default().entry(b'2', "a", b"", "b").entry(b'2', "b", b"", &dir).file("a/new", b"x").end(),
        Raw::default().entry(b'2', "p", b"", "/proc/self/cwd").file("p/new", b"x").end(),
        Raw::default().entry(b'5', "d", b"", "").entry(b'2', "d", b"", &dir).file("d/new", b"x").end(),
        Raw::default().file(".wh...", b"").file(".wh.", b"").file("x/.wh...", b"").end(),
    ];
    for layer in layers {
        let outcome = watched.load_layer(layer);
        if outcome.status == 0 {
            assert_eq!(watched.sandbox.line("run --rm evil echo runs").ok(), "runs\n", "{outcome}");
            watched.remove();
        }
        assert!(!Path::new("/tmp/dhow-escaped").exists() && !Path::new("/dhow-escaped").exists());
    }
}

#[test]
fn special_files_and_odd_owners_do_no_harm() {
    let watched = Watched::new();
    let layer = Raw::default()
        .entry(b'6', "fifo", b"", "")
        .entry(b'3', "device", b"", "")
        .entry(b'4', "disk", b"", "")
        .pax("SCHILY.xattr.trusted.overlay.opaque", "y")
        .entry(b'5', "bin", b"", "")
        .pax("SCHILY.xattr.user.overlay.whiteout", "y")
        .file("shown", b"here")
        .pax("mtime", "-99999999999999999999")
        .file("old", b"x")
        .end();
    let outcome = watched.load_layer(layer);
    if outcome.status == 0 {
        let seen = watched.sandbox.line("run --rm evil cat /shown /bin/../shown").ok();
        assert_eq!(seen, "herehere", "overlay's own attributes change nothing");
        watched.remove();
    }
    for uid in ["4294967295", "99999999999", "-1"] {
        let outcome = watched.load_layer(Raw::default().pax("uid", uid).file("f", b"x").end());
        if outcome.status == 0 {
            watched.remove();
        }
    }
}

#[test]
fn the_pax_size_decides_where_a_body_ends() {
    let watched = Watched::new();
    // The body looks like an entry to who believes the header's size of 0 (CVE-2025-62518).
    let hidden = Raw::default().file("smuggled", b"x").0;
    let header = Raw::default().pax("size", &hidden.len().to_string());
    let layer = header.header(b'0', "outer", b"00000000000\0", "").data(&hidden).file("after", b"y").end();
    watched.load_layer(layer).ok();
    let seen = watched.sandbox.dhow(["run", "--rm", "evil", "sh", "-c", "ls /smuggled; cat /after"]).run();
    assert_eq!(seen.stdout(), "y", "{seen}");
}

#[test]
fn broken_archives_are_refused_whole() {
    let watched = Watched::new();
    let good = busybox("localhost/x:latest").docker_archive();
    for length in [0, 1, 511, 512, 700, good.len() / 2, good.len() - 4096] {
        watched.refuses(&good[..length]);
    }
    let mut flipped = good.clone();
    flipped[20] ^= 0x55;
    assert!(watched.refuses(&flipped).contains("archive"), "a bad checksum");
    let mut body = good.clone();
    let middle = body.len() / 2;
    body[middle] ^= 0x55;
    assert!(watched.refuses(&body).contains("digest"), "a changed layer");
    for size in ["77777777777\0", "-0000000001\0", "99999999999\0"] {
        watched.refuses(&Raw::default().header(b'0', "manifest.json", size.as_bytes(), "").end());
    }
    let huge = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    watched.refuses(&Raw::default().header(b'0', "manifest.json", &huge, "").end());
    watched.refuses(&Raw::default().header(b'0', "manifest.json", &[0xff; 12], "").end());
    watched.refuses(&Raw::default().header(b'x', "pax", b"77777777777\0", "").end());
    watched.refuses(&Raw::default().file("manifest.json", b"[]").file("manifest.json", b"[]").end());
    // A layer that stops in the middle, honestly named by its digest.
    let cut = busybox_layer();
    let spec = ImageSpec {
        name: "localhost/cut:latest".into(),
        layers: vec![cut[..cut.len() / 2].to_vec()],
        config: serde_json::json!({}),
    };
    assert!(watched.refuses(&spec.docker_archive()).contains("truncated"));
}

pub(crate) fn with_manifest(manifest: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let raw = more.iter().fold(Raw::default(), |raw, (name, data)| raw.file(name, data));
    raw.file("manifest.json", manifest.as_bytes()).end()
}

#[test]
fn what_an_archive_says_of_itself_is_checked_before_it_is_used() {
    let watched = Watched::new();
    let secret = watched.target("secret");
    let config =
        br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    for manifest in [
        "",
        "{",
        "null",
        "[]",
        "[1]",
        "[{}]",
        r#"[{"Config": 5}]"#,
        r#"[{"Config": "../../../etc/passwd", "Layers": []}]"#,
        r#"[{"Config": "/etc/passwd", "Layers": []}]"#,
        r#"[{"Config": "none.json", "Layers": []}]"#,
        r#"[{"Config": "c.json", "RepoTags": ["UPPER/../x"], "Layers": []}]"#,
        r#"[{"Config": "c.json", "RepoTags": ["x"], "Layers": ["../../layer.tar"]}]"#,
        r#"[{"Config": "c.json", "RepoTags": ["x"], "Layers": ["more.tar"]}]"#,
    ] {
        let error = watched.refuses(&with_manifest(manifest, &[("c.json", config)]));
        assert!(!error.contains("root:"), "no file of the host in a message: {error}");
    }
    for bomb in ["[".repeat(2_000_000), "{\"a\":".repeat(200_000), format!("[\"{}\"]", "x".repeat(5 << 20))] {
        watched.refuses(&with_manifest(&bomb, &[]));
        let list = r#"[{"Config": "c.json", "Layers": []}]"#;
        watched.refuses(&with_manifest(list, &[("c.json", bomb.as_bytes())]));
    }
    // Links where files should be.
    let list = br#"[{"Config": "c.json", "Layers": []}]"#;
    for kind in [b'1', b'2'] {
        watched.refuses(&Raw::default().entry(kind, "manifest.json", b"", &secret).end());
        watched
            .refuses(&Raw::default().entry(kind, "c.json", b"", &secret).file("manifest.json", list).end());
    }
    for diff_id in ["../../x", "sha256:../../../x", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:00", ""] {
        let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#);
        let list = r#"[{"Config": "c.json", "Layers": ["l.tar"]}]"#;
        let layer = busybox_layer();
        watched.refuses(&with_manifest(list, &[("c.json", config.as_bytes()), ("l.tar", &layer)]));
    }
}

#[test]
fn digests_in_a_layout_are_no_paths() {
    let watched = Watched::new();
    let layout = br#"{"imageLayoutVersion": "1.0.0"}"#;
    for digest in ["sha256:../../../../etc/passwd", "../../x:00", "sha256:00", "sha256/../x", "x"] {
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":5}}]}}"#
        );
        let archive = Raw::default().file("oci-layout", layout).file("index.json", index.as_bytes()).end();
        watched.refuses(&archive);
    }
    // An index that holds itself, as far as a name can.
    let mut index = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec();
    let mut archive = Raw::default().file("oci-layout", layout);
    for _ in 0..20 {
        let digest = sha256(&index);
        archive = archive.file(&format!("blobs/sha256/{}", &digest[7..]), &index);
        index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{}}}]}}"#,
            index.len()
        )
        .into_bytes();
    }
    watched.refuses(&archive.file("index.json", &index).end());
}

#[test]
fn deep_and_long_names_come_in_and_go_again() {
    let watched = Watched::new();
    let mut layer = Tar::new();
    let mut path = String::new();
    for _ in 0..1500 {
        path.push_str("d/");
        layer = layer.dir(&path, 0o700);
    }
    watched.load_layer(layer.bytes()).ok();
    assert_eq!(watched.sandbox.line("run --rm evil ls /d").ok(), "d\n");
    assert_eq!(watched.sandbox.line("run --rm evil rm -rf /d").ok(), "");
    watched.remove();
    let layers: Vec<_> = fs::read_dir(watched.sandbox.root().join("layers")).unwrap().flatten().collect();
    assert!(layers.len() <= 2, "deep trees are deleted: {layers:?}");
    let long = "n".repeat(300);
    let outcome = watched.load_layer(Raw::default().pax("path", &long).file("short", b"x").end());
    assert_eq!(outcome.status, 125, "{outcome}");
    for name in ["with\nnewline", "\u{1b}[2Jescape", " ", "-rf"] {
        watched.load_layer(Tar::new().file(name, 0o644, b"x").bytes()).ok();
        watched.remove();
    }
}

#[test]
fn bombs_are_streamed() {
    let watched = Watched::new();
    // 64 MiB of zeros in some 64 KiB, as a whole archive and as a layer.
    let zeros = vec![0u8; 64 << 20];
    let outcome = watched.load(&gzip(&zeros));
    assert_eq!(outcome.status, 125, "{outcome}");
    let layer = gzip(&Raw::default().file("zeros", &zeros).end());
    watched.load_layer(layer[..layer.len() - 1000].to_vec());
    // A sparse file of 4 EiB: holes, or refused.
    let sparse = Raw::default()
        .pax("GNU.sparse.major", "1")
        .file("short", b"0\n")
        .pax("GNU.sparse.size", "4611686018427387904")
        .pax("GNU.sparse.map", "0,0")
        .file("sparse", b"")
        .end();
    if watched.load_layer(sparse).status == 0 {
        watched.remove();
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_space_comes_back() {
    if rootless() {
        return eprintln!("not run: a small file system needs root");
    }
    let sandbox = Sandbox::new();
    let archive = crate::kit::image::busybox_archive(&sandbox.path("tmp/busybox.tar"));
    let mut large = busybox("localhost/large:latest");
    large.layers.push(Tar::new().file("large", 0o644, &vec![b'x'; 12 << 20]).bytes());
    let large = sandbox.file("tmp/large.tar", large.docker_archive());
    fs::create_dir_all(sandbox.root()).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        sandbox.program(program).args(arguments).arg(sandbox.root()).ok();
    };
    mount("mount", &["-t", "tmpfs", "-o", "size=10m", "tmpfs"]);
    let used = || {
        let stat = rustix::fs::statvfs(sandbox.root()).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_bsize
    };
    sandbox.dhow(["load", "-q", "-i"]).arg(&archive).ok();
    let before = used();
    let error = sandbox.dhow(["load", "-q", "-i"]).arg(&large).fails(125);
    assert!(error.contains("No space left"), "{error}");
    assert!(used() <= before + 65_536, "the space came back: {before}, {}", used());
    let names = sandbox.dhow(["images", "--format", "{{.Repository}}"]).ok();
    assert_eq!(names, "localhost/busybox\n");
    // Not one byte left: listing and deleting work.
    let _ = fs::write(sandbox.root().join("filler"), vec![0u8; 16 << 20]);
    assert_eq!(sandbox.line("images -q").ok().lines().count(), 1);
    sandbox.dhow(["load", "-q", "-i"]).arg(&large).fails(125);
    sandbox.line("run --rm busybox true").run();
    sandbox.line("rmi -f busybox").ok();
    fs::remove_file(sandbox.root().join("filler")).unwrap();
    sandbox.dhow(["load", "-q", "-i"]).arg(&archive).ok();
    assert_eq!(sandbox.line("run --rm busybox echo works").ok(), "works\n");
    mount("umount", &["-l"]);
}
