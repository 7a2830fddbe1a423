//! Guesses about where to look first, and pauses.

use core::sync::atomic::{AtomicU32, Ordering};

/// A guess that may be wrong at any time. Never part of a proof, so the model checker does not see it.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU32);

impl Hint {
    /// No guess: `u32::MAX`.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(u32::MAX))
    }

    #[inline]
    pub(crate) fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn store(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Lets others go on, between two looks at a word that another thread is about to change.
pub(crate) fn pause() {
    #[cfg(not(inos_loom))]
    core::hint::spin_loop();
    #[cfg(inos_loom)]
    loom::thread::yield_now();
}
