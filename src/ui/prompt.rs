//! Questions on the terminal.

use std::io::{self, BufRead, Read, Write};

use crate::base::error::{Context, Kind, Result, fail};
use crate::sys::event;
use crate::sys::term::RawMode;

/// Asks on stderr; only `y` and `yes` mean yes, and the end of the input means no.
pub fn confirm(question: &str) -> Result<bool> {
    let _ = write!(io::stderr(), "{question} [y/N] "); // without a stderr the answer still counts
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer from stdin")?;
    Ok(is_yes(&answer))
}

/// Asks for a line on stderr.
pub fn line(question: &str) -> Result<String> {
    let _ = write!(io::stderr(), "{question}"); // without a stderr the answer still counts
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer from stdin")?;
    Ok(answer.trim().to_owned())
}

/// Asks for a line that is not shown while it is typed. Ctrl-C ends the program with the terminal as it was.
pub fn secret(question: &str) -> Result<String> {
    let _ = write!(io::stderr(), "{question}"); // without a stderr the answer still counts
    let raw = RawMode::enter(io::stdin())?;
    let typed = keys(&mut io::stdin().lock());
    drop(raw);
    let _ = writeln!(io::stderr()); // the newline that was not echoed
    match typed? {
        Some(bytes) => String::from_utf8(bytes).context("read the answer"),
        None => {
            event::die_of(2);
            Err(fail(Kind::Exited(130), "interrupted"))
        }
    }
}

/// The bytes of a line, edited with backspace and Ctrl-U; `None` for Ctrl-C.
fn keys(input: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut key = [0u8];
    while input.read(&mut key).context("read the answer from stdin")? == 1 {
        match key[0] {
            b'\r' | b'\n' | 4 => break,
            3 => return Ok(None),
            8 | 127 => drop(line.pop()),
            21 => line.clear(),
            byte => line.push(byte),
        }
    }
    Ok(Some(line))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hidden_line_can_be_edited() {
        assert_eq!(super::keys(&mut &b"abc\x7fd\r"[..]).unwrap().unwrap(), b"abd");
        assert_eq!(super::keys(&mut &b"ab\x03"[..]).unwrap(), None);
    }

    #[test]
    fn only_yes_is_yes() {
        assert!(super::is_yes("Y\n") && super::is_yes("yes") && !super::is_yes("") && !super::is_yes("yeah"));
    }
}
