//! `zstd:chunked` layers: zstd in which every file is a frame of its own, with a table of them at the end.
//!
//! ```text
//! frame        headers of the tar up to the first content
//! frame        content of a file                              one entry of the table
//! frame        padding and headers up to the next content
//! …
//! skippable    the table: JSON, zstd
//! skippable    where the table is, which annotations of the layer say too
//! ```
//!
//! Whoever has a file already needs not fetch its frame. Nothing in a table is trusted: with it, an archive is put
//! together whose digest must be the layer's diff id. Format: `pkg/chunked/internal` of containers/storage.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Result, bail};

/// Bytes of a table, packed and unpacked.
const PACKED: u64 = 16 << 20;
const UNPACKED: u64 = 128 << 20;
/// In front of the content of a skippable frame.
const HEADER: u64 = 8;

/// Where a layer's table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// First byte in the blob.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes when it is unpacked.
    pub unpacked: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// A file of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePart {
    /// Its path in the archive.
    pub path: String,
    /// Digest of its content.
    pub digest: Digest,
    /// Bytes of its content.
    pub size: u64,
    /// The frames of its content: from this byte of the blob…
    pub from: u64,
    /// …to before this one.
    pub to: u64,
}

/// The files of a layer that have a content, in the order of the blob.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// The files.
    pub files: Vec<FilePart>,
    /// Where the archive's frames end.
    pub end: u64,
}

impl Place {
    /// Reads the annotations of a layer; `None` where they speak of no table that could be read.
    pub fn of(annotations: &BTreeMap<String, String>) -> Option<Place> {
        let said = |key: &str| {
            let names = ["io.github.containers.zstd-chunked", "io.containers.zstd-chunked"];
            names.iter().find_map(|name| annotations.get(&format!("{name}.{key}")))
        };
        let digest = said("manifest-checksum")?.parse().ok()?;
        let numbers = said("manifest-position")?.split(':').map(|text| text.parse::<u64>().ok());
        let numbers = numbers.collect::<Option<Vec<u64>>>()?;
        match numbers.as_slice() {
            [offset, size, unpacked, 1]
                if *size > 0 && *size <= PACKED && *unpacked <= UNPACKED && *offset >= HEADER =>
            {
                Some(Place { offset: *offset, size: *size, unpacked: *unpacked, digest })
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Document {
    version: u32,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Entry {
    r#type: String,
    name: String,
    size: u64,
    digest: String,
    offset: u64,
    end_offset: u64,
}

impl Table {
    /// Reads a table as it lies in the blob.
    pub fn read(packed: &[u8], place: &Place) -> Result<Table> {
        let mut hasher = Hasher::new(place.digest.algorithm());
        hasher.update(packed);
        if hasher.finish() != place.digest {
            bail!("the table of the layer has the wrong digest");
        }
        let mut bytes = Vec::new();
        let decoder = zstd::Decoder::new(packed).context("unpack the table of the layer")?;
        decoder.take(place.unpacked + 1).read_to_end(&mut bytes).context("unpack the table of the layer")?;
        if bytes.len() as u64 != place.unpacked {
            bail!("the table of the layer has another size than was said");
        }
        Table::parse(&bytes, place.offset - HEADER)
    }

    /// Reads an unpacked table; `end` is where the archive's frames end.
    pub fn parse(bytes: &[u8], end: u64) -> Result<Table> {
        let document: Document = serde_json::from_slice(bytes).context("parse the table of the layer")?;
        if document.version != 1 {
            bail!("the table of the layer is of version {}", document.version);
        }
        let mut files = Vec::new();
        let mut last = 0;
        for entry in document.entries.into_iter().filter(|entry| entry.r#type == "reg" && entry.size > 0) {
            let in_order = entry.offset >= last && entry.end_offset > entry.offset && entry.end_offset <= end;
            if !in_order {
                bail!("the table of the layer has files that lie over each other");
            }
            last = entry.end_offset;
            files.push(FilePart {
                path: entry.name,
                digest: entry.digest.parse().context("parse the table of the layer")?,
                size: entry.size,
                from: entry.offset,
                to: entry.end_offset,
            });
        }
        Ok(Table { files, end })
    }
}

/// A piece of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<T> {
    /// Frames of the blob.
    Frames {
        /// First byte.
        from: u64,
        /// Behind the last one.
        to: u64,
    },
    /// The content of a file that is at hand.
    Content(T, u64),
}

/// Puts an archive together: `at_hand` says where a file's content is. Only the `most` largest contents are left out of
/// what is fetched, since each interrupts it. Gives the pieces and how many bytes need not be fetched.
pub fn plan<T>(table: &Table, most: usize, at_hand: &dyn Fn(&FilePart) -> Option<T>) -> (Vec<Piece<T>>, u64) {
    let mut found: Vec<(&FilePart, T)> =
        table.files.iter().filter_map(|file| Some((file, at_hand(file)?))).collect();
    found.sort_by_key(|(file, _)| std::cmp::Reverse(file.to - file.from));
    found.truncate(most);
    found.sort_by_key(|(file, _)| file.from);
    let (mut pieces, mut next, mut saved) = (Vec::new(), 0, 0);
    for (file, place) in found {
        if file.from > next {
            pieces.push(Piece::Frames { from: next, to: file.from });
        }
        pieces.push(Piece::Content(place, file.size));
        saved += file.to - file.from;
        next = file.to;
    }
    if table.end > next {
        pieces.push(Piece::Frames { from: next, to: table.end });
    }
    (pieces, saved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(position: &str) -> BTreeMap<String, String> {
        let name = "io.github.containers.zstd-chunked";
        BTreeMap::from([
            (format!("{name}.manifest-checksum"), Digest::of(b"x").to_string()),
            (format!("{name}.manifest-position"), position.to_owned()),
        ])
    }

    fn entry(from: u64, to: u64) -> String {
        let digest = Digest::of(&from.to_le_bytes());
        format!(
            r#"{{"type":"reg","name":"f","size":5,"digest":"{digest}","offset":{from},"endOffset":{to}}}"#
        )
    }

    fn table(entries: &[String]) -> Result<Table> {
        Table::parse(format!(r#"{{"version":1,"entries":[{}]}}"#, entries.join(",")).as_bytes(), 100)
    }

    #[test]
    fn annotations_tell_where_the_table_is() {
        let place = Place::of(&annotations("600:10:20:1")).unwrap();
        assert_eq!((place.offset, place.size, place.unpacked), (600, 10, 20));
        for bad in ["", "1:2:3", "600:10:20:2", "600:0:20:1", "7:10:20:1", "600:99999999999:20:1", "-1:1:1:1"]
        {
            assert_eq!(Place::of(&annotations(bad)), None, "{bad}");
        }
        assert_eq!(Place::of(&BTreeMap::new()), None);
    }

    #[test]
    fn tables_that_lie_are_refused() {
        let chunk = r#"{"type":"chunk","name":"f","offset":12}"#.to_owned();
        assert_eq!(table(&[entry(10, 20), chunk, entry(30, 90)]).unwrap().files.len(), 2);
        let evil = r#"{"type":"reg","name":"f","size":5,"digest":"sha256:../x","offset":1,"endOffset":2}"#;
        for bad in [&[entry(10, 20), entry(15, 30)][..], &[entry(10, 101)], &[entry(20, 10)], &[evil.into()]]
        {
            assert!(table(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "{}", r#"{"version":2}"#, r#"{"version":1,"entries":[{"size":-1}]}"#] {
            assert!(Table::parse(bad.as_bytes(), 100).is_err(), "{bad}");
        }
        let place = Place { digest: Digest::of(b"other"), ..Place::of(&annotations("600:10:20:1")).unwrap() };
        assert!(Table::read(b"x", &place).is_err());
    }

    #[test]
    fn a_bomb_is_no_table() {
        let packed = zstd::encode_all(&vec![b' '; 1 << 20][..], 1).unwrap();
        let place =
            Place { offset: 600, size: packed.len() as u64, unpacked: 1000, digest: Digest::of(&packed) };
        assert!(Table::read(&packed, &place).is_err());
    }

    #[test]
    fn what_is_at_hand_is_left_out() {
        let table = table(&[entry(10, 20), entry(30, 60), entry(60, 90)]).unwrap();
        let hand = |file: &FilePart| (file.from != 30).then_some(file.from);
        let (pieces, saved) = plan(&table, 9, &hand);
        assert_eq!(saved, 40);
        assert_eq!(
            pieces,
            [
                Piece::Frames { from: 0, to: 10 },
                Piece::Content(10, 5),
                Piece::Frames { from: 20, to: 60 },
                Piece::Content(60, 5),
                Piece::Frames { from: 90, to: 100 },
            ]
        );
        let (pieces, saved) = plan(&table, 1, &hand);
        assert_eq!((pieces.len(), saved), (3, 30), "only the largest");
        assert_eq!(plan::<()>(&table, 9, &|_| None).0, [Piece::Frames { from: 0, to: 100 }]);
    }
}
