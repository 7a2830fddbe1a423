//! An open-addressing map from 128-bit ids to positions in a vector, keyed so that no one outside can choose ids that
//! collide.
//!
//! It is no ordered map because a new id is looked up once, found absent, and inserted: two cache misses here, a
//! descent of the tree there. Nothing is ever decided by its order.

use alloc::vec;
use alloc::vec::Vec;

/// Marks a free cell; no vector has this many entries, since the limits are `u32`.
const FREE: u32 = u32::MAX;

/// The number of cells at the first insertion.
const FIRST_CELLS: usize = 16;

#[derive(Clone, Copy)]
struct Cell {
    /// 32 bits of the hash: the home cell and the tag, so that growing needs no access to the entries.
    hash: u32,
    slot: u32,
}

/// Linear probing at a load of at most 3/4, removal by backward shift, so no tombstones accumulate.
#[derive(Clone)]
pub(super) struct Index {
    key: (u64, u64),
    cells: Vec<Cell>,
    len: usize,
}

impl Index {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the seed")]
    pub(super) fn new(seed: u128) -> Self {
        Self { key: (seed as u64, (seed >> 64) as u64), cells: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits of the hash are kept")]
    #[inline]
    pub(super) fn hash(&self, id: u128) -> u32 {
        siphash::<1, 3>(self.key, id) as u32
    }

    /// The slot with this hash that `matches`. Expected O(1).
    pub(super) fn find(&self, hash: u32, matches: impl Fn(u32) -> bool) -> Option<u32> {
        if self.cells.is_empty() {
            return None;
        }
        let mut position = self.home(hash);
        loop {
            let cell = self.cells[position];
            if cell.slot == FREE {
                return None;
            }
            if cell.hash == hash && matches(cell.slot) {
                return Some(cell.slot);
            }
            position = self.after(position);
        }
    }

    /// The content of the home cell of a hash.
    pub(super) fn first(&self, hash: u32) -> Option<u32> {
        self.cells.get(self.home(hash)).map(|cell| cell.slot)
    }

    /// Adds a slot whose id is not in the index. Amortised O(1).
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if self.len.saturating_mul(4) >= self.cells.len().saturating_mul(3) {
            self.grow();
        }
        self.place(Cell { hash, slot });
        self.len = self.len.saturating_add(1);
    }

    /// Removes a slot that is in the index. Expected O(1).
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let mut hole = self.home(hash);
        while self.cells[hole].slot != slot {
            assert!(self.cells[hole].slot != FREE, "only a slot that was inserted is removed");
            hole = self.after(hole);
        }
        let mut position = hole;
        loop {
            position = self.after(position);
            let cell = self.cells[position];
            if cell.slot == FREE {
                break;
            }
            // A cell may fill the hole if the hole is on the way from its home to where it is.
            let home = self.home(cell.hash);
            if self.distance(home, position) >= self.distance(hole, position) {
                self.cells[hole] = cell;
                hole = position;
            }
        }
        self.cells[hole].slot = FREE;
        self.len = self.len.saturating_sub(1);
    }

    /// All slots, in an order that depends on the key.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.cells.iter().map(|cell| cell.slot).filter(|&slot| slot != FREE)
    }

    fn place(&mut self, cell: Cell) {
        let mut position = self.home(cell.hash);
        while self.cells[position].slot != FREE {
            position = self.after(position);
        }
        self.cells[position] = cell;
    }

    fn grow(&mut self) {
        let count = self.cells.len().saturating_mul(2).max(FIRST_CELLS);
        let old = core::mem::replace(&mut self.cells, vec![Cell { hash: 0, slot: FREE }; count]);
        for cell in old {
            if cell.slot != FREE {
                self.place(cell);
            }
        }
    }

    fn mask(&self) -> usize {
        self.cells.len().wrapping_sub(1)
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    fn after(&self, position: usize) -> usize {
        position.wrapping_add(1) & self.mask()
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & self.mask()
    }
}

/// 64 bits that follow from a seed and say nothing of it.
pub(super) fn salt(seed: u128) -> u64 {
    siphash::<2, 4>(Index::new(seed).key, u128::from_le_bytes(*b"salt of journals"))
}

/// SipHash of the 16 little-endian bytes of `id` (Aumasson and Bernstein 2012): with a secret key, ids that collide
/// cannot be found faster than by trying. One compression and three finalisation rounds, as in Rust's own hash maps.
fn siphash<const COMPRESS: usize, const FINISH: usize>((k0, k1): (u64, u64), id: u128) -> u64 {
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the id")]
    let words = [id as u64, (id >> 64) as u64, 16 << 56];
    for word in words {
        state[3] ^= word;
        for _ in 0..COMPRESS {
            sip_round(&mut state);
        }
        state[0] ^= word;
    }
    state[2] ^= 0xff;
    for _ in 0..FINISH {
        sip_round(&mut state);
    }
    state[0] ^ state[1] ^ state[2] ^ state[3]
}

fn sip_round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    //! Goal: the index is a map, whatever is inserted and removed, even when everything collides.
    //! Method: a random walk beside a `BTreeMap`; the published SipHash vector.

    use alloc::collections::BTreeMap;

    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// The 16-byte entry of the reference vectors of SipHash-2-4 (`vectors_sip64`, key 00..0f, input 00..0f).
    #[test]
    fn siphash_agrees_with_the_published_vector() {
        let id = u128::from_le_bytes(core::array::from_fn(|i| u8::try_from(i).unwrap()));
        let key = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908);
        assert_eq!(siphash::<2, 4>(key, id), 0x3f2a_cc7f_57c2_9bdb);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn index_is_a_map(steps in prop::collection::vec((0_u32..40, 10_u32..16), 1..400)) {
            // Six hashes for forty slots: everything collides, and the clusters wrap around the end of 16 cells.
            let mut index = Index::new(1);
            let mut model = BTreeMap::new();
            for (slot, hash) in steps {
                let known = model.get(&slot).copied();
                match known {
                    None => {
                        index.insert(hash, slot);
                        model.insert(slot, hash);
                    }
                    Some(hash) => {
                        index.remove(hash, slot);
                        model.remove(&slot);
                    }
                }
                prop_assert_eq!(index.len(), model.len());
                for slot in 0..40 {
                    let expected = model.get(&slot).map(|_| slot);
                    let hash = model.get(&slot).copied().unwrap_or(10);
                    prop_assert_eq!(index.find(hash, |found| found == slot), expected);
                }
            }
            let mut slots: Vec<u32> = index.slots().collect();
            slots.sort_unstable();
            prop_assert_eq!(slots, model.keys().copied().collect::<Vec<_>>());
        }
    }
}
