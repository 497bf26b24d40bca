//! The overlay of the program fuse-overlayfs, for kernels that refuse their own to a user namespace.
//!
//! The mount is made here, detached, and the program is given the device that serves it (`/dev/fd/N` in place of a
//! mount point, which libfuse 3.3 and newer take): so nothing is ever visible in a mount table, and the program ends
//! by itself when the last user of the mount is gone.
//!
//! How the program marks deleted files and opaque directories in the upper directory differs from the kernel's way and
//! between its versions, so nobody here reads an upper directory of this driver: `diff` looks through a mount.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::base::error::{Context, Explain, Result, anyhow, bail};
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::mount;

/// Mounts an overlay served by fuse-overlayfs: the lower directories, top first, and the upper and work directories of
/// a writable one.
pub(super) fn overlay(lowers: &[PathBuf], upper: Option<(&Path, &Path)>, attr: u64) -> Result<OwnedFd> {
    let options = options(lowers, upper)?;
    let flags = OFlags::RDWR;
    let device = file::open_at(rustix::fs::CWD, Path::new("/dev/fuse"), flags, Mode::empty())
        .context("open `/dev/fuse`")
        .hint("load the kernel module `fuse`, and let users open the device")?;
    let fd = format!("fd={}", device.as_raw_fd());
    let settings =
        [fd.as_str(), "rootmode=40000", "user_id=0", "group_id=0", "allow_other", "default_permissions"];
    let attr = mount::Attr::from_bits_retain(u32::try_from(attr)?);
    let mounted = mount::detached("fuse", &settings, attr).context("mount fuse")?;
    serve(&device, &options)?;
    Ok(mounted)
}

/// Starts the program, which goes to the background once it is ready.
fn serve(device: &OwnedFd, options: &OsString) -> Result<()> {
    file::inherit(device).context("hand `/dev/fuse` over")?;
    // A file, not a pipe: the program stays in the background, and would hold a pipe open.
    let mut said = File::from(file::memory_file("fuse-overlayfs").context("make a file for messages")?);
    let stderr = said.try_clone().context("share the file for messages")?;
    let status = Command::new("fuse-overlayfs")
        .arg("-o")
        .arg(options)
        .arg(format!("/dev/fd/{}", device.as_raw_fd()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            let mut text = String::new();
            said.rewind().and_then(|()| said.read_to_string(&mut text)).context("read its messages")?;
            bail!("`fuse-overlayfs` ended with {status}: {}", text.trim().escape_debug())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(anyhow!("the storage driver `fuse` needs the program `fuse-overlayfs`"))
                .hint("install the package fuse-overlayfs, or take `--storage-driver vfs`")
        }
        Err(error) => Err(error).context("run `fuse-overlayfs`"),
    }
}

/// The value of `-o`.
fn options(lowers: &[PathBuf], upper: Option<(&Path, &Path)>) -> Result<OsString> {
    let mut text = b"lowerdir=".to_vec();
    for (at, lower) in lowers.iter().enumerate() {
        if at > 0 {
            text.push(b':');
        }
        push(&mut text, lower)?;
    }
    if let Some((upper, work)) = upper {
        for (key, path) in [(&b",upperdir="[..], upper), (b",workdir=", work)] {
            text.extend_from_slice(key);
            push(&mut text, path)?;
        }
    }
    Ok(std::os::unix::ffi::OsStringExt::from_vec(text))
}

/// Adds a path. libfuse takes a backslash before its comma; a colon has no such way out.
fn push(text: &mut Vec<u8>, path: &Path) -> Result<()> {
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b':' => {
                bail!("the storage driver `fuse` cannot serve `{}`: a colon is in its name", path.display())
            }
            b',' | b'\\' => text.extend([b'\\', byte]),
            _ => text.push(byte),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_quoted_as_libfuse_reads_them() {
        let lowers = [PathBuf::from("/a,b"), PathBuf::from("/c")];
        let upper = Some((Path::new("/u\\x"), Path::new("/w")));
        let text = options(&lowers, upper).unwrap();
        assert_eq!(text.to_str(), Some("lowerdir=/a\\,b:/c,upperdir=/u\\\\x,workdir=/w"));
        assert!(options(&[PathBuf::from("/a:b")], None).is_err());
    }
}
