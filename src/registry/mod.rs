//! The distribution client: references, registries' configuration, credentials, and the wire.
//!
//! Nothing here knows a store: manifests come back as bytes, blobs as readers that verify themselves.
//!
//! ```text
//! client     sessions: authentication, retries, the places of a name (fetch, blob, push, upload say what is asked)
//! transport  one exchange with its redirects; connections, TLS, proxies; the only user of ureq
//! token      challenges and bearer tokens        auth      where credentials are kept
//! download   a file by its URL
//! config     registries.conf, short names        endpoint  mirrors, rewritten names
//! ```

pub mod auth;
mod blob;
mod certs;
mod client;
pub mod config;
mod download;
pub mod endpoint;
mod failure;
mod fetch;
mod forward;
pub mod manifest;
mod pace;
pub mod platform;
pub mod policy;
mod probe;
mod proxy;
mod push;
mod range;
pub mod reference;
mod retry;
mod search;
mod tls;
mod token;
mod transport;
mod upload;
mod url;

pub use auth::Credentials;
pub use blob::Blob;
pub use client::{Client, ClientOptions};
pub use config::Registries;
pub use download::{Download, Seen};
pub use failure::{ServerError, may_pass, status_of};
pub use fetch::{Fetched, FetchedImage, Head, not_found};
pub use platform::Platform;
pub use push::{Open, Pushed};
pub use reference::Reference;
pub use search::Hit;
pub use upload::{Grow, Growing, Grown};

#[cfg(test)]
mod tests;
