//! Orderings by the name of what they order. `docs/memory-model.md` has a row for each [`Pair`].
//!
//! In model builds one side of one pair can be taken away, or one second look, to see that a model notices: the list
//! of mutants that must fail. Everywhere else this is the plain ordering.

use super::Ordering;

/// A store (or fence) and the load that relies on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pair {
    /// Producer's tail -> consumer: frames in front of it are complete.
    RingTail,
    /// Consumer's head -> producer: bytes behind it are no longer read.
    RingHead,
    /// Leaving a role -> the next holder, and the other side's "closed".
    Role,
    /// The fences of a waker and a sleeper.
    Wake,
    /// The word a sleeper sleeps on.
    Bell,
    /// A manifest slot's handle.
    Slot,
    /// A block let go -> whoever claims or pins it.
    LetGo,
    /// The last reader of a pinned block -> its next owner.
    Unpin,
    /// A block freed -> the next owner of its granule.
    Free,
    /// A block freed -> whoever empties its chunk.
    Empty,
    /// A chunk given back or cut -> its next user.
    Chunk,
    /// The fence of an allocator, between taking a cell and looking at its chunk. It also acquires what `Free` released.
    Take,
    /// The fence of whoever empties a chunk, between taking the chunk and looking at its cells. It also acquires what
    /// `Chunk` released.
    Retire,
    /// Pins counted in a process's own memory.
    LocalPin,
}

/// A second look without which a protocol is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// A sleeper looks again after it said that it sleeps.
    BeforeSleep,
    /// A waker that was asked to fence counts the sleepers again after it did.
    AfterAskedFence,
    /// An allocator looks at its chunk again after it took a cell.
    ChunkAfterCell,
    /// Whoever retires a chunk looks at its cells after it took the chunk.
    CellsAfterChunk,
}

#[cfg(not(inos_loom))]
mod imp {
    use super::{Check, Ordering, Pair};

    pub(crate) const fn acquire(_: Pair) -> Ordering {
        Ordering::Acquire
    }

    pub(crate) const fn release(_: Pair) -> Ordering {
        Ordering::Release
    }

    pub(crate) const fn acq_rel(_: Pair) -> Ordering {
        Ordering::AcqRel
    }

    pub(crate) fn fence(_: Pair) {
        crate::sync::fence(Ordering::SeqCst);
    }

    /// For a read-modify-write in front of a [`folded_fence`]. SeqCst operations around the place of a fence order
    /// what the fence would, and on x86 cost nothing more than the operations themselves.
    pub(crate) const fn before_fence() -> Ordering {
        Ordering::SeqCst
    }

    /// A fence between a read-modify-write and loads, expressed by their orderings.
    pub(crate) const fn folded_fence(_: Pair) {}

    /// For a load behind a [`folded_fence`].
    pub(crate) const fn after_fence(_: Pair) -> Ordering {
        Ordering::SeqCst
    }

    /// Whether to look again.
    pub(crate) const fn recheck(_: Check) -> bool {
        true
    }
}

#[cfg(inos_loom)]
mod imp {
    use super::{Check, Ordering, Pair};
    use core::cell::Cell;

    /// What a mutant lacks.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Mutant {
        Acquire(Pair),
        Release(Pair),
        Fence(Pair),
        Check(Check),
    }

    std::thread_local! {
        // The checker runs all threads of a model on one thread of the system.
        static MUTANT: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Takes something away for as long as `f` runs; also when it panics, as it should.
    pub(crate) fn with_mutant<R>(mutant: Mutant, f: impl FnOnce() -> R) -> R {
        struct Restore;
        impl Drop for Restore {
            fn drop(&mut self) {
                MUTANT.set(None);
            }
        }
        let _restore = Restore;
        MUTANT.set(Some(mutant));
        f()
    }

    fn lacks(mutant: Mutant) -> bool {
        MUTANT.get() == Some(mutant)
    }

    pub(crate) fn acquire(pair: Pair) -> Ordering {
        if lacks(Mutant::Acquire(pair)) { Ordering::Relaxed } else { Ordering::Acquire }
    }

    pub(crate) fn release(pair: Pair) -> Ordering {
        if lacks(Mutant::Release(pair)) { Ordering::Relaxed } else { Ordering::Release }
    }

    pub(crate) fn acq_rel(pair: Pair) -> Ordering {
        match (lacks(Mutant::Acquire(pair)), lacks(Mutant::Release(pair))) {
            (true, _) => Ordering::Release,
            (_, true) => Ordering::Acquire,
            _ => Ordering::AcqRel,
        }
    }

    pub(crate) fn fence(pair: Pair) {
        if !lacks(Mutant::Fence(pair)) {
            crate::sync::fence(Ordering::SeqCst);
        }
    }

    pub(crate) fn before_fence() -> Ordering {
        Ordering::Relaxed
    }

    pub(crate) fn folded_fence(pair: Pair) {
        fence(pair);
    }

    pub(crate) fn after_fence(pair: Pair) -> Ordering {
        acquire(pair)
    }

    pub(crate) fn recheck(check: Check) -> bool {
        !lacks(Mutant::Check(check))
    }
}

pub(crate) use imp::*;
