//! The engine for AArch64: 16 bytes, table look-ups by nibble.

use super::super::field::ByteMap;
use super::kernel::Lane;
use core::arch::aarch64::*;

/// 16 bytes.
#[derive(Clone, Copy)]
pub(super) struct Neon(uint8x16_t);

impl Lane for Neon {
    const BYTES: usize = 16;
    type Factor = (uint8x16_t, uint8x16_t);

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the features.
        Self(unsafe { vdupq_n_u8(0) })
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> (uint8x16_t, uint8x16_t) {
        let tables = map.nibbles.as_ptr();
        // SAFETY: the features; the tables have 32 bytes.
        let low = unsafe { vld1q_u8(tables) };
        // SAFETY: as above.
        let high = unsafe { vld1q_u8(tables.wrapping_add(16)) };
        (low, high)
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for features and memory.
        Self(unsafe { vld1q_u8(at) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: a register exists, so the CPU has the features; the caller vouches for the memory.
        unsafe { vst1q_u8(at, self.0) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { veorq_u8(self.0, other.0) })
    }

    #[inline(always)]
    fn map(self, (low, high): (uint8x16_t, uint8x16_t)) -> Self {
        // SAFETY: a register exists, so the CPU has the features, here and below.
        let mask = unsafe { vdupq_n_u8(15) };
        // SAFETY: as above.
        let low_nibbles = unsafe { vandq_u8(self.0, mask) };
        // SAFETY: as above.
        let high_nibbles = unsafe { vshrq_n_u8::<4>(self.0) };
        // SAFETY: as above.
        let low = unsafe { vqtbl1q_u8(low, low_nibbles) };
        // SAFETY: as above.
        let high = unsafe { vqtbl1q_u8(high, high_nibbles) };
        // SAFETY: as above.
        Self(unsafe { veorq_u8(low, high) })
    }
}
