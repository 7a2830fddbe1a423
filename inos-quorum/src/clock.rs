//! Vector clocks over actors.

#[allow(dead_code, reason = "the group that keeps sets of dots is not here yet")]
mod dots;
mod encoding;

use alloc::vec::Vec;
use core::cmp::Ordering;

pub(crate) use self::dots::{Dots, Inserted};
pub use self::encoding::ClockError;

/// One life of a node: a node that lost its memory comes back as another actor.
///
/// The same pair also names a *seat*, a member's place in a [`Configuration`](crate::Configuration): a durable member
/// that recovers is another life in the same seat. Clocks and dots name lives; "Seats and lives" in `docs/protocol.md`
/// has a table of all else.
///
/// Reusing an actor's counter after its memory was lost would name two events alike and lose one of them silently
/// (riak_kv issue 679 is the published case); hence the incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor<N> {
    /// The node.
    pub node: N,
    /// Unique for each start of the node, supplied by the integrator: the time, a random number, a counter on disk. Need
    /// not grow.
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
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct VectorClock<N> {
    /// Ascending by actor, and no counter is 0, so that equal histories are equal lists. A list and not a tree: a
    /// group has few actors, and a list is copied into memory that is already there.
    counters: Vec<(Actor<N>, u64)>,
}

impl<N: Clone> Clone for VectorClock<N> {
    fn clone(&self) -> Self {
        Self { counters: self.counters.clone() }
    }

    /// Keeps the memory of `self`: copying clocks of as many actors allocates nothing.
    fn clone_from(&mut self, other: &Self) {
        self.counters.clone_from(&other.counters);
    }
}

impl<N: Copy + Ord> VectorClock<N> {
    /// The empty history.
    #[must_use]
    pub const fn new() -> Self {
        Self { counters: Vec::new() }
    }

    /// How many actors have events in the history.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether the history contains no event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Adds the next event of `actor` and returns its dot. O(log actors), O(actors) for an actor's first event.
    ///
    /// `None`, and nothing changed, when the actor has used up all 2^64 - 1 counters, which only a forged clock does.
    pub fn increment(&mut self, actor: Actor<N>) -> Option<Dot<N>> {
        let index = match self.find(actor) {
            Ok(index) => index,
            Err(index) => {
                self.counters.insert(index, (actor, 0));
                index
            }
        };
        let known = &mut self.counters[index].1;
        *known = known.checked_add(1)?;
        Some(Dot { actor, counter: *known })
    }

    /// Takes in `dot` and everything its actor did before it. O(log actors), O(actors) for an actor not known before.
    pub fn observe(&mut self, dot: Dot<N>) {
        match self.find(dot.actor) {
            Ok(index) => self.counters[index].1 = self.counters[index].1.max(dot.counter),
            Err(index) if dot.counter > 0 => self.counters.insert(index, (dot.actor, dot.counter)),
            Err(_) => {}
        }
    }

    /// Takes in the other history: the least clock that covers both. O(actors of both).
    pub fn merge(&mut self, other: &Self) {
        if self.pairs(other).any(|(_, known, _)| known == 0) {
            self.counters = self.pairs(other).map(|(actor, left, right)| (actor, left.max(right))).collect();
            return;
        }
        // Usually both know the same actors, and nothing moves.
        let mut own = self.counters.iter_mut();
        for &(actor, counter) in &other.counters {
            if let Some((_, known)) = own.by_ref().find(|(known, _)| *known == actor) {
                *known = counter.max(*known);
            }
        }
    }

    /// How this history relates to `other`. O(actors of both).
    #[must_use]
    pub fn compare(&self, other: &Self) -> CausalOrder {
        let (mut before, mut after) = (false, false);
        for (_, left, right) in self.pairs(other) {
            before |= left < right;
            after |= left > right;
        }
        match (before, after) {
            (false, false) => CausalOrder::Equal,
            (true, false) => CausalOrder::Before,
            (false, true) => CausalOrder::After,
            (true, true) => CausalOrder::Concurrent,
        }
    }

    /// Whether the history contains `dot`. O(log actors).
    #[must_use]
    pub fn covers(&self, dot: Dot<N>) -> bool {
        self.counter(dot.actor) >= dot.counter
    }

    /// How many events of `actor` the history contains. O(log actors).
    #[must_use]
    pub fn counter(&self, actor: Actor<N>) -> u64 {
        self.find(actor).map_or(0, |index| self.counters[index].1)
    }

    /// The last known dot of each actor, in the order of the actors.
    pub fn dots(&self) -> impl Iterator<Item = Dot<N>> + '_ {
        self.counters.iter().map(|&(actor, counter)| Dot { actor, counter })
    }

    /// Forgets all events of `actor`; returns how many they were.
    ///
    /// Crate-private because it is sound only where everybody forgets at the same point of one history: whoever still
    /// knows the actor would bring its events back as news.
    pub(crate) fn remove(&mut self, actor: Actor<N>) -> u64 {
        self.find(actor).map_or(0, |index| self.counters.remove(index).1)
    }

    fn find(&self, actor: Actor<N>) -> Result<usize, usize> {
        self.counters.binary_search_by_key(&actor, |&(known, _)| known)
    }

    /// All actors of both histories in ascending order, with their counters here and there.
    fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (Actor<N>, u64, u64)> + 'a {
        let (mut left, mut right) = (self.counters.iter().peekable(), other.counters.iter().peekable());
        core::iter::from_fn(move || {
            let order = match (left.peek(), right.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let ours = if order.is_le() { left.next() } else { None };
            let theirs = if order.is_ge() { right.next() } else { None };
            let &(actor, _) = ours.or(theirs)?;
            Some((actor, ours.map_or(0, |&(_, counter)| counter), theirs.map_or(0, |&(_, counter)| counter)))
        })
    }
}

impl<N: Copy + Ord> Default for VectorClock<N> {
    fn default() -> Self {
        Self::new()
    }
}
