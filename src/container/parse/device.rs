//! `--device HOST[:CONTAINER][:rwm]`, `--device-cgroup-rule`, and the per-device I/O limits `PATH:VALUE`.

use std::path::PathBuf;

use super::{path, usage};
use crate::base::error::{Explain, Result};
use crate::base::units::parse_bytes;
use crate::container::record::Device;

/// Parses one `--device`. The host path may be a directory; whoever reads the host expands it.
pub fn parse(text: &str) -> Result<Device> {
    if !text.starts_with('/') && text.contains('=') {
        return Err(usage(format!("`{text}` looks like a CDI device, which is not supported yet"))
            .hint("name the device nodes themselves, such as /dev/dri"));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, access) = match parts[..] {
        [host] => (host, host, "rwm"),
        [host, second] if second.starts_with('/') => (host, second, "rwm"),
        [host, access] => (host, host, access),
        [host, container, access] => (host, container, access),
        _ => return Err(usage(format!("`{text}` is not a device: HOST[:CONTAINER][:rwm]"))),
    };
    if !host.starts_with('/') || text.contains('\0') {
        return Err(usage(format!("the device `{host}` must be given by its absolute path")));
    }
    let container = if container.is_empty() { host } else { container };
    let container = path::mount_point(container)?;
    Ok(Device {
        host: PathBuf::from(path::clean(host)),
        container: container.into(),
        access: access_of(access)?,
    })
}

/// A subset of `rwm`, each at most once, in that order.
fn access_of(text: &str) -> Result<String> {
    let legal = !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
    let ordered: String = "rwm".chars().filter(|c| text.contains(*c)).collect();
    if legal && ordered.len() == text.len() {
        return Ok(ordered);
    }
    Err(usage(format!("device access `{text}` is not made of the letters r, w and m")))
}

/// One `--device-cgroup-rule`: type, major and minor (`None` is all), access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupRule {
    /// `a`, `b` or `c`.
    pub kind: char,
    /// Major number.
    pub major: Option<i64>,
    /// Minor number.
    pub minor: Option<i64>,
    /// Subset of `rwm`.
    pub access: String,
}

/// Parses `c 42:* rwm`.
pub fn parse_rule(text: &str) -> Result<CgroupRule> {
    let wrong = || usage(format!("`{text}` is not a device rule such as `c 42:* rwm`"));
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [kind, numbers, access] = words[..] else { return Err(wrong()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        _ => text.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_| wrong()),
    };
    let kind = match kind {
        "a" | "b" | "c" => kind.chars().next().unwrap_or('a'),
        _ => return Err(wrong()),
    };
    Ok(CgroupRule { kind, major: number(major)?, minor: number(minor)?, access: access_of(access)? })
}

fn path_and_value(text: &str) -> Result<(PathBuf, &str)> {
    match text.rsplit_once(':') {
        Some((path, value)) if path.starts_with("/dev/") && !value.is_empty() => Ok((path.into(), value)),
        _ => Err(usage(format!("`{text}` is not of the form /dev/NAME:VALUE"))),
    }
}

/// Parses `/dev/sda:1mb` of `--device-read-bps` and `--device-write-bps`.
pub fn parse_bps(text: &str) -> Result<(PathBuf, u64)> {
    let (path, value) = path_and_value(text)?;
    Ok((path, parse_bytes(value)?))
}

/// Parses `/dev/sda:1000` of `--device-read-iops` and `--device-write-iops`.
pub fn parse_iops(text: &str) -> Result<(PathBuf, u64)> {
    let (path, value) = path_and_value(text)?;
    let rate =
        value.parse().map_err(|_| usage(format!("`{value}` is not a number of operations a second")))?;
    Ok((path, rate))
}

/// Parses `/dev/sda:200` of `--blkio-weight-device`.
pub fn parse_weight(text: &str) -> Result<(PathBuf, u64)> {
    let (path, value) = path_and_value(text)?;
    Ok((path, u64::from(super::resources::blkio_weight(value)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_a_place_and_an_access() {
        let table = [
            ("/dev/fuse", "/dev/fuse", "rwm"),
            ("/dev/fuse:r", "/dev/fuse", "r"),
            ("/dev/sda:/dev/xvdc", "/dev/xvdc", "rwm"),
            ("/dev/sda:/dev/xvdc:mr", "/dev/xvdc", "rm"),
            ("/dev/a/../b", "/dev/b", "rwm"),
        ];
        for (text, container, access) in table {
            let device = parse(text).unwrap();
            assert_eq!(
                (device.container.to_str().unwrap(), device.access.as_str()),
                (container, access),
                "{text}"
            );
        }
        for bad in [
            "",
            "fuse",
            "/dev/a:/dev/b:x",
            "/dev/a:rr",
            "/dev/a:/",
            "/dev/a:b",
            "nvidia.com/gpu=all",
            "/a:/b:r:w",
            "/dev/a:/proc/x",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_and_rates_are_checked() {
        assert_eq!(
            parse_rule("c 42:* rwm").unwrap(),
            CgroupRule { kind: 'c', major: Some(42), minor: None, access: "rwm".into() }
        );
        for bad in ["", "c", "d 1:1 r", "c 1 r", "c 1:1 x", "c -1:1 r", "c 1:1 r r", "c 99999999999:1 r"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_bps("/dev/sda:1mb").unwrap().1, 1 << 20);
        assert_eq!(parse_iops("/dev/sda:1000").unwrap().1, 1000);
        assert_eq!(parse_weight("/dev/sda:200").unwrap().1, 200);
        for bad in ["", "/dev/sda", "sda:1", "/dev/sda:", "/dev/sda:-1", "/dev/sda:x"] {
            assert!(
                parse_bps(bad).is_err() && parse_iops(bad).is_err() && parse_weight(bad).is_err(),
                "{bad}"
            );
        }
    }
}
