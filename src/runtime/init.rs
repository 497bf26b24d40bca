//! `--init`: dhow as the container's pid 1, above the real command. It reaps orphans, passes signals on, and ends
//! as the command ends.
//!
//! Pid 1 is not a fork of the supervisor that goes on living: that would leave the host's environment and the
//! command's memory in a process of the container. It is an exec of dhow's own binary, from a read-only clone of
//! its mount (or a sealed copy in memory), so that `/proc/1/exe` cannot be written through (CVE-2019-5736).

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::process::WaitOptions;

use super::identity;
use crate::base::error::{self, Context, Result};
use crate::sys::{mount, prctl, process};

/// The name under which the binary is pid 1 of a container; what `ps` shows there.
pub const NAME: &str = "/run/dhow-init";

/// Opens the own binary so that whoever executes it cannot be used to change it.
pub(super) fn own_binary() -> Result<OwnedFd> {
    let path = Path::new("/proc/self/exe");
    match read_only_clone(path) {
        Ok(fd) => Ok(fd),
        Err(_) => sealed_copy(path).context("copy the own binary"), // no right to mount, or an old kernel
    }
}

/// The link of /proc leads to the mount that this process was executed from, which is another namespace's once a
/// user namespace was entered: so the same file is looked up by its name here.
fn read_only_clone(path: &Path) -> rustix::io::Result<OwnedFd> {
    let own = rustix::fs::stat(path)?;
    let name = rustix::fs::readlink(path, Vec::new())?;
    let clone = mount::clone_path(Path::new(OsStr::from_bytes(name.to_bytes())), false)?;
    let found = rustix::fs::fstat(&clone)?;
    if (own.st_dev, own.st_ino) != (found.st_dev, found.st_ino) {
        return Err(rustix::io::Errno::STALE);
    }
    mount::make_read_only(clone.as_fd(), false)?;
    Ok(clone)
}

fn sealed_copy(path: &Path) -> Result<OwnedFd> {
    let source = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let copy = rustix::fs::memfd_create("dhow-init", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    while rustix::fs::sendfile(&copy, &source, None, 1 << 30)? > 0 {}
    rustix::fs::fchmod(&copy, Mode::from_raw_mode(0o555))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy)
}

/// What `main` must ask first: when this process is a container's pid 1, runs it and gives its exit status.
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut arguments = arguments.into_iter();
    if arguments.next()? != NAME || rustix::process::getpid().as_raw_nonzero().get() != 1 {
        return None;
    }
    let command: Vec<OsString> = arguments.skip_while(|word| word == "--").collect();
    Some(run(&command))
}

fn run(command: &[OsString]) -> u8 {
    let done = prctl::set_name(c"dhow-init").context("name init").and_then(|()| supervise(command));
    done.unwrap_or_else(|error| {
        let line = format!("dhow-init: {}\n", error::render(&error));
        let _ = std::io::stderr().write_all(line.as_bytes()); // nobody else can be told
        error::kind_of(&error).exit_code()
    })
}

fn supervise(command: &[OsString]) -> Result<u8> {
    let signals = process::block_all_signals().context("block signals")?;
    let child = spawn(command)?;
    loop {
        let signal = process::wait_signal(&signals).context("wait for a signal")?;
        if signal != rustix::process::Signal::CHILD.as_raw() {
            forward(child, signal);
            continue;
        }
        if let Some(status) = reap(child)? {
            return Ok(status);
        }
    }
}

/// Everything that can be passed on goes to the command alone, as to a pid 1 that it would be without init.
fn forward(child: i32, signal: i32) {
    let _ = process::kill(child, signal); // it may have ended already
}

fn spawn(command: &[OsString]) -> Result<i32> {
    let words = || command.iter().map(|word| word.as_bytes());
    let arguments = process::Strings::new(words()).context("NUL in an argument")?;
    let pairs = std::env::vars_os().map(|(name, value)| {
        let mut pair = name;
        pair.push("=");
        pair.push(value);
        pair
    });
    let environment = process::Strings::new(pairs.map(|pair| pair.as_bytes().to_vec()))
        .context("NUL in the environment")?;
    match process::clone3(0, None).context("fork")? {
        process::Forked::Parent(child) => Ok(child.pid),
        process::Forked::Child => {
            take_foreground();
            process::reset_signals();
            let name = command.first().map(OsString::as_os_str).unwrap_or(OsStr::new(""));
            let search = std::env::var("PATH").ok();
            let failure =
                identity::exec_command(&name.to_string_lossy(), search.as_deref(), &arguments, &environment);
            let line = format!("dhow-init: {}\n", error::render(&failure));
            let _ = std::io::stderr().write_all(line.as_bytes()); // nobody else can be told
            process::exit_now(error::kind_of(&failure).exit_code().into())
        }
    }
}

/// The command, not init, has the terminal's foreground, so that Ctrl-C reaches it once. All signals are blocked
/// still, SIGTTOU among them.
fn take_foreground() {
    let _ = rustix::process::setpgid(None, None); // a new child may always lead a group
    let stdin = process::borrow(0);
    if rustix::termios::isatty(stdin) {
        let _ = rustix::termios::tcsetpgrp(stdin, rustix::process::getpid()); // not ours: no foreground to take
    }
}

/// Reaps all that ended; gives the command's status once it is among them.
fn reap(child: i32) -> Result<Option<u8>> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == child {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            ended = signal.or(status.exit_status()).map(|code| u8::try_from(code & 0xff).unwrap_or(255));
        }
    }
    Ok(ended)
}
