//! `cp`: files between containers, the host and tar streams.
//!
//! Everything is copied as an archive that is unpacked by the extractor of layers, so that no link of a container leads
//! out of it: both ends are opened by descriptors inside of their roots. A running container is seen as its first
//! process sees it; of one that does not run the root file system is mounted here, and its volumes are opened where a
//! path lies in one.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use super::alive::{self, Alive};
use super::changes::through_pipe;
use super::prepare::Shifted;
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::lock::Lock;
use crate::container::record::{Config, MountSource};
use crate::container::store::Container;
use crate::layer::TreeTar;
use crate::layer::extract::{Options, Purpose};
use crate::layer::{MountRequest, codec, extract_below};
use crate::ops::context::Context as Ops;
use crate::ops::spec;
use crate::sys::file::{self, FileType};
use crate::sys::rootdir::RootDir;

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A path of the host.
    Host(String),
    /// A path in a container.
    Container {
        /// Name or id.
        name: String,
        /// The path, from the container's root.
        path: String,
    },
    /// A tar stream: standard input or output.
    Stream,
}

impl End {
    /// Reads `CONTAINER:PATH`, `PATH` or `-`. A host path with a colon begins with `/` or `.`.
    pub fn parse(text: &str) -> End {
        match text.split_once(':') {
            _ if text == "-" => End::Stream,
            Some((name, path)) if !name.is_empty() && !text.starts_with(['/', '.']) => {
                End::Container { name: name.into(), path: path.into() }
            }
            _ => End::Host(text.into()),
        }
    }
}

/// How to copy.
#[derive(Debug, Clone, Copy)]
pub struct CopyOptions {
    /// What comes into a container belongs to its user, what comes out to the caller; else owners are kept.
    pub archive: bool,
    /// `--follow-link`: a source that is a link stands for what it leads to.
    pub follow: bool,
    /// `--overwrite`: a directory may be replaced by something else, and the other way round.
    pub overwrite: bool,
}

/// Copies from one end to the other; one of them is a container.
pub fn copy(ops: &Ops, from: &End, to: &End, options: CopyOptions) -> Result<()> {
    let containers: Vec<&String> = [from, to]
        .into_iter()
        .filter_map(|end| match end {
            End::Container { name, .. } => Some(name),
            _ => None,
        })
        .collect();
    if containers.is_empty() {
        return Err(fail(Kind::Usage, "one end of a copy is a container: CONTAINER:PATH"));
    }
    let store = ops.containers()?;
    let ids = containers.iter().map(|name| store.resolve_id(name)).collect::<Result<Vec<_>>>()?;
    ops.enter_stage_with(alive::beside(ops, &ids)?)?;
    match (from, to) {
        (End::Stream, to) => {
            let tree = Tree::open(ops, to, true)?;
            let (_, mut tar) = codec::decoder_any(Box::new(std::io::stdin()))?;
            tree.must_be_dir(to)?;
            tree.unpack(&tree.path, options, &mut tar)
        }
        (from, End::Stream) => {
            let source = Source::find(Tree::open(ops, from, false)?, from, options.follow)?;
            let mut out = std::io::BufWriter::with_capacity(256 << 10, std::io::stdout().lock());
            let name = source.name.clone();
            source.write(&name, &mut out)?;
            out.flush().context("write the archive")
        }
        (from, to) => {
            let source = Source::find(Tree::open(ops, from, false)?, from, options.follow)?;
            let target = Tree::open(ops, to, true)?;
            into(&source, &target, to, options).with_context(|| format!("copy to `{}`", shown(to)))
        }
    }
}

fn shown(end: &End) -> String {
    match end {
        End::Host(path) => path.clone(),
        End::Container { name, path } => format!("{name}:{path}"),
        End::Stream => "-".into(),
    }
}

/// A file system and a path in it.
struct Tree {
    root: RootDir,
    path: PathBuf,
    /// Whom that which is copied here belongs to, seen from here.
    owner: (u32, u32),
    /// The container does not start meanwhile.
    _held: Option<Lock>,
}

impl Tree {
    fn open(ops: &Ops, end: &End, write: bool) -> Result<Tree> {
        match end {
            End::Host(path) => {
                let here = std::env::current_dir().context("find the working directory")?;
                let root = RootDir::open(Path::new("/")).context("open `/`")?;
                Ok(Tree { root, path: clean(&here.join(path)), owner: (0, 0), _held: None })
            }
            End::Container { name, path } => Tree::of_container(ops, name, path, write),
            End::Stream => bail!("a stream is no tree"),
        }
    }

    fn of_container(ops: &Ops, name: &str, path: &str, write: bool) -> Result<Tree> {
        let store = ops.containers()?;
        let held = store.lock(&store.resolve_id(name)?)?;
        let container = store.resolve(name)?;
        let path = clean(&Path::new("/").join(path));
        if let Some(alive) = Alive::find(store, &container)? {
            let root = format!("/proc/{}/root", alive.live.pid);
            let root = RootDir::open(Path::new(&root)).with_context(|| format!("open `{root}`"))?;
            let owner = owner(&root, &container.config)?;
            return Ok(Tree { root, path, owner, _held: None });
        }
        let whole = RootDir::from_fd(mounted(ops, &container, write)?);
        let owner = owner(&whole, &container.config)?;
        let real = whole.real_path(&path).unwrap_or_else(|_| path.clone());
        match volume_at(ops, &container.config, &clean(&Path::new("/").join(real))) {
            Some((dir, rest)) => {
                let root = RootDir::open(&dir).with_context(|| format!("open `{}`", dir.display()))?;
                Ok(Tree { root, path: rest, owner, _held: Some(held) })
            }
            None => Ok(Tree { root: whole, path, owner, _held: Some(held) }),
        }
    }

    /// What stands at a path, links on the way followed; `None` for nothing.
    fn kind(&self, path: &Path) -> Result<Option<FileType>> {
        match self.root.stat(path) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("look at `{}`", path.display())),
        }
    }

    fn must_be_dir(&self, end: &End) -> Result<()> {
        match self.kind(&self.path)? {
            Some(FileType::Directory) => Ok(()),
            Some(_) => bail!("`{}` is not a directory", shown(end)),
            None => Err(fail(Kind::NotFound, format!("no such directory: `{}`", shown(end)))),
        }
    }

    fn unpack(&self, dir: &Path, options: CopyOptions, tar: &mut dyn std::io::Read) -> Result<()> {
        let extract = Options {
            purpose: Purpose::Tree,
            owner: options.archive.then_some(self.owner),
            chmod: None,
            ignore_chown_errors: !options.archive,
        };
        let root = self.root.try_clone().context("duplicate a root's descriptor")?;
        extract_below(root, dir, extract, tar).map(drop)
    }

    /// Makes a directory that is not there, for its contents to follow.
    fn make_dir(&self, path: &Path, like: &Source, options: CopyOptions) -> Result<()> {
        let (parent, name) = self.root.parent(path).with_context(|| format!("find `{}`", path.display()))?;
        let name = Path::new(&name);
        file::mkdir_at(&parent, name, 0o700).with_context(|| format!("make `{}`", path.display()))?;
        let owner = if options.archive { self.owner } else { like.owner };
        let owned = file::chown_at(&parent, name, owner.0, owner.1);
        if options.archive {
            owned.with_context(|| format!("change the owner of `{}`", path.display()))?;
        }
        file::chmod_at(&parent, name, like.mode).with_context(|| format!("chmod `{}`", path.display()))
    }
}

/// Whom the container's user is seen as from here.
fn owner(root: &RootDir, config: &Config) -> Result<(u32, u32)> {
    let identity = spec::user::resolve(root, config)?;
    match Shifted::new(config)?.shift() {
        Some(shift) => shift.outside(identity.uid, identity.gid),
        None => Ok((identity.uid, identity.gid)),
    }
}

/// The root file system of a container that does not run.
fn mounted(ops: &Ops, container: &Container, write: bool) -> Result<OwnedFd> {
    let rootfs = &container.config.rootfs;
    if let Some(path) = &rootfs.path {
        let root = RootDir::open(path).with_context(|| format!("open `{}`", path.display()))?;
        return root.open_dir(Path::new("/")).with_context(|| format!("open `{}`", path.display()));
    }
    let shifted = Shifted::new(&container.config)?;
    let shift = shifted.shift();
    let request = MountRequest {
        layers: &rootfs.layers,
        dir: Some(&container.dir),
        read_only: !write,
        shift: shift.as_ref(),
        ..MountRequest::default()
    };
    ops.layers()?.mount(&request)
}

/// The volume or host directory that a path of the container lies in, and where in it.
fn volume_at(ops: &Ops, config: &Config, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let inside = |target: &str| path.strip_prefix(target).ok().map(|rest| Path::new("/").join(rest));
    let found = config.mounts.iter().filter_map(|mount| {
        let rest = inside(&mount.target)?;
        let dir = match &mount.source {
            MountSource::Volume { name, .. } => ops.volumes().data_dir(name),
            MountSource::Bind(source) if Path::new(source).is_dir() => PathBuf::from(source),
            _ => return None,
        };
        Some((mount.target.len(), dir, rest))
    });
    found.max_by_key(|(length, ..)| *length).map(|(_, dir, rest)| (dir, rest))
}

/// Without `.` and `..`, which mean what they say: where a link leads is found by the root.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => {}
        }
    }
    cleaned
}

/// What is copied.
struct Source {
    tree: Tree,
    /// The real path of what is copied.
    path: PathBuf,
    /// How it is called at the other end.
    name: PathBuf,
    is_dir: bool,
    /// `DIR/.`: what is in the directory, not itself.
    contents: bool,
    mode: u32,
    owner: (u32, u32),
}

impl Source {
    fn find(tree: Tree, end: &End, follow: bool) -> Result<Source> {
        let text = match end {
            End::Host(path) | End::Container { path, .. } => path.as_str(),
            End::Stream => "",
        };
        let contents = text == "." || text.ends_with("/.");
        let must_be_dir = contents || text.ends_with('/');
        let follow = follow || must_be_dir;
        let found = if follow { tree.root.stat(&tree.path) } else { tree.root.lstat(&tree.path) };
        let stat = found.with_context(|| format!("find `{}`", shown(end))).kind(Kind::NotFound)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        if must_be_dir && !is_dir {
            bail!("`{}` is not a directory", shown(end));
        }
        let real = match follow || is_dir {
            true => tree.root.real_path(&tree.path).with_context(|| format!("find `{}`", shown(end)))?,
            false => tree.path.clone(),
        };
        let name = tree.path.file_name().map_or_else(|| PathBuf::from("."), PathBuf::from);
        Ok(Source {
            path: clean(&Path::new("/").join(real)),
            name,
            is_dir,
            contents: contents || tree.path == Path::new("/"),
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
            tree,
        })
    }

    /// Writes it as an archive in which it is called `name`; `.` for the contents of a directory.
    fn write(&self, name: &Path, out: &mut dyn Write) -> Result<()> {
        let top =
            if self.is_dir { self.path.as_path() } else { self.path.parent().unwrap_or(Path::new("/")) };
        let dir = self.tree.root.open_dir(top).with_context(|| format!("open `{}`", top.display()))?;
        let base = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        let mut tar = TreeTar::new(&base, None, out)?;
        if !self.is_dir {
            tar.entry_as(Path::new(self.path.file_name().unwrap_or_default()), name)?;
            return tar.finish();
        }
        let own = RootDir::from_fd(dir.as_fd().try_clone_to_owned().context("duplicate a descriptor")?);
        if name != Path::new(".") {
            tar.entry_as(Path::new("."), name)?;
        }
        let mut left = vec![PathBuf::new()];
        while let Some(sub) = left.pop() {
            let at = if sub.as_os_str().is_empty() { Path::new(".") } else { sub.as_path() };
            let fd = own.open_dir(at).with_context(|| format!("open `{}`", at.display()))?;
            for entry in file::list(&fd)? {
                let path = sub.join(entry.path());
                tar.entry_as(&path, &name.join(&path))
                    .with_context(|| format!("read `{}`", path.display()))?;
                if entry.kind == FileType::Directory {
                    left.push(path);
                }
            }
        }
        tar.finish()
    }
}

/// Puts a source where it belongs, by the rules of docker-cp(1) and podman-cp(1).
fn into(source: &Source, target: &Tree, end: &End, options: CopyOptions) -> Result<()> {
    let text = shown(end);
    let there = target.kind(&target.path)?;
    let into_it = there == Some(FileType::Directory);
    if there.is_none() && !source.is_dir && text.ends_with('/') {
        return Err(fail(Kind::NotFound, "no such directory"));
    }
    if source.is_dir {
        let dir = match into_it && !source.contents {
            true => target.path.join(&source.name),
            false => target.path.clone(),
        };
        match target.kind(&dir)? {
            Some(FileType::Directory) => {}
            None => target.make_dir(&dir, source, options)?,
            Some(_) if options.overwrite => {
                let (parent, name) = target.root.parent(&dir).context("find the destination")?;
                file::unlink_at(&parent, Path::new(&name)).context("replace the destination")?;
                target.make_dir(&dir, source, options)?;
            }
            Some(_) => bail!("a directory cannot replace what is not one"),
        }
        return transfer(source, Path::new("."), target, &dir, options);
    }
    let (dir, name) = match into_it {
        true => (target.path.clone(), source.name.clone()),
        false => {
            // A link stands for what it leads to.
            let path = target.root.real_path(&target.path).unwrap_or_else(|_| target.path.clone());
            let path = clean(&Path::new("/").join(path));
            let name = path.file_name().map(PathBuf::from).context("find the destination")?;
            (path.parent().unwrap_or(Path::new("/")).to_owned(), name)
        }
    };
    if target.kind(&dir)? != Some(FileType::Directory) {
        return Err(fail(Kind::NotFound, format!("no such directory: `{}`", dir.display())));
    }
    if !options.overwrite && target.kind(&dir.join(&name))? == Some(FileType::Directory) {
        bail!("a directory can only be replaced with --overwrite");
    }
    transfer(source, &name, target, &dir, options)
}

fn transfer(source: &Source, name: &Path, target: &Tree, dir: &Path, options: CopyOptions) -> Result<()> {
    through_pipe(|out| source.write(name, out), |mut tar| target.unpack(dir, options, &mut tar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_apart() {
        let inside = |name: &str, path: &str| End::Container { name: name.into(), path: path.into() };
        for (text, wanted) in [
            ("c:/a", inside("c", "/a")),
            ("c:a:b", inside("c", "a:b")),
            ("c:", inside("c", "")),
            ("./a:b", End::Host("./a:b".into())),
            ("/a:b", End::Host("/a:b".into())),
            ("a", End::Host("a".into())),
            (":a", End::Host(":a".into())),
            ("-", End::Stream),
        ] {
            assert_eq!(End::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn dots_go_no_higher_than_the_root() {
        for (text, wanted) in [("/a/../../b/.", "/b"), ("/", "/"), ("a//b/", "/a/b")] {
            assert_eq!(clean(Path::new(text)), Path::new(wanted), "{text}");
        }
    }
}
