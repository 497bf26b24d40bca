//! `system df`: what the store takes on disk. Bytes as du(1) counts them; what is shared counts once.

use std::collections::{HashMap, HashSet};

use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::container::record::MountSource;
use crate::container::store::Container;
use crate::image::Image;
use crate::layer::usage::size;
use crate::ops::build;
use crate::ops::context::Context;
use crate::ops::image::{self, Share};
use crate::ops::volumes::{self, Listed};

/// Bytes on disk, and those of them that the removal of what is not in use would give back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// All.
    pub size: u64,
    /// Reclaimable.
    pub reclaimable: u64,
}

/// One line of `system df`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// `Images`, `Containers`, `Local Volumes`, `Build Cache`.
    pub kind: &'static str,
    /// How many.
    pub total: usize,
    /// How many of them are in use.
    pub active: usize,
    /// What they take.
    pub bytes: Bytes,
}

/// An image of `system df --verbose`.
#[derive(Debug)]
pub struct ImageUsage {
    /// The image.
    pub image: Image,
    /// Its layers on disk, by whether other images have them too.
    pub share: Share,
    /// How many containers use it.
    pub containers: usize,
}

/// A container of `system df --verbose`.
#[derive(Debug)]
pub struct ContainerUsage {
    /// The container.
    pub container: Container,
    /// How many volumes it has.
    pub volumes: usize,
    /// What it takes beside its image.
    pub size: u64,
}

/// A volume of `system df --verbose`.
#[derive(Debug)]
pub struct VolumeUsage {
    /// The volume, with the containers that use it.
    pub listed: Listed,
    /// What is in it.
    pub size: u64,
}

/// Everything that was measured.
#[derive(Debug)]
pub struct Detailed {
    /// Newest first.
    pub images: Vec<ImageUsage>,
    /// Oldest first.
    pub containers: Vec<ContainerUsage>,
    /// By name.
    pub volumes: Vec<VolumeUsage>,
    /// What layers and records of images take together, every layer once.
    pub image_bytes: Bytes,
}

/// Measures the store: a line a kind.
pub fn df(ops: &Context) -> Result<Vec<Usage>> {
    let all = detailed(ops)?;
    let used = all.images.iter().filter(|one| one.containers > 0).count();
    let alive = all.containers.iter().filter(|one| one.container.is_alive());
    let mounted = all.volumes.iter().filter(|one| !one.listed.users.is_empty());
    let usage = |kind, total, active, bytes| Usage { kind, total, active, bytes };
    let containers = all.containers.iter().map(|one| (one.size, one.container.is_alive()));
    let volumes = all.volumes.iter().map(|one| (one.size, !one.listed.users.is_empty()));
    Ok(vec![
        usage("Images", all.images.len(), used, all.image_bytes),
        usage("Containers", all.containers.len(), alive.count(), sum(containers)),
        usage("Local Volumes", all.volumes.len(), mounted.count(), sum(volumes)),
        build_cache(ops)?,
    ])
}

/// Adds up sizes with whether their owner is in use.
fn sum(sizes: impl Iterator<Item = (u64, bool)>) -> Bytes {
    sizes.fold(Bytes::default(), |all, (size, used)| Bytes {
        size: all.size + size,
        reclaimable: all.reclaimable + if used { 0 } else { size },
    })
}

/// Measures everything in the store, each on its own.
pub fn detailed(ops: &Context) -> Result<Detailed> {
    ops.enter_stage()?;
    let (images, image_bytes) = images(ops)?;
    Ok(Detailed { images, containers: containers(ops)?, volumes: volumes_of(ops)?, image_bytes })
}

fn images(ops: &Context) -> Result<(Vec<ImageUsage>, Bytes)> {
    let (listing, used) = (ops.images().list()?, image::usage(ops)?);
    let store = ops.layers()?;
    let mut on_disk: HashMap<Digest, u64> = HashMap::new();
    let of_builds = layers_of_builds(ops)?;
    for layer in store.diff_ids()?.into_iter().filter(|layer| !of_builds.contains(layer)) {
        let bytes = size(store.diff_dir(&layer).parent().unwrap_or(store.root()))?;
        on_disk.insert(layer, bytes);
    }
    let active = listing.images.iter().filter(|image| !used.of(&image.id).is_empty());
    let needed: HashSet<&Digest> = active.flat_map(|image| &image.layers).chain(&used.layers).collect();
    let mut bytes = sum(on_disk.iter().map(|(layer, bytes)| (*bytes, needed.contains(layer))));
    for image in &listing.images {
        let records = size(&ops.images().dir(&image.id))?;
        bytes.size += records;
        bytes.reclaimable += if used.of(&image.id).is_empty() { records } else { 0 };
    }
    let all: Vec<&Image> = listing.images.iter().collect();
    let shares = image::shares(&all, &|layer| on_disk.get(layer).copied().unwrap_or(0));
    let usage = |(image, share): (Image, Share)| {
        let containers = used.of(&image.id).len();
        ImageUsage { image, share, containers }
    };
    Ok((listing.images.into_iter().zip(shares).map(usage).collect(), bytes))
}

fn containers(ops: &Context) -> Result<Vec<ContainerUsage>> {
    let measured = |container: Container| {
        let is_volume = |source: &MountSource| matches!(source, MountSource::Volume { .. });
        let volumes = container.config.mounts.iter().filter(|mount| is_volume(&mount.source)).count();
        Ok(ContainerUsage { size: size(&container.dir)?, volumes, container })
    };
    ops.containers()?.list()?.into_iter().map(measured).collect()
}

fn volumes_of(ops: &Context) -> Result<Vec<VolumeUsage>> {
    let (listed, _) = volumes::list(ops, &[])?;
    listed.into_iter().map(|listed| Ok(VolumeUsage { size: size(&listed.mountpoint)?, listed })).collect()
}

/// Layers that only builds keep: they count as build cache.
fn layers_of_builds(ops: &Context) -> Result<HashSet<Digest>> {
    let of_images = ops.images().layers_in_use(&[])?;
    Ok(build::layers_in_use(ops)?.into_iter().filter(|layer| !of_images.contains(layer)).collect())
}

fn build_cache(ops: &Context) -> Result<Usage> {
    let kept = build::kept(ops)?;
    let bytes = Bytes { size: kept.bytes, reclaimable: kept.bytes };
    Ok(Usage { kind: "Build Cache", total: kept.count, active: 0, bytes })
}
