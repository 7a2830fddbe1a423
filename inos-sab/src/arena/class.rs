//! Size classes: how a chunk is cut.

use crate::layout::GRANULE_BYTES;

/// Granules per block of each class. All values up to eight, then steps that leave little of a chunk of 256 granules
/// unused (the last four give 5, 4, 3 and 2 blocks).
const GRANULES: [u32; CLASS_COUNT] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 21, 23, 25, 28, 32, 36, 42, 51, 64, 85, 128];

pub(super) const CLASS_COUNT: usize = 25;

/// A size class: an index into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class(u8);

impl Class {
    /// The smallest class for `len` bytes in chunks of `chunk_granules`, or `None` if the block takes whole chunks.
    #[inline]
    pub(super) fn for_len(len: u32, chunk_granules: u32) -> Option<Self> {
        let granules = len.div_ceil(GRANULE_BYTES).max(1);
        let index = GRANULES.partition_point(|class| *class < granules);
        let class = Self(u8::try_from(index).ok()?);
        (index < CLASS_COUNT && class.granules() <= chunk_granules / 2).then_some(class)
    }

    /// The class with this index, if it exists.
    pub(super) fn from_index(index: usize) -> Option<Self> {
        let class = Self(u8::try_from(index).ok()?);
        (class.index() < CLASS_COUNT).then_some(class)
    }

    /// The next larger class that chunks of `chunk_granules` are cut into.
    pub(super) fn larger(self, chunk_granules: u32) -> Option<Self> {
        let class = Self(self.0 + 1);
        (class.index() < CLASS_COUNT && class.granules() <= chunk_granules / 2).then_some(class)
    }

    #[inline]
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The class with index 0 is form 1 of a side word.
    #[inline]
    pub(super) fn form(self) -> u8 {
        self.0 + 1
    }

    /// Granules per block.
    #[inline]
    pub(super) fn granules(self) -> u32 {
        GRANULES[self.index()]
    }

    /// Blocks per chunk.
    #[inline]
    pub(super) fn per_chunk(self, chunk_granules: u32) -> u32 {
        chunk_granules / self.granules()
    }
}
