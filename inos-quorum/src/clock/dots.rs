//! Exact sets of dots.

#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Actor, Dot, VectorClock, encoding::room};
use crate::{
    Id,
    bytes::{Put, Reader},
};

/// How many ranges of missing dots a set keeps apart.
///
/// Holes come from entries that a failover dropped. It drops the end of a log, which leaves one range for each actor
/// that had written there and writes on; orphans merged out of order split ranges for a while. So 1,024 is room for
/// hundreds of failovers before the actors are retired, in 32 KiB.
pub(crate) const MAX_HOLES: usize = 1024;

/// No id is shorter than a byte: its length, itself, incarnation, first and last.
const MIN_HOLE_BYTES: usize = 1 + 1 + 8 + 8 + 8;

/// A set of dots, exact while it has at most [`MAX_HOLES`] ranges of holes: a clock that covers them all, and the dots
/// that the clock covers although the set does not contain them. (A version vector with exceptions: Malkhi, Terry,
/// *Concise Version Vectors in WinFS*, 2005.)
///
/// A clock alone says that an actor's events form a prefix. They do not once a failover dropped the third write of an
/// actor whose fourth is in the history: if the third then counted as contained, its orphan would be thrown away as
/// known.
///
/// **When full**, one range is given up: its dots count as contained from then on, and [`Inserted::GaveUp`] says so.
/// It is the lowest range of the actor with the most ranges (on a tie, of the lowest such actor): the lowest is that
/// actor's oldest, the one whose orphans have had the longest time to arrive, and an actor with few holes pays nothing
/// for one with many. Joining two ranges into one would instead make the dots between them count as missing, and their
/// writes could be applied a second time; this way an orphan of the range is taken for a duplicate and its write is
/// lost, so whoever inserts must report what was given up. The choice is a function of the set's content: members that
/// inserted the same dots in the same order hold equal sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dots<N> {
    clock: VectorClock<N>,
    /// First missing dot to last missing counter. Disjoint, not adjacent, and below the clock's counter of the actor,
    /// so that equal sets are equal maps.
    holes: BTreeMap<Dot<N>, u64>,
}

/// What [`Dots::insert`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Inserted<N> {
    /// The set contained the dot, or its counter is 0 and it names no event. Nothing changed.
    Known,
    /// The set did not contain the dot and does now.
    New,
    /// As [`New`](Self::New), but the set was full: all dots of `first.actor` from `first` to the counter `last` count
    /// as contained from now on, although nobody inserted them.
    GaveUp {
        /// The first dot of the range.
        first: Dot<N>,
        /// The counter of the last.
        last: u64,
    },
}

impl<N: Copy + Ord> Dots<N> {
    /// The empty set.
    pub(crate) const fn new() -> Self {
        Self { clock: VectorClock::new(), holes: BTreeMap::new() }
    }

    /// The least clock that covers all dots of the set.
    pub(crate) const fn clock(&self) -> &VectorClock<N> {
        &self.clock
    }

    /// Whether the set contains `dot`; a counter of 0 names no event and is always contained. O(log actors + log
    /// holes).
    pub(crate) fn contains(&self, dot: Dot<N>) -> bool {
        self.clock.covers(dot) && self.hole_around(dot).is_none()
    }

    /// Adds `dot` and no other: dots between it and the last one known of its actor become holes. O(log actors + log
    /// holes), O(holes) when the set is full.
    pub(crate) fn insert(&mut self, dot: Dot<N>) -> Inserted<N> {
        let known = self.clock.counter(dot.actor);
        if dot.counter > known {
            self.add_hole(dot.actor, known, dot.counter);
            self.clock.observe(dot);
        } else if let Some((first, last)) = self.hole_around(dot) {
            self.holes.remove(&first);
            self.add_hole(dot.actor, first.counter - 1, dot.counter);
            if dot.counter < last {
                self.holes.insert(Dot { actor: dot.actor, counter: dot.counter + 1 }, last);
            }
        } else {
            return Inserted::Known;
        }
        self.give_up_if_full()
    }

    /// Takes out all dots of `actor`, as if they had never been inserted. See [`VectorClock::remove`]. O(log actors +
    /// holes).
    pub(crate) fn forget(&mut self, actor: Actor<N>) {
        self.clock.remove(actor);
        self.holes.retain(|first, _| first.actor != actor);
    }

    /// The missing dots between two counters, if any, neither included.
    fn add_hole(&mut self, actor: Actor<N>, below: u64, above: u64) {
        if above - below > 1 {
            self.holes.insert(Dot { actor, counter: below + 1 }, above - 1);
        }
    }

    /// The range of holes that `dot` lies in.
    fn hole_around(&self, dot: Dot<N>) -> Option<(Dot<N>, u64)> {
        let (&first, &last) = self.holes.range(..=dot).next_back()?;
        (first.actor == dot.actor && dot.counter <= last).then_some((first, last))
    }

    /// One insertion adds at most one range, so giving up one is enough.
    fn give_up_if_full(&mut self) -> Inserted<N> {
        if self.holes.len() <= MAX_HOLES {
            return Inserted::New;
        }
        // Of each actor in turn: its lowest range and how many it has.
        let mut given_up: Option<(Dot<N>, usize)> = None;
        let mut current: Option<(Dot<N>, usize)> = None;
        for &first in self.holes.keys() {
            current = match current {
                Some((lowest, ranges)) if lowest.actor == first.actor => Some((lowest, ranges + 1)),
                _ => Some((first, 1)),
            };
            if current.map(|(_, ranges)| ranges) > given_up.map(|(_, ranges)| ranges) {
                given_up = current;
            }
        }
        match given_up.and_then(|(first, _)| self.holes.remove_entry(&first)) {
            Some((first, last)) => Inserted::GaveUp { first, last },
            None => Inserted::New,
        }
    }
}

impl<N: Id> Dots<N> {
    /// Appends the set: the clock, a count of four bytes, then per range its first dot and the counter of its last.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.clock.encode(out);
        out.put(&u32::try_from(self.holes.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (first, last) in &self.holes {
            first.encode(out);
            out.put(&last.to_le_bytes());
        }
    }

    /// Reads one set and leaves what follows it; `None` when the bytes are not the one form of a set.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let clock = VectorClock::decode(reader).ok()?;
        let claimed = reader.u32()?;
        if room(claimed, MIN_HOLE_BYTES, reader)? > MAX_HOLES {
            return None;
        }
        let mut holes: BTreeMap<Dot<N>, u64> = BTreeMap::new();
        let mut previous: Option<(Dot<N>, u64)> = None;
        for _ in 0..claimed {
            let first = Dot::decode(reader)?;
            let last = reader.u64()?;
            let is_within = 0 < first.counter && first.counter <= last && last < clock.counter(first.actor);
            // Between two ranges of one actor lies a dot that is there.
            let is_above = previous.is_none_or(|(before, end)| {
                before.actor < first.actor || (before.actor == first.actor && end + 1 < first.counter)
            });
            if !is_within || !is_above {
                return None;
            }
            previous = Some((first, last));
            holes.insert(first, last);
        }
        Some(Self { clock, holes })
    }
}

impl<N: Copy + Ord> Default for Dots<N> {
    fn default() -> Self {
        Self::new()
    }
}
