//! Values with their siblings.

use alloc::vec::Vec;

use thiserror::Error;

use crate::{Actor, Dot, VectorClock};

/// A value that several clients write without waiting for each other: all values that no other has overwritten, the
/// *siblings*, and the clock of all writes that were ever taken in.
///
/// A client reads [`values`](Self::values) together with [`context`](Self::context), makes one value of them, and
/// writes it with that context. The write overwrites exactly what its client had read: a sibling that came later stays
/// beside it, until somebody who has read both writes again. Replicas exchange whole states by [`sync`](Self::sync),
/// in any order, any number of times, and end up alike.
///
/// These are dotted version vectors, in the form that keeps one clock for all siblings: Preguiça, Baquero, Almeida,
/// Fonte, Gonçalves, *Dotted Version Vectors: Logical Clocks for Optimistic Replication*, 2010, and *Efficient
/// Causality Tracking in Distributed Storage Systems With Dotted Version Vectors*, 2012. The clock has one counter per
/// *server* actor, not per client, and each sibling the one dot that its own write made. Plain version vectors, one
/// per value, cannot express what happens when two clients write through one server:
///
/// ```
/// use inos_quorum::{Actor, CausalOrder, VectorClock, Versioned};
///
/// let server = Actor { node: 1_u32, incarnation: 1 };
/// let mut cart = Versioned::new();
///
/// // Ann and Bob have both read the empty cart.
/// let read = cart.context().clone();
/// cart.update("Ann's milk", &read, server)?;
/// cart.update("Bob's bread", &read, server)?;
/// assert_eq!(cart.values().copied().collect::<Vec<_>>(), ["Ann's milk", "Bob's bread"]);
///
/// // A version vector can only give the server's next number to each: Bob's would be after Ann's, and hers lost.
/// let (mut anns, mut bobs) = (VectorClock::new(), VectorClock::new());
/// anns.observe(cart.siblings().next().unwrap().0);
/// bobs.observe(cart.siblings().last().unwrap().0);
/// assert_eq!(anns.compare(&bobs), CausalOrder::Before);
///
/// // Ann reads both and settles it. Bob, who has not read again, does not overwrite her.
/// let read_again = cart.context().clone();
/// cart.update("milk and bread", &read_again, server)?;
/// cart.update("Bob's butter", &read, server)?;
/// assert!(cart.is_conflicted());
/// assert_eq!(cart.values().copied().collect::<Vec<_>>(), ["milk and bread", "Bob's butter"]);
/// # Ok::<(), inos_quorum::UpdateError<&str>>(())
/// ```
///
/// # What the caller keeps
///
/// - One actor writes to one copy of one value only, and names the copy's whole life: a server whose copy was lost, or
///   restored from an older backup, goes on as another [`Actor`]. If it went on under its old name, its counters would
///   name two writes alike and one would silently vanish. [`UpdateError::ContextAhead`] finds out when a client still
///   knows of lost writes; nothing finds out when nobody does.
/// - A context is one that was read from this value at some copy, or the merge of several. A forged one overwrites
///   what its maker never read, and claims counters for ever: take contexts only from those who may write.
/// - A delete is a write too, of a value that says so (`V = Option<_>`): nothing is pruned here, because a copy that
///   forgot an overwritten sibling would take it for news from the next copy that has it.
///
/// Siblings are not bounded: clients who write without reading add one each. Memory is O(siblings + actors).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Versioned<N, V> {
    /// All writes taken in, overwritten or not.
    clock: VectorClock<N>,
    /// Ascending by dot, all covered by the clock. A write that the clock covers and that is not here is overwritten.
    siblings: Vec<(Dot<N>, V)>,
}

/// The write was not taken; nothing changed, and the value comes back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpdateError<V> {
    /// The context names writes of the writing actor that this copy, which should have made them all, does not know.
    /// Either the integrator is at fault: the copy lost its memory and needs a new incarnation. Or the client is, and
    /// the context is of another value, or forged.
    #[error("the context knows {claimed} writes of an actor that has made {known}")]
    ContextAhead {
        /// The last write of the actor that this copy knows.
        known: u64,
        /// The last one according to the context.
        claimed: u64,
        /// The value.
        value: V,
    },
    /// The actor has used up all 2^64 - 1 counters, which only happens when a forged state or context was taken in
    /// before.
    #[error("the actor has no counter left")]
    Spent {
        /// The value.
        value: V,
    },
}

impl<N: Copy + Ord, V> Versioned<N, V> {
    /// Never written: no sibling, and the empty context.
    #[must_use]
    pub const fn new() -> Self {
        Self { clock: VectorClock::new(), siblings: Vec::new() }
    }

    /// Writes `value` at the copy of `actor`, in place of all siblings that `context` covers, and returns the write's
    /// name.
    ///
    /// `context` is what the client had read before it wrote: the empty clock for a blind write, which overwrites
    /// nothing. It may know writes that have not reached this copy; they count as overwritten when they do. O(siblings
    /// + actors).
    ///
    /// The dot names the write and is no context: a clock that observes it covers all earlier writes of the actor too,
    /// which the client may never have read. A client who writes again without reading writes with the same context
    /// again.
    ///
    /// # Errors
    ///
    /// [`UpdateError`], with the value.
    pub fn update(&mut self, value: V, context: &VectorClock<N>, actor: Actor<N>) -> Result<Dot<N>, UpdateError<V>> {
        let (known, claimed) = (self.clock.counter(actor), context.counter(actor));
        if claimed > known {
            return Err(UpdateError::ContextAhead { known, claimed, value });
        }
        let Some(dot) = self.clock.increment(actor) else {
            return Err(UpdateError::Spent { value });
        };
        self.clock.merge(context);
        self.siblings.retain(|&(sibling, _)| !context.covers(sibling));
        let index = self.siblings.partition_point(|&(sibling, _)| sibling < dot);
        self.siblings.insert(index, (dot, value));
        Ok(dot)
    }

    /// Takes in all that another copy of the same value knows: the join of both. Commutative, associative and
    /// idempotent; a sibling stays if the other copy has it too, or has never heard of it. O(siblings x log siblings +
    /// actors).
    pub fn sync(&mut self, other: &Self)
    where
        V: Clone,
    {
        self.siblings.retain(|&(dot, _)| other.has(dot) || !other.clock.covers(dot));
        let news = other.siblings.iter().filter(|&&(dot, _)| !self.clock.covers(dot));
        self.siblings.extend(news.cloned());
        self.siblings.sort_unstable_by_key(|&(dot, _)| dot);
        self.clock.merge(&other.clock);
    }

    /// The values that no other has overwritten, in the order of their dots: by actor, then as that actor took them in.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.siblings.iter().map(|(_, value)| value)
    }

    /// [`values`](Self::values), each with the write that made it.
    pub fn siblings(&self) -> impl Iterator<Item = (Dot<N>, &V)> {
        self.siblings.iter().map(|(dot, value)| (*dot, value))
    }

    /// All writes ever taken in, here or at a copy that was synced with. Whoever reads the values keeps it, and writes
    /// with it.
    #[must_use]
    pub const fn context(&self) -> &VectorClock<N> {
        &self.clock
    }

    /// Whether there is more than one sibling, so that somebody should read them and write one.
    #[must_use]
    pub const fn is_conflicted(&self) -> bool {
        self.siblings.len() > 1
    }

    fn has(&self, dot: Dot<N>) -> bool {
        self.siblings.binary_search_by_key(&dot, |&(sibling, _)| sibling).is_ok()
    }
}

impl<N: Copy + Ord, V> Default for Versioned<N, V> {
    fn default() -> Self {
        Self::new()
    }
}
