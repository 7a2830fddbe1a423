//! The bounded table of what a ledger remembers, by id and by age.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::index::Index;
use super::record::Record;
use crate::{Millis, TxId};

/// The end of a chain of slots.
const END: u32 = u32::MAX;

/// No chain: no record is kept from a time that late.
const NOTHING_GROWS: (Millis, u32) = (Millis(u64::MAX), END);

/// Records in a vector of slots that are reused; found by id through an index, forgotten by age through chains of the
/// records that are kept from the same millisecond.
#[derive(Clone)]
pub(super) struct Records {
    slots: Vec<Record>,
    index: Index,
    /// The first of the chain of free slots.
    free: u32,
    /// The first of the chain of records by [`Record::kept_from`]: those that one watermark decides, and those that can
    /// be refunded. Open holds and streams are in no chain: they are kept at any age.
    by_age: [BTreeMap<Millis, u32>; 2],
    /// The chain of each kind that grew last, which is in no map: in a batch it is nearly always the same.
    growing: [(Millis, u32); 2],
}

impl Records {
    pub(super) fn new(seed: u128) -> Self {
        Self {
            slots: Vec::new(),
            index: Index::new(seed),
            free: END,
            by_age: [BTreeMap::new(), BTreeMap::new()],
            growing: [NOTHING_GROWS; 2],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn hash(&self, id: TxId) -> u32 {
        self.index.hash(id.0)
    }

    pub(super) fn find(&self, hash: u32, id: TxId) -> Option<u32> {
        self.index.find(hash, |slot| self.slots[slot as usize].id == id)
    }

    /// Brings what [`find`](Self::find) reads first nearer to the processor.
    pub(super) fn touch(&self, hash: u32) {
        core::hint::black_box(self.index.first(hash));
    }

    pub(super) fn at(&self, slot: u32) -> &Record {
        &self.slots[slot as usize]
    }

    pub(super) fn at_mut(&mut self, slot: u32) -> &mut Record {
        &mut self.slots[slot as usize]
    }

    /// Adds a record whose id is not in the table. It is kept until [`age`](Self::age) and [`forget`](Self::forget).
    pub(super) fn insert(&mut self, hash: u32, record: Record) -> u32 {
        let slot = if self.free == END {
            let slot = u32::try_from(self.slots.len()).expect("the number of ids is limited to 32 bits");
            self.slots.push(record);
            slot
        } else {
            let slot = self.free;
            self.free = self.slots[slot as usize].next;
            self.slots[slot as usize] = record;
            slot
        };
        self.index.insert(hash, slot);
        slot
    }

    /// Takes back the last [`insert`](Self::insert).
    pub(super) fn uninsert(&mut self, slot: u32) {
        let id = self.at(slot).id;
        self.index.remove(self.index.hash(id.0), slot);
        self.slots[slot as usize].next = self.free;
        self.free = slot;
    }

    /// Lets a record age: from now on it is forgotten when the watermarks pass its [`Record::kept_from`].
    pub(super) fn age(&mut self, slot: u32) {
        let record = &self.slots[slot as usize];
        let (kind, key) = (usize::from(record.is_refundable()), record.kept_from());
        if self.growing[kind].0 != key {
            self.settle(kind);
            self.growing[kind] = (key, self.by_age[kind].remove(&key).unwrap_or(END));
        }
        self.slots[slot as usize].next = self.growing[kind].1;
        self.growing[kind].1 = slot;
    }

    /// Takes back the last [`age`](Self::age) of the chain that the record is in.
    pub(super) fn unage(&mut self, slot: u32) {
        let record = &self.slots[slot as usize];
        let (kind, key, next) = (usize::from(record.is_refundable()), record.kept_from(), record.next);
        if self.growing[kind].0 != key {
            self.settle(kind);
            self.by_age[kind].remove(&key);
        }
        self.growing[kind] = (key, next);
    }

    /// Puts the chain that grew last among the others of its kind.
    fn settle(&mut self, kind: usize) {
        let (key, first) = self.growing[kind];
        if first != END {
            self.by_age[kind].insert(key, first);
        }
        self.growing[kind] = NOTHING_GROWS;
    }

    /// Forgets every ageing record that is kept from before `watermark`, and those that can be refunded only if it is
    /// before `refund_mark`, too. O(log n) for each, amortised over its insertion.
    pub(super) fn forget(&mut self, watermark: Millis, refund_mark: Millis) {
        self.settle(0);
        self.settle(1);
        for (chains, mark) in self.by_age.iter_mut().zip([watermark, watermark.min(refund_mark)]) {
            while let Some(entry) = chains.first_entry() {
                if *entry.key() >= mark {
                    break;
                }
                let mut slot = entry.remove();
                while slot != END {
                    let record = &mut self.slots[slot as usize];
                    let (id, next) = (record.id, record.next);
                    record.next = self.free;
                    self.free = slot;
                    self.index.remove(self.index.hash(id.0), slot);
                    slot = next;
                }
            }
        }
    }

    /// All records in the order of their ids. O(n log n).
    pub(super) fn sorted(&self) -> Vec<&Record> {
        let mut records: Vec<&Record> = self.index.slots().map(|slot| self.at(slot)).collect();
        records.sort_unstable_by_key(|record| record.id);
        records
    }
}
