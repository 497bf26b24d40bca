//! What a step copied, kept beside its cache entry: enough to say which file made a later build miss.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::base::text::printable;

/// Bytes of a fingerprint that are kept: for messages, not for decisions.
const TAG: usize = 8;

/// Paths with a piece of their fingerprints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    entries: BTreeMap<PathBuf, [u8; TAG]>,
}

/// How two inventories differ first, in order of path; displays as `src/main.c changed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is new.
    Added(PathBuf),
    /// Its content, mode, owner or attributes are others.
    Changed(PathBuf),
    /// It is gone.
    Removed(PathBuf),
}

impl Inventory {
    pub(super) fn new(entries: impl Iterator<Item = (PathBuf, [u8; 32])>) -> Inventory {
        let tag = |print: [u8; 32]| print.first_chunk::<TAG>().copied().unwrap_or_default();
        Inventory { entries: entries.map(|(path, print)| (path, tag(print))).collect() }
    }

    /// As bytes: for every entry eight bytes, the path, NUL.
    pub fn to_bytes(&self) -> Vec<u8> {
        let line = |(path, tag): (&PathBuf, &[u8; TAG])| [tag, path.as_os_str().as_bytes(), b"\0"].concat();
        self.entries.iter().flat_map(line).collect()
    }

    /// Reads what [`Inventory::to_bytes`] wrote; damaged bytes give fewer entries.
    pub fn from_bytes(mut bytes: &[u8]) -> Inventory {
        let mut entries = BTreeMap::new();
        while let Some((tag, rest)) = bytes.split_first_chunk::<TAG>() {
            let Some(end) = rest.iter().position(|&byte| byte == 0) else { break };
            entries.insert(PathBuf::from(OsStr::from_bytes(&rest[..end])), *tag);
            bytes = &rest[end + 1..];
        }
        Inventory { entries }
    }

    /// What is different now from what was `before`. A file that changed says more than the directory that holds it.
    pub fn first_difference(&self, before: &Inventory) -> Option<Difference> {
        let changed =
            self.entries.iter().find(|(path, tag)| before.entries.get(*path).is_some_and(|old| old != *tag));
        let added = self.entries.keys().find(|path| !before.entries.contains_key(*path));
        let removed = before.entries.keys().find(|path| !self.entries.contains_key(*path));
        let all = [
            changed.map(|(path, _)| Difference::Changed(path.clone())),
            added.map(|path| Difference::Added(path.clone())),
            removed.map(|path| Difference::Removed(path.clone())),
        ];
        all.into_iter().flatten().min_by(|one, other| one.path().cmp(other.path()))
    }
}

impl Difference {
    fn path(&self) -> &PathBuf {
        match self {
            Difference::Added(path) | Difference::Changed(path) | Difference::Removed(path) => path,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self {
            Difference::Added(_) => "is new",
            Difference::Changed(_) => "changed",
            Difference::Removed(_) => "is gone",
        };
        write!(f, "{} {how}", printable(&self.path().to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        let inventory = |list: &[(&str, u8)]| {
            Inventory::new(list.iter().map(|(path, tag)| (PathBuf::from(path), [*tag; 32])))
        };
        let before = inventory(&[("a", 1), ("b/c", 2), ("d", 3)]);
        assert_eq!(Inventory::from_bytes(&before.to_bytes()), before);
        assert_eq!(before.first_difference(&before), None);
        for (now, said) in [
            (inventory(&[("a", 1), ("b/c", 9), ("d", 3)]), "b/c changed"),
            (inventory(&[("a", 1), ("b/c", 2)]), "d is gone"),
            (inventory(&[("a", 1), ("aa\n", 1), ("b/c", 9), ("d", 3)]), "aa\\n is new"),
        ] {
            assert_eq!(now.first_difference(&before).map(|found| found.to_string()).as_deref(), Some(said));
        }
        assert_eq!(Inventory::from_bytes(b"12345678no end"), Inventory::default());
    }
}
