use std::path::PathBuf;

use super::*;
use crate::base::error::{Kind, kind_of, render};
use crate::base::roots::Roots;
use crate::container::Store;
use crate::container::record::{MountSource, NetworkMode, RestartPolicy, UserNs};
use crate::sys::userns::{IdMap, Stage};

struct World {
    dir: PathBuf,
    roots: Roots,
    caller: Caller,
    defaults: Defaults,
    store: Store,
    stage: Stage,
}

impl World {
    fn new(rootless: bool) -> World {
        let dir = std::env::temp_dir().join(format!("dhow-create-{}", crate::base::id::word()));
        let roots = Roots {
            root: dir.join("root"),
            additional: Vec::new(),
            run: dir.join("run"),
            tmp: dir.clone(),
            rootless,
            uid: 1000,
        };
        let caller = Caller {
            uid: 1000,
            gid: 1000,
            user: "me".into(),
            env: [("FOO", "host"), ("LC_ALL", "C"), ("http_proxy", "http://p")]
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .into(),
            cwd: dir.clone(),
        };
        let store = Store::open(&roots).unwrap();
        let map = vec![
            IdMap { inside: 0, outside: 1000, count: 1 },
            IdMap { inside: 1, outside: 100_000, count: 65_536 },
        ];
        let stage = Stage { uids: map.clone(), gids: map, single: false, reason: None };
        World { dir, roots, caller, defaults: Defaults::default(), store, stage }
    }

    fn resolve(&self, options: &CreateOptions, image: &ImageFacts) -> Result<Resolved> {
        let context = Context {
            roots: &self.roots,
            caller: &self.caller,
            defaults: &self.defaults,
            containers: &self.store,
            stage: self.roots.rootless.then_some(&self.stage),
            find_image: &|_| bail!("no images here"),
        };
        super::resolve(&context, options, Some(image))
    }
}

impl Drop for World {
    #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn image() -> ImageFacts {
    ImageFacts {
        env: strings(&["PATH=/image", "A=image"]),
        command: strings(&["sh"]),
        labels: [("a".to_owned(), "image".to_owned())].into(),
        ..ImageFacts::default()
    }
}

fn ok(options: CreateOptions) -> Resolved {
    World::new(false).resolve(&options, &image()).unwrap()
}

fn refused(options: CreateOptions) -> String {
    render(&World::new(false).resolve(&options, &image()).unwrap_err())
}

#[test]
fn entrypoint_and_command_follow_dockers_rules() {
    let both = ImageFacts { entrypoint: strings(&["/e"]), command: strings(&["c"]), ..ImageFacts::default() };
    let run = |entrypoint: Option<&str>, command: &[&str]| {
        let options = CreateOptions {
            entrypoint: entrypoint.map(str::to_owned),
            command: strings(command),
            ..CreateOptions::default()
        };
        let process = World::new(false).resolve(&options, &both)?.config.process;
        Ok::<_, crate::base::error::Error>([process.entrypoint, process.command].concat().join(" "))
    };
    assert_eq!(run(None, &[]).unwrap(), "/e c");
    assert_eq!(run(None, &["x", "y"]).unwrap(), "/e x y");
    assert_eq!(run(Some("/f"), &[]).unwrap(), "/f");
    assert_eq!(run(Some("[\"/f\",\"-a\"]"), &["x"]).unwrap(), "/f -a x");
    assert_eq!(run(Some(""), &["x"]).unwrap(), "x");
    assert_eq!(kind_of(&run(Some(""), &[]).unwrap_err()), Kind::Usage);
}

#[test]
fn a_later_source_of_the_environment_wins() {
    let options = CreateOptions {
        env: strings(&["A=flag", "FOO", "NOTSET", "LC_*", "EMPTY="]),
        unsetenv: strings(&["container"]),
        ..CreateOptions::default()
    };
    let env = ok(options).config.process.env;
    let want = ["PATH=/image", "http_proxy=http://p", "A=flag", "FOO=host", "LC_ALL=C", "EMPTY="];
    assert_eq!(env, want);
    let quiet = CreateOptions { http_proxy: Some(false), unsetenv_all: true, ..CreateOptions::default() };
    assert!(ok(quiet).config.process.env.is_empty());
}

#[test]
fn users_of_images_cannot_wrap_around() {
    for user in ["4294967296", "-1", "0:99999999999", "a b"] {
        let hostile = ImageFacts { user: user.into(), ..image() };
        assert!(World::new(false).resolve(&CreateOptions::default(), &hostile).is_err(), "{user}");
    }
}

#[test]
fn volumes_come_from_flags_before_the_image() {
    let options = CreateOptions {
        volume: strings(&["data:/data:ro", "./made:/made", "/anon"]),
        tmpfs: strings(&["/t"]),
        ..CreateOptions::default()
    };
    let with = ImageFacts { volumes: strings(&["/data/", "/more", "rel"]), ..image() };
    let resolved = World::new(false).resolve(&options, &with).unwrap();
    let targets: Vec<_> = resolved.config.mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/data", "/made", "/anon", "/t", "/more", "/rel"]);
    assert!(matches!(resolved.config.mounts[0].source, MountSource::Volume { anonymous: false, .. }));
    assert!(matches!(resolved.config.mounts[2].source, MountSource::Volume { anonymous: true, .. }));
    assert_eq!(resolved.missing_dirs.len(), 1);
    for hostile in ["/", "/..", "/proc/sys", "../../proc/1"] {
        let with = ImageFacts { volumes: strings(&[hostile]), ..image() };
        assert!(World::new(false).resolve(&CreateOptions::default(), &with).is_err(), "{hostile}");
    }
}

#[test]
fn one_place_cannot_show_two_things() {
    let twice = |a: &str, b: &str| CreateOptions { volume: strings(&[a, b]), ..CreateOptions::default() };
    assert!(refused(twice("a:/x", "b:/x/")).contains("twice"));
    assert_eq!(ok(twice("a:/x", "a:/x")).config.mounts.len(), 1);
}

#[test]
fn limits_and_policies_are_decided() {
    let options = CreateOptions {
        memory: Some("512m".into()),
        cpus: Some("1.5".into()),
        restart: Some("on-failure:3".into()),
        ulimit: strings(&["nofile=10:20"]),
        ..CreateOptions::default()
    };
    let config = ok(options).config;
    assert_eq!(config.resources.memory_swap, Some(1 << 30));
    assert_eq!((config.resources.cpu_quota, config.resources.cpu_period), (Some(150_000), Some(100_000)));
    assert_eq!(config.restart, RestartPolicy::OnFailure(3));
    assert_eq!(config.resources.shm_size, 64 << 20);
    let nofile = config.process.ulimits.iter().find(|limit| limit.name == "nofile").unwrap();
    assert_eq!((nofile.soft, nofile.hard, nofile.asked), (10, 20, true));
    assert_eq!(config.process.ulimits.len(), 2);
}

#[test]
fn contradictions_and_what_is_missing_are_refused() {
    let base = CreateOptions::default;
    let all = [
        CreateOptions { rm: true, restart: Some("always".into()), ..base() },
        CreateOptions { detach: true, attach: strings(&["stdout"]), ..base() },
        CreateOptions { memory_swap: Some("1g".into()), ..base() },
        CreateOptions { cpus: Some("1".into()), cpu_quota: Some(5000), ..base() },
        CreateOptions { uts: Some("host".into()), hostname: Some("x".into()), ..base() },
        CreateOptions { sysctl: strings(&["net.ipv4.ip_forward=1"]), network: strings(&["host"]), ..base() },
        CreateOptions { ipc: Some("host".into()), sysctl: strings(&["kernel.shmmax=1"]), ..base() },
        CreateOptions { gpus: strings(&["all"]), ..base() },
        CreateOptions { pod: Some("p".into()), ..base() },
        CreateOptions { workdir: Some("relative".into()), ..base() },
        CreateOptions { cap_add: strings(&["CHOWN"]), cap_drop: strings(&["chown"]), ..base() },
        CreateOptions { device: strings(&["/dev/does-not-exist"]), ..base() },
        CreateOptions { mount: strings(&["type=bind,src=/does/not/exist,dst=/x"]), ..base() },
        CreateOptions { security_opt: strings(&["seccomp=/does/not/exist"]), ..base() },
        CreateOptions { pid: Some("container:none".into()), ..base() },
        CreateOptions { publish: strings(&["80:80"]), network: strings(&["none"]), ..base() },
        CreateOptions { tz: Some("../../etc/passwd".into()), ..base() },
        CreateOptions { cgroup_parent: Some("/a/../..".into()), ..base() },
    ];
    for (at, options) in all.into_iter().enumerate() {
        assert!(!refused(options).is_empty(), "case {at}");
    }
}

#[test]
fn keep_id_runs_as_the_caller() {
    let world = World::new(true);
    let options = CreateOptions {
        userns: Some("keep-id".into()),
        network: strings(&["none"]),
        ..CreateOptions::default()
    };
    let config = world.resolve(&options, &image()).unwrap().config;
    assert_eq!(config.process.user, "1000:1000");
    let UserNs::Mapped { uids, .. } = config.namespaces.user else { panic!("no map") };
    assert_eq!(uids.iter().map(|range| range.size).sum::<u32>(), 65_537);
    assert_eq!(config.network.mode, NetworkMode::None);
    let too_far = CreateOptions { uidmap: strings(&["0:0:70000"]), ..CreateOptions::default() };
    assert!(world.resolve(&too_far, &image()).is_err());
}

#[test]
fn log_tags_know_the_container() {
    let options = CreateOptions {
        name: Some("web".into()),
        log_opt: strings(&["tag={{ .Name }}/{{.FullID}}"]),
        ..CreateOptions::default()
    };
    let config = ok(options).config;
    assert_eq!(config.log.tag, format!("web/{}", config.id));
}
