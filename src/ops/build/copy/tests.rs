//! Copies between real directories, hostile ones among them.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::base::{fs, id};
use crate::layer::tree;

/// A directory of a test, with a context `c` and a root file system `r`.
struct Bench {
    dir: PathBuf,
    exclude: Ignore,
}

impl Bench {
    fn new() -> Bench {
        let dir = std::env::temp_dir().join(format!("dhow-copy-{}", id::word()));
        for name in ["c", "r", "out"] {
            fs::create_dir_all_with(&dir.join(name), 0o755).unwrap();
        }
        Bench { dir, exclude: Ignore::default() }
    }

    fn c(&self, path: &str) -> PathBuf {
        self.dir.join("c").join(path)
    }

    fn r(&self, path: &str) -> PathBuf {
        self.dir.join("r").join(path)
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.dir.join(path);
        fs::create_dir_all_with(path.parent().unwrap(), 0o755).unwrap();
        fs::replace(&path, content.as_bytes(), 0o644, fs::Durability::Volatile).unwrap();
    }

    fn scan(&self, words: &[&str], change: impl FnOnce(&mut Request<'_>)) -> Result<Scan> {
        let origin = RootDir::open(&self.dir.join("c")).unwrap();
        let sources: Vec<TransferSource> =
            words.iter().map(|word| TransferSource::Path((*word).into())).collect();
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let mut request = Request {
            origin: &origin,
            called: "the build context",
            sources: &sources,
            several: false,
            ignore: None,
            exclude: &self.exclude,
            parents: false,
            chown: Some(me),
            keep_owners: false,
            chmod: None,
        };
        change(&mut request);
        scan(&request, None)
    }

    fn put(&self, scan: &Scan, to: &str, options: PlaceOptions) -> Result<Placed> {
        let root = RootDir::open(&self.dir.join("r")).unwrap();
        place(scan, &root, &Destination::new("/", to), &options)
    }

    fn copy(&self, words: &[&str], to: &str) -> Result<Placed> {
        self.put(&self.scan(words, |_| {})?, to, PlaceOptions::default())
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(&self.r(path)).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        tree::remove(&self.dir).unwrap();
    }
}

#[test]
fn files_and_directories_follow_the_rules_of_the_destination() {
    let bench = Bench::new();
    bench.file("c/a", "A");
    bench.file("c/d/b", "B");
    bench.file("c/d/e/f", "F");
    std::fs::set_permissions(bench.c("d/b"), std::fs::Permissions::from_mode(0o4750)).unwrap();
    bench.copy(&["a"], "/x/y").unwrap();
    bench.copy(&["a"], "/x/z/").unwrap();
    bench.copy(&["d"], "/whole").unwrap();
    bench.copy(&["a", "d"], "both/").unwrap();
    assert_eq!((bench.read("x/y"), bench.read("x/z/a")), ("A".into(), "A".into()));
    assert_eq!((bench.read("whole/b"), bench.read("whole/e/f")), ("B".into(), "F".into()));
    assert_eq!((bench.read("both/a"), bench.read("both/b")), ("A".into(), "B".into()));
    let (from, to) =
        (std::fs::metadata(bench.c("d/b")).unwrap(), std::fs::metadata(bench.r("whole/b")).unwrap());
    assert_eq!((to.mode() & 0o7777, to.mtime_nsec()), (0o4750, from.mtime_nsec()));
    assert_eq!(std::fs::metadata(bench.r("x")).unwrap().mode() & 0o7777, 0o755);
    // A file that is there is replaced, a directory is not; files do not become directories.
    bench.file("c/a", "AA");
    bench.copy(&["a"], "/x/z").unwrap();
    assert_eq!(bench.read("x/z/a"), "AA");
    fs::create_dir_all(&bench.c("e2/b")).unwrap();
    for (words, to) in
        [(&["e2"][..], "/whole"), (&["a"], "/whole/b/"), (&["a", "d"], "/many"), (&["none"], "/")]
    {
        assert!(bench.copy(words, to).is_err(), "{words:?} to {to}");
    }
}

#[test]
fn parents_keep_the_path_from_the_mark_on() {
    let bench = Bench::new();
    bench.file("c/p/q/r/f", "F");
    std::fs::set_permissions(bench.c("p/q"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let parents = |words: &[&str]| bench.scan(words, |request| request.parents = true).unwrap();
    bench.put(&parents(&["p/q/r/f"]), "/one/", PlaceOptions::default()).unwrap();
    bench.put(&parents(&["p/./q/r"]), "/two", PlaceOptions::default()).unwrap();
    assert_eq!((bench.read("one/p/q/r/f"), bench.read("two/q/r/f")), ("F".into(), "F".into()));
    assert_eq!(std::fs::metadata(bench.r("two/q")).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn nothing_is_read_or_written_outside() {
    let bench = Bench::new();
    bench.file("out/secret", "SECRET");
    bench.file("c/etc/passwd", "inner");
    for (name, target) in [
        ("rel", "../out/secret"),
        ("abs", bench.dir.join("out/secret").to_str().unwrap()),
        ("dir", "../../../../../etc"),
        ("up", ".."),
        ("loop", "loop"),
    ] {
        symlink(target, bench.c(name)).unwrap();
    }
    for word in ["rel", "abs", "loop", "../out/secret", "dir/shadow", "up/out/secret", "/proc/self/environ"] {
        assert!(bench.copy(&[word], "/got").is_err(), "{word}");
    }
    bench.copy(&["dir/passwd"], "/got").unwrap();
    assert_eq!(bench.read("got"), "inner");
    // Links inside a directory stay links.
    bench.copy(&["."], "/all/").unwrap();
    assert_eq!(std::fs::read_link(bench.r("all/rel")).unwrap(), Path::new("../out/secret"));
    // Links of the image lead inside the image.
    symlink(bench.dir.join("out"), bench.r("evil")).unwrap();
    symlink("/../../../../../out", bench.r("evil2")).unwrap();
    symlink("../out/secret", bench.r("evilfile")).unwrap();
    bench.file("c/new", "N");
    bench.file("c/sub/evil/new", "N");
    for to in ["/evil/", "/evil2/x", "/evilfile"] {
        let _ = bench.copy(&["new"], to);
    }
    let _ = bench.copy(&["sub"], "/");
    let names: Vec<_> = fs::read_dir(&bench.dir.join("out")).unwrap().iter().map(|e| e.file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read_to_string(&bench.dir.join("out/secret")).unwrap(), "SECRET");
    assert_eq!(fs::read_to_string(&bench.r("out/secret")).unwrap(), "N");
}

#[test]
fn links_holes_and_special_files_stay_what_they_are() {
    let bench = Bench::new();
    bench.file("c/d/one", "1");
    std::fs::hard_link(bench.c("d/one"), bench.c("d/two")).unwrap();
    let sparse = fs::create(&bench.c("d/sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    let here = fs::open(&bench.c("d")).unwrap();
    use crate::sys::file::{FileType, mknod_at};
    mknod_at(&here, Path::new("fifo"), FileType::Fifo, 0o644, 0).unwrap();
    mknod_at(&here, Path::new("socket"), FileType::Socket, 0o644, 0).unwrap();
    fs::rename(&bench.c("d/one"), &bench.c("d/name \u{1b}\n of bytes")).unwrap();
    bench.copy(&["d"], "/").unwrap();
    let of = |name: &str| std::fs::symlink_metadata(bench.r(name)).unwrap();
    assert_eq!(of("two").ino(), of("name \u{1b}\n of bytes").ino());
    assert!(of("sparse").len() == 64 << 20 && of("sparse").blocks() < 100);
    assert!(!bench.r("socket").exists());
    use std::os::unix::fs::FileTypeExt;
    assert!(of("fifo").file_type().is_fifo());
    // The name alone of a FIFO does not make it be opened either.
    bench.copy(&["d/fifo"], "/other").unwrap();
    assert!(of("other").file_type().is_fifo());
}

#[test]
fn trees_deeper_than_descriptors_and_paths_are_copied() {
    let bench = Bench::new();
    let mut dir = RootDir::open(&bench.c("")).unwrap().open_dir(Path::new(".")).unwrap();
    for n in 0..1500 {
        let name = PathBuf::from(format!("d{n:04}"));
        crate::sys::file::mkdir_at(&dir, &name, 0o755).unwrap();
        dir = dirs::open_dir(&dir, &name).unwrap();
    }
    let scan = bench.scan(&["."], |_| {}).unwrap();
    assert_eq!(scan.len(), 1500);
    bench.put(&scan, "/", PlaceOptions::default()).unwrap();
    let origin = RootDir::open(&bench.r("")).unwrap();
    assert!(origin.exists(&scan.items[0].entries[1499].path).unwrap());
}

#[test]
fn the_digest_is_of_what_arrives_and_of_nothing_else() {
    let bench = Bench::new();
    bench.file("c/d/a", "A");
    bench.file("c/d/b", "B");
    let scan = || bench.scan(&["d"], |_| {}).unwrap();
    let first = scan();
    let touched = crate::sys::file::Timespec { tv_sec: 5, tv_nsec: 0 };
    crate::sys::file::set_mtime(fs::open(&bench.c("d/a")).unwrap(), touched).unwrap();
    assert_eq!(scan().digest(), first.digest());
    bench.file("c/d/b", "X");
    let changed = scan();
    assert_ne!(changed.digest(), first.digest());
    let said = changed.inventory().first_difference(&first.inventory()).unwrap().to_string();
    assert_eq!(said, "d/b changed");
    bench.file("c/d/b", "B");
    assert_eq!(scan().digest(), first.digest());
    std::fs::set_permissions(bench.c("d/b"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(scan().digest(), first.digest());
    assert_ne!(bench.scan(&["d"], |r| r.chown = Some((7, 7))).unwrap().digest(), scan().digest());
    assert_ne!(bench.scan(&["d/a", "d/b"], |_| {}).unwrap().digest(), scan().digest());
}

#[test]
fn known_files_are_not_read_again_unless_they_changed() {
    let bench = Bench::new();
    bench.file("c/a", "A");
    let origin = RootDir::open(&bench.c("")).unwrap();
    let state = bench.dir.join("state");
    let sources = [TransferSource::Path(".".into())];
    let request = Request {
        origin: &origin,
        called: "the build context",
        sources: &sources,
        several: false,
        ignore: None,
        exclude: &bench.exclude,
        parents: false,
        chown: None,
        keep_owners: false,
        chmod: None,
    };
    let digest = |wait: bool| {
        let mut known = Known::open(&state, &origin).unwrap();
        if wait {
            known.pretend_later(10);
        }
        let digest = scan(&request, Some(&mut known)).unwrap().digest();
        known.save().unwrap();
        (digest, known.len())
    };
    let (first, known) = digest(false);
    assert_eq!(known, 0, "a file that just changed must not be trusted");
    assert_eq!(digest(true), (first.clone(), 1));
    assert_eq!(digest(true), (first.clone(), 1));
    // Same size, same modification time, other content.
    let before = std::fs::metadata(bench.c("a")).unwrap();
    std::os::unix::fs::FileExt::write_at(
        &std::fs::OpenOptions::new().write(true).open(bench.c("a")).unwrap(),
        b"B",
        0,
    )
    .unwrap();
    let mtime = crate::sys::file::Timespec { tv_sec: before.mtime(), tv_nsec: before.mtime_nsec() };
    crate::sys::file::set_mtime(fs::open(&bench.c("a")).unwrap(), mtime).unwrap();
    assert_ne!(digest(true).0, first);
}

#[test]
fn archives_are_unpacked_by_content_and_stay_inside() {
    let bench = Bench::new();
    let tar = |entries: &[(&str, &str)]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in entries {
            let mut header = tar::Header::new_ustar();
            let bytes = name.as_bytes();
            header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
            header.set_mode(0o640);
            header.set_size(text.len() as u64);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    };
    let gz = |bytes: &[u8]| {
        use std::io::Write;
        let mut out =
            crate::layer::codec::encoder(Vec::new(), crate::layer::codec::Compression::Gzip, None).unwrap();
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let write = |name: &str, bytes: &[u8]| {
        fs::replace(&bench.c(name), bytes, 0o644, fs::Durability::Volatile).unwrap();
    };
    write("odd.txt", &gz(&tar(&[("d/a", "A"), ("../../escape", "E")])));
    write("plain.gz", &gz(b"no tar"));
    let unpack = PlaceOptions { unpack: true, ignore_chown_errors: false };
    fs::create_dir_all(&bench.r("real")).unwrap();
    symlink("/real", bench.r("link")).unwrap();
    bench.put(&bench.scan(&["odd.txt"], |_| {}).unwrap(), "/link", unpack).unwrap();
    bench.put(&bench.scan(&["plain.gz"], |_| {}).unwrap(), "/copied", unpack).unwrap();
    bench.copy(&["odd.txt"], "/packed").unwrap();
    assert_eq!((bench.read("real/d/a"), bench.read("real/escape")), ("A".into(), "E".into()));
    assert!(bench.r("copied").is_file() && bench.r("packed").is_file());
    assert!(!bench.dir.join("escape").exists());
}

#[test]
fn files_given_in_place_are_put_under_their_plain_names() {
    let bench = Bench::new();
    bench.file("c/a", "A");
    let origin = RootDir::open(&bench.c("")).unwrap();
    let sources = [
        TransferSource::Inline { name: "conf/../x.conf".into(), content: "k=v\n".into() },
        TransferSource::Path("a".into()),
    ];
    let mut scan = bench.scan(&["a"], |_| {}).unwrap();
    let request = Request {
        origin: &origin,
        called: "the build context",
        sources: &sources,
        several: false,
        ignore: None,
        exclude: &bench.exclude,
        parents: false,
        chown: scan.chown,
        keep_owners: false,
        chmod: None,
    };
    scan = super::scan(&request, None).unwrap();
    bench.put(&scan, "/etc/", PlaceOptions::default()).unwrap();
    assert_eq!(bench.read("etc/x.conf"), "k=v\n");
    assert_eq!(bench.read("etc/a"), "A");
}
