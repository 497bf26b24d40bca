//! `image mount` and `unmount`: the files of images on the host, for root or inside of `unshare`.
//!
//! ```text
//! <run>/mounts/<image id>/         the mount point: read-only
//! <run>/mounts/<image id>.count    how often it was mounted: it goes when the last one is done with it
//! <run>/mounts/lock                held while any of this changes
//! ```
//!
//! All of it is volatile: a count without a mount, after a reboot, counts nothing. The image stays in use as long as
//! it is mounted.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::{find, find_or_install};
use crate::base::digest::Digest;
use crate::base::error::{Collected, Context as _, Explain, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::base::lock::Lock;
use crate::layer::MountRequest;
use crate::ops::context::Context;
use crate::sys::mount;

/// A mounted image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// The image.
    pub id: Digest,
    /// Its names.
    pub names: Vec<String>,
    /// Where its files are.
    pub path: PathBuf,
}

fn dir(context: &Context) -> PathBuf {
    context.roots.run.join("mounts")
}

fn point(context: &Context, id: &Digest) -> PathBuf {
    dir(context).join(id.hex())
}

fn lock(context: &Context) -> Result<Lock> {
    fs::create_dir_all(&dir(context))?;
    Lock::exclusive(&dir(context).join("lock"))
}

/// A mount ends with the command when an ordinary user makes it outside of `unshare`.
fn refuse_rootless(context: &Context, command: &str) -> Result<()> {
    if !context.roots.rootless {
        return Ok(());
    }
    Err(fail(Kind::Usage, format!("`{command}` cannot be used by an ordinary user as it is")).hint(format!(
        "run it in a namespace of your own, with all that needs the files: `dhow unshare dhow {command} …`"
    )))
}

/// Whether an image is mounted.
pub(super) fn is_mounted(context: &Context, id: &Digest) -> bool {
    mount::is_mount_root(&point(context, id))
}

/// Mounts an image, or counts one more user of its mount.
pub fn mount_image(context: &Context, text: &str) -> Result<Mounted> {
    refuse_rootless(context, "image mount")?;
    context.roots.create()?;
    let image = find_or_install(context, text)?;
    let path = point(context, &image.id);
    let _lock = lock(context)?;
    let count = if mount::is_mount_root(&path) { count(&path)? } else { 0 };
    if count == 0 {
        fs::create_dir_all(&path)?;
        let request = MountRequest { layers: &image.layers, ..MountRequest::default() };
        let made = context.layers()?.mount(&request)?;
        let target = fs::open(&path)?;
        mount::attach(made.as_fd(), target.as_fd())
            .with_context(|| format!("mount image `{text}` on `{}`", path.display()))?;
    }
    set_count(&path, count + 1)?;
    Ok(Mounted { id: image.id, names: image.names, path })
}

/// What is mounted now.
pub fn mounted(context: &Context) -> Result<Vec<Mounted>> {
    let mut found = Vec::new();
    for image in context.images().list()?.images {
        let path = point(context, &image.id);
        if mount::is_mount_root(&path) {
            found.push(Mounted { id: image.id, names: image.names, path });
        }
    }
    Ok(found)
}

/// Takes one user away from each of these mounts, or with `force` all of them; the last one unmounts. No names mean
/// everything that is mounted.
pub fn unmount(context: &Context, names: &[String], force: bool) -> (Vec<Digest>, Result<()>) {
    let (mut done, mut errors) = (Vec::new(), Collected::default());
    let wanted = refuse_rootless(context, "image unmount").and_then(|()| match names.is_empty() {
        true => Ok(mounted(context)?.into_iter().map(|one| one.id.to_string()).collect()),
        false => Ok(names.to_vec()),
    });
    let wanted: Vec<String> = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return (done, Err(error)),
    };
    for name in &wanted {
        let one = find(context, name).and_then(|image| {
            unmount_one(context, &image.id, force)
                .with_context(|| format!("unmount image `{name}`"))
                .map(|()| image.id)
        });
        done.extend(errors.note(one));
    }
    (done, errors.finish())
}

/// Takes one user away from a mount, or with `force` all of them.
pub(super) fn unmount_one(context: &Context, id: &Digest, force: bool) -> Result<()> {
    let path = point(context, id);
    let _lock = lock(context)?;
    if !mount::is_mount_root(&path) {
        return Err(fail(Kind::Failed, "it is not mounted"));
    }
    let left = count(&path)?.saturating_sub(1);
    if left > 0 && !force {
        return set_count(&path, left);
    }
    mount::detach(&path).with_context(|| format!("unmount `{}`", path.display()))?;
    fs::remove_file(&path.with_extension("count"))?;
    crate::layer::tree::remove(&path)
}

fn count(path: &Path) -> Result<u32> {
    let bytes = fs::read_optional(&path.with_extension("count"))?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(1)) // it is mounted: by one at least
}

fn set_count(path: &Path, count: u32) -> Result<()> {
    fs::replace(&path.with_extension("count"), count.to_string().as_bytes(), 0o600, Durability::Volatile)
}
