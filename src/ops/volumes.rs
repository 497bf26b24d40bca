//! The verbs of volumes: create, list, inspect, remove, prune, exists.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::context::Context as Ops;
use super::events;
use crate::base::error::{Collected, Context, Explain, Kind, Result, fail, is_not_found};
use crate::base::time::{self, parse_when};
use crate::base::{fs, id};
use crate::container::record::{Config, MountSource};
use crate::sys::rootdir::RootDir;
use crate::volume::Volume;

/// What `volume create` was given.
#[derive(Debug, Clone, Default)]
pub struct CreateVolume {
    /// The name; empty for an anonymous one.
    pub name: String,
    /// `--label`
    pub labels: BTreeMap<String, String>,
    /// `--opt`
    pub options: BTreeMap<String, String>,
    /// `--ignore`: one that exists is fine.
    pub ignore: bool,
}

/// Makes a volume; its name.
pub fn create(ops: &Ops, wanted: &CreateVolume) -> Result<String> {
    check_options(&wanted.options)?;
    ops.enter_stage()?;
    let store = ops.volumes();
    store.sweep()?;
    let anonymous = wanted.name.is_empty();
    let name = if anonymous { id::random() } else { wanted.name.clone() };
    let volume = Volume {
        labels: wanted.labels.clone(),
        options: wanted.options.clone(),
        anonymous,
        ..Volume::new(&name)
    };
    match store.create(&volume) {
        Err(_) if wanted.ignore && store.exists(&name) => Ok(name),
        Err(error) if store.exists(&name) => Err(error.hint("use `--ignore` if that is fine")),
        Err(error) => Err(error),
        Ok(()) => {
            events::volume(ops, &name, "create");
            Ok(name)
        }
    }
}

/// Refuses options that the local driver does not know, before anything is made.
fn check_options(options: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in options {
        match (key.as_str(), value.as_str()) {
            ("type", "tmpfs" | "bind" | "none" | "") | ("device" | "o", _) => {}
            ("type", other) => {
                let message = format!("volumes of type `{other}` are not supported");
                return Err(fail(Kind::Usage, message).hint("types are `bind`, `none` and `tmpfs`"));
            }
            _ => return Err(fail(Kind::Usage, format!("unknown volume option `{key}`: type, device, o"))),
        }
    }
    Ok(())
}

/// Makes a volume on demand, for a container; one that exists is used.
pub fn ensure(ops: &Ops, name: &str, anonymous: bool) -> Result<()> {
    let store = ops.volumes();
    if store.exists(name) {
        return Ok(());
    }
    match store.create(&Volume { anonymous, ..Volume::new(name) }) {
        Err(_) if store.exists(name) => Ok(()), // somebody else was quicker
        Err(error) => Err(error),
        Ok(()) => {
            events::volume(ops, name, "create");
            Ok(())
        }
    }
}

/// What containers see of a volume.
pub fn data_dir(ops: &Ops, name: &str) -> Result<PathBuf> {
    Ok(ops.volumes().data_dir(name))
}

/// Whether a container's record names a volume.
pub fn uses(config: &Config, name: &str) -> bool {
    config
        .mounts
        .iter()
        .any(|mount| matches!(&mount.source, MountSource::Volume { name: used, .. } if used == name))
}

/// The names of the containers that use each volume.
pub fn users(ops: &Ops) -> Result<HashMap<String, Vec<String>>> {
    let mut users: HashMap<String, Vec<String>> = HashMap::new();
    for container in ops.containers()?.list()? {
        for mount in &container.config.mounts {
            if let MountSource::Volume { name, .. } = &mount.source {
                users.entry(name.clone()).or_default().push(container.config.name.clone());
            }
        }
    }
    Ok(users)
}

/// Removes a volume that the caller knows to be unused; a missing one is fine. Gives the bytes that came back.
pub fn remove_unused(ops: &Ops, name: &str) -> Result<u64> {
    match ops.volumes().remove(name) {
        Err(error) if is_not_found(&error) => Ok(0),
        Err(error) => Err(error),
        Ok(freed) => {
            events::volume(ops, name, "remove");
            Ok(freed)
        }
    }
}

/// One volume of `volume ls` and `volume inspect`.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The record.
    pub volume: Volume,
    /// Where its files are.
    pub mountpoint: PathBuf,
    /// The names of the containers that use it.
    pub users: Vec<String>,
}

/// Lists volumes; `filters` are `KEY=VALUE`. Second are the names of damaged ones.
pub fn list(ops: &Ops, filters: &[String]) -> Result<(Vec<Listed>, Vec<String>)> {
    let filters = filters.iter().map(|text| Filter::parse(text)).collect::<Result<Vec<_>>>()?;
    let store = ops.volumes();
    let (volumes, damaged) = store.list()?;
    let mut users = users(ops)?;
    let listed = volumes.into_iter().map(|volume| Listed {
        mountpoint: store.data_dir(&volume.name),
        users: users.remove(&volume.name).unwrap_or_default(),
        volume,
    });
    let passed = listed.filter(|one| filters.iter().all(|filter| filter.accepts(one)));
    Ok((passed.collect(), damaged.into_iter().map(|(name, _)| name).collect()))
}

/// Describes volumes by name, or all.
pub fn inspect(ops: &Ops, names: &[String], all: bool) -> Result<Vec<Listed>> {
    let store = ops.volumes();
    let mut users = users(ops)?;
    let volumes = match all {
        true => store.list()?.0,
        false => names.iter().map(|name| store.resolve(name)).collect::<Result<Vec<_>>>()?,
    };
    let describe = |volume: Volume| Listed {
        mountpoint: store.data_dir(&volume.name),
        users: users.remove(&volume.name).unwrap_or_default(),
        volume,
    };
    Ok(volumes.into_iter().map(describe).collect())
}

/// `volume exists`.
pub fn exists(ops: &Ops, name: &str) -> Result<()> {
    ops.volumes().resolve(name).map(drop).map_err(|error| error.kind(Kind::No))
}

/// Removes one volume; with `force`, the containers that use it first. Gives its name and the bytes that came back.
pub fn remove(ops: &Ops, name: &str, force: bool) -> Result<(String, u64)> {
    ops.enter_stage()?;
    let store = ops.volumes();
    let name = match store.resolve(name) {
        Ok(volume) => volume.name,
        Err(error) if is_not_found(&error) => return Err(error),
        Err(_) if force => name.to_owned(), // damaged
        Err(error) => return Err(error.hint(format!("remove it with `volume rm --force {name}`"))),
    };
    let containers = ops.containers()?;
    let mut freed = 0;
    for container in containers.list()?.iter().filter(|container| uses(&container.config, &name)) {
        if !force {
            let message = format!("volume `{name}` is in use by container `{}`", container.config.name);
            return Err(fail(Kind::InUse, message).hint("remove the container first, or use `--force`"));
        }
        let options = super::container::rm::RmOptions { force: true, ..Default::default() };
        freed += super::container::rm::remove_one(ops, containers, container, &options)?;
    }
    freed += store.remove(&name)?;
    events::volume(ops, &name, "remove");
    Ok((name, freed))
}

/// What `volume prune` removed.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Names.
    pub names: Vec<String>,
    /// Bytes that came back.
    pub freed: u64,
}

/// Removes volumes that no container uses: anonymous ones, with `all` the named ones too.
pub fn prune(ops: &Ops, filters: &[String], all: bool) -> Result<Pruned> {
    ops.enter_stage()?;
    let (listed, _) = list(ops, filters)?;
    let mut pruned = Pruned::default();
    let mut errors = Collected::default();
    for one in listed.into_iter().filter(|one| one.users.is_empty() && (all || one.volume.anonymous)) {
        if let Some(freed) = errors.note(ops.volumes().remove(&one.volume.name)) {
            events::volume(ops, &one.volume.name, "remove");
            pruned.freed += freed;
            pruned.names.push(one.volume.name);
        }
    }
    errors.finish()?;
    Ok(pruned)
}

enum Filter {
    Name(String),
    Driver(String),
    Label { key: String, value: Option<String>, wanted: bool },
    Option(String),
    Dangling(bool),
    Until(jiff::Timestamp),
    Since(jiff::Timestamp),
    Anonymous(bool),
}

impl Filter {
    fn parse(text: &str) -> Result<Filter> {
        let malformed = || fail(Kind::Usage, format!("filter `{text}` is not of the form `KEY=VALUE`"));
        let (key, value) = match text.split_once("!=") {
            Some(("label", value)) => ("label!", value),
            _ => text.split_once('=').ok_or_else(malformed)?,
        };
        let boolean = || crate::container::parse::boolean(key, value);
        Ok(match key {
            "name" => Filter::Name(value.to_owned()),
            "driver" => Filter::Driver(value.to_owned()),
            "label" | "label!" => {
                let (name, content) =
                    value.split_once('=').map_or((value, None), |(k, v)| (k, Some(v.to_owned())));
                Filter::Label { key: name.to_owned(), value: content, wanted: key == "label" }
            }
            "opt" => Filter::Option(value.to_owned()),
            "dangling" => Filter::Dangling(boolean()?),
            "anonymous" => Filter::Anonymous(boolean()?),
            "until" => Filter::Until(parse_when(value, time::now())?),
            "since" | "after" => Filter::Since(parse_when(value, time::now())?),
            _ => return Err(fail(Kind::Usage, format!("unknown filter `{key}`"))),
        })
    }

    fn accepts(&self, one: &Listed) -> bool {
        let volume = &one.volume;
        match self {
            Filter::Name(part) => volume.name.contains(part.as_str()),
            Filter::Driver(driver) => driver == "local",
            Filter::Label { key, value, wanted } => {
                let found = volume.labels.get(key);
                (found.is_some() && (value.is_none() || found == value.as_ref())) == *wanted
            }
            Filter::Option(key) => volume.options.contains_key(key),
            Filter::Dangling(wanted) => one.users.is_empty() == *wanted,
            Filter::Anonymous(wanted) => volume.anonymous == *wanted,
            Filter::Until(when) => volume.created <= *when,
            Filter::Since(when) => volume.created > *when,
        }
    }
}

/// Copies what an image has at a mount point into a volume that is new and empty, once (Docker and podman do).
///
/// `root` is the container's root file system. Links stay links, owners and modes are kept; the volume's directory
/// takes mode and owner of the image's.
pub fn fill(ops: &Ops, name: &str, root: &RootDir, target: &str) -> Result<()> {
    let store = ops.volumes();
    if !store.get(name)?.needs_fill {
        return Ok(());
    }
    let _held = store.lock(name)?;
    let mut volume = store.get(name)?;
    if !volume.needs_fill {
        return Ok(());
    }
    let data = store.data_dir(name);
    if volume.mounted_from().is_none() && fs::read_dir(&data)?.is_empty() {
        copy_up(root, Path::new(target), &data)
            .with_context(|| format!("fill volume `{name}` from the image"))?;
    }
    volume.needs_fill = false;
    store.save(&volume)
}

/// Copies a directory of the root file system, resolved inside of it; anything else there leaves the volume empty.
fn copy_up(root: &RootDir, target: &Path, data: &Path) -> Result<()> {
    use std::os::fd::AsRawFd;
    let Ok(from) = root.open_dir(target) else { return Ok(()) };
    crate::layer::copy_tree(Path::new(&format!("/proc/self/fd/{}", from.as_raw_fd())), data)
}

/// What a container's mount of a volume is made from: its own directory, or what its options name.
pub fn source(ops: &Ops, name: &str) -> Result<PathBuf> {
    let store = ops.volumes();
    match store.get(name)?.mounted_from() {
        Some(("bind", device, _)) => Ok(device),
        _ => Ok(store.data_dir(name)),
    }
}
