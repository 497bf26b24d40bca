//! The contents of layers by their digests, as far as tables of `zstd:chunked` layers told them.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Store;
use super::chunked::Table;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};
use crate::base::fs::{self, Durability};
use crate::sys::file::{Mode, OFlags};
use crate::sys::rootdir::RootDir;

/// Smaller contents are fetched with what is around them.
const WORTH: u64 = 8 << 10;
const NAME: &str = "files.json";
/// Bytes of a list that are read.
const LIMIT: u64 = 64 << 20;

/// `files.json`
#[derive(Debug, Default, Serialize, Deserialize)]
struct Files {
    version: u32,
    /// Digest, size, path.
    files: Vec<(Digest, u64, String)>,
}

/// A content of some layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The layer's tree.
    tree: PathBuf,
    path: String,
    size: u64,
}

impl Store {
    /// Keeps what a table says of a layer's larger files. A hint: whoever uses it verifies what comes of it.
    pub fn remember_files(&self, diff_id: &Digest, table: &Table) -> Result<()> {
        let worth = table.files.iter().filter(|file| file.size >= WORTH);
        let files = worth.map(|file| (file.digest.clone(), file.size, file.path.clone())).collect();
        let path = self.dir(diff_id).join(NAME);
        fs::replace_json(&path, &Files { version: 1, files }, Durability::Volatile)
    }

    /// All contents that are known by their digests.
    pub fn contents(&self) -> Result<HashMap<Digest, Content>> {
        let mut contents = HashMap::new();
        for diff_id in self.diff_ids()? {
            let Ok(bytes) = fs::read_limited(&self.dir(&diff_id).join(NAME), LIMIT) else { continue };
            let Ok(known) = serde_json::from_slice::<Files>(&bytes) else { continue };
            let tree = self.diff_dir(&diff_id);
            for (digest, size, path) in known.files {
                contents.entry(digest).or_insert_with(|| Content { tree: tree.clone(), path, size });
            }
        }
        Ok(contents)
    }
}

impl Content {
    /// Its size.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Opens it: a regular file of that size inside the layer's tree.
    pub fn open(&self) -> Result<File> {
        let open = || format!("open `{}` of a layer", self.path);
        let root = RootDir::open(&self.tree).with_context(open)?;
        let file = root.open_file(Path::new(&self.path), OFlags::RDONLY, Mode::empty()).with_context(open)?;
        let file = File::from(file);
        let data = file.metadata().with_context(open)?;
        if !data.is_file() || data.len() != self.size {
            bail!("`{}` of a layer is not what its table said", self.path);
        }
        Ok(file)
    }
}
