//! What removal says about the space that came back, against du(1).

use crate::kit::{Sandbox, rootless};

/// What the store takes, as du(1) counts.
fn used(sandbox: &Sandbox) -> i64 {
    // An ordinary user sees all of it only as root of the sub-ids.
    let du: &[&str] = if rootless() { &["unshare", "--map-root-user", "--map-auto", "du"] } else { &["du"] };
    let out = sandbox.program(du[0]).args(&du[1..]).args(["-s", "--block-size=1"]).arg(sandbox.root()).ok();
    out.split_whitespace().next().unwrap().parse().unwrap()
}

/// The bytes of the last line, `Total reclaimed space: 3.01MB`.
fn told(out: &str) -> i64 {
    let line = out.lines().last().unwrap_or_default();
    let size = line.strip_prefix("Total reclaimed space: ").unwrap_or_else(|| panic!("no total: {out}"));
    let split = size.find(char::is_alphabetic).unwrap();
    let unit = match &size[split..] {
        "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        other => panic!("unit {other}"),
    };
    (size[..split].parse::<f64>().unwrap() * unit) as i64
}

/// Runs something that removes; what it tells must be what du says, but for rounding and the books themselves.
fn frees(sandbox: &Sandbox, words: &str) -> i64 {
    let before = used(sandbox);
    let outcome = sandbox.line(words).run();
    assert_eq!(outcome.status, 0, "{outcome}");
    let text = if outcome.stdout().contains("Total") { outcome.stdout() } else { outcome.stderr() };
    let (freed, told) = (before - used(sandbox), told(&text));
    assert!((freed - told).abs() <= 16_384, "{words}: du says {freed}, dhow {told}\n{text}");
    told
}

fn write(sandbox: &Sandbox, name: &str, more: &[&str]) {
    let script = ["busybox", "sh", "-c", "head -c 3000000 /dev/urandom > /big; echo x > /etc/group"];
    sandbox.dhow(["run", "--name", name].iter().chain(more).chain(&script)).ok();
}

#[test]
fn what_comes_back_is_what_du_says() {
    let sandbox = Sandbox::with_busybox();
    write(&sandbox, "a", &[]);
    write(&sandbox, "b", &[]);
    sandbox.line("commit -q a made:1").ok();
    sandbox.line("commit -q b made:2").ok();
    assert!(frees(&sandbox, "rm a") > 3_000_000);
    assert!(frees(&sandbox, "container prune -f") > 3_000_000);
    assert!(frees(&sandbox, "rmi made:1") > 3_000_000);
    sandbox.line("untag made:2").ok();
    assert!(frees(&sandbox, "image prune -f") > 3_000_000);
    assert_eq!(frees(&sandbox, "image prune -f"), 0, "nothing is left to take");
    sandbox
        .dhow(["run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", "head -c 2000000 /dev/urandom > /v/f"])
        .ok();
    assert!(frees(&sandbox, "volume prune -f -a") >= 2_000_000);
    write(&sandbox, "c", &[]);
    assert!(frees(&sandbox, "rmi -f busybox") > 3_000_000, "with the container that used it");
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}

#[test]
fn removal_of_little_names_only_what_went() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("create --name c busybox true").ok();
    let outcome = sandbox.line("rm c").run();
    assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), ("c\n", ""));
}
