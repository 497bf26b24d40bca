//! The files that a container gets from its maker: hosts, hostname, resolv.conf, accounts, time zone.
//!
//! They are written into the container's directory at each start and bind-mounted (see [`super::spec::GENERATED`]);
//! one that is not wanted is removed there. Where a flag or the image mounts something at their place, that wins.

mod accounts;
mod names;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::spec::{self, Identity};
use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};
use crate::container::record::{Config, IdRange, UserNs};
use crate::sys::rootdir::RootDir;

/// What pasta must be told to answer name queries at (`--dns-forward`), for hosts whose server listens on loopback.
pub const PASTA_DNS: &str = "169.254.1.1";

/// What the files depend on.
pub struct Etc<'a> {
    /// The record.
    pub config: &'a Config,
    /// The container's root file system, assembled.
    pub root: &'a RootDir,
    /// The container's directory.
    pub dir: &'a Path,
    /// Who the process is.
    pub identity: &'a Identity,
    /// Login name and home directory of the caller, for `keep-id`.
    pub caller: &'a dyn Fn() -> (String, String),
    /// Whether the caller is an ordinary user.
    pub rootless: bool,
    /// The directory of another container, whose network files are shared.
    pub dir_of: &'a dyn Fn(&str) -> PathBuf,
}

/// Writes the files.
pub fn prepare(etc: &Etc<'_>) -> Result<()> {
    let (hostname, _) = spec::hostname(etc.config);
    put(etc, "hosts", "/etc/hosts", names::hosts(etc, &hostname)?)?;
    let name = (!etc.config.network.no_hostname).then(|| format!("{hostname}\n").into_bytes());
    put(etc, "hostname", "/etc/hostname", name)?;
    put(etc, "resolv.conf", "/etc/resolv.conf", names::resolv(etc)?)?;
    let (passwd, group) = accounts::additions(etc)?;
    put(etc, "passwd", "/etc/passwd", passwd)?;
    put(etc, "group", "/etc/group", group)?;
    put(etc, "localtime", "/etc/localtime", localtime(etc.config)?)?;
    put(etc, "containerenv", "/run/.containerenv", Some(containerenv(etc)))
}

/// Whether something else is mounted there.
fn taken(config: &Config, target: &str) -> bool {
    config.mounts.iter().any(|mount| Path::new(target).starts_with(&mount.target) && mount.target != "/run")
}

fn put(etc: &Etc<'_>, file: &str, target: &str, content: Option<Vec<u8>>) -> Result<()> {
    let path = etc.dir.join(file);
    let Some(content) = content.filter(|_| !taken(etc.config, target)) else { return fs::remove_file(&path) };
    // Nobody sees a file of the first start before the container does, so it need not appear in one step.
    if fs::create_if_missing(&path, &content, 0o644)? {
        return readable(etc, &path);
    }
    // The same bytes are left in place: a restart writes nothing.
    if fs::read_optional(&path)?.as_deref() == Some(content.as_slice()) {
        return Ok(());
    }
    fs::replace(&path, &content, 0o644, Durability::Volatile)?;
    readable(etc, &path)
}

fn readable(etc: &Etc<'_>, path: &Path) -> Result<()> {
    let open = std::fs::Permissions::from_mode(0o644); // whatever the umask
    std::fs::set_permissions(path, open).with_context(|| format!("chmod `{}`", path.display()))?;
    give_to_root(etc.config, path)
}

/// The container's root owns its files, also when its ids are mapped.
fn give_to_root(config: &Config, path: &Path) -> Result<()> {
    let UserNs::Mapped { uids, gids } = &config.namespaces.user else { return Ok(()) };
    let root = |ranges: &[IdRange]| ranges.iter().find(|range| range.container == 0).map(|range| range.host);
    let (Some(uid), Some(gid)) = (root(uids), root(gids)) else { return Ok(()) };
    chown(path, Some(uid), Some(gid)).with_context(|| format!("chown `{}`", path.display()))
}

fn localtime(config: &Config) -> Result<Option<Vec<u8>>> {
    match config.process.timezone.as_deref() {
        None => Ok(None),
        Some("local") => fs::read_optional(Path::new("/etc/localtime")),
        Some(zone) => fs::read_limited(&Path::new("/usr/share/zoneinfo").join(zone), 1 << 20).map(Some),
    }
}

/// Its presence tells programs that they are in a container; its content is for privileged ones, as Podman's.
fn containerenv(etc: &Etc<'_>) -> Vec<u8> {
    let config = etc.config;
    if !config.security.privileged {
        return Vec::new();
    }
    let image_id = config.rootfs.image_id.as_ref().map(|id| id.hex()).unwrap_or_default();
    let lines = [
        format!("engine=\"dhow-{}\"", env!("CARGO_PKG_VERSION")),
        format!("name=\"{}\"", config.name),
        format!("id=\"{}\"", config.id),
        format!("image=\"{}\"", config.rootfs.image_name),
        format!("imageid=\"{image_id}\""),
        format!("rootless={}", u8::from(etc.rootless)),
    ];
    (lines.join("\n") + "\n").into_bytes()
}

#[cfg(test)]
mod tests;
