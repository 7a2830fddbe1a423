//! Goal: vector clocks order events as causality does. Method: random runs of a few actors that act and hear of each
//! other; beside each clock the explicit set of the events it stands for, which is the oracle of every operation.
//! Bytes: round trips, a written-out example, each error, and single damages.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;

use inos_quorum::{Actor, CausalOrder, ClockError, Dot, Id, VectorClock};
use proptest::prelude::*;

type Clock = VectorClock<u32>;
type Events = BTreeSet<Dot<u32>>;

fn actor(index: u8) -> Actor<u32> {
    // Two lives of one node are two actors.
    Actor { node: u32::from(index / 2), incarnation: u64::from(index % 2) }
}

#[derive(Clone, Debug)]
enum Move {
    /// A replica acts.
    Act(u8),
    /// The first replica hears all that the second knows.
    Hear(u8, u8),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let replica = 0..5_u8;
    let one = prop_oneof![
        replica.clone().prop_map(Move::Act),
        (replica.clone(), replica).prop_map(|(a, b)| Move::Hear(a, b))
    ];
    prop::collection::vec(one, 0..30)
}

/// All clocks a run passes through, each with the events behind it.
fn play(moves: &[Move]) -> Vec<(Clock, Events)> {
    let mut replicas = vec![(Clock::new(), Events::new()); 5];
    let mut passed = replicas.clone();
    for step in moves {
        let changed = match *step {
            Move::Act(by) => {
                let (clock, events) = &mut replicas[usize::from(by)];
                let dot = clock.increment(actor(by)).expect("counters are small here");
                assert!(events.insert(dot), "a dot is never given twice");
                by
            }
            Move::Hear(by, of) => {
                let (clock, events) = replicas[usize::from(of)].clone();
                let (own, known) = &mut replicas[usize::from(by)];
                own.merge(&clock);
                known.extend(events);
                by
            }
        };
        passed.push(replicas[usize::from(changed)].clone());
    }
    passed
}

fn order(left: &Events, right: &Events) -> CausalOrder {
    match (left.is_subset(right), right.is_subset(left)) {
        (true, true) => CausalOrder::Equal,
        (true, false) => CausalOrder::Before,
        (false, true) => CausalOrder::After,
        (false, false) => CausalOrder::Concurrent,
    }
}

proptest! {
    #[test]
    fn compare_is_inclusion_of_histories(moves in moves()) {
        let passed = play(&moves);
        for (left, left_events) in &passed {
            for (right, right_events) in &passed {
                prop_assert_eq!(left.compare(right), order(left_events, right_events));
                prop_assert_eq!(left == right, left_events == right_events);
            }
        }
    }

    #[test]
    fn covers_is_membership(moves in moves()) {
        let passed = play(&moves);
        let all: Events = passed.iter().flat_map(|(_, events)| events.iter().copied()).collect();
        for (clock, events) in &passed {
            for &dot in &all {
                prop_assert_eq!(clock.covers(dot), events.contains(&dot));
            }
            prop_assert_eq!(clock.dots().map(|dot| dot.counter).sum::<u64>(), events.len() as u64);
            let actors: BTreeSet<Actor<u32>> = events.iter().map(|dot| dot.actor).collect();
            prop_assert!(clock.dots().map(|dot| dot.actor).eq(actors.iter().copied()), "each actor once, ascending");
            prop_assert_eq!((clock.len(), clock.is_empty()), (actors.len(), events.is_empty()));
        }
    }

    #[test]
    fn merge_is_the_least_upper_bound(moves in moves(), picks in any::<[prop::sample::Index; 3]>()) {
        let passed = play(&moves);
        let [a, b, c] = picks.map(|pick| pick.get(&passed).0.clone());
        let merged = |left: &Clock, right: &Clock| {
            let mut sum = left.clone();
            sum.merge(right);
            sum
        };
        let ab = merged(&a, &b);
        prop_assert_eq!(&ab, &merged(&b, &a));
        prop_assert_eq!(merged(&ab, &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(&merged(&a, &a), &a);
        let within = |left: &Clock, right: &Clock| {
            matches!(left.compare(right), CausalOrder::Equal | CausalOrder::Before)
        };
        prop_assert!(within(&a, &ab) && within(&b, &ab));
        if within(&a, &c) && within(&b, &c) {
            prop_assert!(within(&ab, &c), "a common upper bound below the merge");
        }
    }

    #[test]
    fn observing_all_dots_rebuilds_the_clock(moves in moves()) {
        for (clock, events) in play(&moves) {
            let mut rebuilt = Clock::new();
            events.iter().rev().for_each(|&dot| rebuilt.observe(dot));
            prop_assert_eq!(rebuilt, clock);
        }
    }

    #[test]
    fn merge_is_union_of_histories(moves in moves(), picks in any::<[prop::sample::Index; 2]>()) {
        let passed = play(&moves);
        let [(mut left, left_events), (right, right_events)] = picks.map(|pick| pick.get(&passed).clone());
        left.merge(&right);
        let mut union = Clock::new();
        left_events.union(&right_events).for_each(|&dot| union.observe(dot));
        prop_assert_eq!(left, union);
    }

    #[test]
    fn clone_from_forgets_what_was_there(moves in moves(), picks in any::<[prop::sample::Index; 2]>()) {
        let passed = play(&moves);
        let [mut left, right] = picks.map(|pick| pick.get(&passed).0.clone());
        left.clone_from(&right);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn bytes_round_trip(moves in moves()) {
        for (clock, _) in play(&moves) {
            let bytes = clock.to_bytes();
            prop_assert_eq!(Clock::from_bytes(&bytes), Ok(clock));
            for len in 0..bytes.len() {
                prop_assert!(Clock::from_bytes(&bytes[..len]).is_err());
            }
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_another_clock(moves in moves(), at in any::<prop::sample::Index>(), to: u8) {
        for (clock, _) in play(&moves) {
            let mut bytes = clock.to_bytes();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(read) = Clock::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes, "one clock, one form");
            }
        }
    }
}

#[test]
fn bytes_are_those_published() {
    let mut clock = Clock::new();
    clock.observe(Dot { actor: Actor { node: 0x0102, incarnation: 3 }, counter: 0x0405 });
    clock.observe(Dot { actor: Actor { node: 1, incarnation: 0 }, counter: 6 });
    let first = [4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0];
    let second = [4, 2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 4, 0, 0, 0, 0, 0, 0];
    assert_eq!(clock.to_bytes(), [&[2, 0, 0, 0][..], &first, &second].concat());
    assert_eq!(Clock::new().to_bytes(), [0; 4]);
}

/// What a clock of these actors and counters would write, in the order given.
fn form<N: Id>(dots: &[(N, u64, u64)]) -> Vec<u8> {
    let mut bytes = u32::try_from(dots.len()).expect("few").to_le_bytes().to_vec();
    for (node, incarnation, counter) in dots {
        let mut id = [0; 64];
        let len = node.write_id(&mut id);
        bytes.push(u8::try_from(len).expect("ids are short"));
        bytes.extend_from_slice(&id[..len]);
        bytes.extend_from_slice(&incarnation.to_le_bytes());
        bytes.extend_from_slice(&counter.to_le_bytes());
    }
    bytes
}

#[test]
fn each_error_says_what_is_wrong() {
    let good = form(&[(1_u32, 1, 5), (1, 2, 5), (2, 0, 1)]);
    assert_eq!(Clock::from_bytes(&good).map(|clock| clock.len()), Ok(3));

    assert_eq!(Clock::from_bytes(&[]), Err(ClockError::Truncated { index: 0 }));
    assert_eq!(Clock::from_bytes(&good[..good.len() - 1]), Err(ClockError::Truncated { index: 2 }));
    let order = Err(ClockError::Order { index: 1 });
    assert_eq!(Clock::from_bytes(&form(&[(1_u32, 1, 5), (1, 1, 6)])), order, "twice");
    assert_eq!(Clock::from_bytes(&form(&[(1_u32, 2, 5), (1, 1, 5)])), order);
    assert_eq!(Clock::from_bytes(&form(&[(2_u32, 0, 1), (1, 9, 5)])), order);
    assert_eq!(Clock::from_bytes(&form(&[(1_u32, 1, 5), (2, 1, 0)])), Err(ClockError::ZeroCounter { index: 1 }));
    assert_eq!(Clock::from_bytes(&form(&[(1_u64, 1, 5)])), Err(ClockError::Node { index: 0 }));
    assert_eq!(Clock::from_bytes(&[&good[..], &[0, 0]].concat()), Err(ClockError::Trailing { bytes: 2 }));

    let count = |claimed: u32| {
        let mut bytes = good.clone();
        bytes[..4].copy_from_slice(&claimed.to_le_bytes());
        Clock::from_bytes(&bytes)
    };
    assert_eq!(count(2), Err(ClockError::Trailing { bytes: 21 }));
    assert_eq!(count(u32::MAX), Err(ClockError::Count { claimed: u32::MAX, bytes: 63 }));
}

#[test]
fn ids_of_every_kind_travel() {
    fn travels<N: Id + Copy>(low: N, high: N) {
        let mut clock = VectorClock::new();
        for (node, incarnation) in [(high, 0), (low, u64::MAX), (low, 1)] {
            clock.observe(Dot { actor: Actor { node, incarnation }, counter: u64::MAX });
        }
        assert_eq!(clock.to_bytes(), form(&[(low, 1, u64::MAX), (low, u64::MAX, u64::MAX), (high, 0, u64::MAX)]));
        assert_eq!(VectorClock::from_bytes(&clock.to_bytes()), Ok(clock));
    }
    // 256 is above 1 although its bytes are below: the order is that of the ids.
    travels(1_u32, 256);
    travels(1_u64, 256);
    travels(1_u128, 256);
    travels([1_u8; 16], [2; 16]);
    travels([1_u8; 20], [2; 20]);
    travels([1_u8; 32], [2; 32]);
}

#[test]
fn a_spent_counter_gives_no_dot() {
    let mut clock = Clock::new();
    clock.observe(Dot { actor: actor(0), counter: u64::MAX });
    let before = clock.clone();
    assert_eq!(clock.increment(actor(0)), None);
    assert_eq!(clock, before);
}

#[test]
fn dot_zero_is_no_event() {
    let mut clock = Clock::new();
    let zero = Dot { actor: actor(3), counter: 0 };
    clock.observe(zero);
    assert_eq!(clock, Clock::default());
    assert!(clock.covers(zero));
}
