//! Where `COPY`, `ADD` and `RUN --mount` take things from: the context, a stage, an image, a named context.

use std::os::fd::OwnedFd;

use super::base;
use super::stage::Stage;
use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, bail, fail};
use crate::dockerfile::graph::{self, Origin};
use crate::dockerfile::ignore::Ignore;
use crate::layer::MountRequest;
use crate::sys::rootdir::RootDir;

/// A tree to take from.
pub(super) struct Tree {
    pub(super) root: RootDir,
    /// What messages call it.
    pub(super) called: String,
    /// What is left out of a context.
    pub(super) ignore: Option<Ignore>,
    /// The layers of a stage or image: what is in them never changes.
    pub(super) layers: Vec<Digest>,
    /// Their mount.
    pub(super) mount: Option<OwnedFd>,
    /// Its files stay where they are after the build: their digests are worth remembering.
    pub(super) lasting: bool,
}

/// What a `from` names, without opening it.
pub(super) enum Named {
    /// A directory of the host.
    Directory(Tree),
    /// Layers.
    Layers {
        /// What messages call it.
        called: String,
        /// Lowest first.
        layers: Vec<Digest>,
    },
}

/// Finds what a `from` names; `None` is the context.
pub(super) fn find(stage: &mut Stage<'_>, from: Option<&str>) -> Result<Named> {
    let job = stage.job;
    let Some(from) = from else {
        return job.input.tree().map(Named::Directory);
    };
    match graph::origin(job.file, stage.index, from, job.contexts)? {
        Origin::Scratch => Err(fail(Kind::Usage, "`scratch` has nothing to copy from")),
        Origin::Stage(index) => {
            let Some(Some(done)) = stage.done.get(index) else { bail!("stage `{from}` is not built") };
            Ok(Named::Layers {
                called: format!("stage `{from}`"),
                layers: done.config.rootfs.diff_ids.clone(),
            })
        }
        Origin::Image(name) => image(stage, &name),
        Origin::Context(name) => {
            let value = job.options.contexts.get(&name).cloned().unwrap_or_default();
            match base::image_of(&value) {
                Some(name) => image(stage, &name),
                None => job.input.named(&name).map(Named::Directory),
            }
        }
    }
}

fn image(stage: &mut Stage<'_>, name: &str) -> Result<Named> {
    let platform = stage.job.platform(stage.index)?;
    let image = base::obtain(stage.job, name, &platform, &mut stage.active)?;
    Ok(Named::Layers { called: format!("image `{name}`"), layers: image.layers })
}

impl Named {
    /// Opens it.
    pub(super) fn open(self, stage: &Stage<'_>) -> Result<Tree> {
        let (called, layers) = match self {
            Named::Directory(tree) => return Ok(tree),
            Named::Layers { called, layers } => (called, layers),
        };
        let request = MountRequest { layers: &layers, ..MountRequest::default() };
        let mount = stage.job.ops.layers()?.mount(&request).with_context(|| format!("open {called}"))?;
        let root = RootDir::from_fd(mount.try_clone().context("duplicate a descriptor")?);
        Ok(Tree { root, called, ignore: None, layers, mount: Some(mount), lasting: false })
    }
}

/// Finds and opens.
pub(super) fn open(stage: &mut Stage<'_>, from: Option<&str>) -> Result<Tree> {
    find(stage, from)?.open(stage)
}
