//! `--platform OS[/ARCH[/VARIANT]]` with Go's names of architectures.

use super::usage;
use crate::base::error::Result;

/// A platform as images name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`, `arm64`…; empty for the host's.
    pub arch: String,
    /// `v7`, `v8`; may be empty.
    pub variant: String,
}

/// Go's name of an architecture, from Go's or the kernel's name.
pub fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" | "x86" => "386",
        "armhf" | "armel" => "arm",
        other => other,
    }
}

/// Parses a platform.
pub fn parse(text: &str) -> Result<Platform> {
    let wrong = || usage(format!("`{text}` is not a platform such as linux/arm64 or linux/arm/v7"));
    let legal = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let lower = text.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    if parts.len() > 3 || !parts.iter().all(|part| legal(part)) {
        return Err(wrong());
    }
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    Ok(Platform { os: part(0).into(), arch: go_arch(part(1)).into(), variant: part(2).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read() {
        let platform = parse("linux/ARM/v7").unwrap();
        assert_eq!(
            (platform.os.as_str(), platform.arch.as_str(), platform.variant.as_str()),
            ("linux", "arm", "v7")
        );
        assert_eq!(parse("linux/x86_64").unwrap().arch, "amd64");
        assert_eq!(parse("linux").unwrap().arch, "");
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/../x", "a b"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
