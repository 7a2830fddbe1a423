//! Goal: a set of dots contains what was inserted and nothing else, until it is full, and then says what it gave up.
//! Method: random insertions beside a plain `BTreeSet` of dots, from which clock, holes and the range to give up are
//! computed afresh; bytes round trip, and each single damage is refused or gives a set in normal form.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::{collections::BTreeSet, vec, vec::Vec};

use proptest::prelude::*;

use super::{Dots, Inserted, MAX_HOLES};
use crate::{
    bytes::Reader,
    clock::{Actor, Dot, VectorClock},
};

fn actor(index: u8) -> Actor<u32> {
    // Two lives of one node are two actors.
    Actor { node: u32::from(index / 2), incarnation: u64::from(index % 2) }
}

fn dot(index: u8, counter: u64) -> Dot<u32> {
    Dot { actor: actor(index), counter }
}

/// The oracle.
#[derive(Clone, Default)]
struct Explicit(BTreeSet<Dot<u32>>);

impl Explicit {
    fn contains(&self, dot: Dot<u32>) -> bool {
        dot.counter == 0 || self.0.contains(&dot)
    }

    fn clock(&self) -> VectorClock<u32> {
        let mut clock = VectorClock::new();
        self.0.iter().for_each(|&dot| clock.observe(dot));
        clock
    }

    /// Maximal runs of missing counters, from the first to the last one missing, in ascending order.
    fn holes(&self) -> Vec<(Dot<u32>, u64)> {
        let mut holes: Vec<(Dot<u32>, u64)> = Vec::new();
        for top in self.clock().dots() {
            for counter in 1..top.counter {
                let dot = Dot { counter, ..top };
                if self.0.contains(&dot) {
                    continue;
                }
                match holes.last_mut() {
                    Some((first, last)) if first.actor == dot.actor && *last + 1 == counter => *last = counter,
                    _ => holes.push((dot, counter)),
                }
            }
        }
        holes
    }

    fn insert(&mut self, dot: Dot<u32>) -> Inserted<u32> {
        if self.contains(dot) {
            return Inserted::Known;
        }
        self.0.insert(dot);
        let holes = self.holes();
        if holes.len() <= MAX_HOLES {
            return Inserted::New;
        }
        let ranges_of = |actor| holes.iter().filter(|(first, _)| first.actor == actor).count();
        let most = (0..8).map(|index| ranges_of(actor(index))).max().unwrap_or(0);
        let &(first, last) = holes.iter().find(|(first, _)| ranges_of(first.actor) == most).expect("someone has most");
        self.0.extend((first.counter..=last).map(|counter| Dot { counter, ..first }));
        Inserted::GaveUp { first, last }
    }
}

fn assert_same(dots: &Dots<u32>, explicit: &Explicit, counters: u64) {
    assert_eq!(dots.clock(), &explicit.clock());
    assert_eq!(dots.holes.iter().map(|(&first, &last)| (first, last)).collect::<Vec<_>>(), explicit.holes());
    for index in 0..5 {
        for counter in 0..=counters {
            let dot = dot(index, counter);
            assert_eq!(dots.contains(dot), explicit.contains(dot), "{dot:?}");
        }
    }
}

fn insertions() -> impl Strategy<Value = Vec<(u8, u64)>> {
    prop::collection::vec((0..4_u8, 0..24_u64), 0..60)
}

fn filled(insertions: &[(u8, u64)]) -> Dots<u32> {
    let mut dots = Dots::new();
    for &(index, counter) in insertions {
        let _ = dots.insert(dot(index, counter));
    }
    dots
}

fn encoded(dots: &Dots<u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    dots.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Option<Dots<u32>> {
    let mut reader = Reader(bytes);
    let dots = Dots::decode(&mut reader)?;
    reader.end()?;
    Some(dots)
}

proptest! {
    #[test]
    fn contains_exactly_what_was_inserted(insertions in insertions(), forgotten in 0..4_u8) {
        let (mut dots, mut explicit) = (Dots::new(), Explicit::default());
        for (index, counter) in insertions {
            let dot = dot(index, counter);
            prop_assert_eq!(dots.insert(dot), explicit.insert(dot));
            assert_same(&dots, &explicit, 25);
        }
        dots.forget(actor(forgotten));
        explicit.0.retain(|dot| dot.actor != actor(forgotten));
        assert_same(&dots, &explicit, 25);
    }

    #[test]
    fn order_and_repeats_of_insertions_do_not_matter(insertions in insertions(), seed in any::<prop::sample::Index>()) {
        let mut shuffled = insertions.clone();
        shuffled.rotate_left(seed.index(insertions.len().max(1)));
        shuffled.reverse();
        shuffled.extend_from_slice(&insertions);
        prop_assert_eq!(filled(&shuffled), filled(&insertions));
    }

    #[test]
    fn bytes_round_trip(insertions in insertions()) {
        let dots = filled(&insertions);
        let bytes = encoded(&dots);
        prop_assert_eq!(decoded(&bytes), Some(dots));
        for len in 0..bytes.len() {
            prop_assert_eq!(decoded(&bytes[..len]), None);
        }
    }

    #[test]
    fn damaged_bytes_are_refused_or_in_normal_form(
        insertions in insertions(),
        at in any::<prop::sample::Index>(),
        to: u8,
    ) {
        let mut bytes = encoded(&filled(&insertions));
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Some(dots) = decoded(&bytes) {
            prop_assert_eq!(encoded(&dots), bytes, "one set, one form");
            // The same set, built dot by dot. Counters that damage made large would take too long.
            if dots.clock().dots().all(|top| top.counter < 1000) {
                let mut rebuilt = Dots::new();
                for top in dots.clock().dots() {
                    for counter in 1..=top.counter {
                        let dot = Dot { counter, ..top };
                        if dots.contains(dot) {
                            let _ = rebuilt.insert(dot);
                        }
                    }
                }
                prop_assert_eq!(rebuilt, dots);
            }
        }
    }
}

#[test]
fn a_full_set_gives_up_the_lowest_range_of_whoever_has_most() {
    let (mut dots, mut explicit) = (Dots::new(), Explicit::default());
    // Actor 0 leaves one hole, actor 1 all others: 0 is lowest, and keeps its hole.
    let inserted = [dot(0, 2)].into_iter().chain((1..=1200).map(|n| dot(1, 3 * n)));
    let mut given_up = Vec::new();
    for (count, dot) in inserted.enumerate() {
        match (count < MAX_HOLES, dots.insert(dot)) {
            (true, outcome) => assert_eq!(outcome, Inserted::New, "{count}"),
            (false, Inserted::GaveUp { first, last }) => given_up.push((first, last)),
            (false, outcome) => panic!("{count}: {outcome:?}"),
        }
        let _ = if count < MAX_HOLES - 2 { explicit.0.insert(dot) } else { explicit.insert(dot) != Inserted::Known };
    }
    let lowest = |n| (dot(1, 3 * n + 1), 3 * n + 2);
    assert_eq!(given_up, (0..1201 - MAX_HOLES as u64).map(lowest).collect::<Vec<_>>());
    assert_eq!(dots.holes.len(), MAX_HOLES);
    assert!(!dots.contains(dot(0, 1)) && dots.contains(dot(1, 1)) && dots.contains(dot(1, 2)));
    assert_same(&dots, &explicit, 3601);
    // A full set's bytes are read; one range more is not.
    let bytes = encoded(&dots);
    assert_eq!(decoded(&bytes), Some(dots.clone()));
    dots.clock.observe(dot(1, 4000));
    dots.holes.insert(dot(1, 3900), 3900);
    assert_eq!(decoded(&encoded(&dots)), None);
}

#[test]
fn splitting_a_hole_can_fill_the_set() {
    let mut dots = Dots::new();
    let _ = dots.insert(dot(0, 100_000));
    for n in 1..MAX_HOLES as u64 {
        assert_eq!(dots.insert(dot(0, 10 * n)), Inserted::New);
    }
    assert_eq!(dots.insert(dot(0, 50_000)), Inserted::GaveUp { first: dot(0, 1), last: 9 });
    assert!(dots.contains(dot(0, 9)) && !dots.contains(dot(0, 11)) && !dots.contains(dot(0, 49_999)));
}

#[test]
fn on_a_tie_the_lowest_actor_gives_up() {
    let mut dots = Dots::new();
    for n in 1..=MAX_HOLES as u64 / 2 {
        let _ = (dots.insert(dot(2, 2 * n)), dots.insert(dot(3, 2 * n)));
    }
    assert_eq!(dots.insert(dot(0, 2)), Inserted::GaveUp { first: dot(2, 1), last: 1 });
    assert_eq!(dots.insert(dot(0, 4)), Inserted::GaveUp { first: dot(3, 1), last: 1 });
}

#[test]
fn the_last_counters_are_dots_like_others() {
    let mut dots = Dots::new();
    assert_eq!(dots.insert(dot(0, u64::MAX)), Inserted::New);
    assert_eq!(dots.insert(dot(0, u64::MAX - 1)), Inserted::New);
    assert_eq!(dots.insert(dot(0, u64::MAX)), Inserted::Known);
    assert!(!dots.contains(dot(0, u64::MAX - 2)) && !dots.contains(dot(0, 1)));
    assert_eq!(decoded(&encoded(&dots)), Some(dots));
}

/// A set of the clock {0: 9, 2: 9} with these holes, in normal form or not.
fn with_holes(holes: &[(u8, u64, u64)]) -> Vec<u8> {
    let mut clock = VectorClock::new();
    clock.observe(dot(0, 9));
    clock.observe(dot(2, 9));
    let mut bytes = clock.to_bytes();
    bytes.extend_from_slice(&u32::try_from(holes.len()).expect("few").to_le_bytes());
    for &(index, first, last) in holes {
        dot(index, first).encode(&mut bytes);
        bytes.extend_from_slice(&last.to_le_bytes());
    }
    bytes
}

#[test]
fn only_the_normal_form_is_read() {
    for good in [&[][..], &[(0, 1, 8)], &[(0, 1, 1), (0, 3, 3)], &[(0, 8, 8), (2, 1, 1), (2, 4, 8)]] {
        assert!(decoded(&with_holes(good)).is_some(), "{good:?}");
    }
    let bad: [&[(u8, u64, u64)]; 13] = [
        &[(0, 0, 1)],            // from 0
        &[(0, 0, 0)],            // from and to 0
        &[(0, 3, 2)],            // ends before it begins
        &[(0, 5, 9)],            // as far as the clock, whose last dot is always there
        &[(0, 5, u64::MAX)],     // beyond it
        &[(1, 1, 1)],            // of nobody
        &[(0, 1, 2), (0, 3, 4)], // adjacent
        &[(0, 1, 3), (0, 3, 4)], // overlapping
        &[(0, 1, 8), (0, 2, 3)], // one in the other
        &[(0, 1, 1), (0, 1, 1)], // twice
        &[(0, 5, 5), (0, 1, 1)], // descending
        &[(2, 1, 1), (0, 1, 1)], // actors descending
        &[(0, 1, 1), (0, 0, 0)], // 0 after another
    ];
    for holes in bad {
        assert_eq!(decoded(&with_holes(holes)), None, "{holes:?}");
    }
}

#[test]
fn announced_counts_allocate_nothing() {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.extend_from_slice(&[0; 64]);
    assert_eq!(decoded(&bytes), None);
}
