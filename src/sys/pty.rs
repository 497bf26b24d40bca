//! Pseudo-terminals: `openpt`, `ioctl_tty` window sizes.

use std::os::fd::{AsFd, OwnedFd};

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};
use serde::{Deserialize, Serialize};

use crate::base::error::{Context, Result};

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Both ends of a new pseudo-terminal of the host's devpts, close-on-exec.
#[derive(Debug)]
pub struct Pair {
    /// The side that plays the terminal.
    pub master: OwnedFd,
    /// The side that a program takes for its terminal.
    pub slave: OwnedFd,
}

/// Opens a pseudo-terminal. The slave comes from `TIOCGPTPEER` (Linux 4.13), so no path is trusted.
pub fn open() -> Result<Pair> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).context("open a pseudo-terminal")?;
    unlockpt(&master).context("unlock the pseudo-terminal")?;
    let slave = ioctl_tiocgptpeer(&master, flags).context("open the pseudo-terminal's other side")?;
    Ok(Pair { master, slave })
}

/// The window size of a terminal; `None` where there is none (no terminal, or a size of zero).
pub fn size(terminal: impl AsFd) -> Option<Size> {
    let size = tcgetwinsize(terminal).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the window size; the foreground process group of the other side gets SIGWINCH.
pub fn set_size(terminal: impl AsFd, size: Size) -> Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).context("set the window size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_share_one_size() {
        let pair = open().unwrap();
        set_size(&pair.master, Size { rows: 7, columns: 91 }).unwrap();
        assert_eq!(size(&pair.slave), Some(Size { rows: 7, columns: 91 }));
        assert_eq!(size(std::fs::File::options().read(true).open("/dev/null").unwrap()), None);
    }
}
