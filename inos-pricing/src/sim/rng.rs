//! Chance.

/// Vigna's `SplitMix64`.
#[derive(Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// 0 to `max`, both included.
    pub(super) fn up_to(&mut self, max: usize) -> usize {
        let count = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
        usize::try_from(self.next().checked_rem(count).unwrap_or(0)).unwrap_or(max)
    }
}
