//! One block of memory with everything in it.

#[cfg(all(not(inos_loom), feature = "std", target_os = "linux"))]
mod file;
#[cfg(all(test, inos_loom))]
mod model;
#[cfg(not(inos_loom))]
mod raw;
mod shared;
mod superblock;

pub(crate) use shared::Shared;

use crate::arena::Arena;
use crate::error::RegionError;
use crate::flow::FlowControl;
use crate::layout::Layout;
use crate::memory::Memory;
use crate::participant::{Participant, PeerId};
use crate::ring::{Consumer, Part, Producer, RingRef};
use crate::switchboard::{State, Switchboard};
use crate::trust::{Level, Threads, Trust};
use alloc::sync::Arc;
use core::fmt;
use core::marker::PhantomData;

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
    pub(crate) shared: Arc<Shared>,
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
        let memory = Memory::heap(layout)?;
        superblock::initialise(&memory, layout);
        Ok(Self::from_shared(Shared::new(memory, *layout, Level::Threads, Participant::threads())))
    }
}

impl<T: Trust> Region<T> {
    fn from_shared(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), trust: PhantomData }
    }

    /// This attachment's number among the participants. Threads are one participant, number 0.
    #[must_use]
    pub fn id(&self) -> PeerId {
        PeerId::new(self.shared.me)
    }

    /// Says that this participant makes progress, so that no other calls it stalled. Waits say it too.
    pub fn beat(&self) {
        self.shared.beat();
    }

    /// The layout it was made with.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// The writing end of the inbox (kernel to module).
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives; [`RegionError::Forked`] in a child of the process that attached.
    pub fn inbox_producer(&self) -> Result<Producer<T>, RegionError> {
        self.shared.check_process()?;
        Producer::new(self.inbox(), self.arena())
    }

    /// The reading end of the inbox.
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives; [`RegionError::Forked`] in a child of the process that attached.
    pub fn inbox_consumer(&self) -> Result<Consumer<T>, RegionError> {
        self.shared.check_process()?;
        Consumer::new(self.inbox(), self.arena())
    }

    /// The writing end of the outbox (module to kernel).
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives; [`RegionError::Forked`] in a child of the process that attached.
    pub fn outbox_producer(&self) -> Result<Producer<T>, RegionError> {
        self.shared.check_process()?;
        Producer::new(self.outbox(), self.arena())
    }

    /// The reading end of the outbox.
    ///
    /// # Errors
    ///
    /// [`RegionError::RoleHeld`] while another one lives; [`RegionError::Forked`] in a child of the process that attached.
    pub fn outbox_consumer(&self) -> Result<Consumer<T>, RegionError> {
        self.shared.check_process()?;
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
        superblock::state(&self.shared.memory, &self.shared.layout)
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

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
