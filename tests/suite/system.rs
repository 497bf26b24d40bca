//! `system df` and `system prune`.

use crate::kit::Sandbox;

#[test]
fn df_counts_and_prune_gives_back() {
    let sandbox = Sandbox::with_busybox();
    sandbox
        .dhow([
            "run",
            "--name",
            "old",
            "-v",
            "kept:/v",
            "busybox",
            "sh",
            "-c",
            "head -c 3000000 /dev/zero > /big",
        ])
        .ok();
    sandbox.line("run -d --name live busybox sleep 100").ok();
    sandbox.line("volume create unused").ok();
    let row = |kind: &str| {
        let format = "{{.Type}}|{{.Total}}|{{.Active}}|{{.RawSize}}|{{.RawReclaimable}}";
        let out = sandbox.dhow(["system", "df", "--format", format]).ok();
        let line = out.lines().find(|line| line.starts_with(kind)).unwrap().to_owned();
        line.split('|').skip(1).map(|number| number.parse::<u64>().unwrap()).collect::<Vec<_>>()
    };
    let containers = row("Containers");
    assert!(containers[..2] == [2, 1] && containers[3] >= 3_000_000, "{containers:?}");
    assert_eq!(row("Images")[..2], [1, 1]);
    assert_eq!(row("Local Volumes")[..2], [2, 1]);
    assert!(sandbox.line("system df").ok().starts_with("TYPE"));
    let out = sandbox.line("system prune -f").ok();
    assert!(out.contains("Total reclaimed space: 3") && out.contains("MB"), "{out}");
    assert_eq!(sandbox.dhow(["ps", "-a", "--format", "{{.Names}}"]).ok(), "live\n");
    assert_eq!(sandbox.line("volume ls -q").ok().lines().count(), 2, "volumes are kept without --volumes");
    sandbox.line("rm -f -t 0 live").ok();
    sandbox.line("system prune -f -a --volumes").ok();
    for kind in ["Images", "Containers", "Local Volumes"] {
        assert_eq!(row(kind)[0], 0, "{kind}");
        assert_eq!(row(kind)[2], 0, "{kind}");
    }
    sandbox.line("system prune -f --filter nonsense=1").fails(125);
}

fn image_id(sandbox: &Sandbox, name: &str) -> String {
    sandbox.dhow(["images", "--format", "{{.Id}}", name]).ok().trim().to_owned()
}

#[test]
fn verbose_df_adds_up_to_the_short_one() {
    let sandbox = Sandbox::with_busybox();
    sandbox
        .dhow(["run", "--name", "c", "-v", "v:/v", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /v/f"])
        .ok();
    sandbox.line("commit -q c child").ok();
    let text = sandbox.line("system df -v").ok();
    for heading in ["SHARED SIZE", "UNIQUE SIZE", "LOCAL VOLUMES", "VOLUME NAME", "Containers space usage:"] {
        assert!(text.contains(heading), "{heading}: {text}");
    }
    let all: serde_json::Value =
        serde_json::from_str(&sandbox.line("system df -v --format json").ok()).unwrap();
    let (child, base) = (&all["Images"][0], &all["Images"][1]);
    assert_eq!(child["SharedSize"], base["SharedSize"], "{all}");
    assert_eq!((&base["UniqueSize"], &base["Containers"]), (&"0B".into(), &1.into()), "{all}");
    assert_eq!((&all["Volumes"][0]["Name"], &all["Volumes"][0]["Links"]), (&"v".into(), &1.into()), "{all}");
    assert_eq!(all["Containers"][0]["LocalVolumes"], 1, "{all}");
    assert_eq!(sandbox.dhow(["system", "df", "-v", "--format", "{{len .Images}}"]).ok(), "2\n");
}

#[test]
fn unreadable_records_are_found_removed_and_in_nobodys_way() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("system check").ok();
    for name in ["a", "b", "c"] {
        sandbox.dhow(["run", "--name", name, "busybox", "sh", "-c", &format!("echo {name} > /f")]).ok();
    }
    sandbox.line("commit -q a one").ok();
    sandbox.line("commit -q b two").ok();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|name| sandbox.dhow(["inspect", "-f", "{{.Id}}", name]).ok().trim().to_owned())
        .collect();
    let (one, two) = (image_id(&sandbox, "one"), image_id(&sandbox, "two"));
    for path in [format!("images/{one}/image.json"), format!("images/{two}/image.json")]
        .into_iter()
        .chain(ids.iter().map(|id| format!("containers/{id}/config.json")))
    {
        std::fs::write(sandbox.root().join(path), "{").unwrap();
    }
    let found = sandbox.line("system check --quick").run();
    assert_eq!((found.status, found.stdout().lines().count()), (125, 4), "{found}");
    assert!(found.stderr().contains("4 things are damaged"), "{found}");
    // Everything else goes on.
    assert_eq!(sandbox.line("run --rm busybox echo fine").ok(), "fine\n");
    assert_eq!(sandbox.dhow(["ps", "-a", "--format", "{{.Names}}"]).ok(), "c\n");
    assert_eq!(sandbox.dhow(["images", "--format", "{{.Repository}}"]).ok(), "localhost/busybox\n");
    sandbox.line("system df").ok();
    sandbox.line("image prune -f").ok();
    sandbox.line("container prune -f --filter label=none").ok();
    // One by hand, the other by repair.
    assert!(sandbox.dhow(["rm", &ids[0]]).fails(125).contains("--force"));
    sandbox.dhow(["rm", "-f", &ids[0]]).ok();
    assert!(sandbox.line("rmi one").fails(125).contains("--force"));
    sandbox.line("rmi -f one").ok();
    let repaired = sandbox.line("system check --repair").ok();
    assert_eq!(repaired.matches("(removed)").count(), 2, "{repaired}");
    assert!(repaired.contains("Total reclaimed space: "), "{repaired}");
    assert_eq!(sandbox.line("system check").ok(), "");
    assert_eq!(sandbox.line("start -a c").run().status, 0);
}

#[test]
fn a_layer_that_changed_is_found_and_goes_with_what_stands_on_it_only_by_force() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run --name c busybox true").ok();
    let layers = sandbox.root().join("layers");
    let layer = std::fs::read_dir(&layers)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("diff").exists())
        .unwrap();
    std::fs::write(layer.join("diff/etc/passwd"), "changed").unwrap();
    sandbox.line("system check --quick").ok();
    let found = sandbox.line("system check").fails(125);
    assert!(found.contains("1 thing is damaged"), "{found}");
    let kept = sandbox.line("system check --repair").fails(125);
    assert!(kept.contains("--force"), "{kept}");
    assert_eq!(sandbox.line("ps -aq").ok().lines().count(), 1);
    sandbox.line("system check --force").ok();
    assert_eq!(sandbox.line("ps -aq").ok() + &sandbox.line("images -q").ok(), "");
    assert!(!layer.exists());
    sandbox.line("system check --max nonsense").fails(125);
}

#[test]
fn reset_takes_everything_and_nothing_else() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name live busybox sleep 100").ok();
    sandbox.line("volume create v").ok();
    let foreign = sandbox.file("root/somebody-elses", "x");
    let asked = sandbox.line("system reset").stdin("n\n").run();
    assert!(asked.stderr().contains("WARNING!") && asked.status == 0, "{asked}");
    assert_eq!(sandbox.line("ps -q").ok().lines().count(), 1, "no is no");
    sandbox.line("system reset --force").ok();
    let left: Vec<_> =
        std::fs::read_dir(sandbox.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["somebody-elses"]);
    assert!(foreign.exists());
    assert_eq!(
        sandbox.line("ps -aq").ok() + &sandbox.line("images -q").ok() + &sandbox.line("volume ls -q").ok(),
        ""
    );
    sandbox.load_busybox();
    assert_eq!(sandbox.line("run --rm busybox echo again").ok(), "again\n");
    for words in ["system migrate", "system renumber", "system prune --external -f", "system info"] {
        sandbox.line(words).ok();
    }
    sandbox.line("system migrate --new-runtime crun").fails(125);
}
