//! What control groups this host has, found with a handful of calls.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, statfs};

use super::Manager;
use crate::base::error::Result;
use crate::base::fs;
use crate::sys::userns;

/// Where distributions mount them.
const ROOT: &str = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC: rustix::fs::FsWord = 0x6367_7270;

/// Which generations are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// v2 alone, with all controllers.
    V2,
    /// Controllers in v1 hierarchies, and v2 at `unified` for grouping, freezing and killing.
    Hybrid,
    /// v1 alone.
    V1,
    /// Nothing.
    None,
}

/// A v1 hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its directory below the root: `memory`, `cpu,cpuacct`, `systemd`.
    pub dir: String,
    /// Its controllers; `name=systemd` for one without.
    pub controllers: Vec<String>,
    /// Where our own process is in it.
    pub own: String,
}

/// The control groups of a host as our process sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Which generations.
    pub layout: Layout,
    /// Where they are mounted.
    pub root: PathBuf,
    /// The v1 hierarchies.
    pub hierarchies: Vec<Hierarchy>,
    /// Our own v2 cgroup, `/…`.
    pub own: String,
    /// We are not the host's root: directories are ours only where they were delegated.
    pub rootless: bool,
}

/// Looks at the host.
pub fn detect() -> Result<Host> {
    let root = Path::new(ROOT);
    let is_v2 = |path: &Path| statfs(path).is_ok_and(|fs| fs.f_type == CGROUP2_SUPER_MAGIC);
    let text = fs::read_optional(Path::new("/proc/self/cgroup"))?.unwrap_or_default();
    let (hierarchies, own) = parse(&String::from_utf8_lossy(&text));
    let layout = if is_v2(root) {
        Layout::V2
    } else if hierarchies.is_empty() || !root.join(&hierarchies[0].dir).exists() {
        Layout::None
    } else if is_v2(&root.join("unified")) {
        Layout::Hybrid
    } else {
        Layout::V1
    };
    Ok(Host { layout, root: root.to_owned(), hierarchies, own, rootless: rootless() })
}

/// Root of a user namespace is nobody to the host's files.
fn rootless() -> bool {
    !rustix::process::geteuid().is_root() || userns::restricted()
}

/// Parses /proc/PID/cgroup: `ID:CONTROLLERS:PATH`; v2 is `0::PATH`.
fn parse(text: &str) -> (Vec<Hierarchy>, String) {
    let mut hierarchies = Vec::new();
    let mut unified = "/".to_owned();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(own)) = (fields.next(), fields.next()) else { continue };
        // A path that begins with /.. is outside of our cgroup namespace: the namespace's root is what we see.
        let own = if own.starts_with("/..") { "/" } else { own };
        if controllers.is_empty() {
            unified = own.to_owned();
            continue;
        }
        hierarchies.push(Hierarchy {
            dir: controllers.strip_prefix("name=").unwrap_or(controllers).to_owned(),
            controllers: controllers.split(',').map(str::to_owned).collect(),
            own: own.to_owned(),
        });
    }
    (hierarchies, unified)
}

/// The v2 cgroup of a process.
pub(super) fn unified_of(pid: i32) -> Result<String> {
    let text = fs::read_to_string(Path::new(&format!("/proc/{pid}/cgroup")))?;
    Ok(parse(&text).1)
}

impl Host {
    /// The mount point of v2, if any.
    pub fn unified(&self) -> Option<PathBuf> {
        match self.layout {
            Layout::V2 => Some(self.root.clone()),
            Layout::Hybrid => Some(self.root.join("unified")),
            Layout::V1 | Layout::None => None,
        }
    }

    /// The v1 hierarchy that has a controller.
    pub fn hierarchy(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.controllers.iter().any(|c| c == controller))
    }

    /// `v2` or `v1`, as Podman's `info` says.
    pub fn version(&self) -> &'static str {
        if self.layout == Layout::V2 { "v2" } else { "v1" }
    }

    /// The controllers that we may use.
    pub fn controllers(&self) -> Vec<String> {
        if self.layout != Layout::V2 {
            let all = self.hierarchies.iter().flat_map(|h| h.controllers.iter());
            let usable = all.filter(|c| !c.starts_with("name=") && !self.rootless);
            return usable.cloned().collect();
        }
        let base = if self.rootless { below(&self.root, &self.own) } else { self.root.clone() };
        let text = fs::read_to_string(&base.join("cgroup.controllers")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Whether we may make cgroups: as root, or below where this process runs.
    pub fn delegated(&self) -> bool {
        self.base().is_some_and(|base| writable(&base))
    }

    /// Where containers go by default on v2. A user's own cgroup holds processes, which forbids limits below it
    /// (the rule of no internal processes), so the directory above is better where it is delegated too.
    pub(super) fn base(&self) -> Option<PathBuf> {
        let root = self.unified()?;
        if !self.rootless {
            return Some(root);
        }
        let own = below(&root, &self.own);
        let above = own.parent().filter(|above| above.starts_with(&root)).map(Path::to_owned);
        above.filter(|above| writable(above) && writable(&above.join("cgroup.procs"))).or(Some(own))
    }

    /// Who makes cgroups unless the user says: systemd where it runs and can be reached.
    pub fn manager(&self) -> Manager {
        let systemd = self.layout == Layout::V2
            && Path::new("/run/systemd/system").exists()
            && super::systemd::bus_path(self.rootless).is_some_and(|path| path.exists());
        if systemd { Manager::Systemd } else { Manager::Cgroupfs }
    }
}

/// Joins an absolute cgroup path to a mount point.
pub(super) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn writable(path: &Path) -> bool {
    accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_cgroup_parses_on_all_generations() {
        let (v1, own) = parse("9:name=systemd:/\n4:memory:/a:b\n1:cpu,cpuacct:/x\n0::/user.slice\n");
        assert_eq!(own, "/user.slice");
        let dirs: Vec<_> = v1.iter().map(|h| (h.dir.as_str(), h.own.as_str())).collect();
        assert_eq!(dirs, [("systemd", "/"), ("memory", "/a:b"), ("cpu,cpuacct", "/x")]);
        assert_eq!(v1[2].controllers, ["cpu", "cpuacct"]);
        assert_eq!(parse("0::/../x\n"), (vec![], "/".into()));
        assert_eq!(parse("garbage\n\n"), (vec![], "/".into()));
    }

    #[test]
    fn this_host_is_recognised() {
        let host = detect().unwrap();
        if host.layout == Layout::Hybrid {
            assert!(host.hierarchy("pids").is_some() && host.unified().unwrap().ends_with("unified"));
        }
    }
}
