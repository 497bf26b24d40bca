//! Namespaces, id maps and the host name.

use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType as Type,
};
use std::path::PathBuf;

use super::SpecContext;
use crate::base::error::{Context, Result};
use crate::base::id;
use crate::container::record::{IdRange, Namespace, NetworkMode, UserNs};

/// The namespaces to make or join; what is not in the list stays the host's.
pub(super) fn list(context: &SpecContext<'_>) -> Result<Vec<LinuxNamespace>> {
    let config = context.config;
    let mut all = vec![namespace(Type::Mount, None)?];
    let kinds = [
        (Type::Pid, "pid", &config.namespaces.pid),
        (Type::Ipc, "ipc", &config.namespaces.ipc),
        (Type::Uts, "uts", &config.namespaces.uts),
        (Type::Cgroup, "cgroup", &config.namespaces.cgroup),
    ];
    for (kind, file, mode) in kinds {
        match mode {
            Namespace::Host => {}
            Namespace::Private | Namespace::Shareable | Namespace::None => all.push(namespace(kind, None)?),
            Namespace::Container(id) => all.push(namespace(kind, Some(of(context, id, file)?))?),
            Namespace::Path(path) => all.push(namespace(kind, Some(path.clone()))?),
        }
    }
    match &config.network.mode {
        NetworkMode::Host => {}
        NetworkMode::Container(id) => all.push(namespace(Type::Network, Some(of(context, id, "net")?))?),
        NetworkMode::Path(path) => all.push(namespace(Type::Network, Some(path.clone()))?),
        _ => all.push(namespace(Type::Network, None)?),
    }
    match &config.namespaces.user {
        UserNs::Host => {}
        UserNs::Mapped { .. } => all.push(namespace(Type::User, None)?),
        UserNs::Container(id) => all.push(namespace(Type::User, Some(of(context, id, "user")?))?),
        UserNs::Path(path) => all.push(namespace(Type::User, Some(path.clone()))?),
    }
    Ok(all)
}

fn of(context: &SpecContext<'_>, id: &str, file: &str) -> Result<PathBuf> {
    let pid =
        (context.pid_of)(id).with_context(|| format!("join the {file} namespace of {}", id::short(id)))?;
    Ok(PathBuf::from(format!("/proc/{pid}/ns/{file}")))
}

fn namespace(kind: Type, path: Option<PathBuf>) -> Result<LinuxNamespace> {
    let mut builder = LinuxNamespaceBuilder::default().typ(kind);
    if let Some(path) = path {
        builder = builder.path(path);
    }
    builder.build().context("assemble a namespace")
}

/// The maps of a namespace of its own.
pub(super) fn maps(user: &UserNs) -> Result<Option<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)>> {
    let UserNs::Mapped { uids, gids } = user else { return Ok(None) };
    let lines = |ranges: &[IdRange]| ranges.iter().map(line).collect::<Result<Vec<_>>>();
    Ok(Some((lines(uids)?, lines(gids)?)))
}

fn line(range: &IdRange) -> Result<LinuxIdMapping> {
    LinuxIdMappingBuilder::default()
        .container_id(range.container)
        .host_id(range.host)
        .size(range.size)
        .build()
        .context("assemble an id map")
}

/// The name that the container sees: as asked, the host's with the host's network or UTS namespace, else the
/// short id. The flag tells whether it must be set.
pub fn hostname(config: &crate::container::record::Config) -> (String, bool) {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let own = matches!(config.namespaces.uts, Namespace::Private | Namespace::Shareable | Namespace::None);
    if !config.network.hostname.is_empty() {
        return (config.network.hostname.clone(), own);
    }
    match config.network.mode {
        _ if matches!(config.namespaces.uts, Namespace::Host) => (host(), false),
        NetworkMode::Host => (host(), own),
        _ => (id::short(&config.id).to_owned(), own),
    }
}
