//! Images: their records, their names, and the archives they travel in.
//!
//! ```text
//! <root>/images/<hex of the image id>/   one directory an image, made in staging and renamed here
//!     config.json                        the configuration exactly as fetched: its digest is the image id
//!     manifest.json                      the manifest exactly as fetched
//!     manifest-<hex>.json                further manifests by which the same image was had
//!     image.json                         what listings need, so that they need nothing else
//! <root>/images/<64 random digits>/      a list of images (manifest list, index): the id stays when it is changed
//!     image.json                         the same record, with the list and the places of its images in it; replaced
//!                                        whole, under names.lock
//! <root>/names.json                      name -> image id, and the digests an image is known by
//! <root>/names.lock                      taken for every read-modify-write of names.json
//! <root>/lock                            shared while an image is committed or used, exclusive to remove layers
//! ```
//!
//! Readers take no lock: a directory appears and disappears by one rename, names.json is replaced whole. Every
//! write is synced before the call returns. An image whose record cannot be read is *damaged*: listed apart,
//! removable, and of no consequence to the others. A name whose image is gone means nothing.

pub mod archive;
mod commit;
pub mod config;
pub mod embedded;
pub mod list;
pub mod lists;
mod names;
mod record;
mod resolve;
mod store;
pub mod transport;

pub use commit::{Committed, NewImage};
pub use config::Config;
pub use list::List;
pub use lists::ListRecord;
pub use names::Names;
pub use record::Image;
pub use store::{Damaged, Listing, Store};

/// The version of `image.json` and `names.json`.
pub const VERSION: u32 = 1;
