//! The mounts of a container: the kernel's file systems, the generated files, and what flags and image ask for.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount as OciMount, MountBuilder};

use super::{Prepared, Source, SpecContext, namespaces};
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::id;
use crate::container::record::{Device, IdRange, Mount, MountOptions, MountSource, Namespace, UserNs};
use crate::runtime::defaults::{self, MountChoices};
use crate::sys::rootdir::RootDir;

/// Files that `ops::etc` makes in the container's directory, and where they appear.
pub const GENERATED: &[(&str, &str)] = &[
    ("hosts", "/etc/hosts"),
    ("hostname", "/etc/hostname"),
    ("resolv.conf", "/etc/resolv.conf"),
    ("passwd", "/etc/passwd"),
    ("group", "/etc/group"),
    ("localtime", "/etc/localtime"),
    ("containerenv", "/run/.containerenv"),
];

/// The group that owns terminals.
const TTY_GROUP: u32 = 5;

struct Entry {
    mount: OciMount,
    source: Option<Source>,
    chown: bool,
}

impl Entry {
    fn plain(mount: OciMount) -> Entry {
        Entry { mount, source: None, chown: false }
    }

    fn target(&self) -> &Path {
        self.mount.destination()
    }
}

/// All mounts, parents before children, and those whose source must be prepared first.
pub(super) fn list(context: &SpecContext<'_>) -> Result<(Vec<OciMount>, Vec<Prepared>)> {
    let config = context.config;
    let asked = config.mounts.iter().map(|mount| asked(context, mount)).collect::<Result<Vec<_>>>()?;
    let mut all = kernel(context)?;
    all.extend(temporary(context)?);
    all.extend(generated(context)?);
    all.extend(renamed_devices(context)?);
    // What was asked for hides a default at the same place, and the defaults below it.
    all.retain(|entry| !asked.iter().any(|mine| entry.target().starts_with(mine.target())));
    all.extend(asked);
    all.sort_by_key(|entry| entry.target().components().count()); // stable: order among siblings stays
    let prepared = all.iter_mut().enumerate().filter_map(|(index, entry)| {
        let target = entry.target().to_owned();
        (entry.source.is_some() || entry.chown).then(|| Prepared {
            index,
            target,
            source: entry.source.take(),
            chown: entry.chown,
        })
    });
    let prepared = prepared.collect();
    Ok((all.into_iter().map(|entry| entry.mount).collect(), prepared))
}

fn mount(target: &str, kind: &str, source: &Path, options: Vec<String>) -> Result<OciMount> {
    let built = MountBuilder::default().destination(target).typ(kind).source(source).options(options).build();
    built.with_context(|| format!("assemble the mount `{target}`"))
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn kernel(context: &SpecContext<'_>) -> Result<Vec<Entry>> {
    let config = context.config;
    let own_ipc = matches!(config.namespaces.ipc, Namespace::Private | Namespace::Shareable);
    let choices = MountChoices {
        shm_size: own_ipc.then_some(config.resources.shm_size),
        tty_group: maps_gid(context, TTY_GROUP),
        writable_sys: config.security.privileged,
        mqueue: own_ipc || config.namespaces.ipc == Namespace::None,
        cgroup: true,
    };
    let mut all: Vec<Entry> = defaults::mounts(&choices).into_iter().map(Entry::plain).collect();
    for entry in &mut all {
        adjust(context, entry)?;
    }
    match &config.namespaces.ipc {
        Namespace::Host => {
            for target in ["/dev/shm", "/dev/mqueue"].iter().filter(|path| Path::new(path).is_dir()) {
                all.push(bind(target, Path::new(target))?);
            }
        }
        Namespace::Container(id) => {
            let pid = (context.pid_of)(id).with_context(|| format!("find /dev/shm of {}", id::short(id)))?;
            let mut shared = bind("/dev/shm", &PathBuf::from(format!("/proc/{pid}/root/dev/shm")))?;
            shared.source = Some(Source::SharedMemory { pid });
            all.push(shared);
        }
        _ => {}
    }
    Ok(all)
}

fn bind(target: &str, source: &Path) -> Result<Entry> {
    Ok(Entry::plain(mount(target, "bind", source, words(&["rbind", "rw", "nosuid", "noexec", "nodev"]))?))
}

/// What a flag changes about one of the kernel's file systems.
fn adjust(context: &SpecContext<'_>, entry: &mut Entry) -> Result<()> {
    let config = context.config;
    let mut options = entry.mount.options().clone().unwrap_or_default();
    match entry.target().to_str() {
        Some("/proc") if config.namespaces.pid == Namespace::Host && in_user_namespace(context) => {
            // A user namespace may mount /proc only of a pid namespace that it owns.
            *entry = Entry::plain(mount(
                "/proc",
                "bind",
                Path::new("/proc"),
                words(&["rbind", "nosuid", "noexec", "nodev"]),
            )?);
            return Ok(());
        }
        Some("/proc") => options.extend(config.security.proc_opts.iter().cloned()),
        Some("/sys/fs/cgroup") if config.process.systemd => {
            options.iter_mut().filter(|word| *word == "ro").for_each(|word| *word = "rw".into());
        }
        Some("/dev/shm") if config.rootfs.read_only && !config.rootfs.read_only_tmpfs => {
            options.push("ro".into())
        }
        _ => return Ok(()),
    }
    entry.mount.set_options(Some(options));
    Ok(())
}

fn in_user_namespace(context: &SpecContext<'_>) -> bool {
    context.rootless || context.config.namespaces.user != UserNs::Host
}

fn maps_gid(context: &SpecContext<'_>, gid: u32) -> bool {
    let inside = |range: &IdRange| {
        range.container <= gid && u64::from(gid) < u64::from(range.container) + u64::from(range.size)
    };
    match &context.config.namespaces.user {
        UserNs::Mapped { gids, .. } => gids.iter().any(inside),
        _ => !context.single_id,
    }
}

/// Writable memory where programs expect to write: with `--read-only`, and for systemd.
fn temporary(context: &SpecContext<'_>) -> Result<Vec<Entry>> {
    let config = context.config;
    let mut targets: Vec<&str> = Vec::new();
    let systemd = ["/run", "/run/lock", "/tmp", "/var/log/journal"];
    if config.rootfs.read_only && config.rootfs.read_only_tmpfs {
        targets.extend(["/run", "/tmp", "/var/tmp"]);
    }
    if config.process.systemd {
        targets.extend(systemd);
    }
    targets.sort_unstable();
    targets.dedup();
    let options = |target: &str| {
        let mut options = words(&["rw", "nosuid", "nodev", "tmpcopyup"]);
        let size = config.resources.shm_size_systemd.filter(|_| systemd.contains(&target));
        options.extend(size.map(|size| format!("size={size}")));
        options
    };
    targets
        .iter()
        .map(|target| Ok(Entry::plain(mount(target, "tmpfs", Path::new("tmpfs"), options(target))?)))
        .collect()
}

/// Whether a device is bound, since it cannot be made: in a user namespace nobody may, and the specification has no
/// word for a node of the host that has another name in the container.
pub(super) fn is_bound(context: &SpecContext<'_>, device: &Device) -> bool {
    device.host != device.container && in_user_namespace(context)
}

fn renamed_devices(context: &SpecContext<'_>) -> Result<Vec<Entry>> {
    let bound = context.config.devices.iter().filter(|device| is_bound(context, device));
    bound
        .map(|device| {
            let options = words(&["bind", "rw", "nosuid", "noexec", "dev", "rprivate"]);
            let target = device.container.to_string_lossy();
            Ok(Entry::plain(mount(&target, "bind", &device.host, options)?))
        })
        .collect()
}

/// The files that were made for this container.
fn generated(context: &SpecContext<'_>) -> Result<Vec<Entry>> {
    let present = GENERATED.iter().map(|(file, target)| (context.dir.join(file), *target));
    present
        .filter(|(path, _)| path.is_file())
        .map(|(path, target)| {
            let options = words(&["bind", "rw", "nosuid", "nodev", "noexec", "rprivate"]);
            Ok(Entry::plain(mount(target, "bind", &path, options)?))
        })
        .collect()
}

/// One mount of the record.
fn asked(context: &SpecContext<'_>, wanted: &Mount) -> Result<Entry> {
    let options = &wanted.options;
    let (kind, path, source) = match &wanted.source {
        MountSource::Bind(path) if options.overlay => ("bind", path.clone(), Some(overlay(path, options))),
        MountSource::Bind(path) => ("bind", path.clone(), None),
        MountSource::Volume { name, .. } => volume(context, name, options)?,
        MountSource::Image { layers, .. } => (
            "bind",
            PathBuf::from("image"),
            Some(Source::Image {
                layers: layers.clone(),
                read_only: options.read_only,
                subpath: options.subpath.clone(),
            }),
        ),
        MountSource::Tmpfs => ("tmpfs", PathBuf::from("tmpfs"), None),
        MountSource::Ramfs => ("ramfs", PathBuf::from("ramfs"), None),
        MountSource::Devpts => ("devpts", PathBuf::from("devpts"), None),
    };
    let mut words = option_words(kind, options);
    // A fresh file system belongs to whom its options say.
    let chown = options.chown && kind == "bind";
    if options.chown && kind == "tmpfs" {
        words.extend([format!("uid={}", context.identity.uid), format!("gid={}", context.identity.gid)]);
    }
    let mut made = mount(&wanted.target, kind, &path, words)?;
    // A map of its own is written out in the option; the container's own goes beside it.
    if options.idmap.as_deref() == Some("")
        && let Some((uids, gids)) = namespaces::maps(&context.config.namespaces.user)?
    {
        made.set_uid_mappings(Some(uids)).set_gid_mappings(Some(gids));
    }
    Ok(Entry { mount: made, source, chown })
}

fn overlay(lower: &Path, options: &MountOptions) -> Source {
    Source::Overlay { lower: lower.to_owned(), upper: options.upper.clone(), work: options.work.clone() }
}

fn volume(
    context: &SpecContext<'_>,
    name: &str,
    options: &MountOptions,
) -> Result<(&'static str, PathBuf, Option<Source>)> {
    let data = (context.volume_dir)(name)?;
    let path = match &options.subpath {
        None => data,
        // A link inside the volume, which a container may have made, must not lead out of it (CVE-2021-30465).
        Some(subpath) => {
            let root = RootDir::open(&data).with_context(|| format!("open volume `{name}`"))?;
            let inside = root.real_path(subpath).and_then(|path| root.stat(&path).map(|_| path));
            let inside = inside.map_err(|error| {
                fail(Kind::NotFound, format!("volume `{name}` has no `{}`: {error}", subpath.display()))
            })?;
            data.join(inside.strip_prefix("/").unwrap_or(&inside))
        }
    };
    let source = options.overlay.then(|| overlay(&path, options));
    Ok(("bind", path, source))
}

/// The option words of the OCI specification; `nosuid` and `nodev` unless the opposite was said.
fn option_words(kind: &str, options: &MountOptions) -> Vec<String> {
    let mut all = Vec::new();
    if kind == "bind" {
        all.push(if options.non_recursive { "bind" } else { "rbind" }.to_owned());
    }
    all.push(if options.read_only { "ro" } else { "rw" }.to_owned());
    if kind == "bind" {
        all.push(options.propagation.clone().unwrap_or_else(|| "rprivate".into()));
    } else {
        all.extend(options.propagation.clone());
    }
    for (yes, no) in [("suid", "nosuid"), ("dev", "nodev")] {
        let said = options.flags.iter().any(|flag| flag == yes || flag == no);
        if !said && kind != "devpts" {
            all.push(no.to_owned());
        }
    }
    all.extend(options.flags.iter().cloned());
    if options.no_dereference {
        all.push("src-nofollow".into());
    }
    match options.idmap.as_deref() {
        Some("") => all.push("idmap".into()),
        Some(map) => all.push(format!("idmap={map}")),
        None => {}
    }
    match kind {
        "tmpfs" => {
            all.extend(options.extra.iter().cloned());
            if options.copy_up != Some(false) {
                all.push("tmpcopyup".into());
            }
        }
        // ramfs knows no size.
        "ramfs" => all.extend(options.extra.iter().filter(|word| word.starts_with("mode=")).cloned()),
        "devpts" => {
            all.extend(words(&["nosuid", "noexec", "newinstance", "ptmxmode=0666"]));
            all.extend(options.extra.iter().cloned());
        }
        _ => {}
    }
    all
}
