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
