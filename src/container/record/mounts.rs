//! What is mounted in a container, and which devices it sees.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::digest::Digest;

/// One mount that a flag or the image asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute and clean path in the container.
    pub target: String,
    /// What is mounted.
    pub source: MountSource,
    /// How.
    #[serde(default)]
    pub options: MountOptions,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountSource {
    /// A path of the host.
    Bind(PathBuf),
    /// A named or anonymous volume.
    Volume {
        /// Its name.
        name: String,
        /// Made for this container alone: removed with it (`--rm`, `rm -v`).
        anonymous: bool,
    },
    /// Fresh memory; `options.extra` holds size= and mode=.
    Tmpfs,
    /// An image's root file system.
    Image {
        /// Image id.
        id: Digest,
        /// Its layers, lowest first.
        layers: Vec<Digest>,
    },
    /// A new devpts instance.
    Devpts,
    /// A ramfs.
    Ramfs,
}

/// Options of a mount; `None` leaves the default of its type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// `ro`
    pub read_only: bool,
    /// `rshared`, `rslave`, `rprivate`, `shared`, `slave`, `private`, `unbindable`, `runbindable`.
    pub propagation: Option<String>,
    /// `bind` instead of the default `rbind`.
    pub non_recursive: bool,
    /// Kernel flags spelled as mount(8) does: `nosuid`, `nodev`, `noexec`, `suid`, `noatime`…
    pub flags: Vec<String>,
    /// `U`: change the owner of the source to the container's user.
    pub chown: bool,
    /// `z` (shared) or `Z` (private) SELinux relabelling.
    pub relabel: Option<char>,
    /// `O`: an overlay over the source; changes end with the container unless upperdir= says otherwise.
    pub overlay: bool,
    /// `upperdir=` of an overlay.
    pub upper: Option<PathBuf>,
    /// `workdir=` of an overlay.
    pub work: Option<PathBuf>,
    /// `idmap` with its optional map text.
    pub idmap: Option<String>,
    /// `copy`/`nocopy`: fill a new volume from the image.
    pub copy_up: Option<bool>,
    /// `subpath=`
    pub subpath: Option<PathBuf>,
    /// `no-dereference`: a symbolic link is shown itself, not what it points to.
    pub no_dereference: bool,
    /// File system options (`size=64m`, `mode=1777`).
    pub extra: Vec<String>,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the container.
    pub container: PathBuf,
    /// Subset of `rwm`.
    pub access: String,
}
