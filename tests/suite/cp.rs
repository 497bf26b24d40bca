//! `cp`: files into and out of containers that run and that do not, by docker-cp(1)'s rules, and links that lead out.

use crate::kit::{Sandbox, image::Tar};

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// One container that runs and one that does not, both with a volume at `/data`.
fn both(sandbox: &Sandbox) -> [&'static str; 2] {
    sandbox.line("run -d --name runs -v one:/data busybox sleep 100").ok();
    sandbox.line("create --name lies -v two:/data busybox cat /data/file /tmp/file").ok();
    ["runs", "lies"]
}

#[test]
fn files_go_in_and_come_out() {
    let sandbox = Sandbox::with_busybox();
    let file = sandbox.file("file", "content\n");
    for name in both(&sandbox) {
        for target in ["/tmp", "/tmp/", "/data", "/tmp/named", "tmp/../tmp/named"] {
            sandbox.dhow(["cp", file.to_str().unwrap(), &format!("{name}:{target}")]).ok();
        }
        let out = sandbox.path(name);
        std::fs::create_dir(&out).unwrap();
        for source in ["/tmp/file", "/data/file", "/tmp/named"] {
            let to = out.join(source.replace('/', "-"));
            sandbox.dhow(["cp", &format!("{name}:{source}"), to.to_str().unwrap()]).ok();
            assert_eq!(std::fs::read(&to).unwrap(), b"content\n", "{name} {source}");
        }
        sandbox.dhow(["cp", &format!("{name}:/tmp/file"), out.to_str().unwrap()]).ok();
        assert_eq!(names(&out), ["-data-file", "-tmp-file", "-tmp-named", "file"]);
    }
    sandbox.line("cp runs:/tmp/file lies:/tmp/other").ok();
    assert_eq!(sandbox.line("start -a lies").ok(), "content\ncontent\n");
    sandbox.line("rm -f -t 0 runs").ok();
}

#[test]
fn directories_follow_the_rules_of_docker() {
    let sandbox = Sandbox::with_busybox();
    sandbox.file("d/a", "a");
    sandbox.file("d/sub/b", "b");
    let d = sandbox.path("d");
    let d = d.to_str().unwrap();
    for name in both(&sandbox) {
        sandbox.dhow(["cp", d, &format!("{name}:/tmp")]).ok();
        sandbox.dhow(["cp", d, &format!("{name}:/tmp/new")]).ok();
        sandbox.dhow(["cp", &format!("{d}/."), &format!("{name}:/data")]).ok();
        let out = sandbox.path(&format!("out-{name}"));
        for (source, content) in [("/tmp/d", "a"), ("/tmp/new", "a"), ("/data", "a")] {
            let _ = std::fs::remove_dir_all(&out);
            sandbox.dhow(["cp", &format!("{name}:{source}"), out.to_str().unwrap()]).ok();
            assert_eq!(names(&out), ["a", "sub"], "{name} {source}");
            assert_eq!(std::fs::read_to_string(out.join("sub/b")).unwrap(), "b", "{content}");
        }
        let file = sandbox.file("file", "");
        sandbox.dhow(["cp", d, &format!("{name}:/tmp/new/a")]).fails(125);
        sandbox.dhow(["cp", file.to_str().unwrap(), &format!("{name}:/no/such")]).fails(125);
        sandbox.dhow(["cp", file.to_str().unwrap(), &format!("{name}:/tmp/none/")]).fails(125);
        sandbox.dhow(["cp", &format!("{name}:/no/such"), "."]).fails(125);
    }
    sandbox.dhow(["cp", d, d]).fails(125);
    sandbox.dhow(["cp", d, "nobody:/"]).fails(125);
    sandbox.line("rm -f -t 0 runs").ok();
}

#[test]
fn archives_stream_both_ways() {
    let sandbox = Sandbox::with_busybox();
    for name in both(&sandbox) {
        let tar = Tar::new().dir("x", 0o755).file("x/y", 0o640, b"from a tar").bytes();
        sandbox.dhow(["cp", "-", &format!("{name}:/tmp")]).stdin(tar).ok();
        let outcome = sandbox.dhow(["cp", &format!("{name}:/tmp/x"), "-"]).run();
        assert_eq!(outcome.status, 0);
        let listed = sandbox.program("tar").args(["tvf", "-"]).stdin(outcome.stdout()).ok();
        assert!(
            listed.contains(" x/\n") && listed.contains("-rw-r-----") && listed.contains(" x/y"),
            "{listed}"
        );
        sandbox.dhow(["cp", "-", &format!("{name}:/etc/passwd")]).stdin(Vec::new()).fails(125);
    }
    sandbox.line("rm -f -t 0 runs").ok();
}

#[test]
fn what_is_copied_belongs_to_who_gets_it() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c --user 1000:1000 busybox sleep 100").ok();
    let file = sandbox.file("file", "content\n");
    let file = file.to_str().unwrap();
    sandbox.dhow(["cp", file, "c:/tmp/file"]).ok();
    assert_eq!(sandbox.line("exec c stat -c %u:%g /tmp/file").ok(), "1000:1000\n");
    let out = sandbox.path("out");
    sandbox.dhow(["cp", "c:/tmp/file", out.to_str().unwrap()]).ok();
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&out).unwrap());
    assert_eq!(owner, std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(sandbox.path(".")).unwrap()));
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn no_link_of_a_container_leads_out_of_it() {
    let sandbox = Sandbox::with_busybox();
    let secret = sandbox.file("secret", "of the host");
    let secret = secret.to_str().unwrap();
    for name in both(&sandbox) {
        let escape = Tar::new()
            .symlink("file-link", secret)
            .symlink("dir-link", sandbox.path(".").to_str().unwrap())
            .symlink("up", "../../../../../../..")
            .bytes();
        sandbox.dhow(["cp", "-", &format!("{name}:/tmp")]).stdin(escape).ok();
        let out = sandbox.path("out");
        sandbox.dhow(["cp", "-L", &format!("{name}:/tmp/file-link"), out.to_str().unwrap()]).fails(125);
        sandbox.dhow(["cp", &format!("{name}:/tmp/dir-link/secret"), out.to_str().unwrap()]).fails(125);
        assert!(!out.exists());
        let evil = sandbox.file("evil", "from the container");
        let evil = evil.to_str().unwrap();
        sandbox.dhow(["cp", evil, &format!("{name}:/tmp/file-link")]).run();
        sandbox.dhow(["cp", evil, &format!("{name}:/tmp/dir-link/secret")]).run();
        sandbox.dhow(["cp", evil, &format!("{name}:/tmp/up{secret}")]).run();
        assert_eq!(std::fs::read_to_string(secret).unwrap(), "of the host", "{name}");
    }
    sandbox.line("exec runs mkfifo /tmp/fifo").ok();
    sandbox.dhow(["cp", "runs:/tmp/fifo", sandbox.path("fifo").to_str().unwrap()]).run();
    sandbox.line("rm -f -t 0 runs").ok();
}
