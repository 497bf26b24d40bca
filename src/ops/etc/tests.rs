use super::*;
use crate::base::id;
use crate::container::record::NetworkMode;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        let dir = std::env::temp_dir().join(format!("dhow-etc-{}", id::word()));
        fs::create_dir_all(&dir.join("rootfs/etc")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write_new(&dir.join("rootfs/etc").join(name), text.as_bytes(), 0o644, Durability::Volatile)
                .unwrap();
        };
        write("passwd", "root:x:0:0:root:/root:/bin/sh");
        write("group", "root:x:0:\n");
        Dir(dir)
    }

    fn prepare(&self, config: &Config, identity: &Identity) -> Result<()> {
        let root = RootDir::open(&self.0.join("rootfs")).unwrap();
        prepare(&Etc {
            config,
            root: &root,
            dir: &self.0,
            identity,
            caller: &|| ("me".into(), "/home/me".into()),
            rootless: true,
            dir_of: &|_| PathBuf::from("/none"),
        })
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_optional(&self.0.join(file)).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
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
    config.network.hosts_file = "none".into();
    config
}

#[test]
fn names_lead_to_the_container_itself() {
    let dir = Dir::new();
    let mut config = config();
    config.network.hosts = vec!["db:10.0.0.1".into(), "six:fe80::1".into()];
    dir.prepare(&config, &Identity::default()).unwrap();
    let hosts = dir.read("hosts").unwrap();
    for line in ["10.0.0.1\tdb", "fe80::1\tsix", "127.0.0.1\tlocalhost", "127.0.0.1\tabababababab web"] {
        assert!(hosts.lines().any(|known| known == line), "{line} in {hosts}");
    }
    assert_eq!(dir.read("hostname").unwrap(), "abababababab\n");
    assert!(dir.read("passwd").is_none() && dir.read("containerenv").as_deref() == Some(""));
}

#[test]
fn the_host_has_a_name_where_it_has_an_address() {
    let dir = Dir::new();
    let mut config = config();
    config.network.mode = NetworkMode::Slirp4netns(Vec::new());
    config.network.hosts = vec!["h:host-gateway".into()];
    dir.prepare(&config, &Identity::default()).unwrap();
    let hosts = dir.read("hosts").unwrap();
    assert!(hosts.contains("10.0.2.2\th\n") && hosts.contains("10.0.2.2\thost.containers.internal"));
    config.network.mode = NetworkMode::None;
    assert!(dir.prepare(&config, &Identity::default()).is_err());
}

#[test]
fn flags_decide_the_resolver() {
    let dir = Dir::new();
    let mut config = config();
    config.network.dns = vec!["9.9.9.9".into()];
    config.network.dns_search = vec![".".into()];
    config.network.dns_options = vec!["ndots:2".into()];
    dir.prepare(&config, &Identity::default()).unwrap();
    assert_eq!(dir.read("resolv.conf").unwrap(), "nameserver 9.9.9.9\noptions ndots:2\n");
    config.network.dns = vec!["none".into()];
    config.network.no_hosts = true;
    config.network.no_hostname = true;
    dir.prepare(&config, &Identity::default()).unwrap();
    assert!(["resolv.conf", "hosts", "hostname"].iter().all(|file| dir.read(file).is_none()));
}

#[test]
fn an_unknown_user_gets_an_entry() {
    let dir = Dir::new();
    let mut config = config();
    let who = Identity { uid: 1000, gid: 1000, ..Identity::default() };
    dir.prepare(&config, &who).unwrap();
    assert_eq!(dir.read("passwd").unwrap().lines().last(), Some("1000:*:1000:1000:container user:/:/bin/sh"));
    assert_eq!(dir.read("group").unwrap().lines().last(), Some("1000:x:1000:"));
    config.annotations.insert(crate::ops::userns::ANNOTATION.into(), "keep-id".into());
    dir.prepare(&config, &who).unwrap();
    assert_eq!(dir.read("passwd").unwrap().lines().last(), Some("me:*:1000:1000:me:/home/me:/bin/sh"));
    config.process.workdir = "/a:b\nroot::0:0::/:/bin/sh".into();
    config.annotations.clear();
    dir.prepare(&config, &who).unwrap();
    assert_eq!(dir.read("passwd").unwrap().lines().count(), 2);
    config.process.no_passwd = true;
    dir.prepare(&config, &who).unwrap();
    assert!(dir.read("passwd").is_none());
}
