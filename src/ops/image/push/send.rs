//! An image into a registry, with as little sending as possible.
//!
//! A layer goes in a form that the registry has already, where one is known: the store remembers the compressed forms
//! of a layer that were seen, and the registry may take them from another of its repositories. Otherwise it is
//! compressed while it is sent, several layers at once, and the store then remembers the digest, so that the next push
//! of it sends nothing.

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

use super::compress::{self, Way};
use super::manifest::{ManifestFormat, Sent, compression_of, manifest};
use super::{PushOptions, PushedImage};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Result, anyhow};
use crate::base::id;
use crate::image::Image;
use crate::layer::codec::Compression;
use crate::layer::{Blob, LayerInfo, Store};
use crate::ops::context::Context;
use crate::ops::progress::{Progress, Task};
use crate::registry::{Client, Grown, Pushed, Reference};

/// Layers sent at once.
const WORKERS: usize = 3;
/// An archive up to this size is compressed in memory and sent whole, which takes fewer requests.
const SMALL: u64 = 4 << 20;
/// How many repositories are asked for one blob.
const ASKED: usize = 3;

/// Pushes an image.
pub(super) fn push(
    context: &Context,
    image: &Image,
    client: Client,
    to: Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<PushedImage> {
    let layers = context.layers()?;
    let _lock = layers.lock_shared()?; // nobody removes the layers while they are read
    let elsewhere = elsewhere(context, image, &to)?;
    let job = Job { client, to, options, progress, layers, elsewhere, stop: AtomicBool::new(false) };
    let sent = job.layers(&image.layers)?;
    job.config(image)?;
    let (bytes, media_type) = manifest(image, &job.to, &sent, options.format)?;
    progress.message("Writing manifest to image destination");
    let digest = job.client.push_manifest(&job.to, &bytes, &media_type)?;
    Ok(PushedImage { name: job.to.full(), digest })
}

/// Repositories of the same registry that, by the names of images here, may have a layer.
fn elsewhere(context: &Context, image: &Image, to: &Reference) -> Result<HashMap<Digest, Vec<String>>> {
    let mut found: HashMap<Digest, Vec<String>> = HashMap::new();
    for other in context.images().list()?.images {
        let names = other.names.iter().filter_map(|name| Reference::parse(name).ok());
        let repositories: Vec<String> = names
            .filter(|name| name.registry == to.registry && name.repository != to.repository)
            .map(|name| name.repository)
            .collect();
        if repositories.is_empty() {
            continue;
        }
        for layer in image.layers.iter().filter(|layer| other.layers.contains(layer)) {
            found.entry(layer.clone()).or_default().extend(repositories.iter().cloned());
        }
    }
    for repositories in found.values_mut() {
        repositories.sort();
        repositories.dedup();
        repositories.truncate(ASKED);
    }
    Ok(found)
}

struct Job<'a> {
    client: Client,
    to: Reference,
    options: &'a PushOptions,
    progress: &'a dyn Progress,
    layers: &'a Store,
    elsewhere: HashMap<Digest, Vec<String>>,
    stop: AtomicBool,
}

impl Job<'_> {
    /// Brings all layers there, several at once; the first error stops the others.
    fn layers(&self, layers: &[Digest]) -> Result<Vec<Sent>> {
        let next = AtomicUsize::new(0);
        let sent: Mutex<HashMap<Digest, Sent>> = Mutex::default();
        let failure: Mutex<Option<Error>> = Mutex::default();
        let mut distinct: Vec<&Digest> = Vec::new();
        for layer in layers {
            if !distinct.contains(&layer) {
                distinct.push(layer);
            }
        }
        let (distinct, locked) = (&distinct, || sent.lock().unwrap_or_else(PoisonError::into_inner));
        std::thread::scope(|scope| {
            let work = || {
                while let Some(layer) = distinct.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if self.stop.load(Ordering::Relaxed) {
                        return;
                    }
                    match self.layer(scope, layer) {
                        Ok(one) => drop(locked().insert((*layer).clone(), one)),
                        Err(error) => {
                            self.stop.store(true, Ordering::Relaxed);
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        }
                    }
                }
            };
            let others: Vec<_> = (1..WORKERS.min(distinct.len())).map(|_| scope.spawn(work)).collect();
            work();
            others.into_iter().for_each(|other| drop(other.join()));
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
        let one =
            |layer: &Digest| sent.get(layer).cloned().ok_or_else(|| anyhow!("layer `{layer}` was not sent"));
        layers.iter().map(one).collect()
    }

    fn task(&self, what: &str, digest: &Digest, size: Option<u64>) -> Box<dyn Task> {
        self.progress.start(&format!("{what} {}", id::short(digest.as_str())), size)
    }

    fn config(&self, image: &Image) -> Result<()> {
        let bytes = image.config_bytes()?;
        let task = self.task("config", &image.id, Some(bytes.len() as u64));
        let open = || -> Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(bytes.clone()))) };
        let pushed = self.client.push_blob(&self.to, &image.id, bytes.len() as u64, &[], &open)?;
        task.done(outcome(pushed));
        Ok(())
    }

    /// Brings one layer there.
    fn layer<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, layer: &'scope Digest) -> Result<Sent> {
        let info = self.layers.info(layer)?;
        let forms: Vec<&Blob> = info.blobs.iter().filter(|blob| self.fits(blob)).collect();
        for blob in &forms {
            if let Some(size) = self.client.has_blob(&self.to, &blob.digest)? {
                self.task("blob", &blob.digest, Some(size)).done(outcome(Pushed::Present));
                return Ok(of_form(blob, size));
            }
        }
        let way = Way {
            compression: self.options.compression.unwrap_or(Compression::Gzip),
            level: self.options.level,
        };
        let known = forms.first().copied();
        if info.tar_size <= SMALL {
            self.whole(&info, known, way)
        } else {
            self.stream(scope, layer, known, way)
        }
    }

    /// Whether a form of a layer may be taken as it is.
    fn fits(&self, blob: &Blob) -> bool {
        let compression = compression_of(&blob.media_type);
        let asked = self.options.compression;
        let strict = self.options.force || asked.is_some();
        let format = self.options.format.unwrap_or(ManifestFormat::Oci);
        (!strict || compression == asked.unwrap_or(Compression::Gzip)) && format.layer(compression).is_ok()
    }

    fn repositories(&self, layer: &Digest) -> &[String] {
        self.elsewhere.get(layer).map_or(&[], Vec::as_slice)
    }

    /// Compresses in memory, then sends what is not there yet.
    fn whole(&self, info: &LayerInfo, known: Option<&Blob>, way: Way) -> Result<Sent> {
        let layer = &info.diff_id;
        if let Some(blob) = known
            && self.client.mount_blob(&self.to, &blob.digest, self.repositories(layer))?
        {
            self.task("blob", &blob.digest, Some(blob.size)).done(outcome(Pushed::Mounted));
            return Ok(of_form(blob, blob.size));
        }
        let (bytes, digest, size) = compress::whole(self.layers, layer, way, Vec::new())?;
        let task = self.task("blob", &digest, Some(size));
        let open = || -> Result<Box<dyn Read + Send>> { Ok(Box::new(&bytes[..])) };
        let pushed = self.client.push_blob(&self.to, &digest, size, self.repositories(layer), &open)?;
        task.done(outcome(pushed));
        self.remember(layer, Sent { digest, size, compression: way.compression })
    }

    /// Compresses while sending.
    fn stream<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        layer: &'scope Digest,
        known: Option<&Blob>,
        way: Way,
    ) -> Result<Sent> {
        let task: Arc<dyn Task> =
            Arc::from(self.task("blob", known.map_or(layer, |blob| &blob.digest), None));
        let grow = || {
            let blob = compress::start(scope, self.layers, layer, way, task.clone())?;
            Ok(Box::new(blob) as Box<dyn crate::registry::Growing + 'scope>)
        };
        let digest = known.map(|blob| &blob.digest);
        let grown = self.client.push_stream(&self.to, digest, self.repositories(layer), &grow)?;
        match (grown, known) {
            (Grown::Uploaded(digest, size), _) => {
                task.done(outcome(Pushed::Uploaded));
                self.remember(layer, Sent { digest, size, compression: way.compression })
            }
            (Grown::Mounted, Some(blob)) => {
                task.done(outcome(Pushed::Mounted));
                Ok(of_form(blob, blob.size))
            }
            (Grown::Mounted, None) => Err(anyhow!("a blob was mounted that nobody asked for")),
        }
    }

    fn remember(&self, layer: &Digest, sent: Sent) -> Result<Sent> {
        let media_type = ManifestFormat::Oci.layer(sent.compression)?.to_owned();
        let blob = Blob { digest: sent.digest.clone(), media_type, size: sent.size };
        self.layers.remember_blob(layer, &blob).context("remember the compressed form")?;
        Ok(sent)
    }
}

fn of_form(blob: &Blob, size: u64) -> Sent {
    Sent { digest: blob.digest.clone(), size, compression: compression_of(&blob.media_type) }
}

fn outcome(pushed: Pushed) -> &'static str {
    match pushed {
        Pushed::Present => "skipped: already exists",
        Pushed::Mounted => "mounted from another repository",
        Pushed::Uploaded => "done",
    }
}
