//! Goal: opening drops nothing that can be told from a torn end, and overlooks what was dropped on purpose.
//! Method: small journals, damaged in one way each.

use inos_pricing::{
    AccountId, AccountKind, Corruption, DurableLedger, JournalStore, Limits, MemoryStore, Millis, OpenError, Part,
    Sequence, Tail, Transaction, TxId,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

type Opened = Result<DurableLedger<MemoryStore>, Corruption>;

fn open(store: &MemoryStore) -> Opened {
    match DurableLedger::open(store.clone(), Limits::default(), 3, Tail::Trust) {
        Ok((ledger, _)) => Ok(ledger),
        Err(OpenError::Corrupt(corruption)) => Err(corruption),
        Err(error) => panic!("{error}"),
    }
}

/// Each account is a group; the first has a step of the clock, too.
fn add(ledger: &mut DurableLedger<MemoryStore>, account: u128) -> Sequence {
    ledger.apply(Millis(5), &[account_of(account)], &mut Vec::new()).unwrap()
}

fn account_of(account: u128) -> Transaction {
    let id = TxId::from_parts(Millis(5), account).unwrap();
    Transaction::open(id, AccountId(account), AccountKind::Holder)
}

/// A group whose copy is damaged proves that the copy had been synced: it is not the torn end.
#[test]
fn a_damaged_copy_drops_nothing_after_it() {
    let mut ledger = open(&MemoryStore::default()).unwrap();
    assert_eq!(add(&mut ledger, 1), Sequence(2));
    let mut ledger = open(&ledger.into_store()).unwrap();
    assert_eq!(add(&mut ledger, 2), Sequence(3));
    let mut store = ledger.into_store();
    let undamaged = store.clone();
    store.part_mut(Part::Segment(2)).unwrap()[40] ^= 1;
    assert_eq!(open(&store).unwrap_err(), Corruption::Damaged { segment: 2, offset: 0 });

    // A later segment has what follows: nothing is missing.
    let mut store = open(&undamaged).unwrap().into_store();
    store.part_mut(Part::Segment(2)).unwrap()[40] ^= 1;
    assert_eq!(open(&store).unwrap().ledger().unwrap().sequence(), Sequence(3));
}

fn after_snapshots() -> (MemoryStore, Vec<u8>) {
    let mut ledger = open(&MemoryStore::default()).unwrap();
    let mut first = Vec::new();
    for account in 1..=4 {
        add(&mut ledger, account);
        let snapshot = ledger.snapshot().unwrap();
        if account == 1 {
            let mut store = ledger.into_store();
            first.clone_from(store.part_mut(Part::Snapshot(snapshot)).unwrap());
            ledger = open(&store).unwrap();
        }
    }
    add(&mut ledger, 5);
    let mut store = ledger.into_store();
    assert_eq!(store.list().unwrap().snapshots, [Sequence(4), Sequence(5)]);
    (store, first)
}

/// The older snapshot is of use only with the journal since.
#[test]
fn a_gap_after_the_older_snapshot_is_corrupt() {
    let (mut store, _) = after_snapshots();
    let first = store.list().unwrap().segments[0];
    store.part_mut(Part::Segment(first)).unwrap().clear();
    let gap = Corruption::OutOfOrder { segment: first + 1, offset: 0, expected: Sequence(5), found: Sequence(6) };
    assert_eq!(open(&store).unwrap_err(), gap);
}

/// A crash may bring back a snapshot that was dropped, if the sync of the directory had failed.
#[test]
fn a_snapshot_that_came_back_is_not_relied_on() {
    let (mut store, first) = after_snapshots();
    store.put_snapshot(Sequence(2), &first).unwrap();
    let mut ledger = open(&store).unwrap();
    assert_eq!(ledger.audit().unwrap().snapshot, Some(Sequence(4)));
    add(&mut ledger, 6);
    ledger.snapshot().unwrap();
    assert_eq!(ledger.into_store().list().unwrap().snapshots, [Sequence(5), Sequence(7)]);
}

/// What an opening has dropped the next one does not drop again.
#[test]
fn a_torn_end_is_reported_once() {
    let mut ledger = open(&MemoryStore::default()).unwrap();
    add(&mut ledger, 1);
    add(&mut ledger, 2);
    let mut store = ledger.into_store();
    store.part_mut(Part::Segment(1)).unwrap().pop();
    let mut dropped = Vec::new();
    for _ in 0..2 {
        let (ledger, recovery) = DurableLedger::open(store, Limits::default(), 3, Tail::Trust).unwrap();
        assert_eq!(recovery.sequence, Sequence(2));
        dropped.push(recovery.dropped_bytes);
        store = ledger.into_store();
    }
    assert!(dropped[0] > 0 && dropped[1] == 0, "{dropped:?}");
}

/// What an opening could not read, and a later one can, stays replaced by what was released in its place.
#[test]
fn a_later_segment_replaces_what_could_not_be_read() {
    let mut ledger = open(&MemoryStore::default()).unwrap();
    for account in 1..=2 {
        ledger.submit(Millis(5), &[account_of(account)]).unwrap();
    }
    ledger.sync().unwrap();
    let mut store = ledger.into_store();
    let readable = store.part_mut(Part::Segment(1)).unwrap().clone();
    store.part_mut(Part::Segment(1)).unwrap().pop();
    let mut ledger = open(&store).unwrap();
    add(&mut ledger, 3);
    let hash = ledger.ledger().unwrap().state_hash();
    let mut store = ledger.into_store();
    *store.part_mut(Part::Segment(1)).unwrap() = readable;
    let mut ledger = open(&store).unwrap();
    assert_eq!(ledger.ledger().unwrap().state_hash(), hash);
    ledger.audit().unwrap();
}

/// The group of another journal is no successor, though its sequence fits and it could be replayed.
#[test]
fn groups_of_two_journals_do_not_mix() {
    let written = |accounts: [u128; 3]| {
        let mut ledger = open(&MemoryStore::default()).unwrap();
        for account in accounts {
            add(&mut ledger, account);
        }
        ledger.into_store()
    };
    let (mut store, mut other) = (written([1, 2, 3]), written([1, 4, 5]));
    let foreign = other.part_mut(Part::Segment(1)).unwrap();
    let bytes = store.part_mut(Part::Segment(1)).unwrap();
    let start = bytes.len() - 128;
    bytes.truncate(start);
    bytes.extend_from_slice(&foreign[start..]);
    assert_eq!(open(&store).unwrap_err(), Corruption::Impossible { segment: 1, offset: start });
}
