//! `--log-driver` and `--log-opt`.

use std::path::PathBuf;

use super::{nearest, usage};
use crate::base::error::{Explain, Result};
use crate::base::units::parse_bytes;
use crate::container::record::LogDriver;

const DRIVERS: &[(&str, LogDriver)] = &[
    ("k8s-file", LogDriver::K8sFile),
    ("json-file", LogDriver::JsonFile),
    ("journald", LogDriver::Journald),
    ("none", LogDriver::None),
    ("passthrough", LogDriver::Passthrough),
    ("passthrough-tty", LogDriver::PassthroughTty),
];

/// Parses `--log-driver`.
pub fn parse_driver(text: &str) -> Result<LogDriver> {
    if let Some((_, driver)) = DRIVERS.iter().find(|(name, _)| *name == text) {
        return Ok(*driver);
    }
    let error = usage(format!("log driver `{text}` is not supported"));
    Err(match nearest(text, DRIVERS.iter().map(|(name, _)| *name)) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint("k8s-file, json-file, journald, none, passthrough, passthrough-tty"),
    })
}

/// The `--log-opt` flags together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// `path=`
    pub path: Option<PathBuf>,
    /// `max-size=`, bytes.
    pub max_size: Option<u64>,
    /// `tag=`, a Go template still.
    pub tag: Option<String>,
}

/// Parses all `--log-opt` flags.
pub fn parse_options(texts: &[String]) -> Result<LogOptions> {
    let mut options = LogOptions::default();
    for text in texts {
        let (name, value) = super::env::parse_pair("--log-opt", text)?;
        match name.as_str() {
            "path" if value.is_empty() || value.contains('\0') => {
                return Err(usage(format!("--log-opt `{text}` has no path")));
            }
            "path" => options.path = Some(value.into()),
            "max-size" if value == "-1" => options.max_size = Some(0),
            "max-size" => options.max_size = Some(parse_bytes(&value)?),
            "tag" => options.tag = Some(value),
            _ => {
                return Err(
                    usage(format!("log option `{name}` is not supported")).hint("path=, max-size=, tag=")
                );
            }
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_and_options_are_read() {
        assert_eq!(parse_driver("k8s-file").unwrap(), LogDriver::K8sFile);
        assert!(
            parse_driver("jsonfile").is_err() && parse_driver("").is_err() && parse_driver("syslog").is_err()
        );
        let options =
            parse_options(&["path=/x".into(), "max-size=10mb".into(), "tag={{.ID}}".into()]).unwrap();
        assert_eq!(
            options,
            LogOptions { path: Some("/x".into()), max_size: Some(10 << 20), tag: Some("{{.ID}}".into()) }
        );
        for bad in ["path", "path=", "max-size=x", "foo=1", "=x"] {
            assert!(parse_options(&[bad.into()]).is_err(), "{bad}");
        }
    }
}
