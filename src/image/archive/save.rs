//! Writing images as files. Equal images give equal bytes; layers come out with the diff ids that they went in with.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::manifests::{self, Blob, Kind};
use super::{Format, tarball};
use crate::base::digest::{Algorithm, Counted, Digest};
use crate::base::error::{Context, Result, bail};
use crate::base::fs::{self, Durability};
use crate::image::Image;
use crate::layer;
use crate::layer::codec::{Compression, encoder};

/// An image to be saved and the names that the archive gives it.
#[derive(Debug)]
pub struct Saving {
    /// The image.
    pub image: Image,
    /// Normalised references with tags.
    pub names: Vec<String>,
}

/// How to save.
#[derive(Debug, Clone)]
pub struct SaveSettings {
    /// The form.
    pub format: Format,
    /// Layers are written with gzip; never in a docker-archive.
    pub compress: bool,
    /// Where compressed layers wait until their size is known.
    pub tmp: PathBuf,
}

/// Where members go.
pub enum Sink<'a> {
    /// A tar.
    Tar(&'a mut dyn Write),
    /// A directory, which is there.
    Dir(&'a Path),
}

impl Sink<'_> {
    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        match self {
            Sink::Tar(out) => tarball::write_member(*out, name, 0o644, bytes).map_err(output),
            Sink::Dir(dir) => {
                let path = dir.join(name);
                fs::create_dir_all(path.parent().unwrap_or(dir))?;
                fs::replace(&path, bytes, 0o644, Durability::Volatile)
            }
        }
    }

    /// A member whose size is known and whose bytes `write` gives.
    fn stream(&mut self, name: &str, size: u64, write: &dyn Fn(&mut dyn Write) -> Result<()>) -> Result<()> {
        match self {
            Sink::Tar(out) => {
                tarball::write_header(*out, name, 0o644, size).map_err(output)?;
                let mut counted = Exactly { out: *out, left: size };
                write(&mut counted)?;
                if counted.left > 0 {
                    bail!("`{name}` came out {} bytes shorter than expected", counted.left);
                }
                tarball::pad(*out, size).map_err(output)
            }
            Sink::Dir(dir) => {
                let path = dir.join(name);
                fs::create_dir_all(path.parent().unwrap_or(dir))?;
                let mut out = io::BufWriter::with_capacity(256 << 10, fs::create(&path)?);
                write(&mut out)?;
                out.flush().with_context(|| format!("write `{}`", path.display()))
            }
        }
    }
}

/// A reader of our output that went away is its own kind of end.
fn output(error: io::Error) -> crate::base::error::Error {
    use crate::base::error::{Explain, Kind};
    let closed = error.kind() == io::ErrorKind::BrokenPipe;
    let error = crate::base::error::Error::new(error).context("write the archive");
    if closed { error.kind(Kind::ClosedPipe) } else { error }
}

/// Takes no more than was announced.
struct Exactly<'a> {
    out: &'a mut dyn Write,
    left: u64,
}

impl Write for Exactly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("a layer came out longer than expected"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes images; `advance` is told about every layer that is done. Gives the digests of the manifests written: none in a
/// docker-archive.
pub fn save(
    images: &[Saving],
    layers: &layer::Store,
    settings: &SaveSettings,
    sink: &mut Sink<'_>,
    advance: &dyn Fn(&Digest),
) -> Result<Vec<Digest>> {
    let mut job = Job { layers, settings, sink, advance, done: HashSet::new(), manifests: Vec::new() };
    match settings.format {
        Format::DockerArchive => job.docker_archive(images)?,
        Format::OciArchive | Format::OciDir => job.layout(images)?,
        Format::DockerDir => job.dir(images)?,
    }
    let manifests = job.manifests;
    if let Sink::Tar(out) = sink {
        tarball::finish(*out).and_then(|()| out.flush()).map_err(output)?;
    }
    Ok(manifests)
}

struct Job<'a, 'b, 's> {
    layers: &'a layer::Store,
    settings: &'a SaveSettings,
    sink: &'a mut Sink<'s>,
    advance: &'b dyn Fn(&Digest),
    done: HashSet<String>,
    manifests: Vec<Digest>,
}

impl Job<'_, '_, '_> {
    fn docker_archive(&mut self, images: &[Saving]) -> Result<()> {
        let mut list = Vec::new();
        for saving in images {
            let image = &saving.image;
            let mut files = Vec::new();
            for layer in &image.layers {
                let name = format!("{}.tar", layer.hex());
                self.plain_layer(layer, &name)?;
                files.push(name);
            }
            let config = format!("{}.json", image.id.hex());
            self.once(&config, &image.config_bytes()?)?;
            list.push(json!({"Config": config, "RepoTags": saving.names, "Layers": files}));
        }
        self.sink.put("manifest.json", &encode(&list)?)
    }

    fn layout(&mut self, images: &[Saving]) -> Result<()> {
        self.sink.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        if let Sink::Tar(out) = self.sink {
            tarball::write_layout_dirs(*out).map_err(output)?;
        }
        let mut entries = Vec::new();
        for saving in images {
            let blob = |digest: &Digest| format!("blobs/{}", digest.as_str().replacen(':', "/", 1));
            let (config, blobs) = self.blobs(&saving.image, &blob)?;
            let manifest = manifests::write(Kind::Oci, &config, &blobs)?;
            let digest = Digest::of(&manifest);
            self.once(&blob(&digest), &manifest)?;
            let entry = json!({
                "mediaType": Kind::Oci.manifest_type(), "digest": digest, "size": manifest.len(),
            });
            self.manifests.push(digest);
            entries.extend(named_entries(&entry, &saving.names));
        }
        let index = json!({
            "schemaVersion": 2,
            "mediaType": crate::registry::manifest::OCI_INDEX,
            "manifests": entries,
        });
        self.sink.put("index.json", &encode(&index)?)
    }

    fn dir(&mut self, images: &[Saving]) -> Result<()> {
        let [saving] = images else { bail!("a directory of the form docker-dir holds one image") };
        let (config, blobs) = self.blobs(&saving.image, &|digest| digest.hex().to_owned())?;
        let manifest = manifests::write(Kind::Docker, &config, &blobs)?;
        self.manifests.push(Digest::of(&manifest));
        self.sink.put("version", b"Directory Transport Version: 1.1\n")?;
        self.sink.put("manifest.json", &manifest)
    }

    /// Writes configuration and layers as blobs.
    fn blobs(&mut self, image: &Image, name: &dyn Fn(&Digest) -> String) -> Result<(Vec<u8>, Vec<Blob>)> {
        let mut blobs = Vec::new();
        for layer in &image.layers {
            if self.settings.compress {
                blobs.push(self.gzip_layer(layer, name)?);
            } else {
                let size = self.layers.info(layer)?.tar_size;
                self.plain_layer(layer, &name(layer))?;
                blobs.push(Blob { digest: layer.clone(), size, gzip: false });
            }
        }
        let config = image.config_bytes()?;
        self.once(&name(&image.id), &config)?;
        Ok((config, blobs))
    }

    /// Writes a small member unless it is there already (images share configurations and manifests).
    fn once(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        if self.done.insert(name.to_owned()) { self.sink.put(name, bytes) } else { Ok(()) }
    }

    fn plain_layer(&mut self, layer: &Digest, name: &str) -> Result<()> {
        if self.done.insert(name.to_owned()) {
            let size = self.layers.info(layer)?.tar_size;
            self.sink.stream(name, size, &|out| self.layers.write_tar(layer, out))?;
            (self.advance)(layer);
        }
        Ok(())
    }

    /// Compresses into a file without a name first: digest and size stand before the bytes.
    fn gzip_layer(&mut self, layer: &Digest, name: &dyn Fn(&Digest) -> String) -> Result<Blob> {
        let file = temporary(&self.settings.tmp)?;
        let out = Counted::new(io::BufWriter::new(file), Algorithm::Sha256);
        let mut encoder = encoder(out, Compression::Gzip, None)?;
        self.layers.write_tar(layer, &mut encoder)?;
        let (out, digest, size) = encoder.finish()?.finish();
        let mut file =
            out.into_inner().map_err(io::IntoInnerError::into_error).context("write temporary file")?;
        file.seek(SeekFrom::Start(0)).context("rewind temporary file")?;
        let member = name(&digest);
        if self.done.insert(member.clone()) {
            self.sink.stream(&member, size, &|out| {
                io::copy(&mut &file, out).map(drop).context("copy a compressed layer")
            })?;
        }
        (self.advance)(layer);
        Ok(Blob { digest, size, gzip: true })
    }
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).context("encode the archive's list")
}

/// One entry a name; one without a name where there is none.
fn named_entries(entry: &serde_json::Value, names: &[String]) -> Vec<serde_json::Value> {
    if names.is_empty() {
        return vec![entry.clone()];
    }
    let named = |name: &String| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        entry
    };
    names.iter().map(named).collect()
}

/// A file without a name: its space comes back whatever happens.
pub fn temporary(dir: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    let nameless = options.clone().custom_flags(libc::O_TMPFILE).open(dir);
    if let Ok(file) = nameless {
        return Ok(file);
    }
    // File systems without O_TMPFILE: a name for an instant.
    let path = dir.join(format!(".dhow-{}", crate::base::id::word()));
    let file = options
        .create_new(true)
        .open(&path)
        .with_context(|| format!("create temporary file in `{}`", dir.display()))?;
    fs::remove_file(&path)?;
    Ok(file)
}
