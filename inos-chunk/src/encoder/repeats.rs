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

/// Goal: memory is bounded, and what is remembered is right. Method: more ids than are remembered.
#[cfg(test)]
mod tests {
    use super::{MAX_REMEMBERED, Repeats};
    use crate::{ChunkId, Place};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_first_ids_are_remembered_and_no_more() {
        let id = |i: u32| ChunkId::from_bytes(core::array::from_fn(|at| i.to_le_bytes()[at % 4]));
        let at = |stripe: u32| Place::Shard { stripe, index: 0 };
        let mut repeats = Repeats::default();
        for i in 0..70_000 {
            assert_eq!(repeats.note(id(i), at(i)), None);
        }
        assert_eq!(repeats.first.len(), MAX_REMEMBERED);
        assert_eq!(repeats.note(id(0), at(70_000)), Some(at(0)));
        assert_eq!(repeats.note(id(65_535), at(70_001)), Some(at(65_535)));
        assert_eq!(repeats.note(id(65_536), at(70_002)), None);
    }
}
