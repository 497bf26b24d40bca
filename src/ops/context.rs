//! What every verb has at hand: the roots and the stores, each opened when first needed.

use std::cell::OnceCell;

use crate::base::error::Result;
use crate::base::roots::Roots;
use crate::{container, image};

/// Global options that decide how stores are opened.
#[derive(Debug, Clone, Default)]
pub struct GlobalOptions {
    /// `--storage-driver`, as typed or configured.
    pub storage_driver: Option<String>,
}

/// The stores of one command.
#[derive(Debug)]
pub struct Context {
    /// Where state lies.
    pub roots: Roots,
    /// What was asked for globally.
    pub options: GlobalOptions,
    images: image::Store,
    containers: OnceCell<container::Store>,
}

impl Context {
    /// Opens nothing yet.
    pub fn new(roots: Roots, options: GlobalOptions) -> Context {
        let images = image::Store::open(&roots.root);
        Context { roots, options, images, containers: OnceCell::new() }
    }

    /// The images.
    pub fn images(&self) -> &image::Store {
        &self.images
    }

    /// The containers.
    pub fn containers(&self) -> Result<&container::Store> {
        if self.containers.get().is_none() {
            let store = container::Store::open(&self.roots)?;
            let _ = self.containers.set(store); // empty until now, and one thread only
        }
        Ok(self.containers.get().unwrap_or_else(|| unreachable!("set above")))
    }
}
