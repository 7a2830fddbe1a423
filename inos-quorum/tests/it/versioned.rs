//! Goal: a versioned value keeps exactly the writes that nobody who had read them overwrote. Method: random runs of
//! clients who read, write (also with what they read long ago) and move between copies that sync in any order; beside
//! each copy the explicit set of the writes it has heard of, each with the set of writes its client had read, without
//! any counter. Laws of the join over all states of a run. Scenarios by hand.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::collections::BTreeSet;

use inos_quorum::{Actor, CausalOrder, Dot, UpdateError, VectorClock, Versioned};
use proptest::prelude::*;

type Clock = VectorClock<u32>;
/// The value of a write is its number in the run.
type Value = Versioned<u32, usize>;
type Writes = BTreeSet<usize>;

const COPIES: u8 = 4;
const CLIENTS: u8 = 3;

fn actor(index: u8) -> Actor<u32> {
    // Two lives of one node are two actors.
    Actor { node: u32::from(index / 2), incarnation: u64::from(index % 2) }
}

#[derive(Clone, Debug)]
enum Move {
    /// A client reads a copy and adds what it read to what it had read before.
    Read { client: u8, copy: u8 },
    /// A client forgets what it had read before it reads.
    ReadAfresh { client: u8, copy: u8 },
    /// A client writes to a copy with all that it has read, which may be nothing or old.
    Write { client: u8, copy: u8 },
    /// The first copy takes in the second.
    Sync { copy: u8, of: u8 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let (clients, copies) = (0..CLIENTS, 0..COPIES);
    let one = prop_oneof![
        2 => (clients.clone(), copies.clone()).prop_map(|(client, copy)| Move::Read { client, copy }),
        2 => (clients.clone(), copies.clone()).prop_map(|(client, copy)| Move::ReadAfresh { client, copy }),
        4 => (clients, copies.clone()).prop_map(|(client, copy)| Move::Write { client, copy }),
        4 => (copies.clone(), copies).prop_map(|(copy, of)| Move::Sync { copy, of }),
    ];
    prop::collection::vec(one, 0..40)
}

/// A run so far: the histories, and the copies that stand for them.
struct Run {
    /// Of each write: its name, and the writes that its client had read.
    writes: Vec<(Dot<u32>, Writes)>,
    copies: Vec<(Value, Writes)>,
    clients: Vec<(Clock, Writes)>,
    /// All states of copies on the way, in order.
    passed: Vec<(Value, Writes)>,
}

impl Run {
    fn play(moves: &[Move]) -> Self {
        let mut run = Self {
            writes: Vec::new(),
            copies: vec![Default::default(); usize::from(COPIES)],
            clients: vec![Default::default(); usize::from(CLIENTS)],
            passed: vec![Default::default()],
        };
        moves.iter().for_each(|step| run.step(step));
        run
    }

    fn step(&mut self, step: &Move) {
        match *step {
            Move::Read { client, copy } => {
                let (value, heard) = &self.copies[usize::from(copy)];
                let (context, read) = &mut self.clients[usize::from(client)];
                context.merge(value.context());
                read.extend(heard);
            }
            Move::ReadAfresh { client, copy } => {
                let (value, heard) = &self.copies[usize::from(copy)];
                self.clients[usize::from(client)] = (value.context().clone(), heard.clone());
            }
            Move::Write { client, copy } => {
                let (value, heard) = &mut self.copies[usize::from(copy)];
                let (context, read) = &self.clients[usize::from(client)];
                let write = self.writes.len();
                let dot = value.update(write, context, actor(copy)).expect("contexts are honest here");
                assert_eq!(dot.actor, actor(copy));
                assert!(self.writes.iter().all(|&(other, _)| other != dot), "a dot is never given twice");
                heard.extend(read);
                heard.insert(write);
                self.writes.push((dot, read.clone()));
                self.passed.push(self.copies[usize::from(copy)].clone());
            }
            Move::Sync { copy, of } => {
                let (other, other_heard) = self.copies[usize::from(of)].clone();
                let (value, heard) = &mut self.copies[usize::from(copy)];
                value.sync(&other);
                heard.extend(other_heard);
                self.passed.push(self.copies[usize::from(copy)].clone());
            }
        }
    }

    /// The writes that no other write of the history had read.
    fn live(&self, heard: &Writes) -> Writes {
        let overwritten: Writes = heard.iter().flat_map(|&write| self.writes[write].1.iter().copied()).collect();
        heard.difference(&overwritten).copied().collect()
    }

    fn assert_stands_for(&self, value: &Value, heard: &Writes) {
        let live = self.live(heard);
        assert_eq!(value.values().copied().collect::<Writes>(), live);
        assert_eq!((value.values().count(), value.is_conflicted()), (live.len(), live.len() > 1));
        let dots: Vec<Dot<u32>> = value.siblings().map(|(dot, _)| dot).collect();
        assert!(dots.is_sorted(), "{dots:?}");
        for (dot, &write) in value.siblings() {
            assert_eq!(dot, self.writes[write].0);
        }
        // Each actor's writes are heard of in order, so that the clock says which.
        for (write, &(dot, _)) in self.writes.iter().enumerate() {
            assert_eq!(value.context().covers(dot), heard.contains(&write), "{write} {dot:?}");
        }
        assert_eq!(value.context().dots().map(|dot| dot.counter).sum::<u64>(), heard.len() as u64, "nothing else");
    }
}

fn joined(left: &Value, right: &Value) -> Value {
    let mut join = left.clone();
    join.sync(right);
    join
}

proptest! {
    #[test]
    fn siblings_are_the_writes_that_nobody_overwrote(moves in moves()) {
        let run = Run::play(&moves);
        for (value, heard) in &run.passed {
            run.assert_stands_for(value, heard);
        }
    }

    #[test]
    fn sync_is_a_join(moves in moves(), picks in any::<[prop::sample::Index; 3]>()) {
        let run = Run::play(&moves);
        let [(a, heard_a), (b, heard_b), (c, _)] = picks.map(|pick| pick.get(&run.passed).clone());
        let ab = joined(&a, &b);
        run.assert_stands_for(&ab, &heard_a.union(&heard_b).copied().collect());
        prop_assert_eq!(&ab, &joined(&b, &a), "commutative");
        prop_assert_eq!(joined(&ab, &c), joined(&a, &joined(&b, &c)), "associative");
        prop_assert_eq!(&joined(&a, &a), &a, "idempotent");
        prop_assert_eq!(&joined(&ab, &b), &ab, "absorbing");
        prop_assert_eq!(&joined(&a, &Value::default()), &a);
    }

    #[test]
    fn what_was_heard_stays_heard_and_what_was_overwritten_stays_overwritten(
        moves in moves(),
        picks in any::<[prop::sample::Index; 2]>(),
    ) {
        let run = Run::play(&moves);
        let [(a, _), (b, _)] = picks.map(|pick| pick.get(&run.passed).clone());
        let ab = joined(&a, &b);
        for one in [&a, &b] {
            let order = one.context().compare(ab.context());
            prop_assert!(matches!(order, CausalOrder::Equal | CausalOrder::Before), "monotone");
            for (dot, _) in ab.siblings().filter(|(dot, _)| one.context().covers(*dot)) {
                prop_assert!(one.siblings().any(|(sibling, _)| sibling == dot), "{dot:?} is back");
            }
        }
        // Neither does a write of somebody who has read it all: afterwards it stands alone, whatever old state comes.
        let mut settled = ab.clone();
        let dot = settled.update(usize::MAX, ab.context(), actor(0));
        // Copy 0 may since have made writes that this join has not heard of, so the dot is only good for this test.
        prop_assert!(dot.is_ok());
        settled.sync(&a);
        settled.sync(&b);
        prop_assert_eq!(settled.values().copied().collect::<Vec<_>>(), [usize::MAX]);
    }

    #[test]
    fn copies_that_heard_the_same_are_equal(
        moves in moves(),
        order in Just((0..COPIES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let run = Run::play(&moves);
        let all = |order: &[u8]| {
            let mut sum = Value::new();
            order.iter().for_each(|&copy| sum.sync(&run.copies[usize::from(copy)].0));
            sum
        };
        prop_assert_eq!(all(&order), all(&[0, 1, 2, 3]));
        for (left, left_heard) in &run.passed {
            for (right, right_heard) in &run.passed {
                prop_assert_eq!(left == right, left_heard == right_heard);
            }
        }
    }
}

fn values<V: Clone>(value: &Versioned<u32, V>) -> Vec<V> {
    value.values().cloned().collect()
}

fn dot(index: u8, counter: u64) -> Dot<u32> {
    Dot { actor: actor(index), counter }
}

fn clock(counters: &[(u8, u64)]) -> Clock {
    let mut clock = Clock::new();
    counters.iter().for_each(|&(index, counter)| clock.observe(dot(index, counter)));
    clock
}

#[test]
fn two_clients_through_one_server_are_concurrent() {
    let mut value = Versioned::new();
    assert_eq!(value.update("a1", &Clock::new(), actor(0)), Ok(dot(0, 1)));
    let read = value.context().clone();
    assert_eq!(value.update("a2", &read, actor(0)), Ok(dot(0, 2)));
    assert_eq!(values(&value), ["a2"]);
    // The second client had read `a1` only.
    assert_eq!(value.update("a3", &read, actor(0)), Ok(dot(0, 3)));
    assert_eq!(values(&value), ["a2", "a3"]);
    assert_eq!(value.context(), &clock(&[(0, 3)]));
    // What plain version vectors would say of the two: (0, 2) before (0, 3).
    assert_eq!(clock(&[(0, 2)]).compare(&clock(&[(0, 3)])), CausalOrder::Before);
}

#[test]
fn clients_who_race_for_ever_do_not_pile_up_siblings() {
    let mut value = Versioned::new();
    for round in 0..20 {
        // Both read, then both write: each overwrites the round before, neither the other.
        let read = value.context().clone();
        value.update(("ann", round), &read, actor(0)).expect("honest");
        value.update(("bob", round), &read, actor(0)).expect("honest");
        assert_eq!(values(&value), [("ann", round), ("bob", round)]);
    }
    assert_eq!(value.context(), &clock(&[(0, 40)]), "one counter, whatever the number of writes and clients");
}

#[test]
fn a_context_from_another_copy_overwrites_what_has_not_arrived() {
    let (mut left, mut right) = (Versioned::new(), Versioned::new());
    left.update("old", &Clock::new(), actor(0)).expect("honest");
    let before = left.clone();
    // The client read at the left and writes at the right, which has not heard of `old`.
    assert_eq!(right.update("new", left.context(), actor(2)), Ok(dot(2, 1)));
    assert_eq!(right.context(), &clock(&[(0, 1), (2, 1)]));
    right.sync(&before);
    left.sync(&right);
    assert_eq!((values(&left), values(&right)), (vec!["new"], vec!["new"]));
    assert_eq!(left, right);
}

#[test]
fn writes_at_two_copies_meet_as_siblings_and_are_settled_once() {
    let (mut left, mut right) = (Versioned::new(), Versioned::new());
    left.update("left", &Clock::new(), actor(0)).expect("honest");
    right.update("right", &Clock::new(), actor(2)).expect("honest");
    left.sync(&right);
    assert!(left.is_conflicted() && !right.is_conflicted());
    assert_eq!(left.siblings().collect::<Vec<_>>(), [(dot(0, 1), &"left"), (dot(2, 1), &"right")]);

    let read = left.context().clone();
    left.update("both", &read, actor(0)).expect("honest");
    let mut late = right.clone();
    late.update("later at the right", right.context(), actor(2)).expect("honest");
    right.sync(&left);
    assert_eq!(values(&right), ["both"]);
    right.sync(&late);
    assert_eq!(values(&right), ["both", "later at the right"], "nobody who settled had read it");
}

#[test]
fn a_copy_that_lost_its_memory_is_found_out_by_a_client_who_remembers() {
    let mut value = Versioned::new();
    value.update("kept elsewhere", &Clock::new(), actor(0)).expect("honest");
    let read = value.context().clone();

    let mut lost = Versioned::new();
    let refused = lost.update("under the old name", &read, actor(0));
    assert_eq!(refused, Err(UpdateError::ContextAhead { known: 0, claimed: 1, value: "under the old name" }));
    assert_eq!(lost, Versioned::new(), "nothing changed");

    // As another life it may go on, and the write overwrites what its client had read.
    assert_eq!(lost.update("under a new name", &read, actor(1)), Ok(dot(1, 1)));
    lost.sync(&value);
    assert_eq!(values(&lost), ["under a new name"]);
}

#[test]
fn a_spent_actor_writes_nothing() {
    let mut value = Versioned::new();
    // Another copy takes a forged context in, and brings it here.
    let mut other = Versioned::new();
    other.update("forged", &clock(&[(0, u64::MAX)]), actor(2)).expect("not its own counter");
    value.sync(&other);
    let before = value.clone();
    assert_eq!(value.update("late", &Clock::new(), actor(0)), Err(UpdateError::Spent { value: "late" }));
    assert_eq!(value, before);
}
