//! Contexts of every form that needs no network.

use std::os::unix::fs::symlink;

use super::*;
use crate::base::{fs, id};
use crate::layer::tree;
use crate::registry::ClientOptions;

struct Bench(PathBuf);

impl Bench {
    fn new() -> Bench {
        let dir = std::env::temp_dir().join(format!("dhow-context-{}", id::word()));
        fs::create_dir_all_with(&dir.join("root/staging"), 0o755).unwrap();
        Bench(dir)
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.0.join(path);
        fs::create_dir_all_with(path.parent().unwrap(), 0o755).unwrap();
        fs::replace(&path, content.as_bytes(), 0o644, fs::Durability::Volatile).unwrap();
    }

    fn open(&self, context: &str, files: &[&str], stdin: &[u8]) -> Result<Opened> {
        let client = Client::new(ClientOptions::default());
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let stdin = stdin.to_vec();
        let mut give = move || Box::new(std::io::Cursor::new(stdin.clone())) as Box<dyn Read + Send>;
        let root = self.0.join("root");
        let mut finder = Finder { client: &client, root: &root, cwd: &self.0, stdin: &mut give };
        open(&mut finder, &Wanted { context, files: &files, ignore_file: None })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        tree::remove(&self.0).unwrap();
    }
}

#[test]
fn dockerfiles_are_found_beside_the_caller_and_in_the_context() {
    let bench = Bench::new();
    bench.file("c/Dockerfile", "in c");
    bench.file("c/sub/Containerfile", "in sub");
    bench.file("Other", "outside");
    for (context, files, content) in [
        ("c", &[][..], "in c"),
        ("c/", &["c/Dockerfile"], "in c"),
        ("c", &["Dockerfile"], "in c"),
        ("c/sub", &[], "in sub"),
        ("c", &["Other"], "outside"),
        ("", &["c/Dockerfile"], "in c"),
        ("c", &["-"], "typed"),
        ("-", &[], "typed"),
    ] {
        let opened = bench.open(context, files, b"typed").unwrap();
        assert_eq!(opened.files[0].content, content, "{context} {files:?}");
    }
    assert!(bench.open("", &["c/Dockerfile"], b"").unwrap().context.root.exists(Path::new("sub")).unwrap());
    bench.file("c/binary", "a\0b");
    let none: &[&str] = &[];
    for (context, files) in [
        ("none", none),
        ("Other", none),
        ("c", &["none"]),
        ("c", &["sub"]),
        ("c", &["binary"]),
        ("-", &["-"]),
    ] {
        assert!(bench.open(context, files, b"x").is_err(), "{context} {files:?}");
    }
}

#[test]
fn a_dockerfile_is_a_link_only_inside_the_context() {
    let bench = Bench::new();
    bench.file("secret", "SECRET");
    bench.file("c/real/file", "inside");
    symlink("real/file", bench.0.join("c/Dockerfile")).unwrap();
    symlink("../secret", bench.0.join("c/Containerfile.out")).unwrap();
    symlink(bench.0.join("secret"), bench.0.join("c/Containerfile.abs")).unwrap();
    symlink("../secret", bench.0.join("c/.dockerignore")).unwrap();
    assert_eq!(bench.open("c", &[], b"").unwrap().files[0].content, "inside");
    for file in ["c/Containerfile.out", "c/Containerfile.abs", "Containerfile.out"] {
        assert!(bench.open("c", &[file], b"").is_err(), "{file}");
    }
}

#[test]
fn archives_on_standard_input_are_unpacked_and_swept() {
    let bench = Bench::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("./Dockerfile", "FROM scratch"), ("other/D", "FROM x"), ("../escape", "E")] {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        header.set_cksum();
        tar.append(&header, text.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut zstd = codec::encoder(Vec::new(), codec::Compression::Zstd, None).unwrap();
    std::io::Write::write_all(&mut zstd, &tar).unwrap();
    let zstd = zstd.finish().unwrap();
    for bytes in [&tar, &zstd] {
        let opened = bench.open("-", &[], bytes).unwrap();
        assert_eq!(opened.files[0].content, "FROM scratch");
        assert!(opened.context.root.exists(Path::new("escape")).unwrap() && !opened.context.lasting);
        assert_eq!(bench.open("-", &["other/D"], bytes).unwrap().files[0].content, "FROM x");
        assert!(bench.open("-", &[], &bytes[..bytes.len() / 3]).is_err());
    }
    assert_eq!(fs::read_dir(&bench.0.join("root/staging")).unwrap().len(), 0);
    assert!(!bench.0.join("escape").exists());
}

#[test]
fn named_contexts_are_told_apart() {
    let image = |name: &str| Named::Image(name.into());
    let layout = |path: &str, name: Option<&str>| Named::OciLayout(path.into(), name.map(str::to_owned));
    let by_digest = &format!("oci-layout://p@sha256:{:064}", 0);
    for (value, expected) in [
        ("../x", Named::Directory("../x".into())),
        ("a:b", Named::Directory("a:b".into())),
        ("docker-image://alpine:3", image("alpine:3")),
        ("docker://alpine", image("alpine")),
        ("container-image://h:5000/a", image("h:5000/a")),
        ("oci-layout:///p/q:tag", layout("/p/q", Some("tag"))),
        (by_digest, layout("p", Some(&by_digest["oci-layout://p@".len()..]))),
        ("oci-layout:p/q", layout("p/q", None)),
        ("https://h/x.git#main", Named::Remote("https://h/x.git#main".into())),
        ("https://h/x.tgz", Named::Remote("https://h/x.tgz".into())),
    ] {
        assert_eq!(Named::parse(value).unwrap(), expected, "{value}");
    }
    assert!(Named::parse("oci-layout://p@sha256:00").is_err());
    assert!(Named::parse("").is_err() && Named::parse("nope://x").is_err());
}
