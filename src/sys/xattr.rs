//! Extended attributes of open files, and of names by way of `/proc/self/fd` (before Linux 6.13 there is no call
//! that takes a directory and a name).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// The largest value and list that Linux allows (`xattr(7)`).
const MAX: usize = 64 * 1024;

/// A name and its value.
pub type Attribute = (CString, Vec<u8>);

/// The path under which the kernel takes `name` in `dir`; `None` stands for the descriptor itself.
fn handle(dir: impl AsFd, name: Option<&Path>) -> PathBuf {
    let base = PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd()));
    name.map_or(base.clone(), |name| base.join(name))
}

/// Sets an attribute of an open file or directory.
pub fn set(fd: impl AsFd, name: &[u8], value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(fd.as_fd(), name, value, XattrFlags::empty())?)
}

/// Sets an attribute of a name in a directory, a link itself.
pub fn set_at(dir: impl AsFd, at: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(handle(dir, Some(at)), name, value, XattrFlags::empty())?)
}

/// Removes an attribute of a name in a directory.
pub fn remove_at(dir: impl AsFd, at: &Path, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lremovexattr(handle(dir, Some(at)), name)?)
}

/// The value of one attribute; `None` when there is none or the file system has no attributes.
pub fn get_at(dir: impl AsFd, at: &Path, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    read(&handle(dir, Some(at)), name)
}

fn read(path: &Path, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut value = Vec::with_capacity(256);
    loop {
        match rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)) {
            Ok(_) => return Ok(Some(value)),
            Err(Errno::RANGE) if value.capacity() < MAX => value = Vec::with_capacity(MAX),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// All attributes of a name in a directory, sorted by name.
pub fn all_at(dir: impl AsFd, at: &Path) -> io::Result<Vec<Attribute>> {
    let path = handle(dir, Some(at));
    let names = listed(|list| rustix::fs::llistxattr(&path, rustix::buffer::spare_capacity(list)))?;
    attributes(&names, |name| read(&path, name))
}

/// All attributes of an open file, sorted by name.
pub fn all(fd: impl AsFd) -> io::Result<Vec<Attribute>> {
    let fd = fd.as_fd();
    let names = listed(|list| rustix::fs::flistxattr(fd, rustix::buffer::spare_capacity(list)))?;
    attributes(&names, |name| read(&handle(fd, None), name))
}

/// Calls for a list of names, with more room when it is too long; none where there are no attributes.
fn listed(mut call: impl FnMut(&mut Vec<u8>) -> rustix::io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut list = Vec::with_capacity(512);
    loop {
        match call(&mut list) {
            Ok(_) => return Ok(list),
            Err(Errno::RANGE) if list.capacity() < MAX => list = Vec::with_capacity(MAX),
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn attributes(
    names: &[u8],
    value: impl Fn(&[u8]) -> io::Result<Option<Vec<u8>>>,
) -> io::Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        if let Some(value) = value(name)? {
            attributes.push((CString::new(name)?, value));
        }
    }
    attributes.sort();
    Ok(attributes)
}
