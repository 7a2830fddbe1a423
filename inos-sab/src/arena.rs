//! Blocks of any size in shared memory, given and taken back without locks.
//!
//! Two levels: a *chunk* is free, part of a run of chunks that is one large block, or cut into blocks of one size class.
//! Each block has a *cell* with its state and generation, which alone says whether the block exists; everything else is
//! room for it, or a hint. `docs/memory-model.md` has the argument in full.

mod block;
mod cell;
mod check;
mod chunk;
mod class;
mod handle;
mod pins;
pub(crate) mod recovery;
mod run;
mod small;
mod space;
mod stats;

pub use block::{ArenaBox, ArenaRef};
pub(crate) use cell::Carrier;
pub use check::{ArenaCheck, ArenaFault};
pub use handle::Handle;
pub(crate) use pins::Pins;
pub use stats::{ArenaStats, ClassStats};

use crate::error::{AllocError, Stale};
use crate::layout::Layout;
use crate::memory::Memory;
use crate::region::Shared;
use crate::sync::hint::{Hint, pause};
use crate::sync::order::Pair;
use crate::trust::{Threads, Trust};
use alloc::sync::Arc;
use cell::Cell;
use class::{CLASS_COUNT, Class};
use core::fmt;
use core::marker::PhantomData;
use small::{Miss, Search};
use space::{Geometry, Space};

/// Searches before an allocation gives up on space that others keep moving.
const TRIES: u32 = if cfg!(inos_loom) { 1 } else { 16 };

/// Sets generations to the layout's start. Nobody else knows the region yet.
pub(crate) fn initialise(memory: &Memory, layout: &Layout) {
    if layout.start() != 0 {
        Geometry::new(layout).start_at(memory, layout.start());
    }
}

/// What an [`Arena`] and the blocks it gave share. One per `Arena`, so that threads with an arena each do not count
/// references in the same cache line.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    geometry: Geometry,
    /// Per class where the last block was found.
    hints: [Hint; CLASS_COUNT],
}

impl Local {
    fn space(&self) -> Space<'_> {
        Space { memory: &self.shared.memory, geometry: self.geometry, me: self.shared.me }
    }
}

/// Gives blocks. A clone names the same memory and remembers for itself where it found room: give each thread its own.
///
/// # Examples
///
/// ```
/// use inos_sab::{AllocError, Layout, Region, Stale, Threads};
///
/// let arena = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?.arena();
/// let mut block = arena.alloc(100_000)?;
/// block.as_mut_slice().fill(7);
///
/// // A handle can be copied and sent as a number; it owns nothing.
/// let handle = block.into_handle();
/// let reader = arena.resolve(handle)?;
/// assert_eq!(reader.as_slice()[99_999], 7);
/// assert_eq!(arena.claim_handle(handle).unwrap_err(), Stale::Pinned { pins: 1 });
/// drop(reader);
/// drop(arena.claim_handle(handle)?); // owned again, and freed
/// assert_eq!(arena.resolve(handle).unwrap_err(), Stale::Freed);
///
/// assert!(matches!(arena.alloc(2_000_000), Err(AllocError::TooLarge { .. })));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Arena<T: Trust = Threads> {
    local: Arc<Local>,
    trust: PhantomData<T>,
}

impl<T: Trust> Arena<T> {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (geometry, hints) = (Geometry::new(&shared.layout), [const { Hint::new() }; CLASS_COUNT]);
        Self { local: Arc::new(Local { shared, geometry, hints }), trust: PhantomData }
    }

    /// A block of `len` bytes. Its content is whatever was there before; fresh memory is zero.
    ///
    /// Up to half a chunk, the block takes the next size class (at most 256 bytes or 51 % more than `len`), or a larger
    /// one when no chunk is left to cut; above, whole chunks. An empty block takes one granule. A few atomic operations
    /// for a class, three per chunk for a run, after a search of at most all chunks; only a search that finds little goes
    /// by all cells, 25 times at most.
    ///
    /// # Errors
    ///
    /// [`AllocError::TooLarge`] if the empty arena could not; [`AllocError::Exhausted`] with the largest free block;
    /// [`AllocError::Contended`] if others were changing the space that was looked at, or died while they did.
    pub fn alloc(&self, len: u32) -> Result<ArenaBox<T>, AllocError> {
        let max = self.max_block_len();
        if len > max {
            return Err(AllocError::TooLarge { requested: u64::from(len), max });
        }
        let (local, space) = (&self.local, self.local.space());
        let class = Class::for_len(len, space.geometry.chunk_granules);
        for _ in 0..TRIES {
            let mut search = Search::new(space);
            let found = match class {
                Some(class) => {
                    // At least one per arena; others of the region count, too, and do no harm.
                    search.small(class, &local.hints[class.index()], || Arc::strong_count(&local.shared))
                }
                None => search.run(len.div_ceil(space.geometry.chunk_bytes())),
            };
            if let Some(taken) = found {
                return Ok(ArenaBox::adopt(Arc::clone(local), taken, len));
            }
            if search.miss == Miss::Nothing {
                // Room may have come free behind the search, or been cut after it looked for cut chunks.
                let survey = space.survey();
                if survey.changing_chunks == 0 && survey.largest_free < len.max(1) {
                    return Err(AllocError::Exhausted { requested: len, largest_free: survey.largest_free });
                }
            }
            pause();
        }
        Err(AllocError::Contended { requested: len, largest_free: self.largest_free(), tries: TRIES })
    }

    /// Takes ownership of a block that [`ArenaBox::into_handle`] let go. Of many callers one succeeds.
    ///
    /// # Errors
    ///
    /// [`Stale::Freed`], [`Stale::Owned`], [`Stale::Pinned`] or [`Stale::Corrupt`].
    pub fn claim_handle(&self, handle: Handle) -> Result<ArenaBox<T>, Stale> {
        ArenaBox::claim(&self.local, handle, Cell::detached(handle.generation()), Pair::Unpin)
    }

    /// Pins a block that [`ArenaBox::into_handle`] let go, to read it. Nobody can own or free it while pinned.
    ///
    /// # Errors
    ///
    /// [`Stale::Freed`], [`Stale::Owned`], [`Stale::PinLimit`], [`Stale::Contended`] or [`Stale::Corrupt`].
    pub fn resolve(&self, handle: Handle) -> Result<ArenaRef<T>, Stale> {
        ArenaRef::pin(&self.local, handle)
    }

    /// Takes ownership of a block that `carrier` carries.
    pub(crate) fn land(&self, handle: Handle, carrier: Carrier) -> Result<ArenaBox<T>, Stale> {
        ArenaBox::claim(&self.local, handle, Cell::in_flight(handle.generation(), carrier), Pair::LetGo)
    }

    /// Longest block that could be given now, in bytes; with others at work, a moment ago. Looks at every chunk and cell.
    #[must_use]
    pub fn largest_free(&self) -> u32 {
        self.local.space().survey().largest_free
    }

    /// Longest block of the empty arena, in bytes.
    #[must_use]
    pub fn max_block_len(&self) -> u32 {
        self.local.shared.layout.max_block_len()
    }

    /// Chunks that nothing lies in, a moment ago. Looks at every chunk and cell.
    #[must_use]
    pub fn free_chunks(&self) -> u32 {
        self.local.space().survey().free_chunks
    }

    /// Whether the arena's words agree with each other, for tests and after a recovery. Means something only while nobody
    /// else uses the arena. Looks at every word of its metadata.
    #[must_use]
    pub fn check(&self) -> ArenaCheck {
        self.local.space().check()
    }

    /// What lies in the arena. Looks at every chunk and cell.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        self.local.space().stats()
    }
}

impl<T: Trust> Clone for Arena<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.local.shared))
    }
}

impl<T: Trust> fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("max_block_len", &self.max_block_len()).finish_non_exhaustive()
    }
}
