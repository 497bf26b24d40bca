//! Paths inside a container, as text.

use super::usage;
use crate::base::error::{Explain, Result};

/// The files below /proc that may be mounted over, as runc has it (lxcfs shows resource limits there).
const PROC_FILES: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// Removes `.`, `..` and doubled slashes by the text alone, as Go's `path.Clean` does; the result is absolute.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Joins a path onto another that is absolute, as `cd` would, by the text alone.
pub fn join(base: &str, path: &str) -> String {
    if path.starts_with('/') { clean(path) } else { clean(&format!("{base}/{path}")) }
}

/// Checks and cleans a mount point: absolute, not the root, and nothing below /proc but the files that are
/// known to be harmless (CVE-2019-19921, CVE-2023-28642: a mount over /proc can switch confinement off).
pub fn mount_point(path: &str) -> Result<String> {
    if path.is_empty() {
        return Err(usage("the path in the container is empty"));
    }
    if !path.starts_with('/') {
        return Err(usage(format!("the path in the container must be absolute: `{path}`")));
    }
    if path.contains('\0') {
        return Err(usage(format!("the path `{path}` contains a NUL byte")));
    }
    let clean = clean(path);
    if clean == "/" {
        return Err(usage("a mount cannot take the place of `/`").hint("use --rootfs for another root"));
    }
    if clean.starts_with("/proc/") && !PROC_FILES.contains(&clean.as_str()) {
        return Err(usage(format!("mounts below /proc are refused: `{path}`")));
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_absolute_and_clean() {
        for (text, clean) in [
            ("/a", "/a"),
            ("//a/./b/", "/a/b"),
            ("/a/../../b", "/b"),
            ("/proc", "/proc"),
            ("/proc/uptime", "/proc/uptime"),
        ] {
            assert_eq!(mount_point(text).unwrap(), clean);
        }
        for bad in ["", "a", "./a", "/", "/..", "/a/..", "/proc/self", "/x/../proc/sys", "/a\0b"] {
            assert!(mount_point(bad).is_err(), "{bad:?}");
        }
        assert_eq!(join("/srv", "../x"), "/x");
        assert_eq!(join("/srv", "/x/"), "/x");
    }
}
