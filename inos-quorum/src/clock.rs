//! Vector clocks over actors.

use alloc::collections::BTreeMap;

/// One life of a node: a node that lost its memory comes back as another actor.
///
/// Reusing an actor's counter after its memory was lost would name two events alike and lose one of them silently
/// (riak_kv issue 679 is the published case); hence the incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor<N> {
    /// The node.
    pub node: N,
    /// Unique for each start of the node, supplied by the integrator. Need not grow.
    pub incarnation: u64,
}

/// One event: the `counter`-th of its actor, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot<N> {
    /// Whose event.
    pub actor: Actor<N>,
    /// Which one. 0 names no event and is covered by every clock.
    pub counter: u64,
}

/// How two causal histories relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CausalOrder {
    /// The same events.
    Equal,
    /// The left history is a proper part of the right one.
    Before,
    /// The right history is a proper part of the left one.
    After,
    /// Each contains an event the other lacks.
    Concurrent,
}

/// A causal history in which each actor's events form a prefix: per actor, how many of its events are known.
///
/// ```
/// use inos_quorum::{Actor, CausalOrder, VectorClock};
///
/// let [a, b] = [1_u64, 2].map(|node| Actor { node, incarnation: 1 });
/// let mut left = VectorClock::new();
/// left.increment(a);
/// let mut right = left.clone();
/// assert_eq!(left.compare(&right), CausalOrder::Equal);
///
/// left.increment(a);
/// right.increment(b);
/// assert_eq!(left.compare(&right), CausalOrder::Concurrent);
///
/// right.merge(&left);
/// assert_eq!(left.compare(&right), CausalOrder::Before);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VectorClock<N> {
    /// No entry is 0, so that equal histories are equal maps.
    counters: BTreeMap<Actor<N>, u64>,
}

impl<N: Copy + Ord> VectorClock<N> {
    /// The empty history.
    #[must_use]
    pub const fn new() -> Self {
        Self { counters: BTreeMap::new() }
    }

    /// Adds the next event of `actor` and returns its dot. O(log actors).
    ///
    /// `None`, and nothing changed, when the actor has used up all 2^64 - 1 counters, which only a forged clock does.
    pub fn increment(&mut self, actor: Actor<N>) -> Option<Dot<N>> {
        let counter = self.counter(actor).checked_add(1)?;
        self.counters.insert(actor, counter);
        Some(Dot { actor, counter })
    }

    /// Takes in `dot` and everything its actor did before it. O(log actors).
    pub fn observe(&mut self, dot: Dot<N>) {
        if dot.counter > self.counter(dot.actor) {
            self.counters.insert(dot.actor, dot.counter);
        }
    }

    /// Takes in the other history: the least clock that covers both. O(actors of `other` x log actors).
    pub fn merge(&mut self, other: &Self) {
        for (&actor, &counter) in &other.counters {
            self.observe(Dot { actor, counter });
        }
    }

    /// How this history relates to `other`. O(actors x log actors).
    #[must_use]
    pub fn compare(&self, other: &Self) -> CausalOrder {
        match (self.is_within(other), other.is_within(self)) {
            (true, true) => CausalOrder::Equal,
            (true, false) => CausalOrder::Before,
            (false, true) => CausalOrder::After,
            (false, false) => CausalOrder::Concurrent,
        }
    }

    /// Whether the history contains `dot`.
    #[must_use]
    pub fn covers(&self, dot: Dot<N>) -> bool {
        self.counter(dot.actor) >= dot.counter
    }

    /// How many events of `actor` the history contains.
    #[must_use]
    pub fn counter(&self, actor: Actor<N>) -> u64 {
        self.counters.get(&actor).copied().unwrap_or(0)
    }

    /// The last known dot of each actor, in the order of the actors.
    pub fn dots(&self) -> impl Iterator<Item = Dot<N>> + '_ {
        self.counters.iter().map(|(&actor, &counter)| Dot { actor, counter })
    }

    fn is_within(&self, other: &Self) -> bool {
        self.dots().all(|dot| other.covers(dot))
    }
}

impl<N: Copy + Ord> Default for VectorClock<N> {
    fn default() -> Self {
        Self::new()
    }
}
