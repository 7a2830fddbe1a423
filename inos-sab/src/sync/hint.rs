//! Guesses about where to look first.

use core::sync::atomic::{AtomicU32, Ordering};

/// A guess that may be wrong at any time. Never part of a proof, so the model checker does not see it.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU32);

impl Hint {
    /// No guess: `u32::MAX`.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(u32::MAX))
    }

    pub(crate) fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn store(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }
}
