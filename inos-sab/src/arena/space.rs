//! The arena's metadata: where its words are, what they say, and giving blocks back.

use super::cell::Cell;
use super::chunk::Chunk;
use super::class::Class;
use super::handle::Handle;
use crate::error::Stale;
use crate::layout::{CHUNK_LINE_BYTES, GRANULE_BYTES, Layout};
use crate::memory::Memory;
use crate::region::Shared;
use crate::ring::Kind;
use crate::sync::order::{self, Pair};
use crate::sync::{AtomicU64, Ordering};
use crate::trust::sealed::Sealed;
use crate::trust::{Level, Trust};

/// Offsets and counts, computed once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    arena: u32,
    cells: u32,
    sides: u32,
    data: u32,
    pub(super) chunks: u32,
    pub(super) chunk_granules: u32,
    /// Logarithm of `chunk_granules`.
    chunk_shift: u32,
}

impl Geometry {
    pub(super) const fn new(layout: &Layout) -> Self {
        let (chunks, chunk_granules) = (layout.chunk_count(), layout.chunk_bytes() / GRANULE_BYTES);
        let arena = layout.arena().offset;
        let cells = arena + chunks * CHUNK_LINE_BYTES;
        let sides = cells + chunks * chunk_granules * 8;
        let chunk_shift = chunk_granules.ilog2();
        Self { arena, cells, sides, data: layout.arena_data(), chunks, chunk_granules, chunk_shift }
    }

    /// Gives every granule its first generation.
    pub(super) fn start_at(&self, memory: &Memory, start: u64) {
        let free = Cell::starting_at(start).to_bits();
        for granule in 0..self.granules() {
            memory.u64(self.cells + granule * 8).store(free, Ordering::Relaxed);
        }
    }

    /// Granules for payloads.
    pub(super) const fn granules(&self) -> u32 {
        self.chunks * self.chunk_granules
    }

    pub(super) const fn chunk_bytes(&self) -> u32 {
        self.chunk_granules * GRANULE_BYTES
    }

    /// The chunk of a granule. Chunks are powers of two.
    #[inline]
    pub(super) const fn chunk_of(&self, granule: u32) -> u32 {
        granule >> self.chunk_shift
    }

    /// Granules of metadata in front of the payloads.
    const fn metadata_granules(&self) -> u32 {
        (self.data - self.arena) / GRANULE_BYTES
    }

    /// Offset of the payload of a granule, counted from the first payload byte.
    #[inline]
    pub(super) const fn payload(&self, granule: u32) -> u32 {
        self.data + granule * GRANULE_BYTES
    }

    #[inline]
    pub(super) fn handle(&self, granule: u32, generation: u64) -> Handle {
        Handle::new(granule + self.metadata_granules(), generation)
    }

    /// The granule, counted from the first payload byte, if there is such a one.
    pub(super) fn granule_of(&self, handle: Handle) -> Result<u32, Stale> {
        let granule = handle.granule().checked_sub(u64::from(self.metadata_granules())).ok_or(Stale::Freed)?;
        let granule = u32::try_from(granule).map_err(|_| Stale::Freed)?;
        if granule < self.granules() { Ok(granule) } else { Err(Stale::Freed) }
    }
}

/// Where a block lies among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// One of the blocks of a chunk.
    Block { class: Class, slot: u16 },
    /// Whole chunks.
    Run { count: u32 },
}

/// A block whose cell this thread has just set to owned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) granule: u32,
    pub(super) generation: u64,
    pub(super) extent: Extent,
}

/// What the side word says of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    pub(super) len: u32,
    pub(super) kind: Kind,
    pub(super) extent: Extent,
}

/// The arena's metadata, as one participant sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space<'a> {
    pub(super) memory: &'a Memory,
    pub(super) geometry: Geometry,
    pub(super) me: u8,
}

impl<'a> Space<'a> {
    pub(super) const fn new(shared: &'a Shared) -> Self {
        Self { memory: &shared.memory, geometry: Geometry::new(&shared.layout), me: shared.me }
    }

    /// The word of a chunk below `chunks`.
    #[inline]
    pub(super) fn chunk(&self, chunk: u32) -> &'a AtomicU64 {
        self.memory.u64(self.geometry.arena + chunk * CHUNK_LINE_BYTES)
    }

    /// Word 0 to 3 of a chunk's bitmap.
    #[inline]
    pub(super) fn bitmap(&self, chunk: u32, word: u32) -> &'a AtomicU64 {
        self.memory.u64(self.geometry.arena + chunk * CHUNK_LINE_BYTES + 8 + word * 8)
    }

    /// The cell of a granule below `granules`, counted from the first payload byte.
    #[inline]
    pub(super) fn cell(&self, granule: u32) -> &'a AtomicU64 {
        self.memory.u64(self.geometry.cells + granule * 8)
    }

    fn side(&self, granule: u32) -> &'a AtomicU64 {
        self.memory.u64(self.geometry.sides + granule * 8)
    }

    /// What a chunk is just now.
    pub(super) fn load(&self, chunk: u32) -> Chunk {
        Chunk::from_bits(self.chunk(chunk).load(Ordering::Relaxed))
    }

    /// Changes a chunk if it is `from`.
    pub(super) fn change(&self, chunk: u32, from: Chunk, to: Chunk, success: Ordering) -> bool {
        self.chunk(chunk).compare_exchange(from.to_bits(), to.to_bits(), success, Ordering::Relaxed).is_ok()
    }

    /// A chunk of this participant's own making.
    pub(super) const fn held(&self, count: u32) -> Chunk {
        Chunk::Held { participant: self.me, count }
    }

    /// Takes a free chunk. Acquire: what its earlier owners did to the bytes is over.
    pub(super) fn seize(&self, chunk: u32) -> bool {
        self.change(chunk, Chunk::Free, self.held(1), order::acquire(Pair::Chunk))
    }

    /// Gives back a chunk that this participant holds and has not used.
    pub(super) fn give_back(&self, chunk: u32) {
        self.change(chunk, self.held(1), Chunk::Free, Ordering::Relaxed);
    }

    /// First granule of a block.
    #[inline]
    pub(super) fn granule_at(&self, chunk: u32, class: Class, slot: u32) -> u32 {
        chunk * self.geometry.chunk_granules + slot * class.granules()
    }

    /// Blocks of `class` per chunk.
    #[inline]
    pub(super) fn per_chunk(&self, class: Class) -> u32 {
        class.per_chunk(self.geometry.chunk_granules)
    }

    /// Cells of the blocks of a chunk cut to `class`.
    pub(super) fn blocks(self, chunk: u32, class: Class) -> impl Iterator<Item = &'a AtomicU64> {
        (0..self.per_chunk(class)).map(move |slot| self.cell(self.granule_at(chunk, class, slot)))
    }

    /// Changes the cell of a block this participant owns. Nobody else does, so a store is enough; except that among
    /// hostile participants a cell that was overwritten may be somebody else's by now.
    #[inline]
    pub(super) fn replace_owned<T: Trust>(&self, granule: u32, from: Cell, to: Cell, success: Ordering) -> bool {
        let word = self.cell(granule);
        match <T as Sealed>::LEVEL {
            Level::Hostile => word.compare_exchange(from.to_bits(), to.to_bits(), success, Ordering::Relaxed).is_ok(),
            Level::Threads | Level::Crash => {
                debug_assert_eq!(word.load(Ordering::Relaxed), from.to_bits(), "only the owner changes an owned cell");
                word.store(to.to_bits(), success);
                true
            }
        }
    }

    /// Frees a block that this participant owns.
    #[inline]
    pub(super) fn free<T: Trust>(&self, block: Taken) {
        let Taken { granule, generation, extent } = block;
        let owned = Cell::owned(generation, self.me);
        // The moment of freeing. Release: our accesses come before those of the next owner.
        let free = || self.replace_owned::<T>(granule, owned, owned.freed(), order::release(Pair::Free));
        match extent {
            Extent::Block { slot, .. } => {
                if free() {
                    self.clear_bit(self.geometry.chunk_of(granule), slot);
                }
            }
            Extent::Run { count } => {
                let first = self.geometry.chunk_of(granule);
                // Held while it comes apart: if we die, whoever recovers finds the rest of it.
                if self.change(first, Chunk::Run { count }, self.held(count), Ordering::Relaxed) && free() {
                    self.dissolve(first, count);
                }
            }
        }
    }

    /// Forgets that a block is taken.
    #[inline]
    pub(super) fn clear_bit(&self, chunk: u32, slot: u16) {
        let slot = u32::from(slot);
        self.bitmap(chunk, slot / 64).fetch_and(!(1 << (slot % 64)), Ordering::Relaxed);
    }

    /// Gives back the chunks of a run of which this participant holds the first. Release: our accesses are over. From the end, so that the bodies right
    /// behind a held chunk are always those that belong to it.
    pub(super) fn dissolve(&self, first: u32, count: u32) {
        for chunk in (first + 1..first + count).rev() {
            self.change(chunk, Chunk::Body, Chunk::Free, order::release(Pair::Chunk));
        }
        self.change(first, self.held(count), Chunk::Free, order::release(Pair::Chunk));
    }

    /// Writes the side word of a block that this participant owns.
    pub(super) fn note(&self, granule: u32, side: Side) {
        let form = match side.extent {
            Extent::Block { class, .. } => class.form(),
            Extent::Run { .. } => 0,
        };
        let bits = u64::from(form) << 48 | u64::from(side.kind) << 32 | u64::from(side.len);
        self.side(granule).store(bits, Ordering::Relaxed);
    }

    /// Reads the side word of a block that this participant owns or pins; `None` if it does not fit the arena.
    pub(super) fn describe(&self, granule: u32) -> Option<Side> {
        let bits = self.side(granule).load(Ordering::Relaxed);
        let [.., kind_low, kind_high, form, _] = bits.to_le_bytes();
        let kind = Kind::from_le_bytes([kind_low, kind_high]);
        let len = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let chunk_granules = self.geometry.chunk_granules;
        let (chunk, within) = (granule / chunk_granules, granule % chunk_granules);
        let Some(index) = usize::from(form).checked_sub(1) else {
            let Chunk::Run { count } = self.load(chunk) else { return None };
            let room = self.geometry.chunks - chunk;
            let fits = within == 0 && (1..=room).contains(&count) && len <= count * self.geometry.chunk_bytes();
            return fits.then_some(Side { len, kind, extent: Extent::Run { count } });
        };
        let class = Class::from_index(index)?;
        let slot = within / class.granules();
        let fits = within % class.granules() == 0
            && slot < self.per_chunk(class)
            && class.granules() <= chunk_granules / 2
            && len <= class.granules() * GRANULE_BYTES;
        let slot = u16::try_from(slot).ok()?;
        fits.then_some(Side { len, kind, extent: Extent::Block { class, slot } })
    }
}
