//! Seeded randomness.

use crate::id::mix;
use core::time::Duration;

/// SplitMix64 (G. Steele, D. Lea, C. Flood, *Fast splittable pseudorandom number generators*, 2014).
///
/// ```
/// use inos_alloc::sim::Rng;
///
/// let mut rng = Rng::new(0);
/// // As in the published test vectors.
/// assert_eq!(rng.word(), 0xe220_a839_7b1d_cdaf);
/// assert!(rng.below(6) < 6);
/// assert_eq!(rng.below(0), 0);
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The stream of a part of a simulation, so that one part that draws more does not shift the others.
    #[must_use]
    pub const fn of_part(seed: u64, part: u64) -> Self {
        Self::new(mix(mix(seed) ^ part))
    }

    /// 64 bits.
    #[must_use]
    pub const fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// `0..bound`, and 0 for a bound of 0; of bounds below 2^32, no number is favoured by more than 2^-32.
    #[must_use]
    pub const fn below(&mut self, bound: u64) -> u64 {
        let word = self.word();
        if bound == 0 { 0 } else { word % bound }
    }

    /// `0..bound` as a number of a node.
    #[must_use]
    pub fn below_u32(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(u64::from(bound))).unwrap_or(0)
    }

    /// True `permille` times in a thousand.
    #[must_use]
    pub const fn chance(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }

    /// From half of `middle` to one and a half, in milliseconds.
    #[must_use]
    pub fn around(&mut self, middle: Duration) -> Duration {
        let millis = u64::try_from(middle.as_millis()).unwrap_or(u64::MAX / 2);
        Duration::from_millis(millis / 2 + self.below(millis.saturating_add(1)))
    }
}
