//! A ring of frames between one writer and one reader.

mod claim;
mod consumer;
pub(crate) mod cursor;
mod frame;
mod place;
mod producer;
pub(crate) mod recovery;

pub use claim::{Batch, Claim};
pub use consumer::Consumer;
pub use frame::{Flow, Form, Frame, FrameInfo, Kind, Payload};
pub use producer::Producer;

use crate::arena::Carrier;
use crate::error::{Corrupt, RegionError};
use crate::layout::{Layout, Watermarks};
use crate::memory::Memory;
use crate::region::Shared;
use crate::sync::barrier::Fences;
use crate::sync::bell::{Bell, FENCE_ASKED};
use crate::sync::order::{self, Check, Pair};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use alloc::sync::Arc;
use cursor::{Cursor, UNIT_BYTES};
use frame::frame_units;
use place::Place;

/// Offsets of the words of one ring, from the start of its cursors. Each writer has lines of its own; what hardly
/// changes has one more, so that reading it on every push stays in the cache.
mod at {
    use crate::layout::table;

    /// Written by the producer.
    pub(super) const TAIL: u32 = table::TAIL.offset;
    /// Written by the consumer.
    pub(super) const HEAD: u32 = table::HEAD.offset;
    /// Written by whoever sleeps, and by those who wake.
    pub(super) const DATA_WORD: u32 = table::DATA_WORD.offset;
    pub(super) const DATA_SLEEPERS: u32 = table::DATA_SLEEPERS.offset;
    pub(super) const ROOM_WORD: u32 = table::ROOM_WORD.offset;
    pub(super) const ROOM_SLEEPERS: u32 = table::ROOM_SLEEPERS.offset;
    /// Hardly ever written.
    pub(super) const HIGH_BYTES: u32 = table::HIGH_BYTES.offset;
    pub(super) const LOW_BYTES: u32 = table::LOW_BYTES.offset;
    pub(super) const HIGH_COUNT: u32 = table::HIGH_COUNT.offset;
    pub(super) const LOW_COUNT: u32 = table::LOW_COUNT.offset;
    pub(super) const PRODUCER: u32 = table::PRODUCER_ROLE.offset;
    pub(super) const CONSUMER: u32 = table::CONSUMER_ROLE.offset;
    pub(super) const WARNED: u32 = table::WARNED.offset;
    pub(super) const MODE: u32 = table::MODE.offset;
    /// Behind all of them.
    #[cfg(not(inos_loom))]
    pub(super) const END: u32 = MODE + 4;
}

/// Values of the two role words; in between, `ROLE_HELD | participant`.
const ROLE_NEVER: u32 = 0;
const ROLE_LEFT: u32 = 1;
const ROLE_HELD: u32 = 0x100;

/// Which of the two rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    carrier: Carrier,
    cursors: u32,
    data: u32,
    /// A power of two, at most 2^16.
    units: u32,
}

impl Part {
    pub(crate) const fn inbox(layout: &Layout) -> Self {
        let (cursors, data) = (layout.inbox_cursors().offset, layout.inbox());
        Self { carrier: Carrier::Inbox, cursors, data: data.offset, units: data.len / UNIT_BYTES }
    }

    pub(crate) const fn outbox(layout: &Layout) -> Self {
        let (cursors, data) = (layout.outbox_cursors().offset, layout.outbox());
        Self { carrier: Carrier::Outbox, cursors, data: data.offset, units: data.len / UNIT_BYTES }
    }

    /// The unit of the ring a position falls on.
    const fn index(self, units: u32) -> u32 {
        units & (self.units - 1)
    }

    /// Offset of the byte a position falls on, from the base of the region: in the ring, whatever the position.
    const fn offset(self, units: u32) -> u32 {
        self.data + self.index(units) * UNIT_BYTES
    }

    /// What the cells of blocks in this ring say.
    const fn carrier(self) -> Carrier {
        self.carrier
    }

    /// Bytes of data.
    pub(crate) const fn bytes(self) -> u32 {
        self.units * UNIT_BYTES
    }

    const fn max_inline_len(self) -> u32 {
        self.bytes() / 8
    }

    /// The most bytes in use with which the longest frame still fits wherever the end of the ring is: padding at the
    /// wrap can cost as much again as the frame.
    pub(crate) const fn roomy_up_to(self) -> u32 {
        self.bytes() - 2 * frame_units(self.max_inline_len()) * UNIT_BYTES
    }
}

/// Writes what zeroed rings lack. Nobody else knows the region yet.
pub(crate) fn initialise(memory: &Memory, layout: &Layout) {
    let Watermarks { high_bytes, low_bytes, high_count, low_count } = layout.watermarks();
    for cursors in [layout.inbox_cursors().offset, layout.outbox_cursors().offset] {
        for (at, value) in [
            (at::HIGH_BYTES, high_bytes),
            (at::LOW_BYTES, low_bytes),
            (at::HIGH_COUNT, high_count),
            (at::LOW_COUNT, low_count),
            (at::MODE, Layout::MODE_ONE_RING),
        ] {
            memory.u32(cursors + at).store(value, Ordering::Relaxed);
        }
        for at in [at::TAIL, at::HEAD] {
            memory.u64(cursors + at).store(Cursor::at(layout.start()).to_bits(), Ordering::Relaxed);
        }
    }
}

/// One ring of one region, with its words by name.
#[derive(Clone, Debug)]
pub(crate) struct RingRef {
    place: Place,
}

impl RingRef {
    pub(crate) fn new(shared: Arc<Shared>, part: Part) -> Self {
        Self { place: Place::new(shared, part) }
    }

    #[inline]
    pub(crate) fn part(&self) -> Part {
        self.place.part()
    }

    #[inline]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.place.shared()
    }

    #[inline]
    fn u32(&self, at: u32) -> &AtomicU32 {
        self.place.u32(at)
    }

    #[inline]
    fn u64(&self, at: u32) -> &AtomicU64 {
        self.place.u64(at)
    }

    /// The producer's cursor. Acquire: the frames in front of it are complete.
    #[inline]
    pub(crate) fn tail(&self) -> Cursor {
        Cursor::from_bits(self.u64(at::TAIL).load(order::acquire(Pair::RingTail)))
    }

    /// The one store that publishes.
    #[inline]
    fn set_tail(&self, tail: Cursor) {
        self.u64(at::TAIL).store(tail.to_bits(), order::release(Pair::RingTail));
    }

    /// The consumer's cursor. Acquire: the bytes behind it are no longer read.
    #[inline]
    pub(crate) fn head(&self) -> Cursor {
        Cursor::from_bits(self.u64(at::HEAD).load(order::acquire(Pair::RingHead)))
    }

    /// Gives room back.
    #[inline]
    fn set_head(&self, head: Cursor) {
        self.u64(at::HEAD).store(head.to_bits(), order::release(Pair::RingHead));
    }

    /// Whether the writer is warned; only ever a memory for its successor and for observers.
    pub(crate) fn warned(&self) -> &AtomicU32 {
        self.u32(at::WARNED)
    }

    fn producer_role(&self) -> &AtomicU32 {
        self.u32(at::PRODUCER)
    }

    fn consumer_role(&self) -> &AtomicU32 {
        self.u32(at::CONSUMER)
    }

    /// Whether the holder of a role was there and has left. To be asked *before* the cursor is looked at: Acquire makes
    /// all that it published visible.
    #[inline]
    fn has_left(role: &AtomicU32) -> bool {
        role.load(order::acquire(Pair::Role)) == ROLE_LEFT
    }

    pub(crate) fn watermarks(&self) -> Watermarks {
        // Written before the region was shared, never again.
        let mark = |at| self.u32(at).load(Ordering::Relaxed);
        Watermarks {
            high_bytes: mark(at::HIGH_BYTES),
            low_bytes: mark(at::LOW_BYTES),
            high_count: mark(at::HIGH_COUNT),
            low_count: mark(at::LOW_COUNT),
        }
    }

    /// Rung when frames were published.
    pub(crate) fn data_bell(&self) -> Bell {
        let cursors = self.part().cursors;
        Bell { word: cursors + at::DATA_WORD, sleepers: cursors + at::DATA_SLEEPERS }
    }

    /// Rung when frames were consumed.
    fn room_bell(&self) -> Bell {
        let cursors = self.part().cursors;
        Bell { word: cursors + at::ROOM_WORD, sleepers: cursors + at::ROOM_SLEEPERS }
    }

    /// Wakes a consumer that said it sleeps. To be called after the store of the tail, or of the role.
    ///
    /// Either this load sees the sleeper's count, or the sleeper's check after its own fence sees the store: two fences
    /// of one total order cannot both miss.
    #[inline]
    fn notify_data(&self, fences: Fences) {
        fences.waker();
        let sleepers = self.data_sleepers().load(Ordering::Relaxed);
        if sleepers != 0 {
            self.call_reader(sleepers);
        }
    }

    /// The rest of it, when the count is not 0.
    #[cold]
    fn call_reader(&self, sleepers: u32) {
        if sleepers == FENCE_ASKED {
            Fences::asked_waker();
            let nobody = self.data_sleepers().load(Ordering::Relaxed) & !FENCE_ASKED == 0;
            if nobody || !order::recheck(Check::AfterAskedFence) {
                return;
            }
        }
        self.data_bell().ring(self.shared());
    }

    /// How many consumers sleep, and whether one asks for fences.
    fn data_sleepers(&self) -> &AtomicU32 {
        self.u32(at::DATA_SLEEPERS)
    }

    /// Wakes a producer that said it sleeps. To be called after the store of the head, or of the role.
    #[inline]
    fn notify_room(&self, fences: Fences) {
        fences.waker();
        if self.u32(at::ROOM_SLEEPERS).load(Ordering::Relaxed) != 0 {
            self.room_bell().ring(self.shared());
        }
    }

    /// Takes a role that nobody holds.
    fn take_role(&self, role: &AtomicU32) -> Result<(), RegionError> {
        let held = ROLE_HELD | u32::from(self.shared().me);
        for free in [ROLE_NEVER, ROLE_LEFT] {
            // Acquire: the new holder sees the cursors as the old one left them.
            if role.compare_exchange(free, held, order::acquire(Pair::Role), Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Err(RegionError::RoleHeld)
    }

    /// Gives a role back; to be followed by telling the other side, which may be asleep. A fork's copy of an end never had
    /// the role.
    fn leave_role(&self, role: &AtomicU32) {
        if self.shared().check_process().is_ok() {
            role.store(ROLE_LEFT, order::release(Pair::Role));
        }
    }

    /// What two cursors that cannot both be true say.
    #[cold]
    fn corrupt_cursors(&self, tail: Cursor, head: Cursor) -> Corrupt {
        Corrupt::Cursors { tail: tail.to_bits(), head: head.to_bits(), ring_units: self.part().units }
    }
}
