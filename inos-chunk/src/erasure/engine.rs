//! Engines: the inner loops of the code for the vector instructions of each CPU.
//!
//! The only unsafe code of the crate is in this module and below it. The structs here are the jobs of the inner loops;
//! each checks its lengths against its slices before a pointer is made of them.

#![allow(unsafe_code, reason = "vector instructions, and loads and stores without a bounds check each")]

use super::field::Element;
use core::fmt;

mod kernel;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod x86;

/// Columns are multiples of this many bytes: one pair of the widest registers.
pub(super) const PAIR_BYTES: usize = 128;

/// The most rows that a pass takes into registers at once.
pub(super) const MAX_RADIX: usize = 8;

/// Whether the CPU has some features: looked up with `std`, known from the compiler's flags without.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
macro_rules! has_features {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        {
            $(::std::arch::is_x86_feature_detected!($feature))&&+
        }
        #[cfg(not(feature = "std"))]
        {
            cfg!(all($(target_feature = $feature),+))
        }
    }};
}

/// The most shards or rows that a [`MulAdd`] adds at once.
pub(super) const MAX_SOURCES: usize = 8;

/// The vector instructions that a [`Codec`](super::Codec) uses.
///
/// All engines compute the same bytes. [`Codec::new`](super::Codec::new) takes the fastest that the CPU has; to force
/// one is of use in tests and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// 64-bit integers. Every target has it.
    Portable,
    /// x86: SSSE3.
    Ssse3,
    /// AArch64: NEON.
    Neon,
    /// WebAssembly: simd128, when the program is compiled for it.
    Simd128,
    /// x86: AVX2.
    Avx2,
    /// x86: AVX2 and GFNI.
    Avx2Gfni,
    /// x86: AVX-512F and GFNI.
    Avx512Gfni,
}

impl EngineKind {
    /// All engines, the slower ones first.
    pub const ALL: [Self; 7] =
        [Self::Portable, Self::Ssse3, Self::Neon, Self::Simd128, Self::Avx2, Self::Avx2Gfni, Self::Avx512Gfni];

    /// Whether this program can use the engine on this CPU. On x86 each CPU feature is looked up on its own; without
    /// the feature `std` only those that the program is compiled for are known.
    #[must_use]
    pub fn is_available(self) -> bool {
        self.kernels().is_some()
    }

    /// The fastest engine that is available.
    #[must_use]
    pub fn fastest() -> Self {
        Self::ALL.into_iter().rev().find(|kind| kind.is_available()).unwrap_or(Self::Portable)
    }

    /// The inner loops of the engine, if the CPU can run them.
    pub(super) fn kernels(self) -> Option<&'static Kernels> {
        match self {
            Self::Portable => Some(&portable_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Ssse3 => has_features!("ssse3").then_some(&ssse3_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2 => has_features!("avx2").then_some(&avx2_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2Gfni => has_features!("avx2", "gfni").then_some(&avx2_gfni_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx512Gfni => has_features!("avx512f", "gfni").then_some(&avx512_gfni_kernels::KERNELS),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Self::Neon => Some(&neon_kernels::KERNELS),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128 => Some(&simd128_kernels::KERNELS),
            #[allow(unreachable_patterns, reason = "the engines of other targets")]
            _ => None,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Ssse3 => "ssse3",
            Self::Avx2 => "avx2",
            Self::Avx2Gfni => "avx2+gfni",
            Self::Avx512Gfni => "avx512+gfni",
            Self::Neon => "neon",
            Self::Simd128 => "simd128",
        })
    }
}

/// The inner loops of one engine. Whoever holds a reference has it from [`EngineKind::kernels`], which has looked at
/// the CPU.
pub(super) struct Kernels {
    ifft_first: unsafe fn(&mut First<'_>),
    ifft: unsafe fn(&mut Pass<'_>),
    fft: unsafe fn(&mut Pass<'_>),
    mul_add: unsafe fn(&mut MulAdd<'_>),
    store: unsafe fn(&mut Store<'_>),
}

impl Kernels {
    pub(super) fn ifft_first(&self, mut first: First<'_>) {
        // SAFETY: `EngineKind::kernels` gives out the kernels of available engines alone.
        unsafe { (self.ifft_first)(&mut first) };
    }

    pub(super) fn ifft(&self, mut pass: Pass<'_>) {
        // SAFETY: as above.
        unsafe { (self.ifft)(&mut pass) };
    }

    pub(super) fn fft(&self, mut pass: Pass<'_>) {
        // SAFETY: as above.
        unsafe { (self.fft)(&mut pass) };
    }

    pub(super) fn mul_add(&self, mut sum: MulAdd<'_>) {
        // SAFETY: as above.
        unsafe { (self.mul_add)(&mut sum) };
    }

    pub(super) fn store(&self, mut store: Store<'_>) {
        // SAFETY: as above.
        unsafe { (self.store)(&mut store) };
    }
}

/// Instantiates the inner loops for an engine, each in a function with the engine's CPU features.
macro_rules! kernels {
    ($name:ident, $lane:ty $(, $features:literal)?) => {
        mod $name {
            use super::{First, Kernels, MulAdd, Pass, Store, kernel};

            $(#[target_feature(enable = $features)])?
            unsafe fn ifft_first(first: &mut First<'_>) {
                // SAFETY: this function is only called on a CPU with the engine's features.
                unsafe { kernel::ifft_first::<$lane>(first) };
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn ifft(pass: &mut Pass<'_>) {
                // SAFETY: as above.
                unsafe { kernel::ifft::<$lane>(pass) };
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn fft(pass: &mut Pass<'_>) {
                // SAFETY: as above.
                unsafe { kernel::fft::<$lane>(pass) };
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn mul_add(sum: &mut MulAdd<'_>) {
                // SAFETY: as above.
                unsafe { kernel::mul_add::<$lane>(sum) };
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn store(store: &mut Store<'_>) {
                // SAFETY: as above.
                unsafe { kernel::store::<$lane>(store) };
            }

            pub(super) static KERNELS: Kernels = Kernels { ifft_first, ifft, fft, mul_add, store };
        }
    };
}

kernels!(portable_kernels, super::portable::Words);
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
kernels!(ssse3_kernels, super::x86::Ssse3, "ssse3");
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
kernels!(avx2_kernels, super::x86::Avx2, "avx2");
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
kernels!(avx2_gfni_kernels, super::x86::Avx2Gfni, "avx2,gfni");
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
kernels!(avx512_gfni_kernels, super::x86::Avx512Gfni, "avx512f,gfni");
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
kernels!(neon_kernels, super::neon::Neon);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(simd128_kernels, super::wasm::Simd128);

/// The first layers of an inverse transform: `radix` raw shards, next to each other in the code, to as many rows.
pub(super) struct First<'a> {
    /// The shards, each at least `len` bytes. Those from `radix` on are not looked at.
    pub(super) sources: [&'a [u8]; MAX_RADIX],
    /// What will be read next, for the cache.
    pub(super) next: [&'a [u8]; MAX_RADIX],
    /// 1, 2, 4 or 8; 8 only when all twiddles are in GF(2^8).
    pub(super) radix: usize,
    /// The rows that are written, or added to.
    pub(super) rows: &'a mut [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Number of the first row.
    pub(super) first: usize,
    /// Bytes of a column, a multiple of [`PAIR_BYTES`].
    pub(super) len: usize,
    /// Whether the result is added to the rows.
    pub(super) accumulate: bool,
    /// Cantor coordinates of the factors: `radix / 2` of the first layer, `radix / 4` of the next, and so on.
    pub(super) twiddles: [u16; 7],
}

impl First<'_> {
    fn needs_full(&self) -> bool {
        self.twiddles.iter().any(|twiddle| *twiddle > 255)
    }

    /// The start of the first row. Checks that `radix` rows of `len` bytes are there.
    fn rows_pointer(&mut self, radix: usize) -> *mut u8 {
        assert!(self.len.is_multiple_of(PAIR_BYTES) && self.len <= self.stride, "columns are pairs of registers");
        let rows = &mut self.rows[self.first * self.stride..(self.first + radix - 1) * self.stride + self.len];
        rows.as_mut_ptr()
    }
}

/// Some layers of a transform on rows `first + j + dist * i`, for j below `dist` and i below `radix`.
pub(super) struct Pass<'a> {
    pub(super) rows: &'a mut [u8],
    /// Rows of the same numbers that the result is added to, instead of replacing `rows`.
    pub(super) into: Option<&'a mut [u8]>,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Number of the first row.
    pub(super) first: usize,
    /// Distance of the rows that meet in the lowest of the layers.
    pub(super) dist: usize,
    /// 2, 4 or 8; 8 only when all twiddles are in GF(2^8).
    pub(super) radix: usize,
    /// Bytes of a column, a multiple of [`PAIR_BYTES`].
    pub(super) len: usize,
    /// As in [`First`], the layer of the smallest distance first.
    pub(super) twiddles: [u16; 7],
}

impl Pass<'_> {
    fn needs_full(&self) -> bool {
        self.twiddles.iter().any(|twiddle| *twiddle > 255)
    }

    /// Whether the first factor of each layer is 0, which is so for the block at position 0 alone.
    fn starts_at_zero(&self) -> bool {
        let firsts: &[usize] = match self.radix {
            2 => &[0],
            4 => &[0, 2],
            _ => &[0, 4, 6],
        };
        firsts.iter().all(|first| self.twiddles[*first] == 0)
    }

    /// The start of the first row to read and to write. Checks that `radix * dist` rows of `len` bytes are there.
    fn pointers(&mut self, radix: usize) -> (*const u8, *mut u8) {
        assert!(self.len.is_multiple_of(PAIR_BYTES) && self.len <= self.stride, "columns are pairs of registers");
        let range = self.first * self.stride..(self.first + radix * self.dist - 1) * self.stride + self.len;
        let from = self.rows[range.clone()].as_mut_ptr();
        match &mut self.into {
            Some(into) => (from, into[range].as_mut_ptr()),
            None => (from, from),
        }
    }
}

/// Adds to each of some rows a multiple of each source.
pub(super) struct MulAdd<'a> {
    /// At most [`MAX_SOURCES`], each at least `len` bytes: rows, or raw shards.
    pub(super) sources: &'a [&'a [u8]],
    /// Whether the sources are raw shards.
    pub(super) raw: bool,
    /// The factor of source i in row r at `r * sources.len() + i`.
    pub(super) factors: &'a [Element],
    pub(super) rows: &'a mut [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Number of rows, from the first on.
    pub(super) rows_count: usize,
    /// Bytes of a column, a multiple of [`PAIR_BYTES`].
    pub(super) len: usize,
}

impl MulAdd<'_> {
    fn factor(&self, row: usize, source: usize) -> Element {
        self.factors[row * self.sources.len() + source]
    }

    /// The sources as pointers, and how many there are. Checks their lengths.
    fn source_pointers(&self) -> ([*const u8; MAX_SOURCES], usize) {
        let mut pointers = [core::ptr::null(); MAX_SOURCES];
        assert!(self.sources.len() <= MAX_SOURCES, "at most {} sources in a call", MAX_SOURCES);
        for (pointer, source) in pointers.iter_mut().zip(self.sources) {
            assert!(source.len() >= self.len, "a source is as long as the column");
            *pointer = source.as_ptr();
        }
        (pointers, self.sources.len())
    }

    /// The start of row number `row`. Checks that `count` rows of `len` bytes are there.
    fn row_pointer(&mut self, row: usize, count: usize) -> *mut u8 {
        assert!(self.len.is_multiple_of(PAIR_BYTES) && self.len <= self.stride, "columns are pairs of registers");
        self.rows[row * self.stride..(row + count - 1) * self.stride + self.len].as_mut_ptr()
    }
}

/// Writes a row as a raw shard.
pub(super) struct Store<'a> {
    /// The row; as long as the shard or longer.
    pub(super) row: &'a [u8],
    /// A multiple of [`PAIR_BYTES`].
    pub(super) shard: &'a mut [u8],
}

impl Store<'_> {
    /// Row, shard, and the length of both.
    fn pointers(&mut self) -> (*const u8, *mut u8, usize) {
        let len = self.shard.len();
        assert!(len.is_multiple_of(PAIR_BYTES), "columns are pairs of registers");
        (self.row[..len].as_ptr(), self.shard.as_mut_ptr(), len)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every engine that this machine has computes the products of the field, in every lane, and moves symbols
    //! between shards and rows without loss. Method: all 65,536 factors times all 16 basis elements, against the
    //! arithmetic of the field; the transforms are compared in `tests/it/erasure.rs`.

    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn engines() -> impl Iterator<Item = (EngineKind, &'static Kernels)> {
        EngineKind::ALL.into_iter().filter_map(|kind| Some((kind, kind.kernels()?)))
    }

    /// 64 symbols as two blocks of a raw shard, from their Cantor coordinates.
    fn shard(symbols: &[u16; 64]) -> [u8; PAIR_BYTES] {
        let mut shard = [0; PAIR_BYTES];
        for (i, symbol) in symbols.iter().enumerate() {
            let at = i / 32 * 64 + i % 32;
            [shard[at], shard[at + 32]] = symbol.to_le_bytes();
        }
        shard
    }

    /// The sum of the multiples of `sources`, through a row and back.
    fn sum_of_multiples(kernels: &Kernels, sources: &[&[u8]], factors: &[Element]) -> [u8; PAIR_BYTES] {
        let mut row = [0; PAIR_BYTES];
        let rows = &mut row[..];
        let (stride, len) = (PAIR_BYTES, PAIR_BYTES);
        kernels.mul_add(MulAdd { sources, raw: true, factors, rows, stride, rows_count: 1, len });
        let mut shard = [0xee; PAIR_BYTES];
        kernels.store(Store { row: &row, shard: &mut shard });
        shard
    }

    #[test]
    fn engines_multiply_every_basis_element_by_every_factor() {
        // Each basis element is in four lanes.
        let symbols = core::array::from_fn(|i| 1 << (i % 16));
        let source = shard(&symbols);
        for (kind, kernels) in engines() {
            for factor in 0..=u16::MAX {
                let factor = Element::from_cantor(factor);
                let expected = symbols.map(|symbol| Element::from_cantor(symbol).mul(factor).to_cantor());
                assert_eq!(sum_of_multiples(kernels, &[&source], &[factor]), shard(&expected), "{kind} {factor:?}");
            }
        }
    }

    #[test]
    fn engines_keep_rows_and_sources_apart() {
        // One to eight sources and one to nine rows, in GF(2^8) and beyond, from shards and from rows.
        let stride = PAIR_BYTES + 64;
        let mut state = 1_u16;
        let mut next = || {
            state = state.wrapping_mul(25_173).wrapping_add(13_849);
            state
        };
        let shards: Vec<[u8; PAIR_BYTES]> = (0..8).map(|_| shard(&core::array::from_fn(|_| next()))).collect();
        for (kind, kernels) in engines() {
            for (count, rows_count, general) in
                (1..=8).flat_map(|count| (1..=9).flat_map(move |rows| [(count, rows, false), (count, rows, true)]))
            {
                let sources: Vec<&[u8]> = shards[..count].iter().map(AsRef::as_ref).collect();
                let factors = (0..count * rows_count).map(|_| Element::from_cantor(next()));
                let factors: Vec<Element> =
                    factors.map(|factor| if general { factor } else { Element(factor.0, 0) }).collect();
                let mut rows = vec![0; rows_count * stride];
                let len = PAIR_BYTES;
                kernels.mul_add(MulAdd {
                    sources: &sources,
                    raw: true,
                    factors: &factors,
                    rows: &mut rows,
                    stride,
                    rows_count,
                    len,
                });
                for row in 0..rows_count {
                    // The same sum one term at a time.
                    let mut expected = [0; PAIR_BYTES];
                    for (source, factor) in sources.iter().zip(&factors[row * count..]) {
                        let term = sum_of_multiples(kernels, &[source], &[*factor]);
                        expected.iter_mut().zip(term).for_each(|(sum, term)| *sum ^= term);
                    }
                    let mut result = [0; PAIR_BYTES];
                    kernels.store(Store { row: &rows[row * stride..], shard: &mut result });
                    assert_eq!(result, expected, "{kind}: row {row} of {rows_count} from {count}");

                    // A row as a source: added to itself it is gone.
                    let copy = rows[row * stride..][..len].to_vec();
                    let own = &mut rows[row * stride..];
                    let (sources, factors) = (&[&copy[..]], &[Element::ONE]);
                    kernels.mul_add(MulAdd { sources, raw: false, factors, rows: own, stride, rows_count: 1, len });
                    assert!(rows[row * stride..][..len].iter().all(|byte| *byte == 0));
                }
                // What lies between the rows is nobody's.
                assert!(rows.chunks(stride).all(|row| row[len..].iter().all(|byte| *byte == 0)));
            }
        }
    }

    #[test]
    fn engines_that_are_there_are_found() {
        assert!(EngineKind::Portable.is_available() && EngineKind::fastest().is_available());
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        assert_eq!(EngineKind::fastest(), EngineKind::Neon);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        assert_eq!(EngineKind::fastest(), EngineKind::Simd128);
    }
}
