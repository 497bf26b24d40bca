//! `/dev`: nodes, links, and what stands in for nodes where nobody may make them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};
use rustix::io::{Errno, Result as SysResult};

use super::container::DevicePlan;
use super::mounts;
use super::rootfs::{RootBuilder, node};
use crate::base::error::{Context, Result};
use crate::sys::mount as sys;

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Makes the nodes and the usual links.
pub(super) fn make(root: &RootBuilder, devices: &[DevicePlan]) -> Result<()> {
    let dev = match root.fresh_fd("dev") {
        Some(_) => None,
        None => Some(root.target(Path::new("dev"), true)?),
    };
    let Some(dev) = dev.as_ref().map(AsFd::as_fd).or(root.fresh_fd("dev")) else { return Ok(()) };
    for device in devices {
        make_one(root, dev, device).with_context(|| format!("make device `/{}`", device.path.display()))?;
    }
    for (name, target) in LINKS {
        make_link(dev, name, target).with_context(|| format!("make link `/dev/{name}`"))?;
    }
    Ok(())
}

fn make_link(dev: BorrowedFd<'_>, name: &str, target: &str) -> SysResult<()> {
    match rustix::fs::symlinkat(target, dev, name) {
        Err(Errno::EXIST) if name == "ptmx" => {
            // An image may bring a node here that would open the host's terminals.
            rustix::fs::unlinkat(dev, name, AtFlags::empty())?;
            rustix::fs::symlinkat(target, dev, name)
        }
        Err(Errno::EXIST) => Ok(()),
        done => done,
    }
}

fn make_one(root: &RootBuilder, dev: BorrowedFd<'_>, device: &DevicePlan) -> Result<()> {
    let (held, name) = place(root, device)?;
    let dir = held.as_ref().map_or(dev, AsFd::as_fd);
    if let Some(host) = &device.host {
        return bind_node(dir, &name, host.as_fd());
    }
    match rustix::fs::mknodat(dir, &name, device.kind, Mode::from_raw_mode(device.mode), device.device) {
        Ok(()) => own(dir, &name, device),
        Err(Errno::EXIST) => replace(dir, &name, device),
        Err(Errno::PERM) => {
            // Root, but of a container: the outer one's nodes can still be bound.
            let host = mounts::host_device(&Path::new("/").join(&device.path), device.device)?;
            bind_node(dir, &name, host.as_fd())
        }
        Err(errno) => Err(errno).context("mknod"),
    }
}

/// The directory of a node when it is not `/dev` itself, and the node's name.
fn place(root: &RootBuilder, device: &DevicePlan) -> Result<(Option<OwnedFd>, std::ffi::OsString)> {
    let name = device.path.file_name().unwrap_or(OsStr::new("")).to_owned();
    match device.path.parent() {
        Some(parent) if parent == Path::new("dev") => Ok((None, name)),
        Some(parent) if !parent.as_os_str().is_empty() => Ok((Some(root.target(parent, true)?), name)),
        _ => Ok((Some(root.target(Path::new("."), true)?), name)),
    }
}

/// A node that the image brought is not trusted to be the right one.
fn replace(dir: BorrowedFd<'_>, name: &OsStr, device: &DevicePlan) -> Result<()> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).context("inspect")?;
    if FileType::from_raw_mode(stat.st_mode) == device.kind && stat.st_rdev == device.device {
        return Ok(());
    }
    rustix::fs::unlinkat(dir, name, AtFlags::empty()).context("replace")?;
    rustix::fs::mknodat(dir, name, device.kind, Mode::from_raw_mode(device.mode), device.device)
        .context("mknod")?;
    own(dir, name, device)
}

fn own(dir: BorrowedFd<'_>, name: &OsStr, device: &DevicePlan) -> Result<()> {
    let Some((uid, gid)) = device.owner.filter(|owner| *owner != (0, 0)) else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).context("chown")
}

fn bind_node(dir: BorrowedFd<'_>, name: &OsStr, host: BorrowedFd<'_>) -> Result<()> {
    node(dir, name, FileType::RegularFile, 0o666, 0).context("make the place of a bound device")?;
    let name = std::ffi::CString::new(name.as_encoded_bytes()).context("NUL in a device's name")?;
    sys::attach_at(host, dir, &name).context("bind the host's device")
}
