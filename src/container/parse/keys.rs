//! `--detach-keys`: `ctrl-p,ctrl-q`.

use super::usage;
use crate::base::error::{Explain, Result};

/// Parses the sequence into the bytes that a terminal sends; empty switches detaching off.
pub fn parse(text: &str) -> Result<Vec<u8>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',').map(key).collect()
}

fn key(word: &str) -> Result<u8> {
    let wrong = || {
        usage(format!("`{word}` is not a detach key"))
            .hint("a key is one character or ctrl- with a letter or one of @ [ \\ ] ^ _, separated by commas")
    };
    if let Some(control) = word.strip_prefix("ctrl-").or_else(|| word.strip_prefix("ctrl+")) {
        let [byte] = control.as_bytes() else { return Err(wrong()) };
        return match byte.to_ascii_uppercase() {
            byte @ b'@'..=b'_' => Ok(byte - b'@'),
            _ => Err(wrong()),
        };
    }
    match word.as_bytes() {
        [byte] if byte.is_ascii_graphic() => Ok(*byte),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_the_bytes_of_a_terminal() {
        assert_eq!(parse("ctrl-p,ctrl-q").unwrap(), [16, 17]);
        assert_eq!(parse("a,ctrl-@,ctrl-[").unwrap(), [b'a', 0, 27]);
        assert!(parse("").unwrap().is_empty());
        for bad in ["ctrl-", "ctrl-1", "ab", ",", "a,", "é", "ctrl-pp"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
