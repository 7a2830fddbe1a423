//! One block of memory with everything in it.

use crate::arena::Arena;
use crate::error::RegionError;
use crate::flow::FlowControl;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::ring::{Consumer, Part, Producer, RingRef};
use crate::switchboard::{State, Switchboard};
use crate::sync::Ordering;
use crate::trust::sealed::Sealed;
use crate::trust::{Level, Threads, Trust};
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;

/// What a region owns. Rings and slots hold handles, never references to this, so the last clone frees it all.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) memory: Memory,
    pub(crate) layout: Layout,
    /// Which participant this is: 0 to 15. Threads are one participant.
    pub(crate) me: u8,
}

impl Shared {
    /// Copies `source` to the payload bytes at `offset`.
    ///
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: the caller owns the range; until the call ends nobody else reads or writes it.
    pub(crate) unsafe fn write<T: Trust>(&self, offset: u32, source: &[u8]) {
        match <T as Sealed>::LEVEL {
            Level::Hostile => self.memory.write_words(offset, source),
            // SAFETY:
            // - the contract of this function.
            Level::Threads | Level::Crash => unsafe { self.memory.write(offset, source) },
        }
    }

    /// Copies from the payload bytes at `offset` to `target`.
    ///
    /// # Safety
    ///
    /// - Unless `T` is `Hostile`: nobody writes the range until the call ends.
    pub(crate) unsafe fn read<T: Trust>(&self, offset: u32, target: &mut [u8]) {
        match <T as Sealed>::LEVEL {
            Level::Hostile => self.memory.read_words(offset, target),
            // SAFETY:
            // - the contract of this function.
            Level::Threads | Level::Crash => unsafe { self.memory.read(offset, target) },
        }
    }
}

/// A region of shared memory. Clones are cheap and name the same memory; whatever is made from a region keeps it alive.
///
/// # Examples
///
/// ```
/// use inos_sab::{Layout, Region, RegionError, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let producer = region.inbox_producer()?;
/// assert_eq!(region.inbox_producer().unwrap_err(), RegionError::RoleHeld); // one at a time
/// drop(producer);
/// assert!(region.inbox_producer().is_ok());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Region<T: Trust> {
    shared: Arc<Shared>,
    trust: PhantomData<T>,
}

impl Region<Threads> {
    /// A new region from the allocator. The section in front of the switchboard is not allocated; offsets keep their
    /// values.
    ///
    /// # Errors
    ///
    /// [`RegionError::OutOfMemory`].
    pub fn heap(layout: &Layout) -> Result<Self, RegionError> {
        let shared = Arc::new(Shared { memory: Memory::heap(layout)?, layout: *layout, me: 0 });
        for part in [Part::inbox(layout), Part::outbox(layout)] {
            part.initialise(&shared);
        }
        Switchboard::<Threads>::initialise(&shared);
        Ok(Self { shared, trust: PhantomData })
    }
}

impl<T: Trust> Region<T> {
    /// The layout it was made with.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// The writing end of the inbox (kernel to module).
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives.
    pub fn inbox_producer(&self) -> Result<Producer<T>, RegionError> {
        Producer::new(self.inbox(), self.arena())
    }

    /// The reading end of the inbox.
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives.
    pub fn inbox_consumer(&self) -> Result<Consumer<T>, RegionError> {
        Consumer::new(self.inbox(), self.arena())
    }

    /// The writing end of the outbox (module to kernel).
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives.
    pub fn outbox_producer(&self) -> Result<Producer<T>, RegionError> {
        Producer::new(self.outbox(), self.arena())
    }

    /// The reading end of the outbox.
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives.
    pub fn outbox_consumer(&self) -> Result<Consumer<T>, RegionError> {
        Consumer::new(self.outbox(), self.arena())
    }

    /// The inbox's backlog, for anybody to look at.
    #[must_use]
    pub fn inbox_flow(&self) -> FlowControl {
        FlowControl::new(self.inbox())
    }

    /// The outbox's backlog, for anybody to look at.
    #[must_use]
    pub fn outbox_flow(&self) -> FlowControl {
        FlowControl::new(self.outbox())
    }

    /// The arena. Each thread does best with an [`Arena`] of its own.
    #[must_use]
    pub fn arena(&self) -> Arena<T> {
        Arena::new(Arc::clone(&self.shared))
    }

    /// Events and manifest slots.
    #[must_use]
    pub fn switchboard(&self) -> Switchboard<T> {
        Switchboard::new(Arc::clone(&self.shared), self.arena())
    }

    fn inbox(&self) -> RingRef {
        RingRef::new(Arc::clone(&self.shared), Part::inbox(&self.shared.layout))
    }

    fn outbox(&self) -> RingRef {
        RingRef::new(Arc::clone(&self.shared), Part::outbox(&self.shared.layout))
    }

    /// The state word.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_word(self.shared.memory.u32(self.shared.layout.switchboard().offset + 0x0C).load(Ordering::Acquire))
    }
}

impl<T: Trust> Clone for Region<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), trust: PhantomData }
    }
}

impl<T: Trust> fmt::Debug for Region<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("state", &self.state()).field("end", &self.shared.layout.end()).finish()
    }
}
