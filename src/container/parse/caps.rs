//! `--cap-add`, `--cap-drop`: names with or without `CAP_`, in any case, or `ALL`.

use super::{nearest, usage};
use crate::base::error::{Explain, Result};

/// All capabilities by number (capabilities(7), Linux 5.9 and later).
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Normalises one word to `CAP_…` or `ALL`.
pub fn parse(text: &str) -> Result<String> {
    let upper = text.trim().to_ascii_uppercase();
    if upper == "ALL" || upper == "CAP_ALL" {
        return Ok("ALL".into());
    }
    let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if NAMES.contains(&full.as_str()) {
        return Ok(full);
    }
    let error = usage(format!("unknown capability `{text}`"));
    Err(match nearest(&full, NAMES) {
        Some(meant) => error.hint(format!("did you mean `{}`?", &meant[4..])),
        None => error.hint("capabilities(7) lists them"),
    })
}

/// Normalises a list of flags, each of which may hold several names separated by commas.
pub fn parse_all(texts: &[String]) -> Result<Vec<String>> {
    let words = texts.iter().flat_map(|text| text.split(',')).filter(|word| !word.trim().is_empty());
    let mut all = Vec::new();
    for word in words {
        let name = parse(word)?;
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints_of;

    #[test]
    fn names_are_normalised() {
        for text in ["NET_ADMIN", "cap_net_admin", "Cap_Net_Admin", " net_admin "] {
            assert_eq!(parse(text).unwrap(), "CAP_NET_ADMIN");
        }
        assert_eq!(parse("all").unwrap(), "ALL");
        assert_eq!(parse_all(&["chown,kill".into(), "CHOWN".into()]).unwrap(), ["CAP_CHOWN", "CAP_KILL"]);
        let error = parse("NET_ADMN").unwrap_err();
        assert_eq!(hints_of(&error), ["did you mean `NET_ADMIN`?"]);
        for bad in ["", "CAP_", "FOO", "CAP_CAP_CHOWN", "CHOWN\n;"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
