//! `load`: images from archives and directories.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::fetch::{self, Wanted};
use super::{PullOptions, trust};
use crate::base::digest::{Counted, Digest};
use crate::base::error::{self, Context as _, Result, bail};
use crate::base::fs;
use crate::event::{Event, Subject};
use crate::image::NewImage;
use crate::image::archive::manifests::{self, Kind};
use crate::image::archive::members::Members;
use crate::image::archive::read::{self, Found, Part};
use crate::image::archive::save::temporary;
use crate::layer::codec::{self, Compression};
use crate::layer::{Blob, LayerInfo};
use crate::ops::context::Context;
use crate::ops::events;
use crate::ops::progress::Progress;
use crate::registry::{Platform, Reference};

/// Where an archive comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadSource {
    /// A file, a FIFO, or a directory.
    Path(PathBuf),
    /// Standard input.
    Stdin,
}

/// An image that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names that the archive gave it.
    pub names: Vec<String>,
}

/// Loads every image of an archive.
pub fn load(context: &Context, source: &LoadSource, progress: &dyn Progress) -> Result<Vec<Loaded>> {
    let what = match source {
        LoadSource::Path(path) => format!("load `{}`", path.display()),
        LoadSource::Stdin => "load from standard input".into(),
    };
    let path = match source {
        LoadSource::Path(path) => Some(path.as_path()),
        LoadSource::Stdin => None,
    };
    let members = open(context, source).with_context(|| what.clone())?;
    trust::allow_archive(&members, path, &PullOptions::default()).with_context(|| what.clone())?;
    let loaded = import_all(context, &members, &[], progress).context(what)?;
    for one in &loaded {
        let name = one.names.first().map(String::as_str).unwrap_or_default();
        events::tell(context, Event::now(Subject::Image, "loadfromarchive", one.id.hex(), name));
    }
    Ok(loaded)
}

/// Loads every image of an archive that comes through an open file or a pipe.
pub(super) fn load_file(context: &Context, file: File, progress: &dyn Progress) -> Result<Vec<Loaded>> {
    let members = Members::tar(seekable(file, &context.roots.tmp)?)?;
    import_all(context, &members, &[], progress)
}

/// `docker-archive:PATH[:NAME]`, `oci-archive:`, `oci:` and `dir:` in place of a registry's name; `None` for anything else.
/// In place of NAME, a digest says which image.
pub(super) fn transport(
    context: &Context,
    text: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Option<Vec<Loaded>>> {
    let Some((kind, rest)) = text.split_once(':') else { return Ok(None) };
    let named = match kind {
        "docker-archive" | "oci-archive" | "oci" => true,
        "dir" => false,
        _ => return Ok(None),
    };
    let (path, name) = match rest.split_once(':') {
        Some((path, name)) if named => (path, Some(name)),
        _ => (rest, None),
    };
    let members = open(context, &LoadSource::Path(path.into()))?;
    trust::allow_archive(&members, Some(Path::new(path)), options)?;
    if let Some(digest) = name.and_then(|name| name.parse::<Digest>().ok()) {
        let loaded = import_digest(context, &members, &digest, progress);
        return loaded.map(|loaded| Some(vec![loaded])).with_context(|| format!("pull `{text}`"));
    }
    let names: Vec<Reference> = name.map(super::name::own_name).transpose()?.into_iter().collect();
    import_all(context, &members, &names, progress).map(Some).with_context(|| format!("pull `{text}`"))
}

fn open(context: &Context, source: &LoadSource) -> Result<Members> {
    open_in(&context.roots.tmp, source)
}

/// Opens an archive; what is compressed is spooled into `tmp`.
pub(super) fn open_in(tmp: &Path, source: &LoadSource) -> Result<Members> {
    let file = match source {
        LoadSource::Path(path) if path.is_dir() => return Members::dir(path),
        LoadSource::Path(path) => fs::open(path)?,
        LoadSource::Stdin => {
            let fd = io::stdin().as_fd().try_clone_to_owned().context("open standard input")?;
            File::from(fd)
        }
    };
    Members::tar(seekable(file, tmp)?)
}

/// The archive as a file that can be read anywhere: itself when it is plain, else what it unpacks to, in a nameless file.
fn seekable(mut file: File, tmp: &Path) -> Result<File> {
    let regular = file.metadata().context("stat archive")?.is_file();
    let start = if regular { file.stream_position().context("read archive")? } else { 0 };
    if regular && start == 0 {
        let mut magic = [0u8; 6];
        let read = std::os::unix::fs::FileExt::read_at(&file, &mut magic, 0).context("read archive")?;
        if codec::detect(&magic[..read]) == Compression::None {
            return Ok(file);
        }
    }
    let (_, mut plain) = codec::decoder_any(Box::new(file))?;
    let mut spooled = temporary(tmp)?;
    copy(&mut plain, &mut spooled).context("unpack archive")?;
    spooled.seek(SeekFrom::Start(0)).context("rewind archive")?;
    Ok(spooled)
}

fn copy(from: &mut dyn Read, to: &mut dyn io::Write) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn import_all(
    context: &Context,
    members: &Members,
    names: &[Reference],
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    let found = read::images(members, &Platform::host())?;
    if !names.is_empty() {
        let pick = found.iter().find(|found| found.names.iter().any(|name| names.contains(name)));
        let Some(picked) = pick.or(found.first()) else { bail!("the archive holds no image") };
        let own = [picked.names.as_slice(), names].concat();
        return import(context, members, picked, &own, progress).map(|loaded| vec![loaded]);
    }
    found.iter().map(|found| import(context, members, found, &found.names, progress)).collect()
}

/// The one image whose manifest, or whose index, has this digest; under its own names.
fn import_digest(
    context: &Context,
    members: &Members,
    digest: &Digest,
    progress: &dyn Progress,
) -> Result<Loaded> {
    let found = read::images(members, &Platform::host())?;
    let is_meant = |found: &&Found| {
        let manifest = found.manifest.as_ref().map(|(bytes, _)| Digest::of(bytes));
        found.digests.contains(digest) || manifest.as_ref() == Some(digest)
    };
    let Some(picked) = found.iter().find(is_meant) else {
        return Err(error::fail(error::Kind::NotFound, format!("no image `{digest}` is in the archive")));
    };
    import(context, members, picked, &picked.names, progress)
}

fn import(
    context: &Context,
    members: &Members,
    found: &Found,
    names: &[Reference],
    progress: &dyn Progress,
) -> Result<Loaded> {
    let wanted: Vec<Wanted<'_>> = found.layers.iter().map(|part| wanted(members, part)).collect();
    let committed = fetch::commit(context, &wanted, progress, &|infos| {
        let (manifest, manifest_type) = manifest(found, infos)?;
        Ok(NewImage {
            config: found.config.clone(),
            manifest,
            manifest_type,
            size: infos.iter().map(|info| info.size).sum(),
            names: names.to_vec(),
            digests: found.digests.clone(),
        })
    })?;
    Ok(Loaded { id: committed.id, names: names.iter().map(Reference::full).collect() })
}

/// The manifest that came with it, or one that lists the layers as they are in the store.
fn manifest(found: &Found, infos: &[LayerInfo]) -> Result<(Vec<u8>, String)> {
    if let Some((bytes, media_type)) = &found.manifest {
        return Ok((bytes.clone(), media_type.clone()));
    }
    let blob =
        |info: &LayerInfo| manifests::Blob { digest: info.diff_id.clone(), size: info.tar_size, gzip: false };
    let layers: Vec<manifests::Blob> = infos.iter().map(blob).collect();
    let bytes = manifests::write(Kind::Docker, &found.config, &layers)?;
    Ok((bytes, Kind::Docker.manifest_type().to_owned()))
}

fn wanted<'a>(members: &'a Members, part: &'a Part) -> Wanted<'a> {
    let blob = part.blob.as_ref().map(|blob| Blob {
        digest: blob.digest.clone(),
        media_type: blob.media_type.clone(),
        size: blob.size,
    });
    let open = move || -> Result<Box<dyn Read + Send>> {
        let (reader, size) = members.open(&part.member)?;
        let Some(blob) = &part.blob else { return Ok(reader) };
        if size != blob.size {
            bail!("`{}` of the archive has {size} bytes instead of {}", part.member, blob.size);
        }
        Ok(Box::new(Verified::new(reader, &blob.digest)))
    };
    Wanted { diff_id: part.diff_id.clone(), blob, origin: Box::new(open) }
}

/// A member whose digest is checked at its end.
pub(super) struct Verified {
    inner: Option<Counted<Box<dyn Read + Send>>>,
    expected: Digest,
}

impl Verified {
    /// Reads on to the same bytes.
    pub(super) fn new(reader: Box<dyn Read + Send>, expected: &Digest) -> Verified {
        let inner = Counted::new(reader, expected.algorithm());
        Verified { inner: Some(inner), expected: expected.clone() }
    }
}

impl Read for Verified {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(0) };
        let read = inner.read(buffer)?;
        if read == 0
            && !buffer.is_empty()
            && let Some(inner) = self.inner.take()
        {
            let (_, found, _) = inner.finish();
            if found != self.expected {
                return Err(io::Error::other(format!(
                    "blob `{}` of the archive has digest `{found}`",
                    self.expected
                )));
            }
        }
        Ok(read)
    }
}
