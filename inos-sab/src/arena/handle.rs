//! The number that names a block.

use super::cell::GENERATION_BITS;
use crate::layout::GRANULE_BYTES;
use core::fmt;
use core::num::NonZeroU64;

/// Names a block: `{ granule: 20, generation: 44 }`, the granule counted from the start of the arena, where metadata
/// lies; so zero names nothing. It is a number: copying it gives no access and dropping it frees nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// The number, as it stands in rings and manifests.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// A handle from its number; `None` for 0. Any other number is safe to try: at worst it is
    /// [`Stale`](crate::Stale).
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Where the block starts, in bytes from the start of the arena.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.granule() * GRANULE_BYTES as u64
    }

    /// How often the block's first granule was freed before.
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0.get() & ((1 << GENERATION_BITS) - 1)
    }

    /// The granule, counted from the start of the arena.
    pub(super) const fn granule(self) -> u64 {
        self.0.get() >> GENERATION_BITS
    }

    /// `granule` is counted from the start of the arena and is not 0.
    pub(super) fn new(granule: u32, generation: u64) -> Self {
        let bits = u64::from(granule) << GENERATION_BITS | generation;
        Self(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:#x}, generation {})", self.offset(), self.generation())
    }
}
