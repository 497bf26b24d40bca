//! `--sysctl NAME=VALUE`: only what belongs to a namespace of the container.

use super::usage;
use crate::base::error::{Explain, Result};

/// The namespace that a sysctl belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `kernel.msg*`, `kernel.sem`, `kernel.shm*`, `fs.mqueue.*`
    Ipc,
    /// `net.*`
    Net,
    /// `kernel.domainname`
    Uts,
}

/// The sysctls of the IPC namespace below `kernel.`.
const IPC: &[&str] = &[
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Parses one `--sysctl` and says where it belongs. What would change the host is refused.
pub fn parse(text: &str) -> Result<(String, String, Scope)> {
    let (name, value) = super::env::parse_pair("--sysctl", text)?;
    let name = name.trim().replace('/', ".");
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '@');
    if !name.chars().all(legal) || name.split('.').any(str::is_empty) || value.contains(['\0', '\n']) {
        return Err(usage(format!("`{text}` is not a sysctl")));
    }
    let scope = scope(&name).ok_or_else(|| {
        usage(format!("sysctl `{name}` belongs to the host, not to a namespace of the container"))
            .hint("kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*, net.* and kernel.domainname can be set")
    })?;
    Ok((name, value.trim().to_owned(), scope))
}

fn scope(name: &str) -> Option<Scope> {
    match name {
        "kernel.domainname" => Some(Scope::Uts),
        _ if IPC.contains(&name) || name.starts_with("fs.mqueue.") => Some(Scope::Ipc),
        _ if name.starts_with("net.") => Some(Scope::Net),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sysctls_of_namespaces_are_taken() {
        assert_eq!(
            parse("net.ipv4.ping_group_range=0 0").unwrap(),
            ("net.ipv4.ping_group_range".into(), "0 0".into(), Scope::Net)
        );
        assert_eq!(parse("kernel/shmmax=1").unwrap().2, Scope::Ipc);
        assert_eq!(parse("fs.mqueue.msg_max=1").unwrap().2, Scope::Ipc);
        assert_eq!(parse("kernel.domainname=x").unwrap().2, Scope::Uts);
        for bad in [
            "",
            "net.x",
            "kernel.core_pattern=|/x",
            "kernel.hostname=x",
            "vm.swappiness=1",
            "net/../kernel/core_pattern=x",
            "net...x=1",
            "net.x=1\n2",
            "kernel.msgmax/../x=1",
            "fs.file-max=1",
            "=1",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
