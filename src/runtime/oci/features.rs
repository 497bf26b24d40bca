//! What this runtime can, in the words of the OCI runtime specification's `features.md`.

use serde_json::{Value, json};

use crate::runtime::cgroup::Layout;
use crate::runtime::{cgroup, lsm, mounts};

/// The oldest and the newest version of the specification that is understood.
const VERSIONS: (&str, &str) = ("1.0.0", "1.2.1");

const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO \
    SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE \
    AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON \
    BPF CHECKPOINT_RESTORE";

const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// The document, with what of it depends on the host.
pub fn features() -> Value {
    let systemd = cgroup::detect().is_ok_and(|host| host.layout == Layout::V2);
    let capabilities: Vec<String> =
        CAPABILITIES.split_whitespace().map(|name| format!("CAP_{name}")).collect();
    json!({
        "ociVersionMin": VERSIONS.0,
        "ociVersionMax": VERSIONS.1,
        "hooks": HOOKS,
        "mountOptions": mounts::option_words(),
        "linux": {
            "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
            "capabilities": capabilities,
            "cgroup": {"v1": true, "v2": true, "systemd": systemd, "systemdUser": systemd, "rdma": false},
            "seccomp": seccomp(),
            "apparmor": {"enabled": lsm::apparmor_enabled()},
            "selinux": {"enabled": lsm::selinux_enabled()},
            "intelRdt": {"enabled": false},
            "mountExtensions": {"idmap": {"enabled": true}},
            "netDevices": {"enabled": false},
        },
        "annotations": {"run.dhow.version": env!("CARGO_PKG_VERSION")},
    })
}

fn seccomp() -> Value {
    let actions = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "TRACE", "TRAP"];
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let named = |prefix: &str, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("{prefix}{name}")).collect()
    };
    let flags = named("SECCOMP_FILTER_FLAG_", &["TSYNC", "LOG", "SPEC_ALLOW"]);
    json!({
        "enabled": true,
        "actions": named("SCMP_ACT_", &actions),
        "operators": named("SCMP_CMP_", &operators),
        "archs": named("SCMP_ARCH_", &["X86", "X86_64", "X32", "AARCH64", "ARM"]),
        "knownFlags": flags,
        "supportedFlags": flags,
    })
}
