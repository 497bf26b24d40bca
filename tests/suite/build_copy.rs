//! `build`: what COPY and ADD bring, seen in the root file system that comes out.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use crate::kit::image::{Tar, gzip};
use crate::kit::server::{Reply, Server};
use crate::kit::{Outcome, Sandbox};

/// Builds `work/c` with this Dockerfile into the directory `out` of the sandbox.
fn build(sandbox: &Sandbox, dockerfile: &str) -> Outcome {
    drop(fs::remove_dir_all(sandbox.path("out")));
    fs::create_dir_all(sandbox.path("work/c")).unwrap();
    let words = ["build", "-f", "-", "-o", "../out", "c"];
    sandbox.dhow(words).stdin(dockerfile).run()
}

fn out(sandbox: &Sandbox, path: &str) -> PathBuf {
    sandbox.path("out").join(path)
}

fn text(sandbox: &Sandbox, path: &str) -> String {
    fs::read_to_string(out(sandbox, path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of `tar tv` of what comes out: mode, owner, size, time, name.
fn listing(sandbox: &Sandbox, dockerfile: &str) -> String {
    let built = sandbox.dhow(["build", "-q", "-f", "-", "-o", "-", "c"]).stdin(dockerfile).run();
    assert_eq!(built.status, 0, "{built}");
    sandbox.program("tar").args(["--numeric-owner", "-tvf", "-"]).stdin(built.out).ok()
}

#[test]
fn sources_and_destinations_follow_the_reference() {
    let sandbox = Sandbox::new();
    for (path, content) in
        [("a.txt", "A"), ("b.txt", "B"), ("d/one", "1"), ("d/e/two", "2"), ("d/skip.md", "-"), ("x[1]", "X")]
    {
        sandbox.file(&format!("work/c/{path}"), content);
    }
    build(
        &sandbox,
        "FROM scratch\n\
         COPY a.txt /file\n\
         COPY *.txt /globbed/\n\
         COPY d /contents\n\
         COPY a.txt d /both/\n\
         COPY --parents d/e/two /parents/\n\
         COPY --parents ./d/./e /pivot/\n\
         COPY --exclude=*.md d /without/\n\
         COPY d/**/two /deep/\n\
         COPY [\"x[[]1]\", \"/odd\"]\n\
         WORKDIR /w\n\
         COPY a.txt .\n\
         COPY a.txt sub/\n",
    )
    .ok();
    for (path, content) in [
        ("file", "A"),
        ("globbed/a.txt", "A"),
        ("globbed/b.txt", "B"),
        ("contents/one", "1"),
        ("contents/e/two", "2"),
        ("both/a.txt", "A"),
        ("both/one", "1"),
        ("parents/d/e/two", "2"),
        ("pivot/e/two", "2"),
        ("without/e/two", "2"),
        ("deep/two", "2"),
        ("odd", "X"),
        ("w/a.txt", "A"),
        ("w/sub/a.txt", "A"),
    ] {
        assert_eq!(text(&sandbox, path), content, "{path}");
    }
    assert!(!out(&sandbox, "without/skip.md").exists());
}

#[test]
fn what_cannot_be_copied_is_an_error_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/a", "A");
    sandbox.file("work/c/b", "B");
    sandbox.file("work/secret", "SECRET");
    symlink("../secret", sandbox.path("work/c/out")).unwrap();
    symlink(sandbox.path("work/secret"), sandbox.path("work/c/abs")).unwrap();
    for (line, said) in [
        ("COPY none /", "`none` is not in the build context"),
        ("COPY *.none /", "matches `*.none`"),
        ("COPY ../secret /x", "`../secret` is not in the build context"),
        ("COPY out /x", "is not in the build context"),
        ("COPY abs /x", "is not in the build context"),
        ("COPY a b /x", "must be a directory and end in `/`"),
        ("ADD --checksum=sha256:00 a /x", "--checksum"),
    ] {
        let outcome = build(&sandbox, &format!("FROM scratch\n{line}\n"));
        let err = outcome.stderr();
        assert!(outcome.status == 125 && err.contains(said) && err.contains(":2: `"), "{line}: {outcome}");
        assert!(!err.contains("SECRET"), "{err}");
    }
    assert_eq!(sandbox.line("images -q -a").ok(), "");
}

#[test]
fn owners_and_modes_are_those_of_the_reference() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("work/c/d/f", "F");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let list = listing(
        &sandbox,
        "FROM scratch AS one\n\
         COPY --chown=7:8 d /kept/\n\
         FROM scratch\n\
         COPY d/f /plain\n\
         COPY --chmod=4711 d/f /octal\n\
         COPY --chmod=u=rwX,go=rX d /symbolic/\n\
         COPY --chown=5 d/f /owned\n\
         COPY --from=one /kept/f /from\n\
         COPY --from=one --chown=9:9 /kept/f /given\n",
    );
    for (name, mode, owner) in [
        ("plain", "-rw-r-----", "0/0"),
        ("octal", "-rws--x--x", "0/0"),
        ("symbolic/f", "-rw-r--r--", "0/0"),
        ("owned", "-rw-r-----", "5/5"),
        ("from", "-rw-r-----", "7/8"),
        ("given", "-rw-r-----", "9/9"),
    ] {
        let line = list.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap_or_default();
        assert!(line.starts_with(mode) && line.contains(&format!(" {owner} ")), "{name}: {list}");
    }
}

#[test]
fn links_hard_links_and_holes_survive() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/d/one", "1");
    fs::hard_link(sandbox.path("work/c/d/one"), sandbox.path("work/c/d/two")).unwrap();
    symlink("/etc/passwd", sandbox.path("work/c/d/link")).unwrap();
    symlink("d/one", sandbox.path("work/c/named")).unwrap();
    fs::File::create(sandbox.path("work/c/d/sparse")).unwrap().set_len(1 << 26).unwrap();
    sandbox.program("mkfifo").arg("c/d/fifo").ok();
    build(&sandbox, "FROM scratch\nCOPY d /d\nCOPY named /named\n").ok();
    let of = |path: &str| fs::symlink_metadata(out(&sandbox, path)).unwrap();
    assert_eq!(of("d/one").ino(), of("d/two").ino());
    assert!(of("d/link").file_type().is_symlink() && of("named").is_file());
    assert!(of("d/sparse").len() == 1 << 26 && of("d/sparse").blocks() < 1000);
}

#[test]
fn ignored_files_are_not_there() {
    let sandbox = Sandbox::new();
    for path in ["keep", "a.log", "d/b.log", "d/keep.log", "secret/x", "secret/y"] {
        sandbox.file(&format!("work/c/{path}"), "x");
    }
    sandbox
        .file("work/c/.dockerignore", "# comment\n**/*.log\n!d/keep.log\nsecret\n!secret/y\n.dockerignore\n");
    build(&sandbox, "FROM scratch\nCOPY . /\n").ok();
    let found = sandbox.program("find").args(["../out", "-type", "f", "-printf", "%P\n"]).ok();
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    assert_eq!(found, ["d/keep.log", "keep", "secret/y"]);
    let outcome = build(&sandbox, "FROM scratch\nCOPY a.log /\n");
    assert!(outcome.status == 125 && outcome.stderr().contains("ignore file"), "{outcome}");
    // A list of its own beside the Dockerfile wins, and `.containerignore` wins over `.dockerignore`.
    sandbox.file("work/c/.containerignore", "keep\n");
    build(&sandbox, "FROM scratch\nCOPY . /\n").ok();
    assert!(out(&sandbox, "a.log").exists() && !out(&sandbox, "keep").exists());
    sandbox.file("work/c/My", "FROM scratch\nCOPY . /\n");
    sandbox.file("work/c/My.dockerignore", "d\n");
    sandbox.dhow(["build", "-f", "c/My", "-o", "../out2", "c"]).ok();
    assert!(sandbox.path("out2/keep").exists() && !sandbox.path("out2/d").exists());
}

#[test]
fn only_what_changed_is_copied_again() {
    let sandbox = Sandbox::new();
    sandbox.file("work/c/d/main.c", "one");
    sandbox.file("work/c/d/other.c", "two");
    let dockerfile = "FROM scratch\nCOPY d /d\n";
    let run = || sandbox.dhow(["build", "-f", "-", "-t", "x", "c"]).stdin(dockerfile).run();
    let first = run();
    let again = run();
    assert_eq!((first.out.clone(), again.status), (again.out.clone(), 0));
    assert!(again.stderr().contains("Using cache"), "{again}");
    // The same size and the same time, other content.
    let path = sandbox.path("work/c/d/main.c");
    let before = fs::metadata(&path).unwrap();
    fs::write(&path, "ONE").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    let changed = run();
    assert!(changed.stderr().contains("cache miss: d/main.c changed"), "{changed}");
    assert_ne!(changed.out, first.out);
    // Another time, the same content.
    fs::write(&path, "one").unwrap();
    assert!(run().stderr().contains("Using cache"));
}

#[test]
fn archives_are_unpacked_by_add_and_by_nothing_else() {
    let sandbox = Sandbox::new();
    let tar = || Tar::new().dir("top", 0o755).owned("top/f", 0o600, (3, 4), b"F").bytes();
    sandbox.file("work/c/plain", tar());
    sandbox.file("work/c/zipped", gzip(&tar()));
    sandbox.file("work/c/no.tar.gz", gzip(b"no tar"));
    for (program, name) in [("xz", "x"), ("bzip2", "b"), ("zstd", "z")] {
        if std::process::Command::new(program).arg("--version").output().is_ok() {
            let packed = sandbox.program(program).arg("-c").stdin(tar()).run();
            sandbox.file(&format!("work/c/{name}"), packed.out);
        }
    }
    let more = ["x", "b", "z"].iter().filter(|name| sandbox.path("work/c").join(name).exists());
    let more: String = more.map(|name| format!("ADD {name} /{name}/\n")).collect();
    build(
        &sandbox,
        &format!(
            "FROM scratch\nADD plain /p/\nADD zipped /g\nADD no.tar.gz /n/\nCOPY plain /c/\n\
             ADD --unpack=false plain /u/\n{more}"
        ),
    )
    .ok();
    for dir in ["p", "g"] {
        assert_eq!(text(&sandbox, &format!("{dir}/top/f")), "F");
    }
    for name in more.lines().filter_map(|line| line.split_whitespace().nth(1)) {
        assert_eq!(text(&sandbox, &format!("{name}/top/f")), "F", "{name}");
    }
    assert!(out(&sandbox, "n/no.tar.gz").is_file());
    assert!(out(&sandbox, "c/plain").is_file() && out(&sandbox, "u/plain").is_file());
    let list = listing(&sandbox, "FROM scratch\nADD plain /p/\nADD --chown=6:6 plain /q/\n");
    assert!(list.contains(" 3/4 ") && list.contains(" 6/6 "), "{list}");
}

#[test]
fn a_mode_is_given_to_what_an_archive_brings() {
    let sandbox = Sandbox::new();
    let tar = Tar::new().dir("top", 0o700).file("top/f", 0o600, b"F").file("top/x", 0o4700, b"X");
    sandbox.file("work/c/a.tar", tar.symlink("top/l", "f").bytes());
    for (mode, dir, file, executable) in [
        ("755", "drwxr-xr-x", "-rwxr-xr-x", "-rwxr-xr-x"),
        ("u=rwX,go=rX", "drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"),
        ("g+w", "drwx-w----", "-rw--w----", "-rws-w----"),
    ] {
        let list = listing(&sandbox, &format!("FROM scratch\nADD --chmod={mode} a.tar /p/\n"));
        for (name, shown) in [("p/top/", dir), ("p/top/f", file), ("p/top/x", executable)] {
            let line = list.lines().find(|line| line.ends_with(&format!(" {name}"))).unwrap_or_default();
            assert!(line.starts_with(shown), "{mode} {name}: {list}");
        }
        assert!(list.contains("p/top/l -> f"), "{list}");
    }
}

#[test]
fn an_archive_that_wants_out_stays_inside() {
    let sandbox = Sandbox::new();
    let host = sandbox.path("host");
    fs::create_dir_all(&host).unwrap();
    let tar = Tar::new().symlink("l", host.to_str().unwrap()).file("l/pwned", 0o644, b"x").bytes();
    sandbox.file("work/c/evil", tar);
    let outcome = build(&sandbox, "FROM scratch\nADD evil /a/b/\n");
    assert!(matches!(outcome.status, 0 | 125), "{outcome}");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
}

#[test]
fn destinations_through_links_of_the_image_stay_inside() {
    let sandbox = Sandbox::new();
    let host = sandbox.path("host");
    fs::create_dir_all(&host).unwrap();
    sandbox.file("work/c/f", "F");
    symlink(&host, sandbox.path("work/c/abs")).unwrap();
    symlink("../../../../../../../../host", sandbox.path("work/c/rel")).unwrap();
    symlink("/real", sandbox.path("work/c/good")).unwrap();
    let links = "FROM scratch\nCOPY . /\nCOPY f /abs/\nCOPY f /rel/x/\nCOPY f /good/\n";
    // A named link is followed; inside `.` it stays a link.
    build(&sandbox, links).ok();
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
    assert_eq!((text(&sandbox, "real/f"), text(&sandbox, "host/x/f")), ("F".into(), "F".into()));
}

#[test]
fn files_of_a_server_are_added_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(|request, _| match request.path.split('?').next().unwrap_or_default() {
        "/dir/file.txt" if request.header("if-none-match") == Some("\"v1\"") => Reply::new(304, ""),
        "/dir/file.txt" => Reply::new(200, "CONTENT")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
        "/moved" => Reply::new(302, "").header("Location", "/dir/file.txt"),
        "/evil" => Reply::new(302, "").header("Location", "file:///etc/passwd"),
        "/short" => Reply::new(200, "half").claiming(100),
        "/a.tar" => Reply::new(200, Tar::new().file("in", 0o644, b"I").bytes()),
        _ => Reply::new(404, ""),
    });
    let at = server.address();
    let checksum = format!("sha256:{}", crate::kit::image::sha256(b"CONTENT").trim_start_matches("sha256:"));
    let dockerfile = format!(
        "FROM scratch\nADD http://{at}/dir/file.txt?x=/y /in/\nADD --checksum={checksum} http://{at}/moved /as\n\
         ADD http://{at}/a.tar /t/\nADD --unpack http://{at}/a.tar /u/\n"
    );
    build(&sandbox, &dockerfile).ok();
    assert_eq!((text(&sandbox, "in/file.txt"), text(&sandbox, "as")), ("CONTENT".into(), "CONTENT".into()));
    let found = fs::metadata(out(&sandbox, "in/file.txt")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime()), (0o600, 1_445_412_480));
    assert!(out(&sandbox, "t/a.tar").is_file() && text(&sandbox, "u/in") == "I");
    let again = build(&sandbox, &dockerfile);
    assert_eq!(again.stderr().matches("Using cache").count(), 4, "{again}");
    let answered = server.seen().iter().filter(|seen| seen.header("if-none-match").is_some()).count();
    assert!(answered >= 1, "the server was not asked whether the file changed");
    let wrong = format!("sha256:{:064}", 0);
    for (line, said) in [
        (format!("ADD http://{at}/none /x"), "404"),
        (format!("ADD http://{at}/evil /x"), "file:///etc/passwd"),
        (format!("ADD http://{at}/short /x"), "/short"),
        (format!("ADD --checksum={wrong} http://{at}/moved /x"), "as `--checksum` says"),
    ] {
        let outcome = build(&sandbox, &format!("FROM scratch\n{line}\n"));
        assert!(outcome.status == 125 && outcome.stderr().contains(said), "{line}: {outcome}");
    }
    assert_eq!(fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0, "staging is not empty");
}
