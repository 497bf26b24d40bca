//! Control groups: one place for a container's processes, with limits, on every kind of host.
//!
//! ```text
//! host.rs      what this host has: v2, hybrid, v1, none; where our own process is
//! make.rs      directories and limits of a new container;  v2.rs, v1.rs  limits as file contents
//! handle.rs    entering, freezing, killing, listing, removing;  stats.rs  reading
//! devices.rs   which devices may be used: lines of v1, a BPF program of v2
//! systemd.rs   transient scopes through dbus.rs
//! ```
//!
//! On the file system we own `<hierarchy>/<own or parent>/dhow/<id>` (with a parent that was asked for,
//! `<parent>/dhow-<id>`), made at start and removed at the end; what a killed run left there is removed by the
//! next start of the same container.
//!
//! How a process gets in decides the price. Moving it from outside (`cgroup.procs`) takes a lock that waits for
//! all CPUs, some 20 ms; being born inside (`CLONE_INTO_CGROUP`, v2) or moving itself while it has one thread
//! (`0` into v1's `tasks`) takes 10 µs. So [`Handle::dir_fd`] is for `clone3` and [`Handle::enter`] for the
//! child; only a systemd scope is entered from outside ([`Handle::add`]).

mod dbus;
mod devices;
mod handle;
mod host;
mod make;
mod stats;
mod systemd;
mod v1;
mod v2;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Explain, Kind, fail};

pub use handle::{Handle, HierarchyMount, Location};
pub use host::{Hierarchy, Host, Layout, detect};
pub use make::{Place, Request, make};
pub use stats::Stats;

/// Who makes the cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// We do, in the file system.
    #[default]
    Cgroupfs,
    /// systemd does, as scopes (v2 only).
    Systemd,
}

impl FromStr for Manager {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "cgroupfs" => Ok(Manager::Cgroupfs),
            "systemd" => Ok(Manager::Systemd),
            _ => Err(fail(Kind::Usage, format!("cgroup manager `{text}` is not known"))
                .hint("use `cgroupfs` or `systemd`")),
        }
    }
}

impl fmt::Display for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Manager::Cgroupfs => "cgroupfs",
            Manager::Systemd => "systemd",
        })
    }
}

/// One limit as the kernel takes it: a file of a controller and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    /// The controller that must be there.
    controller: String,
    /// The file in the cgroup's directory.
    file: String,
    /// What is written to it, in one write.
    value: String,
    /// Nobody asked: a host that cannot is fine.
    optional: bool,
}

impl Setting {
    fn new(controller: &str, file: &str, value: impl ToString) -> Setting {
        let (controller, file) = (controller.to_owned(), file.to_owned());
        Setting { controller, file, value: value.to_string(), optional: false }
    }

    fn optional(mut self, optional: bool) -> Setting {
        self.optional = optional;
        self
    }
}
