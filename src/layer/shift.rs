//! Owners of a layer as another user namespace sees them.

use std::os::fd::BorrowedFd;

use crate::base::digest::Digest;
use crate::base::error::{Explain, Result, anyhow};
use crate::sys::userns::{IdMap, map_text};

/// The user namespace of a container, and its maps relative to the caller's namespace.
#[derive(Debug, Default)]
pub struct Shift<'a> {
    /// The namespace itself, for an idmapped mount; without it, or where the kernel refuses, trees are copied.
    pub userns: Option<BorrowedFd<'a>>,
    /// User ids.
    pub uids: Vec<IdMap>,
    /// Group ids.
    pub gids: Vec<IdMap>,
}

impl Shift<'_> {
    /// Whether every id stays what it is.
    pub fn is_identity(&self) -> bool {
        self.uids.iter().chain(&self.gids).all(|map| map.inside == map.outside)
    }

    /// The owner outside of what is `uid:gid` inside.
    pub fn outside(&self, uid: u32, gid: u32) -> Result<(u32, u32)> {
        Ok((lookup(&self.uids, uid, true)?, lookup(&self.gids, gid, true)?))
    }

    /// The owner inside of what is `uid:gid` outside; an unmapped one becomes the overflow id, as the kernel has it.
    pub fn inside(&self, uid: u32, gid: u32) -> (u32, u32) {
        let back = |maps: &[IdMap], id| lookup(maps, id, false).unwrap_or(65534);
        (back(&self.uids, uid), back(&self.gids, gid))
    }

    /// A name for what the maps do.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(format!("shift\n{}\n{}", map_text(&self.uids), map_text(&self.gids)).as_bytes())
    }
}

fn lookup(maps: &[IdMap], id: u32, outward: bool) -> Result<u32> {
    for map in maps {
        let (from, to) = if outward { (map.inside, map.outside) } else { (map.outside, map.inside) };
        if let Some(offset) = id.checked_sub(from).filter(|offset| *offset < map.count) {
            return Ok(to + offset);
        }
    }
    Err(anyhow!("id {id} of the image is not mapped in the container's user namespace"))
        .hint("map more ids, or choose an image that uses smaller ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_both_ways() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        let maps = vec![map(0, 1, 1000), map(1000, 0, 1), map(1001, 1001, 64536)];
        let shift = Shift { userns: None, uids: maps.clone(), gids: maps };
        assert_eq!(shift.outside(0, 1000).unwrap(), (1, 0));
        assert_eq!(shift.inside(1, 0), (0, 1000));
        assert!(shift.outside(70000, 0).is_err() && !shift.is_identity());
    }
}
