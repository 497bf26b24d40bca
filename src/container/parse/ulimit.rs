//! `--ulimit NAME=SOFT[:HARD]`, or `host`.

use super::{nearest, usage};
use crate::base::error::{Explain, Result};
use crate::container::record::Ulimit;

/// The limits of getrlimit(2).
pub const NAMES: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// One `--ulimit`.
#[derive(Debug, Clone, PartialEq)]
pub enum UlimitArg {
    /// `host`: all limits as the caller has them.
    Host,
    /// One limit.
    Limit(Ulimit),
}

/// Parses one `--ulimit`; `-1` and `unlimited` mean no limit.
pub fn parse(text: &str) -> Result<UlimitArg> {
    if text == "host" {
        return Ok(UlimitArg::Host);
    }
    let wrong = || usage(format!("`{text}` is not a limit such as nofile=1024:2048"));
    let (name, values) = text.split_once('=').ok_or_else(wrong)?;
    let lower = name.to_ascii_lowercase();
    let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
    if !NAMES.contains(&name) {
        let error = usage(format!("unknown limit `{name}`"));
        return Err(match nearest(name, NAMES.iter().copied()) {
            Some(meant) => error.hint(format!("did you mean `{meant}`?")),
            None => error.hint(NAMES.join(", ")),
        });
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(soft).ok_or_else(wrong)?, value(hard).ok_or_else(wrong)?);
    if soft > hard {
        return Err(usage(format!("`{text}`: the soft limit is above the hard one")));
    }
    Ok(UlimitArg::Limit(Ulimit { name: name.into(), soft, hard, asked: true }))
}

fn value(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" => Some(u64::MAX),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let table = [
            ("nofile=1024:2048", ("nofile", 1024, 2048)),
            ("NOFILE=7", ("nofile", 7, 7)),
            ("RLIMIT_CORE=0", ("core", 0, 0)),
            ("memlock=-1:-1", ("memlock", u64::MAX, u64::MAX)),
            ("stack=1:unlimited", ("stack", 1, u64::MAX)),
        ];
        for (text, (name, soft, hard)) in table {
            let want = Ulimit { name: name.into(), soft, hard, asked: true };
            assert_eq!(parse(text).unwrap(), UlimitArg::Limit(want), "{text}");
        }
        assert_eq!(parse("host").unwrap(), UlimitArg::Host);
        for bad in [
            "",
            "nofile",
            "nofile=",
            "nofile=x",
            "foo=1",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=1:2:3",
            "nofile=-2",
            "=1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
