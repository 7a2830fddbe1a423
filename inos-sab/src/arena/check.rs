//! Whether the arena's words agree with each other.

use super::cell::{Carrier, Cell, State};
use super::chunk::Chunk;
use super::class::Class;
use super::space::Space;
use crate::sync::Ordering;

/// Participants have numbers below this.
const PARTICIPANTS: u16 = 16;

/// What a look at every word of the arena found. Only of a region in which nothing moves is it the truth.
///
/// # Examples
///
/// ```
/// use inos_sab::{Layout, Region, Threads};
///
/// let arena = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?.arena();
/// let block = arena.alloc(300)?;
/// let check = arena.check();
/// assert!(check.is_clean());
/// assert_eq!((check.owned, check.first_fault), (1, None));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArenaCheck {
    /// Chunks nothing lies in: never cut, given back, or cut with all blocks free.
    pub free_chunks: u32,
    /// Blocks with an owner.
    pub owned: u32,
    /// Blocks in a ring or slot.
    pub in_flight: u32,
    /// Blocks that were let go.
    pub detached: u32,
    /// Of `detached`: those that are pinned.
    pub pinned: u32,
    /// Bits of bitmaps that are not as the cells are. Legal: they are hints.
    pub stale_hints: u32,
    /// Words that contradict others, or that no participant leaves behind when it is not at work. 0 if all is well.
    pub faults: u32,
    /// Where the first of them is.
    pub first_fault: Option<ArenaFault>,
}

/// A contradiction in the arena's metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArenaFault {
    /// A chunk's word means nothing, or a run's chunks do not follow it.
    Chunk {
        /// Which chunk.
        chunk: u32,
        /// Its word.
        word: u64,
    },
    /// Somebody holds the chunk, or is emptying it: at work, or dead and not recovered.
    Unfinished {
        /// Which chunk.
        chunk: u32,
        /// Who.
        participant: u8,
    },
    /// A cell's word means nothing, or says that a block lies where none can, or that none lies where one has to.
    Cell {
        /// Which granule, counted from the first payload byte.
        granule: u32,
        /// Its word.
        word: u64,
    },
}

impl ArenaCheck {
    /// Whether nothing contradicts anything.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.faults == 0
    }

    fn fault(&mut self, fault: ArenaFault) {
        self.faults += 1;
        self.first_fault.get_or_insert(fault);
    }

    /// Counts the block of a cell; whether there is one.
    fn count(&mut self, space: &Space<'_>, granule: u32) -> bool {
        let word = space.cell(granule).load(Ordering::Acquire);
        let cell = Cell::from_bits(word);
        let sound = match cell.state {
            State::Free => cell.who == 0,
            State::Owned => cell.who < PARTICIPANTS,
            State::InFlight => Carrier::from_who(cell.who).is_some(),
            State::Detached => true,
            State::Corrupt => false,
        };
        match cell.state {
            State::Owned => self.owned += 1,
            State::InFlight => self.in_flight += 1,
            State::Detached => {
                self.detached += 1;
                self.pinned += u32::from(cell.who != 0);
            }
            State::Free | State::Corrupt => {}
        }
        if !sound {
            self.fault(ArenaFault::Cell { granule, word });
        }
        cell.state != State::Free
    }

    /// Granules at which no block can start.
    fn barren(&mut self, space: &Space<'_>, granules: impl Iterator<Item = u32>) {
        for granule in granules {
            let word = space.cell(granule).load(Ordering::Acquire);
            let cell = Cell::from_bits(word);
            if cell.state != State::Free || cell.who != 0 {
                self.fault(ArenaFault::Cell { granule, word });
            }
        }
    }

    fn blocks(&mut self, space: &Space<'_>, chunk: u32, class: Class) {
        let first = space.granule_at(chunk, class, 0);
        let mut live = 0;
        for slot in 0..space.per_chunk(class) {
            let start = space.granule_at(chunk, class, slot);
            let taken = self.count(space, start);
            live += u32::from(taken);
            let bit = space.bitmap(chunk, slot / 64).load(Ordering::Relaxed) >> (slot % 64) & 1;
            self.stale_hints += u32::from((bit == 1) != taken);
            self.barren(space, start + 1..start + class.granules());
        }
        self.free_chunks += u32::from(live == 0);
        let used = space.per_chunk(class) * class.granules();
        self.barren(space, first + used..first + space.geometry.chunk_granules);
    }
}

impl Space<'_> {
    /// Reads every word once.
    pub(super) fn check(self) -> ArenaCheck {
        let mut check = ArenaCheck::default();
        let (chunks, chunk_granules) = (self.geometry.chunks, self.geometry.chunk_granules);
        // Bodies that the run in front of them still has to have.
        let mut bodies = 0;
        for chunk in 0..chunks {
            let word = self.chunk(chunk).load(Ordering::Acquire);
            let seen = Chunk::from_bits(word);
            if (seen == Chunk::Body) != (bodies > 0) {
                check.fault(ArenaFault::Chunk { chunk, word });
            }
            bodies = if seen == Chunk::Body { u32::saturating_sub(bodies, 1) } else { 0 };
            let first = chunk * chunk_granules;
            let mut barren = first..first + chunk_granules;
            match seen {
                Chunk::Cut(class) if class.granules() <= chunk_granules / 2 => {
                    check.blocks(&self, chunk, class);
                    continue;
                }
                Chunk::Free => check.free_chunks += 1,
                Chunk::Run { count } => {
                    if !(1..=chunks - chunk).contains(&count) {
                        check.fault(ArenaFault::Chunk { chunk, word });
                    }
                    bodies = count.saturating_sub(1).min(chunks - chunk - 1);
                    if !check.count(&self, first) {
                        let word = self.cell(first).load(Ordering::Relaxed);
                        check.fault(ArenaFault::Cell { granule: first, word });
                    }
                    barren.start += 1;
                }
                Chunk::Body => {}
                Chunk::Held { participant, .. } | Chunk::Emptying { participant, .. } => {
                    check.fault(ArenaFault::Unfinished { chunk, participant });
                }
                Chunk::Cut(_) | Chunk::Corrupt => check.fault(ArenaFault::Chunk { chunk, word }),
            }
            check.barren(&self, barren);
        }
        if bodies > 0 {
            check.fault(ArenaFault::Chunk { chunk: chunks, word: 0 });
        }
        check
    }
}
