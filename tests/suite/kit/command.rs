//! One run of a program: arguments, stdin, environment, a time limit, and what came out.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// No command of a test may take longer.
const LIMIT: Duration = Duration::from_secs(90);

/// A program about to run.
pub struct Cmd {
    command: Command,
    shown: String,
    stdin: Vec<u8>,
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command line, for messages.
    pub shown: String,
    /// Bytes on stdout.
    pub out: Vec<u8>,
    /// Bytes on stderr.
    pub err: Vec<u8>,
    /// Exit status; 128+n for a signal.
    pub status: i32,
}

impl Cmd {
    /// A program with a cleared environment.
    pub fn new(program: impl AsRef<OsStr>, environment: &[(OsString, OsString)]) -> Cmd {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
        Cmd { command, shown: program.as_ref().to_string_lossy().into_owned(), stdin: Vec::new() }
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Cmd {
        self.shown = format!("{} {}", self.shown, arg.as_ref().to_string_lossy());
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<T: AsRef<OsStr>>(self, args: impl IntoIterator<Item = T>) -> Cmd {
        args.into_iter().fold(self, Cmd::arg)
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Cmd {
        self.command.env(name, value);
        self
    }

    /// Gives it this on stdin (through a pipe); without, stdin is /dev/null.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.stdin = bytes.into();
        self
    }

    /// Runs in this directory.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Cmd {
        self.command.current_dir(dir.into());
        self
    }

    /// Starts it and leaves it running; streams are pipes.
    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.shown))
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Outcome {
        let input = std::mem::take(&mut self.stdin);
        self.command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.shown));
        let feeder = child.stdin.take().map(|mut pipe| thread::spawn(move || drop(pipe.write_all(&input))));
        let out = child.stdout.take().map(drain);
        let err = child.stderr.take().map(drain);
        let status = wait(&mut child, &self.shown);
        drop(feeder.map(thread::JoinHandle::join));
        let collect =
            |reader: Option<thread::JoinHandle<Vec<u8>>>| reader.map(|r| r.join().unwrap()).unwrap();
        Outcome { shown: self.shown, out: collect(out), err: collect(err), status }
    }

    /// Runs it; it must succeed. Gives its stdout.
    pub fn ok(self) -> String {
        self.run().ok()
    }

    /// Runs it; it must fail with this status. Gives its stderr.
    pub fn fails(self, status: i32) -> String {
        let outcome = self.run();
        assert_eq!(outcome.status, status, "{outcome}");
        outcome.stderr()
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Waits with a deadline; a program that hangs is killed and fails the test.
fn wait(child: &mut Child, shown: &str) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let deadline = Instant::now() + LIMIT;
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        }
        if Instant::now() > deadline {
            drop(child.kill());
            panic!("`{shown}` did not end in {LIMIT:?}");
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

impl Outcome {
    /// Stdout, which must be UTF-8, after success.
    pub fn ok(self) -> String {
        assert_eq!(self.status, 0, "{self}");
        self.stdout()
    }

    /// Stdout as text.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    /// Stderr as text.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (out, err) = (self.stdout(), self.stderr());
        write!(f, "$ {}\n-- status {}\n-- stdout\n{out}\n-- stderr\n{err}", self.shown, self.status)
    }
}
