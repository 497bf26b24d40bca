//! `oci-archive:` and `docker-archive:` as destinations: a tar that is written aside and renamed when it is whole.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::layout;
use super::{Layers, Sink};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::base::{fs, id};
use crate::image::archive::{Format, read, tarball};
use crate::image::transport::Which;
use crate::registry::manifest::{self, Descriptor, Document};
use crate::registry::{Open, Pushed, Reference};

/// An archive that is being written.
pub(super) struct Archive {
    format: Format,
    path: PathBuf,
    aside: PathBuf,
    name: Option<String>,
    state: Mutex<State>,
}

struct State {
    out: BufWriter<File>,
    done: HashSet<String>,
    finished: bool,
}

impl Archive {
    /// Begins it. A docker-archive that is there is not added to, and not written over.
    pub(super) fn create(format: Format, path: &Path, which: &Which) -> Result<Archive> {
        let name = match which {
            Which::Any => None,
            Which::Named(name) => Some(name.clone()),
            Which::At(_) => return Err(fail(Kind::Usage, "a destination is named, not numbered")),
        };
        if path.is_dir()
            || (format == Format::DockerArchive && path.metadata().is_ok_and(|data| data.len() > 0))
        {
            bail!("`{}` is there already, and a docker-archive cannot be changed", path.display());
        }
        let file_name = path.file_name().with_context(|| format!("`{}` names no file", path.display()))?;
        let aside = path.with_file_name(format!(".{}.{}", file_name.to_string_lossy(), id::word()));
        let out = BufWriter::with_capacity(256 << 10, fs::create(&aside)?);
        let state = Mutex::new(State { out, done: HashSet::new(), finished: false });
        let archive = Archive { format, path: path.to_owned(), aside, name, state };
        if format == Format::OciArchive {
            tarball::write_layout_dirs(&mut archive.state().out).context("write the archive")?;
        }
        Ok(archive)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(&self, blob: &Descriptor) -> String {
        match self.format {
            Format::OciArchive => read::blob(&blob.digest),
            _ if is_config(&blob.media_type) => format!("{}.json", blob.digest.hex()),
            _ => format!("{}.tar", blob.digest.hex()),
        }
    }

    /// `manifest.json` of a docker-archive.
    fn list(&self, bytes: &[u8], media_type: &str) -> Result<Vec<u8>> {
        let (Document::Image(image), _) = manifest::parse(bytes, Some(media_type))? else {
            bail!("a docker-archive holds no lists of images");
        };
        let layers: Vec<String> = image.layers.iter().map(|layer| self.member(layer)).collect();
        let tags: Vec<&String> = self.name.iter().collect();
        let list = json!([{"Config": self.member(&image.config), "RepoTags": tags, "Layers": layers}]);
        serde_json::to_vec(&list).context("encode the archive's list")
    }
}

fn is_config(media_type: &str) -> bool {
    matches!(media_type, manifest::OCI_CONFIG | manifest::DOCKER_CONFIG)
}

impl State {
    fn small(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.done.insert(name.to_owned()) {
            tarball::write_member(&mut self.out, name, 0o644, bytes).context("write the archive")?;
        }
        Ok(())
    }
}

impl Sink for Archive {
    fn layers(&self) -> Layers {
        if self.format == Format::OciArchive { Layers::Compressed } else { Layers::Plain }
    }

    fn takes(&self, media_type: &str) -> bool {
        match self.format {
            Format::OciArchive => matches!(media_type, manifest::OCI_MANIFEST | manifest::OCI_INDEX),
            _ => media_type == manifest::DOCKER_MANIFEST,
        }
    }

    fn has(&self, blob: &Descriptor) -> Result<bool> {
        Ok(self.state().done.contains(&self.member(blob)))
    }

    fn put(&self, blob: &Descriptor, _: Option<&Reference>, open: &Open<'_>) -> Result<Pushed> {
        let name = self.member(blob);
        let mut state = self.state(); // one member at a time
        if !state.done.insert(name.clone()) {
            return Ok(Pushed::Present);
        }
        let mut from = open()?;
        tarball::write_stream(&mut state.out, &name, blob.size, &mut from)
            .with_context(|| format!("write `{name}` into the archive"))?;
        // A reader verifies when it is asked for more than there is.
        let more = from.read(&mut [0]).with_context(|| format!("read blob `{}`", blob.digest))?;
        if more > 0 {
            bail!("blob `{}` is longer than its {} bytes", blob.digest, blob.size);
        }
        Ok(Pushed::Uploaded)
    }

    fn put_listed(&self, bytes: &[u8], _: &str, digest: &Digest) -> Result<()> {
        if self.format != Format::OciArchive {
            bail!("a docker-archive holds no lists of images");
        }
        self.state().small(&read::blob(digest), bytes)
    }

    fn finish(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()> {
        let mut state = self.state();
        if self.format == Format::OciArchive {
            let (name, size) = (self.name.as_deref(), bytes.len() as u64);
            let entry = crate::image::list::Entry::new(media_type, digest.clone(), size, None).descriptor();
            state.small(&read::blob(digest), bytes)?;
            state.small("oci-layout", layout::version())?;
            state.small("index.json", &layout::index_of(&entry, name)?)?;
        } else {
            state.small("manifest.json", &self.list(bytes, media_type)?)?;
        }
        tarball::finish(&mut state.out).and_then(|()| state.out.flush()).context("write the archive")?;
        fs::rename(&self.aside, &self.path)?;
        state.finished = true;
        Ok(())
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        if !self.state().finished {
            let _ = fs::remove_file(&self.aside); // what is half-made is nobody's
        }
    }
}
