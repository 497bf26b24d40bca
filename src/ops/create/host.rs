//! The few questions about the host that a record's defaults depend on.

use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};

use crate::container::record::Ulimit;

/// Whether the host has the unified cgroup hierarchy alone.
pub(super) fn cgroup_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// Whether a program is in the search path.
pub(super) fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    std::env::split_paths(&path).any(|dir| dir.is_absolute() && dir.join(name).is_file())
}

/// The caller's own limits, for `--ulimit host`.
pub(super) fn limits() -> Vec<Ulimit> {
    let all = [
        ("as", Resource::RLIMIT_AS),
        ("core", Resource::RLIMIT_CORE),
        ("cpu", Resource::RLIMIT_CPU),
        ("data", Resource::RLIMIT_DATA),
        ("fsize", Resource::RLIMIT_FSIZE),
        ("locks", Resource::RLIMIT_LOCKS),
        ("memlock", Resource::RLIMIT_MEMLOCK),
        ("msgqueue", Resource::RLIMIT_MSGQUEUE),
        ("nice", Resource::RLIMIT_NICE),
        ("nofile", Resource::RLIMIT_NOFILE),
        ("nproc", Resource::RLIMIT_NPROC),
        ("rss", Resource::RLIMIT_RSS),
        ("rtprio", Resource::RLIMIT_RTPRIO),
        ("rttime", Resource::RLIMIT_RTTIME),
        ("sigpending", Resource::RLIMIT_SIGPENDING),
        ("stack", Resource::RLIMIT_STACK),
    ];
    all.into_iter()
        .filter_map(|(name, resource)| {
            let (soft, hard) = getrlimit(resource).ok()?;
            Some(Ulimit { name: name.into(), soft, hard, asked: false })
        })
        .collect()
}
