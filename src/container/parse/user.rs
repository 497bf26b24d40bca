//! `--user`: `USER[:GROUP]`, each a name or a number; `--group-add`; strict numbers.

use super::usage;
use crate::base::error::{Explain, Result};

/// A user or group as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By number.
    Id(u32),
    /// By name, to be looked up in the container.
    Name(String),
}

/// `USER[:GROUP]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// The user; root when nothing was typed.
    pub user: Who,
    /// The group, if one was typed.
    pub group: Option<Who>,
}

/// Parses `USER[:GROUP]`; empty means root. No part is ever ignored, and no number wraps around
/// (CVE-2024-40635: containerd ran 4294967296 as root).
pub fn parse(text: &str) -> Result<UserSpec> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { Who::Id(0) } else { who(user)? };
    let group = match group {
        None | Some("") => None,
        Some(group) => Some(who(group)?),
    };
    Ok(UserSpec { user, group })
}

/// Parses one name or number.
pub fn who(text: &str) -> Result<Who> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return id(text).map(Who::Id);
    }
    if text.starts_with('-') && text[1..].bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(usage(format!("`{text}` is not a user or group: an id cannot be negative")));
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, ':' | ',' | '/');
    if text.is_empty() || text.len() > 256 || text.chars().any(odd) {
        return Err(usage(format!("`{text}` is not the name of a user or group")));
    }
    Ok(Who::Name(text.to_owned()))
}

/// Parses an id: decimal digits, below 2^32-1 (which the kernel takes for "no change").
pub fn id(text: &str) -> Result<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(id) if digits && id != u32::MAX => Ok(id),
        _ => Err(usage(format!("`{text}` is not an id")).hint("ids are whole numbers from 0 to 4294967294")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_names_or_numbers() {
        let table = [
            ("", Who::Id(0), None),
            ("0", Who::Id(0), None),
            ("1000:100", Who::Id(1000), Some(Who::Id(100))),
            ("redis", Who::Name("redis".into()), None),
            ("redis:0", Who::Name("redis".into()), Some(Who::Id(0))),
            ("7:", Who::Id(7), None),
            (":7", Who::Id(0), Some(Who::Id(7))),
            ("4294967294", Who::Id(u32::MAX - 1), None),
            ("1e3", Who::Name("1e3".into()), None),
        ];
        for (text, user, group) in table {
            assert_eq!(parse(text).unwrap(), UserSpec { user, group }, "{text}");
        }
    }

    #[test]
    fn numbers_never_wrap_into_root() {
        for bad in [
            "4294967296",
            "4294967295",
            "18446744073709551616",
            "-1",
            "0:-1",
            "0:4294967296",
            "a:b:c",
            "a b",
            "a\n",
            "../x",
            "é\u{1b}",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
