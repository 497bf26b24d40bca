//! stdout, buffered, and stderr, a line at a time. A reader that went away is [`Kind::ClosedPipe`].

use std::cell::RefCell;
use std::io::{self, BufWriter, IsTerminal, Write};

use crate::base::Kind;
use crate::base::error::{Context, Error, Explain, Result, hints_of, render};

/// stdout, buffered until [`Printer::flush`]; nothing is written behind the caller's back.
#[derive(Debug)]
pub struct Printer {
    out: RefCell<BufWriter<io::Stdout>>,
}

impl Default for Printer {
    fn default() -> Self {
        Printer { out: RefCell::new(BufWriter::with_capacity(32 * 1024, io::stdout())) }
    }
}

impl Printer {
    /// Writes text as it is.
    pub fn text(&self, text: &str) -> Result<()> {
        written(self.out.borrow_mut().write_all(text.as_bytes()))
    }

    /// Writes text and a newline.
    pub fn line(&self, text: &str) -> Result<()> {
        self.text(text)?;
        self.text("\n")
    }

    /// Writes a line and hands it to the reader at once: for output that comes while work goes on.
    pub fn now(&self, text: &str) -> Result<()> {
        self.line(text)?;
        self.flush()
    }

    /// Writes out what is buffered.
    pub fn flush(&self) -> Result<()> {
        written(self.out.borrow_mut().flush())
    }
}

/// Names the failure of a write to stdout; the reader's absence is no failure.
pub fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Error::new(error).kind(Kind::ClosedPipe))
        }
        other => other.context("write to stdout"),
    }
}

/// Whether a person reads stdout.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person reads stderr.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Says something on stderr; a stderr that is gone loses it.
pub fn talk(text: &str) {
    let _ = writeln!(io::stderr(), "{text}"); // nobody is left to tell
}

/// The same for bytes that somebody else wrote, as they are.
pub fn talk_bytes(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes); // nobody is left to tell
}

/// Says that something is odd but not fatal.
pub fn warn(text: &str) {
    talk(&format!("Warning: {}", crate::base::text::printable(text)));
}

/// Prints an error as the contract has it: the chain on one line, then a line a hint.
pub fn error(error: &Error) {
    let mut text = format!("Error: {}", render(error));
    for hint in hints_of(error) {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    talk(&text);
}
