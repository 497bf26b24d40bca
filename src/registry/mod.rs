//! The distribution client: references, registries' configuration, credentials, and the wire.
//!
//! Nothing here knows a store: manifests come back as bytes, blobs as readers that verify themselves.

pub mod reference;

pub use reference::Reference;
