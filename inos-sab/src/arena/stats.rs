//! What lies in the arena.

use super::cell::{Cell, State};
use super::chunk::Chunk;
use super::class::{CLASS_COUNT, Class};
use super::space::Space;
use crate::layout::GRANULE_BYTES;
use crate::sync::{AtomicU64, Ordering};

/// Counts over the whole arena, taken one after the other: exact while nobody else changes anything.
///
/// # Examples
///
/// ```
/// use inos_sab::{Layout, Region, Threads};
///
/// let arena = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?.arena();
/// let (small, large) = (arena.alloc(300)?, arena.alloc(100_000)?);
/// let stats = arena.stats();
/// assert_eq!((stats.blocks, stats.runs, stats.bytes_used), (2, 1, 512 + 2 * 65_536));
/// assert!(stats.classes().any(|class| class.block_bytes == 512 && class.blocks == 1));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaStats {
    /// Bytes that cannot be given to others: those of blocks, rounded up to their class or to whole chunks.
    pub bytes_used: u64,
    /// Blocks that exist: owned, in flight or detached.
    pub blocks: u32,
    /// Of `blocks`: those with an owner.
    pub owned: u32,
    /// Of `blocks`: those in a ring or slot.
    pub in_flight: u32,
    /// Of `blocks`: those let go by [`into_handle`](crate::ArenaBox::into_handle).
    pub detached: u32,
    /// Of `blocks`: those that take whole chunks.
    pub runs: u32,
    /// Chunks that nothing lies in.
    pub free_chunks: u32,
    /// Longest block that could be given, in bytes.
    pub largest_free: u32,
    /// Chunks that somebody was changing; nothing else is counted of them.
    pub changing_chunks: u32,
    classes: [ClassStats; CLASS_COUNT],
}

/// The blocks of one size class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes of each block.
    pub block_bytes: u32,
    /// Chunks cut into such blocks, empty ones included.
    pub chunks: u32,
    /// Blocks that exist.
    pub blocks: u32,
}

impl ArenaStats {
    /// The size classes that chunks of this region can be cut into, ascending.
    pub fn classes(&self) -> impl Iterator<Item = ClassStats> + '_ {
        self.classes.iter().copied().filter(|class| class.block_bytes > 0)
    }
}

fn is_free(cell: &AtomicU64) -> bool {
    Cell::from_bits(cell.load(Ordering::Relaxed)).state == State::Free
}

/// What a search could find.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Survey {
    /// Longest block that could be given, in bytes.
    pub(super) largest_free: u32,
    pub(super) free_chunks: u32,
    /// Chunks that somebody held or was emptying.
    pub(super) changing_chunks: u32,
    run: u32,
}

impl Survey {
    /// Chunks in address order.
    fn add(&mut self, space: &Space<'_>, chunk: Chunk, free_blocks: u32) {
        let empty = match chunk {
            Chunk::Free => true,
            Chunk::Cut(class) if free_blocks == space.per_chunk(class) => true,
            Chunk::Cut(class) if free_blocks > 0 => {
                self.largest_free = self.largest_free.max(class.granules() * GRANULE_BYTES);
                false
            }
            Chunk::Held { .. } | Chunk::Emptying { .. } => {
                self.changing_chunks += 1;
                false
            }
            Chunk::Cut(_) | Chunk::Run { .. } | Chunk::Body | Chunk::Corrupt => false,
        };
        self.run = if empty { self.run + 1 } else { 0 };
        self.free_chunks += u32::from(empty);
        self.largest_free = self.largest_free.max(self.run * space.geometry.chunk_bytes());
    }
}

impl Space<'_> {
    /// One look at each chunk and each cell of a block of a class.
    pub(super) fn survey(self) -> Survey {
        let mut survey = Survey::default();
        for index in 0..self.geometry.chunks {
            let chunk = self.load(index);
            let free_blocks = match chunk {
                Chunk::Cut(class) => self.blocks(index, class).map(|word| u32::from(is_free(word))).sum(),
                _ => 0,
            };
            survey.add(&self, chunk, free_blocks);
        }
        survey
    }

    /// The same, with everything counted.
    pub(super) fn stats(self) -> ArenaStats {
        let mut survey = Survey::default();
        let mut stats = ArenaStats {
            bytes_used: 0,
            blocks: 0,
            owned: 0,
            in_flight: 0,
            detached: 0,
            runs: 0,
            free_chunks: 0,
            largest_free: 0,
            changing_chunks: 0,
            classes: [ClassStats::default(); CLASS_COUNT],
        };
        for (index, class) in stats.classes.iter_mut().enumerate() {
            let granules = Class::from_index(index).map_or(0, Class::granules);
            if granules <= self.geometry.chunk_granules / 2 {
                class.block_bytes = granules * GRANULE_BYTES;
            }
        }
        for index in 0..self.geometry.chunks {
            let chunk = self.load(index);
            let mut free_blocks = 0;
            match chunk {
                Chunk::Cut(class) => {
                    for word in self.blocks(index, class) {
                        if !stats.count(Cell::from_bits(word.load(Ordering::Relaxed)).state) {
                            free_blocks += 1;
                        }
                    }
                    let blocks = self.per_chunk(class) - free_blocks;
                    stats.bytes_used += u64::from(blocks) * u64::from(class.granules() * GRANULE_BYTES);
                    let of_class = &mut stats.classes[class.index()];
                    of_class.chunks += 1;
                    of_class.blocks += blocks;
                }
                Chunk::Run { count } => {
                    let first = self.cell(index * self.geometry.chunk_granules).load(Ordering::Relaxed);
                    if stats.count(Cell::from_bits(first).state) {
                        stats.runs += 1;
                        let count = count.min(self.geometry.chunks - index);
                        stats.bytes_used += u64::from(count) * u64::from(self.geometry.chunk_bytes());
                    }
                }
                _ => {}
            }
            survey.add(&self, chunk, free_blocks);
        }
        stats.free_chunks = survey.free_chunks;
        stats.largest_free = survey.largest_free;
        stats.changing_chunks = survey.changing_chunks;
        stats
    }
}

impl ArenaStats {
    /// Counts a cell; whether a block is there.
    fn count(&mut self, state: State) -> bool {
        match state {
            State::Free => return false,
            State::Owned => self.owned += 1,
            State::InFlight => self.in_flight += 1,
            State::Detached => self.detached += 1,
            State::Corrupt => {}
        }
        self.blocks += 1;
        true
    }
}
