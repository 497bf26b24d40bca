//! `RUN --mount`: what a command sees besides the root file system, none of which is in the layer.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::cache_mount;
use super::origin::{self, Tree};
use super::run_secret;
use super::space::Workspace;
use super::stage::{Identity, Stage};
use super::transfer::{self, Wanted};
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs;
use crate::container::parse::path;
use crate::container::record::{Mount as Record, MountOptions, MountSource};
use crate::dockerfile::action::{Run, TransferSource};
use crate::dockerfile::ignore::Ignore;
use crate::dockerfile::mount::{Bind, Mount};
use crate::ops::build::copy::{self, Destination, PlaceOptions};
use crate::ops::container::transient::Mounted;
use crate::sys::mount;
use crate::sys::rootdir::RootDir;

/// The mounts of one `RUN`.
#[derive(Default)]
pub(super) struct Mounts {
    records: Vec<Record>,
    fds: Vec<Mounted>,
    env: Vec<(String, String)>,
    held: Vec<Held>,
}

/// What must live as long as the command.
pub(super) type Held = Box<dyn std::any::Any>;

impl Mounts {
    /// Adds one; with a descriptor, the source of the record is only a name for it.
    pub(super) fn add(&mut self, record: Record, fd: Option<OwnedFd>) {
        self.fds.extend(fd.map(|fd| (record.target.clone(), fd)));
        self.records.push(record);
    }

    /// Adds a variable.
    pub(super) fn set(&mut self, name: String, value: String) {
        self.env.push((name, value));
    }

    /// Keeps something until the command has ended.
    pub(super) fn hold(&mut self, what: Held) {
        self.held.push(what);
    }

    /// The variables.
    pub(super) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The entries for the container's record.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// The open sources, and what must be kept meanwhile.
    pub(super) fn into_fds(self) -> (Vec<Mounted>, Vec<Held>) {
        (self.fds, self.held)
    }
}

/// Adds what is bound to the identity of a step.
pub(super) fn digest(stage: &mut Stage<'_>, run: &Run, identity: &mut Identity) -> Result<()> {
    for mount in &run.mounts {
        let Mount::Bind(bind) = mount else { continue };
        let sources = [TransferSource::Path(bind.source.clone())];
        let exclude = Ignore::default();
        let wanted = Wanted {
            from: bind.from.as_deref(),
            sources: &sources,
            several: false,
            exclude: &exclude,
            parents: false,
            chmod: None,
        };
        let content = transfer::content(stage, &wanted).with_context(|| format!("bind `{}`", bind.source))?;
        identity.parts.push(content.digest);
        identity.inputs.files = content.inputs.files;
    }
    Ok(())
}

/// Opens or makes everything that the mounts of a `RUN` show.
pub(super) fn prepare(stage: &mut Stage<'_>, run: &Run, space: &Workspace) -> Result<Mounts> {
    let mut mounts = Mounts::default();
    for (number, mount) in run.mounts.iter().enumerate() {
        let scratch = space.dir().join(format!("mount-{number}"));
        match mount {
            Mount::Bind(bind) => add_bind(stage, bind, &scratch, &mut mounts)
                .with_context(|| format!("bind `{}`", bind.source))?,
            Mount::Cache(cache) => cache_mount::add(stage, cache, &mut mounts)
                .with_context(|| format!("use cache `{}`", cache.id))?,
            Mount::Tmpfs { target, size } => {
                let options = MountOptions {
                    copy_up: Some(false),
                    extra: size.map(|size| format!("size={size}")).into_iter().collect(),
                    ..MountOptions::default()
                };
                let target = point(stage, target)?;
                mounts.add(Record { target, source: MountSource::Tmpfs, options }, None);
            }
            Mount::Secret(secret) => run_secret::secret(stage, secret, &mut mounts)?,
            Mount::Ssh(ssh) => run_secret::ssh(stage, ssh, number, &mut mounts)?,
        }
    }
    Ok(mounts)
}

/// Where a mount appears: relative to the working directory, and where any mount may be.
pub(super) fn point(stage: &Stage<'_>, target: &str) -> Result<String> {
    let workdir = &stage.config.config.working_dir;
    path::mount_point(&path::join(if workdir.is_empty() { "/" } else { workdir }, target))
}

fn add_bind(stage: &mut Stage<'_>, bind: &Bind, scratch: &Path, mounts: &mut Mounts) -> Result<()> {
    let target = point(stage, &bind.target)?;
    let tree = origin::open(stage, bind.from.as_deref())?;
    let fd = if tree.layers.is_empty() || tree.mount.is_none() {
        from_directory(bind, &tree, scratch)?
    } else {
        from_layers(stage, bind, &tree, scratch)?
    };
    let options =
        MountOptions { read_only: !bind.writable, relabel: bind.relabel, ..MountOptions::default() };
    mounts.add(Record { target, source: MountSource::Bind(PathBuf::from("bound")), options }, Some(fd));
    Ok(())
}

/// Part of a directory of the host: itself where nothing of it is hidden or written to, else a copy.
fn from_directory(bind: &Bind, tree: &Tree, scratch: &Path) -> Result<OwnedFd> {
    let source = Path::new(&bind.source);
    let inside = tree.root.resolve(source).map_err(|error| missing(bind, &error))?;
    if !bind.writable && tree.ignore.as_ref().is_none_or(Ignore::is_empty) {
        return clone(&inside);
    }
    fs::create_dir(scratch)?;
    let root = RootDir::open(scratch).with_context(|| format!("open `{}`", scratch.display()))?;
    let sources = [TransferSource::Path(bind.source.clone())];
    let exclude = Ignore::default();
    let request = copy::Request {
        origin: &tree.root,
        called: &tree.called,
        sources: &sources,
        several: false,
        ignore: tree.ignore.as_ref(),
        exclude: &exclude,
        parents: false,
        chown: None,
        keep_owners: false,
        chmod: None,
    };
    let scan = copy::scan(&request, None)?;
    copy::place(&scan, &root, &Destination::new("/", "/"), &PlaceOptions::default())?;
    let stat = tree.root.stat(source)?;
    let is_dir = crate::sys::file::FileType::from_raw_mode(stat.st_mode).is_dir();
    let made = match source.file_name().filter(|_| !is_dir) {
        Some(name) => root.resolve(Path::new(name))?,
        None => root.resolve(Path::new("/"))?,
    };
    clone(&made)
}

fn clone(fd: &OwnedFd) -> Result<OwnedFd> {
    mount::clone_path(Path::new(&format!("/proc/self/fd/{}", fd.as_raw_fd())), false).context("bind it")
}

/// Part of the root file system of a stage or an image; writes go to a directory that is thrown away.
fn from_layers(stage: &Stage<'_>, bind: &Bind, tree: &Tree, scratch: &Path) -> Result<OwnedFd> {
    let layers = stage.job.ops.layers()?;
    let whole = match bind.writable {
        false => {
            tree.mount.as_ref().context("open the layers")?.try_clone().context("duplicate a descriptor")?
        }
        true => {
            fs::create_dir(scratch)?;
            let lowers = layers.lower_dirs(&tree.layers)?;
            layers.create_dir_over(scratch, &lowers, None)?;
            layers.mount_over(&lowers, scratch)?
        }
    };
    let root = RootDir::from_fd(whole.try_clone().context("duplicate a descriptor")?);
    let inside = root.resolve(Path::new(&bind.source)).map_err(|error| missing(bind, &error))?;
    mount::clone_part(whole.as_fd(), inside.as_fd()).context("bind it")
}

fn missing(bind: &Bind, error: &std::io::Error) -> crate::base::error::Error {
    let of = bind.from.as_deref().map_or("the build context".to_owned(), |from| format!("`{from}`"));
    fail(Kind::Failed, format!("`{}` of {of}: {error}", bind.source))
}
