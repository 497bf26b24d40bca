//! Archives that want out, that lie, that are odd: each in a row of a table, built in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{LayerInfo, Options, Store, tree};
use crate::base::digest::Digest;
use crate::base::error::{Result, render};
use crate::base::{fs, id};
use crate::sys::xattr;

/// A store in a temporary directory, with a file beside it that nothing may touch.
pub(super) struct Sandbox {
    pub(super) dir: PathBuf,
    pub(super) store: Store,
}

impl Sandbox {
    pub(super) fn new() -> Sandbox {
        let dir = std::env::temp_dir().join(format!("dhow-layer-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        fs::replace(&dir.join("outside"), b"host", 0o600, fs::Durability::Volatile).unwrap();
        let options = Options { rootless: is_rootless(), ..Options::default() };
        let store = Store::open(&dir.join("root"), options).unwrap();
        Sandbox { dir, store }
    }

    pub(super) fn unpack(&self, tar: &[u8]) -> Result<LayerInfo> {
        self.store.unpack(&Digest::of(tar), &mut &*tar, &|_| {})
    }

    /// Unpacks, proves that the exact bytes come back, and gives the tree.
    pub(super) fn tree(&self, tar: &Tar) -> PathBuf {
        let tar = tar.clone().end();
        let info = self.unpack(&tar).unwrap_or_else(|error| panic!("{}", render(&error)));
        let mut back = Vec::new();
        self.store.write_tar(&info.diff_id, &mut back).unwrap_or_else(|error| panic!("{}", render(&error)));
        assert!(back == tar, "the exact bytes must come back");
        self.store.diff_dir(&info.diff_id)
    }

    fn assert_untouched(&self) {
        let meta = std::fs::metadata(self.dir.join("outside")).unwrap();
        assert_eq!(fs::read(&self.dir.join("outside")).unwrap(), b"host");
        assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o600, 1));
        let names = fs::read_dir(&self.dir).unwrap().len();
        assert_eq!(names, 2, "something was made outside");
    }
}

/// Whether this is root in a user namespace only (`unshare -r --map-auto` around the tests).
pub(super) fn is_rootless() -> bool {
    crate::sys::userns::restricted()
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        tree::remove(&self.dir).unwrap();
    }
}

/// An archive being written.
#[derive(Clone, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn header(mut self, kind: u8, name: &[u8], size: u64, link: &[u8], mode: u32) -> Tar {
        let mut block = [0u8; 512];
        block[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
        block[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        for at in [108, 116] {
            block[at..at + 8].copy_from_slice(b"0000000\0");
        }
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"00000001234\0");
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        self.0.extend_from_slice(&block);
        self.sum()
    }

    /// Changes bytes of the last header.
    pub(super) fn with(mut self, at: usize, bytes: &[u8]) -> Tar {
        let start = self.0.len() - 512;
        self.0[start + at..start + at + bytes.len()].copy_from_slice(bytes);
        self.sum()
    }

    fn sum(mut self) -> Tar {
        let start = self.0.len() - 512;
        let block = &mut self.0[start..];
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self
    }

    pub(super) fn data(mut self, bytes: &[u8]) -> Tar {
        self.0.extend_from_slice(bytes);
        let padding = self.0.len().next_multiple_of(512);
        self.0.resize(padding, 0);
        self
    }

    pub(super) fn file(self, name: &str, bytes: &[u8]) -> Tar {
        self.header(b'0', name.as_bytes(), bytes.len() as u64, b"", 0o644).data(bytes)
    }

    pub(super) fn dir(self, name: &str, mode: u32) -> Tar {
        self.header(b'5', name.as_bytes(), 0, b"", mode)
    }

    pub(super) fn link(self, name: &str, target: &str) -> Tar {
        self.header(b'2', name.as_bytes(), 0, target.as_bytes(), 0o777)
    }

    pub(super) fn hard(self, name: &str, target: &str) -> Tar {
        self.header(b'1', name.as_bytes(), 0, target.as_bytes(), 0o777)
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = 3 + key.len() + value.len();
            let mut length = body + 1;
            while length != body + length.to_string().len() {
                length = body + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.header(b'x', b"pax", data.len() as u64, b"", 0o644).data(&data)
    }

    pub(super) fn end(self) -> Vec<u8> {
        let mut bytes = self.0;
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }
}

fn tar() -> Tar {
    Tar::default()
}

fn read(path: PathBuf) -> Vec<u8> {
    fs::read(&path).unwrap()
}

#[test]
fn nothing_leaves_the_root() {
    let far = "../".repeat(12);
    let rows: Vec<(&str, Tar, &str)> = vec![
        ("dots", tar().file(&format!("{far}tmp/x"), b"in"), "tmp/x"),
        ("absolute", tar().file("/etc/x", b"in"), "etc/x"),
        ("pax path", tar().pax(&[("path", b"/../../y")]).file("z", b"in"), "y"),
        ("prefix", tar().header(b'0', b"x", 2, b"", 0o644).with(345, b"../../p").data(b"in"), "p/x"),
        ("link parent", tar().link("d", "/tmp").file("d/x", b"in"), "tmp/x"),
        ("link chain", tar().link("a", "b").link("b", "../../../c").file("a/x", b"in"), "c/x"),
        ("link replaced", tar().link("outside", "../../../../outside").file("outside", b"in"), "outside"),
        ("proc link", tar().link("d", "/proc/self/root").file("d/x", b"in"), "proc/self/root/x"),
        ("replaced dir", tar().dir("d", 0o755).link("d", "/tmp").file("d/x", b"in"), "tmp/x"),
        ("hard link", tar().file("a", b"in").hard("b", "/../a"), "b"),
        ("hard link via link", tar().file("t/a", b"in").link("l", "/t").hard("b", "l/a"), "b"),
    ];
    for (name, archive, path) in rows {
        let sandbox = Sandbox::new();
        let tree = sandbox.tree(&archive);
        assert_eq!(read(tree.join(path)), b"in", "{name}");
        sandbox.assert_untouched();
    }
}

#[test]
fn lies_are_refused_and_leave_nothing() {
    let whole = tar().file("a", &[7; 2000]).end();
    let long = vec![b'n'; 300];
    let big = format!("{}", 7u64 << 30);
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("truncated content", whole[..1000].to_vec()),
        ("truncated header", whole[..300].to_vec()),
        ("bad checksum", {
            let mut bytes = whole.clone();
            bytes[0] = b'b';
            bytes
        }),
        ("zero block inside", [vec![0; 512], whole.clone()].concat()),
        ("negative size", tar().header(b'0', b"a", 0, b"", 0o644).with(124, &[0xff; 12]).end()),
        (
            "huge size",
            tar().header(b'0', b"a", 0, b"", 0o644).with(124, b"\x80\0\0\0\x80\0\0\0\0\0\0\0").end(),
        ),
        ("huge pax", tar().header(b'x', b"p", 7 << 30, b"", 0o644).end()),
        ("pax size beyond", tar().pax(&[("size", big.as_bytes())]).file("a", b"x").end()),
        ("unknown type", tar().header(b'Z', b"a", 0, b"", 0o644).end()),
        ("hard link out", tar().hard("x", "../../../../outside").end()),
        ("hard link to link out", tar().link("l", "/").hard("x", "l/outside").end()),
        ("hard link to root", tar().hard("x", "/").end()),
        ("root as link", tar().link("./", "/tmp").end()),
        ("empty name", tar().file("", b"x").end()),
        ("whiteout of nothing", tar().file(".wh.", b"").end()),
        ("whiteout of dots", tar().file("d/.wh...", b"").end()),
        ("long component", tar().pax(&[("path", &long)]).file("a", b"").end()),
        ("uid of nobody at all", tar().pax(&[("uid", b"4294967295")]).file("a", b"").end()),
        ("uid overflow", tar().pax(&[("uid", b"99999999999")]).file("a", b"").end()),
        ("sparse beyond", {
            let map = [("GNU.sparse.map", &b"0,1,9,1"[..]), ("GNU.sparse.size", b"5")];
            tar().pax(&map).file("a", b"xy").end()
        }),
        ("file as parent", tar().file("a", b"").file("a/b", b"").end()),
        ("bad capability", tar().pax(&[("SCHILY.xattr.security.capability", b"xx")]).file("a", b"").end()),
    ];
    for (name, bytes) in rows {
        let sandbox = Sandbox::new();
        let error = sandbox.unpack(&bytes).expect_err(name);
        assert!(!render(&error).is_empty());
        assert_eq!(fs::read_dir(&sandbox.dir.join("root/staging")).unwrap().len(), 0, "{name}");
        assert!(sandbox.store.list().unwrap().is_empty(), "{name}");
        sandbox.assert_untouched();
    }
    let sandbox = Sandbox::new();
    let other = Digest::of(b"something else");
    assert!(sandbox.store.unpack(&other, &mut &whole[..], &|_| {}).is_err());
    assert!(sandbox.store.unpack_new(&mut &whole[..whole.len() - 1024], &|_| {}).is_err());
}

#[test]
fn whiteouts_hide_what_is_below_and_never_what_the_layer_adds() {
    let sandbox = Sandbox::new();
    let tree = sandbox.tree(
        &tar()
            .file("d/.wh.gone", b"")
            .file("d/kept", b"in")
            .file("d/.wh.kept", b"")
            .file("d/.wh.later", b"")
            .file("d/later", b"in")
            .file(".wh.new", b"")
            .dir("new", 0o755)
            .dir("old", 0o755)
            .file(".wh.old", b"")
            .file("opaque/.wh..wh..opq", b"")
            .file("opaque/x", b"in")
            .file(".wh..wh.plnk/1.2", b"")
            .file(".wh..wh.aufs", b""),
    );
    assert_eq!((read(tree.join("d/kept")), read(tree.join("d/later"))), (b"in".to_vec(), b"in".to_vec()));
    let gone = std::fs::symlink_metadata(tree.join("d/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let root = std::fs::File::options().read(true).open(&tree).unwrap();
    let attribute: &[u8] = if is_rootless() { b"user.overlay.opaque" } else { b"trusted.overlay.opaque" };
    let opaque = |name: &str| xattr::get_at(&root, Path::new(name), attribute).unwrap();
    for name in ["new", "old", "opaque"] {
        assert_eq!(opaque(name).as_deref(), Some(&b"y"[..]), "{name}");
    }
    assert_eq!(opaque("d"), None);
    let names: Vec<_> = fs::read_dir(&tree).unwrap().iter().map(std::fs::DirEntry::file_name).collect();
    assert!(!names.iter().any(|name| name.as_bytes().starts_with(b".wh.")), "{names:?}");
}

#[test]
fn metadata_survives_in_the_right_order() {
    let sandbox = Sandbox::new();
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let tree = sandbox.tree(
        &tar()
            .pax(&[
                ("uid", b"1234"),
                ("mtime", b"-1.5"),
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
                ("SCHILY.xattr.user.overlay.whiteout", b"y"),
            ])
            .header(b'0', b"caps", 1, b"", 0o4755)
            .data(b"x")
            .dir("closed", 0)
            .file("closed/f", b"in")
            .dir("setgid", 0o2775)
            .file("setgid/f", b"in")
            .header(b'6', b"fifo", 0, b"", 0o600)
            .header(b'3', b"null", 0, b"", 0o666)
            .with(329, b"0000001\0")
            .with(337, b"0000003\0")
            .header(b'3', b"whiteout", 0, b"", 0o666),
    );
    let meta = |name: &str| std::fs::symlink_metadata(tree.join(name)).unwrap();
    assert_eq!((meta("caps").mode() & 0o7777, meta("caps").uid()), (0o4755, 1234));
    assert_eq!((meta("caps").mtime(), meta("caps").mtime_nsec()), (-2, 500_000_000));
    let root = std::fs::File::options().read(true).open(&tree).unwrap();
    let names: Vec<_> =
        xattr::all_at(&root, Path::new("caps")).unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(names, [c"security.capability".to_owned()]);
    assert_eq!((meta("closed").mode() & 0o7777, meta("closed").mtime()), (0, 0o1234));
    assert_eq!((meta("setgid").mode() & 0o7777, meta("setgid/f").gid()), (0o2775, 0));
    assert!(meta("fifo").file_type().is_fifo());
    assert!(is_rootless() || meta("null").file_type().is_char_device());
    assert!(!tree.join("whiteout").exists());
    assert_eq!(meta("").permissions().mode() & 0o7777, 0o755);
}

#[test]
fn duplicates_and_swaps_end_as_the_last_entry_says() {
    let sandbox = Sandbox::new();
    let tree = sandbox.tree(
        &tar()
            .file("a", b"first")
            .file("a", b"second, longer")
            .file("a", b"third")
            .dir("d", 0o700)
            .file("d/x", b"deep")
            .file("d", b"now a file")
            .file("f", b"was a file")
            .dir("f", 0o711)
            .file("f/y", b"y")
            .hard("g", "a")
            .file("a", b"fourth"),
    );
    assert_eq!(read(tree.join("a")), b"fourth");
    assert_eq!(read(tree.join("g")), b"third");
    assert_eq!(read(tree.join("d")), b"now a file");
    assert_eq!(read(tree.join("f/y")), b"y");
}

#[test]
fn pax_size_wins_over_the_header() {
    let sandbox = Sandbox::new();
    let inner = tar().file("smuggled", b"x").end();
    let size = inner.len().to_string();
    let archive = tar().pax(&[("size", size.as_bytes())]).header(b'0', b"a", 0, b"", 0o644).data(&inner);
    let tree = sandbox.tree(&archive);
    assert_eq!(read(tree.join("a")), inner);
    assert!(!tree.join("smuggled").exists());
}

#[test]
fn sparse_files_become_holes_in_every_dialect() {
    let sandbox = Sandbox::new();
    let size = b"1073741824";
    let gnu = |tar: Tar| {
        tar.header(b'S', b"gnu", 4, b"", 0o644)
            .with(257, b"ustar  \0")
            .with(386, b"00004000000\x0000000000002\0")
            .with(410, b"07777777776\x0000000000002\0")
            .with(483, b"10000000000\0")
            .data(b"abcd")
    };
    let v00: [(&str, &[u8]); 6] = [
        ("GNU.sparse.size", size),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"1048576"),
        ("GNU.sparse.numbytes", b"2"),
        ("GNU.sparse.offset", b"1073741822"),
        ("GNU.sparse.numbytes", b"2"),
    ];
    let v01: [(&str, &[u8]); 3] = [
        ("GNU.sparse.size", size),
        ("GNU.sparse.name", b"v01"),
        ("GNU.sparse.map", b"1048576,2,1073741822,2"),
    ];
    let v10: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"v10"),
        ("GNU.sparse.realsize", size),
    ];
    let map = b"2\n1048576\n2\n1073741822\n2\n";
    let archive = gnu(tar())
        .pax(&v00)
        .file("v00", b"abcd")
        .pax(&v01)
        .file("GNUSparseFile.1/v01", b"abcd")
        .pax(&v10)
        .header(b'0', b"GNUSparseFile.1/v10", 516, b"", 0o644)
        .data(map)
        .data(b"abcd")
        .file("after", b"after");
    let tree = sandbox.tree(&archive);
    for name in ["gnu", "v00", "v01", "v10"] {
        let meta = std::fs::metadata(tree.join(name)).unwrap();
        assert!(meta.len() == 1 << 30 && meta.blocks() < 100, "{name}");
        let file = std::fs::File::options().read(true).open(tree.join(name)).unwrap();
        let mut bytes = [0; 3];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 1 << 20).unwrap();
        assert_eq!(&bytes, b"ab\0", "{name}");
    }
    assert_eq!(read(tree.join("after")), b"after");
}

#[test]
fn odd_names_and_depths_work() {
    let sandbox = Sandbox::new();
    let deep = vec!["d"; 5000].join("/");
    let deeper = format!("{deep}/file");
    let tree = sandbox.tree(
        &tar()
            .file("new\nline", b"in")
            .header(b'0', b"esc\x1b[31m\xff\xfe", 0, b"", 0o644)
            .pax(&[("path", deeper.as_bytes())])
            .file("x", b"in")
            .header(b'L', b"././@LongLink", 205, b"", 0)
            .data(format!("{}\0", ["l".repeat(101), "m".repeat(102)].join("/")).as_bytes())
            .file("short", b"in")
            .pax(&[("mtime", b"9223372036854775807")])
            .file("future", b"in"),
    );
    assert_eq!(read(tree.join("new\nline")), b"in");
    assert!(tree.join(OsStr::from_bytes(b"esc\x1b[31m\xff\xfe")).exists());
    assert_eq!(read(tree.join("l".repeat(101)).join("m".repeat(102))), b"in");
}

#[test]
fn many_entries_take_linear_time() {
    let took = |entries: u32| {
        let sandbox = Sandbox::new();
        let mut archive = tar();
        for n in 0..entries {
            archive = archive.file(&format!("d{}/f{n}", n % 7), b"");
            archive = archive.file(&format!("d{}/.wh.f{n}", n % 7), b"");
        }
        let start = std::time::Instant::now();
        sandbox.tree(&archive);
        start.elapsed()
    };
    // Eight times the entries: 64 times as long were it quadratic. A busy machine may spoil one comparison.
    assert!((0..5).any(|_| took(16_000) < took(2_000) * 24));
}

#[test]
fn large_layers_stream_through_both_threads() {
    let sandbox = Sandbox::new();
    let noise: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let archive = tar().file("one", &noise).file("two", &noise[..1_234_567]).file("three", b"");
    let tree = sandbox.tree(&archive);
    assert!(read(tree.join("one")) == noise);
    let bytes = archive.end();
    let info = sandbox.unpack(&bytes).unwrap();
    assert_eq!((info.entries, info.size), (3, 4_234_567));
    assert_eq!(sandbox.store.list().unwrap(), std::slice::from_ref(&info));
    let blob = super::Blob { digest: Digest::of(b"gz"), media_type: "x".into(), size: 2 };
    sandbox.store.remember_blob(&info.diff_id, &blob).unwrap();
    assert_eq!(sandbox.store.blob_for(&blob.digest), Some(info.diff_id.clone()));
    let taken = super::usage::size(&sandbox.store.own_dir(&info.diff_id)).unwrap();
    assert!(taken > info.size);
    assert_eq!(sandbox.store.remove(&info.diff_id).unwrap(), taken);
    assert!(sandbox.store.blob_for(&blob.digest).is_none() && !sandbox.store.has(&info.diff_id));
}

#[test]
fn a_crash_leaves_only_what_the_sweep_takes() {
    let sandbox = Sandbox::new();
    let staging = sandbox.dir.join("root/staging");
    fs::create_dir_all(&staging.join("0123/diff/x")).unwrap();
    let held = sandbox.store.stage().unwrap();
    assert_eq!(sandbox.store.sweep().unwrap(), 1);
    assert!(held.path().exists() && !staging.join("0123").exists());
}
