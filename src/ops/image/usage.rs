//! Which containers use which images and layers.

use std::collections::{HashMap, HashSet};

use crate::base::digest::Digest;
use crate::base::error::Result;
use crate::container::record::MountSource;
use crate::ops::build;
use crate::ops::context::Context;

/// The containers' claims on images.
#[derive(Debug, Default)]
pub struct Usage {
    /// Image id to the ids of the containers that are made from it or mount it.
    pub containers: HashMap<Digest, Vec<String>>,
    /// Every layer below some container, or that builds keep.
    pub layers: HashSet<Digest>,
}

impl Usage {
    /// The containers that use an image.
    pub fn of(&self, image: &Digest) -> &[String] {
        self.containers.get(image).map_or(&[], Vec::as_slice)
    }

    fn note(&mut self, image: Option<&Digest>, layers: &[Digest], container: &str) {
        if let Some(image) = image {
            let users = self.containers.entry(image.clone()).or_default();
            if users.last().is_none_or(|last| last != container) {
                users.push(container.to_owned());
            }
        }
        self.layers.extend(layers.iter().cloned());
    }
}

/// Reads the records of all containers and of builds.
pub fn usage(context: &Context) -> Result<Usage> {
    let mut usage = Usage::default();
    for container in context.containers()?.list()? {
        let config = &container.config;
        usage.note(config.rootfs.image_id.as_ref(), &config.rootfs.layers, &config.id);
        for mount in &config.mounts {
            if let MountSource::Image { id, layers } = &mount.source {
                usage.note(Some(id), layers, &config.id);
            }
        }
    }
    usage.layers.extend(build::layers_in_use(context)?);
    Ok(usage)
}
