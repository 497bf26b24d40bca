//! Local images: load, save, names, lists, removal, history.

use crate::kit::Sandbox;
use crate::kit::image::{self, ImageSpec, Tar};

fn ids(sandbox: &Sandbox) -> Vec<String> {
    sandbox.line("images -aq --no-trunc").ok().lines().map(str::to_owned).collect()
}

#[test]
fn names_work_in_every_form_that_users_type() {
    let sandbox = Sandbox::with_busybox();
    let id = sandbox.dhow(["image", "inspect", "--format", "{{.Id}}", "busybox"]).ok();
    let id = id.trim().trim_start_matches("sha256:").to_owned();
    for name in
        ["busybox", "localhost/busybox", "localhost/busybox:latest", &id, &id[..12], &format!("sha256:{id}")]
    {
        sandbox.dhow(["image", "exists", name]).ok();
        assert_eq!(sandbox.dhow(["run", "--rm", name, "echo", "hi"]).ok(), "hi\n", "{name}");
    }
    sandbox.line("image exists nothing").fails(1);
    sandbox.line("tag busybox quay.io/a/b:c").ok();
    sandbox.line("tag busybox plain").ok();
    let names = sandbox.dhow(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["localhost/busybox:latest", "localhost/plain:latest", "quay.io/a/b:c"]);
    sandbox.line("untag busybox quay.io/a/b:c").ok();
    sandbox.line("image exists quay.io/a/b:c").fails(1);
    sandbox.dhow(["tag", "busybox", "Not/Valid"]).fails(125);
    sandbox.line("tag nothing x").fails(125);
}

#[test]
fn save_gives_back_the_very_layers() {
    let sandbox = Sandbox::with_busybox();
    let before = sandbox.dhow(["image", "inspect", "--format", "{{json .RootFS.Layers}}", "busybox"]).ok();
    let id = ids(&sandbox);
    for format in ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] {
        let path = sandbox.path(&format!("work/saved-{format}"));
        sandbox.dhow(["save", "-q", "--format", format, "-o"]).arg(&path).arg("busybox").ok();
        let other = Sandbox::new();
        other.dhow(["load", "-q", "-i"]).arg(&path).ok();
        let name = other.line("images -q --no-trunc").ok();
        let after = other.dhow(["image", "inspect", "--format", "{{json .RootFS.Layers}}", name.trim()]).ok();
        assert_eq!(before, after, "{format}");
        assert_eq!(ids(&other), id, "{format}: the image id is the same");
    }
}

#[test]
fn archives_come_through_pipes_and_compressed() {
    let sandbox = Sandbox::with_busybox();
    let saved = sandbox.line("save busybox").run();
    assert_eq!(saved.status, 0);
    for tool in ["cat", "gzip -c", "zstd -c -q", "xz -c -0", "bzip2 -c"] {
        let packed = sandbox.program("sh").args(["-c", tool]).stdin(saved.out.clone()).run().out;
        let other = Sandbox::new();
        let out = other.line("load").stdin(packed).ok();
        assert!(out.contains("Loaded image: localhost/busybox:latest"), "{tool}: {out}");
        assert_eq!(other.line("run --rm busybox echo ok").ok(), "ok\n");
    }
    let nonsense = Sandbox::new();
    let error = nonsense.line("load").stdin("this is not an archive").fails(125);
    assert!(error.starts_with("Error: "), "{error}");
    nonsense.line("load -i /no/such/file").fails(125);
    assert!(ids(&nonsense).is_empty());
}

#[test]
fn removal_follows_names_users_and_force() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("tag busybox two").ok();
    let out = sandbox.line("rmi two").ok();
    assert!(out.contains("Untagged: localhost/two:latest") && !out.contains("Deleted"), "{out}");
    sandbox.line("create --name user busybox true").ok();
    let error = sandbox.line("rmi busybox").fails(2);
    assert!(error.contains("user") || error.contains("in use"), "{error}");
    sandbox.line("rmi nothing").fails(1);
    sandbox.line("rmi --ignore nothing").ok();
    sandbox.line("rmi --force busybox").ok();
    assert_eq!(sandbox.line("ps -aq").ok(), "", "force removes the containers too");
    assert!(ids(&sandbox).is_empty());
    let layers = std::fs::read_dir(sandbox.root().join("layers")).unwrap().count();
    assert!(layers <= 1, "the space came back: {layers} entries");
}

#[test]
fn lists_have_columns_filters_and_formats() {
    let sandbox = Sandbox::with_busybox();
    let table = sandbox.line("images").ok();
    assert!(table.starts_with("REPOSITORY"), "{table}");
    assert!(table.contains("localhost/busybox") && table.contains("latest"), "{table}");
    let count = |args: &str| sandbox.line(&format!("images -q {args}")).ok().lines().count();
    assert_eq!(count("--filter label=org.example.kind=test"), 1);
    assert_eq!(count("--filter label=none"), 0);
    assert_eq!(count("--filter reference=*busy*"), 1);
    assert_eq!(count("--filter dangling=true"), 0);
    assert_eq!(count("busybox"), 1);
    assert_eq!(count("nothing"), 0);
    sandbox.line("images --filter nonsense=1").fails(125);
    let json: serde_json::Value = serde_json::from_str(&sandbox.line("images --format json").ok()).unwrap();
    assert_eq!(json[0]["Names"][0], "localhost/busybox:latest");
    let history = sandbox.line("history busybox").ok();
    assert!(history.contains("made by a test"), "{history}");
}

#[test]
fn whiteouts_links_and_odd_names_survive() {
    let first = image::busybox_layer();
    let second = Tar::new()
        .dir("d", 0o755)
        .file("d/gone", 0o644, b"1")
        .dir("o", 0o755)
        .file("o/old", 0o644, b"1")
        .file("keep", 0o4755, b"setuid")
        .owned("alices", 0o640, (1000, 1000), b"hers")
        .file("with space\n and newline", 0o644, b"odd")
        .file(&format!("long/{}", "n".repeat(200)), 0o644, b"long")
        .bytes();
    let third = Tar::new()
        .file("d/.wh.gone", 0o644, b"")
        .file("o/.wh..wh..opq", 0o644, b"")
        .file("o/new", 0o644, b"2")
        .bytes();
    let image = ImageSpec {
        name: "localhost/odd:latest".into(),
        layers: vec![first, second, third],
        config: serde_json::json!({"Env": ["PATH=/bin"]}),
    };
    let sandbox = Sandbox::new();
    let archive = sandbox.file("tmp/odd.tar", image.docker_archive());
    sandbox.dhow(["load", "-q", "-i"]).arg(&archive).ok();
    for driver in ["overlay", "vfs"] {
        let sandbox = Sandbox::new();
        sandbox.dhow(["--storage-driver", driver, "load", "-q", "-i"]).arg(&archive).ok();
        let script = "ls /d /o; stat -c '%a %u' /keep /alices; cat '/with space\n and newline' /long/n*";
        let out = sandbox.dhow(["--storage-driver", driver, "run", "--rm", "odd", "sh", "-c", script]).ok();
        assert_eq!(out, "/d:\n\n/o:\nnew\n4755 0\n640 1000\noddlong", "{driver}");
    }
}

#[test]
fn templates_tell_what_images_share_and_who_uses_them() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("create --name c busybox true").ok();
    sandbox.dhow(["commit", "-q", "-m", "a message", "--change", "LABEL k=v", "c", "child"]).ok();
    let fields = |image: &str, format: &str| sandbox.dhow(["images", "--format", format, image]).ok();
    let sizes = fields("child", "{{.SharedSize}} {{.UniqueSize}} {{.Containers}} {{.Labels.k}}");
    let shared = fields("busybox", "{{.Size}}");
    assert_eq!(sizes, format!("{} 0B 0 v\n", shared.trim()));
    assert_eq!(fields("busybox", "{{.Containers}} {{.UniqueSize}}\\n"), "1 0B\n");
    let id = fields("busybox", "{{.Id}}").trim().to_owned();
    assert_eq!(fields("child", "{{.ParentId}}").trim(), id);
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.line("images --format json child").ok()).unwrap();
    assert_eq!((&json[0]["Labels"]["k"], &json[0]["ParentId"]), (&"v".into(), &id.as_str().into()));
    let table = sandbox.dhow(["images", "--format", "table {{.Repository}} {{.Tag}}"]).ok();
    assert!(table.starts_with("REPOSITORY          TAG\n"), "{table}");
    assert_eq!(sandbox.dhow(["images", "--format", "{{range .}}<{{.Tag}}>{{end}}"]).ok(), "<latest><latest>");
    let steps = sandbox.line("history -q --no-trunc child").ok();
    assert_eq!(steps.lines().nth(1), Some(id.as_str()), "the step that made the parent has its id: {steps}");
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.line("history --format json child").ok()).unwrap();
    assert_eq!(json[0]["comment"], "a message");
}

#[test]
fn an_order_by_name_sorts_names_not_images() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("tag busybox zebra:1 ant:9").ok();
    sandbox.line("commit -q").arg(sandbox.line("create busybox true").ok().trim()).arg("mole:5").ok();
    let order =
        |key: &str| sandbox.dhow(["images", "--sort", key, "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    assert_eq!(
        order("repository"),
        "localhost/ant:9\nlocalhost/busybox:latest\nlocalhost/mole:5\nlocalhost/zebra:1\n"
    );
    assert_eq!(
        order("tag"),
        "localhost/zebra:1\nlocalhost/mole:5\nlocalhost/ant:9\nlocalhost/busybox:latest\n"
    );
    sandbox.line("rmi").arg(sandbox.line("images -q ant").ok().trim()).fails(125);
}
