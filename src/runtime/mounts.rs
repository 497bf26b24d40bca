//! The `mounts` of a specification, parsed before the fork into what the kernel's calls take.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::Mount;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::base::error::{Context, Explain, Kind, Result, anyhow, bail, fail};
use crate::sys::mount::{self as sys, ATIME_MASK, SetAttr};
use crate::sys::userns::{self, IdMap};

/// One mount, ready for the child.
#[derive(Debug)]
pub(super) struct MountPlan {
    /// Where, relative to the root file system; no `..`, not empty.
    pub(super) target: PathBuf,
    /// What.
    pub(super) source: Source,
    /// Attributes and propagation of this mount.
    pub(super) options: Options,
}

/// What is mounted.
#[derive(Debug)]
pub(super) enum Source {
    /// A detached mount that the parent opened in the caller's view: nothing is left to resolve.
    Tree { fd: OwnedFd, directory: bool },
    /// A new file system of this type.
    New { kind: String, source: String },
    /// The control groups.
    Cgroup,
    /// A change of a mount made before.
    Remount,
}

/// Parsed mount options.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// `MOUNT_ATTR_*` to set.
    pub(super) set: u64,
    /// `MOUNT_ATTR_*` to clear on a remount.
    pub(super) clear: u64,
    /// `MOUNT_ATTR_*` to set on the whole tree (`rro`).
    pub(super) recursive_set: u64,
    /// `MOUNT_ATTR_*` to clear on the whole tree (`rrw`).
    pub(super) recursive_clear: u64,
    /// `MS_PRIVATE` and its like, each with whether it is for the whole tree.
    pub(super) propagation: Vec<(u64, bool)>,
    /// `bind` (`false`) or `rbind` (`true`).
    pub(super) bind: Option<bool>,
    /// `remount`.
    pub(super) remount: bool,
    /// The tmpfs starts with a copy of what lies below it.
    pub(super) copy_up: bool,
    /// `idmap`: the mount's own id map; empty for the container's.
    pub(super) idmap: Option<String>,
    /// The last component of the source is not followed (`src-nofollow`).
    pub(super) source_nofollow: bool,
    /// Options of the file system itself.
    pub(super) data: Vec<String>,
}

/// name, attribute, whether the word sets it.
const ATTRIBUTES: &[(&str, u64, bool)] = &[
    ("ro", sys::RDONLY, true),
    ("rw", sys::RDONLY, false),
    ("nosuid", sys::NOSUID, true),
    ("suid", sys::NOSUID, false),
    ("nodev", sys::NODEV, true),
    ("dev", sys::NODEV, false),
    ("noexec", sys::NOEXEC, true),
    ("exec", sys::NOEXEC, false),
    ("nodiratime", sys::NODIRATIME, true),
    ("diratime", sys::NODIRATIME, false),
    ("nosymfollow", sys::NOSYMFOLLOW, true),
    ("symfollow", sys::NOSYMFOLLOW, false),
];

const PROPAGATION: &[(&str, u64)] = &[
    ("private", libc_flag::PRIVATE),
    ("slave", libc_flag::SLAVE),
    ("shared", libc_flag::SHARED),
    ("unbindable", libc_flag::UNBINDABLE),
];

/// `MS_*` values of propagation.
mod libc_flag {
    pub(super) const UNBINDABLE: u64 = 1 << 17;
    pub(super) const PRIVATE: u64 = 1 << 18;
    pub(super) const SLAVE: u64 = 1 << 19;
    pub(super) const SHARED: u64 = 1 << 20;
}

/// Makes a mount and everything below it private.
pub(super) const PRIVATE: u64 = libc_flag::PRIVATE;

impl Options {
    /// Parses the words of a mount; later words win over earlier ones.
    pub(super) fn parse(words: &[String]) -> Result<Options> {
        let mut options = Options::default();
        for word in words {
            options.word(word)?;
        }
        Ok(options)
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if self.attribute(word) || self.access_time(word) || self.spread(word) {
            return Ok(());
        }
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "tmpcopyup" | "copyup" => self.copy_up = true,
            "notmpcopyup" | "defaults" | "async" | "nomand" | "mand" | "loud" | "silent" | "norelatime"
            | "nostrictatime" | "iversion" | "noiversion" | "nolazytime" | "auto" | "noauto" | "" => {}
            "src-nofollow" => self.source_nofollow = true,
            "copy-symlink" | "dest-nofollow" => bail!("mount option `{word}` is not supported"),
            "idmap" | "ridmap" => self.idmap = Some(String::new()),
            _ => match word.strip_prefix("idmap=").or_else(|| word.strip_prefix("ridmap=")) {
                Some(maps) => self.idmap = Some(maps.to_owned()),
                None => self.data.push(word.to_owned()),
            },
        }
        Ok(())
    }

    fn attribute(&mut self, word: &str) -> bool {
        if let Some((_, bit, set)) = ATTRIBUTES.iter().find(|(name, ..)| *name == word) {
            toggle(&mut self.set, &mut self.clear, *bit, *set);
            return true;
        }
        let recursive = word.strip_prefix('r').and_then(|rest| ATTRIBUTES.iter().find(|a| a.0 == rest));
        let Some((_, bit, set)) = recursive else { return false };
        toggle(&mut self.recursive_set, &mut self.recursive_clear, *bit, *set);
        true
    }

    fn access_time(&mut self, word: &str) -> bool {
        let mode = match word {
            "noatime" => sys::NOATIME,
            "strictatime" => sys::STRICTATIME,
            "relatime" | "atime" => 0,
            _ => return false,
        };
        self.set = self.set & !ATIME_MASK | mode;
        self.clear |= ATIME_MASK;
        true
    }

    fn spread(&mut self, word: &str) -> bool {
        let find = |name: &str| PROPAGATION.iter().find(|(known, _)| *known == name).map(|(_, flag)| *flag);
        let found = find(word).map(|flag| (flag, false));
        let found = found.or_else(|| word.strip_prefix('r').and_then(find).map(|flag| (flag, true)));
        self.propagation.extend(found);
        found.is_some()
    }

    /// Whether anything must be changed on a mount that was only cloned.
    pub(super) fn dress(&self) -> Option<SetAttr<'_>> {
        let atime = if self.set & ATIME_MASK != 0 { ATIME_MASK } else { 0 };
        (self.set != 0).then(|| SetAttr { set: self.set, clear: atime, ..SetAttr::default() })
    }
}

/// The words that [`Options::parse`] understands, apart from what is a file system's own affair.
pub(super) fn option_words() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().flat_map(|(name, ..)| [(*name).to_owned(), format!("r{name}")]);
    let propagation = PROPAGATION.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("r{name}")]);
    let others = [
        "atime",
        "bind",
        "copyup",
        "idmap",
        "noatime",
        "rbind",
        "relatime",
        "remount",
        "ridmap",
        "src-nofollow",
        "strictatime",
        "tmpcopyup",
    ];
    let mut all: Vec<String> =
        attributes.chain(propagation).chain(others.into_iter().map(str::to_owned)).collect();
    all.sort();
    all
}

fn toggle(set: &mut u64, clear: &mut u64, bit: u64, on: bool) {
    let (to, from) = if on { (set, clear) } else { (clear, set) };
    *to |= bit;
    *from &= !bit;
}

/// The target below the root: `/a/./b` is `a/b`; `..` and the root itself are refused.
pub(super) fn relative(destination: &Path) -> Result<PathBuf> {
    let mut target = PathBuf::new();
    for component in destination.components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::RootDir | Component::CurDir => {}
            _ => bail!("mount destination `{}` contains `..`", destination.display()),
        }
    }
    if target.as_os_str().is_empty() {
        return Err(fail(Kind::Usage, format!("mount destination `{}` is the root", destination.display())));
    }
    Ok(target)
}

/// Files of /proc over which containers may get a mount (what lxcfs serves).
const PROC_FILES: [&str; 11] = [
    "proc/cpuinfo",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "proc/swaps",
    "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo",
    "proc/net/dev",
    "proc/sys/kernel/ns_last_pid",
    "proc/sys/crypto/fips_enabled",
];

/// Refuses a mount that would cover parts of /proc, on which the runtime's own protections rest
/// (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).
pub(super) fn check_proc(target: &Path, is_proc: bool) -> Result<()> {
    if target == Path::new("proc") && is_proc {
        return Ok(());
    }
    let allowed = PROC_FILES.iter().any(|file| target == Path::new(file));
    if target.starts_with("proc") && !allowed {
        return Err(fail(Kind::Usage, format!("a mount over `/{}` is not allowed", target.display())));
    }
    Ok(())
}

impl MountPlan {
    /// Parses a mount; opens its source when it is a bind mount.
    ///
    /// `tree` is a mount that the caller prepared. A relative source is relative to `bundle`.
    pub(super) fn new(mount: &Mount, bundle: &Path, tree: Option<OwnedFd>) -> Result<MountPlan> {
        Self::parse(mount, bundle, tree).with_context(|| format!("mount `{}`", mount.destination().display()))
    }

    fn parse(mount: &Mount, bundle: &Path, tree: Option<OwnedFd>) -> Result<MountPlan> {
        let target = relative(mount.destination())?;
        let options = Options::parse(mount.options().as_deref().unwrap_or_default())?;
        let kind = mount.typ().as_deref().unwrap_or_default();
        let source = match (tree, kind) {
            (Some(fd), _) => Self::tree(fd)?,
            (None, _) if options.remount => Source::Remount,
            (None, "bind" | "rbind" | "none" | "") => Self::bound(mount, bundle, &options)?,
            (None, _) if options.bind.is_some() => Self::bound(mount, bundle, &options)?,
            (None, "cgroup" | "cgroup2") => Source::Cgroup,
            (None, kind) => Source::New {
                kind: kind.to_owned(),
                source: mount.source().as_ref().map_or_else(String::new, |s| s.display().to_string()),
            },
        };
        let own_proc = matches!(&source, Source::New { kind, .. } if kind == "proc");
        check_proc(&target, own_proc || shows_proc(&source))?;
        let plan = MountPlan { target, source, options };
        plan.map_ids(mount)?;
        Ok(plan)
    }

    fn tree(fd: OwnedFd) -> Result<Source> {
        let directory = rustix::fs::fstat(&fd).context("inspect the source")?.st_mode;
        let directory = FileType::from_raw_mode(directory) == FileType::Directory;
        Ok(Source::Tree { fd, directory })
    }

    /// Bind sources are opened in the parent, with the caller's view and rights: a container that swaps a
    /// link meanwhile, or that names `/proc/self/fd`, finds nothing to swap (CVE-2024-21626).
    fn bound(mount: &Mount, bundle: &Path, options: &Options) -> Result<Source> {
        let Some(source) = mount.source() else { bail!("no source") };
        let path = bundle.join(source);
        let recursive = options.bind.unwrap_or(true) || mount.typ().as_deref() == Some("rbind");
        let fd = sys::clone_tree(rustix::fs::CWD, &path, recursive, !options.source_nofollow);
        let fd = match fd {
            Ok(fd) => fd,
            // A tree with mounts that a user namespace may not uncover must be cloned whole.
            Err(rustix::io::Errno::INVAL) if !recursive => {
                sys::clone_path(&path, true).with_context(|| format!("open source `{}`", path.display()))?
            }
            Err(errno) => return Err(errno).with_context(|| format!("open source `{}`", path.display())),
        };
        Self::tree(fd)
    }

    /// Gives the detached mount an id map of its own (Linux 5.12), while nobody can see it.
    fn map_ids(&self, mount: &Mount) -> Result<()> {
        let Source::Tree { fd, .. } = &self.source else { return Ok(()) };
        let of = |maps: &Option<Vec<oci_spec::runtime::LinuxIdMapping>>| super::plan::id_maps(maps.as_ref());
        let (uids, gids) = match &self.options.idmap {
            Some(text) if !text.is_empty() => parse_idmap(text)?,
            _ => (of(mount.uid_mappings()), of(mount.gid_mappings())),
        };
        if uids.is_empty() {
            if self.options.idmap.is_some() {
                bail!("`idmap` needs a map: `idmap=uids=0-100000-65536;gids=0-100000-65536`");
            }
            return Ok(());
        }
        let namespace = userns::create(&uids, &gids)?;
        use std::os::fd::AsFd;
        let change = SetAttr { idmap: Some(namespace.as_fd()), ..SetAttr::default() };
        sys::set_attr(fd.as_fd(), &change, self.options.bind == Some(true))
            .context("map the ids of the mount")
            .hint("the source's file system must support id-mapped mounts")
    }
}

/// Whether the prepared source is a proc file system itself, which may stand in for one of our own.
fn shows_proc(source: &Source) -> bool {
    let Source::Tree { fd, .. } = source else { return false };
    rustix::fs::fstatfs(fd).is_ok_and(|stat| stat.f_type as u64 == PROC_SUPER_MAGIC)
}

/// `PROC_SUPER_MAGIC` of `statfs(2)`.
pub(super) const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// `uids=CONTAINER-HOST-COUNT#…;gids=…` as crun and Podman write it.
fn parse_idmap(text: &str) -> Result<(Vec<IdMap>, Vec<IdMap>)> {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for part in text.split(';') {
        match part.split_once('=') {
            Some(("uids", lines)) => uids = parse_idmap_lines(lines)?,
            Some(("gids", lines)) => gids = parse_idmap_lines(lines)?,
            _ => bail!("`{part}` in an id map"),
        }
    }
    if gids.is_empty() {
        gids.clone_from(&uids);
    }
    Ok((uids, gids))
}

fn parse_idmap_lines(lines: &str) -> Result<Vec<IdMap>> {
    let line = |line: &str| -> Option<IdMap> {
        let mut numbers = line.trim_start_matches('@').split('-').map(|n| n.parse::<u32>().ok());
        Some(IdMap { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
    };
    lines.split('#').map(|text| line(text).ok_or_else(|| anyhow!("`{text}` in an id map"))).collect()
}

/// A clone of a host's device node, verified to be that device: what stands in for `mknod` in a user namespace.
pub(super) fn host_device(path: &Path, device: u64) -> Result<OwnedFd> {
    let fd = sys::clone_path(path, false).with_context(|| format!("open device `{}`", path.display()))?;
    let stat = rustix::fs::statat(&fd, "", AtFlags::EMPTY_PATH)?;
    if stat.st_rdev != device {
        bail!("`{}` of the host is another device", path.display());
    }
    Ok(fd)
}

/// Opens a path of the host without following the last link.
pub(super) fn open_path(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        Options::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn words_become_attributes_and_the_last_wins() {
        assert_eq!(parse(&["ro", "nosuid", "rw"]).set, sys::NOSUID);
        assert_eq!(parse(&["nodev", "noatime", "strictatime"]).set, sys::NODEV | sys::STRICTATIME);
        assert_eq!(parse(&["rro"]).recursive_set, sys::RDONLY);
        assert_eq!(parse(&["rslave", "shared"]).propagation, [(1 << 19, true), (1 << 20, false)]);
        assert_eq!(parse(&["rbind", "bind"]).bind, Some(true));
        assert_eq!(parse(&["size=1m", "mode=755"]).data, ["size=1m", "mode=755"]);
        assert!(Options::parse(&["copy-symlink".to_owned()]).is_err());
    }

    #[test]
    fn targets_stay_below_the_root_and_off_proc() {
        assert_eq!(relative(Path::new("/a//./b/")).unwrap(), Path::new("a/b"));
        assert!(relative(Path::new("/")).is_err());
        assert!(relative(Path::new("/a/../..")).is_err());
        let table = [("proc", true, true), ("proc", false, false), ("proc/self", true, false)];
        for (target, is_proc, fine) in
            table.into_iter().chain([("proc/meminfo", false, true), ("x", false, true)])
        {
            assert_eq!(check_proc(Path::new(target), is_proc).is_ok(), fine, "{target}");
        }
    }

    #[test]
    fn id_maps_of_mounts() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        let (uids, gids) = parse_idmap("uids=0-1000-1#1-5-2;gids=0-7-1").unwrap();
        assert_eq!((uids, gids), (vec![map(0, 1000, 1), map(1, 5, 2)], vec![map(0, 7, 1)]));
        assert!(parse_idmap("uids=x").is_err());
    }
}
