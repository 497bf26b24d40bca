//! The blobs of one image, and its manifest when they are there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Job, Written};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Result};
use crate::base::id;
use crate::layer::Blob;
use crate::layer::codec::Compression;
use crate::ops::image::place::{self, Layers, Source};
use crate::ops::image::push::{ManifestFormat, compression_of};
use crate::registry::manifest::{self, Descriptor, ImageManifest};
use crate::registry::{Fetched, Open, Pushed};

/// Layers on their way at once.
const WORKERS: usize = 3;

impl Job<'_> {
    /// An image or an artifact.
    pub(super) fn image(
        &self,
        source: &dyn Source,
        fetched: Fetched,
        image: &ImageManifest,
    ) -> Result<Written> {
        let is_image =
            matches!(image.config.media_type.as_str(), manifest::OCI_CONFIG | manifest::DOCKER_CONFIG);
        if !is_image {
            return self.artifact(source, fetched, image);
        }
        let form = self.image_form(&fetched.media_type)?;
        let layers = self.each(&image.layers, &|layer| self.layer(source, layer, form))?;
        self.blob("config", source, &image.config)?;
        if layers == image.layers && form.manifest() == fetched.media_type {
            return Ok(fetched.into());
        }
        // The manifest with which an image of the store came is better than one that is made up.
        if let Some(original) = source.original(&layers)?
            && self.sink.takes(&original.media_type)
            && self.options.format.is_none_or(|format| format.manifest() == original.media_type)
        {
            return Ok(original.into());
        }
        self.may_change()?;
        write(image, layers, form)
    }

    /// What is no image goes as it is, whatever it is.
    fn artifact(&self, source: &dyn Source, fetched: Fetched, image: &ImageManifest) -> Result<Written> {
        if !self.sink.takes(&fetched.media_type) {
            crate::base::error::bail!("the destination takes no artifacts");
        }
        self.each(&image.layers, &|layer| self.blob("blob", source, layer))?;
        self.blob("config", source, &image.config)?;
        Ok(fetched.into())
    }

    /// Does the same with every layer, several at once. The first error ends it.
    fn each<T: Send>(
        &self,
        layers: &[Descriptor],
        act: &(dyn Fn(&Descriptor) -> Result<T> + Sync),
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(layers.len()));
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(layer) = layers.get(at) else { return };
                match act(layer) {
                    Ok(done) => outcomes.lock().unwrap_or_else(PoisonError::into_inner).push((at, done)),
                    Err(error) => {
                        next.store(layers.len(), Ordering::Relaxed);
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..WORKERS.min(layers.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcomes.sort_by_key(|(at, _)| *at);
        Ok(outcomes.into_iter().map(|(_, done)| done).collect())
    }

    /// One blob as it is.
    fn blob(&self, what: &str, source: &dyn Source, blob: &Descriptor) -> Result<()> {
        self.put(what, source, blob, &|| source.blob(blob))
    }

    fn put(&self, what: &str, source: &dyn Source, blob: &Descriptor, open: &Open<'_>) -> Result<()> {
        let task =
            self.progress.start(&format!("{what} {}", id::short(blob.digest.as_str())), Some(blob.size));
        let outcome = match self.sink.put(blob, source.repository(), open)? {
            Pushed::Uploaded => "done",
            Pushed::Mounted => "mounted",
            Pushed::Present => "skipped: already exists",
        };
        task.done(outcome);
        Ok(())
    }

    /// One layer, in the form that the destination wants. Gives its descriptor there.
    fn layer(&self, source: &dyn Source, layer: &Descriptor, form: ManifestFormat) -> Result<Descriptor> {
        let kind = layer.media_type.as_str();
        // Foreign layers are where their URLs say; whoever pulls them is told what they are.
        if kind.contains("foreign") || kind.contains("nondistributable") {
            return Ok(layer.clone());
        }
        // What is no archive of files (an attestation) stays what it is.
        let archive = kind.starts_with("application/vnd.oci.image.layer.v1.tar")
            || kind.starts_with("application/vnd.docker.image.rootfs.diff.tar");
        if !archive {
            self.blob("blob", source, layer)?;
            return Ok(layer.clone());
        }
        let now = compression_of(kind);
        let wanted = match (self.sink.layers(), now) {
            (Layers::Plain, _) => Compression::None,
            (Layers::Compressed, Compression::None) => self.options.compression.unwrap_or(Compression::Gzip),
            (Layers::Compressed, now) if self.options.force => self.options.compression.unwrap_or(now),
            (_, Compression::Zstd) if form == ManifestFormat::Docker => Compression::Gzip,
            (_, now) => now,
        };
        if wanted == now {
            self.blob("blob", source, layer)?;
            return described(layer, layer.digest.clone(), layer.size, form, wanted);
        }
        self.may_change()?;
        self.transcode(source, layer, now, wanted, form)
    }

    fn transcode(
        &self,
        source: &dyn Source,
        layer: &Descriptor,
        now: Compression,
        wanted: Compression,
        form: ManifestFormat,
    ) -> Result<Descriptor> {
        let forms =
            source.forms(layer).into_iter().filter(|known| compression_of(&known.media_type) == wanted);
        for known in forms {
            let there = described(layer, known.digest, known.size, form, wanted)?;
            if self.sink.has(&there)? {
                self.progress
                    .start(&format!("blob {}", id::short(there.digest.as_str())), Some(there.size))
                    .done("skipped: already exists");
                return Ok(there);
            }
        }
        let new = match (now, wanted) {
            (Compression::None, _) => place::compress(source, layer, (wanted, self.options.level), self.tmp)?,
            (_, Compression::None) => place::plain(source, layer, self.tmp)?,
            _ => {
                let plain = place::plain(source, layer, self.tmp)?;
                place::recompress(&plain, (wanted, self.options.level), self.tmp)?
            }
        };
        let there = described(layer, new.digest.clone(), new.size, form, wanted)?;
        self.put("blob", source, &there, &|| new.open())?;
        if wanted != Compression::None {
            let media_type = ManifestFormat::Oci.layer(wanted)?.to_owned();
            source.remember(layer, &Blob { digest: new.digest, media_type, size: new.size })?;
        }
        Ok(there)
    }
}

/// A layer's descriptor in this form; one that is in it already stays as it is.
fn described(
    layer: &Descriptor,
    digest: Digest,
    size: u64,
    form: ManifestFormat,
    compression: Compression,
) -> Result<Descriptor> {
    let media_type = form.layer(compression)?;
    let docker = layer.media_type.contains("docker");
    let same = layer.digest == digest && docker == (form == ManifestFormat::Docker);
    if same {
        return Ok(layer.clone());
    }
    let mut new = Descriptor { media_type: media_type.to_owned(), digest, size, ..layer.clone() };
    new.urls.clear();
    if form == ManifestFormat::Docker {
        new.annotations.clear();
    }
    Ok(new)
}

fn write(image: &ImageManifest, layers: Vec<Descriptor>, form: ManifestFormat) -> Result<Written> {
    let mut new = ImageManifest {
        media_type: Some(form.manifest().to_owned()),
        config: Descriptor { media_type: form.config().to_owned(), ..image.config.clone() },
        layers,
        ..image.clone()
    };
    if form == ManifestFormat::Docker {
        new.annotations.clear();
        (new.subject, new.artifact_type) = (None, None);
    }
    let bytes = serde_json::to_vec(&new).context("encode the manifest")?;
    Ok(Written { digest: Digest::of(&bytes), bytes, media_type: form.manifest().to_owned() })
}
