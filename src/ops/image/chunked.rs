//! Layers of the form `zstd:chunked`: only the files that no layer here has are fetched.
//!
//! Done ahead of the usual way, and never instead of it: whatever goes wrong here (a registry without parts, a table
//! that lies, a file here that is not what it was), the layer is then fetched whole. What was put together is a layer
//! only if its digest is the diff id.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};

use crate::base::digest::Digest;
use crate::base::error::{Result, bail, render};
use crate::base::id;
use crate::layer::chunked::{Piece, Place, Table, plan};
use crate::layer::codec::{self, Compression};
use crate::layer::{Content, Store};
use crate::ops::progress::Progress;
use crate::registry::manifest::Descriptor;
use crate::registry::{Client, Reference};

/// Smaller layers are not worth the questions.
const WORTH: u64 = 256 << 10;
/// How many contents are left out of one layer at most.
const GAPS: usize = 200;

/// What was learnt about layers: by diff id, the tables of their files.
pub(super) type Tables = Vec<(Digest, Table)>;

/// Brings those of an image's layers into the store that can be put together with little fetching.
pub(super) fn fetch(
    store: &Store,
    client: &Client,
    name: &Reference,
    layers: &[(&Descriptor, &Digest)],
    progress: &dyn Progress,
) -> Tables {
    let mut contents: Option<HashMap<Digest, Content>> = None;
    let mut tables = Tables::new();
    for (layer, diff_id) in
        layers.iter().filter(|(layer, diff_id)| layer.size >= WORTH && !store.has(diff_id))
    {
        let Some(place) = Place::of(&layer.annotations) else { continue };
        let part = Part { store, client, name, layer };
        let Ok(table) = part.table(&place) else { continue };
        let known = contents.get_or_insert_with(|| store.contents().unwrap_or_default());
        let at_hand =
            |size: u64, digest: &Digest| known.get(digest).filter(|content| content.size() == size).cloned();
        let (pieces, saved) = plan(&table, GAPS, &|file| at_hand(file.size, &file.digest));
        // With little to save, one stream is faster than many.
        if saved > layer.size / 4 {
            let task = progress
                .start(&format!("blob {}", id::short(layer.digest.as_str())), Some(layer.size - saved));
            match part.unpack(diff_id, pieces) {
                Ok(()) => task.done("done, with files of other layers"),
                Err(error) => progress.message(&format!(
                    "fetching layer {} whole: {}",
                    id::short(layer.digest.as_str()),
                    render(&error)
                )),
            }
        }
        tables.push(((*diff_id).clone(), table));
    }
    tables
}

/// Keeps the tables of layers that are in the store now, for the pulls to come. They are hints: that one cannot be kept
/// is no failure.
pub(super) fn remember(store: &Store, tables: &Tables) {
    for (diff_id, table) in tables.iter().filter(|(diff_id, _)| store.has(diff_id)) {
        let _ = store.remember_files(diff_id, table);
    }
}

/// One layer at one place.
struct Part<'a> {
    store: &'a Store,
    client: &'a Client,
    name: &'a Reference,
    layer: &'a Descriptor,
}

impl Part<'_> {
    fn table(&self, place: &Place) -> Result<Table> {
        let end = place.offset.saturating_add(place.size);
        if end > self.layer.size {
            bail!("the table of the layer lies behind its end");
        }
        let mut packed = Vec::new();
        let mut part = self.client.blob_part(self.name, &self.layer.digest, place.offset, end)?;
        part.read_to_end(&mut packed)?;
        Table::read(&packed, place)
    }

    fn unpack(&self, diff_id: &Digest, pieces: Vec<Piece<Content>>) -> Result<()> {
        let lock = self.store.lock_layer(diff_id)?;
        if self.store.has(diff_id) {
            return Ok(()); // somebody else was faster
        }
        let mut archive = Rebuilt {
            client: self.client.clone(),
            name: self.name.clone(),
            blob: self.layer.digest.clone(),
            pieces: pieces.into(),
            current: None,
        };
        self.store.unpack_locked(&lock, diff_id, &mut archive, &|_| {}).map(drop)
    }
}

/// The archive, piece after piece.
struct Rebuilt {
    client: Client,
    name: Reference,
    blob: Digest,
    pieces: VecDeque<Piece<Content>>,
    current: Option<Box<dyn Read + Send>>,
}

impl Rebuilt {
    fn open(&self, piece: Piece<Content>) -> Result<Box<dyn Read + Send>> {
        match piece {
            Piece::Content(content, size) => Ok(Box::new(content.open()?.take(size))),
            Piece::Frames { from, to } => {
                let part = self.client.blob_part(&self.name, &self.blob, from, to)?;
                codec::decoder(part, Compression::Zstd)
            }
        }
    }
}

impl Read for Rebuilt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(current) = &mut self.current {
                match current.read(buffer)? {
                    0 => self.current = None,
                    read => return Ok(read),
                }
            }
            let Some(piece) = self.pieces.pop_front() else { return Ok(0) };
            let opened = self.open(piece).map_err(|error| io::Error::other(render(&error)))?;
            self.current = Some(opened);
        }
    }
}
