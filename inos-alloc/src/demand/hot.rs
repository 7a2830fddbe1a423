//! A bounded set of entries that gives up the lightest one.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What entries are ordered by: a number as (binary exponent, digits).
pub(super) type Rank = (u64, u64);

#[derive(Clone, Debug)]
struct Slot<R, E> {
    id: R,
    entry: E,
    rank: Rank,
    /// Where `heap` names this slot.
    place: usize,
}

/// Entries by id, and a binary heap with the lightest on top. Ranks are of one common moment, so time alone changes no
/// order and nothing is touched between records.
#[derive(Clone, Debug)]
pub(super) struct HotSet<R, E> {
    by_id: BTreeMap<R, usize>,
    slots: Vec<Slot<R, E>>,
    heap: Vec<usize>,
}

impl<R: Copy + Ord, E> HotSet<R, E> {
    pub(super) const fn new() -> Self {
        Self { by_id: BTreeMap::new(), slots: Vec::new(), heap: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn entry(&self, id: &R) -> Option<&E> {
        self.by_id.get(id).map(|&index| &self.slots[index].entry)
    }

    pub(super) fn entry_mut(&mut self, id: &R) -> Option<&mut E> {
        self.by_id.get(id).map(|&index| &mut self.slots[index].entry)
    }

    /// Changes the entry of `id`, if there is one, and its rank to what `change` says.
    pub(super) fn update(&mut self, id: &R, change: impl FnOnce(&mut E) -> Rank) -> bool {
        let Some(&index) = self.by_id.get(id) else { return false };
        let slot = &mut self.slots[index];
        slot.rank = change(&mut slot.entry);
        let place = slot.place;
        self.settle(place);
        true
    }

    /// Adds an entry for an id that has none. When that makes more than `capacity`, which is not zero, the lightest other
    /// entry goes; of equals, the least id. O(log n).
    pub(super) fn insert(&mut self, id: R, entry: E, rank: Rank, capacity: usize) -> Option<(R, E)> {
        let evicted = if self.len() >= capacity { self.heap.first().copied() } else { None };
        let evicted = evicted.map(|index| self.remove_slot(index));
        self.by_id.insert(id, self.slots.len());
        self.heap.push(self.slots.len());
        self.slots.push(Slot { id, entry, rank, place: self.slots.len() });
        self.settle(self.slots.len() - 1);
        evicted
    }

    pub(super) fn remove(&mut self, id: &R) -> Option<E> {
        let index = self.by_id.get(id).copied()?;
        Some(self.remove_slot(index).1)
    }

    fn remove_slot(&mut self, index: usize) -> (R, E) {
        let place = self.slots[index].place;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.slots[self.heap[place]].place = place;
            self.settle(place);
        }
        let gone = self.slots.swap_remove(index);
        self.by_id.remove(&gone.id);
        if let Some(moved) = self.slots.get(index) {
            self.heap[moved.place] = index;
            self.by_id.insert(moved.id, index);
        }
        (gone.id, gone.entry)
    }

    fn lighter(&self, a: usize, b: usize) -> bool {
        let [a, b] = [a, b].map(|place| &self.slots[self.heap[place]]);
        (a.rank, a.id) < (b.rank, b.id)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.slots[self.heap[a]].place = a;
        self.slots[self.heap[b]].place = b;
    }

    /// Moves what is at `place` up or down to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.lighter(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                return;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.lighter(right, left) { right } else { left };
            if !self.lighter(child, place) {
                return;
            }
            self.swap(place, child);
            place = child;
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the entry given up is always the lightest, and all three tables agree. Method: a vector that is scanned, after
    //! any sequence of insertions, updates and removals.

    use super::{HotSet, Rank};
    use alloc::vec::Vec;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(set: &HotSet<u8, u64>, naive: &[(u8, u64, Rank)]) {
        assert_eq!((set.len(), set.heap.len(), set.by_id.len()), (naive.len(), naive.len(), naive.len()));
        for (id, entry, rank) in naive {
            let slot = &set.slots[set.by_id[id]];
            assert_eq!((slot.id, slot.entry, slot.rank), (*id, *entry, *rank));
            assert_eq!(set.heap[slot.place], set.by_id[id]);
            assert!(slot.place == 0 || !set.lighter(slot.place, (slot.place - 1) / 2));
        }
    }

    proptest! {
        #[test]
        fn the_lightest_goes(
            capacity in 1usize..12,
            steps in prop::collection::vec((0u8..20, 0u64..6, 0u8..8), 0..200),
        ) {
            let mut set = HotSet::new();
            let mut naive: Vec<(u8, u64, Rank)> = Vec::new();
            for (entry, (id, weight, what)) in (0u64..).zip(steps) {
                let known = naive.iter().position(|known| known.0 == id);
                match (known, what) {
                    (Some(index), 0) => prop_assert_eq!(set.remove(&id), Some(naive.remove(index).1)),
                    (None, 0) => prop_assert_eq!(set.remove(&id), None),
                    (Some(index), _) => {
                        naive[index] = (id, entry, (weight, 1));
                        let known = set.update(&id, |old| {
                            *old = entry;
                            (weight, 1)
                        });
                        prop_assert!(known);
                    }
                    (None, _) => {
                        prop_assert!(!set.update(&id, |_| unreachable!("the id has no entry")));
                        let least = naive.iter().copied().min_by_key(|&(id, _, rank)| (rank, id));
                        let least = least.filter(|_| naive.len() == capacity);
                        naive.retain(|known| Some(known.0) != least.map(|least| least.0));
                        naive.push((id, entry, (weight, 1)));
                        let evicted = set.insert(id, entry, (weight, 1), capacity);
                        prop_assert_eq!(evicted, least.map(|(id, entry, _)| (id, entry)));
                    }
                }
                check(&set, &naive);
            }
        }
    }
}
