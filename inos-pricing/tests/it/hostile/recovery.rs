//! Goal: who submits transactions cannot keep a ledger from opening, nor make it slow, and no damage to one snapshot
//! costs another. Method: crashes and damage around bytes that a client chose, damaged snapshots, and a store without
//! room.

#[cfg(not(target_arch = "wasm32"))]
use core::time::Duration;

use inos_pricing::{
    AccountId, AuditError, Corruption, Credits, DurableError, DurableLedger, JournalStore, Ledger, Limits, Listing,
    MemoryError, MemoryStore, Millis, OpenError, Part, Recovery, Sequence, Tail, Transaction,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::xxh3_64_with_seed;

#[cfg(not(target_arch = "wasm32"))]
use super::timed;
use super::{BOB, START, id, id_at, opening, pay};

type Opened<S> = (DurableLedger<S>, Recovery);

fn durable() -> DurableLedger<MemoryStore> {
    let (mut ledger, _) = DurableLedger::open(MemoryStore::default(), Limits::default(), 1, Tail::Trust).unwrap();
    ledger.apply(Millis(START), &opening(), &mut Vec::new()).unwrap();
    ledger
}

fn reopen<S: JournalStore>(store: S) -> Result<Opened<S>, OpenError<S::Error>> {
    DurableLedger::open(store, Limits::default(), 1, Tail::Trust)
}

/// The first bytes of a group: magic and length.
fn planted_word(len: u64) -> u64 {
    u64::from(u32::from_le_bytes(*b"IPJ\x01")) | len << 32
}

/// Eight holds of clients who have no account. Nothing of them is applied. What the sixth and the seventh leave in the
/// journal holds, at a multiple of 8, a group without records that says that all was synced, sealed with `salt`.
fn strangers(salt: u64) -> Vec<Transaction> {
    let deadline = Millis(START + 9);
    let mut batch: Vec<Transaction> =
        (0..8).map(|n| Transaction::hold(id(100 + n), AccountId(9_000 + n), BOB, Credits(5), deadline)).collect();
    let receiver = u128::from(planted_word(88)) | 1 << 64;
    batch[5] = Transaction::hold(id(105), AccountId(77), AccountId(receiver), Credits(u64::MAX), deadline);
    let seventh = id_at(START, 0x5eed);

    let mut group = Vec::new();
    group.extend(receiver.to_le_bytes()); // magic, length, first
    group.extend(u64::MAX.to_le_bytes()); // last: amount
    group.extend(deadline.0.to_le_bytes()); // clock: deadline
    group.extend([0, 4]); // option, verdict: payer not found
    group.extend([0; 8]); // number
    group.push(0x80 | 2); // tag of the seventh
    group.extend(seventh.0.to_le_bytes()); // "synced" is in it
    assert_eq!(group.len(), 59);
    group.resize(72, 0); // the payer of the seventh: what is left of predecessor and counts
    let header = xxh3_64_with_seed(&group, salt);
    group.extend(header.to_le_bytes());
    let trailer = xxh3_64_with_seed(&group, salt);
    group.extend(trailer.to_le_bytes());
    assert_eq!(group.len(), 88);
    group.resize(91, 0);

    let account = |at: usize| AccountId(u128::from_le_bytes(*group[at..].first_chunk().unwrap()));
    batch[6] = Transaction::hold(seventh, account(59), account(75), Credits(5), deadline);
    batch
}

/// Opens after a batch was submitted and written in part, and the power failed: it was never synced nor answered.
fn open_after_a_torn_write(
    mut ledger: DurableLedger<MemoryStore>,
    batch: &[Transaction],
) -> Result<Recovery, Corruption> {
    let before = ledger.synced();
    ledger.submit(Millis(START), batch).unwrap();
    let mut store = ledger.into_store();
    let bytes = store.part_mut(Part::Segment(1)).unwrap();
    bytes.truncate(bytes.len() - 3);
    match reopen(store) {
        Ok((_, recovery)) => {
            assert_eq!(recovery.sequence, before);
            assert!(recovery.dropped_bytes > 75 * batch.len() as u64);
            Ok(recovery)
        }
        Err(OpenError::Corrupt(corruption)) => Err(corruption),
        Err(error) => panic!("{error:?}"),
    }
}

/// What a client sends is content of a torn group, never a later whole group that proves that the torn one was synced.
#[test]
fn a_client_cannot_plant_a_group() {
    let first = durable().into_store().read(Part::Segment(1)).unwrap();
    let salt = u64::from_le_bytes(*first[56..].first_chunk().unwrap());
    for guess in [0, 1, salt ^ 1, salt.swap_bytes(), u64::MAX] {
        assert!(open_after_a_torn_write(durable(), &strangers(guess)).is_ok(), "{guess:x}");
    }
    // It is a group, for whoever knows the salt, which no client does.
    let damaged = Corruption::Damaged { segment: 1, offset: first.len() };
    assert_eq!(open_after_a_torn_write(durable(), &strangers(salt)), Err(damaged));
}

#[cfg(not(target_arch = "wasm32"))]
/// The time to open after a torn group of `count` burnt ids that are full of group headers.
fn time_of_scan(count: u32) -> Duration {
    let total = 88 + 75 * u64::from(count);
    let batch: Vec<Transaction> = (0..u64::from(count))
        .map(|n| {
            let len = (total - 75 * (n + 1)).saturating_sub(200) & !7;
            let word = planted_word(len.max(88));
            let twice = u128::from(word) << 64 | u128::from(word);
            let unique = u128::from(word) | u128::from(n & 0xffff) << 64;
            Transaction::hold(id(unique), AccountId(twice), AccountId(twice ^ 1 << 127), Credits(word), Millis(word))
        })
        .collect();
    let ledger = durable();
    timed(|| {
        open_after_a_torn_write(ledger, &batch).unwrap();
    })
}

/// Or each would be hashed to the end of what it claims.
#[cfg(not(target_arch = "wasm32"))] // no clock
#[test]
fn planted_headers_cost_what_they_are_long() {
    let shortest = |count| (0..5).map(|_| time_of_scan(count)).min().unwrap();
    let (small, large) = (shortest(1_000), shortest(8_000));
    assert!(large < small * 24 + Duration::from_millis(20), "eight times the bytes: {small:?}, then {large:?}");
}

fn damage(store: &mut MemoryStore, sequence: Sequence) {
    store.part_mut(Part::Snapshot(sequence)).unwrap()[40] ^= 1;
}

#[test]
fn a_damaged_snapshot_does_not_displace_a_whole_one() {
    let mut ledger = durable();
    let whole = ledger.snapshot().unwrap();
    ledger.apply(Millis(START), &[pay(10, 1)], &mut Vec::new()).unwrap();
    let damaged = ledger.snapshot().unwrap();
    ledger.apply(Millis(START), &[pay(11, 1)], &mut Vec::new()).unwrap();
    let mut store = ledger.into_store();
    damage(&mut store, damaged);

    let (mut ledger, recovery) = reopen(store).unwrap();
    assert_eq!((recovery.damaged_snapshots, recovery.snapshot), (1, Some(whole)));
    ledger.apply(Millis(START), &[pay(12, 1)], &mut Vec::new()).unwrap();
    let newest = ledger.snapshot().unwrap();
    let mut store = ledger.into_store();
    damage(&mut store, newest);
    // Of the two whole ones that there were, one is left.
    let (_, recovery) = reopen(store).unwrap();
    assert_eq!((recovery.damaged_snapshots, recovery.snapshot), (2, Some(whole)));
}

#[test]
fn a_damaged_snapshot_is_put_again() {
    let mut ledger = durable();
    let sequence = ledger.snapshot().unwrap();
    let mut store = ledger.into_store();
    damage(&mut store, sequence);
    let (mut ledger, recovery) = reopen(store).unwrap();
    assert_eq!(recovery.damaged_snapshots, 1);
    assert_eq!(ledger.snapshot(), Ok(sequence));
    let bytes = ledger.into_store().read(Part::Snapshot(sequence)).unwrap();
    assert!(Ledger::restore(&bytes, Limits::default(), 1).is_ok());
}

/// Opening begins with an older one; the audit does not keep silent about it.
#[test]
fn the_audit_names_a_damaged_snapshot() {
    let mut ledger = durable();
    let older = ledger.snapshot().unwrap();
    ledger.apply(Millis(START), &[pay(10, 1)], &mut Vec::new()).unwrap();
    let newest = ledger.snapshot().unwrap();
    ledger.apply(Millis(START), &[pay(11, 1)], &mut Vec::new()).unwrap();
    let inner = ledger.into_store();
    let audit = |damaged: Option<Sequence>| {
        let (mut ledger, recovery) = reopen(Watched { inner: inner.clone(), damaged, ..Watched::default() }).unwrap();
        assert_eq!(recovery.damaged_snapshots, u32::from(damaged == Some(newest)));
        ledger.audit().map(|recovery| recovery.damaged_snapshots)
    };
    assert_eq!(audit(None), Ok(0));
    for sequence in [older, newest] {
        let corruption = Corruption::Snapshot { sequence };
        assert_eq!(audit(Some(sequence)), Err(AuditError::Open(OpenError::Corrupt(corruption))));
    }
}

/// A store that fails on demand.
#[derive(Debug, Default)]
struct Watched {
    inner: MemoryStore,
    refuse_snapshots: bool,
    damaged: Option<Sequence>,
}

impl JournalStore for Watched {
    type Error = MemoryError;
    fn list(&mut self) -> Result<Listing, MemoryError> {
        self.inner.list()
    }
    fn read(&mut self, part: Part) -> Result<Vec<u8>, MemoryError> {
        let mut bytes = self.inner.read(part)?;
        if self.damaged.is_some_and(|sequence| part == Part::Snapshot(sequence)) {
            bytes[40] ^= 1;
        }
        Ok(bytes)
    }
    fn start_segment(&mut self, segment: u64) -> Result<(), MemoryError> {
        self.inner.start_segment(segment)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), MemoryError> {
        self.inner.append(bytes)
    }
    fn sync(&mut self) -> Result<(), MemoryError> {
        self.inner.sync()
    }
    fn put_snapshot(&mut self, sequence: Sequence, bytes: &[u8]) -> Result<(), MemoryError> {
        if self.refuse_snapshots {
            // As when there is no room.
            return Err(MemoryError::NotFound { part: Part::Snapshot(sequence) });
        }
        self.inner.put_snapshot(sequence, bytes)
    }
    fn drop_before(&mut self, segment: u64, snapshot: Sequence) -> Result<(), MemoryError> {
        self.inner.drop_before(segment, snapshot)
    }
}

#[test]
fn without_room_for_a_snapshot_the_ledger_goes_on() {
    let (mut ledger, _) = reopen(Watched { refuse_snapshots: true, ..Watched::default() }).unwrap();
    ledger.apply(Millis(START), &opening(), &mut Vec::new()).unwrap();
    assert!(matches!(ledger.snapshot(), Err(DurableError::Store(_))));
    let released = ledger.apply(Millis(START), &[pay(10, 1)], &mut Vec::new()).unwrap();
    let mut inner = ledger.into_store().inner;
    inner.crash();
    let (mut ledger, recovery) = reopen(inner).unwrap();
    assert_eq!((recovery.sequence, recovery.snapshot), (released, None));
    // With room again, it is put.
    assert_eq!(ledger.snapshot(), Ok(released));
    assert_eq!(ledger.audit().map(|recovery| recovery.sequence), Ok(released));
}
