//! `diff`, `commit`, `export` and `import`: what a container made of its image.

use crate::kit::Sandbox;

fn changed() -> Sandbox {
    let sandbox = Sandbox::with_busybox();
    let script = "echo new > /added; echo x >> /etc/group; rm /etc/passwd; mkdir /d; ln -s added /link";
    sandbox.dhow(["run", "--name", "c", "-v", "/vol", "busybox", "sh", "-c", script]).ok();
    sandbox
}

#[test]
fn diff_lists_what_the_container_changed_and_nothing_else() {
    let sandbox = changed();
    assert_eq!(sandbox.line("diff c").ok(), "A /added\nA /d\nC /etc\nC /etc/group\nD /etc/passwd\nA /link\n");
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.line("container diff --format json c").ok()).unwrap();
    assert_eq!(json["deleted"][0], "/etc/passwd");
    sandbox.line("create --name fresh busybox true").ok();
    assert_eq!(sandbox.line("diff fresh").ok(), "");
    sandbox.line("diff nothing").fails(125);
}

#[test]
fn commit_makes_an_image_with_author_message_and_changes() {
    let sandbox = changed();
    let change = r#"CMD ["cat", "/added"]"#;
    let args =
        ["commit", "-a", "Jürgen", "-m", "größer", "--change", change, "--change", "ENV A=b", "c", "made:v2"];
    let id = sandbox.dhow(args).ok();
    assert_eq!(id.trim().len(), 64, "{id}");
    assert_eq!(sandbox.line("run --rm made:v2").ok(), "new\n");
    let script = "echo $A; test -e /etc/passwd || echo gone; readlink /link; cat /etc/group | tail -n 1";
    assert_eq!(sandbox.dhow(["run", "--rm", "made:v2", "sh", "-c", script]).ok(), "b\ngone\nadded\nx\n");
    assert_eq!(sandbox.dhow(["image", "inspect", "-f", "{{.Author}}", "made:v2"]).ok(), "Jürgen\n");
    let history = sandbox.line("history made:v2").ok();
    assert!(history.contains("größer"), "{history}");
    sandbox.dhow(["commit", "-q", "-s", "c", "flat"]).ok();
    assert_eq!(sandbox.line("run --rm flat cat /added").ok(), "new\n");
    assert_eq!(sandbox.dhow(["image", "inspect", "-f", "{{len .RootFS.Layers}}", "flat"]).ok(), "1\n");
    sandbox.dhow(["commit", "--change", "RUN nothing", "c"]).fails(125);
    let other = Sandbox::new();
    let saved = sandbox.line("save made:v2").run();
    other.line("load -q").stdin(saved.out).ok();
    assert_eq!(other.line("run --rm made:v2").ok(), "new\n");
}

#[test]
fn a_running_container_can_be_committed_and_exported() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["run", "-d", "--name", "c", "busybox", "sh", "-c", "echo live > /f; exec sleep 100"]).ok();
    crate::kit::eventually("the file is there", || sandbox.line("exec c cat /f").run().stdout() == "live\n");
    sandbox.line("commit -q c live").ok();
    assert_eq!(sandbox.line("run --rm live cat /f").ok(), "live\n");
    let tar = sandbox.line("export c").run();
    assert_eq!(tar.status, 0, "{}", tar.stderr());
    let listed = sandbox.program("tar").args(["-tf", "-"]).stdin(tar.out).ok();
    assert!(listed.lines().any(|line| line == "f") && listed.contains("bin/busybox"), "{listed}");
    assert_eq!(sandbox.dhow(["ps", "--format", "{{.State}}"]).ok(), "running\n");
}

#[test]
fn export_and_import_make_an_image_of_one_layer() {
    let sandbox = changed();
    let tar = sandbox.line("export c").run();
    let id = sandbox
        .dhow(["import", "-c", "ENV PATH=/bin", "-c", "CMD cat /added", "-", "flat:v1"])
        .stdin(tar.out)
        .ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(sandbox.line("run --rm flat:v1").ok(), "new\n");
    let file = sandbox.path("work/out.tar");
    sandbox.dhow(["export", "-o"]).arg(&file).arg("c").ok();
    sandbox.program("gzip").arg(&file).ok();
    sandbox.dhow(["import", "-m", "said", "work.tar", "x"]).fails(125);
    sandbox.dhow(["import", "-m", "said"]).arg(sandbox.path("work/out.tar.gz")).arg("packed").ok();
    assert!(sandbox.line("history packed").ok().contains("said"));
    sandbox.dhow(["import", "-"]).stdin("no archive at all").fails(125);
    assert_eq!(sandbox.line("images -q").ok().lines().count(), 3, "a failed import leaves nothing");
}

#[test]
fn any_two_of_container_image_and_layer_are_compared() {
    let sandbox = changed();
    sandbox.line("commit -q c one").ok();
    sandbox.dhow(["run", "--name", "d", "one", "sh", "-c", "echo more > /more; rm /added"]).ok();
    sandbox.line("commit -q d two").ok();
    let diff = |words: &str| sandbox.line(&format!("diff {words}")).ok();
    let first = "A /added\nA /d\nC /etc\nC /etc/group\nD /etc/passwd\nA /link\n";
    assert_eq!(diff("one"), first, "an image with what is below its last layer");
    assert_eq!(sandbox.line("image diff one").ok(), first);
    assert_eq!(diff("one busybox"), first, "two images");
    assert_eq!(diff("c busybox"), first, "a container and an image");
    assert_eq!(diff("d one"), "D /added\nA /more\n");
    assert_eq!(diff("d c"), "D /added\nA /more\n", "two containers");
    assert_eq!(diff("one two"), "A /added\nD /more\n", "the other way round");
    assert_eq!(diff("two busybox"), "A /d\nC /etc\nC /etc/group\nD /etc/passwd\nA /link\nA /more\n");
    let layer = sandbox.dhow(["image", "inspect", "-f", "{{index .RootFS.Layers 1}}", "two"]).ok();
    let layer = layer.trim().trim_start_matches("sha256:");
    assert_eq!(diff(&layer[..12]), first, "a layer with those below");
    assert_eq!(diff(&format!("two {layer}")), "D /added\nA /more\n");
    let empty: serde_json::Value = serde_json::from_str(&diff("--format json two two")).unwrap();
    assert_eq!(empty, serde_json::json!({}));
    for words in
        ["diff nothing", "container diff one", "image diff nothing", "diff c nothing", "diff --format x c"]
    {
        sandbox.line(words).fails(125);
    }
}

#[test]
fn commit_takes_a_configuration_and_keeps_the_message_in_both_formats() {
    let sandbox = changed();
    let file = sandbox.file(
        "work/config.json",
        r#"{"Cmd": ["cat", "/added"], "Env": ["FROM_FILE=1"], "Labels": {"a": "b"}}"#,
    );
    for format in ["oci", "docker"] {
        let iid = sandbox.path("work/iid");
        let name = format!("made:{format}");
        let flags = [
            "commit",
            "-f",
            format,
            "-m",
            "why it was made",
            "-a",
            "me",
            "--include-volumes",
            "--pause=false",
        ];
        sandbox.dhow(flags).arg("--config").arg(&file).arg("--iidfile").arg(&iid).args(["c", &name]).ok();
        let template =
            "{{.Comment}}|{{.Author}}|{{json .Config.Volumes}}|{{.Config.Labels.a}}|{{.ManifestType}}";
        let told = sandbox.dhow(["image", "inspect", "-f", template, &name]).ok();
        assert!(told.starts_with("why it was made|me|{\"/vol\":{}}|b|"), "{told}");
        assert!(told.contains(if format == "oci" { "oci" } else { "docker" }), "{told}");
        assert!(sandbox.line(&format!("history {name}")).ok().contains("why it was made"));
        assert_eq!(sandbox.dhow(["run", "--rm", &name]).ok(), "new\n");
        let id = std::fs::read_to_string(&iid).unwrap();
        sandbox.dhow(["image", "exists", &id]).ok();
    }
    sandbox.file("work/bad.json", "[]");
    sandbox.line("commit --config bad.json c").fails(125);
}
