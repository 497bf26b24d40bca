//! The specification that `dhow runtime spec` writes: a shell with the defaults of other runtimes' `spec`.

use serde_json::{Value, json};

use crate::runtime::defaults;

/// For root, or for the ordinary user `uid`:`gid`, who is root in a user namespace of one id.
pub fn specification(user: Option<(u32, u32)>) -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let mut linux = json!({
        "namespaces": namespaces(user.is_some()),
        "maskedPaths": defaults::masked_paths(),
        "readonlyPaths": defaults::readonly_paths(),
    });
    match user {
        Some((uid, gid)) => {
            linux["uidMappings"] = json!([{"containerID": 0, "hostID": uid, "size": 1}]);
            linux["gidMappings"] = json!([{"containerID": 0, "hostID": gid, "size": 1}]);
        }
        None => linux["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]}),
    }
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": true,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [format!("PATH={}", defaults::PATH), "TERM=xterm"],
            "cwd": "/",
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": "dhow",
        "mounts": mounts(user.is_some()),
        "linux": linux,
    })
}

/// An ordinary user keeps the host's network, since a new one would have only a loopback.
fn namespaces(user: bool) -> Value {
    let kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
    let own = kinds.into_iter().filter(|kind| !user || *kind != "network");
    own.chain(user.then_some("user")).map(|kind| json!({"type": kind})).collect()
}

fn mounts(user: bool) -> Value {
    let new = |place: &str, kind: &str, options: &[&str]| json!({"destination": place, "type": kind, "source": kind, "options": options});
    let quiet = ["nosuid", "noexec", "nodev"];
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if !user {
        pts.push("gid=5"); // a map of one id has no other group
    }
    let mut mounts = vec![
        new("/proc", "proc", &[]),
        new("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        new("/dev/pts", "devpts", &pts),
        new("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        new("/dev/mqueue", "mqueue", &quiet),
    ];
    match user {
        true => mounts.push(json!({
            "destination": "/sys", "type": "none", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
        })),
        false => {
            mounts.push(new("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]));
            mounts.push(new("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]));
        }
    }
    Value::Array(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_specifications() {
        let root: oci_spec::runtime::Spec = serde_json::from_value(specification(None)).unwrap();
        assert_eq!(root.mounts().as_ref().unwrap().len(), 7);
        let user: oci_spec::runtime::Spec =
            serde_json::from_value(specification(Some((1000, 1000)))).unwrap();
        let linux = user.linux().as_ref().unwrap();
        assert!(
            linux
                .namespaces()
                .iter()
                .flatten()
                .any(|n| n.typ() == oci_spec::runtime::LinuxNamespaceType::User)
        );
        assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 1000);
    }
}
