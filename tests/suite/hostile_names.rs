//! Archives whose names and sizes are the attack: what a listing shows, what a reference may be, what a name that
//! changes its type leaves, and how much memory it all takes.

use crate::hostile::{Raw, Watched, with_manifest};
use crate::kit::image::{ImageSpec, busybox_layer, gzip, sha256};

#[test]
fn control_characters_never_reach_the_terminal() {
    let watched = Watched::new();
    let layer = Raw::default().file("evil\u{1b}[31m\nsecond line", b"x").file("bell\u{7}", b"x").end();
    let config =
        serde_json::json!({"Cmd": ["sh", "\u{1b}]0;title\u{7}"], "Labels": {"a\u{1b}[2J": "b\u{1b}[2J"}});
    let image =
        ImageSpec { name: "localhost/evil:latest".into(), layers: vec![busybox_layer(), layer], config };
    let mut config: serde_json::Value = serde_json::from_slice(&image.config_json()).unwrap();
    config["author"] = "\u{1b}[31mred".into();
    config["history"][0]["created_by"] = "RUN \u{1b}[31mred\rblack\n".into();
    config["history"][0]["comment"] = "\u{1b}[31mred\u{9b}31m".into();
    let config = serde_json::to_vec(&config).unwrap();
    let layers: Vec<String> = (0..image.layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest =
        serde_json::json!([{"Config": "c.json", "RepoTags": [image.name], "Layers": layers}]).to_string();
    let members: Vec<(&str, &[u8])> = layers
        .iter()
        .map(String::as_str)
        .zip(image.layers.iter().map(Vec::as_slice))
        .chain([("c.json", config.as_slice())])
        .collect();
    assert_eq!(watched.load(&with_manifest(&manifest, &members)).status, 0);
    watched.sandbox.line("create --name c evil").ok();
    for words in [
        "images -a",
        "history --no-trunc evil",
        "image tree evil",
        "image diff evil",
        "diff evil busybox",
        "image inspect evil",
        "image inspect evil --format json",
        "ps -a --no-trunc",
        "system df -v",
        "system check",
    ] {
        let outcome = watched.sandbox.line(words).run();
        let all = outcome.stdout() + &outcome.stderr();
        let bad = all.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{words}: {all:?}");
    }
    let diff = watched.sandbox.line("diff evil").ok();
    assert_eq!(diff.lines().count(), 2, "a name is one line: {diff}");
    watched.sandbox.line("rm c").ok();
    watched.remove();
}

#[test]
fn names_of_repositories_are_names_or_nothing() {
    let watched = Watched::new();
    let config = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let long = format!("{}:latest", "x/".repeat(2000) + "y");
    for name in [
        "../../x:1",
        "a/../b:1",
        "/etc/passwd:1",
        "-x:1",
        "x y:1",
        "x\u{1b}[31m:1",
        "x\n:1",
        "http://x/y:1",
        "docker.io//x:1",
        "x:a/b",
        "x:-tag",
        "x@sha256:zz",
        "X/Y:1",
        "",
        &long,
    ] {
        let manifest =
            serde_json::json!([{"Config": "c.json", "RepoTags": [name], "Layers": []}]).to_string();
        let outcome = watched.load(&with_manifest(&manifest, &[("c.json", config)]));
        assert_eq!(outcome.status, 125, "{name:?}: {outcome}");
    }
    assert_eq!(watched.sandbox.line("images -aq").ok(), "");
}

#[test]
fn a_name_that_changes_its_type_ends_as_the_last_entry_says() {
    let watched = Watched::new();
    let target = watched.sandbox.path("outside").display().to_string();
    let layer = Raw::default()
        .entry(b'2', "a", b"", &target)
        .entry(b'5', "a/", b"", "")
        .file("a/inside", b"1")
        .file("b", b"was a file")
        .entry(b'2', "b", b"", &target)
        .file("b/dir/kept", b"through a link")
        .entry(b'5', "c/", b"", "")
        .file("c/x", b"1")
        .file("c", b"is a file")
        .entry(b'6', "d", b"", "")
        .entry(b'1', "d", b"", "c")
        .entry(b'2', "e", b"", &target)
        .file("e", b"is a file too")
        .end();
    let outcome = watched.load_layer(layer);
    if outcome.status == 0 {
        let script = "cat /a/inside; test ! -e /a/kept && cat /c /d /e; stat -c %F /c";
        let shown = watched.sandbox.dhow(["run", "--rm", "evil", "sh", "-c", script]).ok();
        assert_eq!(shown, "1is a fileis a fileis a file tooregular file\n");
        watched.remove();
    }
}

#[test]
fn large_headers_and_claims_take_no_memory() {
    let watched = Watched::new();
    let value = "v".repeat(3 << 20);
    let attempts = [
        Raw::default().pax("SCHILY.xattr.user.big", &value).file("f", b"x").end(),
        Raw::default().pax("comment", &value).file("f", b"x").end(),
        Raw::default().entry(b'L', "././@LongLink", &vec![b'n'; 3 << 20], "").file("f", b"x").end(),
        Raw::default().entry(b'K', "././@LongLink", &vec![b'n'; 3 << 20], "").file("f", b"x").end(),
        Raw::default().header(b'x', "pax", b"77777777777\0", "").file("f", b"x").end(),
        Raw::default().header(b'g', "pax", b"77777777777\0", "").file("f", b"x").end(),
        Raw::default().header(b'L', "long", b"77777777777\0", "").end(),
        Raw::default().pax("size", "9223372036854775807").file("f", b"x").end(),
        Raw::default().pax("GNU.sparse.map", &"0,1,".repeat(200_000)).file("f", b"x").end(),
        Raw::default().pax("GNU.sparse.realsize", "1152921504606846976").file("f", b"x").end(),
    ];
    for (n, layer) in attempts.into_iter().enumerate() {
        let outcome = watched.load_layer(layer);
        assert!(!outcome.stderr().is_empty() || outcome.status == 0, "attempt {n}: {outcome}");
        if outcome.status == 0 {
            watched.remove();
        }
    }
    assert_eq!(watched.sandbox.line("images -aq").ok(), "");
}

#[test]
fn a_bomb_that_keeps_to_its_declared_size_is_streamed() {
    let watched = Watched::new();
    let layer = Raw::default().file("zeros", &vec![0u8; 256 << 20]).end();
    let (diff_id, packed) = (sha256(&layer), gzip(&layer));
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let manifest = r#"[{"Config": "c.json", "RepoTags": ["localhost/bomb:1"], "Layers": ["l.tar"]}]"#;
    let archive = with_manifest(manifest, &[("c.json", config.to_string().as_bytes()), ("l.tar", &packed)]);
    let path = watched.sandbox.file("tmp/bomb.tar", archive);
    // A quarter of what it unpacks to must be enough.
    let script = "ulimit -d 65536; exec \"$0\" load -q -i \"$1\"";
    watched.sandbox.program("sh").args(["-c", script]).arg(crate::kit::sandbox::binary()).arg(path).ok();
    watched.remove();
}
