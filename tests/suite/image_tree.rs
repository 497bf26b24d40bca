//! `image tree`, `image mount` and `unshare`.

use crate::kit::{Sandbox, rootless};

#[test]
fn the_tree_of_layers_is_drawn_from_below_and_from_above() {
    let sandbox = Sandbox::with_busybox();
    for (from, name) in [("busybox", "a"), ("a", "b"), ("busybox", "c")] {
        sandbox.dhow(["run", "--name", name, from, "sh", "-c", &format!("echo {name} > /{name}")]).ok();
        sandbox.line(&format!("commit -q {name} {name}")).ok();
    }
    let tree = sandbox.line("image tree b").ok();
    let lines: Vec<&str> = tree.lines().collect();
    assert!(lines[0].starts_with("Image ID: ") && lines[1] == "Tags:     [localhost/b:latest]", "{tree}");
    assert!(
        lines[4].starts_with("├── ID: ") && lines[4].ends_with("Top Layer of: [localhost/busybox:latest]"),
        "{tree}"
    );
    assert!(lines[6].starts_with("└── ID: ") && lines[6].ends_with("[localhost/b:latest]"), "{tree}");
    let above = sandbox.line("image tree --whatrequires busybox").ok();
    assert!(above.contains("    ├── ID: ") && above.ends_with("[localhost/c:latest]\n"), "{above}");
    assert!(
        above.lines().any(|line| line.contains("    │   └── ID: ") && line.contains("[localhost/b:latest]")),
        "{above}"
    );
    sandbox.line("image tree nothing").fails(125);
}

#[test]
fn an_image_is_mounted_as_often_as_it_is_asked_for() {
    let sandbox = Sandbox::with_busybox();
    if rootless() {
        let error = sandbox.line("image mount busybox").fails(125);
        assert!(error.contains("unshare"), "{error}");
        let script =
            "m=$($0 image mount busybox) && ls $m && $0 image unmount busybox >&2 && ls $m 2>/dev/null";
        let binary = crate::kit::sandbox::binary();
        let out = sandbox.dhow(["unshare", "sh", "-c", script]).arg(binary).run();
        assert!(out.stdout().starts_with("bin\netc\n"), "{out}");
        return;
    }
    let path = sandbox.line("image mount busybox").ok();
    let path = std::path::Path::new(path.trim());
    assert!(path.join("bin/busybox").exists());
    assert!(std::fs::write(path.join("new"), "x").is_err(), "it is read-only");
    assert_eq!(sandbox.line("image mount busybox").ok().trim(), path.to_str().unwrap());
    assert!(sandbox.line("image mount").ok().starts_with("localhost/busybox:latest"));
    assert!(sandbox.line("rmi busybox").fails(2).contains("mounted"));
    sandbox.line("image prune -a -f").ok();
    sandbox.line("image unmount busybox").ok();
    assert!(path.join("bin/busybox").exists(), "the first of two who asked still has it");
    sandbox.line("image umount busybox").ok();
    assert!(!path.exists());
    sandbox.line("image unmount busybox").fails(125);
    sandbox.line("image mount --all").ok();
    sandbox.line("rmi -f busybox").ok();
    assert_eq!(sandbox.line("image mount").ok(), "");
}

#[test]
fn unshare_is_where_the_containers_of_a_user_live() {
    let sandbox = Sandbox::new();
    if !rootless() {
        sandbox.line("unshare true").fails(125);
        return;
    }
    assert_eq!(sandbox.line("unshare id -u").ok(), "0\n");
    sandbox.dhow(["unshare", "sh", "-c", "exit 7"]).fails(7);
    sandbox.line("unshare /no/such/program").fails(127);
    assert_eq!(
        sandbox.dhow(["unshare", "--", "sh", "-c", "touch f; chown 5:5 f; stat -c %u f; rm f"]).ok(),
        "5\n"
    );
}
