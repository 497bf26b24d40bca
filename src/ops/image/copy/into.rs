//! From a place into the own store: an image of the platform, or a list with all its images.

use std::collections::BTreeMap;

use super::{CopyOptions, Instances, NESTING};
use crate::base::digest::Digest;
use crate::base::error::{Result, bail};
use crate::image::archive::read::{check_types, pair};
use crate::image::list::List;
use crate::image::lists::local_source;
use crate::image::transport::Transport;
use crate::image::{Config, ListRecord, NewImage};
use crate::layer::Blob;
use crate::ops::context::Context;
use crate::ops::image::fetch::{self, Wanted};
use crate::ops::image::place::Source;
use crate::ops::progress::Progress;
use crate::registry::manifest::{Document, ImageManifest};
use crate::registry::{Fetched, Platform, Reference};

/// What came into the store.
#[derive(Debug, Clone)]
pub(in crate::ops::image) struct Kept {
    /// The image's or the list's id.
    pub(in crate::ops::image) id: Digest,
    /// The digest of its manifest or of the list.
    pub(in crate::ops::image) digest: Digest,
}

/// Stores what a place names. `place` is where images of a list are found later, if they are not brought.
pub(in crate::ops::image) fn store(
    context: &Context,
    source: &dyn Source,
    place: &Transport,
    names: &[Reference],
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<Kept> {
    context.enter_stage()?;
    let top = source.top()?;
    let job = Job { context, options, progress, place };
    job.document(source, top, names, &[], 0)
}

struct Job<'a> {
    context: &'a Context,
    options: &'a CopyOptions,
    progress: &'a dyn Progress,
    place: &'a Transport,
}

impl Job<'_> {
    fn document(
        &self,
        source: &dyn Source,
        fetched: Fetched,
        names: &[Reference],
        above: &[Digest],
        depth: usize,
    ) -> Result<Kept> {
        if depth > NESTING {
            bail!("lists of images are nested deeper than {NESTING}");
        }
        match &fetched.document {
            Document::Image(image) => self.image(source, &fetched, image, names, above),
            Document::Index(index) if self.options.instances == Instances::System => {
                let platform = self.options.from.platform.clone().unwrap_or_else(Platform::host);
                let instance = source.instance(index.choose(&platform)?)?;
                let above = [above, std::slice::from_ref(&fetched.digest)].concat();
                self.document(&*instance, instance.top()?, names, &above, depth + 1)
            }
            Document::Index(_) => self.list(source, &fetched, names, depth),
        }
    }

    fn image(
        &self,
        source: &dyn Source,
        fetched: &Fetched,
        image: &ImageManifest,
        names: &[Reference],
        above: &[Digest],
    ) -> Result<Kept> {
        check_types(image)?;
        let config_bytes = source.small(&image.config)?;
        let config = Config::parse(&config_bytes)?;
        let diff_ids = pair(&config, image.layers.len())?;
        let layers = image.layers.iter().zip(diff_ids);
        let wanted: Vec<Wanted<'_>> = layers
            .map(|(layer, diff_id)| Wanted {
                diff_id: diff_id.clone(),
                blob: Some(Blob {
                    digest: layer.digest.clone(),
                    media_type: layer.media_type.clone(),
                    size: layer.size,
                }),
                origin: Box::new(move || source.blob(layer)),
            })
            .collect();
        let committed = fetch::commit(self.context, &wanted, self.progress, &|infos| {
            Ok(NewImage {
                config: config_bytes.clone(),
                manifest: fetched.bytes.clone(),
                manifest_type: fetched.media_type.clone(),
                size: infos.iter().map(|info| info.size).sum(),
                names: names.to_vec(),
                digests: above.to_vec(),
            })
        })?;
        Ok(Kept { id: committed.id, digest: fetched.digest.clone() })
    }

    /// Every image of the list, then the list. Attestations and other things that are no images stay where they are.
    fn list(
        &self,
        source: &dyn Source,
        fetched: &Fetched,
        names: &[Reference],
        depth: usize,
    ) -> Result<Kept> {
        let list = List::parse(&fetched.bytes, Some(&fetched.media_type))?;
        let mut sources = BTreeMap::new();
        for (n, entry) in list.manifests.iter().enumerate() {
            let here = self.elsewhere(&entry.digest);
            let is_image = entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown");
            if self.options.instances == Instances::All && is_image {
                self.progress.message(&format!(
                    "Copying image {} ({}/{})",
                    entry.digest,
                    n + 1,
                    list.manifests.len()
                ));
                let instance = source.instance(&entry.descriptor())?;
                let kept = self.document(&*instance, instance.top()?, &[], &[], depth + 1)?;
                sources.insert(entry.digest.clone(), local_source(&kept.id));
            } else {
                sources.extend(here.map(|place| (entry.digest.clone(), place)));
            }
        }
        let text = String::from_utf8(fetched.bytes.clone())?;
        let committed = self.context.images().commit_list(ListRecord { text, sources }, names, false)?;
        Ok(Kept { id: committed.id, digest: fetched.digest.clone() })
    }

    /// Where an image of the list is when it is not brought.
    fn elsewhere(&self, digest: &Digest) -> Option<String> {
        match self.place {
            Transport::Registry(name) => Some(Transport::Registry(name.with_digest(digest)).to_string()),
            _ => None,
        }
    }
}
