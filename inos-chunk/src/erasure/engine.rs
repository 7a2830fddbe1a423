//! Engines: the inner loops of the code for the vector instructions of each CPU.
//!
//! The only unsafe code of the crate is in this module and below it. The structs here are the jobs of the inner loops;
//! each checks its lengths against its slices before a pointer is made of them.

#![allow(unsafe_code, reason = "vector instructions, and loads and stores without a bounds check each")]

use super::field::Element;
use core::fmt;

mod kernel;
#[cfg(target_arch = "aarch64")]
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

/// Whether the CPU has a feature: looked up with `std`, known from the compiler's flags without.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
macro_rules! has_feature {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        {
            ::std::arch::is_x86_feature_detected!($feature)
        }
        #[cfg(not(feature = "std"))]
        {
            cfg!(target_feature = $feature)
        }
    }};
}
/// The most shards or rows that a [`MulAdd`] adds at once.
pub(super) const MAX_SOURCES: usize = 8;

/// The vector instructions that a [`Codec`](super::Codec) uses.
///
/// All engines compute the same bytes. [`Codec::new`](super::Codec::new) takes the fastest that the CPU has; to force one
/// is of use in tests and measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EngineKind {
    /// 64-bit integers. Every target has it.
    Portable,
    /// x86: SSSE3.
    Ssse3,
    /// x86: AVX2.
    Avx2,
    /// x86: AVX2 and GFNI.
    Avx2Gfni,
    /// x86: AVX-512F and GFNI.
    Avx512Gfni,
    /// AArch64: NEON.
    Neon,
    /// WebAssembly: simd128, when the program is compiled for it.
    Simd128,
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
            Self::Ssse3 => has_feature!("ssse3").then_some(&ssse3_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2 => has_feature!("avx2").then_some(&avx2_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx2Gfni => (has_feature!("avx2") && has_feature!("gfni")).then_some(&avx2_gfni_kernels::KERNELS),
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            Self::Avx512Gfni => {
                (has_feature!("avx512f") && has_feature!("gfni")).then_some(&avx512_gfni_kernels::KERNELS)
            }
            #[cfg(target_arch = "aarch64")]
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

/// The inner loops of one engine. Whoever holds a reference has it from [`EngineKind::kernels`], which has looked at the
/// CPU.
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
#[cfg(target_arch = "aarch64")]
kernels!(neon_kernels, super::neon::Neon);
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
kernels!(simd128_kernels, super::wasm::Simd128);

/// Where the 16 low bytes number `pair` of a raw shard are; the high ones are 32 bytes further.
#[cfg_attr(any(target_arch = "wasm32", target_arch = "arm"), allow(dead_code, reason = "the engines of other targets"))]
const fn half_block_offset(pair: usize) -> usize {
    64 * (pair / 2) + 16 * (pair % 2)
}

/// The first layers of an inverse transform: `radix` raw shards, next to each other in the code, to as many rows.
pub(super) struct First<'a> {
    /// The shards, each at least `len` bytes; `None` for zeros. Those from `radix` on are not looked at.
    pub(super) sources: [Option<&'a [u8]>; MAX_RADIX],
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
    /// Rows with i at or above this are zeros, whatever memory says.
    pub(super) live: usize,
    /// Bytes of a column, a multiple of [`PAIR_BYTES`].
    pub(super) len: usize,
    /// As in [`First`], the layer of the smallest distance first.
    pub(super) twiddles: [u16; 7],
}

impl Pass<'_> {
    fn needs_full(&self) -> bool {
        self.twiddles.iter().any(|twiddle| *twiddle > 255)
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
