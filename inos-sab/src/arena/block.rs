//! Owning a block, pinning a block, and the number that names a block.

use super::Local;
use super::cell::{Carrier, Cell, GENERATION_BITS, ONE_PIN, PIN_LIMIT, State};
use super::space::Space;
use crate::error::{OutOfRange, Stale};
use crate::layout::GRANULE_BYTES;
use crate::region::Shared;
use crate::ring::Kind;
use crate::sync::Ordering;
use crate::trust::{Cooperative, Threads, Trust};
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU64;

/// Names a block: `{ granule: 20, generation: 44 }`, the granule counted from the start of the arena, where metadata
/// lies; so zero names nothing. It is a number: copying it gives no access and dropping it frees nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// The number, as it stands in rings and manifests.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// A handle from its number; `None` for 0. Any other number is safe to try: at worst it is [`Stale`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// Where the block starts, in bytes from the start of the arena.
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.0.get() >> GENERATION_BITS) * GRANULE_BYTES as u64
    }

    /// How often the block's first granule was freed before.
    #[must_use]
    pub const fn generation(self) -> u64 {
        self.0.get() & ((1 << GENERATION_BITS) - 1)
    }

    /// The granule, counted from the first payload byte, if there is such a one.
    fn granule(self, shared: &Shared) -> Result<u32, Stale> {
        let granule = (self.0.get() >> GENERATION_BITS).checked_sub(metadata_granules(shared)).ok_or(Stale::Freed)?;
        let granule = u32::try_from(granule).map_err(|_| Stale::Freed)?;
        if granule < Space::new(shared).granule_count() { Ok(granule) } else { Err(Stale::Freed) }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:#x}, generation {})", self.offset(), self.generation())
    }
}

fn metadata_granules(shared: &Shared) -> u64 {
    u64::from((shared.layout.arena_data() - shared.layout.arena().offset) / GRANULE_BYTES)
}

/// A block's place, once its cell has been checked.
struct Place {
    local: Arc<Local>,
    granule: u32,
    generation: u64,
    len: u32,
}

impl Place {
    fn space(&self) -> Space<'_> {
        Space::new(&self.local.shared)
    }

    fn handle(&self) -> Handle {
        let granule = u64::from(self.granule) + metadata_granules(&self.local.shared);
        let bits = granule << GENERATION_BITS | self.generation;
        Handle(NonZeroU64::new(bits).expect("metadata lies in front of every block"))
    }

    fn offset(&self) -> u32 {
        self.local.shared.layout.arena_data() + self.granule * GRANULE_BYTES
    }

    fn read<T: Trust>(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, target.len(), self.len)?;
        // SAFETY:
        // - the caller owns or pins the block, so nobody else writes it; a caller that owns it is borrowed meanwhile.
        unsafe { self.local.shared.read::<T>(self.offset() + offset, target) };
        Ok(())
    }

    #[cfg(not(inos_loom))]
    fn slice(&self) -> &[u8] {
        // SAFETY:
        // - the caller owns or pins the block, so nobody else writes it; a caller that owns it is borrowed meanwhile.
        unsafe { self.local.shared.memory.slice(self.offset(), self.len) }
    }

    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name).field("handle", &self.handle()).field("len", &self.len).finish_non_exhaustive()
    }
}

/// The one owner of a block. Dropping it frees the block, on any thread.
pub struct ArenaBox<T: Trust = Threads> {
    place: Place,
    trust: PhantomData<T>,
}

impl<T: Trust> ArenaBox<T> {
    /// Wraps a block whose cell this thread has just set to `Owned`.
    pub(super) fn adopt(local: Arc<Local>, granule: u32, len: u32) -> Self {
        let space = Space::new(&local.shared);
        let generation = Cell::from_bits(space.cell(granule).load(Ordering::Relaxed)).generation;
        space.side(granule).store(u64::from(len), Ordering::Relaxed);
        Self { place: Place { local, granule, generation, len }, trust: PhantomData }
    }

    /// Takes a block that nobody owns, if its cell is `from`.
    pub(super) fn claim(local: &Arc<Local>, handle: Handle, from: Cell) -> Result<Self, Stale> {
        let granule = handle.granule(&local.shared)?;
        let space = Space::new(&local.shared);
        let generation = handle.generation();
        let (old, new) = (from.to_bits(), Cell::owned(generation, local.shared.me).to_bits());
        // Acquire pairs with the Release that let the block go, and with those of its last readers.
        match space.cell(granule).compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {}
            Err(bits) => {
                let cell = Cell::from_bits(bits);
                return Err(match cell.state {
                    _ if cell.generation != generation => Stale::Freed,
                    State::Free => Stale::Freed,
                    State::Detached => Stale::Pinned { pins: u32::from(cell.who) },
                    State::Owned | State::InFlight | State::Corrupt => Stale::Owned,
                });
            }
        }
        let len = len_of(space.side(granule).load(Ordering::Relaxed));
        Ok(Self { place: Place { local: Arc::clone(local), granule, generation, len }, trust: PhantomData })
    }

    /// Bytes asked for.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.place.len
    }

    /// Whether it was asked for with no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.place.len == 0
    }

    /// The number of this block. While the box lives it resolves to [`Stale::Owned`].
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.place.handle()
    }

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the block.
    pub fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, bytes.len(), self.place.len)?;
        // SAFETY:
        // - the cell says `Owned`, and this box, borrowed exclusively, is the owner: nobody else reads or writes.
        unsafe { self.place.local.shared.write::<T>(self.place.offset() + offset, bytes) };
        Ok(())
    }

    /// Copies `target.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the block.
    pub fn read_at(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        self.place.read::<T>(offset, target)
    }

    /// Lets the block go without freeing it. Anybody may now [`resolve`](super::Arena::resolve) the handle to read, and
    /// one caller may [`claim_handle`](super::Arena::claim_handle) it. A block that nobody claims stays until the region
    /// ends.
    #[must_use]
    pub fn into_handle(self) -> Handle {
        let cell = Cell::detached(self.place.generation);
        self.let_go(cell)
    }

    /// Lets the block go into a ring or slot.
    pub(crate) fn into_flight(self, carrier: Carrier) -> Handle {
        let cell = Cell::in_flight(self.place.generation, carrier);
        self.let_go(cell)
    }

    fn let_go(self, cell: Cell) -> Handle {
        let handle = self.handle();
        // Nobody else changes the cell of an owned block, so a store is enough. Release: our accesses come before those
        // of whoever takes it.
        self.place.space().cell(self.place.granule).store(cell.to_bits(), Ordering::Release);
        self.forget();
        handle
    }

    /// Gives up the box without freeing the block.
    fn forget(self) {
        let this = core::mem::ManuallyDrop::new(self);
        let place: *const Place = &raw const this.place;
        // SAFETY:
        // - `this` is never dropped nor used again, so `place` is moved out once;
        // - the pointer comes from a live, aligned, initialised field.
        drop(unsafe { place.read() });
    }

    pub(crate) fn is_of(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.place.local.shared, shared)
    }

    /// Notes the kind out of line, for manifests.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        let side = u64::from(kind) << 32 | u64::from(self.place.len);
        self.place.space().side(self.place.granule).store(side, Ordering::Relaxed);
    }

    /// The kind noted with the block.
    pub(crate) fn kind(&self) -> Kind {
        let side = self.place.space().side(self.place.granule).load(Ordering::Relaxed);
        Kind::try_from(side >> 32 & 0xFFFF).unwrap_or(0)
    }
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> ArenaBox<T> {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.place.slice()
    }

    /// The bytes, to be written.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY:
        // - the cell says `Owned`, and this box, borrowed exclusively, is the owner: nobody else reads or writes.
        unsafe { self.place.local.shared.memory.slice_mut(self.place.offset(), self.place.len) }
    }
}

impl<T: Trust> Drop for ArenaBox<T> {
    fn drop(&mut self) {
        let space = self.place.space();
        let old = Cell::owned(self.place.generation, self.place.local.shared.me);
        let new = old.freed();
        // The moment of freeing. Release: our accesses come before those of the next owner.
        let freed = space.cell(self.place.granule).compare_exchange(
            old.to_bits(),
            new.to_bits(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        debug_assert!(freed.is_ok(), "nobody else changes the cell of an owned block");
        if freed.is_ok() {
            space.release(self.place.granule, self.place.len);
        }
    }
}

impl<T: Trust> fmt::Debug for ArenaBox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt("ArenaBox", f)
    }
}

/// A pin: while it lives, the block stays as it is.
pub struct ArenaRef<T: Trust = Threads> {
    place: Place,
    trust: PhantomData<T>,
}

impl<T: Trust> ArenaRef<T> {
    pub(super) fn pin(local: &Arc<Local>, handle: Handle) -> Result<Self, Stale> {
        let granule = handle.granule(&local.shared)?;
        let generation = handle.generation();
        let word = Space::new(&local.shared).cell(granule);
        let mut bits = word.load(Ordering::Relaxed);
        loop {
            let cell = Cell::from_bits(bits);
            match cell.state {
                _ if cell.generation != generation => return Err(Stale::Freed),
                State::Free => return Err(Stale::Freed),
                State::Owned | State::InFlight | State::Corrupt => return Err(Stale::Owned),
                State::Detached if cell.who == PIN_LIMIT => return Err(Stale::PinLimit),
                State::Detached => {}
            }
            // Acquire pairs with the Release that let the block go; later pins continue its release sequence.
            match word.compare_exchange_weak(bits, bits + ONE_PIN, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => bits = now,
            }
        }
        let len = len_of(Space::new(&local.shared).side(granule).load(Ordering::Relaxed));
        Ok(Self { place: Place { local: Arc::clone(local), granule, generation, len }, trust: PhantomData })
    }

    /// Bytes of the block.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.place.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.place.len == 0
    }

    /// The number of this block.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.place.handle()
    }

    /// Copies `target.len()` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if they are not all within the block.
    pub fn read_at(&self, offset: u32, target: &mut [u8]) -> Result<(), OutOfRange> {
        self.place.read::<T>(offset, target)
    }
}

#[cfg(not(inos_loom))]
impl<T: Cooperative> ArenaRef<T> {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.place.slice()
    }
}

impl<T: Trust> Drop for ArenaRef<T> {
    fn drop(&mut self) {
        // Release pairs with the Acquire of the next owner: our reads are over.
        self.place.space().cell(self.place.granule).fetch_sub(ONE_PIN, Ordering::Release);
    }
}

impl<T: Trust> fmt::Debug for ArenaRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt("ArenaRef", f)
    }
}

fn len_of(side: u64) -> u32 {
    u32::try_from(side & u64::from(u32::MAX)).unwrap_or(0)
}
