//! Mounts, variants, copies and differences, on layers made in memory. As root, or as root of a user
//! namespace (`unshare -r --map-auto -m`).

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::diff::ChangeKind;
use super::hostile::{Sandbox, Tar, is_rootless};
use super::{Driver, MountRequest, Options, Shift, Store};
use crate::base::digest::Digest;
use crate::base::fs;
use crate::sys::rootdir::RootDir;
use crate::sys::userns::IdMap;

fn tar() -> Tar {
    Tar::default()
}

fn add(sandbox: &Sandbox, tar: Tar) -> Digest {
    sandbox.unpack(&tar.end()).unwrap().diff_id
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Base, and a layer that changes, deletes, replaces and implies.
fn image(sandbox: &Sandbox) -> Vec<Digest> {
    let base = tar()
        .dir("usr", 0o711)
        .dir("usr/bin", 0o750)
        .file("usr/bin/tool", b"old")
        .file("usr/bin/gone", b"x")
        .dir("opaque", 0o755)
        .file("opaque/hidden", b"x")
        .file("kept", b"kept");
    let top = tar()
        .file("usr/bin/tool", b"new")
        .file("usr/bin/.wh.gone", b"")
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/shown", b"x");
    vec![add(sandbox, base), add(sandbox, top)]
}

fn read(root: &RootDir, path: &str) -> Option<Vec<u8>> {
    root.read_small(Path::new(path), 1000).unwrap()
}

fn other(sandbox: &Sandbox, driver: Driver) -> Store {
    let options = Options { driver: Some(driver), rootless: is_rootless() };
    Store::open(&sandbox.dir.join("root"), options).unwrap()
}

#[test]
fn both_drivers_show_the_same_image_and_the_same_changes() {
    if !is_root() {
        return;
    }
    for driver in [Driver::Overlay, Driver::Vfs] {
        let sandbox = Sandbox::new();
        let layers = image(&sandbox);
        let store = other(&sandbox, driver);
        let dir = sandbox.dir.join("root/container");
        fs::create_dir_all(&dir).unwrap();
        store.create_container_dir(&dir, &layers).unwrap();
        assert_eq!(store.diff(&layers, &dir).unwrap(), [], "{driver:?}");
        let request = MountRequest { layers: &layers, dir: Some(&dir), ..MountRequest::default() };
        let mounted = store.mount(&request).unwrap();
        let path =
            std::path::PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&mounted)));
        let root = RootDir::from_fd(mounted.try_clone().unwrap());
        assert_eq!(read(&root, "usr/bin/tool").unwrap(), b"new");
        assert_eq!(read(&root, "usr/bin/gone"), None);
        assert_eq!(read(&root, "opaque/hidden"), None);
        assert_eq!(read(&root, "opaque/shown").unwrap(), b"x");
        // `usr` is implied by the top layer: its mode comes from below.
        assert_eq!(root.stat(Path::new("usr")).unwrap().st_mode & 0o7777, 0o711);
        assert_eq!(root.stat(Path::new("usr/bin")).unwrap().st_mode & 0o7777, 0o750);
        fs::replace(&path.join("usr/bin/tool"), b"changed", 0o755, fs::Durability::Volatile).unwrap();
        fs::create_dir_all(&path.join("new/dir")).unwrap();
        fs::replace(&path.join("new/dir/f"), b"f", 0o644, fs::Durability::Volatile).unwrap();
        fs::remove_file(&path.join("kept")).unwrap();
        drop((root, mounted));
        let changes = store.diff(&layers, &dir).unwrap();
        let lines: Vec<String> =
            changes.iter().map(|c| format!("{} {}", c.kind.letter(), c.path.display())).collect();
        let wanted = ["D kept", "A new", "A new/dir", "A new/dir/f", "C usr", "C usr/bin", "C usr/bin/tool"];
        assert_eq!(lines, wanted, "{driver:?}");
        assert!(changes.iter().all(|c| c.kind != ChangeKind::Changed || c.path != Path::new("new")));
        let mut commit = Vec::new();
        store.write_diff_tar(&layers, &dir, None, &|_| true, &mut commit).unwrap();
        let third = store.unpack_new(&mut &commit[..], &|_| {}).unwrap();
        let layers = [layers, vec![third.diff_id]].concat();
        let request = MountRequest { layers: &layers, ..MountRequest::default() };
        let root = RootDir::from_fd(store.mount(&request).unwrap());
        assert_eq!(read(&root, "usr/bin/tool").unwrap(), b"changed");
        assert_eq!((read(&root, "kept"), read(&root, "new/dir/f").unwrap()), (None, b"f".to_vec()));
    }
}

#[test]
fn layers_alone_are_read_only_and_few_or_many() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let store = other(&sandbox, Driver::Overlay);
    let layers: Vec<Digest> = (0..130).map(|n| add(&sandbox, tar().file(&format!("f{n}"), b"x"))).collect();
    for count in [0, 1, 2, 130] {
        let request = MountRequest { layers: &layers[..count], ..MountRequest::default() };
        let root = RootDir::from_fd(store.mount(&request).unwrap());
        for n in 0..count {
            assert!(root.exists(Path::new(&format!("f{n}"))).unwrap());
        }
        let made = root.make_file(Path::new("new"), rustix::fs::Mode::RUSR);
        assert_eq!(made.unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{count}");
    }
    store.sync_if_needed(&layers[..2]).unwrap();
    assert!(sandbox.dir.join("root/layers").join(layers[0].hex()).join("synced").exists());
}

#[test]
fn owners_are_shifted_without_a_namespace_by_a_copy() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let layers = image(&sandbox);
    let store = other(&sandbox, Driver::Overlay);
    let maps = vec![IdMap { inside: 0, outside: 1000, count: 2000 }];
    let shift = Shift { userns: None, uids: maps.clone(), gids: maps };
    let dir = sandbox.dir.join("root/container");
    fs::create_dir_all(&dir).unwrap();
    store.create_shifted_dir(&dir, &layers, Some(&shift)).unwrap();
    let request =
        MountRequest { layers: &layers, dir: Some(&dir), shift: Some(&shift), ..MountRequest::default() };
    let root = RootDir::from_fd(store.mount(&request).unwrap());
    assert_eq!(root.stat(Path::new("usr/bin/tool")).unwrap().st_uid, 1000);
    assert_eq!(root.stat(Path::new("/")).unwrap().st_gid, 1000);
    assert_eq!(read(&root, "usr/bin/gone"), None);
    assert_eq!(read(&root, "opaque/hidden"), None);
}

#[test]
fn layers_that_two_images_see_differently_have_a_variant() {
    let sandbox = Sandbox::new();
    let one = add(&sandbox, tar().dir("d", 0o700).file("d/one", b""));
    let two = add(&sandbox, tar().dir("d", 0o711).file("d/two", b""));
    let top = add(&sandbox, tar().file("d/x", b"x"));
    let mode = |below: &Digest| {
        let dirs = sandbox.store.lower_dirs(&[below.clone(), top.clone()]).unwrap();
        std::fs::metadata(dirs[1].join("d")).unwrap().mode() & 0o7777
    };
    assert_eq!((mode(&one), mode(&two), mode(&one), mode(&two)), (0o700, 0o711, 0o700, 0o711));
    let mut back = Vec::new();
    sandbox.store.write_tar(&top, &mut back).unwrap();
    assert!(sandbox.store.remove(&top).is_ok() && sandbox.store.lower_dirs(&[one, top]).is_err());
}

#[test]
fn idmapped_layers_need_no_copy() {
    if !is_root() || is_rootless() {
        return;
    }
    let sandbox = Sandbox::new();
    let layers = image(&sandbox);
    let store = other(&sandbox, Driver::Overlay);
    // A process that lives in a user namespace of its own lends it.
    let mut child = std::process::Command::new("unshare")
        .args(["--user", "sleep", "30"])
        .stdin(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/ns/user", child.id());
    let own = std::fs::read_link("/proc/self/ns/user").unwrap();
    while std::fs::read_link(&path).unwrap() == own {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let maps = vec![IdMap { inside: 0, outside: 100_000, count: 65_536 }];
    crate::sys::userns::write_maps(i32::try_from(child.id()).unwrap(), &maps, &maps).unwrap();
    let userns = fs::open(Path::new(&path)).unwrap();
    let shift = Shift { userns: Some(userns.as_fd()), uids: maps.clone(), gids: maps };
    for count in [1, 2] {
        let request =
            MountRequest { layers: &layers[..count], shift: Some(&shift), ..MountRequest::default() };
        let root = RootDir::from_fd(store.mount(&request).unwrap());
        assert_eq!(root.stat(Path::new("usr/bin/tool")).unwrap().st_uid, 100_000, "{count}");
    }
    let variants = sandbox.dir.join("root/layers").join(layers[0].hex()).join("variant");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!variants.exists(), "a copy was made");
}
