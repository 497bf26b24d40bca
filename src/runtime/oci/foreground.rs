//! Staying with a process until it ends: its terminal on ours, our signals to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;

use crate::base::error::{Context, Result};
use crate::sys::event::{Signals, wait_any};
use crate::sys::process::{self, Exit};
use crate::sys::pty;
use crate::sys::term::RawMode;

/// What is passed on to the process: all that ask a program for something.
const FORWARDED: [i32; 10] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGWINCH,
];

/// Our own terminal, connected to that of the process.
struct Screen {
    master: OwnedFd,
    input_open: bool,
    _raw: Option<RawMode>,
}

/// Catches what [`attend`] passes on. To be done before the process can run: a signal that comes earlier would
/// end us and leave it alone.
pub(super) fn catch() -> Result<Signals> {
    Signals::catch(&FORWARDED)
}

/// Waits for the end of a child; gives how it ended.
pub(super) fn attend(pidfd: &OwnedFd, master: Option<OwnedFd>, signals: &Signals) -> Result<Exit> {
    let mut screen = master.map(Screen::new).transpose()?;
    loop {
        let ready = wait_ready(pidfd, signals, screen.as_ref())?;
        while let Some(signal) = signals.next() {
            pass_on(signal, pidfd, screen.as_ref());
        }
        if let Some(screen) = &mut screen {
            screen.serve(ready.output, ready.input)?;
        }
        if ready.ended {
            if let Some(screen) = &mut screen {
                screen.drain();
            }
            return process::wait(pidfd.as_fd()).context("wait for the process");
        }
    }
}

/// What has happened.
struct Ready {
    ended: bool,
    output: bool,
    input: bool,
}

fn wait_ready(pidfd: &OwnedFd, signals: &Signals, screen: Option<&Screen>) -> Result<Ready> {
    let mut fds = vec![(pidfd.as_fd(), PollFlags::IN), (signals.as_fd(), PollFlags::IN)];
    if let Some(screen) = screen {
        fds.push((screen.master.as_fd(), PollFlags::IN));
        if screen.input_open {
            fds.push((stdin(), PollFlags::IN));
        }
    }
    let ready = match wait_any(&fds, None) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Vec::new(),
        ready => ready.context("wait for the process")?,
    };
    let on = |at: usize| ready.get(at).is_some_and(|flags: &PollFlags| !flags.is_empty());
    Ok(Ready { ended: on(0), output: on(2), input: on(3) })
}

fn pass_on(signal: i32, pidfd: &OwnedFd, screen: Option<&Screen>) {
    match (signal, screen) {
        (libc::SIGWINCH, Some(screen)) => screen.resize(),
        (libc::SIGWINCH, None) => {}
        _ => drop(process::pidfd_send_signal(pidfd.as_fd(), signal)), // it may have just ended
    }
}

fn stdin() -> BorrowedFd<'static> {
    process::borrow(0)
}

impl Screen {
    fn new(master: OwnedFd) -> Result<Screen> {
        let raw = match rustix::termios::isatty(stdin()) {
            true => Some(RawMode::enter(stdin())?),
            false => None,
        };
        let screen = Screen { master, input_open: true, _raw: raw };
        screen.resize();
        Ok(screen)
    }

    fn resize(&self) {
        if let Some(size) = pty::size(stdin()) {
            let _ = pty::set_size(&self.master, size); // a terminal that ends now needs no size
        }
    }

    fn serve(&mut self, output: bool, input: bool) -> Result<()> {
        if output {
            self.show();
        }
        if input {
            let mut buffer = [0u8; 4096];
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) | Err(rustix::io::Errno::IO) => self.input_open = false,
                Ok(count) => {
                    write_all(self.master.as_fd(), &buffer[..count]).context("write to the terminal")?
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno).context("read standard input"),
            }
        }
        Ok(())
    }

    /// Shows one piece of output; `false` when there is no more.
    fn show(&self) -> bool {
        let mut buffer = [0u8; 8192];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(count) if count > 0 => write_all(process::borrow(1), &buffer[..count]).is_ok(),
            Err(rustix::io::Errno::INTR) => true,
            _ => false,
        }
    }

    /// After the end: what is still in the terminal.
    fn drain(&mut self) {
        let now = std::time::Duration::ZERO;
        while wait_any(&[(self.master.as_fd(), PollFlags::IN)], Some(now))
            .is_ok_and(|ready| ready.first().is_some_and(|flags| flags.contains(PollFlags::IN)))
            && self.show()
        {}
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}
