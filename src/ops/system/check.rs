//! `system check`: what in the store is damaged, and putting it right.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, SystemTime};

use crate::base::digest::Digest;
use crate::base::error::{Collected, Result, render};
use crate::base::{id, time};
use crate::ops::container::rm::{RmOptions, rm};
use crate::ops::container::select::Selection;
use crate::ops::context::Context;
use crate::ops::image::{self, RemoveOptions};
use crate::ops::volumes;

/// What `system check` was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// `--quick`: the content of layers is not read.
    pub quick: bool,
    /// `--repair`: what is damaged goes, as far as nothing that works stands on it.
    pub repair: bool,
    /// `--force`: containers that stand on something damaged go too, and so do damaged volumes. Implies `repair`.
    pub force: bool,
    /// `--max`: layers that nothing refers to are a problem when they are older.
    pub max_age: Duration,
}

/// What is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Damage {
    Container(String),
    Image(Digest),
    Layer(Digest),
    Volume(String),
    Names,
    /// A layer that nothing refers to.
    Unused(Digest),
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Problem {
    damage: Damage,
    /// What it is, by kind and id.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// It was put right.
    pub repaired: bool,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Everything that is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// Bytes that a repair gave back.
    pub freed: u64,
}

/// Looks at every record and, unless it shall be quick, at the content of every layer. Errors of a repair come as the
/// second: what was found is told in any case.
pub fn check(ops: &Context, options: &CheckOptions) -> Result<(Checked, Result<()>)> {
    ops.enter_stage()?;
    let mut checked = Checked::default();
    {
        let _lock = ops.layers()?.lock_shared()?;
        containers(ops, &mut checked)?;
        images(ops, &mut checked)?;
        layers(ops, options, &mut checked)?;
        let (_, damaged) = ops.volumes().list()?;
        for (name, error) in damaged {
            let what = format!("volume `{name}`");
            checked.add(Damage::Volume(name), what, render(&error));
        }
    }
    let outcome = if options.repair || options.force { repair(ops, options, &mut checked) } else { Ok(()) };
    Ok((checked, outcome))
}

impl Checked {
    fn add(&mut self, damage: Damage, what: String, why: String) {
        self.problems.push(Problem { damage, what, why, repaired: false });
    }

    /// How many problems are left.
    pub fn left(&self) -> usize {
        self.problems.iter().filter(|problem| !problem.repaired).count()
    }
}

fn containers(ops: &Context, checked: &mut Checked) -> Result<()> {
    for (id, error) in ops.containers()?.damaged()? {
        let what = format!("container `{}`", id::short(&id));
        checked.add(Damage::Container(id), what, render(&error));
    }
    let store = ops.layers()?;
    for container in ops.containers()?.list()? {
        if let Some(layer) = container.config.rootfs.layers.iter().find(|layer| !store.has(layer)) {
            let what = format!("container `{}`", container.config.name);
            checked.add(Damage::Container(container.config.id), what, format!("its layer `{layer}` is gone"));
        }
    }
    Ok(())
}

fn images(ops: &Context, checked: &mut Checked) -> Result<()> {
    if let Err(error) = ops.images().check_names() {
        checked.add(Damage::Names, "the list of names".into(), render(&error));
    }
    let listing = ops.images().list()?;
    for image in listing.damaged {
        let what = format!("image `{}`", id::short(image.id.hex()));
        checked.add(Damage::Image(image.id), what, render(&image.error));
    }
    let store = ops.layers()?;
    for image in listing.images {
        let what = format!("image `{}`", id::short(image.id.hex()));
        if let Some(layer) = image.layers.iter().find(|layer| !store.has(layer)) {
            checked.add(Damage::Image(image.id), what, format!("its layer `{layer}` is gone"));
        } else if let Some(why) = records(&image) {
            checked.add(Damage::Image(image.id), what, why);
        }
    }
    Ok(())
}

/// What is wrong with an image's configuration and manifest.
fn records(image: &crate::image::Image) -> Option<String> {
    let bytes = match image.config_bytes().and_then(|bytes| Ok((bytes, image.manifest_bytes()?))) {
        Ok(bytes) => bytes,
        Err(error) => return Some(render(&error)),
    };
    let (config, manifest) = (Digest::of(&bytes.0), Digest::of(&bytes.1));
    if config != image.id {
        return Some(format!("its configuration has digest `{config}`"));
    }
    (manifest != image.manifest_digest).then(|| format!("its manifest has digest `{manifest}`"))
}

fn layers(ops: &Context, options: &CheckOptions, checked: &mut Checked) -> Result<()> {
    let store = ops.layers()?;
    let mut used: HashSet<Digest> = ops.images().layers_in_use(&[])?;
    used.extend(image::usage(ops)?.layers);
    for layer in store.diff_ids()? {
        let what = format!("layer `{}`", id::short(layer.hex()));
        let sound = store.info(&layer).and_then(|_| match options.quick {
            true => Ok(()),
            false => store.write_tar(&layer, &mut io::sink()),
        });
        if let Err(error) = sound {
            checked.add(Damage::Layer(layer), what, render(&error));
        } else if !used.contains(&layer) {
            let age = std::fs::metadata(store.diff_dir(&layer))
                .and_then(|data| data.created().or_else(|_| data.modified()))
                .ok()
                .and_then(|made| SystemTime::now().duration_since(made).ok())
                .unwrap_or_default();
            if age >= options.max_age {
                let why = format!("nothing has referred to it for {}", time::human(age));
                checked.add(Damage::Unused(layer), what, why);
            }
        }
    }
    Ok(())
}

/// Removes what is damaged: layers last, since images and containers stand on them.
fn repair(ops: &Context, options: &CheckOptions, checked: &mut Checked) -> Result<()> {
    let (mut errors, mut freed) = (Collected::default(), 0);
    let order = |damage: &Damage| match damage {
        Damage::Container(_) => 0,
        Damage::Names | Damage::Volume(_) => 1,
        Damage::Image(_) => 2,
        Damage::Layer(_) | Damage::Unused(_) => 3,
    };
    checked.problems.sort_by_key(|problem| order(&problem.damage));
    for problem in &mut checked.problems {
        let done = match &problem.damage {
            Damage::Container(id) => container(ops, id, options.force),
            Damage::Image(id) => remove_image(ops, id, options.force),
            Damage::Layer(layer) => remove_layer(ops, layer, options.force),
            Damage::Unused(layer) => sweep(ops, layer),
            Damage::Volume(name) if options.force => {
                volumes::remove(ops, name, true).map(|gone| Some(gone.1))
            }
            Damage::Volume(_) => Ok(None),
            // A change of nothing sets an unreadable list aside.
            Damage::Names => ops.images().renew_names().map(|()| Some(0)),
        };
        if let Some(Some(bytes)) = errors.note(done) {
            problem.repaired = true;
            freed += bytes;
        }
    }
    errors.note(ops.layers()?.sweep());
    checked.freed = freed;
    errors.finish()
}

/// A container without a readable record is good for nothing; one that can be read may hold what somebody needs.
fn container(ops: &Context, id: &str, force: bool) -> Result<Option<u64>> {
    if !force && ops.containers()?.get(id).is_ok() {
        return Ok(None);
    }
    remove_container(ops, id).map(Some)
}

fn remove_container(ops: &Context, id: &str) -> Result<u64> {
    let options =
        RmOptions { select: Selection::one(id), force: true, time: Some(0), ..RmOptions::default() };
    let (mut failed, mut freed) = (Collected::default(), 0);
    for done in rm(ops, &options)? {
        freed += failed.note(done.result).unwrap_or(0);
    }
    failed.finish().map(|()| freed)
}

/// Removes an image; its containers only by force. One without a readable record goes alone: containers have their own
/// list of its layers, and keep them.
fn remove_image(ops: &Context, id: &Digest, force: bool) -> Result<Option<u64>> {
    if !ops.images().contains(id) {
        return Ok(Some(0)); // with another one
    }
    if !force && ops.images().get(id).is_ok() && !image::usage(ops)?.of(id).is_empty() {
        return Ok(None);
    }
    let options = RemoveOptions { force: true, ..RemoveOptions::default() };
    let (removed, outcome) =
        image::remove(ops, &[id.to_string()], &options, &|ops, container| remove_container(ops, container));
    outcome.map(|()| Some(removed.freed))
}

/// Removes a layer with the images that have it; containers on it only by force.
fn remove_layer(ops: &Context, layer: &Digest, force: bool) -> Result<Option<u64>> {
    let on_it =
        |container: &crate::container::store::Container| container.config.rootfs.layers.contains(layer);
    let containers: Vec<_> = ops.containers()?.list()?.into_iter().filter(on_it).collect();
    if !containers.is_empty() && !force {
        return Ok(None);
    }
    let mut freed = 0;
    for container in containers {
        freed += remove_container(ops, &container.config.id)?;
    }
    for image in ops.images().list()?.images.iter().filter(|image| image.layers.contains(layer)) {
        match remove_image(ops, &image.id, force)? {
            Some(bytes) => freed += bytes,
            None => return Ok(None),
        }
    }
    Ok(sweep(ops, layer)?.map(|bytes| bytes + freed))
}

/// Removes a layer that nothing refers to.
fn sweep(ops: &Context, layer: &Digest) -> Result<Option<u64>> {
    image::remove_unused(ops, std::slice::from_ref(layer)).map(Some)
}
