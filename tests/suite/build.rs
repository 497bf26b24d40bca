//! `build`: stages, steps, cache, configuration, failures. What COPY, contexts, secrets and outputs do is in
//! `build_copy` and `build_context`.

use std::time::Instant;

use serde_json::Value;

use crate::kit::{Sandbox, eventually, rootless};

/// A sandbox with a base image and this Dockerfile in `work/ctx`.
fn with(dockerfile: &str) -> Sandbox {
    let sandbox = Sandbox::with_busybox();
    sandbox.file("work/ctx/Dockerfile", dockerfile);
    sandbox
}

/// Builds the context with further words; stdout, stderr.
fn build(sandbox: &Sandbox, words: &str) -> (String, String) {
    let outcome = sandbox.line(&format!("build {words}")).arg(sandbox.path("work/ctx")).run();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr());
    (outcome.stdout().trim().to_owned(), outcome.stderr())
}

fn config(sandbox: &Sandbox, image: &str) -> Value {
    let text = sandbox.dhow(["image", "inspect", image]).ok();
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

#[test]
fn an_image_is_built_run_and_found_in_the_cache() {
    let sandbox = with(
        "FROM busybox\nENV GREETING=hello\nCOPY name /etc/name\nRUN echo $GREETING $(cat /etc/name) > /said\nCMD [\"cat\", \"/said\"]\n",
    );
    sandbox.file("work/ctx/name", "world\n");
    let (id, said) = build(&sandbox, "-t made");
    assert_eq!(id.len(), 64, "{id}");
    assert!(said.contains("STEP 1/5: FROM busybox") && !said.contains("Using cache"), "{said}");
    assert_eq!(sandbox.line("run --rm made").ok(), "hello world\n");
    let (again, said) = build(&sandbox, "-t made");
    assert_eq!(id, again, "the same steps are the same image");
    assert_eq!(said.matches("Using cache").count(), 2, "{said}");
    assert_eq!(build(&sandbox, "-q").0, id);
    sandbox.file("work/ctx/name", "there\n");
    let (_, said) = build(&sandbox, "-t made");
    assert!(said.contains("cache miss: name changed"), "{said}");
    assert_eq!(sandbox.line("run --rm made").ok(), "hello there\n");
    let (_, said) = build(&sandbox, "--no-cache");
    assert!(!said.contains("Using cache"), "{said}");
}

#[test]
fn the_old_image_of_a_name_becomes_dangling() {
    let sandbox = with("FROM busybox\nRUN echo 1 > /a\n");
    let (first, _) = build(&sandbox, "-t one -t two:x");
    sandbox.file("work/ctx/Dockerfile", "FROM busybox\nRUN echo 2 > /a\n");
    let (second, _) = build(&sandbox, "-t one -t two:x");
    assert_ne!(first, second);
    let dangling = sandbox.line("images -q --no-trunc --filter dangling=true").ok();
    assert!(dangling.contains(&first), "{dangling}");
    assert_eq!(sandbox.line("run --rm two:x cat /a").ok(), "2\n");
}

#[test]
fn history_and_layers_agree() {
    let sandbox = with(
        "FROM busybox\nLABEL a=b\nRUN true\nRUN echo x > /x\nWORKDIR /made\nWORKDIR /etc\nUSER 5\nCOPY Dockerfile /\n",
    );
    build(&sandbox, "-t made");
    let image = config(&sandbox, "made");
    let base = config(&sandbox, "busybox")["RootFS"]["Layers"].as_array().unwrap().len();
    let history = image["History"].as_array().unwrap();
    let with_layer = history.iter().filter(|entry| entry["empty_layer"] != true).count();
    let layers = image["RootFS"]["Layers"].as_array().unwrap().len();
    assert_eq!(with_layer, layers);
    assert_eq!(layers - base, 4, "two RUN, one WORKDIR that makes something, one COPY");
}

#[test]
fn the_configuration_is_what_the_instructions_say() {
    let sandbox = with(concat!(
        "FROM busybox\nENV A=1 B=$A\nENV C=$A\nLABEL one=1 two=\"2 2\"\nEXPOSE 80 90-91/udp\nVOLUME /data\n",
        "STOPSIGNAL SIGINT\nUSER 5:6\nWORKDIR /w\nWORKDIR sub\nENTRYPOINT [\"a\"]\nCMD b c\n",
        "HEALTHCHECK --interval=5s CMD true\n",
    ));
    build(&sandbox, "-t made");
    let config = config(&sandbox, "made")["Config"].clone();
    let env: Vec<&str> = config["Env"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(env.ends_with(&["A=1", "B=", "C=1"]) && env[0].starts_with("PATH="), "{env:?}");
    assert_eq!(config["Labels"]["two"], "2 2");
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    assert_eq!(ports, ["80/tcp", "90/udp", "91/udp"]);
    assert!(config["Volumes"]["/data"].is_object());
    assert_eq!((config["User"].as_str(), config["WorkingDir"].as_str()), (Some("5:6"), Some("/w/sub")));
    assert_eq!(config["Cmd"], serde_json::json!(["/bin/sh", "-c", "b c"]));
    assert_eq!(config["Healthcheck"]["Test"], serde_json::json!(["CMD-SHELL", "true"]));
}

#[test]
fn an_entrypoint_clears_the_command_of_the_base_only() {
    let sandbox = with(
        "FROM busybox AS base\nCMD [\"old\"]\nFROM base AS cleared\nENTRYPOINT [\"e\"]\nFROM base\nCMD [\"new\"]\nENTRYPOINT [\"e\"]\n",
    );
    build(&sandbox, "-t kept");
    build(&sandbox, "-t cleared --target cleared");
    assert_eq!(config(&sandbox, "kept")["Config"]["Cmd"], serde_json::json!(["new"]));
    assert!(config(&sandbox, "cleared")["Config"]["Cmd"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn stages_that_the_target_does_not_need_are_not_built() {
    let sandbox = with(
        "FROM no.such.host/image AS never\nRUN false\nFROM busybox AS want\nRUN echo yes > /y\nFROM want AS last\nRUN false\n",
    );
    let (_, said) = build(&sandbox, "-t made --target want");
    assert!(!said.contains("[stage") && !said.contains("no.such.host"), "{said}");
    assert_eq!(sandbox.line("run --rm made cat /y").ok(), "yes\n");
    let error = sandbox.line("build --target nothing").arg(sandbox.path("work/ctx")).fails(125);
    assert!(error.contains("nothing"), "{error}");
}

#[test]
fn independent_stages_are_built_at_once_and_copied_from() {
    let stages: String =
        (0..3).map(|n| format!("FROM busybox AS s{n}\nRUN sleep 2; echo {n} > /f{n}\n")).collect();
    let copies: String = (0..3).map(|n| format!("COPY --from=s{n} /f{n} /\n")).collect();
    let sandbox = with(&format!("{stages}FROM busybox\n{copies}"));
    let begin = Instant::now();
    let (_, said) = build(&sandbox, "-t made --jobs 3");
    let took = begin.elapsed();
    assert!(took.as_secs_f64() < 5.5, "three stages of two seconds took {took:?}");
    assert!(said.contains("[stage 4/4] STEP 1/4: FROM busybox"), "{said}");
    assert_eq!(sandbox.line("run --rm made cat /f0 /f1 /f2").ok(), "0\n1\n2\n");
}

#[test]
fn a_command_that_fails_gives_its_code_and_leaves_nothing() {
    let sandbox = with("FROM busybox\nRUN echo kept > /a\nRUN echo last words; exit 7\n");
    let outcome = sandbox.line("build -t made").arg(sandbox.path("work/ctx")).run();
    assert_eq!((outcome.status, outcome.stdout().as_str()), (7, ""));
    let error = outcome.stderr();
    for part in ["stage `0`, step 3/3", "Dockerfile:3", "exit code 7", "  last words"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    sandbox.line("image exists made").fails(1);
    assert_eq!(std::fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0);
    let outcome = sandbox.line("build").arg(sandbox.path("work/ctx")).run();
    assert!(outcome.stderr().contains("Using cache"), "finished steps stay: {}", outcome.stderr());
    for (command, code) in [("RUN nothing-like-this", 127), ("RUN [\"/etc\"]", 126), ("RUN [\"none\"]", 127)]
    {
        sandbox.file("work/ctx/Dockerfile", format!("FROM busybox\n{command}\n"));
        sandbox.line("build").arg(sandbox.path("work/ctx")).fails(code);
    }
}

#[test]
fn a_build_ends_with_its_signal() {
    let sandbox = with("FROM busybox\nRUN echo begun; sleep 1000\n");
    let mut child = sandbox.line("build -t made").arg(sandbox.path("work/ctx")).spawn();
    let mut stderr = child.stderr.take().unwrap();
    let mut seen = String::new();
    eventually("the command runs", || {
        let mut buffer = [0; 256];
        let read = std::io::Read::read(&mut stderr, &mut buffer).unwrap();
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        seen.contains("\nbegun")
    });
    let begin = Instant::now();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(143));
    assert!(begin.elapsed().as_secs() < 5);
    assert_eq!(std::fs::read_dir(sandbox.root().join("staging")).unwrap().count(), 0);
}

#[test]
fn what_run_mounts_is_not_in_the_layer() {
    let sandbox = with(concat!(
        "FROM scratch\nCOPY --from=busybox /bin /bin\n",
        "RUN --mount=type=cache,target=/root/.cache --mount=type=tmpfs,target=/deep/er echo x > /root/.cache/x\n",
        "RUN --mount=type=bind,target=/src,rw touch /src/new; ls /src > /listed\n",
    ));
    build(&sandbox, "-t made");
    assert!(!sandbox.path("work/ctx/new").exists());
    let export = sandbox.program("sh").args(["-c", "tar -t"]);
    sandbox.line("create --name c made x").ok();
    let files = export.stdin(sandbox.line("export c").run().out).ok();
    let files: Vec<&str> = files.lines().filter(|name| !name.starts_with("bin/")).collect();
    assert_eq!(files, ["listed"]);
}

#[test]
fn cache_mounts_are_kept_between_builds() {
    let sandbox = with(
        "FROM busybox\nARG N\nRUN --mount=type=cache,id=../../up,target=/c echo $N >> /c/log; cp /c/log /log\n",
    );
    build(&sandbox, "--build-arg N=1");
    build(&sandbox, "-t made --build-arg N=2");
    assert_eq!(sandbox.line("run --rm made cat /log").ok(), "1\n2\n");
    sandbox.line("builder prune -f").ok();
    build(&sandbox, "-t made --build-arg N=2");
    assert_eq!(sandbox.line("run --rm made cat /log").ok(), "2\n");
}

#[test]
fn arguments_and_variables_have_their_scopes() {
    let sandbox = with(concat!(
        "ARG TAG=latest\nARG OUTER=outer\nFROM busybox:$TAG\nARG OUTER\nARG A=default\nENV E=env\nARG E\n",
        "RUN echo $A $E $OUTER ${UNSEEN:-none} > /said\n",
    ));
    let (_, said) = build(&sandbox, "-t made --build-arg A=given --build-arg E=arg --build-arg NOBODY=1");
    assert!(said.contains("`NOBODY`"), "{said}");
    assert_eq!(sandbox.line("run --rm made cat /said").ok(), "given env outer none\n");
    let (_, said) = build(&sandbox, "--build-arg A=other --build-arg E=arg");
    assert!(said.contains("cache miss: build argument A changed"), "{said}");
    let env = config(&sandbox, "made")["Config"]["Env"].to_string();
    assert!(!env.contains("given"), "arguments are not in the image: {env}");
}

#[test]
fn one_time_gives_one_digest() {
    let sandbox =
        with("FROM busybox\nRUN mkdir /d && echo a > /d/a && ln /d/a /d/b\nCOPY . /ctx\nWORKDIR /made\n");
    let (first, _) = build(&sandbox, "--timestamp 1000");
    let (second, _) = build(&sandbox, "--timestamp 1000 --no-cache");
    assert_eq!(first, second);
    let vfs = Sandbox::new();
    vfs.file("work/ctx/Dockerfile", std::fs::read(sandbox.path("work/ctx/Dockerfile")).unwrap());
    let saved = sandbox.line("save busybox").run().out;
    vfs.line("--storage-driver vfs load").stdin(saved).ok();
    let third = vfs.line("--storage-driver vfs build -q --timestamp 1000").arg(vfs.path("work/ctx")).ok();
    assert_eq!(first, third.trim(), "on another driver");
    let image = config(&sandbox, &first);
    assert_eq!(image["Created"], "1970-01-01T00:16:40Z");
    assert_eq!(
        sandbox.dhow(["run", "--rm", &first, "stat", "-c", "%Y", "/d/a", "/ctx"]).ok(),
        "1000\n1000\n"
    );
}

#[test]
fn layers_are_squashed() {
    let sandbox = with("FROM busybox\nRUN echo 1 > /a; echo 2 > /b\nRUN rm /a; rm -r /etc; echo 3 > /c\n");
    let base = config(&sandbox, "busybox")["RootFS"]["Layers"].as_array().unwrap().len();
    for (flag, layers) in [("--squash", base + 1), ("--layers=false", base + 1), ("--squash-all", 1)] {
        build(&sandbox, &format!("-t made {flag}"));
        let image = config(&sandbox, "made");
        assert_eq!(image["RootFS"]["Layers"].as_array().unwrap().len(), layers, "{flag}");
        let history = image["History"].as_array().unwrap();
        assert_eq!(history.iter().filter(|entry| entry["empty_layer"] != true).count(), layers, "{flag}");
        assert_eq!(sandbox.line("run --rm made cat /b /c").ok(), "2\n3\n", "{flag}");
        sandbox.line("run --rm made test -e /a").fails(1);
    }
}

#[test]
fn triggers_of_a_base_run_in_its_children_only() {
    let sandbox = with("FROM busybox\nONBUILD RUN echo triggered >> /t\n");
    build(&sandbox, "-t parent");
    sandbox.line("run --rm parent test -e /t").fails(1);
    sandbox.file("work/ctx/Dockerfile", "FROM parent\nRUN cat /t\n");
    build(&sandbox, "-t child");
    sandbox.file("work/ctx/Dockerfile", "FROM child\nRUN cp /t /u\n");
    build(&sandbox, "-t grandchild");
    assert_eq!(sandbox.line("run --rm grandchild cat /u").ok(), "triggered\n");
}

#[test]
fn a_build_of_from_alone_is_the_base() {
    let sandbox = with("FROM busybox\n");
    let (id, _) = build(&sandbox, "-t other --format docker");
    assert_eq!(
        format!("sha256:{id}"),
        config(&sandbox, "busybox")["Id"]
            .as_str()
            .map(|id| format!("sha256:{}", id.trim_start_matches("sha256:")))
            .unwrap()
    );
}

#[test]
fn labels_annotations_and_variables_come_from_flags() {
    let sandbox = with("FROM busybox\nLABEL own=1\nENV KEEP=1 DROP=1\n");
    let iid = sandbox.path("work/iid");
    let metadata = sandbox.path("work/metadata");
    let words = format!(
        "-t made --label x=y --env ADDED=2 --unsetenv DROP --annotation note=this --iidfile {} --metadata-file {}",
        iid.display(),
        metadata.display()
    );
    let (id, _) = build(&sandbox, &words);
    let image = config(&sandbox, "made");
    assert_eq!(
        (image["Config"]["Labels"]["x"].as_str(), image["Config"]["Labels"]["own"].as_str()),
        (Some("y"), Some("1"))
    );
    let env = image["Config"]["Env"].to_string();
    assert!(env.contains("ADDED=2") && env.contains("KEEP=1") && !env.contains("DROP"), "{env}");
    assert_eq!(image["Annotations"]["note"], "this");
    assert_eq!(std::fs::read_to_string(iid).unwrap(), format!("sha256:{id}"));
    let metadata: Value = serde_json::from_slice(&std::fs::read(metadata).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], format!("sha256:{id}"));
    build(&sandbox, "-t bare --omit-history --format docker");
    assert!(config(&sandbox, "bare")["History"].as_array().is_none_or(Vec::is_empty));
}

#[test]
fn run_has_the_confinement_of_run() {
    let sandbox = with(
        "FROM busybox\nRUN grep -E 'CapEff|Seccomp:' /proc/self/status > /said; ls /proc/self/fd | wc -l >> /said; env >> /said\nRUN --network=none cat /proc/net/dev > /net\n",
    );
    build(&sandbox, "-t made");
    let in_build = sandbox.line("run --rm made cat /said").ok();
    let in_run = sandbox.line("run --rm busybox grep -E CapEff|Seccomp: /proc/self/status").ok();
    assert!(in_build.starts_with(&in_run), "{in_build}\n{in_run}");
    assert!(!in_build.contains("XDG_RUNTIME_DIR") && in_build.contains("HOME=/root"), "{in_build}");
    let net = sandbox.line("run --rm made cat /net").ok();
    assert_eq!(net.lines().count(), 3, "loopback alone: {net}");
}

#[test]
fn two_builds_at_once_do_not_disturb_each_other() {
    let sandbox = with("FROM busybox\nARG N\nRUN echo $N > /n\nRUN sleep 1; cp /n /m\n");
    let start = |n: u8| {
        sandbox.line(&format!("build -q -t made{n} --build-arg N={n}")).arg(sandbox.path("work/ctx")).spawn()
    };
    let children = [start(1), start(2), start(1)];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(sandbox.line("run --rm made1 cat /m").ok(), "1\n");
    assert_eq!(sandbox.line("run --rm made2 cat /m").ok(), "2\n");
}

#[test]
fn the_cache_outlives_its_image_and_is_pruned() {
    let sandbox = with("FROM busybox\nRUN head -c 1000000 /dev/urandom > /big\n");
    let (id, _) = build(&sandbox, "-t made");
    sandbox.line("rmi made").ok();
    assert_eq!(build(&sandbox, "-t made").0, id, "the step was not done again");
    sandbox.line("rmi made").ok();
    let freed = sandbox.line("builder prune -f").ok();
    assert!(freed.contains("MB"), "{freed}");
    assert_ne!(build(&sandbox, "-t made").0, id);
    sandbox.line("image exists busybox").ok();
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let sandbox = with("FROM busybox\nRUN true\n");
    for flags in [
        "--cache-from x",
        "--sbom=true",
        "--platform linux/amd64,linux/arm64",
        "--progress tty",
        "--isolation chroot",
    ] {
        let error = sandbox.line(&format!("build {flags}")).arg(sandbox.path("work/ctx")).fails(125);
        assert!(error.starts_with("Error: "), "{flags}: {error}");
    }
    for file in
        ["", "RUN x\n", "FROM busybox\nFLY me\n", "FROM busybox\nCOPY --from=1 a b\n", "FROM a AS a\n"]
    {
        sandbox.file("work/ctx/Dockerfile", file);
        let outcome = sandbox.line("build -t made").arg(sandbox.path("work/ctx")).run();
        assert_eq!(outcome.status, 125, "{file}: {}", outcome.stderr());
    }
    sandbox.file("work/ctx/Dockerfile", "FROM busybox\nRUN --security=insecure true\n");
    let error = sandbox.line("build").arg(sandbox.path("work/ctx")).fails(125);
    assert!(error.contains("security.insecure"), "{error}");
}

/// What two builders must agree on.
fn agreed(image: &Value) -> Value {
    let config = &image["Config"];
    let list = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    let keys = |key: &str| {
        config[key].as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut labels = config["Labels"].as_object().cloned().unwrap_or_default();
    labels.remove("io.buildah.version");
    // The digest of what COPY brought is computed otherwise, and WORKDIR that makes a directory is a layer here.
    let shown = |entry: &Value| {
        let text = entry["created_by"].as_str().unwrap_or_default();
        let words = text.split(' ').map(|word| word.split(':').next().unwrap_or_default());
        let words: Vec<&str> = words.collect();
        (words.join(" "), entry["empty_layer"] == true && !text.contains("WORKDIR"))
    };
    let history: Vec<(String, bool)> = image["History"].as_array().unwrap().iter().map(shown).collect();
    let history: Vec<(String, bool)> =
        history.into_iter().map(|(text, empty)| (text.clone(), empty || text.contains("WORKDIR"))).collect();
    serde_json::json!({
        "env": list("Env"), "cmd": list("Cmd"), "entrypoint": list("Entrypoint"), "user": config["User"].as_str().unwrap_or_default(),
        "workdir": config["WorkingDir"], "ports": keys("ExposedPorts"), "volumes": keys("Volumes"),
        "labels": labels, "stop": config["StopSignal"].as_str().unwrap_or_default(), "history": history,
    })
}

#[test]
fn podman_makes_the_same_image_where_it_is_installed() {
    let files = [
        "FROM busybox\nENV A=1 B=\"two words\"\nLABEL x=y\nCOPY one /d/\nRUN echo hi > /y\nWORKDIR /w\nUSER 5\nCMD echo hi\n",
        "FROM busybox AS base\nARG V=1\nRUN echo $V > /v\nFROM scratch\nCOPY --from=base /v /v\nENTRYPOINT [\"/x\"]\nCMD [\"a\", \"b\"]\n",
        "FROM busybox\nEXPOSE 80 53/udp\nVOLUME /a /b\nSTOPSIGNAL SIGINT\nADD one two /many/\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN true\n",
    ];
    let sandbox = with("FROM busybox\n");
    if rootless() {
        return eprintln!("not run: podman builds here as root alone");
    }
    let podman = || sandbox.podman();
    sandbox.file("work/ctx/one", "1\n");
    sandbox.file("work/ctx/two", "2\n");
    podman().args(["load", "-q"]).stdin(sandbox.line("save busybox").run().out).ok();
    for file in files {
        sandbox.file("work/ctx/Dockerfile", file);
        build(&sandbox, "-t made");
        podman()
            .args(["build", "-q", "--isolation", "chroot", "-t", "made"])
            .arg(sandbox.path("work/ctx"))
            .ok();
        let theirs: Value = serde_json::from_str(&podman().args(["inspect", "made"]).ok()).unwrap();
        assert_eq!(agreed(&config(&sandbox, "made")), agreed(&theirs[0]), "{file}");
    }
}
