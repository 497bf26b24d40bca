//! From an archive to a layer: what is made, proven and committed. How its bytes travel: [`super::pipeline`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::exact::Recorder;
use super::extract::{Extractor, Options as ExtractOptions, Purpose, Report};
use super::info::VERSION;
use super::pipeline::{self, Source};
use super::staging::{ObjectLock, Staging};
use super::tar::{Feed, Reader};
use super::{LayerInfo, Store};
use crate::base::digest::{Algorithm, Digest, Hasher};
use crate::base::error::{Context, Result, anyhow, bail, ensure};
use crate::base::fs::{self, Durability};
use crate::sys::rootdir::RootDir;

impl Store {
    /// Unpacks an uncompressed archive as the layer `expected`, streaming, and commits it once its digest is proven.
    /// Waits for another unpacker of the same layer and uses its work. `progress` gets the bytes read so far.
    pub fn unpack(&self, expected: &Digest, tar: &mut dyn Read, progress: &dyn Fn(u64)) -> Result<LayerInfo> {
        let lock = self.lock_layer(expected)?;
        self.unpack_locked(&lock, expected, tar, progress)
    }

    /// Like [`Store::unpack`] for who took [`Store::lock_layer`] before fetching.
    pub fn unpack_locked(
        &self,
        _lock: &ObjectLock,
        expected: &Digest,
        tar: &mut dyn Read,
        progress: &dyn Fn(u64),
    ) -> Result<LayerInfo> {
        if self.has(expected) {
            return self.info(expected);
        }
        let staging = self.stage()?;
        let (info, _) = self.build(staging.path(), expected.algorithm(), tar, progress)?;
        if info.diff_id != *expected {
            bail!("the layer's content has digest `{}`, not `{expected}` as promised", info.diff_id);
        }
        self.commit(staging, info)
    }

    /// Unpacks an archive whose diff id is not known before (`import`, `commit`).
    pub fn unpack_new(&self, tar: &mut dyn Read, progress: &dyn Fn(u64)) -> Result<LayerInfo> {
        let staging = self.stage()?;
        let (info, marked_end) = self.build(staging.path(), Algorithm::Sha256, tar, progress)?;
        ensure_whole(marked_end)?;
        let _lock = self.lock_layer(&info.diff_id)?;
        if self.has(&info.diff_id) {
            return self.info(&info.diff_id);
        }
        self.commit(staging, info)
    }

    pub(super) fn commit(&self, staging: Staging, info: LayerInfo) -> Result<LayerInfo> {
        fs::replace_json(&staging.path().join("layer.json"), &info, Durability::Volatile)?;
        let dir = self.own_dir(&info.diff_id);
        if std::fs::symlink_metadata(&dir).is_ok() {
            Staging::take_away(&self.root, &dir)?.discard()?; // damaged: it has no record
        }
        staging.commit(&dir)?;
        Ok(info)
    }

    fn build(
        &self,
        dir: &Path,
        algorithm: Algorithm,
        tar: &mut dyn Read,
        progress: &dyn Fn(u64),
    ) -> Result<(LayerInfo, bool)> {
        let job = Job::prepare(dir, self.extract_options())?;
        let mut hasher = Hasher::new(algorithm);
        let mut source = Source::new(tar, progress);
        let (report, marked_end) = pipeline::run(&mut source, Some(&mut hasher), |feed| job.run(feed))?;
        save_implied(dir, &report)?;
        let info = LayerInfo {
            version: VERSION,
            diff_id: hasher.finish(),
            size: report.size,
            tar_size: source.bytes(),
            entries: report.entries,
            blobs: Vec::new(),
            skipped_devices: report.skipped_devices,
            ignored_owners: report.ignored_owners,
            boot_id: boot_id()?,
        };
        Ok((info, marked_end))
    }

    /// Copies a layer of an additional store into this one.
    pub(super) fn bring_home(&self, diff_id: &Digest) -> Result<()> {
        let _lock = self.lock_layer(diff_id)?;
        if self.own_dir(diff_id).join("layer.json").exists() {
            return Ok(()); // by who held the lock
        }
        let staging = self.stage()?;
        let (mut reader, mut writer) = io::pipe().context("make a pipe")?;
        let (info, _) = std::thread::scope(|scope| {
            let writing = scope.spawn(move || self.write_tar(diff_id, &mut writer));
            let built = self.build(staging.path(), diff_id.algorithm(), &mut reader, &|_| {});
            drop(reader); // a writer that has nobody left to write to ends
            let written = writing.join().map_err(|_| anyhow!("the archive's writer panicked"))?;
            built.and_then(|built| written.map(|()| built))
        })?;
        self.commit(staging, info).map(drop)
    }

    /// How layers of this store are unpacked.
    pub fn extract_options(&self) -> ExtractOptions {
        ExtractOptions {
            purpose: Purpose::Layer { userxattr: self.options.rootless },
            owner: None,
            chmod: None,
            ignore_chown_errors: self.options.rootless && has_one_id(),
        }
    }
}

/// Unpacks an uncompressed archive into a tree: the same extractor as for layers, without their meaning of `.wh.`
/// names. One that was cut between two entries is refused too: nothing else tells that it is not whole.
pub fn extract_tree(root: RootDir, options: ExtractOptions, tar: &mut dyn Read) -> Result<Report> {
    let (report, marked_end) = extract(root, Path::new("/"), options, tar)?;
    ensure_whole(marked_end)?;
    Ok(report)
}

/// The same, below the directory `dir` of a tree that may hold things already (`cp`, `ADD`): its links, and those of the
/// archive, lead where they would with the tree as the root. The end mark may be missing, as for tar(1).
pub fn extract_below(
    root: RootDir,
    dir: &Path,
    options: ExtractOptions,
    tar: &mut dyn Read,
) -> Result<Report> {
    extract(root, dir, options, tar).map(|(report, _)| report)
}

/// Unpacks, and says whether there was an end mark.
fn extract(root: RootDir, dir: &Path, options: ExtractOptions, tar: &mut dyn Read) -> Result<(Report, bool)> {
    let job = Job { extractor: Extractor::new(root, None, options)?.below(dir)?, recorder: None };
    pipeline::run(&mut Source::new(tar, &|_| {}), None, |feed| job.run(feed))
}

fn ensure_whole(marked_end: bool) -> Result<()> {
    ensure!(marked_end, "the archive is truncated: it has no end mark");
    Ok(())
}

/// The placing side.
struct Job {
    extractor: Extractor,
    recorder: Option<Recorder>,
}

impl Job {
    fn prepare(dir: &Path, options: ExtractOptions) -> Result<Job> {
        fs::create_dir(&dir.join("diff"))?;
        fs::create_dir(&dir.join("dup"))?;
        let root = RootDir::open(&dir.join("diff")).context("open the layer's tree")?;
        let stash = File::from(RootDir::open(&dir.join("dup")).and_then(|dup| dup.open_dir(Path::new(".")))?);
        let extractor = Extractor::new(root, Some(stash.into()), options)?;
        Ok(Job { extractor, recorder: Some(Recorder::create(dir)?) })
    }

    fn run(self, feed: Feed<'_>) -> Result<(Report, bool)> {
        let mut reader = Reader::new(feed, self.recorder);
        let report = self.extractor.run(&mut reader)?;
        let (recorder, marked_end) = reader.finish()?;
        recorder.map_or(Ok(()), Recorder::finish)?;
        Ok((report, marked_end))
    }
}

fn save_implied(dir: &Path, report: &Report) -> Result<()> {
    if report.implied.is_empty() {
        return Ok(());
    }
    let names: Vec<&[u8]> = report.implied.iter().map(Vec::as_slice).collect();
    fs::write_new(&dir.join("implied"), &names.join(&0), 0o600, Durability::Volatile)
}

/// The id of this boot.
pub(super) fn boot_id() -> Result<String> {
    Ok(fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id"))?.trim().to_owned())
}

/// Whether the user namespace maps just one id.
fn has_one_id() -> bool {
    let map = fs::read_to_string(Path::new("/proc/self/uid_map")).unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2).and_then(|count| count.parse::<u64>().ok());
    map.lines().filter_map(count).sum::<u64>() <= 1
}
