//! Engines for x86 and x86-64.

use super::super::field::ByteMap;
use super::kernel::Lane;

#[cfg(target_arch = "x86")]
use core::arch::x86::*;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

/// 16 bytes. SSSE3: a map is two table look-ups by nibble (Plank, Greenan, Miller 2013, "Screaming Fast Galois Field
/// Arithmetic Using Intel SIMD Instructions").
#[derive(Clone, Copy)]
pub(super) struct Ssse3(__m128i);

impl Lane for Ssse3 {
    const BYTES: usize = 16;
    type Factor = (__m128i, __m128i);

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the features.
        Self(unsafe { _mm_setzero_si128() })
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> (__m128i, __m128i) {
        let tables = map.nibbles.as_ptr().cast::<__m128i>();
        // SAFETY: the features; the tables have 32 bytes.
        let low = unsafe { _mm_loadu_si128(tables) };
        // SAFETY: as above.
        let high = unsafe { _mm_loadu_si128(tables.wrapping_add(1)) };
        (low, high)
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for features and memory.
        Self(unsafe { _mm_loadu_si128(at.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: a register exists, so the CPU has the features; the caller vouches for the memory.
        unsafe { _mm_storeu_si128(at.cast(), self.0) };
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch has no effect but on time, whatever the address; SSE is older than the engine.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm_xor_si128(self.0, other.0) })
    }

    #[inline(always)]
    fn map(self, (low, high): (__m128i, __m128i)) -> Self {
        // SAFETY: a register exists, so the CPU has the features, here and below.
        let mask = unsafe { _mm_set1_epi8(15) };
        // SAFETY: as above.
        let low_nibbles = unsafe { _mm_and_si128(self.0, mask) };
        // SAFETY: as above.
        let shifted = unsafe { _mm_srli_epi64::<4>(self.0) };
        // SAFETY: as above.
        let high_nibbles = unsafe { _mm_and_si128(shifted, mask) };
        // SAFETY: as above.
        let low = unsafe { _mm_shuffle_epi8(low, low_nibbles) };
        // SAFETY: as above.
        let high = unsafe { _mm_shuffle_epi8(high, high_nibbles) };
        // SAFETY: as above.
        Self(unsafe { _mm_xor_si128(low, high) })
    }
}

/// 32 bytes. AVX2, as [`Ssse3`] with the tables in both halves.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256i);

impl Lane for Avx2 {
    const BYTES: usize = 32;
    type Factor = (__m256i, __m256i);

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the features.
        Self(unsafe { _mm256_setzero_si256() })
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> (__m256i, __m256i) {
        let tables = map.nibbles.as_ptr().cast::<__m128i>();
        // SAFETY: the features; the tables have 32 bytes.
        let low = unsafe { _mm_loadu_si128(tables) };
        // SAFETY: as above.
        let high = unsafe { _mm_loadu_si128(tables.wrapping_add(1)) };
        // SAFETY: the features.
        let low = unsafe { _mm256_broadcastsi128_si256(low) };
        // SAFETY: as above.
        let high = unsafe { _mm256_broadcastsi128_si256(high) };
        (low, high)
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for features and memory.
        Self(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: a register exists, so the CPU has the features; the caller vouches for the memory.
        unsafe { _mm256_storeu_si256(at.cast(), self.0) };
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch has no effect but on time, whatever the address; SSE is older than the engine.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn map(self, (low, high): (__m256i, __m256i)) -> Self {
        // SAFETY: a register exists, so the CPU has the features, here and below.
        let mask = unsafe { _mm256_set1_epi8(15) };
        // SAFETY: as above.
        let low_nibbles = unsafe { _mm256_and_si256(self.0, mask) };
        // SAFETY: as above.
        let shifted = unsafe { _mm256_srli_epi64::<4>(self.0) };
        // SAFETY: as above.
        let high_nibbles = unsafe { _mm256_and_si256(shifted, mask) };
        // SAFETY: as above.
        let low = unsafe { _mm256_shuffle_epi8(low, low_nibbles) };
        // SAFETY: as above.
        let high = unsafe { _mm256_shuffle_epi8(high, high_nibbles) };
        // SAFETY: as above.
        Self(unsafe { _mm256_xor_si256(low, high) })
    }
}

/// 32 bytes. AVX2 and GFNI: a map is one instruction.
#[derive(Clone, Copy)]
pub(super) struct Avx2Gfni(__m256i);

impl Lane for Avx2Gfni {
    const BYTES: usize = 32;
    type Factor = __m256i;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the features.
        Self(unsafe { _mm256_setzero_si256() })
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> __m256i {
        // SAFETY: the caller vouches for the features.
        unsafe { _mm256_set1_epi64x(map.matrix.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for features and memory.
        Self(unsafe { _mm256_loadu_si256(at.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: a register exists, so the CPU has the features; the caller vouches for the memory.
        unsafe { _mm256_storeu_si256(at.cast(), self.0) };
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch has no effect but on time, whatever the address; SSE is older than the engine.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn map(self, matrix: __m256i) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm256_gf2p8affine_epi64_epi8::<0>(self.0, matrix) })
    }
}

/// 64 bytes. AVX-512 and GFNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512Gfni(__m512i);

/// Selects the low halves of two registers, or puts low halves together again.
const LOW_HALVES: i32 = 0x44;
/// The same with the high halves.
const HIGH_HALVES: i32 = 0xee;

impl Lane for Avx512Gfni {
    const BYTES: usize = 64;
    type Factor = __m512i;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the features.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    unsafe fn factor(map: &'static ByteMap) -> __m512i {
        // SAFETY: the caller vouches for the features.
        unsafe { _mm512_set1_epi64(map.matrix.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load(at: *const u8) -> Self {
        // SAFETY: the caller vouches for features and memory.
        Self(unsafe { _mm512_loadu_si512(at.cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut u8) {
        // SAFETY: a register exists, so the CPU has the features; the caller vouches for the memory.
        unsafe { _mm512_storeu_si512(at.cast(), self.0) };
    }

    #[inline(always)]
    unsafe fn load_low(shard: *const u8, pair: usize) -> Self {
        let at = shard.wrapping_add(128 * pair);
        // SAFETY: the caller vouches for features and memory.
        let Self(first) = unsafe { Self::load(at) };
        // SAFETY: as above.
        let Self(second) = unsafe { Self::load(at.wrapping_add(64)) };
        // SAFETY: the features.
        Self(unsafe { _mm512_shuffle_i64x2::<LOW_HALVES>(first, second) })
    }

    #[inline(always)]
    unsafe fn load_high(shard: *const u8, pair: usize) -> Self {
        let at = shard.wrapping_add(128 * pair);
        // SAFETY: the caller vouches for features and memory.
        let Self(first) = unsafe { Self::load(at) };
        // SAFETY: as above.
        let Self(second) = unsafe { Self::load(at.wrapping_add(64)) };
        // SAFETY: the features.
        Self(unsafe { _mm512_shuffle_i64x2::<HIGH_HALVES>(first, second) })
    }

    #[inline(always)]
    unsafe fn store_pair(low: Self, high: Self, shard: *mut u8, pair: usize) {
        let at = shard.wrapping_add(128 * pair);
        // SAFETY: a register exists, so the CPU has the features.
        let first = unsafe { _mm512_shuffle_i64x2::<LOW_HALVES>(low.0, high.0) };
        // SAFETY: as above.
        let second = unsafe { _mm512_shuffle_i64x2::<HIGH_HALVES>(low.0, high.0) };
        // SAFETY: the caller vouches for the memory.
        unsafe { Self(first).store(at) };
        // SAFETY: as above.
        unsafe { Self(second).store(at.wrapping_add(64)) };
    }

    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch has no effect but on time, whatever the address; SSE is older than the engine.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn map(self, matrix: __m512i) -> Self {
        // SAFETY: a register exists, so the CPU has the features.
        Self(unsafe { _mm512_gf2p8affine_epi64_epi8::<0>(self.0, matrix) })
    }
}
