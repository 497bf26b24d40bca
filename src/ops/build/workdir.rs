//! `WORKDIR`: the directory is made for the user in effect.

use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::settings;
use super::stage::{Identity, Stage};
use crate::base::error::{Context, Kind, Result, fail};
use crate::dockerfile::{Action, Step};
use crate::ops::spec::user;
use crate::sys::file::{self, FileType};
use crate::sys::rootdir::RootDir;

/// Does the step: a layer comes of it where the directory was not there.
pub(super) fn step(stage: &mut Stage<'_>, step: &Step, action: &Action, dir: &str) -> Result<()> {
    let identity = Identity::plain(action);
    if stage.reuse(step, &identity)? {
        return Ok(());
    }
    let path = PathBuf::from(settings::workdir(&stage.config.config, dir));
    let mut space = stage.space.open()?;
    space.note_mounts(std::iter::empty())?;
    let made = make(&space.root, &path, &stage.config.config.user)?;
    stage.finished(step, &identity, made.then_some(space))
}

/// Makes a directory and its parents; says whether there was something to make.
fn make(root: &RootDir, path: &Path, owner: &str) -> Result<bool> {
    let shown = || format!("make the working directory `{}`", path.display());
    if let Ok(stat) = root.stat(path) {
        return match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(false),
            _ => Err(fail(Kind::Failed, format!("`{}` is there and is no directory", path.display()))),
        };
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|path| root.stat(path).is_err()).collect();
    let identity = user::identity(root, owner, &[]).with_context(shown)?;
    root.mkdir_all(path, Mode::from_raw_mode(0o755)).with_context(shown)?;
    for made in missing {
        file::chown_path(&root.resolve(made)?, identity.uid, identity.gid).with_context(shown)?;
    }
    Ok(true)
}
