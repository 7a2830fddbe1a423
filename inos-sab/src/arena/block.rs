//! Owning a block and pinning a block.

use super::Local;
use super::cell::{Carrier, Cell, ONE_PIN, State};
use super::handle::Handle;
use super::pins::count_up;
use super::space::{Extent, Side, Space, Taken};
use crate::error::{OutOfRange, Stale};
use crate::region::Shared;
use crate::ring::Kind;
use crate::sync::Ordering;
use crate::sync::order::{self, Pair};
#[cfg(not(inos_loom))]
use crate::trust::Cooperative;
use crate::trust::sealed::Sealed;
use crate::trust::{Level, Threads, Trust};
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;

/// A block's place, once its cell and side word have been checked.
struct Place {
    local: Arc<Local>,
    generation: u64,
    granule: u32,
    len: u32,
    extent: Extent,
    kind: Kind,
}

impl Place {
    fn space(&self) -> Space<'_> {
        self.local.space()
    }

    fn handle(&self) -> Handle {
        self.local.geometry.handle(self.granule, self.generation)
    }

    fn offset(&self) -> u32 {
        self.local.geometry.payload(self.granule)
    }

    fn taken(&self) -> Taken {
        Taken { granule: self.granule, generation: self.generation, extent: self.extent }
    }

    fn side(&self) -> Side {
        Side { len: self.len, kind: self.kind, extent: self.extent }
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
    /// Wraps a block whose cell this thread has just set to owned.
    pub(super) fn adopt(local: Arc<Local>, taken: Taken, len: u32) -> Self {
        let Taken { granule, generation, extent } = taken;
        Self { place: Place { local, generation, granule, len, extent, kind: 0 }, trust: PhantomData }
    }

    /// Takes a block that nobody owns, if its cell is `from`. `pair` names the last one to have a right to it.
    pub(super) fn claim(local: &Arc<Local>, handle: Handle, from: Cell, pair: Pair) -> Result<Self, Stale> {
        let granule = local.geometry.granule_of(handle)?;
        let space = local.space();
        let generation = handle.generation();
        let owned = Cell::owned(generation, space.me);
        let word = space.cell(granule);
        // Acquire pairs with the Release that let the block go, and with those of its last readers.
        if let Err(bits) =
            word.compare_exchange(from.to_bits(), owned.to_bits(), order::acquire(pair), Ordering::Relaxed)
        {
            let cell = Cell::from_bits(bits);
            cell.pinnable(generation)?;
            // Detached. Pinned if that was expected; in a ring or slot, somebody lied.
            let pins = u32::from(cell.who);
            return Err(match (from.state, <T as Sealed>::LEVEL) {
                (State::Detached, Level::Threads) => Stale::Pinned { pins },
                (State::Detached, Level::Crash | Level::Hostile) => Stale::Pinned { pins: pins.count_ones() },
                _ => Stale::Corrupt,
            });
        }
        let Some(Side { len, kind, extent }) = space.describe(granule) else {
            space.replace_owned::<T>(granule, owned, from, Ordering::Relaxed);
            return Err(Stale::Corrupt);
        };
        let place = Place { local: Arc::clone(local), generation, granule, len, extent, kind };
        Ok(Self { place, trust: PhantomData })
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
        // - the cell says owned, and this box, borrowed exclusively, is the owner: nobody else reads or writes.
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

    fn let_go(self, to: Cell) -> Handle {
        let (handle, space) = (self.handle(), self.place.space());
        space.note(self.place.granule, self.place.side());
        let owned = Cell::owned(self.place.generation, space.me);
        // Release: our accesses and the side word come before those of whoever takes it.
        space.replace_owned::<T>(self.place.granule, owned, to, order::release(Pair::LetGo));
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

    /// Notes the kind, for manifests. It travels in the side word.
    pub(crate) fn set_kind(&mut self, kind: Kind) {
        self.place.kind = kind;
    }

    /// The kind noted with the block.
    pub(crate) fn kind(&self) -> Kind {
        self.place.kind
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
        // - the cell says owned, and this box, borrowed exclusively, is the owner: nobody else reads or writes.
        unsafe { self.place.local.shared.memory.slice_mut(self.place.offset(), self.place.len) }
    }
}

impl<T: Trust> Drop for ArenaBox<T> {
    fn drop(&mut self) {
        self.place.space().free::<T>(self.place.taken());
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
        let granule = local.geometry.granule_of(handle)?;
        let (space, generation) = (local.space(), handle.generation());
        match <T as Sealed>::LEVEL {
            Level::Threads => count_up(space.cell(granule), generation)?,
            Level::Crash | Level::Hostile => {
                local.shared.pins.pin(granule, space.cell(granule), generation, space.me)?;
            }
        }
        let Some(Side { len, kind, extent }) = space.describe(granule) else {
            unpin::<T>(local, granule);
            return Err(Stale::Corrupt);
        };
        let place = Place { local: Arc::clone(local), generation, granule, len, extent, kind };
        Ok(Self { place, trust: PhantomData })
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
        unpin::<T>(&self.place.local, self.place.granule);
    }
}

/// Takes a pin away. Release pairs with the Acquire of the next owner: our reads are over.
fn unpin<T: Trust>(local: &Local, granule: u32) {
    let (word, me) = (local.space().cell(granule), local.shared.me);
    match <T as Sealed>::LEVEL {
        Level::Threads => {
            word.fetch_sub(ONE_PIN, order::release(Pair::Unpin));
        }
        Level::Crash | Level::Hostile => local.shared.pins.unpin(granule, word, me),
    }
}

impl<T: Trust> fmt::Debug for ArenaRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt("ArenaRef", f)
    }
}
