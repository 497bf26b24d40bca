//! `build`: contexts of every form, secrets, agents and outputs.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::kit::Sandbox;
use crate::kit::image::{Tar, gzip};
use crate::kit::server::{Reply, Server};

/// A repository in the sandbox with a tag, a second commit and a directory.
fn repository(sandbox: &Sandbox) -> PathBuf {
    let git = |words: &str| {
        let own = ["-c", "user.name=n", "-c", "user.email=n@localhost", "-C", "repo"];
        sandbox.program("git").args(own).args(words.split_whitespace()).ok()
    };
    sandbox.file("work/repo/f", "one");
    sandbox.file("work/repo/sub/Dockerfile", "FROM scratch\nCOPY . /\n");
    for words in ["init -q -b main", "add -A", "commit -q -m one", "tag -a v1 -m v1"] {
        git(words);
    }
    sandbox.file("work/repo/f", "two");
    git("commit -q -a -m two");
    sandbox.path("work/repo")
}

#[test]
fn archives_and_dockerfiles_come_on_standard_input() {
    let sandbox = Sandbox::new();
    let tar =
        || Tar::new().file("Dockerfile", 0o644, b"FROM scratch\nCOPY f /\n").file("f", 0o644, b"F").bytes();
    for bytes in [tar(), gzip(&tar())] {
        drop(fs::remove_dir_all(sandbox.path("out")));
        sandbox.dhow(["build", "-o", "../out", "-"]).stdin(bytes).ok();
        assert_eq!(fs::read_to_string(sandbox.path("out/f")).unwrap(), "F");
    }
    let text = "FROM scratch\nCOPY <<g /\nG\ng\n";
    sandbox.dhow(["build", "-o", "../out2", "-"]).stdin(text).ok();
    assert_eq!(fs::read_to_string(sandbox.path("out2/g")).unwrap(), "G\n");
    let err = sandbox.dhow(["build", "-"]).stdin("FROM scratch\nCOPY f /\n").fails(125);
    assert!(err.contains("`f` is not in standard input"), "{err}");
    let err = sandbox.dhow(["build", "-"]).stdin(vec![0u8, 1, 2, 3]).fails(125);
    assert!(err.contains("not text"), "{err}");
    assert_eq!(fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0, "staging is not empty");
}

#[test]
fn a_context_that_was_cut_between_two_files_is_refused() {
    let sandbox = Sandbox::new();
    let tar =
        Tar::new().file("Dockerfile", 0o644, b"FROM scratch\nCOPY . /\n").file("f", 0o644, b"F").bytes();
    let (one, both) = (2 * 512, 4 * 512);
    for cut in [one, both] {
        let err = sandbox.dhow(["build", "-"]).stdin(&tar[..cut]).fails(125);
        assert!(err.contains("the archive is truncated"), "{cut}: {err}");
    }
    sandbox.dhow(["build", "-"]).stdin(tar).ok();
    assert_eq!(fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0, "staging is not empty");
}

#[test]
fn several_dockerfiles_are_one() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/one", "FROM scratch AS base\nCOPY <<f /one\n1\nf");
    sandbox.file("work/c/two", "COPY <<f /two\n2\nf\nFROM base\n");
    sandbox.line("build -f c/one -f c/two -o ../out c").ok();
    for (name, text) in [("one", "1\n"), ("two", "2\n")] {
        assert_eq!(fs::read_to_string(sandbox.path("out").join(name)).unwrap(), text);
    }
    assert!(sandbox.line("build -f c/one -f c/none c").fails(125).contains("c/none"));
}

#[test]
fn an_image_of_a_layout_is_chosen_by_its_digest() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.file(&format!("work/c/{name}"), name);
        let text = format!("FROM scratch\nCOPY {name} /\n");
        sandbox.dhow(["build", "-q", "-f", "-", "-t", name, "c"]).stdin(text).ok();
        sandbox.dhow(["push", "-q", name, &format!("oci:layout:{name}")]).ok();
    }
    sandbox.line("rmi -a -f").ok();
    sandbox.line("builder prune -f").ok();
    let index = fs::read(sandbox.path("work/layout/index.json")).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
    for (at, name, other) in [(0, "a", "b"), (1, "b", "a")] {
        let digest = index["manifests"][at]["digest"].as_str().unwrap();
        let context = format!("base=oci-layout://layout@{digest}");
        let words = ["build", "-f", "-", "-o", "../out", "--build-context", &context, "c"];
        drop(fs::remove_dir_all(sandbox.path("out")));
        sandbox.dhow(words).stdin("FROM base\nCOPY <<x /\nx\n").ok();
        assert!(sandbox.path("out").join(name).is_file() && !sandbox.path("out").join(other).exists());
    }
    let none = format!("sha256:{:064}", 0);
    for (digest, said) in [(none.as_str(), "no image"), ("sha256:00", "oci-layout://layout@sha256:00")] {
        let context = format!("base=oci-layout://layout@{digest}");
        let words = ["build", "-f", "-", "--build-context", &context, "c"];
        let err = sandbox.dhow(words).stdin("FROM base\n").fails(125);
        assert!(err.contains(said), "{err}");
    }
}

#[test]
fn pruning_forgets_what_is_known_of_files_and_urls() {
    let sandbox = Sandbox::new();
    let server = Server::start(|_, _| Reply::new(200, "U").header("ETag", "\"v1\""));
    sandbox.file("work/c/f", "F");
    let text = format!("FROM scratch\nCOPY f /\nADD http://{}/u /\n", server.address());
    let urls = sandbox.root().join("build/urls");
    for command in ["builder prune -f", "system prune -f"] {
        sandbox.dhow(["build", "-q", "-f", "-", "c"]).stdin(text.clone()).ok();
        assert_eq!(fs::read_dir(&urls).unwrap().count(), 1, "{command}");
        let known = sandbox.root().join("build/known");
        fs::create_dir_all(&known).unwrap();
        fs::write(known.join("00"), "").unwrap();
        sandbox.line(command).ok();
        for dir in [&urls, &known] {
            assert_eq!(fs::read_dir(dir).unwrap().count(), 0, "{command}: {}", dir.display());
        }
    }
}

#[test]
fn flags_that_cannot_be_honoured_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/Dockerfile", "FROM scratch\nCOPY <<f /\nf\n");
    for flag in
        ["--rm=false", "--disable-compression=false", "--provenance=true", "--progress=tty", "--builder=x"]
    {
        let err = sandbox.dhow(["build", flag, "c"]).fails(125);
        assert!(err.contains(flag.split('=').next().unwrap()), "{flag}: {err}");
    }
    sandbox.line("build -q --rm --force-rm --disable-compression --progress=plain c").ok();
}

#[test]
fn contexts_come_from_servers_and_repositories() {
    let sandbox = Sandbox::new();
    let tar = gzip(
        &Tar::new().file("Dockerfile", 0o644, b"FROM scratch\nCOPY f /\n").file("f", 0o644, b"F").bytes(),
    );
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/c.tgz" => Reply::new(200, tar.clone()),
        "/Dockerfile" => Reply::new(200, "FROM scratch\nCOPY <<g /\nG\ng\n"),
        _ => Reply::new(404, ""),
    });
    let url = |path: &str| format!("http://{}{path}", server.address());
    sandbox.dhow(["build", "-o", "../out", &url("/c.tgz")]).ok();
    assert_eq!(fs::read_to_string(sandbox.path("out/f")).unwrap(), "F");
    sandbox.dhow(["build", "-o", "../out", &url("/Dockerfile")]).ok();
    assert_eq!(fs::read_to_string(sandbox.path("out/g")).unwrap(), "G\n");
    assert!(sandbox.dhow(["build", &url("/none")]).fails(125).contains("404"));
    let repo = format!("file://{}", repository(&sandbox).display());
    for suffix in ["#v1:sub", "?tag=v1&subdir=sub", "#main:sub"] {
        sandbox.dhow(["build", "-o", "../sub", &format!("{repo}{suffix}")]).ok();
        assert!(sandbox.path("sub/Dockerfile").is_file(), "{suffix}");
    }
    for bad in ["#none", "#v1:none", "#--upload-pack=x", "?nope=1"] {
        sandbox.dhow(["build", &format!("{repo}{bad}")]).fails(125);
    }
}

#[test]
fn repositories_are_added_by_their_commit() {
    let sandbox = Sandbox::new();
    let repo = format!("file://{}", repository(&sandbox).display());
    fs::create_dir_all(sandbox.path("work/c")).unwrap();
    let dockerfile = format!("FROM scratch\nADD {repo}#v1 /old/\nADD --keep-git-dir=true {repo} /new/\n");
    let run = || sandbox.dhow(["build", "-f", "-", "-o", "../out", "c"]).stdin(dockerfile.clone()).run();
    run().ok();
    let read = |path: &str| fs::read_to_string(sandbox.path("out").join(path)).unwrap();
    assert_eq!((read("old/f"), read("new/f")), ("one".into(), "two".into()));
    assert!(!sandbox.path("out/old/.git").exists() && sandbox.path("out/new/.git").is_dir());
    assert_eq!(run().stderr().matches("Using cache").count(), 2);
    let wrong = "0123456789012345678901234567890123456789";
    let text = format!("FROM scratch\nADD --checksum={wrong} {repo} /\n");
    let err = sandbox.dhow(["build", "-f", "-", "c"]).stdin(text).fails(125);
    assert!(err.contains("is at commit"), "{err}");
}

#[test]
fn named_contexts_are_directories_images_and_layouts() {
    let sandbox = Sandbox::with_busybox();
    sandbox.file("work/c/Dockerfile", "FROM base\nCOPY --from=more . /more/\nRUN ls /more /bin/sh\n");
    sandbox.file("work/other/f", "F");
    sandbox.file("work/other/left.out", "F");
    sandbox.file("work/other/.dockerignore", "left.out\n");
    let contexts = ["--build-context", "base=docker-image://busybox", "--build-context", "more=other"];
    let told = sandbox.dhow(["build"]).args(contexts).arg("c").run();
    assert!(told.status == 0 && told.stderr().contains("/bin/sh"), "{told}");
    assert!(!told.stderr().contains("left.out"), "{told}");
    sandbox.line("save --format oci-dir -o layout busybox").ok();
    let contexts = ["--build-context", "base=oci-layout://layout", "--build-context", "more=other"];
    sandbox.dhow(["build", "-q"]).args(contexts).arg("c").ok();
    let err = sandbox.line("build --build-context base=nope://x c").fails(125);
    assert!(err.contains("no `nope://`"), "{err}");
}

#[test]
fn secrets_are_seen_by_their_run_alone() {
    let sandbox = Sandbox::with_busybox();
    sandbox.file("work/secret", "TOPSECRET");
    sandbox.file(
        "work/c/Dockerfile",
        "FROM busybox\n\
         RUN --mount=type=secret,id=s,target=/run/x test \"$(cat /run/x)\" = TOPSECRET && stat -c %a:%u /run/x\n\
         RUN --mount=type=secret,id=e,env=TOKEN test \"$TOKEN\" = VALUE && test ! -e /run/secrets/e\n\
         RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n\
         RUN test ! -e /run/x\n",
    );
    let words = ["build", "-t", "s", "--secret", "id=s,src=secret", "--secret", "id=e,env=E", "c"];
    let told = sandbox.dhow(words).env("E", "VALUE").run();
    assert!(told.status == 0 && told.stderr().contains("400:0"), "{told}");
    // Another value is no reason to run again, and no file of the store has either.
    sandbox.file("work/secret", "OTHER");
    let again = sandbox.dhow(words).env("E", "VALUE").run();
    assert_eq!((again.stderr().matches("Using cache").count(), again.out), (4, told.out), "{}", again.shown);
    let grep = sandbox.program("grep").args(["-rlE", "TOPSECRET|VALUE"]).arg(sandbox.root());
    // The Dockerfile's own text (in history) has the words that it compares with.
    let found = grep.run().stdout();
    assert!(!found.contains("/layers/"), "{found}");
    sandbox.file("work/c/R", "FROM busybox\nRUN --mount=type=secret,id=n,required true\n");
    assert!(sandbox.line("build -f c/R c").fails(125).contains("no secret `n`"));
    assert!(sandbox.line("build --secret id=x,src=none c").fails(125).contains("secret `x`"));
}

#[test]
fn the_ssh_agent_is_forwarded() {
    let sandbox = Sandbox::with_busybox();
    let path = sandbox.path("tmp/a");
    let _listener = UnixListener::bind(&path).unwrap();
    sandbox.file(
        "work/c/Dockerfile",
        "FROM busybox\nRUN --mount=type=ssh,mode=0622 test -S $SSH_AUTH_SOCK && stat -c agent:%a:%u $SSH_AUTH_SOCK\n\
         RUN test -z \"$SSH_AUTH_SOCK\"\n",
    );
    let told = sandbox.line("build --ssh default c").env("SSH_AUTH_SOCK", &path).run();
    assert!(told.status == 0 && told.stderr().contains("agent:622:0"), "{told}");
    let err = sandbox.line("build --ssh default c").fails(125);
    assert!(err.contains("SSH_AUTH_SOCK is not set"), "{err}");
}

#[test]
fn results_become_directories_and_archives() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/Dockerfile", "FROM scratch\nCOPY f /\nCOPY --chown=5:6 f /g\n");
    sandbox.file("work/c/f", "F");
    let id = sandbox.line("build -t r:1 -o type=local,dest=../out c").ok();
    assert_eq!(fs::read_to_string(sandbox.path("out/g")).unwrap(), "F");
    assert_eq!(id.trim().len(), 64);
    let tar = sandbox.line("build -q -o - c").run();
    let list = sandbox.program("tar").args(["--numeric-owner", "-tvf", "-"]).stdin(tar.out).ok();
    assert!(list.contains(" 5/6 ") && list.lines().count() == 2, "{list}");
    sandbox.line("build -q -t r:1 -o type=docker,dest=d.tar c").ok();
    sandbox.line("build -q -t r:1 -o type=oci,dest=o.tar c").ok();
    sandbox.line("rmi -a -f").ok();
    for archive in ["d.tar", "o.tar"] {
        assert!(sandbox.dhow(["load", "-i", archive]).ok().contains("r:1"), "{archive}");
        sandbox.line("rmi -a -f").ok();
    }
    for bad in ["type=nope,dest=x", "type=local", "type=registry", "dest=x"] {
        sandbox.dhow(["build", "-o", bad, "c"]).fails(125);
    }
    sandbox.file("work/file", "");
    assert!(sandbox.line("build -o file c").fails(125).contains("no directory"));
}
