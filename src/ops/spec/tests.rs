use std::path::{Path, PathBuf};

use oci_spec::runtime::{Capability, LinuxNamespaceType};

use super::*;
use crate::base::error::bail;
use crate::base::{fs, id};
use crate::container::record::{
    IdRange, Mount, MountOptions, MountSource, Namespace, NetworkMode, RootFs, UserNs,
};
use crate::sys::rootdir::RootDir;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        let dir = std::env::temp_dir().join(format!("dhow-spec-{}", id::word()));
        fs::create_dir_all(&dir.join("rootfs/etc")).unwrap();
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nweb:x:7:8::/srv:/bin/sh\n";
        fs::write_new(&dir.join("rootfs/etc/passwd"), passwd, 0o644, fs::Durability::Volatile).unwrap();
        fs::write_new(&dir.join("hosts"), b"", 0o644, fs::Durability::Volatile).unwrap();
        Dir(dir)
    }

    fn build(&self, config: &Config) -> Result<Built> {
        let root = RootDir::open(&self.0.join("rootfs")).unwrap();
        build(&SpecContext {
            config,
            rootless: false,
            single_id: false,
            identity: &user::resolve(&root, config)?,
            root_path: Path::new("rootfs"),
            dir: &self.0,
            cgroups_path: None,
            default_pids: true,
            volume_dir: &|name| Ok(PathBuf::from("/volumes").join(name)),
            pid_of: &|id| if id == "other" { Ok(42) } else { bail!("not running") },
        })
    }
}

impl Drop for Dir {
    #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn config() -> Config {
    let mut config = Config { id: "ab".repeat(32), name: "web".into(), ..Config::default() };
    config.process.command = vec!["sh".into()];
    config
}

fn targets(spec: &Spec) -> Vec<String> {
    spec.mounts().as_ref().unwrap().iter().map(|mount| mount.destination().display().to_string()).collect()
}

fn options(spec: &Spec, target: &str) -> Vec<String> {
    let mounts = spec.mounts().as_ref().unwrap();
    mounts.iter().find(|mount| mount.destination() == Path::new(target)).unwrap().options().clone().unwrap()
}

#[test]
fn a_plain_container_is_confined_as_podman_confines_it() {
    let built = Dir::new().build(&config()).unwrap();
    let spec = &built.spec;
    let process = spec.process().as_ref().unwrap();
    let linux = spec.linux().as_ref().unwrap();
    assert_eq!(spec.hostname().as_deref(), Some("abababababab"));
    assert!(process.env().as_ref().unwrap().contains(&"HOME=/root".to_owned()));
    assert!(process.env().as_ref().unwrap().contains(&"HOSTNAME=abababababab".to_owned()));
    assert_eq!(process.capabilities().as_ref().unwrap().effective().as_ref().unwrap().len(), 11);
    assert!(linux.seccomp().is_some() && built.default_filter);
    assert!(linux.masked_paths().as_ref().unwrap().contains(&"/proc/kcore".to_owned()));
    assert_eq!(linux.resources().as_ref().unwrap().pids().as_ref().unwrap().limit(), 2048);
    let namespaces: Vec<_> = linux.namespaces().as_ref().unwrap().iter().map(|ns| ns.typ()).collect();
    let want = [
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Cgroup,
        LinuxNamespaceType::Network,
    ];
    assert_eq!(namespaces, want);
    let want =
        ["/proc", "/dev", "/sys", "/dev/pts", "/dev/mqueue", "/dev/shm", "/etc/hosts", "/sys/fs/cgroup"];
    assert_eq!(targets(spec), want);
    assert!(linux.uid_mappings().is_none() && built.prepared.is_empty());
}

#[test]
fn users_mounts_replace_defaults_and_come_after_their_parents() {
    let mut config = config();
    let mount =
        |target: &str, source| Mount { target: target.into(), source, options: MountOptions::default() };
    config.mounts = vec![
        mount("/a/b", MountSource::Tmpfs),
        mount("/dev/shm", MountSource::Bind("/dev/shm".into())),
        mount("/a", MountSource::Volume { name: "v".into(), anonymous: false }),
        mount("/etc", MountSource::Bind("/tmp".into())),
    ];
    let built = Dir::new().build(&config).unwrap();
    let all = targets(&built.spec);
    assert!(all.iter().position(|t| t == "/a") < all.iter().position(|t| t == "/a/b"));
    assert_eq!(all.iter().filter(|t| *t == "/dev/shm").count(), 1);
    assert!(!all.contains(&"/etc/hosts".to_owned()), "the user's /etc stays as it is");
    assert_eq!(options(&built.spec, "/a"), ["rbind", "rw", "rprivate", "nosuid", "nodev"]);
    assert_eq!(options(&built.spec, "/a/b"), ["rw", "nosuid", "nodev", "tmpcopyup"]);
}

#[test]
fn overlays_images_and_chown_are_left_to_the_caller() {
    let mut config = config();
    let overlay = MountOptions { overlay: true, ..MountOptions::default() };
    let chown = MountOptions { chown: true, read_only: true, ..MountOptions::default() };
    config.mounts = vec![
        Mount { target: "/o".into(), source: MountSource::Bind("/tmp".into()), options: overlay },
        Mount { target: "/c".into(), source: MountSource::Bind("/tmp".into()), options: chown },
    ];
    let built = Dir::new().build(&config).unwrap();
    assert_eq!(built.prepared.len(), 2);
    let mounts = built.spec.mounts().as_ref().unwrap();
    for prepared in &built.prepared {
        assert_eq!(mounts[prepared.index].destination(), &prepared.target);
    }
    assert!(matches!(built.prepared[0].source, Some(Source::Overlay { .. })));
    assert!(built.prepared[1].chown && built.prepared[1].source.is_none());
}

#[test]
fn privileged_takes_the_masks_and_the_filter_away() {
    let mut config = config();
    config.security.privileged = true;
    let built = Dir::new().build(&config).unwrap();
    let linux = built.spec.linux().as_ref().unwrap();
    assert!(linux.seccomp().is_none() && !built.default_filter);
    assert!(linux.masked_paths().as_ref().unwrap().is_empty());
    assert!(options(&built.spec, "/sys").contains(&"rw".to_owned()));
    assert_eq!(linux.resources().as_ref().unwrap().devices().as_ref().unwrap().len(), 1);
}

#[test]
fn another_user_keeps_no_capability_and_has_its_home() {
    let mut config = config();
    config.process.user = "web".into();
    config.security.cap_add = vec!["CAP_NET_RAW".into()];
    let built = Dir::new().build(&config).unwrap();
    let process = built.spec.process().as_ref().unwrap();
    assert_eq!((process.user().uid(), process.user().gid()), (7, 8));
    assert!(process.env().as_ref().unwrap().contains(&"HOME=/srv".to_owned()));
    let sets = process.capabilities().as_ref().unwrap();
    assert_eq!(sets.ambient().as_ref().unwrap(), &[Capability::NetRaw].into());
    config.process.user = "nobody".into();
    assert!(Dir::new().build(&config).is_err());
}

#[test]
fn namespaces_are_joined_by_path() {
    let mut config = config();
    config.namespaces.pid = Namespace::Container("other".into());
    config.namespaces.uts = Namespace::Host;
    config.network.mode = NetworkMode::Path("/run/netns/x".into());
    config.namespaces.user = UserNs::Mapped {
        uids: vec![IdRange { container: 0, host: 1, size: 5 }],
        gids: vec![IdRange { container: 0, host: 1, size: 5 }],
    };
    let built = Dir::new().build(&config).unwrap();
    let linux = built.spec.linux().as_ref().unwrap();
    let path = |kind| {
        linux.namespaces().as_ref().unwrap().iter().find(|ns| ns.typ() == kind).map(|ns| ns.path().clone())
    };
    assert_eq!(path(LinuxNamespaceType::Pid), Some(Some("/proc/42/ns/pid".into())));
    assert_eq!(path(LinuxNamespaceType::Network), Some(Some("/run/netns/x".into())));
    assert_eq!(path(LinuxNamespaceType::Uts), None);
    assert_eq!(path(LinuxNamespaceType::User), Some(None));
    assert!(built.spec.hostname().is_none());
    assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].size(), 5);
    // Group 5 is not among the five groups 0 to 4: devpts would refuse it.
    assert!(!options(&built.spec, "/dev/pts").contains(&"gid=5".to_owned()));
    config.namespaces.pid = Namespace::Container("gone".into());
    assert!(Dir::new().build(&config).is_err());
}

#[test]
fn a_read_only_root_has_places_to_write() {
    let mut config = config();
    config.rootfs = RootFs { read_only: true, read_only_tmpfs: true, ..RootFs::default() };
    let built = Dir::new().build(&config).unwrap();
    let all = targets(&built.spec);
    for target in ["/run", "/tmp", "/var/tmp"] {
        assert!(all.contains(&target.to_owned()), "{target}");
    }
    assert!(built.spec.root().as_ref().unwrap().readonly().unwrap());
}

#[test]
fn default_limits_may_be_clamped_and_asked_ones_not() {
    let mut config = config();
    let limit = |name: &str, asked| Ulimit { name: name.into(), soft: 1, hard: 2, asked };
    config.process.ulimits = vec![limit("nofile", false), limit("core", true)];
    let built = Dir::new().build(&config).unwrap();
    assert_eq!(built.clamp, [PosixRlimitType::RlimitNofile]);
    assert_eq!(built.spec.process().as_ref().unwrap().rlimits().as_ref().unwrap().len(), 2);
}
