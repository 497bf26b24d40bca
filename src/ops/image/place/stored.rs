//! An image of the own store as a source: its layers come out as plain tars.

use std::io::{Seek, SeekFrom, Write};

use super::{Bytes, Source, Stores};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, bail, fail};
use crate::base::lock::Lock;
use crate::image::archive::{manifests, save::temporary};
use crate::image::transport::Transport;
use crate::image::{Image, lists};
use crate::layer::Blob;
use crate::ops::image::PullOptions;
use crate::registry::Fetched;
use crate::registry::manifest::{self, Descriptor, Document};

/// An image of the store, or a list.
pub(in crate::ops::image) struct Stored<'a> {
    stores: Stores<'a>,
    image: Image,
    reach: PullOptions,
    /// Nobody removes the layers while they are read.
    _lock: Lock,
}

impl<'a> Stored<'a> {
    /// For an image that was found.
    pub(in crate::ops::image) fn new(stores: Stores<'a>, image: Image, reach: &PullOptions) -> Result<Self> {
        let _lock = stores.layers.lock_shared()?;
        Ok(Stored { stores, image, reach: reach.clone(), _lock })
    }
}

/// The manifest or list as it is in the store.
fn own(image: &Image) -> Result<Fetched> {
    let bytes = image.manifest_bytes()?;
    let (document, media_type) = manifest::parse(&bytes, Some(&image.manifest_type))?;
    Ok(Fetched { digest: Digest::of(&bytes), bytes, media_type, document })
}

impl Source for Stored<'_> {
    /// Lists as they are; images with the layers as they come out.
    fn top(&self) -> Result<Fetched> {
        if self.image.is_list() {
            return own(&self.image);
        }
        let docker = self.image.manifest_type == manifest::DOCKER_MANIFEST;
        let kind = if docker { manifests::Kind::Docker } else { manifests::Kind::Oci };
        let plain = |layer: &Digest| {
            let size = self.stores.layers.info(layer)?.tar_size;
            Ok(manifests::Blob { digest: layer.clone(), size, gzip: false })
        };
        let layers = self.image.layers.iter().map(plain).collect::<Result<Vec<_>>>()?;
        let bytes = manifests::write(kind, &self.image.config_bytes()?, &layers)?;
        let (document, media_type) = manifest::parse(&bytes, Some(kind.manifest_type()))?;
        Ok(Fetched { digest: Digest::of(&bytes), bytes, media_type, document })
    }

    fn instance(&self, entry: &Descriptor) -> Result<Box<dyn Source + '_>> {
        let sources = &self.image.as_list()?.sources;
        let source = sources
            .get(&entry.digest)
            .with_context(|| format!("nobody knows where `{}` is", entry.digest))?;
        if let Some(id) = lists::local_id(source) {
            let image = self.stores.images.get(&id);
            let image = image.with_context(|| format!("get image `{}` of the list", entry.digest));
            let image = image.hint("take it out with `manifest remove`, or add it again")?;
            return Ok(Box::new(Stored::new(self.stores, image, &self.reach)?));
        }
        let Some(place) = Transport::parse(source)? else { bail!("`{source}` is no place of an image") };
        super::outside(self.stores.tmp, &place, &self.reach)
    }

    fn blob(&self, blob: &Descriptor) -> Result<Bytes> {
        if blob.digest == self.image.id {
            return Ok(Box::new(std::io::Cursor::new(self.image.config_bytes()?)));
        }
        let mut file = temporary(self.stores.tmp)?;
        self.write(blob, &mut file)?;
        file.seek(SeekFrom::Start(0)).context("rewind a temporary file")?;
        Ok(Box::new(file))
    }

    fn write(&self, blob: &Descriptor, out: &mut dyn Write) -> Result<()> {
        if !self.image.layers.contains(&blob.digest) {
            return Err(fail(Kind::NotFound, format!("the image has no layer `{}`", blob.digest)));
        }
        self.stores.layers.write_tar(&blob.digest, out)
    }

    fn forms(&self, layer: &Descriptor) -> Vec<Blob> {
        self.stores.layers.info(&layer.digest).map(|info| info.blobs).unwrap_or_default()
    }

    fn remember(&self, layer: &Descriptor, form: &Blob) -> Result<()> {
        self.stores.layers.remember_blob(&layer.digest, form)
    }

    fn original(&self, layers: &[Descriptor]) -> Result<Option<Fetched>> {
        let own = own(&self.image)?;
        let Document::Image(known) = &own.document else { return Ok(None) };
        let same = known.layers.len() == layers.len()
            && known.layers.iter().zip(layers).all(|(a, b)| a.digest == b.digest)
            && known.config.digest == self.image.id;
        Ok(same.then_some(own))
    }
}
