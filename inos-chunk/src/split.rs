//! Cutting a resource into chunks.

use bytes::Bytes;
use core::iter::FusedIterator;

/// The default chunk size: 1 MiB.
pub const CHUNK_SIZE: usize = 1 << 20;

/// A chunk size in bytes: a power of two from 4 KiB to 16 MiB.
///
/// ```
/// use inos_chunk::{CHUNK_SIZE, ChunkSize};
///
/// assert_eq!(ChunkSize::DEFAULT.bytes(), CHUNK_SIZE);
/// assert_eq!(ChunkSize::new(4096)?, ChunkSize::MIN);
/// assert!(ChunkSize::new(5000).is_err());
/// # Ok::<(), inos_chunk::ChunkSizeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkSize {
    log2: u8,
}

impl ChunkSize {
    /// 4 KiB.
    pub const MIN: Self = Self { log2: 12 };
    /// 1 MiB, [`CHUNK_SIZE`].
    pub const DEFAULT: Self = Self { log2: 20 };
    /// 16 MiB.
    pub const MAX: Self = Self { log2: 24 };

    /// A chunk size of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ChunkSizeError`] unless `bytes` is a power of two in 4096..=16777216.
    pub const fn new(bytes: usize) -> Result<Self, ChunkSizeError> {
        let mut log2 = Self::MIN.log2;
        while log2 <= Self::MAX.log2 {
            if bytes == 1 << log2 {
                return Ok(Self { log2 });
            }
            log2 += 1;
        }
        Err(ChunkSizeError { bytes })
    }

    pub(crate) const fn from_log2(log2: u8) -> Option<Self> {
        if log2 >= Self::MIN.log2 && log2 <= Self::MAX.log2 { Some(Self { log2 }) } else { None }
    }

    pub(crate) const fn log2(self) -> u8 {
        self.log2
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        1 << self.log2
    }

    pub(crate) const fn bytes_u32(self) -> u32 {
        1 << self.log2
    }

    pub(crate) const fn bytes_u64(self) -> u64 {
        1 << self.log2
    }
}

impl Default for ChunkSize {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A chunk size that is no power of two in 4 KiB..=16 MiB. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk size is a power of two in 4096..=16777216 bytes, not {bytes}")]
pub struct ChunkSizeError {
    /// The refused size.
    pub bytes: usize,
}

/// Cuts `resource` into chunks of `chunk_size`; the last may be shorter, an empty resource has none.
///
/// The chunks are slices of `resource`: nothing is copied.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{ChunkSize, split};
///
/// let lengths = split(&Bytes::from(vec![7; 10_000]), ChunkSize::MIN).map(|chunk| chunk.len());
/// assert!(lengths.eq([4096, 4096, 1808]));
/// ```
#[must_use]
pub fn split(resource: &Bytes, chunk_size: ChunkSize) -> Split {
    Split { rest: resource.clone(), chunk_size }
}

/// The chunks of a resource, in order. See [`split`].
#[derive(Clone, Debug)]
pub struct Split {
    rest: Bytes,
    chunk_size: ChunkSize,
}

impl Iterator for Split {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let len = self.rest.len().min(self.chunk_size.bytes());
        Some(self.rest.split_to(len))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().div_ceil(self.chunk_size.bytes());
        (count, Some(count))
    }
}

impl ExactSizeIterator for Split {}
impl FusedIterator for Split {}
