//! Platforms (`os/arch/variant`) in Go's names, and which manifest of an index fits one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Kind, Result, fail};

/// An operating system, an architecture and perhaps its variant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`, `arm`, `386`, `riscv64`…
    #[serde(default, rename = "architecture")]
    pub arch: String,
    /// `v7`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform this binary was built for.
    pub fn host() -> Platform {
        Platform { os: "linux".into(), arch: go_arch(std::env::consts::ARCH).into(), variant: None }
    }

    /// The host's platform with what was asked for put in its place.
    pub fn host_with(os: Option<&str>, arch: Option<&str>, variant: Option<&str>) -> Platform {
        let host = Platform::host();
        Platform {
            os: os.unwrap_or(&host.os).to_owned(),
            arch: arch.map_or(host.arch, str::to_owned),
            variant: variant.map(str::to_owned),
        }
        .normal()
    }

    /// Usual names instead of the kernel's: `x86_64` is `amd64`, `armhf` is `arm/v7`.
    fn normal(mut self) -> Platform {
        self.os = self.os.to_ascii_lowercase();
        let arch = self.arch.to_ascii_lowercase();
        if matches!(arch.as_str(), "armel") {
            self.variant.get_or_insert_with(|| "v6".into());
        }
        self.arch = go_arch(&arch).to_owned();
        if let Some(variant) = &mut self.variant {
            *variant = variant.to_ascii_lowercase();
            if variant.bytes().all(|b| b.is_ascii_digit()) {
                variant.insert(0, 'v');
            }
        }
        self
    }

    /// The variants that run here, best first; `None` is an entry that says no variant.
    fn variants(&self) -> Vec<Option<&str>> {
        match (self.arch.as_str(), self.variant.as_deref()) {
            ("arm", wanted) => {
                let order = ["v8", "v7", "v6", "v5"];
                let start = order.iter().position(|v| *v == wanted.unwrap_or("v7")).unwrap_or(1);
                order[start..].iter().copied().map(Some).chain([None]).collect()
            }
            ("arm64", None | Some("v8")) => vec![Some("v8"), None],
            ("arm64", wanted) => vec![wanted, Some("v8"), None],
            ("amd64", wanted) => {
                let order = ["v4", "v3", "v2", "v1"];
                let start = order.iter().position(|v| *v == wanted.unwrap_or("v1")).unwrap_or(3);
                // Without a wish, the entry without a variant is the common one.
                let asked = order[start..].iter().copied().map(Some);
                if wanted.is_none() {
                    std::iter::once(None).chain(asked).collect()
                } else {
                    asked.chain([None]).collect()
                }
            }
            (_, None) => vec![None],
            (_, wanted) => vec![wanted, None],
        }
    }

    /// How well an offered platform fits: 0 is best, `None` does not run.
    pub fn rank(&self, offered: &Platform) -> Option<usize> {
        let offered = offered.clone().normal();
        if self.os != offered.os || self.arch != offered.arch {
            return None;
        }
        let variant = offered.variant.as_deref().filter(|variant| !variant.is_empty());
        self.variants().iter().position(|wanted| *wanted == variant)
    }
}

/// Go's name for an architecture.
fn go_arch(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" | "i486" | "i586" | "i686" => "386",
        "armhf" | "armel" | "armv7" | "armv7l" => "arm",
        "powerpc64" => {
            if cfg!(target_endian = "little") {
                "ppc64le"
            } else {
                "ppc64"
            }
        }
        "loongarch64" => "loong64",
        "mips64" => "mips64le",
        other => other,
    }
}

/// Architectures that can stand alone, in Go's words.
const ARCHES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm",
];

impl FromStr for Platform {
    type Err = Error;

    /// `os/arch[/variant]`, or `arch` alone, or `os` alone (`linux`).
    fn from_str(text: &str) -> Result<Platform> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if !parts.iter().all(word) {
            return Err(fail(Kind::Usage, format!("`{text}` is not a platform such as `linux/arm64`")));
        }
        match parts[..] {
            ["linux"] | ["windows"] | ["darwin"] | ["freebsd"] => {
                Ok(Platform::host_with(Some(text), None, None))
            }
            [arch] if !ARCHES.contains(&go_arch(arch)) => {
                Err(fail(Kind::Usage, format!("`{text}` is not a platform such as `linux/arm64`")))
            }
            [arch] => Ok(Platform::host_with(None, Some(arch), None)),
            [os, arch] => Ok(Platform::host_with(Some(os), Some(arch), None)),
            [os, arch, variant] => Ok(Platform::host_with(Some(os), Some(arch), Some(variant))),
            _ => Err(fail(Kind::Usage, format!("`{text}` is not a platform such as `linux/arm64`"))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        self.variant
            .iter()
            .filter(|variant| !variant.is_empty())
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
        let wanted: Platform = wanted.parse().unwrap();
        let ranked = offered.iter().filter_map(|text| Some((wanted.rank(&text.parse().unwrap())?, *text)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, text)| text)
    }

    #[test]
    fn names_are_gos() {
        for (text, shown) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm/7", "linux/arm/v7"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/i686", "linux/386"),
            ("riscv64", "linux/riscv64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        }
        for bad in ["", "/", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_best_variant_that_runs_is_chosen() {
        let arms = [
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/amd64",
            "windows/amd64",
        ];
        assert_eq!(best("linux/arm", &arms), Some("linux/arm/v7"));
        assert_eq!(best("linux/arm/v6", &arms), Some("linux/arm/v6"));
        assert_eq!(best("linux/arm/v8", &arms), Some("linux/arm/v7"));
        assert_eq!(best("linux/arm64", &arms), Some("linux/arm64/v8"));
        assert_eq!(best("linux/arm64/v8", &["linux/arm64"]), Some("linux/arm64"));
        assert_eq!(best("linux/amd64", &["linux/amd64/v3", "linux/amd64"]), Some("linux/amd64"));
        assert_eq!(best("linux/amd64", &["linux/amd64/v3"]), None);
        assert_eq!(best("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"]), Some("linux/amd64/v2"));
        assert_eq!(best("linux/s390x", &arms), None);
    }
}
