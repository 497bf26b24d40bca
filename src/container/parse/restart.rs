//! `--restart`.

use super::usage;
use crate::base::error::{Explain, Result};
use crate::container::record::RestartPolicy;

/// Parses `no`, `never`, `on-failure[:N]`, `always`, `unless-stopped`.
pub fn parse(text: &str) -> Result<RestartPolicy> {
    let wrong = || {
        usage(format!("unknown restart policy `{text}`")).hint("no, on-failure[:N], always, unless-stopped")
    };
    let (word, count) = text.split_once(':').map_or((text, None), |(word, count)| (word, Some(count)));
    match (word, count) {
        ("" | "no" | "never", None) => Ok(RestartPolicy::No),
        ("always", None) => Ok(RestartPolicy::Always),
        ("unless-stopped", None) => Ok(RestartPolicy::UnlessStopped),
        ("on-failure", None) => Ok(RestartPolicy::OnFailure(0)),
        ("on-failure", Some(count)) => {
            super::user::id(count).map(RestartPolicy::OnFailure).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// The policy as it is typed.
pub fn show(policy: RestartPolicy) -> String {
    match policy {
        RestartPolicy::No => "no".into(),
        RestartPolicy::OnFailure(0) => "on-failure".into(),
        RestartPolicy::OnFailure(count) => format!("on-failure:{count}"),
        RestartPolicy::Always => "always".into(),
        RestartPolicy::UnlessStopped => "unless-stopped".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_shown() {
        for text in ["no", "on-failure", "on-failure:3", "always", "unless-stopped"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        for bad in ["sometimes", "always:3", "on-failure:", "on-failure:-1", "no:1", "Always"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
