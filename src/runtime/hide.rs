//! What a container sees of the kernel: control groups, parameters, and what of /proc and /sys is hidden.

use std::cell::OnceCell;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result as SysResult};

use super::mounts::{self, MountPlan, PROC_SUPER_MAGIC};
use super::rootfs::RootBuilder;
use crate::base::error::{Context, Result, bail};
use crate::base::fs;
use crate::sys::mount::{self as sys, Attr};

/// `CGROUP2_SUPER_MAGIC` of `statfs(2)`.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const CGROUPS: &str = "/sys/fs/cgroup";

/// A place to attach a mount.
enum Place<'a> {
    /// A name below a descriptor of a file system of ours.
    Named(BorrowedFd<'a>, CString),
    /// Resolved inside the root.
    Open(OwnedFd),
}

impl Place<'_> {
    fn attach(&self, mount: BorrowedFd<'_>) -> SysResult<()> {
        match self {
            Place::Named(dir, name) => sys::attach_at(mount, *dir, name),
            Place::Open(fd) => sys::attach(mount, fd.as_fd()),
        }
    }

    fn clone_tree(&self) -> SysResult<OwnedFd> {
        match self {
            Place::Named(dir, name) => {
                sys::clone_tree(*dir, Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())), true, false)
            }
            Place::Open(fd) => sys::clone_tree(fd.as_fd(), Path::new(""), true, false),
        }
    }
}

/// Finds a path to be hidden; `None` when the container has none there.
fn find<'a>(root: &'a RootBuilder, path: &Path) -> Result<Option<Place<'a>>> {
    if let Some((fd, rest)) = root.fresh_at(path).filter(|(_, rest)| !leads_through_process(rest)) {
        let name = CString::new(rest.as_os_str().as_bytes()).context("NUL in a path")?;
        return Ok(Some(Place::Named(fd, name)));
    }
    match root.root.resolve(path) {
        Ok(fd) => Ok(Some(Place::Open(fd))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("open `/{}`", path.display())),
    }
}

/// Below a process' directory of /proc there are links out of it.
fn leads_through_process(rest: &Path) -> bool {
    let first = rest.components().next().map(|c| c.as_os_str().as_bytes().to_owned()).unwrap_or_default();
    first.starts_with(b"self")
        || first.starts_with(b"thread-self")
        || first.first().is_some_and(u8::is_ascii_digit)
}

/// Binds paths read-only onto themselves.
pub(super) fn read_only(root: &RootBuilder, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let Some(place) = find(root, path)? else { continue };
        let done = match place.clone_tree() {
            Ok(tree) => sys::make_read_only(tree.as_fd(), true).and_then(|()| place.attach(tree.as_fd())),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(errno),
        };
        done.with_context(|| format!("make `/{}` read-only", path.display()))?;
    }
    Ok(())
}

/// Puts the null device over files and one empty directory over directories.
pub(super) fn mask(root: &RootBuilder, paths: &[PathBuf]) -> Result<()> {
    let mut covers = Covers::default();
    for path in paths {
        let Some(place) = find(root, path)? else { continue };
        covers.cover(&place).with_context(|| format!("mask `/{}`", path.display()))?;
    }
    Ok(())
}

/// Mounts to cover with. A cover that found no place is kept for the next path.
#[derive(Default)]
struct Covers {
    null: Option<OwnedFd>,
    /// The empty file system: attached once, cloned for every other place.
    empty: OnceCell<OwnedFd>,
}

impl Covers {
    fn cover(&mut self, place: &Place<'_>) -> Result<()> {
        let null = match self.null.take() {
            Some(null) => null,
            // The source is the host's node, checked to be the null device (CVE-2025-31133).
            None => mounts::host_device(Path::new("/dev/null"), rustix::fs::makedev(1, 3))?,
        };
        match place.attach(null.as_fd()) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT) => {
                self.null = Some(null);
                return Ok(());
            }
            Err(Errno::INVAL | Errno::NOTDIR) => self.null = Some(null), // it is a directory
            Err(errno) => return Err(errno).context("attach the null device"),
        }
        match self.empty.get() {
            Some(empty) => {
                let clone = sys::clone_tree(empty.as_fd(), Path::new(""), false, false);
                Ok(place.attach(clone.context("clone the empty directory")?.as_fd())?)
            }
            None => {
                let attr =
                    Attr::from_bits_retain((sys::RDONLY | sys::NOSUID | sys::NODEV | sys::NOEXEC) as u32);
                let empty = sys::detached("tmpfs", &["mode=755", "size=0k", "nr_blocks=1"], attr)
                    .or_else(|_| sys::detached("tmpfs", &["mode=755"], attr))
                    .context("make an empty directory")?;
                place.attach(empty.as_fd())?;
                let _ = self.empty.set(empty); // it was empty, or we would not be here
                Ok(())
            }
        }
    }
}

/// Sets parameters of the container's namespaces, through a proc file system checked to be one (CVE-2025-52881).
pub(super) fn set_sysctls(root: &RootBuilder, sysctls: &[(PathBuf, String)]) -> Result<()> {
    if sysctls.is_empty() {
        return Ok(());
    }
    let host;
    let proc = match root.fresh_fd("proc") {
        Some(proc) => proc,
        None => {
            host = mounts::open_path(Path::new("/proc")).context("open `/proc`")?;
            host.as_fd()
        }
    };
    if rustix::fs::fstatfs(proc).context("inspect `/proc`")?.f_type as u64 != PROC_SUPER_MAGIC {
        bail!("`/proc` is not a proc file system");
    }
    for (name, value) in sysctls {
        set_sysctl(proc, name, value).with_context(|| format!("set sysctl `{}`", name.display()))?;
    }
    Ok(())
}

fn set_sysctl(proc: BorrowedFd<'_>, name: &Path, value: &str) -> SysResult<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::openat(proc, Path::new("sys").join(name), flags, Mode::empty())?;
    let written = rustix::io::write(&file, value.as_bytes())?;
    if written == value.len() { Ok(()) } else { Err(Errno::IO) }
}

std::thread_local! {
    /// `/proc/self/cgroup` as it read before the cgroup namespace began.
    static BEFORE: OnceCell<String> = const { OnceCell::new() };
}

/// Keeps the names of the cgroups of this process, which the new namespace will hide.
pub(super) fn remember_cgroups() -> Result<()> {
    if is_unified() {
        return Ok(());
    }
    let text = fs::read_to_string(Path::new("/proc/self/cgroup"))?;
    BEFORE.with(|before| _ = before.set(text));
    Ok(())
}

fn is_unified() -> bool {
    rustix::fs::statfs(CGROUPS).is_ok_and(|stat| stat.f_type as u64 == CGROUP2_MAGIC)
}

/// Mounts the control groups: the container's own where it has a namespace for them.
pub(super) fn mount_cgroup(root: &RootBuilder, plan: &MountPlan) -> Result<()> {
    let attr = plan.options.set;
    if is_unified() {
        let context = sys::FsContext::open("cgroup2").and_then(|context| {
            context.set("source", "cgroup2")?;
            context.mount(Attr::from_bits_retain(attr as u32))
        });
        return match context {
            Ok(fd) => root.attach(fd.as_fd(), &plan.target),
            Err(Errno::PERM | Errno::BUSY | Errno::NODEV) => bind_host_cgroups(root, plan),
            Err(errno) => Err(errno).context("make cgroup2"),
        };
    }
    let text = match BEFORE.with(|before| before.get().cloned()) {
        Some(text) => text,
        None => fs::read_to_string(Path::new("/proc/self/cgroup"))?,
    };
    mount_hierarchies(root, plan, &text)
}

/// The host's whole tree, read-only when asked so; nothing when the host has none.
fn bind_host_cgroups(root: &RootBuilder, plan: &MountPlan) -> Result<()> {
    let tree = match sys::clone_path(Path::new(CGROUPS), true) {
        Err(Errno::NOENT) => return Ok(()),
        tree => tree.context("bind the host's cgroups")?,
    };
    if plan.options.set & sys::RDONLY != 0 {
        sys::make_read_only(tree.as_fd(), true).context("make cgroups read-only")?;
    }
    root.attach(tree.as_fd(), &plan.target)
}

/// Version 1: one directory a hierarchy, each a bind of the container's own cgroup.
fn mount_hierarchies(root: &RootBuilder, plan: &MountPlan, memberships: &str) -> Result<()> {
    let attr = Attr::from_bits_retain((plan.options.set & !sys::RDONLY) as u32);
    let top = sys::detached("tmpfs", &["mode=755"], attr).context("make cgroup directory")?;
    root.attach(top.as_fd(), &plan.target)?;
    for (name, path) in memberships.lines().filter_map(hierarchy) {
        // In a namespace that was joined, a cgroup outside of it has a path with `..`.
        if path.split('/').any(|part| part == "..") {
            continue;
        }
        let source = Path::new(CGROUPS).join(&name).join(path.trim_start_matches('/'));
        let Ok(tree) = sys::clone_path(&source, false) else { continue }; // not mounted on this host
        if plan.options.set & sys::RDONLY != 0 {
            sys::make_read_only(tree.as_fd(), false).context("make cgroup read-only")?;
        }
        rustix::fs::mkdirat(&top, name.as_str(), Mode::from_raw_mode(0o755))
            .context("make cgroup directory")?;
        let place = CString::new(name).context("NUL in a cgroup's name")?;
        sys::attach_at(tree.as_fd(), top.as_fd(), &place).context("attach cgroup")?;
    }
    if plan.options.set & sys::RDONLY != 0 {
        sys::make_read_only(top.as_fd(), false).context("make cgroups read-only")?;
    }
    Ok(())
}

/// `9:cpu,cpuacct:/path`, `1:name=systemd:/path`, `0::/path`: directory name and path.
fn hierarchy(line: &str) -> Option<(String, &str)> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let name = match controllers.strip_prefix("name=") {
        Some(name) => name,
        None if controllers.is_empty() => "unified",
        None => controllers,
    };
    Some((name.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_by_their_directory() {
        assert_eq!(hierarchy("4:cpu,cpuacct:/a/b"), Some(("cpu,cpuacct".to_owned(), "/a/b")));
        assert_eq!(hierarchy("1:name=systemd:/"), Some(("systemd".to_owned(), "/")));
        assert_eq!(hierarchy("0::/x:y"), Some(("unified".to_owned(), "/x:y")));
        assert!(leads_through_process(Path::new("self/root")) && leads_through_process(Path::new("1/root")));
        assert!(!leads_through_process(Path::new("kcore")));
    }
}
