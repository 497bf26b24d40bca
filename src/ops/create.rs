//! `create`: from what was typed, the image and the configuration to the record of a container.

mod context;
mod env;
mod health;
mod host;
mod life;
mod mounts;
mod namespaces;
mod options;
mod process;
mod refuse;
mod resources;
mod security;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use context::{Caller, Context, Defaults, FindImage, ImageFacts};
pub use mounts::NewVolume;
pub(crate) use mounts::matches_pattern;
pub use options::CreateOptions;

use crate::base::error::{Result, bail};
use crate::base::{id, time};
use crate::container::record::{Config, RootFs};

/// A record ready for [`crate::container::Store::create`], and what must happen besides.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// The record; its name may be empty (the store makes one up).
    pub config: Config,
    /// Lines for stderr.
    pub warnings: Vec<String>,
    /// Directories of the host that `-v` names and that do not exist: to be made before the start, each with a
    /// line on stderr (Docker's way; `--mount type=bind` refuses them).
    pub missing_dirs: Vec<PathBuf>,
    /// Volumes that must be made with options or labels; others are made on demand by their names.
    pub new_volumes: Vec<NewVolume>,
}

/// Checks everything that was typed and decides everything that is left open. Changes nothing on disk.
pub fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: Option<&ImageFacts>,
) -> Result<Resolved> {
    refuse::unsupported(options)?;
    let nothing = ImageFacts::default();
    let image = image.unwrap_or(&nothing);
    let mut resolved = Resolved::default();
    resolved.config.id = id::random();
    resolved.config.created = time::now();
    resolved.config.create_command.clone_from(&options.create_command);
    resolved.config.rootfs = rootfs(context, options, image)?;
    life::resolve(context, options, image, &mut resolved)?;
    namespaces::resolve(context, options, image, &mut resolved)?;
    process::resolve(context, options, image, &mut resolved)?;
    security::resolve(context, options, &mut resolved)?;
    resources::resolve(context, options, &mut resolved)?;
    mounts::resolve(context, options, image, &mut resolved)?;
    Ok(resolved)
}

fn rootfs(context: &Context<'_>, options: &CreateOptions, image: &ImageFacts) -> Result<RootFs> {
    let read_only = options.read_only || context.defaults.read_only;
    let mut rootfs = RootFs {
        image_id: image.id.clone(),
        image_name: image.name.clone(),
        layers: image.layers.clone(),
        read_only,
        read_only_tmpfs: read_only && options.read_only_tmpfs.unwrap_or(true),
        ..RootFs::default()
    };
    if options.rootfs {
        let (path, overlay) = match options.image.rsplit_once(':') {
            Some((path, "O")) => (path, true),
            _ => (options.image.as_str(), false),
        };
        let path = context.caller.cwd.join(path);
        if !path.is_dir() {
            bail!("--rootfs `{}` is not a directory", path.display());
        }
        (rootfs.path, rootfs.overlay) = (Some(path), overlay);
    }
    Ok(rootfs)
}
