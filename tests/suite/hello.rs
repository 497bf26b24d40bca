//! The embedded image: what a newcomer runs first.

use crate::kit::Sandbox;

#[test]
fn hello_runs_without_network_and_without_a_store() {
    let sandbox = Sandbox::new();
    let out = sandbox.line("run --rm dhow-hello").ok();
    assert!(out.starts_with("Hello from dhow!"), "{out}");
    assert!(out.contains("pid 1 of user 0"), "{out}");
    assert!(
        out.contains("chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service"),
        "{out}"
    );
    assert!(out.contains("filtered"), "{out}");
    assert_eq!(sandbox.line("ps -aq").ok(), "");
}
