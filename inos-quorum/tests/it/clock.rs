//! Goal: vector clocks order events as causality does. Method: random runs of a few actors that act and hear of each
//! other; beside each clock the explicit set of the events it stands for, which is the oracle of every operation.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;

use inos_quorum::{Actor, CausalOrder, Dot, VectorClock};
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
        let within = |left: &Clock, right: &Clock| matches!(left.compare(right), CausalOrder::Equal | CausalOrder::Before);
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
