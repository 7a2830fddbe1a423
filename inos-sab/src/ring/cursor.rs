//! Where one side of a ring stands: position and count of frames in one word.

/// Bytes of the unit in which positions count: a frame's header.
pub(crate) const UNIT_BYTES: u32 = 8;

/// A side's word: `{ frames: 32, units: 32 }`, both wrapping. Position and count are published by one store, so nobody
/// ever sees one without the other, and a side that dies leaves both as they were.
///
/// 32 bits are enough: each word has one writer, only differences are used, and a ring has at most 2^16 units.
///
/// Kept as the one word it is: two halves apart would be joined again for every comparison and every store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(u64);

impl Cursor {
    #[inline]
    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) const fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    const fn new(frames: u32, units: u32) -> Self {
        Self((frames as u64) << 32 | units as u64)
    }

    /// Both halves at `start` bytes, a multiple of 8.
    #[inline]
    pub(crate) const fn at(start: u64) -> Self {
        let units = Self(start / UNIT_BYTES as u64).units();
        Self::new(units, units)
    }

    /// Frames so far.
    #[inline]
    pub(crate) const fn frames(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The position, in units.
    #[inline]
    pub(crate) const fn units(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// What lies between `behind` and this one.
    #[inline]
    pub(crate) const fn since(self, behind: Self) -> Span {
        Span { frames: self.frames().wrapping_sub(behind.frames()), units: self.units().wrapping_sub(behind.units()) }
    }

    /// Behind one more frame of `units`, its padding included.
    #[inline]
    pub(crate) const fn after(self, units: u32) -> Self {
        Self::new(self.frames().wrapping_add(1), self.units().wrapping_add(units))
    }

    /// Behind padding of `units`, which is part of the frame that follows.
    #[inline]
    pub(crate) const fn past_padding(self, units: u32) -> Self {
        Self::new(self.frames(), self.units().wrapping_add(units))
    }

    /// The cursor at which a ring of `units` is full up to this one.
    #[inline]
    pub(crate) const fn a_ring_behind(self, units: u32) -> Self {
        Self::new(self.frames(), self.units().wrapping_sub(units))
    }
}

/// What lies between two cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) frames: u32,
    pub(crate) units: u32,
}

impl Span {
    /// Whether so much can be in a ring of `ring_units`: a frame takes at least a unit, and only frames take any.
    #[inline]
    pub(crate) const fn fits(self, ring_units: u32) -> bool {
        // Of no frames the number below is the largest, which is not below any units.
        let some = self.units <= ring_units && self.frames.wrapping_sub(1) < self.units;
        some || (self.units | self.frames) == 0
    }

    /// Bytes, for spans that fit.
    #[inline]
    pub(crate) const fn bytes(self) -> u32 {
        self.units.saturating_mul(UNIT_BYTES)
    }
}
