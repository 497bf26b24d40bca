//! The layer store: image layers on disk, how they get there, come out again exactly, and are mounted.
//!
//! ```text
//! <root>/format                 {"version":1,"driver":"overlay"}: newer versions are refused
//! <root>/lock                   the store lock: shared by who relies on layers, exclusive for who removes them
//! <root>/layers/<hex>/          a layer by the digits of its diff id; complete once it has this name
//!          diff/                the tree: an overlay lower directory, whiteouts as overlayfs has them
//!          layer.json           [`LayerInfo`]
//!          tree.zst displaced dup/   what is needed to give back the exact tar ([`exact`])
//!          files.json           digests of contents, as a table of files told them ([`chunked`]); a hint
//!          implied              names of directories that the tar does not describe, NUL between them
//!          lower/<hex>          which variant serves above a chain of other layers ([`lower`])
//!          variant/<name>/      the same tree with other directory metadata or shifted owners
//!          variant/flat-<name>/ what this layer and those below it make together (vfs)
//!          variant/subvolume-<name>/   the same as a subvolume, of which containers are snapshots (btrfs)
//!          synced               an empty file: the layer was on the disk when it was made
//! <root>/layers/blobs/<hex>     link to the diff id that a (compressed) blob unpacks to
//! <root>/staging/<word>/        being made or being deleted; <word>.lock is held by who does it
//! <root>/staging/layer-<hex>.lock   held while a layer is being fetched and unpacked
//! <root>/partial/               beginnings of blobs whose download broke off ([`partial`])
//! ```
//!
//! A crash leaves at most staging entries whose lock is free: [`Store::sweep`] deletes them. Removing a layer renames
//! it into staging first, so that it is gone at once and whole.

pub mod chunked;
pub mod codec;
mod copy;
pub mod diff;
pub mod difftar;
pub mod exact;
pub mod extract;
mod files;
mod fuse;
mod gzip;
#[cfg(test)]
mod hostile;
pub mod info;
mod lower;
mod made;
pub mod mount;
#[cfg(test)]
mod mounted;
pub mod owner;
pub mod partial;
mod pipeline;
mod place;
pub mod shift;
pub mod staging;
pub mod store;
mod subvolume;
pub mod tar;
pub mod tree;
mod unpack;
pub mod usage;
pub use unpack::{extract_below, extract_tree};

pub use copy::{copy_tree, is_opaque};
pub use diff::{Change, ChangeKind};
pub use difftar::{Times, TreeTar};
pub use files::Content;
pub use info::{Blob, LayerInfo};
pub use mount::MountRequest;
pub use shift::Shift;
pub use staging::{ObjectLock, Staging};
pub use store::{Driver, Options, Store};
