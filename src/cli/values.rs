//! Value parsers that several commands share.

use crate::base::error::{Result, anyhow, render};
use crate::base::time;
use crate::container::parse::signal;

/// A boolean as Go's `strconv.ParseBool` reads it.
pub fn go_bool(text: &str) -> Result<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(anyhow!("`{text}` is neither `true` nor `false`")),
    }
}

/// Seconds as a whole number, or a Go duration.
pub fn seconds(text: &str) -> Result<u64> {
    Ok(time::parse_duration(text)?.as_secs())
}

/// Seconds to wait, where a negative number means for ever (`u64::MAX`).
pub fn patience(text: &str) -> Result<u64> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Ok(u64::MAX),
        Ok(number) => Ok(number.unsigned_abs()),
        Err(_) => Err(anyhow!("`{text}` is not a number of seconds")),
    }
}

/// A signal by name, with or without `SIG`, or by number.
pub fn signal(text: &str) -> Result<i32> {
    signal::parse(text).map_err(|error| anyhow!("{}", render(&error)))
}

/// `key=value`; the value may be empty, and is when there is no `=`.
pub fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key {
        "" => Err(anyhow!("`{text}` has no key before `=`")),
        _ => Ok((key.to_owned(), value.to_owned())),
    }
}

/// A filter, `key=value`.
pub fn filter(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(anyhow!("filter `{text}` is not `key=value`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_go_reads_them() {
        assert!(go_bool("T").unwrap() && !go_bool("0").unwrap() && go_bool("yes").is_err());
        assert_eq!(patience("-1").unwrap(), u64::MAX);
        assert_eq!(key_value("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert!(filter("running").is_err() && filter("=x").is_err());
    }
}
