//! Blocks of any size in shared memory, given and taken back without locks.
//!
//! Two levels: a *chunk* is free, part of a run of chunks that is one large block, or cut into blocks of one size class.
//! Each block has a *cell* with its state and generation. `docs/memory-model.md` has the argument in full.

mod block;
mod cell;
mod class;
mod space;

pub use block::{ArenaBox, ArenaRef, Handle};
pub(crate) use cell::Carrier;

use crate::error::{AllocError, Stale};
use crate::region::Shared;
use crate::sync::hint::Hint;
use crate::trust::{Threads, Trust};
use alloc::sync::Arc;
use cell::Cell;
use class::CLASS_COUNT;
use core::fmt;
use core::marker::PhantomData;
use space::Space;

/// Searches before an allocation gives up on space that others keep moving.
const TRIES: u32 = if cfg!(inos_loom) { 1 } else { 16 };

/// What an [`Arena`] and the blocks it gave share. One per `Arena`, so that threads with an arena each do not count
/// references in the same cache line.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) shared: Arc<Shared>,
    /// Per class the chunk that gave the last block.
    hints: [Hint; CLASS_COUNT],
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
        Self { local: Arc::new(Local { shared, hints: [const { Hint::new() }; CLASS_COUNT] }), trust: PhantomData }
    }

    /// A block of `len` bytes. Its content is whatever was there before; fresh memory is zero.
    ///
    /// Up to half a chunk, the block takes the next size class (at most 256 bytes or 51 % more than `len`), or a larger
    /// one when no chunk is left to cut; above, whole chunks. An empty block takes one granule. A few atomic operations
    /// for a class, two per chunk for a run, after a search of at most all chunks.
    ///
    /// # Errors
    ///
    /// [`AllocError::TooLarge`] if the empty arena could not; [`AllocError::Exhausted`] with the largest free block;
    /// [`AllocError::Contended`] if other threads were changing the space that was looked at.
    pub fn alloc(&self, len: u32) -> Result<ArenaBox<T>, AllocError> {
        let space = self.space();
        let max = self.local.shared.layout.max_block_len();
        if len > max {
            return Err(AllocError::TooLarge { requested: u64::from(len), max });
        }
        for _ in 0..TRIES {
            match space.alloc(len, &self.local.hints) {
                Ok(granule) => return Ok(ArenaBox::adopt(Arc::clone(&self.local), granule, len)),
                Err(space::Miss::Nothing) => {
                    // Room may have come free behind the search, or been cut after it looked for cut chunks.
                    let largest_free = space.largest_free();
                    if largest_free < len.max(1) {
                        return Err(AllocError::Exhausted { requested: len, largest_free });
                    }
                }
                Err(space::Miss::Moving) => {}
            }
            core::hint::spin_loop();
        }
        Err(AllocError::Contended { requested: len, largest_free: space.largest_free(), tries: TRIES })
    }

    /// Takes ownership of a block that [`ArenaBox::into_handle`] let go. Of many callers one succeeds.
    ///
    /// # Errors
    ///
    /// [`Stale::Freed`], [`Stale::Owned`] or [`Stale::Pinned`].
    pub fn claim_handle(&self, handle: Handle) -> Result<ArenaBox<T>, Stale> {
        ArenaBox::claim(&self.local, handle, Cell::detached(handle.generation()))
    }

    /// Pins a block that [`ArenaBox::into_handle`] let go, to read it. Nobody can own or free it while pinned.
    ///
    /// # Errors
    ///
    /// [`Stale::Freed`], [`Stale::Owned`] or [`Stale::PinLimit`].
    pub fn resolve(&self, handle: Handle) -> Result<ArenaRef<T>, Stale> {
        ArenaRef::pin(&self.local, handle)
    }

    /// Takes ownership of a block that `carrier` carries.
    pub(crate) fn land(&self, handle: Handle, carrier: Carrier) -> Result<ArenaBox<T>, Stale> {
        ArenaBox::claim(&self.local, handle, Cell::in_flight(handle.generation(), carrier))
    }

    /// Longest block that could be given now, in bytes; with other threads at work, a moment ago.
    #[must_use]
    pub fn largest_free(&self) -> u32 {
        self.space().largest_free()
    }

    /// Longest block of the empty arena, in bytes.
    #[must_use]
    pub fn max_block_len(&self) -> u32 {
        self.local.shared.layout.max_block_len()
    }

    /// Chunks that nothing lies in, a moment ago.
    #[must_use]
    pub fn free_chunks(&self) -> u32 {
        self.space().free_chunks()
    }

    fn space(&self) -> Space<'_> {
        Space::new(&self.local.shared)
    }
}

impl<T: Trust> Clone for Arena<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.local.shared))
    }
}

impl<T: Trust> fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("free_chunks", &self.free_chunks()).finish_non_exhaustive()
    }
}
