//! Finding and giving back space: chunk words, bitmaps and runs.

use super::cell::{Cell, State};
use super::class::Class;
use crate::layout::{CHUNK_LINE_BYTES, GRANULE_BYTES};
use crate::region::Shared;
use crate::sync::hint::Hint;
use crate::sync::{AtomicU64, Ordering};

/// What a chunk is: `{ live: 16, class: 8, tag: 8 }`. Zeroed memory is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    Free,
    /// Cut into blocks of a class, of which `live` are given out or promised.
    Cut {
        class: Class,
        live: u32,
    },
    /// Being collected for a run, and given back if a later chunk of it is lost.
    Collecting,
    /// Part of a large block.
    Run,
}

impl Chunk {
    fn to_bits(self) -> u64 {
        match self {
            Self::Free => 0,
            Self::Cut { class, live } => u64::from(live) << 16 | (class.index() as u64) << 8 | 1,
            Self::Collecting => 2,
            Self::Run => 3,
        }
    }

    fn from_bits(bits: u64) -> Self {
        match (bits & 0xFF, Class::from_index(bits >> 8 & 0xFF)) {
            (0, _) => Self::Free,
            (1, Some(class)) => Self::Cut { class, live: u32::try_from(bits >> 16 & 0xFFFF).unwrap_or(0) },
            (2, _) => Self::Collecting,
            // Anything else is nothing to take from.
            _ => Self::Run,
        }
    }
}

/// Why a search found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There was nothing.
    Nothing,
    /// Others were changing what was looked at; it may be there in a moment.
    Moving,
}

/// The arena's metadata.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space<'a> {
    shared: &'a Shared,
    chunks: u32,
    chunk_granules: u32,
}

impl<'a> Space<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let layout = &shared.layout;
        Self { shared, chunks: layout.chunk_count(), chunk_granules: layout.chunk_bytes() / GRANULE_BYTES }
    }

    fn chunk_word(&self, chunk: u32) -> &'a AtomicU64 {
        self.shared.memory.u64(self.shared.layout.arena().offset + chunk * CHUNK_LINE_BYTES)
    }

    fn bitmap_word(&self, chunk: u32, word: u32) -> &'a AtomicU64 {
        self.shared.memory.u64(self.shared.layout.arena().offset + chunk * CHUNK_LINE_BYTES + 8 + word * 8)
    }

    fn cells(&self) -> u32 {
        self.shared.layout.arena().offset + self.chunks * CHUNK_LINE_BYTES
    }

    /// Granules for payloads.
    pub(super) fn granule_count(&self) -> u32 {
        self.chunks * self.chunk_granules
    }

    /// The cell of a granule, counted from the first payload byte.
    pub(super) fn cell(&self, granule: u32) -> &'a AtomicU64 {
        self.shared.memory.u64(self.cells() + granule * 8)
    }

    /// `{ kind: 16, len: 32 }` of the block that starts at a granule; written by the block's owner only.
    pub(super) fn side(&self, granule: u32) -> &'a AtomicU64 {
        self.shared.memory.u64(self.cells() + self.granule_count() * 8 + granule * 8)
    }

    fn load(&self, chunk: u32) -> Chunk {
        Chunk::from_bits(self.chunk_word(chunk).load(Ordering::Relaxed))
    }

    /// Acquire: what earlier owners did to the bytes is over. Release: a count taken down carries the freer's accesses
    /// to whoever takes the chunk next, through any later changes in between.
    fn change(&self, chunk: u32, from: Chunk, to: Chunk) -> bool {
        self.chunk_word(chunk)
            .compare_exchange(from.to_bits(), to.to_bits(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// One search. Returns the first granule of a block whose cell is now `Owned`.
    pub(super) fn alloc(&self, len: u32, hints: &[Hint]) -> Result<u32, Miss> {
        match Class::for_len(len, self.chunk_granules) {
            Some(class) => self.alloc_small(class, &hints[class.index()]),
            None => self.alloc_run(len.div_ceil(self.shared.layout.chunk_bytes()).max(1)),
        }
    }

    fn alloc_small(&self, class: Class, hint: &Hint) -> Result<u32, Miss> {
        let mut miss = Miss::Nothing;
        let found = |chunk: u32, granule| {
            hint.store(chunk);
            granule
        };
        let hinted = hint.load();
        if hinted < self.chunks {
            // Where it worked last time, even if the chunk has been given back since: it is warm.
            if let Some(granule) = self.take_from(hinted, class, Taking::CutOrFree) {
                return Ok(granule);
            }
        }
        for step in 0..self.chunks {
            let chunk = (hinted.min(self.chunks) + step) % self.chunks;
            if let Some(granule) = self.take_from(chunk, class, Taking::Cut) {
                return Ok(found(chunk, granule));
            }
        }
        // Blocks of classes from the end, runs from the start: a few small blocks do not cut up the room for large ones.
        for chunk in (0..self.chunks).rev() {
            match self.load(chunk) {
                // Cut to our class since the first look: as good as free.
                seen if seen == Chunk::Free || self.has_room(seen, class) => {
                    match self.take_from(chunk, class, Taking::CutOrFree) {
                        Some(granule) => return Ok(found(chunk, granule)),
                        None => miss = Miss::Moving,
                    }
                }
                Chunk::Collecting => miss = Miss::Moving,
                Chunk::Free | Chunk::Cut { .. } | Chunk::Run => {}
            }
        }
        // No chunk to cut. A larger block is better than none; its chunk knows how it was cut.
        let mut larger = class.larger(self.chunk_granules);
        while let Some(class) = larger {
            for chunk in 0..self.chunks {
                if let Some(granule) = self.take_from(chunk, class, Taking::Cut) {
                    return Ok(granule);
                }
            }
            larger = class.larger(self.chunk_granules);
        }
        Err(miss)
    }

    /// Whether the chunk is cut into blocks of `class` and not all are given out or promised.
    fn has_room(&self, chunk: Chunk, class: Class) -> bool {
        matches!(chunk, Chunk::Cut { class: cut, live } if cut == class && live < class.per_chunk(self.chunk_granules))
    }

    /// Promises itself one block of the chunk, then finds which.
    fn take_from(&self, chunk: u32, class: Class, taking: Taking) -> Option<u32> {
        let limit = class.per_chunk(self.chunk_granules);
        loop {
            let old = self.load(chunk);
            let live = match old {
                Chunk::Cut { class: cut, live } if cut == class && live < limit => live,
                Chunk::Free if taking == Taking::CutOrFree => 0,
                _ => return None,
            };
            // Losing means that another thread's change went through.
            if self.change(chunk, old, Chunk::Cut { class, live: live + 1 }) {
                return Some(self.take_slot(chunk, class, limit));
            }
        }
    }

    /// At most `live` bits are ever set and `live` counts us, so a clear bit exists; if it moves while we look, others
    /// have taken and freed blocks meanwhile.
    fn take_slot(&self, chunk: u32, class: Class, limit: u32) -> u32 {
        loop {
            for word in 0..limit.div_ceil(64) {
                let bitmap = self.bitmap_word(chunk, word);
                let valid = u64::MAX >> (64 - (limit - word * 64).min(64));
                let mut free = !bitmap.load(Ordering::Relaxed) & valid;
                while free != 0 {
                    let bit = free & free.wrapping_neg();
                    // Acquire pairs with the Release that cleared the bit: the cell's last change is visible.
                    if bitmap.fetch_or(bit, Ordering::Acquire) & bit == 0 {
                        let slot = word * 64 + bit.trailing_zeros();
                        let granule = chunk * self.chunk_granules + slot * class.granules();
                        if self.occupy(granule) {
                            return granule;
                        }
                    }
                    free &= !bit;
                }
            }
            core::hint::spin_loop();
        }
    }

    /// The moment of allocation: the cell goes from free to owned.
    fn occupy(&self, granule: u32) -> bool {
        let word = self.cell(granule);
        let old = Cell::from_bits(word.load(Ordering::Relaxed));
        let new = Cell::owned(old.generation, self.shared.me);
        old.state == State::Free
            && word.compare_exchange(old.to_bits(), new.to_bits(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The lowest run of free chunks, collected in address order. Of two searches that meet, the one further up loses
    /// nothing to the other, so one of them always goes on.
    fn alloc_run(&self, count: u32) -> Result<u32, Miss> {
        let mut miss = Miss::Nothing;
        let mut start = 0;
        while start + count <= self.chunks {
            let (obstacle, seen) = match self.collect(start, count) {
                Ok(()) => {
                    let granule = start * self.chunk_granules;
                    let occupied = self.occupy(granule);
                    debug_assert!(occupied, "the first cell of free chunks is free");
                    return if occupied { Ok(granule) } else { Err(Miss::Moving) };
                }
                Err(obstacle) => obstacle,
            };
            if matches!(seen, Chunk::Free | Chunk::Collecting) {
                miss = Miss::Moving;
            }
            start = obstacle + 1;
        }
        Err(miss)
    }

    /// Makes `count` free chunks a run, or changes nothing and returns the chunk in the way and what it was; `Free` if it
    /// was lost between two looks.
    fn collect(&self, start: u32, count: u32) -> Result<(), (u32, Chunk)> {
        let run = start..start + count;
        for chunk in run.clone() {
            let seen = self.load(chunk);
            if seen != Chunk::Free {
                return Err((chunk, seen));
            }
        }
        for chunk in run.clone() {
            if !self.change(chunk, Chunk::Free, Chunk::Collecting) {
                (start..chunk).for_each(|mine| self.give_back(mine));
                return Err((chunk, Chunk::Free));
            }
        }
        for chunk in run {
            // Ours alone: nobody changes a chunk that is being collected.
            self.chunk_word(chunk).store(Chunk::Run.to_bits(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Frees a chunk that this thread holds. Release: our accesses to its bytes are over.
    fn give_back(&self, chunk: u32) {
        self.chunk_word(chunk).store(Chunk::Free.to_bits(), Ordering::Release);
    }

    /// Gives back the room of a block of `len` bytes whose cell the caller has just set to `Free`.
    pub(super) fn release(&self, granule: u32, len: u32) {
        let first = granule / self.chunk_granules;
        // How the block was cut stands in the chunk, which cannot change while a block of it is counted.
        let Chunk::Cut { class, .. } = self.load(first) else {
            let count = len.div_ceil(self.shared.layout.chunk_bytes()).max(1);
            (first..first + count).for_each(|chunk| self.give_back(chunk));
            return;
        };
        let slot = granule % self.chunk_granules / class.granules();
        let bit = 1 << (slot % 64);
        self.bitmap_word(first, slot / 64).fetch_and(!bit, Ordering::Release);
        loop {
            let old = self.load(first);
            let Chunk::Cut { class, live } = old else {
                debug_assert!(false, "a chunk is cut while a block of it is counted");
                return;
            };
            // The last one out gives the chunk back in the same step.
            let new = if live > 1 { Chunk::Cut { class, live: live - 1 } } else { Chunk::Free };
            if self.change(first, old, new) {
                return;
            }
        }
    }

    pub(super) fn free_chunks(&self) -> u32 {
        (0..self.chunks).map(|chunk| u32::from(self.load(chunk) == Chunk::Free)).sum()
    }

    pub(super) fn largest_free(&self) -> u32 {
        let (mut run, mut longest_run, mut largest_class) = (0, 0, 0);
        for chunk in 0..self.chunks {
            run = match self.load(chunk) {
                Chunk::Free => run + 1,
                Chunk::Cut { class, live } if live < class.per_chunk(self.chunk_granules) => {
                    largest_class = class.granules().max(largest_class);
                    0
                }
                _ => 0,
            };
            longest_run = run.max(longest_run);
        }
        (longest_run * self.shared.layout.chunk_bytes()).max(largest_class * GRANULE_BYTES)
    }
}

/// Which chunks a block may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    /// Those already cut into this class.
    Cut,
    /// Also free ones, which are then cut.
    CutOrFree,
}
