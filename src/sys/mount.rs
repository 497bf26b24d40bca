//! Mounts as file descriptors: the mount API of Linux 5.2, and the classic calls where a kernel lacks it.
//!
//! A mount is made detached, dressed (attributes, id map) while nobody can see it, and only then attached
//! to a place, so that no half-made mount is ever visible and no path is resolved twice.
#![expect(unsafe_code, reason = "mount_setattr(2) and mount(2) by file descriptor have no safe wrapper")]

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result as SysResult};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use super::process;
use crate::base::error::{Context, Result, bail};

pub use rustix::mount::MountAttrFlags as Attr;

/// The longest string that `fsconfig` takes, its NUL included.
const FSCONFIG_MAX: usize = 256;

/// A file system being configured: `fsopen`, then keys, then [`FsContext::mount`].
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
    kind: String,
}

impl FsContext {
    /// `fsopen(2)`, Linux 5.2.
    pub fn open(kind: &str) -> SysResult<FsContext> {
        let fd = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        Ok(FsContext { fd, kind: kind.to_owned() })
    }

    /// Sets `key=value`.
    pub fn set(&self, key: &str, value: &str) -> SysResult<()> {
        rustix::mount::fsconfig_set_string(&self.fd, key, value)
    }

    /// Sets a key without value.
    pub fn flag(&self, key: &str) -> SysResult<()> {
        rustix::mount::fsconfig_set_flag(&self.fd, key)
    }

    /// Sets `key=value`, or a flag where there is no `=`.
    pub fn option(&self, option: &str) -> SysResult<()> {
        match option.split_once('=') {
            Some((key, value)) => self.set(key, value),
            None => self.flag(option),
        }
    }

    /// Makes the file system and a detached mount of it.
    pub fn mount(&self, attr: MountAttrFlags) -> SysResult<OwnedFd> {
        rustix::mount::fsconfig_create(&self.fd)?;
        rustix::mount::fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, attr)
    }

    /// What the kernel wrote about the last failure, if anything: better than an errno.
    pub fn log(&self) -> Option<String> {
        let mut lines = Vec::new();
        let mut buffer = [0u8; 512];
        while let Ok(n) = rustix::io::read(&self.fd, &mut buffer) {
            if n == 0 || lines.len() > 8 {
                break;
            }
            let line = String::from_utf8_lossy(&buffer[..n]);
            lines.push(line.trim_end().trim_start_matches(['e', 'w', 'i', ' ']).to_owned());
        }
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Explains a failed step with the kernel's own words.
    fn explain(&self, errno: Errno) -> anyhow::Error {
        match self.log() {
            Some(log) => anyhow::Error::from(errno).context(format!("mount {}: {log}", self.kind)),
            None => anyhow::Error::from(errno).context(format!("mount {}", self.kind)),
        }
    }
}

/// A detached mount of a file system with these options (`key=value` or a flag).
pub fn detached(kind: &str, options: &[&str], attr: MountAttrFlags) -> SysResult<OwnedFd> {
    let context = FsContext::open(kind)?;
    options.iter().try_for_each(|option| context.option(option))?;
    context.mount(attr)
}

/// A detached copy of the mount at `path` below `dir` (empty: `dir` itself), with its submounts if `recursive`.
pub fn clone_tree(dir: BorrowedFd<'_>, path: &Path, recursive: bool, follow: bool) -> SysResult<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    if !follow {
        flags |= OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    }
    rustix::mount::open_tree(dir, path, flags)
}

/// A detached copy of the mount at an absolute or relative path of the caller's own view.
pub fn clone_path(path: &Path, recursive: bool) -> SysResult<OwnedFd> {
    clone_tree(CWD, path, recursive, true)
}

/// Attaches a detached mount exactly on the file or directory that `target` holds open.
pub fn attach(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> SysResult<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", target, c"", flags)
}

/// Attaches a detached mount at a path that the caller trusts.
pub fn attach_at(mount: BorrowedFd<'_>, dir: BorrowedFd<'_>, path: &CStr) -> SysResult<()> {
    rustix::mount::move_mount(mount, c"", dir, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// The root directory of this process, whatever is mounted over it.
pub fn open_slash() -> SysResult<OwnedFd> {
    open_dir(Path::new("/"))
}

/// Moves the mount that `mount` is open on (attached elsewhere in this mount namespace) onto `target`.
pub fn move_to(mount: BorrowedFd<'_>, target: BorrowedFd<'_>) -> SysResult<()> {
    attach(mount, target)
}

/// What `mount_setattr(2)` changes; the default changes nothing.
#[derive(Debug, Default)]
pub struct SetAttr<'a> {
    /// Attributes to set (`MOUNT_ATTR_*`).
    pub set: u64,
    /// Attributes to clear; an access-time mode needs [`ATIME_MASK`] here.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE`, or 0 to leave it.
    pub propagation: u64,
    /// The user namespace whose maps the mount gets (`MOUNT_ATTR_IDMAP`, Linux 5.12).
    pub idmap: Option<BorrowedFd<'a>>,
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `MOUNT_ATTR_RDONLY`.
pub const RDONLY: u64 = 0x1;
/// `MOUNT_ATTR_NOSUID`.
pub const NOSUID: u64 = 0x2;
/// `MOUNT_ATTR_NODEV`.
pub const NODEV: u64 = 0x4;
/// `MOUNT_ATTR_NOEXEC`.
pub const NOEXEC: u64 = 0x8;
/// `MOUNT_ATTR_NOATIME`.
pub const NOATIME: u64 = 0x10;
/// `MOUNT_ATTR_STRICTATIME`.
pub const STRICTATIME: u64 = 0x20;
/// `MOUNT_ATTR_NODIRATIME`.
pub const NODIRATIME: u64 = 0x80;
/// `MOUNT_ATTR_NOSYMFOLLOW`.
pub const NOSYMFOLLOW: u64 = 0x20_0000;
/// `MOUNT_ATTR_IDMAP`.
pub const IDMAP: u64 = 0x10_0000;

/// `MOUNT_ATTR__ATIME`: all access-time modes.
pub const ATIME_MASK: u64 = 0x70;

/// Changes a mount that `mount` is open on, and those below it if `recursive`. Linux 5.12.
pub fn set_attr(mount: BorrowedFd<'_>, change: &SetAttr<'_>, recursive: bool) -> SysResult<()> {
    let attr = MountAttr {
        set: change.set | change.idmap.map_or(0, |_| IDMAP),
        clear: change.clear,
        propagation: change.propagation,
        userns_fd: change.idmap.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated literal, `attr` outlives the call and its true size is passed.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

pub(super) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Makes a mount that `mount` is open on read-only (and what is below it), by the new call or the old.
pub fn make_read_only(mount: BorrowedFd<'_>, recursive: bool) -> SysResult<()> {
    let change = SetAttr { set: RDONLY, ..SetAttr::default() };
    match set_attr(mount, &change, recursive) {
        Err(Errno::NOSYS) => remount_bind(mount, libc::MS_RDONLY),
        done => done,
    }
}

/// `mount(2)` with `MS_REMOUNT|MS_BIND` by descriptor; keeps the locked flags that `statvfs` shows.
pub fn remount_bind(mount: BorrowedFd<'_>, flags: libc::c_ulong) -> SysResult<()> {
    let now = rustix::fs::fstatvfs(mount)?.f_flag.bits() as libc::c_ulong;
    let kept = now & (libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | libc::MS_RDONLY);
    classic(None, mount, None, libc::MS_REMOUNT | libc::MS_BIND | kept | flags, None)
}

/// `mount(2)` onto an open descriptor, through `/proc/self/fd`: the way of kernels before 5.2.
pub fn classic(
    source: Option<&CStr>,
    target: BorrowedFd<'_>,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    data: Option<&CStr>,
) -> SysResult<()> {
    let target = fd_path(target.as_raw_fd());
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a NUL-terminated string that outlives the call.
    let done =
        unsafe { libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// `/proc/self/fd/N`.
pub fn fd_path(fd: RawFd) -> CString {
    CString::new(format!("/proc/self/fd/{fd}")).unwrap_or_default()
}

/// Sets the propagation of everything mounted at or below a path (`/` after entering a mount namespace).
pub fn propagation(path: &CStr, flags: MountPropagationFlags) -> SysResult<()> {
    rustix::mount::mount_change(path, flags)
}

/// Everything mounted here becomes private to this mount namespace.
pub fn all_private() -> SysResult<()> {
    propagation(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Everything mounted here receives from the outer namespace and gives nothing back.
pub fn all_slave() -> SysResult<()> {
    propagation(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
}

/// A classic bind mount of two trusted paths.
pub fn bind(source: &Path, target: &Path, recursive: bool) -> SysResult<()> {
    let flags = if recursive { MountFlags::BIND | MountFlags::REC } else { MountFlags::BIND };
    rustix::mount::mount(source, target, c"", flags, None::<&CStr>)
}

/// Whether a mount begins at a path, by `STATX_ATTR_MOUNT_ROOT` (Linux 5.8); before it, by another device than above.
pub fn is_mount_root(path: &Path) -> bool {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
    let Ok(found) = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) else {
        return false;
    };
    if found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
    }
    let above = path.parent().and_then(|above| rustix::fs::stat(above).ok());
    rustix::fs::stat(path).is_ok_and(|here| above.is_some_and(|above| above.st_dev != here.st_dev))
}

/// `umount2(2)` with `MNT_DETACH`.
pub fn detach(path: &Path) -> SysResult<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH)
}

/// Makes the directory that `root` is open on (a mount point of this namespace) the root of this process and
/// drops the old root: `pivot_root(".", ".")` puts the old root over the new, where it can be detached.
pub fn pivot_to(root: BorrowedFd<'_>) -> SysResult<()> {
    let old = open_slash()?;
    rustix::process::fchdir(root)?;
    rustix::process::pivot_root(c".", c".")?;
    // The old root now lies over the new one, and its mounts must not be undone in the namespace they came from.
    // It is named by its own descriptor: "." is the new root, whose mounts keep the propagation they were given.
    rustix::process::fchdir(&old)?;
    rustix::mount::mount_change(c".", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH)?;
    rustix::process::chdir(c"/")
}

/// A clone of what is mounted at `path` in the mount namespace of another process, whose links count.
pub fn clone_there(namespace: BorrowedFd<'_>, path: &Path) -> SysResult<OwnedFd> {
    aside(0, || {
        process::setns(namespace, process::flags::NEWNS)?;
        clone_path(path, true)
    })
}

/// A clone of a part of a detached mount that `part` is open on. Before Linux 6.15 only what is attached can be
/// cloned, so the mount is attached for a moment where nobody else sees it.
pub fn clone_part(mount: BorrowedFd<'_>, part: BorrowedFd<'_>) -> SysResult<OwnedFd> {
    aside(process::flags::NEWNS, || {
        all_private()?;
        attach(mount, open_slash()?.as_fd())?;
        clone_tree(part, Path::new(""), true, false)
    })
}

/// Opens something in a process of its own that shares the table of descriptors: what it opens is ours as well,
/// the namespaces that it enters are not. It must close nothing that it did not open.
fn aside(new: u64, open: impl FnOnce() -> SysResult<OwnedFd>) -> SysResult<OwnedFd> {
    let (answer, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    match process::clone3(new | process::flags::FILES, None)? {
        process::Forked::Child => {
            let said = open().map_or_else(|errno| -errno.raw_os_error(), IntoRawFd::into_raw_fd);
            let _ = rustix::io::write(&tell, &said.to_ne_bytes()); // silence is an answer too
            process::exit_now(0)
        }
        process::Forked::Parent(child) => {
            process::wait(child.pidfd.as_fd())?;
            drop(tell);
            let mut said = [0u8; 4];
            match (rustix::io::read(&answer, &mut said)?, i32::from_ne_bytes(said)) {
                (4, fd @ 0..) => process::own(fd),
                (4, errno) => Err(Errno::from_raw_os_error(-errno)),
                _ => Err(Errno::IO),
            }
        }
    }
}

/// An overlay to be mounted.
#[derive(Debug, Default)]
pub struct OverlayOptions<'a> {
    /// The lower directories, top first; at least one. The kernel takes 500.
    pub lower: &'a [PathBuf],
    /// The upper and the work directory; a read-only overlay has none (and then needs two lowers).
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Keep overlay's marks in `user.overlay.*` (needed in a user namespace, Linux 5.11).
    pub userxattr: bool,
    /// Further options: `volatile`, `metacopy=on`, `index=off`, `context=…`
    pub extra: &'a [String],
    /// Attributes of the mount.
    pub attr: u64,
}

/// Mounts an overlay, attached nowhere: the file descriptor is the only way to it.
///
/// Any number of lowers works: they are given one by one (`lowerdir+`, Linux 6.5), or as numbers of open
/// descriptors relative to `/proc/self/fd`, so that hundreds fit in the one page of the old interface.
pub fn overlay(options: &OverlayOptions<'_>) -> Result<OwnedFd> {
    if options.lower.is_empty() {
        bail!("mount overlay: no lower directory");
    }
    let context = match FsContext::open("overlay") {
        Ok(context) => context,
        Err(errno) => return Err(errno).context("mount overlay: `fsopen`"),
    };
    let mut held = Vec::new();
    match lowers_one_by_one(&context, options.lower, &mut held) {
        Ok(()) => {}
        Err(Errno::INVAL) => return overlay_by_numbers(options),
        Err(errno) => return Err(context.explain(errno)),
    }
    overlay_rest(&context, options, &mut held).map_err(|errno| context.explain(errno))?;
    let attr = MountAttrFlags::from_bits_retain(options.attr as u32);
    context.mount(attr).map_err(|errno| context.explain(errno))
}

fn lowers_one_by_one(context: &FsContext, lower: &[PathBuf], held: &mut Vec<OwnedFd>) -> SysResult<()> {
    lower.iter().try_for_each(|path| set_path(context, "lowerdir+", path, held))
}

/// Gives a path of any length: a long one through an open descriptor, kept open in `held`.
fn set_path(context: &FsContext, key: &str, path: &Path, held: &mut Vec<OwnedFd>) -> SysResult<()> {
    if path.as_os_str().len() < FSCONFIG_MAX {
        return rustix::mount::fsconfig_set_string(&context.fd, key, path);
    }
    let fd = open_dir(path)?;
    let set = rustix::mount::fsconfig_set_string(&context.fd, key, fd_path(fd.as_raw_fd()));
    held.push(fd);
    set
}

fn overlay_rest(context: &FsContext, options: &OverlayOptions<'_>, held: &mut Vec<OwnedFd>) -> SysResult<()> {
    if let Some((upper, work)) = options.upper {
        set_path(context, "upperdir", upper, held)?;
        set_path(context, "workdir", work, held)?;
    }
    if options.userxattr {
        context.flag("userxattr")?;
    }
    options.extra.iter().try_for_each(|option| context.option(option))
}

/// Overlay for kernels before 6.5: all lowers in one string, as numbers relative to `/proc/self/fd`.
fn overlay_by_numbers(options: &OverlayOptions<'_>) -> Result<OwnedFd> {
    let mut held = Vec::new();
    let mut names = Vec::new();
    for path in options.lower {
        let fd = open_dir(path).with_context(|| format!("open `{}`", path.display()))?;
        names.push(fd.as_raw_fd().to_string());
        held.push(fd);
    }
    let lower = names.join(":");
    let home = rustix::fs::open(".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).context("open `.`")?;
    rustix::process::chdir("/proc/self/fd").context("enter `/proc/self/fd`")?;
    let mounted = if lower.len() < FSCONFIG_MAX {
        overlay_by_context(&lower, options, &mut held)
    } else {
        overlay_by_mount(&lower, options)
    };
    rustix::process::fchdir(home).context("return to the working directory")?;
    mounted
}

fn overlay_by_context(lower: &str, options: &OverlayOptions<'_>, held: &mut Vec<OwnedFd>) -> Result<OwnedFd> {
    let context = FsContext::open("overlay").context("mount overlay")?;
    let attr = MountAttrFlags::from_bits_retain(options.attr as u32);
    context
        .set("lowerdir", lower)
        .and_then(|()| overlay_rest(&context, options, held))
        .and_then(|()| context.mount(attr))
        .map_err(|errno| context.explain(errno))
}

/// Many lowers on an old kernel: `mount(2)` takes a page of options but also needs a place; the lowest layer
/// lends it for the moment until the mount is cloned away.
fn overlay_by_mount(lower: &str, options: &OverlayOptions<'_>) -> Result<OwnedFd> {
    let mut data = format!("lowerdir={lower}");
    if let Some((upper, work)) = options.upper {
        data.push_str(&format!(",upperdir={},workdir={}", upper.display(), work.display()));
    }
    if options.userxattr {
        data.push_str(",userxattr");
    }
    for option in options.extra {
        data.push(',');
        data.push_str(option);
    }
    let data = CString::new(data).context("mount overlay: NUL in an option")?;
    let place = options.lower.last().map(PathBuf::as_path).unwrap_or(Path::new("/"));
    rustix::mount::mount(c"overlay", place, c"overlay", MountFlags::empty(), Some(data.as_c_str()))
        .context("mount overlay")?;
    let mount = clone_path(place, false).context("clone overlay mount");
    detach(place).context("detach overlay mount")?;
    let mount = mount?;
    if options.attr != 0 {
        let change = SetAttr { set: options.attr, ..SetAttr::default() };
        set_attr(mount.as_fd(), &change, false).context("set overlay attributes")?;
    }
    Ok(mount)
}

fn open_dir(path: &Path) -> SysResult<OwnedFd> {
    rustix::fs::open(path.as_os_str().as_bytes(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}
