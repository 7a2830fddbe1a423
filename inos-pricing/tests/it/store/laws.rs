//! The suite.

use inos_pricing::{JournalStore, Listing, Part, Sequence};
use proptest::prelude::*;

use super::model::{Model, Tracked};

/// Where stores are opened, one after the other.
pub(super) trait Place {
    type Store: JournalStore;

    fn open(&mut self) -> Self::Store;

    /// A crash, or as much of one as the place can have.
    fn crash(&mut self, store: Self::Store, seed: u64);
}

/// One test for each law, in a module of its own.
macro_rules! laws {
    ($name:ident, $place:expr) => {
        mod $name {
            #[cfg(target_arch = "wasm32")]
            use wasm_bindgen_test::wasm_bindgen_test as test;

            use super::*;
            use crate::store::laws;

            #[test]
            fn nothing_is_there_at_first() {
                laws::nothing_is_there_at_first(&mut $place);
            }

            #[test]
            fn appends_are_in_order() {
                laws::appends_are_in_order(&mut $place);
            }

            #[test]
            fn segments_have_rising_numbers() {
                laws::segments_have_rising_numbers(&mut $place);
            }

            #[test]
            fn what_is_synced_survives() {
                laws::what_is_synced_survives(&mut $place);
            }

            #[test]
            fn snapshots_are_whole_and_durable() {
                laws::snapshots_are_whole_and_durable(&mut $place);
            }

            #[test]
            fn what_is_old_is_dropped() {
                laws::what_is_old_is_dropped(&mut $place);
            }

            #[test]
            fn any_history_keeps_what_it_must() {
                laws::any_history_keeps_what_it_must(|| $place);
            }
        }
    };
}
pub(super) use laws;

fn listing(segments: &[u64], snapshots: &[u64]) -> Listing {
    Listing { segments: segments.into(), snapshots: snapshots.iter().copied().map(Sequence).collect() }
}

pub(super) fn nothing_is_there_at_first(place: &mut impl Place) {
    let mut store = place.open();
    assert_eq!(store.list().unwrap(), Listing::default());
    assert!(store.read(Part::Segment(1)).is_err() && store.read(Part::Snapshot(Sequence(1))).is_err());
    assert!(store.append(b"x").is_err());
    store.sync().unwrap();
    store.drop_before(9, Sequence(9)).unwrap();
    assert_eq!(store.list().unwrap(), Listing::default());
}

pub(super) fn appends_are_in_order(place: &mut impl Place) {
    let mut store = place.open();
    store.start_segment(1).unwrap();
    let mut all = Vec::new();
    for len in [0, 1, 511, 512, 513, 5_000] {
        let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
        store.append(&bytes).unwrap();
        all.extend(bytes);
        assert_eq!(store.read(Part::Segment(1)).unwrap(), all);
        if len % 2 == 1 {
            store.sync().unwrap();
        }
    }
    store.sync().unwrap();
    store.sync().unwrap();
    place.crash(store, 0);
    assert_eq!(place.open().read(Part::Segment(1)).unwrap(), all);
}

pub(super) fn segments_have_rising_numbers(place: &mut impl Place) {
    let mut store = place.open();
    store.start_segment(3).unwrap();
    store.append(b"three").unwrap();
    for taken in [0, 2, 3] {
        assert!(store.start_segment(taken).is_err());
    }
    store.append(b", still").unwrap();
    // The bytes of segment 3 are synced on the way.
    store.start_segment(20).unwrap();
    assert_eq!(store.list().unwrap(), listing(&[3, 20], &[]));
    store.sync().unwrap();
    place.crash(store, 1);

    let mut store = place.open();
    assert_eq!(store.list().unwrap(), listing(&[3, 20], &[]));
    assert_eq!(store.read(Part::Segment(3)).unwrap(), b"three, still");
    assert_eq!(store.read(Part::Segment(20)).unwrap(), b"");
    assert!(store.append(b"x").is_err(), "a store that was opened has begun no segment");
    assert!(store.start_segment(20).is_err());
    store.start_segment(u64::MAX).unwrap();
    store.append(b"last").unwrap();
    assert!(store.start_segment(u64::MAX).is_err());
    assert_eq!(store.list().unwrap(), listing(&[3, 20, u64::MAX], &[]));
    assert_eq!(store.read(Part::Segment(u64::MAX)).unwrap(), b"last");
}

pub(super) fn what_is_synced_survives(place: &mut impl Place) {
    for segment in 0..20 {
        let mut store = place.open();
        store.start_segment(segment).unwrap();
        store.append(b"first, ").unwrap();
        store.append(b"second").unwrap();
        store.sync().unwrap();
        store.append(b", third").unwrap();
        place.crash(store, segment);
        let mut store = place.open();
        assert!(store.list().unwrap().segments.contains(&segment));
        assert!(store.read(Part::Segment(segment)).unwrap().starts_with(b"first, second"));
    }
}

pub(super) fn snapshots_are_whole_and_durable(place: &mut impl Place) {
    let large: Vec<u8> = (0..10_000_u32).map(|n| (n % 253) as u8).collect();
    let mut store = place.open();
    for (sequence, bytes) in [(7, &b"seven"[..]), (0, b""), (u64::MAX, b"last"), (7, &large)] {
        store.put_snapshot(Sequence(sequence), bytes).unwrap();
        assert_eq!(store.read(Part::Snapshot(Sequence(sequence))).unwrap(), bytes);
    }
    for seed in 0..20 {
        assert_eq!(store.list().unwrap(), listing(&[], &[0, 7, u64::MAX]));
        assert_eq!(store.read(Part::Snapshot(Sequence(7))).unwrap(), large);
        assert_eq!(store.read(Part::Snapshot(Sequence(0))).unwrap(), b"");
        place.crash(store, seed);
        store = place.open();
    }
}

pub(super) fn what_is_old_is_dropped(place: &mut impl Place) {
    let mut store = place.open();
    for number in 1..=5 {
        store.start_segment(number).unwrap();
        store.append(b"x").unwrap();
        store.put_snapshot(Sequence(10 * number), b"y").unwrap();
    }
    store.drop_before(3, Sequence(31)).unwrap();
    assert_eq!(store.list().unwrap(), listing(&[3, 4, 5], &[40, 50]));
    assert!(store.read(Part::Segment(2)).is_err() && store.read(Part::Snapshot(Sequence(30))).is_err());
    store.drop_before(u64::MAX, Sequence(0)).unwrap();
    assert_eq!(store.list().unwrap(), listing(&[5], &[40, 50]), "the segment that was begun stays");
    store.append(b"z").unwrap();
    store.sync().unwrap();
    place.crash(store, 2);

    let mut store = place.open();
    assert_eq!(store.list().unwrap(), listing(&[5], &[40, 50]), "what was dropped does not come back");
    assert_eq!(store.read(Part::Segment(5)).unwrap(), b"xz");
    store.drop_before(u64::MAX, Sequence(u64::MAX)).unwrap();
    assert_eq!(store.list().unwrap(), Listing::default());
}

/// A step of a history.
#[derive(Clone, Copy, Debug)]
enum Step {
    StartSegment(u64),
    Append(usize, u8),
    Sync,
    PutSnapshot(u64, usize, u8),
    DropBefore(u64, u64),
    Crash(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0_u64..12).prop_map(Step::StartSegment),
        6 => (0_usize..1_500, 1_u8..).prop_map(|(len, byte)| Step::Append(len, byte)),
        3 => Just(Step::Sync),
        2 => (0_u64..6, 0_usize..1_500, 1_u8..).prop_map(|(n, len, byte)| Step::PutSnapshot(n, len, byte)),
        1 => (0_u64..12, 0_u64..6).prop_map(|(segment, snapshot)| Step::DropBefore(segment, snapshot)),
        2 => any::<u64>().prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..40)
}

pub(super) fn any_history_keeps_what_it_must<P: Place>(place: impl Fn() -> P) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
    proptest!(config, |(steps in steps())| {
        let (mut place, mut model) = (place(), Model::default());
        let mut tracked = Tracked { store: place.open(), model: &mut model };
        for step in steps {
            // What is refused is refused: the model asserts when.
            match step {
                Step::StartSegment(segment) => drop(tracked.start_segment(segment)),
                Step::Append(len, byte) => drop(tracked.append(&vec![byte; len])),
                Step::Sync => tracked.sync().unwrap(),
                Step::PutSnapshot(sequence, len, byte) => {
                    tracked.put_snapshot(Sequence(sequence), &vec![byte; len]).unwrap();
                }
                Step::DropBefore(segment, snapshot) => tracked.drop_before(segment, Sequence(snapshot)).unwrap(),
                Step::Crash(seed) => {
                    place.crash(tracked.store, seed);
                    tracked.store = place.open();
                    tracked.model.check_opened(&mut tracked.store, true);
                }
            }
            tracked.check_seen();
        }
    });
}
