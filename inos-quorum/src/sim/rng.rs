//! Seeded randomness.

/// SplitMix64 (Steele, Lea, Flood 2014): every run is drawn from one number.
///
/// ```
/// use inos_quorum::sim::Rng;
///
/// let mut rng = Rng::new(1);
/// assert!(rng.below(10) < 10);
/// assert_eq!(Rng::new(7).word(), Rng::new(7).word());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rng(u64);

impl Rng {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream that shares nothing with this one, so that a part that draws more does not shift the others.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        // Distance along the Weyl sequence alone would make streams of neighbouring seeds overlap.
        Self(self.word() ^ 0x6a09_e667_f3bc_c909)
    }

    /// 64 bits.
    #[must_use]
    pub const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `bound` - 1, and 0 for a bound of 0. Of bounds below 2^32 no number is favoured by more than 2^-32.
    #[must_use]
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.word() % bound }
    }

    /// `low` to `high`, both included; `low` when `high` is less.
    #[must_use]
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `per_thousand` times in a thousand.
    #[must_use]
    pub const fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    /// An index into something of `len` elements; 0 of nothing.
    #[must_use]
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// One of `choices`.
    ///
    /// # Panics
    ///
    /// When there are none.
    #[must_use]
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn words_are_those_of_the_published_generator() {
        // First outputs of SplitMix64 for seed 0, as in the test vectors of many of its implementations.
        let mut rng = Rng::new(0);
        assert_eq!([rng.word(), rng.word()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            seen[rng.index(5)] += 1;
            assert!((3..=4).contains(&rng.between(3, 4)));
        }
        assert!(seen.iter().all(|&count| count > 100), "{seen:?}");
        assert_eq!((rng.below(0), rng.below(1), rng.index(0), rng.between(9, 2)), (0, 0, 0, 9));
        assert!(!rng.chance(0) && rng.chance(1000));
        assert_ne!(rng.fork().word(), rng.fork().word());
    }
}
