//! The inner loops, written once for every engine.
//!
//! A [`Lane`] is a vector register. The functions here are instantiated per engine inside a function with that engine's
//! CPU features, and inlined into it; on their own they are never compiled.
//!
//! Rows of working memory hold symbols in plane coordinates (see [`super::super::field`]): pairs of vectors, one of low
//! bytes and one of high bytes. A factor from GF(2^8) does not care which is which. Shards as users see them, *raw* in
//! the names below, are blocks of 64 bytes: 32 low bytes of 32 symbols, then their high bytes.

#![expect(
    clippy::needless_range_loop,
    reason = "indexed by constants, arrays stay in registers once the loops are unrolled; a reference needs memory"
)]

use super::super::field::{ByteMap, Element, TO_PLANE};
use super::{First, MAX_SOURCES, MulAdd, Pass, Store};

/// A vector register of bytes of one engine.
///
/// A value of the type, or of `Factor`, only comes into being through the unsafe functions, whose callers vouch for the
/// CPU features: so the safe ones may use them.
pub(super) trait Lane: Copy {
    /// Bytes of the register, a divisor of 64. An engine with more than 32 moves raw shards by functions of its own.
    const BYTES: usize;

    /// A map of bytes, ready for use.
    type Factor: Copy;

    /// # Safety
    ///
    /// The CPU has the features of the engine.
    unsafe fn zero() -> Self;

    /// # Safety
    ///
    /// The CPU has the features of the engine.
    unsafe fn factor(map: &'static ByteMap) -> Self::Factor;

    /// # Safety
    ///
    /// - The CPU has the features of the engine.
    /// - `at` is valid for reads of `BYTES` bytes.
    unsafe fn load(at: *const u8) -> Self;

    /// # Safety
    ///
    /// `at` is valid for writes of `BYTES` bytes.
    unsafe fn store(self, at: *mut u8);

    /// Low bytes number `pair * BYTES..` of a raw shard.
    ///
    /// # Safety
    ///
    /// - The CPU has the features of the engine.
    /// - The blocks of 64 bytes that hold them are valid for reads.
    #[inline(always)]
    unsafe fn load_low(shard: *const u8, pair: usize) -> Self {
        // SAFETY: the caller vouches for features and memory.
        unsafe { Self::load(shard.wrapping_add(low_offset::<Self>(pair))) }
    }

    /// High bytes number `pair * BYTES..` of a raw shard.
    ///
    /// # Safety
    ///
    /// As [`load_low`](Self::load_low).
    #[inline(always)]
    unsafe fn load_high(shard: *const u8, pair: usize) -> Self {
        // SAFETY: the caller vouches for features and memory.
        unsafe { Self::load(shard.wrapping_add(low_offset::<Self>(pair) + 32)) }
    }

    /// Writes low and high bytes number `pair * BYTES..` of a raw shard.
    ///
    /// # Safety
    ///
    /// The blocks of 64 bytes that hold them are valid for writes.
    #[inline(always)]
    unsafe fn store_pair(low: Self, high: Self, shard: *mut u8, pair: usize) {
        let at = shard.wrapping_add(low_offset::<Self>(pair));
        // SAFETY: the caller vouches for the memory.
        unsafe { low.store(at) };
        // SAFETY: as above.
        unsafe { high.store(at.wrapping_add(32)) };
    }

    /// Asks for the cache line at an address, which may be any.
    #[inline(always)]
    fn prefetch(_at: *const u8) {}

    fn xor(self, other: Self) -> Self;

    /// The image of each byte.
    fn map(self, factor: Self::Factor) -> Self;
}

/// Where the low bytes number `pair * BYTES..` of a raw shard are, for registers of at most half a block; the high ones are
/// 32 bytes further.
#[inline(always)]
const fn low_offset<L: Lane>(pair: usize) -> usize {
    let at = pair * L::BYTES;
    at / 32 * 64 + at % 32
}

/// A factor from GF(2^16): the four maps of [`Element::matrix`].
type Full<L> = [<L as Lane>::Factor; 4];

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn full<L: Lane>(element: Element) -> Full<L> {
    let [low_low, high_low, low_high, high_high] = element.matrix();
    // SAFETY: the caller vouches for the features.
    let low_low = unsafe { L::factor(ByteMap::of(low_low)) };
    // SAFETY: as above.
    let high_low = unsafe { L::factor(ByteMap::of(high_low)) };
    // SAFETY: as above.
    let low_high = unsafe { L::factor(ByteMap::of(low_high)) };
    // SAFETY: as above.
    let high_high = unsafe { L::factor(ByteMap::of(high_high)) };
    [low_low, high_low, low_high, high_high]
}

/// A symbol that butterflies work on: a vector with factors from GF(2^8), or a pair of vectors with any factors.
trait Symbols: Copy {
    type Factor: Copy;
    fn xor(self, other: Self) -> Self;
    fn mul(self, factor: Self::Factor) -> Self;
}

#[derive(Clone, Copy)]
struct Bytes<L>(L);

impl<L: Lane> Symbols for Bytes<L> {
    type Factor = L::Factor;

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self(self.0.xor(other.0))
    }

    #[inline(always)]
    fn mul(self, factor: L::Factor) -> Self {
        Self(self.0.map(factor))
    }
}

#[derive(Clone, Copy)]
struct Pair<L> {
    low: L,
    high: L,
}

impl<L: Lane> Symbols for Pair<L> {
    type Factor = Full<L>;

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Self { low: self.low.xor(other.low), high: self.high.xor(other.high) }
    }

    #[inline(always)]
    fn mul(self, [low_low, high_low, low_high, high_high]: Full<L>) -> Self {
        let low = self.low.map(low_low).xor(self.high.map(high_low));
        let high = self.low.map(low_high).xor(self.high.map(high_high));
        Self { low, high }
    }
}

/// The factors of a pass over `R` rows: `R / 2` of its first layer in the order of the rows, then those of the layers
/// above it.
type Factors<S> = [<S as Symbols>::Factor; 7];

/// log2(R) layers of the inverse transform in registers.
#[inline(always)]
fn ifft_registers<S: Symbols, const R: usize>(v: &mut [S; R], factors: &Factors<S>) {
    let mut dist = 1;
    let mut next = 0;
    while dist < R {
        let mut start = 0;
        while start < R {
            let mut i = start;
            while i < start + dist {
                v[i + dist] = v[i + dist].xor(v[i]);
                v[i] = v[i].xor(v[i + dist].mul(factors[next]));
                i += 1;
            }
            next += 1;
            start += 2 * dist;
        }
        dist *= 2;
    }
}

/// log2(R) layers of the transform in registers. `FROM_ZERO`: the first factor of each layer is 0.
#[inline(always)]
fn fft_registers<S: Symbols, const R: usize, const FROM_ZERO: bool>(v: &mut [S; R], factors: &Factors<S>) {
    let mut dist = R / 2;
    while dist > 0 {
        // The layers below take the factors before: R / 2 + R / 4 + ... of them.
        let first = R - R / dist;
        let mut block = 0;
        while block < R / (2 * dist) {
            let mut i = 2 * dist * block;
            while i < 2 * dist * block + dist {
                if !FROM_ZERO || block > 0 {
                    v[i] = v[i].xor(v[i + dist].mul(factors[first + block]));
                }
                v[i + dist] = v[i + dist].xor(v[i]);
                i += 1;
            }
            block += 1;
        }
        dist /= 2;
    }
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn byte_factors<L: Lane>(twiddles: &[u16; 7]) -> [L::Factor; 7] {
    // SAFETY: the caller vouches for the features.
    let mut factors = [unsafe { L::factor(ByteMap::of(0)) }; 7];
    let mut i = 0;
    while i < 7 {
        // SAFETY: as above.
        factors[i] = unsafe { L::factor(ByteMap::of(Element::from_cantor(twiddles[i]).0)) };
        i += 1;
    }
    factors
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn full_factors<L: Lane>(twiddles: &[u16; 7]) -> [Full<L>; 7] {
    // SAFETY: the caller vouches for the features.
    let mut factors = [unsafe { full::<L>(Element::ZERO) }; 7];
    let mut i = 0;
    while i < 3 {
        // SAFETY: as above.
        factors[i] = unsafe { full::<L>(Element::from_cantor(twiddles[i])) };
        i += 1;
    }
    factors
}

/// The first pass of an inverse transform: raw shards to rows.
///
/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
pub(super) unsafe fn ifft_first<L: Lane>(first: &mut First<'_>) {
    match (first.radix, first.needs_full(), first.accumulate) {
        // SAFETY: the caller vouches for the features, here and below.
        (1, _, false) => unsafe { first_bytes::<L, 1, false>(first) },
        // SAFETY: as above.
        (2, false, false) => unsafe { first_bytes::<L, 2, false>(first) },
        // SAFETY: as above.
        (4, false, false) => unsafe { first_bytes::<L, 4, false>(first) },
        // SAFETY: as above.
        (8, false, false) => unsafe { first_bytes::<L, 8, false>(first) },
        // SAFETY: as above.
        (2, true, false) => unsafe { first_full::<L, 2, false>(first) },
        // SAFETY: as above.
        (4, true, false) => unsafe { first_full::<L, 4, false>(first) },
        // SAFETY: as above.
        (1, _, true) => unsafe { first_bytes::<L, 1, true>(first) },
        // SAFETY: as above.
        (2, false, true) => unsafe { first_bytes::<L, 2, true>(first) },
        // SAFETY: as above.
        (4, false, true) => unsafe { first_bytes::<L, 4, true>(first) },
        // SAFETY: as above.
        (8, false, true) => unsafe { first_bytes::<L, 8, true>(first) },
        // SAFETY: as above.
        (2, true, true) => unsafe { first_full::<L, 2, true>(first) },
        // SAFETY: as above.
        (4, true, true) => unsafe { first_full::<L, 4, true>(first) },
        (radix, ..) => unreachable!("no pass of {radix} rows is planned"),
    }
}

/// The sources as pointers.
#[inline(always)]
fn source_pointers<const R: usize>(first: &First<'_>) -> [*const u8; R] {
    let mut pointers = [core::ptr::null(); R];
    for (pointer, source) in pointers.iter_mut().zip(&first.sources) {
        assert!(source.len() >= first.len, "a source is as long as the column");
        *pointer = source.as_ptr();
    }
    pointers
}

/// What is read next, as pointers.
#[inline(always)]
fn next_pointers<const R: usize>(first: &First<'_>) -> [*const u8; R] {
    let mut pointers = [core::ptr::null(); R];
    for (pointer, next) in pointers.iter_mut().zip(&first.next) {
        *pointer = next.as_ptr();
    }
    pointers
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn first_bytes<L: Lane, const R: usize, const ADD: bool>(first: &mut First<'_>) {
    let pointers = source_pointers::<R>(first);
    let next = next_pointers::<R>(first);
    let rows = first.rows_pointer(R);
    // SAFETY: the caller vouches for the features.
    let factors = unsafe { byte_factors::<L>(&first.twiddles) };
    // SAFETY: as above.
    let to_plane = unsafe { L::factor(&TO_PLANE) };
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    for pair in 0..first.len / (2 * L::BYTES) {
        let at = rows.wrapping_add(2 * L::BYTES * pair);
        let mut v = [Bytes(zero); R];
        for i in 0..R {
            prefetch_pair::<L>(next[i], pair);
            // SAFETY: the features, and the source has `len` bytes, a multiple of 128: all blocks of the pair.
            v[i] = Bytes(unsafe { L::load_high(pointers[i], pair) });
        }
        ifft_registers(&mut v, &factors);
        for i in 0..R {
            // SAFETY: `rows_pointer` has checked the rows, and the high half of the pair is inside each of them.
            unsafe { put(v[i].0, at.wrapping_add(first.stride * i + L::BYTES), ADD) };
        }
        for i in 0..R {
            // SAFETY: as above.
            let low = unsafe { L::load_low(pointers[i], pair) };
            // SAFETY: as above.
            let high = unsafe { L::load_high(pointers[i], pair) };
            v[i] = Bytes(low.xor(high.map(to_plane)));
        }
        ifft_registers(&mut v, &factors);
        for i in 0..R {
            // SAFETY: as above, the low half.
            unsafe { put(v[i].0, at.wrapping_add(first.stride * i), ADD) };
        }
    }
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn first_full<L: Lane, const R: usize, const ADD: bool>(first: &mut First<'_>) {
    let pointers = source_pointers::<R>(first);
    let next = next_pointers::<R>(first);
    let rows = first.rows_pointer(R);
    // SAFETY: the caller vouches for the features.
    let factors = unsafe { full_factors::<L>(&first.twiddles) };
    // SAFETY: as above.
    let to_plane = unsafe { L::factor(&TO_PLANE) };
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    for pair in 0..first.len / (2 * L::BYTES) {
        let at = rows.wrapping_add(2 * L::BYTES * pair);
        let mut v = [Pair { low: zero, high: zero }; R];
        for i in 0..R {
            prefetch_pair::<L>(next[i], pair);
            // SAFETY: the features, and the source has `len` bytes, a multiple of 128: all blocks of the pair.
            let low = unsafe { L::load_low(pointers[i], pair) };
            // SAFETY: as above.
            let high = unsafe { L::load_high(pointers[i], pair) };
            v[i] = Pair { low: low.xor(high.map(to_plane)), high };
        }
        ifft_registers(&mut v, &factors);
        for i in 0..R {
            let at = at.wrapping_add(first.stride * i);
            // SAFETY: `rows_pointer` has checked the rows, and both halves of the pair are inside each of them.
            unsafe { put(v[i].low, at, ADD) };
            // SAFETY: as above.
            unsafe { put(v[i].high, at.wrapping_add(L::BYTES), ADD) };
        }
    }
}

/// Asks for the blocks that hold a pair of a shard.
#[inline(always)]
fn prefetch_pair<L: Lane>(shard: *const u8, pair: usize) {
    let at = shard.wrapping_add(2 * L::BYTES * pair);
    if L::BYTES >= 32 || pair.is_multiple_of(2) {
        L::prefetch(at);
    }
    if L::BYTES == 64 {
        L::prefetch(at.wrapping_add(64));
    }
}

/// # Safety
///
/// `at` is valid for reads and writes of a register.
#[inline(always)]
unsafe fn put<L: Lane>(value: L, at: *mut u8, accumulate: bool) {
    let value = if accumulate {
        // SAFETY: the caller vouches for the memory, and a register of the engine exists: the CPU has its features.
        value.xor(unsafe { L::load(at) })
    } else {
        value
    };
    // SAFETY: the caller vouches for the memory.
    unsafe { value.store(at) };
}

/// A later pass of an inverse transform, in place or added to other rows.
///
/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
pub(super) unsafe fn ifft<L: Lane>(pass: &mut Pass<'_>) {
    match (pass.radix, pass.needs_full(), pass.into.is_some()) {
        // SAFETY: the caller vouches for the features, here and below.
        (2, false, false) => unsafe { pass_bytes::<L, 2, INVERSE>(pass) },
        // SAFETY: as above.
        (4, false, false) => unsafe { pass_bytes::<L, 4, INVERSE>(pass) },
        // SAFETY: as above.
        (8, false, false) => unsafe { pass_bytes::<L, 8, INVERSE>(pass) },
        // SAFETY: as above.
        (2, true, false) => unsafe { pass_full::<L, 2, INVERSE>(pass) },
        // SAFETY: as above.
        (4, true, false) => unsafe { pass_full::<L, 4, INVERSE>(pass) },
        // SAFETY: as above.
        (2, false, true) => unsafe { pass_bytes::<L, 2, INVERSE_ADD>(pass) },
        // SAFETY: as above.
        (4, false, true) => unsafe { pass_bytes::<L, 4, INVERSE_ADD>(pass) },
        // SAFETY: as above.
        (8, false, true) => unsafe { pass_bytes::<L, 8, INVERSE_ADD>(pass) },
        // SAFETY: as above.
        (2, true, true) => unsafe { pass_full::<L, 2, INVERSE_ADD>(pass) },
        // SAFETY: as above.
        (4, true, true) => unsafe { pass_full::<L, 4, INVERSE_ADD>(pass) },
        (radix, ..) => unreachable!("no pass of {radix} rows is planned"),
    }
}

/// A pass of a transform, in place.
///
/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
pub(super) unsafe fn fft<L: Lane>(pass: &mut Pass<'_>) {
    match (pass.radix, pass.needs_full(), pass.starts_at_zero()) {
        // SAFETY: the caller vouches for the features, here and below.
        (2, false, false) => unsafe { pass_bytes::<L, 2, FORWARD>(pass) },
        // SAFETY: as above.
        (4, false, false) => unsafe { pass_bytes::<L, 4, FORWARD>(pass) },
        // SAFETY: as above.
        (8, false, false) => unsafe { pass_bytes::<L, 8, FORWARD>(pass) },
        // SAFETY: as above.
        (2, false, true) => unsafe { pass_bytes::<L, 2, FORWARD_FROM_ZERO>(pass) },
        // SAFETY: as above.
        (4, false, true) => unsafe { pass_bytes::<L, 4, FORWARD_FROM_ZERO>(pass) },
        // SAFETY: as above.
        (8, false, true) => unsafe { pass_bytes::<L, 8, FORWARD_FROM_ZERO>(pass) },
        // SAFETY: as above.
        (2, true, _) => unsafe { pass_full::<L, 2, FORWARD>(pass) },
        // SAFETY: as above.
        (4, true, _) => unsafe { pass_full::<L, 4, FORWARD>(pass) },
        (radix, ..) => unreachable!("no pass of {radix} rows is planned"),
    }
}

/// The kinds of a pass over rows.
const INVERSE: u8 = 0;
/// Added to other rows.
const INVERSE_ADD: u8 = 1;
const FORWARD: u8 = 2;
/// The block starts at position 0, where the first factor of each layer is 0.
const FORWARD_FROM_ZERO: u8 = 3;

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn pass_bytes<L: Lane, const R: usize, const KIND: u8>(pass: &mut Pass<'_>) {
    let (from, to) = pass.pointers(R);
    // SAFETY: the caller vouches for the features.
    let factors = unsafe { byte_factors::<L>(&pass.twiddles) };
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    let step = pass.dist * pass.stride;
    for j in 0..pass.dist {
        for at in (0..pass.len).step_by(L::BYTES) {
            let at = j * pass.stride + at;
            let mut v = [Bytes(zero); R];
            for i in 0..R {
                // SAFETY: the features, and `pointers` has checked that all rows of the pass have `len` bytes, a
                // multiple of 128.
                v[i] = Bytes(unsafe { L::load(from.wrapping_add(at + step * i)) });
            }
            match KIND {
                FORWARD => fft_registers::<_, R, false>(&mut v, &factors),
                FORWARD_FROM_ZERO => fft_registers::<_, R, true>(&mut v, &factors),
                _ => ifft_registers(&mut v, &factors),
            }
            for i in 0..R {
                // SAFETY: as above.
                unsafe { put(v[i].0, to.wrapping_add(at + step * i), KIND == INVERSE_ADD) };
            }
        }
    }
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn pass_full<L: Lane, const R: usize, const KIND: u8>(pass: &mut Pass<'_>) {
    let (from, to) = pass.pointers(R);
    // SAFETY: the caller vouches for the features.
    let factors = unsafe { full_factors::<L>(&pass.twiddles) };
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    let step = pass.dist * pass.stride;
    for j in 0..pass.dist {
        for at in (0..pass.len).step_by(2 * L::BYTES) {
            let at = j * pass.stride + at;
            let mut v = [Pair { low: zero, high: zero }; R];
            for i in 0..R {
                let from = from.wrapping_add(at + step * i);
                // SAFETY: the features, and `pointers` has checked that all rows of the pass have `len` bytes, a
                // multiple of 128.
                let low = unsafe { L::load(from) };
                // SAFETY: as above.
                let high = unsafe { L::load(from.wrapping_add(L::BYTES)) };
                v[i] = Pair { low, high };
            }
            match KIND {
                FORWARD => fft_registers::<_, R, false>(&mut v, &factors),
                FORWARD_FROM_ZERO => fft_registers::<_, R, true>(&mut v, &factors),
                _ => ifft_registers(&mut v, &factors),
            }
            for i in 0..R {
                let to = to.wrapping_add(at + step * i);
                // SAFETY: as above.
                unsafe { put(v[i].low, to, KIND == INVERSE_ADD) };
                // SAFETY: as above.
                unsafe { put(v[i].high, to.wrapping_add(L::BYTES), KIND == INVERSE_ADD) };
            }
        }
    }
}

/// Adds multiples of sources to rows.
///
/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
pub(super) unsafe fn mul_add<L: Lane>(sum: &mut MulAdd<'_>) {
    let bytes_only = sum.factors.iter().all(|factor| factor.is_byte());
    let mut row = 0;
    while row < sum.rows_count {
        let left = sum.rows_count - row;
        let rows = match (bytes_only, sum.raw) {
            // SAFETY: the caller vouches for the features, here and below.
            (true, true) if left >= 4 => unsafe { mul_add_bytes::<L, 4, true>(sum, row) },
            // SAFETY: as above.
            (true, true) if left >= 2 => unsafe { mul_add_bytes::<L, 2, true>(sum, row) },
            // SAFETY: as above.
            (true, true) => unsafe { mul_add_bytes::<L, 1, true>(sum, row) },
            // SAFETY: as above.
            (true, false) if left >= 4 => unsafe { mul_add_bytes::<L, 4, false>(sum, row) },
            // SAFETY: as above.
            (true, false) if left >= 2 => unsafe { mul_add_bytes::<L, 2, false>(sum, row) },
            // SAFETY: as above.
            (true, false) => unsafe { mul_add_bytes::<L, 1, false>(sum, row) },
            // SAFETY: as above.
            (false, true) if left >= 2 => unsafe { mul_add_full::<L, 2, true>(sum, row) },
            // SAFETY: as above.
            (false, true) => unsafe { mul_add_full::<L, 1, true>(sum, row) },
            // SAFETY: as above.
            (false, false) if left >= 2 => unsafe { mul_add_full::<L, 2, false>(sum, row) },
            // SAFETY: as above.
            (false, false) => unsafe { mul_add_full::<L, 1, false>(sum, row) },
        };
        row += rows;
    }
}

/// A pair of a row.
///
/// # Safety
///
/// - The CPU has the features of the engine.
/// - `at` is valid for reads of two registers.
#[inline(always)]
unsafe fn load_pair<L: Lane>(at: *const u8) -> Pair<L> {
    // SAFETY: the caller vouches for features and memory.
    let low = unsafe { L::load(at) };
    // SAFETY: as above.
    let high = unsafe { L::load(at.wrapping_add(L::BYTES)) };
    Pair { low, high }
}

/// # Safety
///
/// `at` is valid for writes of two registers.
#[inline(always)]
unsafe fn store_pair<L: Lane>(pair: Pair<L>, at: *mut u8) {
    // SAFETY: the caller vouches for the memory.
    unsafe { pair.low.store(at) };
    // SAFETY: as above.
    unsafe { pair.high.store(at.wrapping_add(L::BYTES)) };
}

/// A pair of a raw shard, in plane coordinates, or of a row.
///
/// # Safety
///
/// - The CPU has the features of the engine.
/// - The blocks that hold the pair are valid for reads.
#[inline(always)]
unsafe fn load_source<L: Lane, const RAW: bool>(source: *const u8, pair: usize, to_plane: L::Factor) -> Pair<L> {
    if !RAW {
        // SAFETY: the caller vouches for features and memory.
        return unsafe { load_pair(source.wrapping_add(2 * L::BYTES * pair)) };
    }
    // SAFETY: as above.
    let low = unsafe { L::load_low(source, pair) };
    // SAFETY: as above.
    let high = unsafe { L::load_high(source, pair) };
    Pair { low: low.xor(high.map(to_plane)), high }
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn mul_add_bytes<L: Lane, const O: usize, const RAW: bool>(sum: &mut MulAdd<'_>, row: usize) -> usize {
    let (pointers, count) = sum.source_pointers();
    let rows = sum.row_pointer(row, O);
    // SAFETY: the caller vouches for the features.
    let to_plane = unsafe { L::factor(&TO_PLANE) };
    // SAFETY: as above.
    let mut factors = [[unsafe { L::factor(ByteMap::of(0)) }; O]; MAX_SOURCES];
    for i in 0..count {
        for o in 0..O {
            // SAFETY: as above.
            factors[i][o] = unsafe { L::factor(ByteMap::of(sum.factor(row + o, i).0)) };
        }
    }
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    for pair in 0..sum.len / (2 * L::BYTES) {
        let at = rows.wrapping_add(2 * L::BYTES * pair);
        let mut v = [Pair { low: zero, high: zero }; O];
        for o in 0..O {
            // SAFETY: the features, and `row_pointer` has checked that the rows have `len` bytes, a multiple of 128.
            v[o] = unsafe { load_pair(at.wrapping_add(sum.stride * o)) };
        }
        for i in 0..count {
            // SAFETY: the features, and each source has `len` bytes.
            let x: Pair<L> = unsafe { load_source::<L, RAW>(pointers[i], pair, to_plane) };
            for o in 0..O {
                v[o].low = v[o].low.xor(x.low.map(factors[i][o]));
                v[o].high = v[o].high.xor(x.high.map(factors[i][o]));
            }
        }
        for o in 0..O {
            // SAFETY: as for the load.
            unsafe { store_pair(v[o], at.wrapping_add(sum.stride * o)) };
        }
    }
    O
}

/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
unsafe fn mul_add_full<L: Lane, const O: usize, const RAW: bool>(sum: &mut MulAdd<'_>, row: usize) -> usize {
    let (pointers, count) = sum.source_pointers();
    let rows = sum.row_pointer(row, O);
    // SAFETY: the caller vouches for the features.
    let to_plane = unsafe { L::factor(&TO_PLANE) };
    // SAFETY: as above.
    let mut factors = [[unsafe { full::<L>(Element::ZERO) }; O]; MAX_SOURCES];
    for i in 0..count {
        for o in 0..O {
            // SAFETY: as above.
            factors[i][o] = unsafe { full::<L>(sum.factor(row + o, i)) };
        }
    }
    // SAFETY: as above.
    let zero = unsafe { L::zero() };
    for pair in 0..sum.len / (2 * L::BYTES) {
        let at = rows.wrapping_add(2 * L::BYTES * pair);
        let mut v = [Pair { low: zero, high: zero }; O];
        for o in 0..O {
            // SAFETY: the features, and `row_pointer` has checked that the rows have `len` bytes, a multiple of 128.
            v[o] = unsafe { load_pair(at.wrapping_add(sum.stride * o)) };
        }
        for i in 0..count {
            // SAFETY: the features, and each source has `len` bytes.
            let x: Pair<L> = unsafe { load_source::<L, RAW>(pointers[i], pair, to_plane) };
            for o in 0..O {
                v[o] = v[o].xor(x.mul(factors[i][o]));
            }
        }
        for o in 0..O {
            // SAFETY: as for the load.
            unsafe { store_pair(v[o], at.wrapping_add(sum.stride * o)) };
        }
    }
    O
}

/// A row to a raw shard.
///
/// # Safety
///
/// The CPU has the features of the engine.
#[inline(always)]
pub(super) unsafe fn store<L: Lane>(store: &mut Store<'_>) {
    let (row, shard, len) = store.pointers();
    // SAFETY: the caller vouches for the features.
    let to_plane = unsafe { L::factor(&TO_PLANE) };
    for pair in 0..len / (2 * L::BYTES) {
        let at = row.wrapping_add(2 * L::BYTES * pair);
        // SAFETY: the features, and `pointers` has checked that the row has `len` bytes, a multiple of 128.
        let low = unsafe { L::load(at) };
        // SAFETY: as above.
        let high = unsafe { L::load(at.wrapping_add(L::BYTES)) };
        // SAFETY: `pointers` has checked that the shard has `len` bytes, all blocks of the pair.
        unsafe { L::store_pair(low.xor(high.map(to_plane)), high, shard, pair) };
    }
}
