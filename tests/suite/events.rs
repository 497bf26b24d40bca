//! Events: told as things happen, filtered, formatted, followed; and where none are kept.

use std::io::{BufRead, BufReader};

use crate::kit::Sandbox;

fn told(sandbox: &Sandbox, filters: &[&str]) -> Vec<String> {
    let format = ["events", "--stream=false", "--format", "{{.Type}} {{.Status}} {{.Name}}"];
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    sandbox.dhow(format).args(filters).ok().lines().map(str::to_owned).collect()
}

#[test]
fn a_container_is_told_of_from_its_making_to_its_end() {
    let sandbox = Sandbox::with_busybox();
    sandbox.dhow(["run", "--rm", "--name", "c", "--label", "a=b", "busybox", "sh", "-c", "exit 3"]).fails(3);
    let words: Vec<String> = ["create", "init", "attach", "start", "died", "cleanup", "remove"]
        .iter()
        .map(|status| format!("container {status} c"))
        .collect();
    let all = told(&sandbox, &["container=c", "label=a=b"]);
    assert!(all.ends_with(&words), "{all:?}");
    assert!(told(&sandbox, &["event=die"]).iter().all(|line| line == "container died c"));
    let line = sandbox.line("events --stream=false --filter event=died --format json").ok();
    let json: serde_json::Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    assert_eq!((&json["Action"], &json["status"]), (&"died".into(), &"died".into()));
    assert_eq!(
        (&json["ContainerExitCode"], &json["Actor"]["Attributes"]["exitCode"]),
        (&3.into(), &"3".into())
    );
    assert_eq!(json["from"], "localhost/busybox:latest");
    let sentence = sandbox.line("events --stream=false --filter event=create --filter type=container").ok();
    assert!(sentence.contains(" container create ") && sentence.contains("name=c"), "{sentence}");
}

#[test]
fn images_and_volumes_are_told_of() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("volume create v").ok();
    sandbox.line("volume rm v").ok();
    sandbox.line("tag busybox other").ok();
    sandbox.line("untag other localhost/other:latest").ok();
    sandbox.line("rmi busybox").ok();
    assert_eq!(told(&sandbox, &["type=volume"]), ["volume create v", "volume remove v"]);
    let images: Vec<String> = told(&sandbox, &["type=image"])
        .iter()
        .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
        .collect();
    assert_eq!(images, ["loadfromarchive", "tag", "untag", "remove"]);
    sandbox.line("events --stream=false --filter nonsense=1").fails(125);
}

#[test]
fn events_are_followed_as_they_come_until_their_end() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.line("events --format {{.Name}} --since 0 --until 60s").spawn();
    sandbox.line("volume create first").ok();
    sandbox.line("volume create second").ok();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "first");
    assert_eq!(lines.next().unwrap().unwrap(), "second");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.line("events --since 1h --until 0s --format {{.Name}}").ok(), "first\nsecond\n");
}

#[test]
fn without_a_backend_nothing_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.line("--events-backend none volume create v").ok();
    assert!(told(&sandbox, &[]).is_empty());
    let error = sandbox.line("--events-backend none events").fails(125);
    assert!(error.contains("no events are kept"), "{error}");
    sandbox.line("--events-backend journald events").fails(125);
}
