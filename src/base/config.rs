//! `containers.conf`: the keys that dhow honours, merged from the files where they already are.
//!
//! Order, a later file winning key by key: `/usr/share/containers/containers.conf`, `/etc/containers/containers.conf`,
//! `/etc/containers/containers.conf.d/*.conf`, and for users `~/.config/containers/containers.conf` and its `.d`.
//! `CONTAINERS_CONF` names the only file to read instead; `CONTAINERS_CONF_OVERRIDE` one that is read last.
//! A list replaces the list of an earlier file, unless it ends with `{append=true}`. Keys that dhow does not
//! know are somebody else's and are left alone.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{Context, Explain, Kind, Result};
use super::{fs, roots};

/// The merged file; `None` where no file says anything and the built-in default holds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Containers {
    /// `[containers]`
    pub containers: ContainerKeys,
    /// `[engine]`
    pub engine: EngineKeys,
    /// `[network]`
    pub network: NetworkKeys,
}

/// `[containers]`: defaults of `create` and `run`, each in the syntax of its flag.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ContainerKeys {
    /// `annotations`
    pub annotations: Option<Vec<String>>,
    /// `apparmor_profile`
    pub apparmor_profile: Option<String>,
    /// `base_hosts_file`: a path, `image` or `none`.
    pub base_hosts_file: Option<String>,
    /// `cgroupns`
    pub cgroupns: Option<String>,
    /// `cgroups`
    pub cgroups: Option<String>,
    /// `default_capabilities`
    pub default_capabilities: Option<Vec<String>>,
    /// `default_sysctls`
    pub default_sysctls: Option<Vec<String>>,
    /// `default_ulimits`
    pub default_ulimits: Option<Vec<String>>,
    /// `devices`
    pub devices: Option<Vec<String>>,
    /// `dns_options`
    pub dns_options: Option<Vec<String>>,
    /// `dns_searches`
    pub dns_searches: Option<Vec<String>>,
    /// `dns_servers`
    pub dns_servers: Option<Vec<String>>,
    /// `env`
    pub env: Option<Vec<String>>,
    /// `env_host`
    pub env_host: Option<bool>,
    /// `http_proxy`
    pub http_proxy: Option<bool>,
    /// `init`
    pub init: Option<bool>,
    /// `ipcns`
    pub ipcns: Option<String>,
    /// `label`: false switches SELinux separation off.
    pub label: Option<bool>,
    /// `log_driver`
    pub log_driver: Option<String>,
    /// `log_size_max`, bytes; negative is unlimited.
    pub log_size_max: Option<i64>,
    /// `log_tag`
    pub log_tag: Option<String>,
    /// `mounts`, in the syntax of `--mount`.
    pub mounts: Option<Vec<String>>,
    /// `netns`
    pub netns: Option<String>,
    /// `no_hosts`
    pub no_hosts: Option<bool>,
    /// `pidns`
    pub pidns: Option<String>,
    /// `pids_limit`
    pub pids_limit: Option<i64>,
    /// `privileged`
    pub privileged: Option<bool>,
    /// `read_only`
    pub read_only: Option<bool>,
    /// `seccomp_profile`
    pub seccomp_profile: Option<String>,
    /// `shm_size`
    pub shm_size: Option<String>,
    /// `tz`
    pub tz: Option<String>,
    /// `umask`
    pub umask: Option<String>,
    /// `userns`
    pub userns: Option<String>,
    /// `utsns`
    pub utsns: Option<String>,
    /// `volumes`, in the syntax of `-v`.
    pub volumes: Option<Vec<String>>,
}

/// `[engine]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EngineKeys {
    /// `cgroup_manager`: `systemd` or `cgroupfs`.
    pub cgroup_manager: Option<String>,
    /// `detach_keys`
    pub detach_keys: Option<String>,
    /// `env`: variables for dhow itself, `NAME=value`.
    pub env: Option<Vec<String>>,
    /// `events_logger`
    pub events_logger: Option<String>,
    /// `image_parallel_copies`
    pub image_parallel_copies: Option<u32>,
    /// `image_volume_mode`: `anonymous`, `tmpfs` or `ignore`.
    pub image_volume_mode: Option<String>,
    /// `pull_policy`
    pub pull_policy: Option<String>,
    /// `retry`
    pub retry: Option<u32>,
    /// `retry_delay`, a Go duration.
    pub retry_delay: Option<String>,
    /// `stop_timeout`, seconds.
    pub stop_timeout: Option<u64>,
}

/// `[network]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NetworkKeys {
    /// `default_network`
    pub default_network: Option<String>,
    /// `default_rootless_network_cmd`: `pasta` or `slirp4netns`.
    pub default_rootless_network_cmd: Option<String>,
    /// `pasta_options`
    pub pasta_options: Option<Vec<String>>,
}

impl Containers {
    /// Reads and merges the files that exist.
    pub fn load(rootless: bool) -> Result<Containers> {
        let mut merged = Table::new();
        for path in files(rootless)? {
            if let Some(bytes) = fs::read_optional(&path)? {
                merge(&mut merged, parse_table(&path, &bytes)?);
            }
        }
        decode(merged)
    }

    /// What one file's text says.
    pub fn parse(text: &str) -> Result<Containers> {
        decode(parse_table(Path::new("containers.conf"), text.as_bytes())?)
    }
}

fn decode(merged: Table) -> Result<Containers> {
    Value::Table(merged).try_into().context("read `containers.conf`").kind(Kind::Usage)
}

fn parse_table(path: &Path, bytes: &[u8]) -> Result<Table> {
    let text = std::str::from_utf8(bytes).map_err(anyhow::Error::new);
    let parsed = text.and_then(|text| Ok(without_comments(text).parse()?));
    parsed.with_context(|| format!("parse `{}`", path.display())).kind(Kind::Usage)
}

/// Blanks the lines that are all comment, and keeps their number for error messages. The file that distributions
/// ship is 24 KiB of comments, which take the parser longer than the rest of a command line.
fn without_comments(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return text.into(); // a string of several lines may hold what looks like a comment
    }
    let lines = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line });
    let mut kept = String::with_capacity(text.len() / 4);
    for line in lines {
        kept.push_str(line);
        kept.push('\n');
    }
    kept.into()
}

/// The files in the order in which they are merged; not all of them exist.
fn files(rootless: bool) -> Result<Vec<PathBuf>> {
    let mut files = match roots::env_path("CONTAINERS_CONF") {
        Some(only) => vec![only],
        None => standard_files(rootless)?,
    };
    files.extend(roots::env_path("CONTAINERS_CONF_OVERRIDE"));
    Ok(files)
}

fn standard_files(rootless: bool) -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("/usr/share/containers/containers.conf")];
    let mut dirs = vec![PathBuf::from("/etc/containers")];
    if rootless {
        // A user without a home directory still has the system's configuration.
        dirs.extend(roots::config_home().ok().map(|home| home.join("containers")));
    }
    for dir in dirs {
        files.push(dir.join("containers.conf"));
        let mut drop_ins: Vec<PathBuf> =
            fs::read_dir(&dir.join("containers.conf.d"))?.iter().map(std::fs::DirEntry::path).collect();
        drop_ins.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
        drop_ins.sort();
        files.extend(drop_ins);
    }
    Ok(files)
}

/// Lays a later file over an earlier one.
fn merge(into: &mut Table, later: Table) {
    for (key, value) in later {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(mut new)) => {
                if take_append(&mut new) {
                    old.extend(new);
                } else {
                    *old = new;
                }
            }
            (_, Value::Array(mut new)) => {
                take_append(&mut new);
                into.insert(key, Value::Array(new));
            }
            (_, Value::Table(new)) => {
                let mut table = Table::new();
                merge(&mut table, new);
                into.insert(key, Value::Table(table));
            }
            (_, other) => {
                into.insert(key, other);
            }
        }
    }
}

/// Takes the `{append = …}` markers out of a list; whether it asked to be appended.
fn take_append(list: &mut Vec<Value>) -> bool {
    let marker =
        |value: &Value| value.as_table().and_then(|table| table.get("append")).and_then(Value::as_bool);
    let append = list.iter().filter_map(marker).next_back().unwrap_or(false);
    list.retain(|value| marker(value).is_none());
    append
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(files: &[&str]) -> Containers {
        let mut all = Table::new();
        for text in files {
            merge(&mut all, text.parse().unwrap());
        }
        decode(all).unwrap()
    }

    #[test]
    fn later_files_win_key_by_key() {
        let config = merged(&[
            "[containers]\npids_limit = 5\ntz = \"local\"\n[engine]\nstop_timeout = 3",
            "[containers]\npids_limit = 7\nunknown = { x = 1 }\n[machine]\ncpus = 1",
        ]);
        assert_eq!(config.containers.pids_limit, Some(7));
        assert_eq!(config.containers.tz.as_deref(), Some("local"));
        assert_eq!(config.engine.stop_timeout, Some(3));
        assert_eq!(config.containers.init, None);
    }

    #[test]
    fn lists_replace_unless_they_append() {
        let list = |files: &[&str]| merged(files).containers.env.unwrap();
        assert_eq!(list(&["[containers]\nenv=[\"A=1\"]", "[containers]\nenv=[\"B=2\"]"]), ["B=2"]);
        assert_eq!(
            list(&["[containers]\nenv=[\"A=1\"]", "[containers]\nenv=[\"B=2\", {append=true}]"]),
            ["A=1", "B=2"]
        );
        assert_eq!(list(&["[containers]\nenv=[\"B=2\", {append=true}]"]), ["B=2"]);
    }

    #[test]
    fn comments_are_dropped_line_by_line() {
        assert_eq!(without_comments("# a\n  # b\nx = \"#\" # c"), "\n\nx = \"#\" # c\n");
        let long = "x = \"\"\"\n# text\n\"\"\"";
        assert_eq!(without_comments(long), long);
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        assert!(decode("[containers]\npids_limit = \"many\"".parse().unwrap()).is_err());
        assert!(parse_table(Path::new("x.conf"), b"[containers").is_err());
    }
}
