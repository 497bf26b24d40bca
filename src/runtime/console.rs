//! The container's terminal: made in its own `devpts`, so that the host's terminals stay out of reach.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::rootfs::{RootBuilder, node};
use crate::base::error::{Context, Result, bail};
use crate::sys::mount as sys;

/// Both sides of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) master: OwnedFd,
    pub(super) slave: OwnedFd,
}

/// Makes a terminal of `(rows, columns)` and binds it as `/dev/console`.
pub(super) fn open(root: &RootBuilder, (rows, columns): (u16, u16)) -> Result<Terminal> {
    let held;
    let pts = match root.fresh_fd("dev/pts") {
        Some(pts) => pts,
        None => {
            held = root.root.resolve(Path::new("dev/pts")).context("open `/dev/pts`")?;
            held.as_fd()
        }
    };
    let terminal = open_in(pts).context("make a terminal")?;
    if (rows, columns) != (0, 0) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&terminal.slave, size).context("set the terminal's size")?;
    }
    bind_console(root, pts, &terminal).context("bind `/dev/console`")?;
    Ok(terminal)
}

/// Opens a new pair in a `devpts`.
pub(super) fn open_in(pts: BorrowedFd<'_>) -> Result<Terminal> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let master = rustix::fs::openat(pts, "ptmx", flags, Mode::empty()).context("open `ptmx`")?;
    let kind = rustix::fs::fstat(&master).context("inspect `ptmx`")?;
    if kind.st_rdev != rustix::fs::makedev(5, 2) {
        bail!("`/dev/pts/ptmx` is not a terminal multiplexer");
    }
    rustix::pty::unlockpt(&master).context("unlock")?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).context("open the slave")?;
    Ok(Terminal { master, slave })
}

/// The console is a bind of the slave: a path of its own, resolved by nobody (CVE-2025-52565).
fn bind_console(root: &RootBuilder, pts: BorrowedFd<'_>, terminal: &Terminal) -> Result<()> {
    let name = rustix::pty::ptsname(&terminal.master, Vec::new()).context("name the slave")?;
    let name = name.to_str().context("name the slave")?;
    let number = Path::new(name.rsplit('/').next().unwrap_or(name));
    let clone = sys::clone_tree(pts, number, false, false).context("clone the slave")?;
    let (ours, slave) = (rustix::fs::fstat(&clone)?, rustix::fs::fstat(&terminal.slave)?);
    if (ours.st_ino, ours.st_rdev) != (slave.st_ino, slave.st_rdev) {
        bail!("another terminal is in the slave's place");
    }
    match root.fresh_fd("dev") {
        Some(dev) => {
            node(dev, "console".as_ref(), FileType::RegularFile, 0o620, 0)?;
            Ok(sys::attach_at(clone.as_fd(), dev, c"console")?)
        }
        None => {
            let target = root.target(Path::new("dev/console"), false)?;
            Ok(sys::attach(clone.as_fd(), target.as_fd())?)
        }
    }
}
