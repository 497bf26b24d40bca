//! Storage drivers: each shows the same image and the same changes; where files can share blocks, a changed byte costs
//! blocks, not files.

use std::fs;
use std::path::Path;

use crate::kit::image::{Tar, busybox};
use crate::kit::{Sandbox, rootless};

/// Loads an image of two layers with this driver.
fn load(sandbox: &Sandbox, driver: &str) {
    let mut image = busybox("localhost/busybox:latest");
    image.layers.push(Tar::new().dir("data", 0o755).file("data/old", 0o644, b"old").bytes());
    let archive = sandbox.file("tmp/image.tar", image.docker_archive());
    sandbox.dhow(["--storage-driver", driver, "load", "-q", "-i"]).arg(archive).ok();
}

/// What a container of `busybox` does and is then asked for, with this driver.
fn lives_and_is_committed(sandbox: &Sandbox, driver: &str) {
    let dhow = |words: &str| sandbox.line(&format!("--storage-driver {driver} {words}"));
    let script = "rm /bin/true && rm -r /data && mkdir /data && echo new > /data/new && echo x > /file";
    sandbox.dhow(["--storage-driver", driver, "run", "--name", "c", "busybox", "sh", "-c", script]).ok();
    let changes = dhow("diff c").ok();
    for line in ["D /bin/true", "C /data", "A /data/new", "D /data/old", "A /file"] {
        assert!(changes.lines().any(|found| found == line), "{driver}: `{line}` in\n{changes}");
    }
    dhow("commit -q c localhost/changed").ok();
    let seen = dhow("run --rm changed sh -c").arg("ls /data; cat /data/new /file; ls /bin/true").run();
    assert_eq!((seen.stdout().as_str(), seen.status), ("new\nnew\nx\n", 1), "{seen}");
    assert_eq!(dhow("run --rm --read-only changed cat /file").ok(), "x\n");
    assert_eq!(dhow("info -f {{.Store.GraphDriverName}}").ok().trim(), driver);
    dhow("rm c").ok();
    dhow("rmi -a").ok();
    assert_eq!(fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0, "{driver}");
}

#[test]
fn vfs_and_fuse_work_as_overlay_does() {
    for driver in ["overlay", "vfs", "fuse"] {
        let sandbox = Sandbox::new();
        load(&sandbox, driver);
        lives_and_is_committed(&sandbox, driver);
    }
}

#[test]
fn owners_are_shifted_with_every_driver() {
    for driver in ["overlay", "vfs", "fuse"] {
        let sandbox = Sandbox::with_busybox();
        let run = ["--storage-driver", driver, "run", "--rm", "--uidmap", "0:100:1000", "busybox"];
        let out =
            sandbox.dhow(run).args(["sh", "-c", "echo x > /file && stat -c %u:%g /file /etc/passwd"]).ok();
        assert_eq!(out, "0:0\n0:0\n", "{driver}");
    }
}

#[test]
fn a_driver_that_cannot_work_says_why() {
    let sandbox = Sandbox::new();
    load(&sandbox, "overlay");
    let error =
        sandbox.line("--storage-driver fuse run --rm busybox true").env("PATH", "/nowhere").fails(125);
    assert!(error.contains("needs the program `fuse-overlayfs`") && error.contains("hint:"), "{error}");
    let error = sandbox.line("--storage-driver zfs images").fails(125);
    assert!(error.contains("the drivers are") || error.contains("is gone"), "{error}");
    let stat = rustix::fs::statfs(sandbox.root()).unwrap();
    if stat.f_type != 0x9123_683e {
        let error = sandbox.line("--storage-driver btrfs run --rm busybox true").fails(125);
        assert!(error.contains("is not btrfs"), "{error}");
    }
}

/// A sandbox whose store lies on a file system of its own, in a file.
struct OnDisk {
    sandbox: Sandbox,
}

impl OnDisk {
    fn new(kind: &str) -> OnDisk {
        let sandbox = Sandbox::new();
        let disk = sandbox.file("tmp/disk", "");
        fs::File::options().write(true).open(&disk).unwrap().set_len(3 << 30).unwrap();
        fs::create_dir_all(sandbox.root()).unwrap();
        sandbox.program(&format!("mkfs.{kind}")).arg("-q").arg(&disk).ok();
        sandbox.program("mount").args(["-o", "loop"]).arg(&disk).arg(sandbox.root()).ok();
        OnDisk { sandbox }
    }

    /// Bytes in use, after all has reached the disk.
    fn used(&self) -> u64 {
        rustix::fs::sync();
        let stat = rustix::fs::statvfs(self.sandbox.root()).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.sandbox.line("rm -f -a -t 0").run();
        self.sandbox.program("umount").arg("-l").arg(self.sandbox.root()).run();
    }
}

#[test]
fn btrfs_containers_are_snapshots() {
    if rootless() {
        return eprintln!("not run: a file system in a file needs root");
    }
    let disk = OnDisk::new("btrfs");
    load(&disk.sandbox, "btrfs");
    lives_and_is_committed(&disk.sandbox, "btrfs");
}

#[test]
fn a_changed_byte_does_not_copy_a_gigabyte() {
    if rootless() {
        return eprintln!("not run: a file system in a file needs root");
    }
    const SIZE: u64 = 1 << 30;
    for (kind, driver) in [("xfs", "overlay"), ("xfs", "vfs"), ("btrfs", "btrfs")] {
        let disk = OnDisk::new(kind);
        let sandbox = &disk.sandbox;
        let dhow = |words: &str| sandbox.line(&format!("--storage-driver {driver} {words}"));
        let tree = sandbox.path("tmp/tree");
        fs::create_dir_all(tree.join("bin")).unwrap();
        fs::copy("/bin/busybox", tree.join("bin/busybox")).unwrap();
        big_file(&tree.join("big"), SIZE);
        let pack = format!("tar -C {} -c . | {} ", tree.display(), crate::kit::sandbox::binary().display());
        let import = pack + &format!("--storage-driver {driver} import -q - localhost/big");
        sandbox.program("sh").args(["-c", &import]).ok();
        fs::remove_file(tree.join("big")).unwrap();
        let before = disk.used();
        assert!(before > SIZE, "{kind} {driver}: the file takes its space: {before}");
        let write = "echo y | /bin/busybox dd of=/big bs=1 count=1 seek=500000 conv=notrunc";
        dhow("run --name c big /bin/busybox sh -c").arg(write).ok();
        let grown = disk.used().saturating_sub(before);
        assert!(grown < 32 << 20, "{kind} {driver}: {grown} bytes for one byte");
        assert_eq!(dhow("diff c").ok().lines().find(|line| line.ends_with("/big")), Some("C /big"));
    }
}

/// A file without holes and without two equal blocks in a row.
fn big_file(path: &Path, size: u64) {
    use std::io::Write;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path).unwrap());
    let mut block = vec![0x5a_u8; 4096];
    for number in 0..size / 4096 {
        block[..8].copy_from_slice(&number.to_le_bytes());
        file.write_all(&block).unwrap();
    }
    file.flush().unwrap();
}

#[test]
fn images_of_an_additional_store_are_used_and_never_changed() {
    let (shared, sandbox) = (Sandbox::new(), Sandbox::new());
    load(&shared, "overlay");
    let before = listing(&shared.root());
    let option = format!("additionalimagestore={}", shared.root().display());
    let dhow = |words: &str| {
        sandbox.dhow(["--storage-opt", &option]).args(words.split_whitespace().collect::<Vec<_>>())
    };
    assert_eq!(dhow("images --format {{.Repository}}:{{.ReadOnly}}").ok(), "localhost/busybox:true\n");
    assert_eq!(dhow("images -q --filter readonly=false").ok(), "");
    assert_eq!(dhow("run --rm busybox cat /data/old").ok(), "old");
    assert_eq!(sandbox.line("images -q").ok(), "", "without the option");
    for driver in ["vfs", "fuse"] {
        let run =
            format!("--storage-driver {driver} run --rm --uidmap 0:100:1000 busybox stat -c %u /data/old");
        assert_eq!(dhow(&run).ok(), "0\n", "{driver}");
    }
    dhow("run --name c busybox touch /new").ok();
    dhow("commit -q c localhost/own").ok();
    assert_eq!(dhow("run --rm own ls /new").ok(), "/new\n");
    dhow("rm c").ok();
    let error = dhow("rmi busybox").fails(125);
    assert!(error.contains("read-only store"), "{error}");
    dhow("image prune -a -f").ok();
    assert_eq!(dhow("images --format {{.Repository}}").ok(), "localhost/busybox\n");
    dhow("tag busybox localhost/mine").ok();
    assert_eq!(dhow("run --rm mine cat /data/old").ok(), "old");
    dhow("untag mine localhost/mine").ok();
    let conf = format!(
        "[storage.options]\nadditionalimagestores = [\"/nowhere\", \"{}\"]\n",
        shared.root().display()
    );
    let conf = sandbox.file("tmp/storage.conf", conf);
    let images = sandbox.line("images -q").env("CONTAINERS_STORAGE_CONF", conf).ok();
    assert_eq!(images.lines().count(), 1);
    let error = sandbox.line("--storage-opt additionalimagestore=/nowhere images").fails(125);
    assert!(error.contains("is no store of dhow"), "{error}");
    let after = listing(&shared.root());
    let changed: Vec<_> = after.iter().filter(|path| !before.contains(path)).collect();
    assert!(changed.is_empty() && after.len() == before.len(), "the shared store is as it was: {changed:?}");
}

/// Every path below a directory, sorted; what an ordinary user cannot look into counts as one. Without the marks that
/// the command that loaded the image makes in the background, once its layers are on the disk.
fn listing(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(listing(&entry.path())),
            false if entry.file_name() == "synced" => {}
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}
