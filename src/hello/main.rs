//! The program of the embedded image `dhow-hello`: greets, and says what a container can see of itself.
//!
//! A program of its own (static, no dependencies), built by `src/hello/build.rs` and embedded in dhow.

use std::fs::{read_link, read_to_string};
use std::io::Write;

fn main() {
    let page = page();
    let _ = std::io::stdout().write_all(page.as_bytes()); // a reader that went away wants no more
}

fn page() -> String {
    let privileges = if status("NoNewPrivs") == "1" { "refused" } else { "allowed" };
    let mut page = String::from(
        "Hello from dhow!\n\n\
         This program runs in a container: its file system is an image that came inside\n\
         the dhow binary, and no daemon, no network and no other program was needed.\n\n\
         What this container can see of itself:\n",
    );
    for (name, value) in [
        ("process", format!("pid {} of user {}, group {}", std::process::id(), status("Uid"), status("Gid"))),
        ("host name", text("/proc/sys/kernel/hostname")),
        ("user map", map("/proc/self/uid_map")),
        ("group map", map("/proc/self/gid_map")),
        ("namespaces", namespaces()),
        ("capabilities", capabilities()),
        ("seccomp", seccomp()),
        ("new privileges", privileges.to_owned()),
        ("network", interfaces()),
    ] {
        page.push_str(&format!("  {name:<15} {value}\n"));
    }
    page.push_str("\nTry something bigger:  dhow run -it --rm debian bash\n");
    page
}

fn text(path: &str) -> String {
    read_to_string(path)
        .map_or_else(|error| format!("not to be seen ({error})"), |text| text.trim().to_owned())
}

/// The first value of a field of /proc/self/status.
fn status(field: &str) -> String {
    let all = text("/proc/self/status");
    let value = all.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.split_whitespace().next()).unwrap_or("unknown").to_owned()
}

/// `0 -> 1000 (1), 1 -> 100000 (65536)`: inside, outside, how many.
fn map(path: &str) -> String {
    let map = text(path);
    let ranges = map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let shown: Vec<String> = ranges
        .filter(|range| range.len() == 3)
        .map(|range| format!("{} -> {} ({})", range[0], range[1], range[2]))
        .collect();
    shown.join(", ")
}

fn namespaces() -> String {
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let links = names.iter().filter_map(|name| read_link(format!("/proc/self/ns/{name}")).ok());
    let shown: Vec<String> = links.map(|link| link.display().to_string()).collect();
    shown.join(" ")
}

fn capabilities() -> String {
    const NAMES: [&str; 41] = [
        "chown",
        "dac_override",
        "dac_read_search",
        "fowner",
        "fsetid",
        "kill",
        "setgid",
        "setuid",
        "setpcap",
        "linux_immutable",
        "net_bind_service",
        "net_broadcast",
        "net_admin",
        "net_raw",
        "ipc_lock",
        "ipc_owner",
        "sys_module",
        "sys_rawio",
        "sys_chroot",
        "sys_ptrace",
        "sys_pacct",
        "sys_admin",
        "sys_boot",
        "sys_nice",
        "sys_resource",
        "sys_time",
        "sys_tty_config",
        "mknod",
        "lease",
        "audit_write",
        "audit_control",
        "setfcap",
        "mac_override",
        "mac_admin",
        "syslog",
        "wake_alarm",
        "block_suspend",
        "audit_read",
        "perfmon",
        "bpf",
        "checkpoint_restore",
    ];
    let effective = u64::from_str_radix(&status("CapEff"), 16).unwrap_or(0);
    let held = NAMES.iter().enumerate().filter(|(bit, _)| effective >> bit & 1 == 1);
    let shown: Vec<&str> = held.map(|(_, name)| *name).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(" ") }
}

fn seccomp() -> String {
    match status("Seccomp").as_str() {
        "0" => "no filter".to_owned(),
        "2" => "filtered".to_owned(),
        other => format!("mode {other}"),
    }
}

fn interfaces() -> String {
    let table = text("/proc/self/net/dev");
    let names: Vec<&str> = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    names.join(" ")
}
