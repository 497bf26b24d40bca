//! From what the target stage came to, to an image with its names.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::job::Job;
use super::settings::set_env;
use super::stage::Done;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result};
use crate::base::time;
use crate::image::config::History;
use crate::image::{Config, NewImage};
use crate::layer::MountRequest;
use crate::ops::image;

/// Commits the image; its id.
pub(super) fn commit(job: &Job<'_>, done: Done) -> Result<Digest> {
    let result = &job.options.result;
    let plain = result.labels.is_empty() && result.env.is_empty() && result.unset_env.is_empty();
    let plain = plain && result.annotations.is_empty() && !result.squash_all && !result.identity_label;
    if let Some(id) = done.image.as_ref().filter(|_| plain) {
        job.ops.images().tag(id, &job.options.names)?;
        return Ok(id.clone());
    }
    let _lock = job.ops.layers()?.lock_shared()?;
    let mut config = done.config;
    if result.squash || result.squash_all {
        squash(job, &mut config, done.inherited)?;
    }
    finish(job, &mut config);
    let mut annotations = BTreeMap::new();
    if let Some(from) = done.from.filter(|_| !result.docker) {
        annotations
            .insert("org.opencontainers.image.base.digest".to_owned(), from.digest.as_str().to_owned());
        annotations.insert("org.opencontainers.image.base.name".to_owned(), from.name);
    }
    annotations.extend(result.annotations.clone());
    let new = image::assemble(job.ops, &config, result.docker, &annotations)?;
    let committed = job.ops.images().commit(&NewImage { names: job.options.names.clone(), ..new })?;
    Ok(committed.id)
}

/// What flags say about the configuration, after all instructions.
fn finish(job: &Job<'_>, config: &mut Config) {
    let result = &job.options.result;
    let created = match job.fixed {
        Some(fixed) => fixed.to_string(),
        None => config.created.clone().unwrap_or_else(|| time::now().to_string()),
    };
    config.created = Some(created.clone());
    let note = |created_by: String| History {
        created: Some(created.clone()),
        created_by: format!("/bin/sh -c #(nop) {created_by}"),
        empty_layer: true,
        ..History::default()
    };
    let pairs = |pairs: &[(String, String)]| -> String {
        pairs.iter().map(|(name, value)| format!(" {name:?}={value:?}")).collect()
    };
    if !result.env.is_empty() {
        result.env.iter().for_each(|(name, value)| set_env(&mut config.config.env, name, value));
        config.history.push(note(format!("ENV{}", pairs(&result.env))));
    }
    config.config.env.retain(|line| {
        let name = line.split('=').next().unwrap_or_default();
        !result.unset_env.iter().any(|unset| unset == name)
    });
    if !result.labels.is_empty() {
        config.config.labels.extend(result.labels.iter().cloned());
        config.history.push(note(format!("LABEL{}", pairs(&result.labels))));
    }
    if result.identity_label {
        config.config.labels.insert("io.dhow.version".into(), env!("CARGO_PKG_VERSION").into());
    }
    if result.omit_history {
        config.history.clear();
    }
}

/// Makes one layer of those that the build added, or of all.
fn squash(job: &Job<'_>, config: &mut Config, inherited: (usize, usize)) -> Result<()> {
    let store = job.ops.layers()?;
    let all = job.options.result.squash_all;
    let (layers, history) = if all { (0, 0) } else { inherited };
    let added = config.rootfs.diff_ids.len() - layers;
    if added > 1 || (all && added == 1) {
        let request = MountRequest { layers: &config.rootfs.diff_ids, ..MountRequest::default() };
        let mounted = store.mount(&request)?;
        let top = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_raw_fd()));
        let below = store.lower_dirs(&config.rootfs.diff_ids[..layers])?;
        let layer = store.squash(&below, Path::new(&top), job.times).context("squash the layers")?;
        config.rootfs.diff_ids.truncate(layers);
        config.rootfs.diff_ids.push(layer.diff_id);
        collapse(&mut config.history, history);
    }
    Ok(())
}

/// History with one layer in its newer part: its last entry stands for all.
fn collapse(history: &mut Vec<History>, from: usize) {
    let Some(last) = history.len().checked_sub(1).filter(|last| *last >= from) else { return };
    for (at, entry) in history.iter_mut().enumerate().skip(from) {
        entry.empty_layer = at != last;
    }
}
