//! Finding a block of a size class.

use super::cell::{Cell, State};
use super::chunk::Chunk;
use super::class::Class;
use super::space::{Extent, Space, Taken};
use crate::sync::Ordering;
use crate::sync::hint::Hint;
use crate::sync::order::{self, Check, Pair};

/// In a hint: others take blocks from this chunk, too.
const CROWDED: u32 = 1 << 31;

/// Why a search found nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// There was nothing.
    Nothing,
    /// Others were changing what was looked at; it may be there in a moment.
    Moving,
}

/// How a cell was met.
#[derive(Clone, Copy, Debug)]
enum Met {
    Taken(Taken),
    /// A block is there, or somebody was faster.
    NotFree,
    /// The chunk is no longer cut to the class.
    ChunkGone,
}

/// One search.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) space: Space<'a>,
    pub(super) miss: Miss,
    /// Whether others set bits of a chunk while we looked at it.
    crowd: u64,
}

impl<'a> Search<'a> {
    #[inline]
    pub(super) const fn new(space: Space<'a>) -> Self {
        Self { space, miss: Miss::Nothing, crowd: 0 }
    }

    /// A block of `class`. `hint` is where the last one was found, `sharers` counts the arenas, about.
    #[inline]
    pub(super) fn small(&mut self, class: Class, hint: &Hint, sharers: impl Fn() -> usize) -> Option<Taken> {
        let hinted = hint.load();
        // Without a guess the number is too large for a chunk, too.
        let found = if hinted < self.space.geometry.chunks { self.by_bits(hinted, class) } else { None };
        let found = match found {
            Some(found) => found,
            None => self.elsewhere(class, hinted, sharers)?,
        };
        let chunk = self.space.geometry.chunk_of(found.granule);
        let now = if self.crowd == 0 { chunk } else { chunk | CROWDED };
        if now != hinted {
            hint.store(now);
        }
        Some(found)
    }

    #[cold]
    fn elsewhere(&mut self, class: Class, hinted: u32, sharers: impl Fn() -> usize) -> Option<Taken> {
        let chunks = self.space.geometry.chunks;
        let start = (hinted & !CROWDED).min(chunks - 1);
        if hinted != u32::MAX && hinted & CROWDED != 0 {
            self.crowd = 0;
            if let Some(found) = self.apart(class, start, sharers) {
                return Some(found);
            }
        }
        let cyclic = move |step| (start + step) % chunks;
        (0..chunks)
            .find_map(|step| self.by_bits(cyclic(step), class))
            .or_else(|| self.fresh(class))
            .or_else(|| (0..chunks).rev().find_map(|chunk| self.cut_empty(chunk, class)))
            // No chunk to cut. A larger block is better than none; its side word knows how large.
            .or_else(|| self.larger(class, Self::by_bits))
            // The hints say no; from here on the cells are asked.
            .or_else(|| (0..chunks).find_map(|step| self.by_cells(cyclic(step), class)))
            .or_else(|| self.larger(class, Self::by_cells))
    }

    /// A block of the smallest larger class that has one.
    fn larger(&mut self, class: Class, by: fn(&mut Self, u32, Class) -> Option<Taken>) -> Option<Taken> {
        let mut larger = class.larger(self.space.geometry.chunk_granules);
        while let Some(class) = larger {
            if let Some(found) = (0..self.space.geometry.chunks).find_map(|chunk| by(self, chunk, class)) {
                return Some(found);
            }
            larger = class.larger(self.space.geometry.chunk_granules);
        }
        None
    }

    /// Away from a chunk that others take blocks from: two threads that allocate from one chunk wait for each other's
    /// cache lines. To another chunk of the class that is half empty; to a fresh one if there are fewer of those than
    /// arenas.
    fn apart(&mut self, class: Class, from: u32, sharers: impl Fn() -> usize) -> Option<Taken> {
        let chunks = self.space.geometry.chunks;
        let (mut roomy, mut count) = (None, 0);
        for chunk in (1..chunks).map(|step| (from + step) % chunks) {
            if self.space.load(chunk) == Chunk::Cut(class) && self.is_half_clear(chunk, class) {
                count += 1;
                roomy = roomy.or(Some(chunk));
            }
        }
        let fresh = if count < sharers() { self.fresh(class) } else { None };
        fresh.or_else(|| self.by_bits(roomy?, class))
    }

    fn is_half_clear(&self, chunk: u32, class: Class) -> bool {
        let blocks = self.space.per_chunk(class);
        let set: u32 = (0..blocks.div_ceil(64))
            .map(|word| self.space.bitmap(chunk, word).load(Ordering::Relaxed).count_ones())
            .sum();
        set <= blocks / 2
    }

    /// Cuts a free chunk. Blocks of classes from the end, runs from the start: a few small blocks do not cut up the room
    /// for large ones.
    fn fresh(&mut self, class: Class) -> Option<Taken> {
        for chunk in (0..self.space.geometry.chunks).rev() {
            if self.space.load(chunk) == Chunk::Free {
                if self.space.seize(chunk) {
                    return self.cut(chunk, class);
                }
                self.miss = Miss::Moving;
            }
        }
        None
    }

    /// A block of a chunk cut otherwise, or not at all, if none lies in it.
    fn cut_empty(&mut self, chunk: u32, class: Class) -> Option<Taken> {
        let mine = match self.space.load(chunk) {
            Chunk::Free => self.space.seize(chunk) || self.moving(),
            Chunk::Cut(other) => self.empty(chunk, other),
            Chunk::Held { .. } | Chunk::Emptying { .. } => self.moving(),
            Chunk::Run { .. } | Chunk::Body | Chunk::Corrupt => false,
        };
        if mine { self.cut(chunk, class) } else { None }
    }

    /// Notes that the search met a change, and is no more lucky for that.
    pub(super) fn moving(&mut self) -> bool {
        self.miss = Miss::Moving;
        false
    }

    /// Cuts a chunk that this participant holds, and takes a block of it.
    fn cut(&mut self, chunk: u32, class: Class) -> Option<Taken> {
        for word in 0..4 {
            self.space.bitmap(chunk, word).store(0, Ordering::Relaxed);
        }
        self.space.change(chunk, self.space.held(1), Chunk::Cut(class), Ordering::Relaxed);
        let found = self.by_bits(chunk, class);
        if found.is_none() {
            // Others were faster, with all of it.
            self.moving();
        }
        found
    }

    /// A block of a chunk cut to `class`, by its bitmap.
    #[inline]
    fn by_bits(&mut self, chunk: u32, class: Class) -> Option<Taken> {
        let space = self.space;
        if space.chunk(chunk).load(Ordering::Relaxed) != Chunk::Cut(class).to_bits() {
            return None;
        }
        let blocks = space.per_chunk(class);
        for word in 0..blocks.div_ceil(64) {
            let bitmap = space.bitmap(chunk, word);
            let mut seen = bitmap.load(Ordering::Relaxed);
            let mut clear = !seen & u64::MAX >> (64 - (blocks - word * 64).min(64));
            while clear != 0 {
                let bit = clear & clear.wrapping_neg();
                clear ^= bit;
                let before = bitmap.fetch_or(bit, Ordering::Relaxed);
                self.crowd |= before & !seen;
                seen |= bit;
                if before & bit != 0 {
                    continue;
                }
                match self.take(chunk, class, word * 64 + bit.trailing_zeros()) {
                    Met::Taken(taken) => return Some(taken),
                    // The bit was behind; now it is right.
                    Met::NotFree => {}
                    Met::ChunkGone => {
                        bitmap.fetch_and(!bit, Ordering::Relaxed);
                        return None;
                    }
                }
            }
        }
        None
    }

    /// A block of a chunk cut to `class`, by the cells: bits are set in vain when somebody died, or when a chunk was
    /// emptied at the same time.
    fn by_cells(&mut self, chunk: u32, class: Class) -> Option<Taken> {
        let space = self.space;
        if space.load(chunk) != Chunk::Cut(class) {
            return None;
        }
        for slot in 0..space.per_chunk(class) {
            match self.take(chunk, class, slot) {
                Met::Taken(taken) => {
                    space.bitmap(chunk, slot / 64).fetch_or(1 << (slot % 64), Ordering::Relaxed);
                    return Some(taken);
                }
                Met::NotFree => {}
                Met::ChunkGone => return None,
            }
        }
        None
    }

    /// The moment of allocation: the cell goes from free to owned. It counts if the chunk is cut to the class after
    /// that.
    #[inline]
    fn take(&mut self, chunk: u32, class: Class, slot: u32) -> Met {
        let space = self.space;
        let granule = space.granule_at(chunk, class, slot);
        let word = space.cell(granule);
        let bits = word.load(Ordering::Relaxed);
        let old = Cell::from_bits(bits);
        if old.state != State::Free {
            return Met::NotFree;
        }
        let owned = Cell::owned(old.generation, space.me);
        if word.compare_exchange(bits, owned.to_bits(), order::before_fence(), Ordering::Relaxed).is_err() {
            self.moving();
            return Met::NotFree;
        }
        // Whoever empties the chunk sees our cell, or we see that it does. The fence acquires, too: what the last owner of
        // this granule did is over. Acquire of the chunk: in between the chunk may have been
        // cut otherwise and back, and other owners have used these bytes.
        order::folded_fence(Pair::Take);
        let cut = space.chunk(chunk).load(order::after_fence(Pair::Chunk)) == Chunk::Cut(class).to_bits();
        if cut || !order::recheck(Check::ChunkAfterCell) {
            let slot = u16::try_from(slot).unwrap_or(u16::MAX);
            return Met::Taken(Taken { granule, generation: old.generation, extent: Extent::Block { class, slot } });
        }
        // Relaxed, as we accessed nothing: an exchange continues the release sequence of the last owner.
        let (from, to) = (owned.to_bits(), owned.freed().to_bits());
        let _ = word.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        self.moving();
        Met::ChunkGone
    }

    /// Takes a chunk cut to `class` if no block lies in it; this participant then holds it.
    pub(super) fn empty(&mut self, chunk: u32, class: Class) -> bool {
        let space = self.space;
        if !space.looks_empty(chunk, class) {
            return false;
        }
        let (cut, emptying) = (Chunk::Cut(class), Chunk::Emptying { participant: space.me, class });
        if !space.change(chunk, cut, emptying, order::before_fence()) {
            return self.moving();
        }
        // Allocators see that the chunk is not cut, or we see their cells. The fence acquires, too: what owners before the
        // last cutting did is over.
        order::folded_fence(Pair::Retire);
        let is_free = |word: &crate::sync::AtomicU64| {
            Cell::from_bits(word.load(order::after_fence(Pair::Empty))).state == State::Free
        };
        let empty = !order::recheck(Check::CellsAfterChunk) || space.blocks(chunk, class).all(is_free);
        if empty {
            // Release: passes on what the cells told us.
            space.change(chunk, emptying, space.held(1), order::release(Pair::Chunk)) || self.moving()
        } else {
            space.change(chunk, emptying, cut, Ordering::Relaxed);
            self.moving()
        }
    }
}

impl Space<'_> {
    /// Whether no block lies in a chunk cut to `class`, at a glance.
    pub(super) fn looks_empty(self, chunk: u32, class: Class) -> bool {
        self.blocks(chunk, class).all(|word| Cell::from_bits(word.load(Ordering::Relaxed)).state == State::Free)
    }
}
