//! A real pseudo-terminal with a program on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use super::{Sandbox, eventually, sandbox};

/// A terminal session; what the program prints is collected in the background.
pub struct Pty {
    master: File,
    slave: OwnedFd,
    child: Child,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Pty {
    /// Starts `dhow ARGS` on a new terminal of 80 by 24, as its session leader.
    pub fn dhow(sandbox: &Sandbox, args: &[&str]) -> Pty {
        let binary = sandbox::binary().display().to_string();
        let mut all = vec![binary.as_str()];
        all.extend(args);
        Pty::start(sandbox, &all)
    }

    /// Starts a program on a new terminal (`setsid --ctty` gives it the controlling terminal).
    pub fn start(sandbox: &Sandbox, args: &[&str]) -> Pty {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
        let pty = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, pty).unwrap();
        let copy = || slave.try_clone().unwrap();
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            .args(args)
            .env_clear()
            .envs(sandbox.environment().iter().map(|(k, v)| (k, v)))
            .env("TERM", "xterm")
            .current_dir(sandbox.path("work"))
            .stdin(copy())
            .stdout(copy())
            .stderr(copy())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        collect(master.try_clone().unwrap(), Arc::clone(&screen));
        Pty { master, slave, child, screen }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// What was printed so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `text` was printed.
    pub fn expect(&self, text: &str) {
        let seen = || self.screen().contains(text);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !seen() {
            assert!(std::time::Instant::now() < deadline, "`{text}` never came; screen: {:?}", self.screen());
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Changes the size of the window.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Whether the terminal echoes and edits lines (it must again, after every way out).
    pub fn is_cooked(&self) -> bool {
        let modes = tcgetattr(&self.slave).unwrap().local_modes;
        use rustix::termios::LocalModes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Pid of the `setsid` in front of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; gives the exit status.
    pub fn wait(&mut self) -> i32 {
        let mut status = None;
        eventually("the program on the terminal ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        use std::os::unix::process::ExitStatusExt;
        let status = status.unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(mut master: File, screen: Arc<Mutex<Vec<u8>>>) {
    thread::spawn(move || {
        let mut buffer = [0u8; 4096];
        while let Ok(read @ 1..) = master.read(&mut buffer) {
            screen.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    });
}
