//! The store in memory.

use inos_pricing::{JournalStore, MemoryError, MemoryStore, Part, SegmentError, Sequence};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::laws::{Place, laws};

#[derive(Default)]
struct Memory {
    store: MemoryStore,
}

impl Place for Memory {
    type Store = MemoryStore;

    fn open(&mut self) -> MemoryStore {
        self.store.clone()
    }

    fn crash(&mut self, mut store: MemoryStore, _seed: u64) {
        store.crash();
        self.store = store;
    }
}

laws!(memory_store, Memory::default());

#[test]
fn a_crash_forgets_exactly_what_was_not_synced() {
    let mut store = MemoryStore::default();
    store.start_segment(1).unwrap();
    store.append(b"ab").unwrap();
    store.sync().unwrap();
    store.append(b"cd").unwrap();
    let copy = store.clone();
    store.crash();
    assert_eq!(store.read(Part::Segment(1)).unwrap(), b"ab");
    assert_eq!(copy.clone().read(Part::Segment(1)).unwrap(), b"abcd", "a copy is another store");

    store.start_segment(2).unwrap();
    store.append(b"ef").unwrap();
    store.crash();
    assert_eq!(store.list().unwrap().segments, [1]);
}

#[test]
fn misuse_is_named_and_bytes_can_be_damaged() {
    let mut store = MemoryStore::default();
    assert_eq!(store.append(b"x"), Err(MemoryError::Segment(SegmentError::NotBegun)));
    store.start_segment(4).unwrap();
    assert_eq!(store.start_segment(4), Err(MemoryError::Segment(SegmentError::NotAbove { segment: 4, last: 4 })));
    let part = Part::Snapshot(Sequence(5));
    assert_eq!(store.read(part), Err(MemoryError::NotFound { part }));
    assert_eq!(MemoryError::NotFound { part }.to_string(), "snapshot-00000000000000000005 does not exist");

    store.append(b"abc").unwrap();
    store.sync().unwrap();
    store.part_mut(Part::Segment(4)).unwrap().truncate(1);
    store.crash();
    assert_eq!(store.read(Part::Segment(4)).unwrap(), b"a");
    assert_eq!(store.part_mut(part), None);
}
