//! `--userns`, and the maps of `--uidmap` and `--gidmap`: `[FLAGS]CONTAINER:[@]FROM[:AMOUNT]`.

use std::path::PathBuf;

use super::{usage, user};
use crate::base::error::{Explain, Result};

/// One `--uidmap` or `--gidmap` as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Map {
    /// `+`: the rest of the default map stays.
    pub extend: bool,
    /// `u`: of a `--gidmap` or `--uidmap` shared by both, only the users.
    pub users: bool,
    /// `g`: only the groups.
    pub groups: bool,
    /// First id in the container.
    pub container: u32,
    /// First id outside.
    pub from: u32,
    /// `@`: `from` is an id of the host even if the caller is not root.
    pub of_host: bool,
    /// How many.
    pub size: u32,
}

/// Parses one map.
pub fn parse_map(text: &str) -> Result<Map> {
    let wrong = || usage(format!("`{text}` is not an id map")).hint("maps are CONTAINER:FROM:AMOUNT");
    let start = text.find(|c: char| c.is_ascii_digit()).ok_or_else(wrong)?;
    let (flags, rest) = text.split_at(start);
    if flags.chars().any(|c| !"+ug".contains(c)) {
        return Err(wrong());
    }
    let parts: Vec<&str> = rest.split(':').collect();
    let (container, from, size) = match parts[..] {
        [container, from] => (container, from, "1"),
        [container, from, size] => (container, from, size),
        _ => return Err(wrong()),
    };
    let (of_host, from) = from.strip_prefix('@').map_or((false, from), |from| (true, from));
    let map = Map {
        extend: flags.contains('+'),
        users: flags.contains('u') || !flags.contains('g'),
        groups: flags.contains('g') || !flags.contains('u'),
        container: user::id(container)?,
        from: user::id(from)?,
        of_host,
        size: user::id(size)?,
    };
    let fits = |start: u32| u64::from(start) + u64::from(map.size) <= u64::from(u32::MAX);
    if map.size == 0 || !fits(map.container) || !fits(map.from) {
        return Err(wrong());
    }
    Ok(map)
}

/// `--userns` as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserNsArg {
    /// Nothing was asked for (or the empty text).
    Default,
    /// `host`
    Host,
    /// `private`: a new one, with the maps of the other flags.
    Private,
    /// `keep-id[:uid=,gid=,size=]`
    KeepId {
        /// The caller's uid inside.
        uid: Option<u32>,
        /// The caller's gid inside.
        gid: Option<u32>,
        /// How many ids are mapped.
        size: Option<u32>,
    },
    /// `auto[:size=,uidmapping=,gidmapping=]`
    Auto {
        /// How many ids.
        size: Option<u32>,
        /// Forced user maps.
        uids: Vec<Map>,
        /// Forced group maps.
        gids: Vec<Map>,
    },
    /// `nomap`
    NoMap,
    /// `container:ID`
    Container(String),
    /// `ns:PATH`
    Path(PathBuf),
}

/// Parses `--userns`.
pub fn parse_userns(text: &str) -> Result<UserNsArg> {
    let (mode, rest) = text.split_once(':').map_or((text, None), |(mode, rest)| (mode, Some(rest)));
    match (mode, rest) {
        ("", None) => Ok(UserNsArg::Default),
        ("host", None) => Ok(UserNsArg::Host),
        ("private", None) => Ok(UserNsArg::Private),
        ("nomap", None) => Ok(UserNsArg::NoMap),
        ("keep-id", options) => keep_id(options.unwrap_or_default()),
        ("auto", options) => auto(options.unwrap_or_default()),
        ("container", Some(id)) if !id.is_empty() => Ok(UserNsArg::Container(id.into())),
        ("ns", Some(path)) if path.starts_with('/') => Ok(UserNsArg::Path(path.into())),
        ("pod", _) => Err(usage("--userns=pod: pods are not supported yet")),
        _ => Err(usage(format!("unknown user namespace mode `{text}`"))
            .hint("host, keep-id, auto, nomap, private, container:ID, ns:PATH")),
    }
}

fn option_pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.split_once('=').unwrap_or((part, "")))
}

fn keep_id(text: &str) -> Result<UserNsArg> {
    let (mut uid, mut gid, mut size) = (None, None, None);
    for (name, value) in option_pairs(text) {
        let slot = match name {
            "uid" => &mut uid,
            "gid" => &mut gid,
            "size" => &mut size,
            _ => {
                return Err(
                    usage(format!("unknown option `{name}` of --userns=keep-id")).hint("uid=, gid=, size=")
                );
            }
        };
        *slot = Some(user::id(value)?);
    }
    Ok(UserNsArg::KeepId { uid, gid, size })
}

fn auto(text: &str) -> Result<UserNsArg> {
    let (mut size, mut uids, mut gids) = (None, Vec::new(), Vec::new());
    for (name, value) in option_pairs(text) {
        match name {
            "size" => size = Some(user::id(value)?),
            "uidmapping" => uids.push(parse_map(value)?),
            "gidmapping" => gids.push(parse_map(value)?),
            _ => {
                return Err(usage(format!("unknown option `{name}` of --userns=auto"))
                    .hint("size=, uidmapping=, gidmapping="));
            }
        }
    }
    Ok(UserNsArg::Auto { size, uids, gids })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_ranges_of_ids() {
        let map = parse_map("0:100000:65536").unwrap();
        assert_eq!(
            (map.container, map.from, map.size, map.extend, map.of_host),
            (0, 100_000, 65_536, false, false)
        );
        let map = parse_map("+u5:@1000").unwrap();
        assert!(map.extend && map.users && !map.groups && map.of_host && map.size == 1);
        for bad in [
            "",
            "0",
            "0:",
            "a:0:1",
            "0:0:0",
            "0:0:1:1",
            "-1:0:1",
            "x0:1:1",
            "4294967295:0:1",
            "0:4294967290:10",
            "0:0:4294967296",
        ] {
            assert!(parse_map(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn modes_are_read_with_their_options() {
        assert_eq!(parse_userns("").unwrap(), UserNsArg::Default);
        assert_eq!(parse_userns("keep-id").unwrap(), UserNsArg::KeepId { uid: None, gid: None, size: None });
        assert_eq!(
            parse_userns("keep-id:uid=200,gid=210").unwrap(),
            UserNsArg::KeepId { uid: Some(200), gid: Some(210), size: None }
        );
        assert!(
            matches!(parse_userns("auto:size=8192,uidmapping=0:5:1").unwrap(), UserNsArg::Auto { size: Some(8192), uids, .. } if uids.len() == 1)
        );
        assert_eq!(parse_userns("ns:/proc/1/ns/user").unwrap(), UserNsArg::Path("/proc/1/ns/user".into()));
        for bad in [
            "x",
            "host:1",
            "keep-id:foo=1",
            "keep-id:uid=-1",
            "auto:size=x",
            "container:",
            "ns:rel",
            "ns:",
            "pod",
        ] {
            assert!(parse_userns(bad).is_err(), "{bad}");
        }
    }
}
