//! `system reset`: everything goes, as if dhow had never run here.

use crate::base::error::{Collected, Result};
use crate::base::fs;
use crate::layer::tree;
use crate::ops::container::rm::{RmOptions, rm};
use crate::ops::container::select::Selection;
use crate::ops::context::Context;
use crate::ops::image;

/// What dhow makes below its root. Only this goes: the root may be a directory that holds other things too.
const OWN: [&str; 15] = [
    "artifacts",
    "build",
    "containers",
    "events",
    "format",
    "images",
    "layers",
    "lock",
    "names.json",
    "names.lock",
    "networks",
    "partial",
    "secrets",
    "staging",
    "volumes",
];

/// What dhow makes below its run root.
const OWN_RUN: [&str; 4] = ["containers", "mounts", "networks", "runtime"];

/// Ends and removes all containers, then removes everything that dhow keeps.
pub fn reset(ops: &Context) -> Result<()> {
    ops.enter_stage()?;
    let mut errors = Collected::default();
    let damaged = ops.containers()?.damaged()?.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let all = Selection { all: true, ..Selection::default() };
    let broken = Selection { names: damaged.clone(), ..Selection::default() };
    for select in [all, broken] {
        if !select.all && damaged.is_empty() {
            continue;
        }
        let options = RmOptions { select, force: true, volumes: true, time: Some(0), depend: true };
        for done in errors.note(rm(ops, &options)).unwrap_or_default() {
            errors.note(done.result);
        }
    }
    if !ops.roots.rootless {
        errors.note(image::unmount(ops, &[], true).1);
    }
    // A container that could not be ended still stands on its files.
    errors.finish()?;
    let mut errors = Collected::default();
    {
        let _lock = ops.layers()?.lock_exclusive()?;
        for name in OWN {
            errors.note(tree::remove(&ops.roots.root.join(name)));
        }
        for entry in fs::read_dir(&ops.roots.root)? {
            if entry.file_name().to_string_lossy().starts_with("names.json.damaged-") {
                errors.note(fs::remove_file(&entry.path()));
            }
        }
    }
    for name in OWN_RUN {
        errors.note(tree::remove(&ops.roots.run.join(name)));
    }
    errors.finish()
}
