//! Health checks: what they lead to.

use crate::kit::{Sandbox, eventually};

fn inspect(sandbox: &Sandbox, field: &str) -> String {
    sandbox.dhow(["inspect", "-f", field, "c"]).ok().trim().to_owned()
}

fn sick(sandbox: &Sandbox, flags: &[&str], command: &[&str]) {
    let check = ["--health-cmd", "test -e /tmp/well", "--health-interval", "100ms", "--health-retries", "2"];
    sandbox.dhow(["run", "-d", "--name", "c"]).args(check).args(flags).arg("busybox").args(command).ok();
}

#[test]
fn checks_run_and_show() {
    let sandbox = Sandbox::with_busybox();
    sick(&sandbox, &["--health-max-log-count", "2"], &["sleep", "100"]);
    let health = || inspect(&sandbox, "{{.State.Health.Status}}");
    eventually("two failures make it unhealthy", || health() == "unhealthy");
    assert_eq!(sandbox.line("healthcheck run c").run().status, 1);
    sandbox.line("exec c touch /tmp/well").ok();
    assert_eq!(sandbox.line("wait --condition healthy c").ok(), "-1\n");
    assert_eq!(sandbox.line("healthcheck run c").ok(), "");
    assert_eq!(inspect(&sandbox, "{{len .State.Health.Log}}"), "2");
    let told =
        sandbox.line("events --stream=false --filter event=health_status --format {{.HealthStatus}}").ok();
    assert!(told.contains("unhealthy") && told.contains("\nhealthy"), "{told}");
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn an_unhealthy_container_is_killed_stopped_or_restarted() {
    let sandbox = Sandbox::with_busybox();
    let stays = ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"];
    for (action, code) in [("kill", "137"), ("stop", "5")] {
        sick(&sandbox, &["--health-on-failure", action], &stays);
        eventually("it ends", || inspect(&sandbox, "{{.State.Status}}") == "exited");
        assert_eq!(inspect(&sandbox, "{{.State.ExitCode}}"), code, "{action}");
        sandbox.line("rm c").ok();
    }
    let heals = ["sh", "-c", "[ ! -e /started ] || touch /tmp/well; touch /started; exec sleep 100"];
    sick(&sandbox, &["--health-on-failure", "restart", "--stop-timeout", "0"], &heals);
    eventually("the second life is healthy", || inspect(&sandbox, "{{.State.Health.Status}}") == "healthy");
    assert_eq!(inspect(&sandbox, "{{.RestartCount}}"), "1");
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn a_startup_check_comes_first_and_restarts_what_never_starts() {
    let sandbox = Sandbox::with_busybox();
    let startup = ["--health-startup-cmd", "test -e /tmp/up", "--health-startup-interval", "100ms"];
    sick(&sandbox, &startup, &["sleep", "100"]);
    sandbox.line("exec c touch /tmp/well").ok();
    assert_eq!(inspect(&sandbox, "{{.State.Health.Status}}"), "starting");
    sandbox.line("exec c touch /tmp/up").ok();
    eventually("it is healthy", || inspect(&sandbox, "{{.State.Health.Status}}") == "healthy");
    sandbox.line("rm -f -t 0 c").ok();
    let few = ["--health-startup-retries", "2", "--stop-timeout", "0"];
    sick(&sandbox, &[&startup[..], &few[..]].concat(), &["sleep", "100"]);
    eventually("it is restarted", || inspect(&sandbox, "{{.RestartCount}}") != "0");
    sandbox.line("rm -f -t 0 c").ok();
}

#[test]
fn the_outcome_goes_where_it_was_asked_for() {
    let sandbox = Sandbox::with_busybox();
    let dir = sandbox.path("health");
    std::fs::create_dir(&dir).unwrap();
    sick(&sandbox, &["--health-log-destination", dir.to_str().unwrap()], &["sleep", "100"]);
    let files = || std::fs::read_dir(&dir).unwrap().count();
    eventually("a file", || files() == 1);
    sandbox.line("rm -f -t 0 c").ok();
    let refused = [
        "run --health-on-failure nonsense busybox true",
        "run --health-startup-cmd true busybox true",
        "run --health-startup-retries 1 --health-cmd true busybox true",
        "run --health-cmd true --health-log-destination /no/such busybox true",
        "run --health-cmd true --health-on-failure restart --restart always busybox true",
    ];
    for words in refused {
        sandbox.line(words).fails(125);
    }
    sandbox.line("healthcheck run nobody").fails(125);
}
