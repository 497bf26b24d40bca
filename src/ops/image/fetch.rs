//! Bringing the layers of an image into the store, several at once, wherever they come from.

use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ahead::Unpacked;
use super::usage::usage;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Result, anyhow};
use crate::base::id;
use crate::image::{Committed, NewImage};
use crate::layer::{self, Blob, LayerInfo};
use crate::ops::context::Context;
use crate::ops::progress::{Progress, Task};
use crate::sys::process::{self, Forked};

/// Layers fetched at once.
const WORKERS: usize = 3;
/// How often a commit begins anew because layers were removed meanwhile.
const ATTEMPTS: usize = 5;

/// A layer that is wanted.
pub(super) struct Wanted<'a> {
    /// What it must unpack to.
    pub(super) diff_id: Digest,
    /// The blob that it comes as, where that is known.
    pub(super) blob: Option<Blob>,
    /// Where its bytes come from.
    pub(super) origin: Box<dyn Origin + 'a>,
}

/// Where the bytes of a layer come from.
pub(super) trait Origin: Sync {
    /// Opens them, compressed or not; they verify themselves at their end.
    fn open(&self) -> Result<Box<dyn Read + Send>>;

    /// What was kept of them for another try shall not stay.
    fn forget(&self) {}

    /// Whether the connection broke, so that what was kept is worth keeping.
    fn broke(&self) -> bool {
        false
    }

    /// Whether they began with bytes kept of an earlier try, which may be wrong.
    fn resumed(&self) -> bool {
        false
    }
}

impl<F: Fn() -> Result<Box<dyn Read + Send>> + Sync> Origin for F {
    fn open(&self) -> Result<Box<dyn Read + Send>> {
        self()
    }
}

/// Makes sure that all layers are in the store, then commits what `image` makes of them. On failure, layers that nothing
/// refers to are removed again.
pub(super) fn commit(
    context: &Context,
    wanted: &[Wanted<'_>],
    progress: &dyn Progress,
    image: &dyn Fn(&[LayerInfo]) -> Result<NewImage>,
) -> Result<Committed> {
    let layers = context.layers()?;
    let diff_ids: Vec<Digest> = wanted.iter().map(|wanted| wanted.diff_id.clone()).collect();
    let complete = diff_ids.iter().all(|layer| layers.has(layer));
    if !complete {
        layers.sweep()?; // what killed commands left half-made gives its space back first
    }
    let outcome = fetch_and_commit(context, layers, wanted, progress, image);
    match &outcome {
        Ok(_) if complete => {}
        Ok(_) => sync_later(layers, &diff_ids),
        Err(_) => {
            let _ = remove_unused(context, &diff_ids); // the first error is the one to tell
        }
    }
    outcome
}

/// Makes layers durable in a process of its own, for which nobody waits: a power cut before it is done costs a
/// verification of the layers, not the layers.
fn sync_later(layers: &layer::Store, diff_ids: &[Digest]) {
    // A fork with other threads around could inherit their locks.
    let threads = crate::base::fs::read_dir(std::path::Path::new("/proc/self/task"));
    if !threads.is_ok_and(|threads| threads.len() == 1) {
        return;
    }
    if let Ok(Forked::Child) = process::clone3(0, None) {
        let _ = rustix::process::setsid();
        if let Ok(null) = crate::base::fs::open(std::path::Path::new("/dev/null")) {
            for standard in 0..3 {
                let _ = process::dup_onto(null.as_fd(), standard); // nobody shall wait for our end of a pipe
            }
        }
        let _ = process::close_from(3, &[]);
        let synced = layers.sync_if_needed(diff_ids);
        process::exit_now(i32::from(synced.is_err()));
    }
}

fn fetch_and_commit(
    context: &Context,
    layers: &layer::Store,
    wanted: &[Wanted<'_>],
    progress: &dyn Progress,
    image: &dyn Fn(&[LayerInfo]) -> Result<NewImage>,
) -> Result<Committed> {
    for _ in 0..ATTEMPTS {
        fetch(layers, wanted, progress)?;
        // From here to the commit nobody removes layers; somebody may have until here.
        let _lock = layers.lock_shared()?;
        if wanted.iter().all(|wanted| layers.has(&wanted.diff_id)) {
            let infos =
                wanted.iter().map(|wanted| layers.info(&wanted.diff_id)).collect::<Result<Vec<_>>>()?;
            return context.images().commit(&image(&infos)?);
        }
    }
    Err(anyhow!("layers of the image were removed again and again while it was being committed"))
}

/// Fetches what is missing. The first error stops the others.
fn fetch(layers: &layer::Store, wanted: &[Wanted<'_>], progress: &dyn Progress) -> Result<()> {
    let missing: Vec<&Wanted<'_>> = wanted
        .iter()
        .filter(|wanted| {
            let here = layers.has(&wanted.diff_id);
            if here {
                progress.start(&label(wanted), None).done("skipped: already exists");
            }
            !here
        })
        .collect();
    let (next, stop) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || {
        while let Some(wanted) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            if let Err(error) = fetch_one(layers, wanted, progress, &stop) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..WORKERS.min(missing.len()) {
            scope.spawn(work);
        }
        work();
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    // After a broken connection the next pull goes on with what is there; of a refused image nothing stays.
    if failure.is_some() && !missing.iter().any(|wanted| wanted.origin.broke()) {
        missing.iter().for_each(|wanted| wanted.origin.forget());
    }
    failure.map_or(Ok(()), Err)
}

fn label(wanted: &Wanted<'_>) -> String {
    let digest = wanted.blob.as_ref().map_or(&wanted.diff_id, |blob| &blob.digest);
    format!("blob {}", id::short(digest.as_str()))
}

/// One layer. Its lock is taken before anything is asked for: of many pulls at once, one downloads.
fn fetch_one(
    layers: &layer::Store,
    wanted: &Wanted<'_>,
    progress: &dyn Progress,
    stop: &Arc<AtomicBool>,
) -> Result<()> {
    let task: Arc<dyn Task> =
        Arc::from(progress.start(&label(wanted), wanted.blob.as_ref().map(|blob| blob.size)));
    let lock = layers.lock_layer(&wanted.diff_id)?;
    if layers.has(&wanted.diff_id) {
        task.done("skipped: already exists");
        return Ok(());
    }
    let unpack = || {
        let mut tar = Unpacked::start(wanted.origin.open()?, stop.clone(), task.clone())?;
        layers
            .unpack_locked(&lock, &wanted.diff_id, &mut tar, &|_| {})
            .with_context(|| format!("unpack layer `{}`", wanted.diff_id))
    };
    let origin = &wanted.origin;
    match unpack() {
        Err(_) if !stop.load(Ordering::Relaxed) && origin.resumed() && !origin.broke() => {
            origin.forget();
            unpack()?
        }
        other => other?,
    };
    origin.forget();
    drop(lock);
    if let Some(blob) = &wanted.blob {
        layers.remember_blob(&wanted.diff_id, blob)?;
    }
    task.done("done");
    Ok(())
}

/// Removes those of these layers that no image and no container uses; gives the bytes that came back.
pub fn remove_unused(context: &Context, layers: &[Digest]) -> Result<u64> {
    let store = context.layers()?;
    if !layers.iter().any(|layer| store.has(layer)) {
        return Ok(0);
    }
    let _lock = store.lock_exclusive()?;
    sweep_layers(context, layers)
}

/// As [`remove_unused`], for who holds the exclusive store lock.
pub fn sweep_layers(context: &Context, layers: &[Digest]) -> Result<u64> {
    let store = context.layers()?;
    let (by_images, usage) = (context.images().layers_in_use(&[])?, usage(context)?);
    let mut freed = 0;
    for layer in layers {
        if !by_images.contains(layer) && !usage.layers.contains(layer) {
            freed += store.remove(layer)?;
        }
    }
    Ok(freed)
}
