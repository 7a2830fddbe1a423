//! Which piece had an id first.

use crate::{ChunkId, Place};
use alloc::collections::BTreeMap;

/// Distinct ids that are remembered: 64 GiB of distinct chunks of 1 MiB, in about 5 MiB of memory. What repeats in a
/// resource, such as a chunk of zeros, is rarely met for the first time after that.
const MAX_REMEMBERED: usize = 1 << 16;

/// Remembers where the first ids were seen, for [`Piece::duplicate_of`](crate::Piece::duplicate_of).
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    first: BTreeMap<ChunkId, Place>,
}

impl Repeats {
    /// Notes an id, and returns the place of the first piece that had it.
    pub(crate) fn note(&mut self, id: ChunkId, place: Place) -> Option<Place> {
        let first = self.first.get(&id).copied();
        if first.is_none() && self.first.len() < MAX_REMEMBERED {
            self.first.insert(id, place);
        }
        first
    }
}
