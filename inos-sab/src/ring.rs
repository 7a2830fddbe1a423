//! A ring of frames between one writer and one reader.

mod consumer;
mod frame;
mod producer;

pub use consumer::Consumer;
pub use frame::{Flow, Form, Frame, FrameInfo, Kind, Payload};
pub use producer::{Batch, Claim, Producer};

use crate::arena::Carrier;
use crate::error::RegionError;
use crate::layout::{FRAME_HEADER_BYTES, Layout, Watermarks, table};
use crate::memory::Memory;
use crate::region::Shared;
use crate::sync::bell::{Bell, Fenced};
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use alloc::sync::Arc;

/// Offsets of the words of one ring, from the start of its cursors. Each writer has lines of its own; what hardly
/// changes has one more, so that reading it on every push stays in the cache.
mod at {
    /// Written by the producer.
    pub(super) const TAIL: u32 = 0x00;
    pub(super) const PRODUCED: u32 = 0x08;
    /// Written by the consumer.
    pub(super) const HEAD: u32 = 0x80;
    pub(super) const CONSUMED: u32 = 0x88;
    /// Written by whoever sleeps, and by those who wake.
    pub(super) const DATA_WORD: u32 = 0x100;
    pub(super) const DATA_SLEEPERS: u32 = 0x104;
    pub(super) const ROOM_WORD: u32 = 0x140;
    pub(super) const ROOM_SLEEPERS: u32 = 0x144;
    /// Hardly ever written.
    pub(super) const HIGH_BYTES: u32 = 0x180;
    pub(super) const LOW_BYTES: u32 = 0x184;
    pub(super) const HIGH_COUNT: u32 = 0x188;
    pub(super) const LOW_COUNT: u32 = 0x18C;
    pub(super) const PRODUCER: u32 = 0x190;
    pub(super) const CONSUMER: u32 = 0x194;
    pub(super) const WARNED: u32 = 0x198;
}

/// Values of the two role words.
const ROLE_NEVER: u32 = 0;
const ROLE_HELD: u32 = 1;
const ROLE_LEFT: u32 = 2;

/// Which of the two rings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    carrier: Carrier,
    cursors: u32,
    data: u32,
    bytes: u32,
}

impl Part {
    pub(crate) const fn inbox(layout: &Layout) -> Self {
        let (cursors, data) = (layout.inbox_cursors().offset, layout.inbox());
        Self { carrier: Carrier::Inbox, cursors, data: data.offset, bytes: data.len }
    }

    pub(crate) const fn outbox(layout: &Layout) -> Self {
        let (cursors, data) = (layout.outbox_cursors().offset, layout.outbox());
        Self { carrier: Carrier::Outbox, cursors, data: data.offset, bytes: data.len }
    }

    /// Offset of the byte a position falls on.
    fn offset_of(self, position: u64) -> u32 {
        self.data + self.index_of(position)
    }

    fn index_of(self, position: u64) -> u32 {
        // The mask keeps fewer than 20 bits.
        u32::try_from(position & u64::from(self.bytes - 1)).unwrap_or(0)
    }

    /// What the cells of blocks in this ring say.
    const fn carrier(self) -> Carrier {
        self.carrier
    }

    /// Bytes of data.
    pub(crate) const fn bytes(self) -> u32 {
        self.bytes
    }

    const fn max_inline_len(self) -> u32 {
        self.bytes / 8
    }

    /// The most bytes in use with which the longest frame still fits wherever the end of the ring is: padding at the
    /// wrap can cost as much again as the frame.
    pub(crate) fn roomy_up_to(self) -> u64 {
        u64::from(self.bytes - 2 * (FRAME_HEADER_BYTES + self.max_inline_len()))
    }
}

/// Bytes of a frame with `len` bytes of payload. `len` is at most an eighth of the ring.
const fn frame_bytes(len: u32) -> u32 {
    FRAME_HEADER_BYTES + len.next_multiple_of(FRAME_HEADER_BYTES)
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
            (table::MODE.offset, Layout::MODE_ONE_RING),
        ] {
            memory.u32(cursors + at).store(value, Ordering::Relaxed);
        }
        for at in [at::TAIL, at::PRODUCED, at::HEAD, at::CONSUMED] {
            memory.u64(cursors + at).store(layout.start(), Ordering::Relaxed);
        }
    }
}

/// One ring of one region, with its words by name.
#[derive(Clone, Debug)]
pub(crate) struct RingRef {
    shared: Arc<Shared>,
    part: Part,
}

impl RingRef {
    pub(crate) fn new(shared: Arc<Shared>, part: Part) -> Self {
        Self { shared, part }
    }

    pub(crate) fn part(&self) -> Part {
        self.part
    }

    pub(crate) fn tail(&self) -> &AtomicU64 {
        self.shared.memory.u64(self.part.cursors + at::TAIL)
    }

    pub(crate) fn produced(&self) -> &AtomicU64 {
        self.shared.memory.u64(self.part.cursors + at::PRODUCED)
    }

    pub(crate) fn head(&self) -> &AtomicU64 {
        self.shared.memory.u64(self.part.cursors + at::HEAD)
    }

    pub(crate) fn consumed(&self) -> &AtomicU64 {
        self.shared.memory.u64(self.part.cursors + at::CONSUMED)
    }

    pub(crate) fn warned(&self) -> &AtomicU32 {
        self.shared.memory.u32(self.part.cursors + at::WARNED)
    }

    fn producer_role(&self) -> &AtomicU32 {
        self.shared.memory.u32(self.part.cursors + at::PRODUCER)
    }

    fn consumer_role(&self) -> &AtomicU32 {
        self.shared.memory.u32(self.part.cursors + at::CONSUMER)
    }

    pub(crate) fn watermarks(&self) -> Watermarks {
        // Written before the region was shared, never again.
        let mark = |at| self.shared.memory.u32(self.part.cursors + at).load(Ordering::Relaxed);
        Watermarks {
            high_bytes: mark(at::HIGH_BYTES),
            low_bytes: mark(at::LOW_BYTES),
            high_count: mark(at::HIGH_COUNT),
            low_count: mark(at::LOW_COUNT),
        }
    }

    /// Rung when frames were published.
    pub(crate) fn data_bell(&self) -> Bell {
        Bell { word: self.part.cursors + at::DATA_WORD, sleepers: self.part.cursors + at::DATA_SLEEPERS }
    }

    /// Rung when frames were consumed.
    fn room_bell(&self) -> Bell {
        Bell { word: self.part.cursors + at::ROOM_WORD, sleepers: self.part.cursors + at::ROOM_SLEEPERS }
    }

    /// Takes a role that nobody holds.
    fn take_role(role: &AtomicU32) -> Result<(), RegionError> {
        for free in [ROLE_NEVER, ROLE_LEFT] {
            // Acquire pairs with the Release of `leave_role`: the new holder sees the cursors as the old one left them.
            if role.compare_exchange(free, ROLE_HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Ok(());
            }
        }
        Err(RegionError::RoleHeld)
    }

    /// Gives a role back and tells the other side, which may be asleep.
    fn leave_role(&self, role: &AtomicU32, bell: Bell) {
        role.store(ROLE_LEFT, Ordering::Release);
        bell.notify::<Fenced>(&self.shared.memory);
    }
}
