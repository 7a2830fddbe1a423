//! The engine for WebAssembly with simd128: 16 bytes, table look-ups by nibble.

use super::super::field::ByteMap;
use super::kernel::Lane;
use core::arch::wasm32::*;

/// 16 bytes.
#[derive(Clone, Copy)]
pub(super) struct Simd128(v128);

impl Lane for Simd128 {
    const BYTES: usize = 16;
    type Factor = (v128, v128);

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self(u8x16_splat(0))
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> (v128, v128) {
        let tables = map.nibbles.as_ptr().cast::<v128>();
        // SAFETY: the tables have 32 bytes.
        let low = unsafe { v128_load(tables) };
        // SAFETY: as above.
        let high = unsafe { v128_load(tables.wrapping_add(1)) };
        (low, high)
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for the memory.
        Self(unsafe { v128_load(at.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: the caller vouches for the memory.
        unsafe { v128_store(at.cast(), self.0) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }

    #[inline(always)]
    fn map(self, (low, high): (v128, v128)) -> Self {
        let low = u8x16_swizzle(low, v128_and(self.0, u8x16_splat(15)));
        let high = u8x16_swizzle(high, u8x16_shr(self.0, 4));
        Self(v128_xor(low, high))
    }
}
