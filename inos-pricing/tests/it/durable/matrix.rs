//! Goal: whatever happens to the bytes of a journal, what opens is a state that the ledger had, no released outcome is
//! missing if the caller knows that it was released, and nothing but the unsynced end is dropped without.
//! Method: journals of 200 records; every byte of every segment is cut off, its bits flipped, everything from it on
//! zeroed; groups are dropped, repeated and swapped; snapshots are damaged at every byte. Each time both kinds of
//! [`Tail`] are opened, and what opens has to go on.

use alloc::collections::BTreeMap;
use core::fmt::Debug;

use inos_pricing::{
    AuditError, Corruption, DurableLedger, JournalStore, MemoryStore, OpenError, Part, Recovery, Sequence, Tail,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    factor,
    traffic::{LIMITS, Rng, SEED, Traffic},
};

/// How a journal comes about.
#[derive(Clone, Copy, Debug)]
struct Shape {
    records: u64,
    /// Transactions in a batch.
    most: u64,
    /// Batches that wait for one sync.
    pipelined: u64,
    /// Batches between two openings, or two snapshots.
    reopened: Option<u64>,
    snapshots: Option<u64>,
    /// The last batches are never synced.
    is_unsynced: bool,
}

const PLAIN: Shape =
    Shape { records: 200, most: 20, pipelined: 1, reopened: None, snapshots: None, is_unsynced: false };

/// A commit group, and where it is.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    offset: usize,
    len: usize,
    first: Sequence,
    synced: Sequence,
}

impl Place {
    fn end(&self) -> usize {
        self.offset + self.len
    }

    fn before(&self) -> Sequence {
        Sequence(self.first.0 - 1)
    }
}

/// A journal, and what is known of it.
struct History {
    store: MemoryStore,
    places: Vec<Place>,
    /// The state hash after each group.
    hashes: BTreeMap<Sequence, u128>,
    released: Sequence,
    end: Sequence,
    newest_snapshot: Sequence,
    segments: Vec<u64>,
    /// Of so many that open one goes on.
    sample: u64,
    /// An audit finds them.
    damages_snapshots: bool,
    cases: Cases,
}

/// What came out of all cases.
#[derive(Clone, Copy, Debug, Default)]
struct Cases {
    opened: u64,
    /// With less than there was.
    shorter: u64,
    corrupt: u64,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The groups of an undamaged segment, read as `docs/journal.md` says.
fn places(segment: u64, bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let group = &bytes[offset..];
        let len = half(group, 4) as usize;
        let [first, synced] = [8, 48].map(|at| Sequence(word(group, at)));
        places.push(Place { segment, offset, len, first, synced });
        offset += len;
    }
    places
}

fn open(store: MemoryStore, tail: Tail) -> Result<(DurableLedger<MemoryStore>, Recovery), Corruption> {
    match DurableLedger::open(store, LIMITS, SEED, tail) {
        Ok(opened) => Ok(opened),
        Err(OpenError::Corrupt(corruption)) => Err(corruption),
        Err(error) => panic!("{error:?}"),
    }
}

fn history(shape: Shape) -> History {
    let mut traffic = Traffic::new(20);
    let (mut ledger, _) = open(MemoryStore::default(), Tail::Trust).unwrap();
    let mut hashes = BTreeMap::from([(Sequence(0), ledger.ledger().unwrap().state_hash())]);
    let (mut records, mut calls, mut released) = (0, 0, Sequence(0));
    let mut twin = ledger.ledger().unwrap().clone();
    while records < shape.records {
        calls += 1;
        let mut call = match calls {
            1 => traffic.opening(),
            _ if calls % 9 == 0 => traffic.pulse(),
            _ => traffic.call(shape.most),
        };
        call.batch.truncate(usize::try_from(shape.records - records).unwrap());
        let mut group = Vec::new();
        twin.apply(call.now, &call.batch, &mut Vec::new(), &mut group).unwrap();
        records += if group.is_empty() { 0 } else { u64::from(half(&group, 68)) };
        ledger.submit(call.now, &call.batch).unwrap();
        hashes.insert(twin.sequence(), twin.state_hash());

        let is_last = records == shape.records;
        if if is_last { !shape.is_unsynced } else { calls % shape.pipelined == 0 } {
            released = ledger.sync().unwrap();
        }
        if !is_last && shape.reopened.is_some_and(|calls_between| calls % calls_between == 0) {
            ledger = open(ledger.into_store(), Tail::AtLeast(released)).unwrap().0;
        }
        if !is_last && shape.snapshots.is_some_and(|calls_between| calls % calls_between == 0) {
            released = ledger.snapshot().unwrap();
        }
    }
    assert_eq!(ledger.ledger().unwrap().state_hash(), twin.state_hash());
    let mut store = ledger.into_store();
    let listing = store.list().unwrap();
    let mut all = Vec::new();
    for &segment in &listing.segments {
        all.extend(places(segment, store.part_mut(Part::Segment(segment)).unwrap()));
    }
    History {
        store,
        places: all,
        hashes,
        released,
        end: twin.sequence(),
        newest_snapshot: listing.snapshots.last().copied().unwrap_or_default(),
        segments: listing.segments,
        sample: 1,
        damages_snapshots: false,
        cases: Cases::default(),
    }
}

impl History {
    /// Up to where groups and snapshots that are whole prove that the journal was synced.
    fn known(&self, is_whole: impl Fn(&Place) -> bool) -> Sequence {
        let marks = self.places.iter().filter(|place| is_whole(place)).map(|place| place.synced);
        marks.max().unwrap_or_default().max(self.newest_snapshot)
    }

    /// The laws of both tails, on a damaged store. Answers what `Tail::Trust` made of it.
    fn check(&mut self, damaged: &MemoryStore, known: Sequence, what: impl Debug) -> Result<Recovery, Corruption> {
        if let Ok(recovery) = self.check_tail(damaged, Tail::AtLeast(self.released), &what) {
            assert!(recovery.sequence >= self.released, "{what:?}: lost what was released, {recovery:?}");
        }
        let trusted = self.check_tail(damaged, Tail::Trust, &what);
        if let Ok(recovery) = trusted {
            assert!(recovery.sequence >= known, "{what:?}: {known:?} was synced, {recovery:?}");
        }
        trusted
    }

    fn check_tail(&mut self, damaged: &MemoryStore, tail: Tail, what: impl Debug) -> Result<Recovery, Corruption> {
        let opened = open(damaged.clone(), tail).inspect_err(|_| self.cases.corrupt += 1);
        let (mut ledger, recovery) = opened?;
        self.cases.opened += 1;
        self.cases.shorter += u64::from(recovery.sequence < self.end);
        let state = ledger.ledger().unwrap();
        assert_eq!(state.sequence(), recovery.sequence);
        let hash = self.hashes.get(&recovery.sequence);
        assert_eq!(Some(&state.state_hash()), hash, "{what:?} {tail:?}: a state that never was, {recovery:?}");
        assert!(recovery.last_known_synced <= recovery.sequence, "{what:?} {tail:?}: {recovery:?}");

        if !self.cases.opened.is_multiple_of(self.sample) {
            return Ok(recovery);
        }
        // It can be written, opened again, and read from the start.
        let now = state.clock().unwrap_or_default();
        let mut traffic = Traffic::new(99);
        let call = if recovery.sequence == Sequence(0) { traffic.opening() } else { traffic.call(3) };
        let released = ledger.apply(call.now.max(now), &call.batch, &mut Vec::new()).unwrap();
        let hash = ledger.ledger().unwrap().state_hash();
        let (mut again, _) = open(ledger.into_store(), Tail::AtLeast(released)).unwrap();
        assert_eq!(again.ledger().unwrap().state_hash(), hash, "{what:?} {tail:?}: what came after");
        match again.audit() {
            Ok(recovery) => assert_eq!(recovery.sequence, released, "{what:?} {tail:?}"),
            Err(AuditError::Open(OpenError::Corrupt(Corruption::Snapshot { .. }))) => assert!(self.damages_snapshots),
            Err(error) => panic!("{error:?} {what:?} {tail:?}"),
        }
        Ok(recovery)
    }

    fn bytes(&self, segment: u64) -> Vec<u8> {
        self.store.clone().part_mut(Part::Segment(segment)).unwrap().clone()
    }

    fn with(&self, segment: u64, bytes: &[u8]) -> MemoryStore {
        let mut store = self.store.clone();
        *store.part_mut(Part::Segment(segment)).unwrap() = bytes.to_vec();
        store
    }

    fn is_copied(&self, place: &Place) -> bool {
        self.places.iter().filter(|other| other.first == place.first).count() > 1
    }

    /// One damaged group; what follows it in the segment is whole.
    fn flips(&mut self, is_every_bit: bool) {
        let mut rng = Rng(5);
        for place in self.places.clone() {
            let is_damaged = |other: &Place| (other.segment, other.offset) == (place.segment, place.offset);
            let known = self.known(|other| !is_damaged(other));
            let mut bytes = self.bytes(place.segment);
            for at in place.offset..place.end() {
                let only = rng.below(8);
                for bit in (0..8).filter(|bit| is_every_bit || *bit == only) {
                    bytes[at] ^= 1 << bit;
                    let what = (place.segment, at, bit);
                    let trusted = self.check(&self.with(place.segment, &bytes), known, what);
                    bytes[at] ^= 1 << bit;
                    self.check_damage(is_damaged, known, trusted);
                }
            }
        }
    }

    /// What `Tail::Trust` may make of damaged groups: nothing is missing, or all from the first on of which there is no
    /// copy, and then it was perhaps never synced.
    fn check_damage(
        &self,
        is_damaged: impl Fn(&Place) -> bool,
        known: Sequence,
        trusted: Result<Recovery, Corruption>,
    ) {
        let is_whole = |lost: &Place| self.places.iter().any(|place| place.first == lost.first && !is_damaged(place));
        let lost = self.places.iter().find(|place| !is_whole(place));
        let is_end = |lost: &Place| known < lost.first && self.segments.last() == Some(&lost.segment);
        match trusted {
            Ok(recovery) => {
                assert_eq!(recovery.sequence, lost.map_or(self.end, Place::before), "{lost:?} {recovery:?}");
            }
            Err(corruption) => assert!(!lost.is_some_and(is_end), "{lost:?} was perhaps never synced: {corruption:?}"),
        }
    }

    /// Bytes from each one on are missing, or zero.
    fn tails(&mut self) {
        for segment in self.segments.clone() {
            let bytes = self.bytes(segment);
            let is_last = self.segments.last() == Some(&segment);
            for at in 0..bytes.len() {
                let mut zeroed = bytes.clone();
                zeroed[at..].fill(0);
                for tail in [&bytes[..at], &zeroed] {
                    // Zeroes may be what was there.
                    let Some(start) = (0..bytes.len()).find(|at| tail.get(*at) != bytes.get(*at)) else { continue };
                    let damaged = |place: &Place| place.segment == segment && place.end() > start;
                    let known = self.known(|place| !damaged(place));
                    let place = *self.places.iter().find(|place| damaged(place)).unwrap();
                    let dropped = tail.len() - place.offset;
                    let trusted = self.check(&self.with(segment, tail), known, (segment, at, tail.len()));
                    self.check_damage(damaged, known, trusted);
                    if is_last && !self.is_copied(&place) {
                        // What whole groups of the end say of it is gone with them.
                        let recovery = trusted.unwrap();
                        assert_eq!(recovery.dropped_bytes, dropped as u64, "{at}");
                        assert_eq!(recovery.last_known_synced, known, "{at}");
                    }
                }
            }
        }
    }

    /// Whole groups are missing, repeated, or have changed places, in one segment.
    fn moves(&mut self) {
        let mut rng = Rng(6);
        for segment in self.segments.clone() {
            let bytes = self.bytes(segment);
            let places: Vec<Place> = self.places.iter().copied().filter(|place| place.segment == segment).collect();
            let groups: Vec<&[u8]> = places.iter().map(|place| &bytes[place.offset..place.end()]).collect();
            let all = self.known(|_| true);
            for at in 0..groups.len() {
                // Near by, and one far away; all of them if time allows.
                let far = usize::try_from(rng.below(groups.len() as u64)).unwrap();
                let is_near = |to: &usize| factor().is_some() || *to == far || to.abs_diff(at) < 4;
                let to = |first: usize, end: usize| (first..end).filter(is_near);
                let mut without = groups.clone();
                without.remove(at);
                let place = places[at];
                let known = self.known(|other| (other.segment, other.offset) != (segment, place.offset));
                self.check(&self.with(segment, &without.concat()), known, ("without", at)).ok();
                for to in to(0, groups.len() + 1) {
                    let mut repeated = groups.clone();
                    repeated.insert(to, groups[at]);
                    self.check(&self.with(segment, &repeated.concat()), all, ("repeated", at, to)).ok();
                }
                for to in to(at + 1, groups.len()) {
                    let mut swapped = groups.clone();
                    swapped.swap(at, to);
                    self.check(&self.with(segment, &swapped.concat()), all, ("swapped", at, to)).ok();
                }
            }
        }
    }

    fn all(&mut self, is_every_bit: bool) {
        self.flips(is_every_bit);
        self.tails();
        self.moves();
    }
}

/// Every damage to a journal of a shape; all bits are flipped, or one of each byte.
fn damage(shape: Shape, is_every_bit: bool) -> History {
    let mut history = history(shape);
    history.sample = if factor().is_some() || shape.reopened.is_none() && is_every_bit { 1 } else { 4 };
    history.all(is_every_bit || factor().is_some());
    assert!(history.cases.corrupt > 0 && history.cases.shorter > 0, "{:?}", history.cases);
    history
}

/// Prints a line for whoever asks how much was tried.
macro_rules! count {
    ($history:ident) => {
        let len: usize = $history.places.iter().map(|place| place.len).sum();
        println!("{} groups, {len} bytes, {:?}", $history.places.len(), $history.cases);
    };
}

#[test]
fn one_segment() {
    let history = damage(PLAIN, true);
    count!(history);
    assert_eq!(history.segments.len(), 1);
}

#[test]
fn one_transaction_in_a_batch() {
    let history = damage(Shape { records: 120, most: 1, ..PLAIN }, false);
    count!(history);
}

#[test]
fn several_segments() {
    let shape = Shape { most: 12, reopened: Some(7), ..PLAIN };
    let history = damage(shape, false);
    count!(history);
    assert!(history.segments.len() > 3 && history.places.iter().any(|place| history.is_copied(place)));
}

/// Each segment has a copy of the group before, and one more.
#[test]
fn opened_before_every_batch() {
    let history = damage(Shape { records: 40, reopened: Some(1), ..PLAIN }, true);
    count!(history);
    let [.., copy, last] = history.places[..] else { panic!("two groups") };
    assert!(history.is_copied(&copy) && copy.segment == last.segment);
}

#[test]
fn several_groups_in_a_sync() {
    let history = damage(Shape { most: 12, pipelined: 3, ..PLAIN }, false);
    count!(history);
    assert_eq!(history.released, history.end);
}

#[test]
fn an_end_that_was_never_synced() {
    let shape = Shape { records: 120, most: 12, pipelined: 4, reopened: Some(10), is_unsynced: true, ..PLAIN };
    let history = damage(shape, false);
    count!(history);
    assert!(history.released < history.end);
}

#[test]
fn after_snapshots() {
    let shape = Shape { most: 12, snapshots: Some(8), ..PLAIN };
    let history = damage(shape, false);
    count!(history);
    assert!(history.newest_snapshot > Sequence(0) && history.segments.first() > Some(&1), "old ones were dropped");
}

/// A damaged snapshot is passed over; two of them are too many.
#[test]
fn damaged_snapshots() {
    let records = if factor().is_some() { 200 } else { 90 };
    let mut history = history(Shape { records, most: 12, snapshots: Some(5), ..PLAIN });
    history.damages_snapshots = true;
    history.sample = if factor().is_some() { 1 } else { 32 };
    let [older, newer] = history.store.list().unwrap().snapshots[..] else { panic!("two are kept") };
    let snapshot = |store: &mut MemoryStore, sequence| store.part_mut(Part::Snapshot(sequence)).unwrap().clone();
    for (sequence, damaged_snapshots, from) in [(older, 0, newer), (newer, 1, older)] {
        let bytes = snapshot(&mut history.store, sequence);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            for damaged_bytes in [&flipped, &bytes[..at]] {
                let mut damaged = history.store.clone();
                *damaged.part_mut(Part::Snapshot(sequence)).unwrap() = damaged_bytes.to_vec();
                let recovery = history.check(&damaged, history.end, (sequence, at)).unwrap();
                let found = (recovery.sequence, recovery.damaged_snapshots, recovery.snapshot);
                assert_eq!(found, (history.end, damaged_snapshots, Some(from)), "{sequence:?} {at}");
                if at % 16 == 0 {
                    for both in [older, newer] {
                        damaged.part_mut(Part::Snapshot(both)).unwrap().push(0);
                    }
                    assert_eq!(history.check(&damaged, history.end, at), Err(Corruption::NoStart));
                }
            }
        }
    }
    println!("damaged snapshots: {:?}", history.cases);
}

/// The same calls write the same bytes on every target.
#[test]
fn the_journal_is_the_same_on_every_target() {
    let mut history = history(Shape { most: 12, snapshots: Some(8), ..PLAIN });
    let mut bytes = Vec::new();
    for segment in history.segments.clone() {
        bytes.extend(history.bytes(segment));
    }
    for sequence in history.store.list().unwrap().snapshots {
        bytes.extend(history.store.part_mut(Part::Snapshot(sequence)).unwrap().iter());
    }
    let found = (history.hashes[&history.end], xxh3_128(&bytes));
    let expected = (231520195512128194981472614483038750707, 248765749387645865841902925944754452150);
    assert_eq!(found, expected);
}
