//! A repository of a registry, as source and as destination.

use super::{Bytes, Layers, Sink, Source};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Result};
use crate::ops::image::{PullOptions, pull};
use crate::registry::manifest::{self, Descriptor};
use crate::registry::{Client, Fetched, Open, Pushed, Reference};

/// A name in a registry.
pub(in crate::ops::image) struct Remote {
    client: Client,
    name: Reference,
    /// The size that a list states, when this is an image of it.
    entry: Option<Descriptor>,
}

impl Remote {
    /// Makes a client; asks nothing yet.
    pub(in crate::ops::image) fn new(name: &Reference, reach: &PullOptions) -> Result<Remote> {
        let (client, mut names) = pull::reach(&name.full(), reach)?;
        let name = names.pop().with_context(|| format!("`{name}` names no registry"))?;
        Ok(Remote::with(client, name))
    }

    /// With a client that is there.
    pub(in crate::ops::image) fn with(client: Client, name: Reference) -> Remote {
        Remote { client, name, entry: None }
    }
}

impl Source for Remote {
    fn top(&self) -> Result<Fetched> {
        match &self.entry {
            Some(entry) => self.client.listed(&self.name, entry),
            None => self.client.manifest(&self.name),
        }
    }

    fn instance(&self, entry: &Descriptor) -> Result<Box<dyn Source + '_>> {
        let (client, name) = (self.client.clone(), self.name.clone());
        Ok(Box::new(Remote { client, name, entry: Some(entry.clone()) }))
    }

    fn blob(&self, blob: &Descriptor) -> Result<Bytes> {
        Ok(Box::new(self.client.blob(&self.name, &blob.digest, blob.size)?))
    }

    fn repository(&self) -> Option<&Reference> {
        Some(&self.name)
    }

    fn tags(&self) -> Result<Option<Vec<String>>> {
        self.client.tags(&self.name).map(Some)
    }
}

impl Sink for Remote {
    fn layers(&self) -> Layers {
        Layers::Compressed
    }

    fn takes(&self, media_type: &str) -> bool {
        manifest::ACCEPTED.contains(&media_type)
    }

    fn has(&self, blob: &Descriptor) -> Result<bool> {
        self.client.has_blob(&self.name, &blob.digest).map(|size| size.is_some())
    }

    fn put(&self, blob: &Descriptor, from: Option<&Reference>, open: &Open<'_>) -> Result<Pushed> {
        let same = from.filter(|from| from.registry == self.name.registry);
        let from: Vec<String> = same.map(|from| from.repository.clone()).into_iter().collect();
        self.client.push_blob(&self.name, &blob.digest, blob.size, &from, open)
    }

    fn put_listed(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()> {
        self.client.push_manifest(&self.name.with_digest(digest), bytes, media_type).map(drop)
    }

    fn finish(&self, bytes: &[u8], media_type: &str, digest: &Digest) -> Result<()> {
        // A destination with a digest promises what arrives there.
        if let Some(pinned) = self.name.digest.as_ref().filter(|pinned| *pinned != digest) {
            crate::base::error::bail!(
                "the image has digest `{digest}`, not `{pinned}` as its destination says"
            );
        }
        self.client.push_manifest(&self.name, bytes, media_type).map(drop)
    }
}
