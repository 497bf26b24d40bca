//! A registry that serves one image and misbehaves on purpose, each request as a test says.

use std::sync::Arc;

use super::image::{ImageSpec, OciImage, sha256};
use super::server::{Reply, Seen, Server};

/// The media type of [`Served::manifest`].
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What an honest registry would serve.
pub struct Served {
    /// The blobs.
    pub image: OciImage,
    /// The manifest; tests that lie about the image replace it.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub media_type: String,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// `/v2/` or something unknown.
    Api,
    /// The manifest, by tag or digest.
    Manifest,
    /// The configuration.
    Config,
    /// A layer, by its position.
    Layer(usize),
}

impl Served {
    /// An image in the OCI form.
    pub fn new(spec: &ImageSpec) -> Served {
        let image = spec.oci();
        Served { manifest: image.manifest.clone(), media_type: MANIFEST.into(), image }
    }

    /// What a request is for.
    pub fn wants(&self, request: &Seen) -> Wants {
        let last = request.path.rsplit('/').next().unwrap_or_default();
        if request.path.contains("/manifests/") {
            return Wants::Manifest;
        }
        if last == sha256(&self.image.config) {
            return Wants::Config;
        }
        let layer = self.image.layers.iter().position(|layer| sha256(layer) == last);
        layer.map_or(Wants::Api, Wants::Layer)
    }

    /// The honest answer, ranges included.
    pub fn honest(&self, request: &Seen) -> Reply {
        match self.wants(request) {
            Wants::Manifest => Reply::new(200, self.manifest.clone())
                .header("Content-Type", self.media_type.clone())
                .header("Docker-Content-Digest", sha256(&self.manifest)),
            Wants::Config => Reply::new(200, self.image.config.clone()),
            Wants::Layer(n) => ranged(&self.image.layers[n], request),
            Wants::Api if request.path == "/v2/" => Reply::new(200, "{}"),
            Wants::Api => {
                Reply::new(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such thing"}]}"#)
            }
        }
    }
}

/// The bytes, or those that the request's range asks for.
pub fn ranged(bytes: &[u8], request: &Seen) -> Reply {
    match request.range() {
        None => Reply::new(200, bytes),
        Some(from) if from < bytes.len() => Reply::new(206, &bytes[from..])
            .header("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        Some(_) => Reply::new(416, ""),
    }
}

/// A running registry of that kind.
pub struct Faulty {
    server: Server,
    /// What it serves when it is honest.
    pub served: Arc<Served>,
}

impl Faulty {
    /// Answers each request by `answer`, which is told what an honest registry has and how many requests came before.
    pub fn start(
        served: Served,
        answer: impl Fn(&Served, &Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Faulty {
        let served = Arc::new(served);
        let own = served.clone();
        Faulty { server: Server::start(move |request, before| answer(&own, request, before)), served }
    }

    /// `127.0.0.1:PORT/team/tool:v1`
    pub fn name(&self) -> String {
        format!("{}/team/tool:v1", self.server.address())
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.server.address()
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.server.seen()
    }

    /// The requests so far for one thing.
    pub fn seen_for(&self, wants: Wants) -> Vec<Seen> {
        self.seen().into_iter().filter(|request| self.served.wants(request) == wants).collect()
    }
}
