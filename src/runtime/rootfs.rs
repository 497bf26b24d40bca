//! The container's file system, built by the child in its own mount namespace.
//!
//! The root is a mount attached over `/`, where no path lookup of this process sees it: only its descriptor
//! leads in. File systems of the kernel are made detached and attached to a name below a descriptor that the
//! container had no chance to prepare; everything else is resolved inside the root (CVE-2021-30465).

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};
use rustix::io::{Errno, Result as SysResult};

use super::container::ContainerPlan;
use super::mounts::{MountPlan, Options, PRIVATE, PROC_SUPER_MAGIC, Source};
use super::{child, copyup, devices, hide};
use crate::base::error::{Context, Explain, Result, bail};
use crate::sys::mount::{self as sys, Attr, FsContext, SetAttr};
use crate::sys::rootdir::RootDir;

/// The root while it is built.
#[derive(Debug)]
pub(super) struct RootBuilder {
    pub(super) root: RootDir,
    fd: OwnedFd,
    /// File systems of the kernel that were mounted at these paths, under which nobody else has written.
    fresh: Vec<(PathBuf, OwnedFd)>,
    /// Whether a bind mount stands at `/dev`: then its nodes are not ours to make.
    foreign_dev: bool,
}

impl RootBuilder {
    /// Attaches the root over `/`.
    pub(super) fn new(plan: &ContainerPlan) -> Result<RootBuilder> {
        sys::all_private().context("make mounts private")?;
        let fd = plan.root.try_clone().context("hold the root file system")?;
        sys::attach_at(fd.as_fd(), CWD, c"/").context("attach the root file system")?;
        let change = SetAttr { propagation: PRIVATE, ..SetAttr::default() };
        match sys::set_attr(fd.as_fd(), &change, true) {
            Ok(()) | Err(Errno::NOSYS) => {} // before 5.12 a clone of a private mount is private anyway
            Err(errno) => return Err(errno).context("make the root file system private"),
        }
        let root = RootDir::from_fd(plan.root.try_clone().context("hold the root file system")?);
        Ok(RootBuilder { root, fd, fresh: Vec::new(), foreign_dev: false })
    }

    /// Mounts everything, makes the nodes, hides what is to be hidden.
    pub(super) fn build(&mut self, plan: &ContainerPlan) -> Result<()> {
        for mount in &plan.mounts {
            self.mount(mount).with_context(|| format!("mount `/{}`", mount.target.display()))?;
        }
        if !self.foreign_dev {
            devices::make(self, &plan.devices)?;
        }
        hide::set_sysctls(self, &plan.sysctls)?;
        hide::read_only(self, &plan.readonly_paths)?;
        hide::mask(self, &plan.masked)
    }

    /// Makes the new root the root.
    pub(super) fn enter(self, plan: &ContainerPlan) -> Result<()> {
        if plan.read_only {
            sys::make_read_only(self.fd.as_fd(), false).context("make the root read-only")?;
        }
        if plan.no_pivot {
            child::move_root(self.fd.as_fd())?;
        } else {
            sys::pivot_to(self.fd.as_fd())
                .context("change the root")
                .hint("on an initramfs the root cannot be changed: use `--no-pivot`")?;
        }
        if let Some((flag, recursive)) = plan.propagation.filter(|(flag, _)| *flag != PRIVATE) {
            let change = SetAttr { propagation: flag, ..SetAttr::default() };
            sys::set_attr(self.fd.as_fd(), &change, recursive).context("set the root's propagation")?;
        }
        Ok(())
    }

    fn mount(&mut self, plan: &MountPlan) -> Result<()> {
        match &plan.source {
            Source::Tree { fd, directory } => self.mount_tree(plan, fd.as_fd(), *directory),
            Source::New { kind, source } => self.mount_new(plan, kind, source),
            Source::Cgroup => hide::mount_cgroup(self, plan),
            Source::Remount => self.remount(plan),
        }
    }

    fn mount_tree(&mut self, plan: &MountPlan, fd: BorrowedFd<'_>, directory: bool) -> Result<()> {
        dress(fd, &plan.options)?;
        if plan.target == Path::new("dev") {
            self.foreign_dev = true;
        }
        let target = self.target(&plan.target, directory)?;
        self.refuse_proc(plan, target.as_fd())?;
        sys::attach(fd, target.as_fd()).context("attach")?;
        spread(fd, &plan.options)
    }

    /// The target may have led to /proc by a link of the image (CVE-2023-27561).
    fn refuse_proc(&self, plan: &MountPlan, target: BorrowedFd<'_>) -> Result<()> {
        let magic = rustix::fs::fstatfs(target).context("inspect the target")?.f_type as u64;
        if magic == PROC_SUPER_MAGIC && !plan.target.starts_with("proc") {
            bail!("the target is a link into /proc");
        }
        Ok(())
    }

    fn mount_new(&mut self, plan: &MountPlan, kind: &str, source: &str) -> Result<()> {
        let (fd, borrowed) = match new_file_system(kind, source, &plan.options) {
            Ok(fd) => (fd, false),
            // Not ours to mount: the namespace it shows is not ours (host network, pid, ipc), or the outer
            // container hides parts of its own. Then the host's is bound, as crun does.
            Err((Errno::PERM | Errno::ACCESS | Errno::BUSY, _)) if host_path(kind).is_some() => {
                (self.host_tree(kind, &plan.options)?, true)
            }
            Err((errno, log)) => return Err(errno).context(log.unwrap_or_else(|| format!("make {kind}"))),
        };
        if plan.options.copy_up && kind == "tmpfs" {
            copyup::fill(&self.root, &plan.target, fd.as_fd())?;
        }
        self.attach(fd.as_fd(), &plan.target)?;
        spread(fd.as_fd(), &plan.options)?;
        if !plan.options.copy_up && !borrowed {
            self.fresh.push((plan.target.clone(), fd));
        }
        Ok(())
    }

    /// The host's own mount of a kernel file system, whole: a part of it could uncover what the host hides.
    fn host_tree(&self, kind: &str, options: &Options) -> Result<OwnedFd> {
        let path = host_path(kind).unwrap_or_default();
        let fd =
            sys::clone_path(Path::new(path), true).with_context(|| format!("bind the host's `{path}`"))?;
        if options.set & sys::RDONLY != 0 {
            sys::make_read_only(fd.as_fd(), true).with_context(|| format!("make `{path}` read-only"))?;
        }
        Ok(fd)
    }

    fn remount(&self, plan: &MountPlan) -> Result<()> {
        let target = self.root.resolve(&plan.target).context("open")?;
        let change = SetAttr { set: plan.options.set, clear: plan.options.clear, ..SetAttr::default() };
        sys::set_attr(target.as_fd(), &change, false).context("change")?;
        spread(target.as_fd(), &plan.options)
    }

    /// Attaches a directory mount, making its place when there is none.
    pub(super) fn attach(&self, mount: BorrowedFd<'_>, target: &Path) -> Result<()> {
        if let Some((dir, name)) = self.direct(target) {
            // A link in this place is not followed: it fails (CVE-2019-19921, CVE-2023-28642).
            let attached = match sys::attach_at(mount, dir, &name) {
                Err(Errno::NOENT) => rustix::fs::mkdirat(dir, &name, Mode::from_raw_mode(0o755))
                    .and_then(|()| sys::attach_at(mount, dir, &name)),
                done => done,
            };
            return attached.context("attach");
        }
        let place = self.target(target, true)?;
        sys::attach(mount, place.as_fd()).context("attach")
    }

    /// A descriptor and a plain name that need no confined lookup: a first component of the root, or a name in
    /// a file system that this process has just made.
    fn direct(&self, target: &Path) -> Option<(BorrowedFd<'_>, CString)> {
        let (fd, rest) = match self.fresh_at(target) {
            Some((fd, rest)) => (fd, rest),
            None => (self.fd.as_fd(), target),
        };
        let single = rest.components().count() == 1;
        let kernels_own = rest == Path::new("fs/cgroup") && self.fresh_fd("sys").is_some();
        let name = CString::new(rest.as_os_str().as_bytes()).ok()?;
        (single || kernels_own).then_some((fd, name))
    }

    /// The fresh file system that holds a path, and the path's rest below it.
    pub(super) fn fresh_at<'a>(&self, path: &'a Path) -> Option<(BorrowedFd<'_>, &'a Path)> {
        let holds = |(place, fd): &'_ (PathBuf, OwnedFd)| -> Option<(usize, &'a Path)> {
            let _ = fd;
            let rest = path.strip_prefix(place).ok().filter(|rest| !rest.as_os_str().is_empty())?;
            Some((place.components().count(), rest))
        };
        let found = self.fresh.iter().filter_map(|entry| holds(entry).map(|found| (entry, found)));
        found.max_by_key(|(_, (depth, _))| *depth).map(|(entry, (_, rest))| (entry.1.as_fd(), rest))
    }

    /// The fresh file system mounted exactly there.
    pub(super) fn fresh_fd(&self, place: &str) -> Option<BorrowedFd<'_>> {
        self.fresh.iter().find(|(path, _)| path == Path::new(place)).map(|(_, fd)| fd.as_fd())
    }

    /// Opens a mount's target inside the root, made when missing: a directory for a directory, else a file.
    pub(super) fn target(&self, target: &Path, directory: bool) -> Result<OwnedFd> {
        let mode = Mode::from_raw_mode(if directory { 0o755 } else { 0o644 });
        let made = match directory {
            true => self.root.mkdir_all(target, mode),
            false => self.root.make_file(target, mode),
        };
        made.with_context(|| format!("make the mount point `/{}`", target.display()))
    }
}

/// Sets the attributes of a mount that nobody sees yet.
fn dress(fd: BorrowedFd<'_>, options: &Options) -> Result<()> {
    if let Some(change) = options.dress() {
        match sys::set_attr(fd, &change, false) {
            Err(Errno::NOSYS) => sys::remount_bind(fd, change.set as _),
            done => done,
        }
        .context("set mount attributes")?;
    }
    if options.recursive_set | options.recursive_clear != 0 {
        let (set, clear) = (options.recursive_set, options.recursive_clear);
        sys::set_attr(fd, &SetAttr { set, clear, ..SetAttr::default() }, true)
            .context("set mount attributes of the whole tree")?;
    }
    Ok(())
}

/// Sets the propagation of an attached mount; private where nothing was asked.
fn spread(fd: BorrowedFd<'_>, options: &Options) -> Result<()> {
    if options.propagation.is_empty() && options.bind.is_none() {
        return Ok(()); // a new file system is private already
    }
    let private = [(PRIVATE, true)];
    let asked: &[(u64, bool)] = match options.propagation.is_empty() {
        true => &private,
        false => &options.propagation,
    };
    for (flag, recursive) in asked {
        let change = SetAttr { propagation: *flag, ..SetAttr::default() };
        sys::set_attr(fd, &change, *recursive).context("set propagation")?;
    }
    Ok(())
}

/// Makes a file system; on failure gives the kernel's words too.
fn new_file_system(
    kind: &str,
    source: &str,
    options: &Options,
) -> std::result::Result<OwnedFd, (Errno, Option<String>)> {
    let made = try_file_system(kind, source, options, &options.data);
    match made {
        // A group that the user namespace does not know (devpts' 5 with a single id).
        Err((Errno::INVAL, _)) if options.data.iter().any(|option| option.starts_with("gid=")) => {
            let data: Vec<String> =
                options.data.iter().filter(|option| !option.starts_with("gid=")).cloned().collect();
            try_file_system(kind, source, options, &data)
        }
        other => other,
    }
}

fn try_file_system(
    kind: &str,
    source: &str,
    options: &Options,
    data: &[String],
) -> std::result::Result<OwnedFd, (Errno, Option<String>)> {
    let context = FsContext::open(kind).map_err(|errno| (errno, None))?;
    let attr = Attr::from_bits_retain(options.set as u32);
    let configure = || -> SysResult<OwnedFd> {
        if !source.is_empty() {
            context.set("source", source)?;
        }
        data.iter().try_for_each(|option| context.option(option))?;
        context.mount(attr)
    };
    configure().map_err(|errno| (errno, context.log()))
}

/// Where the host has a kernel file system that can stand in for one of our own.
fn host_path(kind: &str) -> Option<&'static str> {
    match kind {
        "sysfs" => Some("/sys"),
        "proc" => Some("/proc"),
        "mqueue" => Some("/dev/mqueue"),
        _ => None,
    }
}

/// Makes a regular file, directory or node by name in a directory of ours; one that exists is fine.
pub(super) fn node(
    dir: BorrowedFd<'_>,
    name: &OsStr,
    kind: FileType,
    mode: u32,
    device: u64,
) -> SysResult<()> {
    match rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode), device) {
        Err(Errno::EXIST) => Ok(()),
        done => done,
    }
}
