//! The store in a redb database. A process that dies loses what it did not sync; the crash of a machine is redb's.

use core::error::Error;

use inos_pricing::{JournalStore, Part, RedbError, RedbStore};

use super::{
    directory::Scratch,
    laws::{Place, laws},
};

struct File {
    scratch: Scratch,
}

impl File {
    fn new() -> Self {
        Self { scratch: Scratch::new() }
    }
}

impl Place for File {
    type Store = RedbStore;

    fn open(&mut self) -> RedbStore {
        RedbStore::open(self.scratch.path.join("ledger.redb")).unwrap()
    }

    fn crash(&mut self, store: RedbStore, _seed: u64) {
        drop(store);
    }
}

laws!(redb_store, File::new());

#[test]
fn one_store_at_a_time() {
    let mut file = File::new();
    let store = file.open();
    let error = RedbStore::open(file.scratch.path.join("ledger.redb")).unwrap_err();
    assert!(matches!(error, RedbError::Database(_)) && error.source().is_some());
    drop(store);
    file.open();
}

#[test]
fn appends_wait_for_the_sync() {
    let mut file = File::new();
    let mut store = file.open();
    store.start_segment(1).unwrap();
    store.append(b"synced").unwrap();
    store.sync().unwrap();
    store.append(b", lost").unwrap();
    assert_eq!(store.read(Part::Segment(1)).unwrap(), b"synced, lost");
    drop(store);
    assert_eq!(file.open().read(Part::Segment(1)).unwrap(), b"synced");
}

#[test]
fn what_is_no_database_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.path.join("ledger.redb");
    std::fs::write(&path, [7; 10_000]).unwrap();
    assert!(matches!(RedbStore::open(path), Err(RedbError::Database(_))));
    assert!(matches!(RedbStore::open(scratch.path.join("a/b")), Err(RedbError::Database(_))));
}
