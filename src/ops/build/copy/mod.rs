//! What `COPY` and `ADD` bring: found in a root, digested for the cache, placed in a root file system.
//!
//! ```text
//! select       words to sources, confined in their root        walk       a source's entries, with content digests
//! known        content digests of files that did not change    inventory  what was in it, to say what changed
//! target       the destination's rules                         place      writing into the root file system
//! archive      ADD's tar files                                 dirs       the open directories of a walk
//! ```
//!
//! Everything goes by descriptors and never follows a link that it did not resolve inside the root, so that a tree that
//! changes meanwhile gives at worst other files of that tree. FIFOs, devices and sockets are never opened.
//!
//! State on disk: `<root>/build/known/<hex>`, see [`known`].

mod archive;
mod dirs;
pub mod inventory;
pub mod known;
mod place;
mod select;
pub(crate) use select::{clean, literal};
mod target;
#[cfg(test)]
mod tests;
mod walk;

use std::ffi::CString;
use std::path::PathBuf;

use crate::base::digest::{Algorithm, Digest, Hasher};
use crate::base::error::{Context, Result};
use crate::dockerfile::action::TransferSource;
use crate::dockerfile::chmod::Chmod;
use crate::dockerfile::ignore::Ignore;
use crate::sys::file::Timespec;
use crate::sys::rootdir::RootDir;
use crate::sys::xattr::Attribute;

pub(crate) use archive::is_tar_start;
pub use inventory::{Difference, Inventory};
pub use known::Known;
pub use place::{PlaceOptions, Placed, place};
pub use target::Destination;

/// What is to be copied, and as what.
pub struct Request<'a> {
    /// Where the sources are: the context, the root file system of a stage or an image, a directory of staging.
    pub origin: &'a RootDir,
    /// What messages call it: `the build context`, ``stage `base` ``.
    pub called: &'a str,
    /// Paths, globs and files given in place. URLs must have been fetched (and are paths in staging then).
    pub sources: &'a [TransferSource],
    /// These are not all sources of the instruction, so that the destination must be a directory.
    pub several: bool,
    /// The list of what is left out of the context; `None` for stages and images.
    pub ignore: Option<&'a Ignore>,
    /// `--exclude`
    pub exclude: &'a Ignore,
    /// `--parents`
    pub parents: bool,
    /// `--chown`, as ids.
    pub chown: Option<(u32, u32)>,
    /// Without `--chown`, owners are kept (`COPY --from`); else everything becomes 0:0, but for what ADD unpacks.
    pub keep_owners: bool,
    /// `--chmod`
    pub chmod: Option<&'a Chmod>,
}

/// What was found.
#[derive(Debug)]
pub struct Scan {
    origin: RootDir,
    items: Vec<Item>,
    /// Several sources were written.
    several: bool,
    /// `--chown`, also for what is unpacked and for directories that are made on the way.
    chown: Option<(u32, u32)>,
}

impl Request<'_> {
    /// Whom a file becomes, where it does not keep its owner.
    fn owner(&self) -> Option<(u32, u32)> {
        self.chown.or((!self.keep_owners).then_some((0, 0)))
    }
}

/// One source that a word or a match of a glob stands for.
#[derive(Debug)]
struct Item {
    /// The real path in the origin: of the directory whose entries are copied, or of that which holds the file.
    base: PathBuf,
    /// What to call it: the path as written or matched.
    shown: PathBuf,
    /// A directory's contents are copied; else it is one file and there is one entry.
    is_dir: bool,
    /// Where its entries go, below the destination (`--parents`, else empty).
    into: PathBuf,
    /// The directories of `into`, outermost first, as they are in the origin.
    ancestors: Vec<Entry>,
    /// What is in it, each directory before its contents, in byte order of names.
    entries: Vec<Entry>,
}

/// A file, link, directory or special file with the metadata that it will have.
#[derive(Debug, Clone)]
struct Entry {
    /// Relative to where the item goes.
    path: PathBuf,
    /// Its name in the origin, where that is another than the last of `path` (a link that was followed).
    name: Option<PathBuf>,
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    mtime: Timespec,
    xattrs: Vec<Attribute>,
}

#[derive(Debug, Clone)]
enum Kind {
    File {
        stamp: known::Stamp,
        digest: [u8; 32],
    },
    /// Another name for the entry of this index.
    Hard(usize),
    Inline(Vec<u8>),
    Link(CString),
    Dir,
    Special {
        mode: u32,
        device: u64,
    },
}

/// Finds and digests what a `COPY` or `ADD` brings. `known` spares reading files that did not change.
pub fn scan(request: &Request<'_>, known: Option<&mut Known>) -> Result<Scan> {
    let mut items = Vec::new();
    let mut none = Known::forgetful();
    let known = known.unwrap_or(&mut none);
    for source in request.sources {
        match source {
            TransferSource::Inline { name, content } => items.push(walk::inline(request, name, content)),
            TransferSource::Path(word) => {
                for chosen in select::select(request, word)? {
                    items.push(walk::item(request, chosen, known)?);
                }
            }
        }
    }
    let origin = request.origin.try_clone().context("duplicate a descriptor")?;
    Ok(Scan { origin, items, several: request.several || request.sources.len() > 1, chown: request.chown })
}

impl Scan {
    /// Gives everything to an owner that was not known when it was scanned (`--chown` of a name). The digest changes.
    pub fn give_to(&mut self, owner: (u32, u32)) {
        self.chown = Some(owner);
        let entries =
            self.items.iter_mut().flat_map(|item| item.ancestors.iter_mut().chain(&mut item.entries));
        entries.for_each(|entry| entry.owner = owner);
    }

    /// The digest of everything that the result depends on: names, kinds, bytes, modes, owners, link targets,
    /// attributes, which names are one file. Not times.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        for item in &self.items {
            hasher.update(if item.is_dir { b"dir\0" } else { b"file" });
            for (n, entry) in item.ancestors.iter().chain(&item.entries).enumerate() {
                hasher.update(&(n as u64).to_le_bytes());
                hasher.update(&item.fingerprint(entry));
            }
        }
        hasher.finish()
    }

    /// What is in it, for [`Inventory::first_difference`] in a later build.
    pub fn inventory(&self) -> Inventory {
        let all = self.items.iter().flat_map(|item| {
            item.entries.iter().map(|entry| {
                let path = if item.is_dir { item.shown.join(&entry.path) } else { item.shown.clone() };
                (path, item.fingerprint(entry))
            })
        });
        Inventory::new(all)
    }

    /// How many files, links and directories are copied.
    pub fn len(&self) -> usize {
        self.items.iter().map(|item| item.entries.len()).sum()
    }

    /// Whether nothing is copied (an empty directory).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What history calls it: `file` for one file, `dir` for one directory, else `multi`.
    pub fn sort(&self) -> &'static str {
        match self.items.as_slice() {
            [one] if one.is_dir => "dir",
            [_] => "file",
            _ => "multi",
        }
    }
}

impl Item {
    /// A digest of one entry, its name among the rest.
    fn fingerprint(&self, entry: &Entry) -> [u8; 32] {
        use std::os::unix::ffi::OsStrExt;
        let mut out = Fields(Hasher::new(Algorithm::Sha256));
        out.field(self.into.as_os_str().as_bytes());
        out.field(entry.path.as_os_str().as_bytes());
        match &entry.kind {
            Kind::File { digest, .. } => out.tagged(b'f', digest),
            Kind::Inline(bytes) => out.tagged(b'f', &sha256(bytes)),
            Kind::Hard(first) => out.tagged(b'h', self.entries[*first].path.as_os_str().as_bytes()),
            Kind::Link(target) => out.tagged(b'l', target.to_bytes()),
            Kind::Dir => out.tagged(b'd', b""),
            Kind::Special { mode, device } => {
                out.tagged(b's', &[&mode.to_le_bytes()[..], &device.to_le_bytes()[..]].concat());
            }
        }
        for number in [entry.mode, entry.owner.0, entry.owner.1] {
            out.field(&number.to_le_bytes());
        }
        for (name, value) in &entry.xattrs {
            out.field(name.to_bytes());
            out.field(value);
        }
        out.0.finish_bytes()
    }
}

/// Bytes with their lengths, so that no two lists of fields are the same bytes.
struct Fields(Hasher);

impl Fields {
    fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update(&[tag]);
        self.field(bytes);
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish_bytes()
}
