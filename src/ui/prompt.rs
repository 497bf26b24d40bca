//! Questions on the terminal.

use std::io::{self, BufRead, Write};

use crate::base::error::{Context, Result};

/// Asks on stderr; only `y` and `yes` mean yes, and the end of the input means no.
pub fn confirm(question: &str) -> Result<bool> {
    let _ = write!(io::stderr(), "{question} [y/N] "); // without a stderr the answer still counts
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer from stdin")?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_yes_is_yes() {
        assert!(super::is_yes("Y\n") && super::is_yes("yes") && !super::is_yes("") && !super::is_yes("yeah"));
    }
}
