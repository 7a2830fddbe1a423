//! Mutate, signal, react: fifteen manifest slots, three events, one state word.

use crate::arena::{Arena, ArenaBox, Carrier, Handle};
use crate::error::{PushError, Rejected};
use crate::layout::{Layout, SLOT_COUNT};
use crate::memory::Memory;
use crate::region::Shared;
use crate::ring::Kind;
use crate::sync::barrier::Fences;
use crate::sync::bell::{Bell, Manner, Patience, Wake};
use crate::sync::order::{self, Pair};
use crate::sync::{AtomicU64, Ordering};
use crate::trust::sealed::Sealed;
use crate::trust::{Threads, Trust};
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

const SLOTS: u32 = 0x10;
const SLOT_BYTES: u32 = 16;
/// The epoch and the publisher within a slot.
const SLOT_EPOCH: u32 = 8;
const SLOT_OWNER: u32 = 12;
/// Looks at a slot in which others keep publishing.
const TRIES: u32 = 64;
/// Sleepers of different words count on different cache lines.
const SLEEPERS_STRIDE: u32 = 0x40;

/// An event word of the switchboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The kernel changed something.
    Kernel,
    /// A compute module changed something.
    Module,
    /// The host (JavaScript, or the program around it) changed something.
    Host,
}

impl Event {
    /// All of them, in the order of their words.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::Module, Self::Host];

    const fn index(self) -> u32 {
        match self {
            Self::Kernel => 0,
            Self::Module => 1,
            Self::Host => 2,
        }
    }
}

/// What the state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Zeroed or being made.
    Initial,
    /// Ready for use.
    Ready,
    /// Not to be used any more.
    Poisoned,
}

impl State {
    pub(crate) const READY: u32 = 1;

    pub(crate) fn from_word(word: u32) -> Self {
        match word {
            0 => Self::Initial,
            Self::READY => Self::Ready,
            _ => Self::Poisoned,
        }
    }
}

/// One of the fifteen manifest slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// Slot `index`, 0 to 14.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as u32) < SLOT_COUNT { Some(Self(index)) } else { None }
    }

    /// Its number.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    const fn carrier(self) -> Carrier {
        Carrier::Slot(self.0)
    }

    fn offset(self) -> u32 {
        SLOTS + u32::from(self.0) * SLOT_BYTES
    }
}

/// Sets epochs to the layout's start. Nobody else knows the region yet.
pub(crate) fn initialise(memory: &Memory, layout: &Layout) {
    let base = layout.switchboard().offset;
    // The low half is what a counter of 32 bits would show by then.
    let start = u32::try_from(layout.start() & u64::from(u32::MAX)).unwrap_or(0);
    for event in Event::ALL {
        memory.u32(base + event.index() * 4).store(start, Ordering::Relaxed);
    }
    for slot in 0..SLOT_COUNT {
        memory.u32(base + SLOTS + slot * SLOT_BYTES + SLOT_EPOCH).store(start, Ordering::Relaxed);
    }
}

/// Makes the slots of a participant that leaves, or is dead, free for other publishers.
pub(crate) fn vacate(shared: &Shared, participant: u8) {
    let base = shared.layout.switchboard().offset;
    for slot in 0..SLOT_COUNT {
        let owner = shared.memory.u32(base + SLOTS + slot * SLOT_BYTES + SLOT_OWNER);
        // Release: what was taken back is visible to the next publisher.
        let release = order::release(Pair::Role);
        let _ = owner.compare_exchange(u32::from(participant) + 1, 0, release, Ordering::Relaxed);
    }
}

/// Whether the participant publishes in the slot.
pub(crate) fn publishes(shared: &Shared, slot: Slot, participant: u8) -> bool {
    let owner = shared.memory.u32(shared.layout.switchboard().offset + slot.offset() + SLOT_OWNER);
    owner.load(order::acquire(Pair::Role)) == u32::from(participant) + 1
}

/// The handle word of a slot.
pub(crate) fn word(shared: &Shared, slot: Slot) -> &AtomicU64 {
    shared.memory.u64(shared.layout.switchboard().offset + slot.offset())
}

/// Wakes everybody who waits for an event or a slot.
pub(crate) fn ring_all(shared: &Shared) {
    let (base, sleepers) = (shared.layout.switchboard().offset, shared.layout.sleepers().offset);
    for event in Event::ALL {
        let line = event.index();
        Bell { word: base + line * 4, sleepers: sleepers + line * SLEEPERS_STRIDE }.ring(shared);
    }
    for slot in 0..SLOT_COUNT {
        let word = base + SLOTS + slot * SLOT_BYTES + SLOT_EPOCH;
        Bell { word, sleepers: sleepers + 3 * SLEEPERS_STRIDE }.ring(shared);
    }
}

/// Publishes blocks in slots and raises events. Clones name the same words; any thread may use any slot.
///
/// A slot holds the newest block: publishing over one that nobody took hands the older one back. So a slot suits state
/// that a reader wants at its latest (a frame of particles, a configuration), a ring suits messages.
///
/// # Examples
///
/// ```
/// use inos_sab::{Event, Layout, Region, Slot, Threads, Wake};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?;
/// let board = region.switchboard();
/// let slot = Slot::new(3).ok_or("a slot")?;
/// let mut listener = board.listen(Event::Kernel);
///
/// let mut block = region.arena().alloc(4)?;
/// block.write_at(0, b"v1..")?;
/// assert!(board.publish(slot, 7, block)?.is_none());
/// board.raise(Event::Kernel);
///
/// assert_eq!(listener.wait(None), Wake::Ready);
/// let (kind, block) = board.take(slot).ok_or("published above")?;
/// assert_eq!((kind, block.as_slice()), (7, &b"v1.."[..]));
/// assert!(board.take(slot).is_none());
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Switchboard<T: Trust = Threads> {
    shared: Arc<Shared>,
    arena: Arena<T>,
}

impl<T: Trust> Switchboard<T> {
    pub(crate) fn new(shared: Arc<Shared>, arena: Arena<T>) -> Self {
        Self { shared, arena }
    }

    /// Puts a block into a slot in one atomic step and wakes those who listen to the slot. Returns the block that was
    /// there and that nobody had taken. Listeners of events hear of it when the caller [`raise`](Self::raise)s one,
    /// after any number of slots.
    ///
    /// The first to publish in a slot becomes its publisher, until its participant leaves or is recovered; its threads
    /// may all publish there. So a publisher that dies between two steps can only have lost a block of its own slot.
    ///
    /// # Errors
    ///
    /// The block with [`PushError::ForeignBlock`] if it is from another region, [`PushError::SlotHeld`] if another
    /// participant publishes in this slot.
    pub fn publish(
        &self,
        slot: Slot,
        kind: Kind,
        mut block: ArenaBox<T>,
    ) -> Result<Option<ArenaBox<T>>, Rejected<ArenaBox<T>>> {
        if !block.is_of(&self.shared) {
            return Err(Rejected { value: block, reason: PushError::ForeignBlock });
        }
        if let Err(reason) = self.own(slot) {
            return Err(Rejected { value: block, reason });
        }
        block.set_kind(kind);
        let bits = block.into_flight(slot.carrier()).to_bits();
        // Release: whoever finds the handle finds its block in flight. Acquire: we may find the old one's.
        let previous = self.descriptor(slot).swap(bits, order::acq_rel(Pair::Slot));
        self.slot_bell(slot).raise(&self.shared, self.fences());
        Ok(self.land(slot, previous))
    }

    /// Makes this participant the slot's publisher, if there is no other.
    fn own(&self, slot: Slot) -> Result<(), PushError> {
        let word = self.shared.memory.u32(self.base() + slot.offset() + SLOT_OWNER);
        let mine = u32::from(self.shared.me) + 1;
        // Acquire: what the publisher before us left was taken back.
        let taken = word.compare_exchange(0, mine, order::acquire(Pair::Role), Ordering::Relaxed);
        match taken {
            Ok(_) => Ok(()),
            Err(owner) if owner == mine => Ok(()),
            Err(owner) => Err(PushError::SlotHeld { slot: slot.index(), publisher: owner.wrapping_sub(1) }),
        }
    }

    /// Takes the block of a slot. Of many callers one gets it. What a hostile peer put there and is no block in flight
    /// nobody gets; it stays until something is published over it.
    #[must_use]
    pub fn take(&self, slot: Slot) -> Option<(Kind, ArenaBox<T>)> {
        let word = self.descriptor(slot);
        for _ in 0..TRIES {
            let bits = word.load(order::acquire(Pair::Slot));
            // The block first, the slot after: if we die in between, recovery finds the block in our name.
            if let Some(block) = self.land(slot, bits) {
                // Another block may have been published over it meanwhile: then that one stays.
                let _ = word.compare_exchange(bits, 0, Ordering::Relaxed, Ordering::Relaxed);
                return Some((block.kind(), block));
            }
            // Empty, or its block is somebody else's, who is about to empty it.
            if bits == 0 || word.load(Ordering::Relaxed) == bits {
                return None;
            }
        }
        None
    }

    /// Changes an event's epoch and wakes all who wait for it.
    pub fn raise(&self, event: Event) {
        self.event_bell(event).raise(&self.shared, self.fences());
    }

    /// A listener that hears of every later `raise`.
    #[must_use]
    pub fn listen(&self, event: Event) -> Listener {
        Listener::new(Arc::clone(&self.shared), self.event_bell(event), Manner::of(<T as Sealed>::LEVEL))
    }

    /// A listener that hears of every later `publish` to the slot.
    #[must_use]
    pub fn listen_slot(&self, slot: Slot) -> Listener {
        Listener::new(Arc::clone(&self.shared), self.slot_bell(slot), Manner::of(<T as Sealed>::LEVEL))
    }

    fn land(&self, slot: Slot, bits: u64) -> Option<ArenaBox<T>> {
        let handle = Handle::from_bits(bits)?;
        self.arena.land(handle, slot.carrier()).ok()
    }

    fn fences(&self) -> Fences {
        Fences::of(<T as Sealed>::LEVEL)
    }

    fn base(&self) -> u32 {
        self.shared.layout.switchboard().offset
    }

    fn descriptor(&self, slot: Slot) -> &AtomicU64 {
        self.shared.memory.u64(self.base() + slot.offset())
    }

    fn sleepers(&self, line: u32) -> u32 {
        self.shared.layout.sleepers().offset + line * SLEEPERS_STRIDE
    }

    fn event_bell(&self, event: Event) -> Bell {
        Bell { word: self.base() + event.index() * 4, sleepers: self.sleepers(event.index()) }
    }

    /// All slots share one count of sleepers: a few wake-ups too many, one line instead of fifteen.
    fn slot_bell(&self, slot: Slot) -> Bell {
        Bell { word: self.base() + slot.offset() + SLOT_EPOCH, sleepers: self.sleepers(3) }
    }
}

impl<T: Trust> Clone for Switchboard<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), self.arena.clone())
    }
}

impl<T: Trust> fmt::Debug for Switchboard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard").finish_non_exhaustive()
    }
}

/// Remembers the epoch it last saw of one word, so that what was signalled between two waits is not lost, however often.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    bell: Bell,
    manner: Manner,
    seen: u32,
}

impl Listener {
    fn new(shared: Arc<Shared>, bell: Bell, manner: Manner) -> Self {
        let seen = shared.memory.u32(bell.word).load(order::acquire(Pair::Bell));
        Self { shared, bell, manner, seen }
    }

    /// How [`wait`](Self::wait) passes the time.
    pub fn set_patience(&mut self, patience: Patience) {
        self.manner.patience = patience;
    }

    /// Whether something was signalled since the last look. The look counts as hearing: it clears *before* the caller
    /// reads what changed, so a signal during that reading is heard next time.
    pub fn poll(&mut self) -> bool {
        Self::changed(&self.shared, self.bell, &mut self.seen)
    }

    /// Sleeps until something is signalled that was not yet heard. Clears before it returns, as [`poll`](Self::poll).
    pub fn wait(&mut self, timeout: Option<Duration>) -> Wake {
        let Self { shared, bell, manner, seen } = self;
        bell.wait(shared, *manner, timeout, || Self::changed(shared, *bell, seen).then_some(Wake::Ready))
    }

    fn changed(shared: &Shared, bell: Bell, seen: &mut u32) -> bool {
        // Acquire pairs with the Release of `raise`. Unequal, not greater: epochs wrap.
        let now = shared.memory.u32(bell.word).load(order::acquire(Pair::Bell));
        core::mem::replace(seen, now) != now
    }
}
