//! The test kit: a sandbox with its own roots and environment, commands with a time limit, images made from
//! the busybox of the host's distribution, a real registry on loopback, a pty.

pub mod command;
pub mod faulty;
pub mod image;
pub mod pty;
pub mod registry;
pub mod sandbox;
pub mod server;

pub use command::{Cmd, Outcome};
pub use sandbox::Sandbox;

use std::time::{Duration, Instant};

/// Whether the suite runs as an ordinary user.
pub fn rootless() -> bool {
    rustix::process::geteuid().as_raw() != 0
}

/// Waits until `condition` holds; panics with `what` after ten seconds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
