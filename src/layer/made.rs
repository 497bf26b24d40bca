//! Layers that are made here: a directory of changes becomes one where it stands, without passing through an archive
//! that is unpacked again. Its archive is written once, into nothing, to get the diff id and the record of how to
//! write it again.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::diff::{changes, top_of};
use super::exact::Recorder;
use super::info::VERSION;
use super::unpack::boot_id;
use super::{Change, ChangeKind, LayerInfo, Store, Times, TreeTar, place};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context, Result};
use crate::base::fs;
use crate::sys::file::{self, Timespec};
use crate::sys::rootdir::RootDir;

impl Store {
    /// Makes a layer of what was changed in `dir` (made by [`Store::create_dir_over`]) above `lowers`, lowest first.
    ///
    /// The upper directory is renamed into the store, so nobody writes to it any more; it may serve as a lower
    /// directory of mounts meanwhile. Where the store has the layer already, or on vfs, it stays for the caller to
    /// remove. The caller holds the store's lock, shared.
    pub fn adopt(&self, lowers: &[PathBuf], dir: &Path, times: Times) -> Result<LayerInfo> {
        let (top, whole) = top_of(dir);
        let changes = changes(lowers, &top, whole)?;
        if whole { self.adopt_copy(&top, &changes, times) } else { self.adopt_upper(&top, &changes, times) }
    }

    /// Makes one layer of everything by which the tree `top` differs from `lowers`.
    pub fn squash(&self, lowers: &[PathBuf], top: &Path, times: Times) -> Result<LayerInfo> {
        self.adopt_copy(top, &changes(lowers, top, true)?, times)
    }

    /// Gives what was changed in `dir` above `lowers` the times that its archive will have, so that who mounts it sees
    /// the same as who unpacks it.
    pub fn set_times(&self, lowers: &[PathBuf], dir: &Path, times: Times) -> Result<()> {
        let (top, whole) = top_of(dir);
        if times == Times::Kept {
            return Ok(());
        }
        let root = RootDir::open(&top).with_context(|| format!("open `{}`", top.display()))?;
        // Deepest first: what changes a directory's time comes before it.
        for change in
            changes(lowers, &top, whole)?.iter().rev().filter(|change| change.kind != ChangeKind::Deleted)
        {
            let (parent, name) = root.parent(&change.path)?;
            let stat = file::stat_at(&parent, Path::new(&name))?;
            let time = Timespec { tv_sec: times.of(stat.st_mtime), tv_nsec: 0 };
            file::set_mtime_at(&parent, Path::new(&name), time)?;
        }
        Ok(())
    }

    fn adopt_upper(&self, upper: &Path, changes: &[Change], times: Times) -> Result<LayerInfo> {
        let staging = self.stage()?;
        let mut recorder = Recorder::create(staging.path())?;
        let mut hashed = Counted::new(std::io::sink(), Algorithm::Sha256);
        let held = {
            let mut out = BufWriter::with_capacity(128 << 10, &mut hashed);
            let mut tar = TreeTar::recorded(upper, &mut recorder, &mut out)?;
            tar.set_times(times);
            tar.changes(changes.iter())?;
            let held = tar.held();
            tar.finish()?;
            std::io::Write::flush(&mut out).context("hash the layer")?;
            held
        };
        recorder.finish()?;
        let (_, diff_id, tar_size) = hashed.finish();
        let _lock = self.lock_layer(&diff_id)?;
        if self.has(&diff_id) {
            return self.info(&diff_id);
        }
        // The archive does not describe the root.
        file::set_mtime_at(rustix::fs::CWD, upper, place::UNDESCRIBED)?;
        fs::rename(upper, &staging.path().join("diff"))?;
        self.commit(staging, info(diff_id, held.size, tar_size, held.entries)?)
    }

    /// A whole copy holds much that is no change: what is goes through an archive.
    fn adopt_copy(&self, top: &Path, changes: &[Change], times: Times) -> Result<LayerInfo> {
        let (reader, writer) = std::io::pipe().context("make a pipe")?;
        std::thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut out = BufWriter::with_capacity(256 << 10, writer);
                let mut tar = TreeTar::new(top, None, &mut out)?;
                tar.set_times(times);
                tar.changes(changes.iter())?;
                tar.finish()?;
                std::io::Write::flush(&mut out).context("write the layer")
            });
            let unpacked = self.unpack_new(&mut std::io::BufReader::new(reader), &|_| {});
            let written =
                writing.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the archive's writer panicked")));
            match (unpacked, written) {
                (Ok(info), Ok(())) => Ok(info),
                (Ok(_), Err(error)) => Err(error),
                (Err(error), _) => Err(error),
            }
        })
    }
}

fn info(diff_id: Digest, size: u64, tar_size: u64, entries: u64) -> Result<LayerInfo> {
    Ok(LayerInfo {
        version: VERSION,
        diff_id,
        size,
        tar_size,
        entries,
        blobs: Vec::new(),
        skipped_devices: Vec::new(),
        ignored_owners: 0,
        boot_id: boot_id()?,
    })
}
