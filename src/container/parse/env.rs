//! Environment and labels: `NAME=value`, `NAME` (from the caller), `NAME*`, and files of such lines.

use super::usage;
use crate::base::error::{Context, Result};

/// What one entry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// `NAME=value`
    Set(String, String),
    /// `NAME`: the caller's value, if there is one.
    FromHost(String),
    /// `NAME*`: all of the caller's variables that begin so.
    Prefix(String),
}

/// Parses one `--env`.
pub fn parse(text: &str) -> Result<Entry> {
    if text.contains('\0') {
        return Err(usage("an environment variable contains a NUL byte"));
    }
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    if name.is_empty() {
        return Err(usage(format!("the variable `{text}` has no name")));
    }
    Ok(match (value, name.strip_suffix('*')) {
        (Some(value), _) => Entry::Set(name.into(), value.into()),
        (None, Some(prefix)) => Entry::Prefix(prefix.into()),
        (None, None) => Entry::FromHost(name.into()),
    })
}

/// Parses an `--env-file`: an entry a line; blank lines and `#` lines are skipped, nothing is unquoted.
pub fn parse_file(text: &str) -> Result<Vec<Entry>> {
    lines(text)
        .map(|(number, line)| {
            let name = line.split('=').next().unwrap_or_default();
            if name.trim_end().contains(char::is_whitespace) {
                return Err(usage(format!(
                    "line {number}: the variable name `{}` contains a blank",
                    name.trim_end()
                )));
            }
            let line = match line.split_once('=') {
                Some((name, value)) => format!("{}={value}", name.trim_end()),
                None => line.trim_end().to_owned(),
            };
            parse(&line).with_context(|| format!("line {number}"))
        })
        .collect()
}

/// Lines that say something, with their numbers; leading blanks and a byte order mark are gone.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_start()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Parses a `--label`: `KEY=value` or `KEY` (an empty value).
pub fn parse_label(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() || text.contains('\0') {
        return Err(usage(format!("the label `{text}` has no name")));
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Parses a `--label-file`: a label a line.
pub fn parse_label_file(text: &str) -> Result<Vec<(String, String)>> {
    lines(text).map(|(number, line)| parse_label(line).with_context(|| format!("line {number}"))).collect()
}

/// Parses what must be `KEY=value` (`--annotation`, `--cgroup-conf`).
pub fn parse_pair(flag: &str, text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !text.contains('\0') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(usage(format!("{flag} takes KEY=VALUE, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::render;

    #[test]
    fn entries_are_told_apart() {
        assert_eq!(parse("A=b=c").unwrap(), Entry::Set("A".into(), "b=c".into()));
        assert_eq!(parse("A=").unwrap(), Entry::Set("A".into(), String::new()));
        assert_eq!(parse("A").unwrap(), Entry::FromHost("A".into()));
        assert_eq!(parse("LC_*").unwrap(), Entry::Prefix("LC_".into()));
        assert_eq!(parse("A*=x").unwrap(), Entry::Set("A*".into(), "x".into()));
        for bad in ["", "=x", "A=\0"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_are_read_line_by_line() {
        let file = "\u{feff}# comment\n\n  A=1\nB= x # not a comment\r\nC\nQ=\"kept\"\n";
        let want = [
            Entry::Set("A".into(), "1".into()),
            Entry::Set("B".into(), " x # not a comment".into()),
            Entry::FromHost("C".into()),
            Entry::Set("Q".into(), "\"kept\"".into()),
        ];
        assert_eq!(parse_file(file).unwrap(), want);
        assert!(render(&parse_file("A B=1").unwrap_err()).contains("line 1"));
        assert!(parse_file("=1").is_err());
    }

    #[test]
    fn labels_may_lack_a_value_and_annotations_may_not() {
        assert_eq!(parse_label("a").unwrap(), ("a".into(), String::new()));
        assert_eq!(parse_label_file("#x\na=b\n").unwrap(), [("a".into(), "b".into())]);
        assert!(parse_label("=x").is_err() && parse_pair("--annotation", "a").is_err());
    }
}
