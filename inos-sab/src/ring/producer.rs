//! The writing end.

use super::claim::{Batch, Claim};
use super::cursor::{Cursor, UNIT_BYTES};
use super::frame::{FLAG_OBJECT, FLAG_PADDING, HANDLE_BYTES, Header, Kind, frame_units};
use super::{Part, RingRef};
use crate::arena::{Arena, ArenaBox};
use crate::error::{AllocError, Corrupt, PushError, RegionError, Rejected, SendError};
use crate::flow::{Marks, Pressure};
use crate::sync::Ordering;
use crate::sync::bell::{Manner, Patience, Wake};
use crate::trust::sealed::Sealed;
use crate::trust::{Threads, Trust};
use core::time::Duration;

/// The one writer of a ring. Dropping it closes the ring for the reader, who still gets what was published, until
/// another producer takes the role.
///
/// # Examples
///
/// ```
/// use inos_sab::{Flow, Frame, Layout, PushError, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?;
/// let mut producer = region.inbox_producer()?;
/// let mut consumer = region.inbox_consumer()?;
///
/// producer.try_push(7, b"small")?;
/// let mut claim = producer.claim(8, 4)?; // written in place
/// claim.write_at(0, &[1, 2, 3, 4])?;
/// claim.commit();
/// // Above an eighth of the ring a payload travels as an arena block.
/// assert_eq!(producer.try_push(9, &[0; 200]), Err(PushError::TooLarge { len: 200, max: 128 }));
/// producer.send(9, &[9; 200])?;
///
/// let mut got = vec![];
/// let taken = consumer.drain(usize::MAX, |frame| {
///     got.push((frame.kind(), frame.bytes().len()));
///     Flow::Continue
/// })?;
/// assert_eq!((taken, got), (3, vec![(7, 5), (8, 4), (9, 200)]));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Producer<T: Trust = Threads> {
    ring: RingRef,
    arena: Arena<T>,
    /// Behind the last frame written; ahead of the shared tail inside of a batch.
    tail: Cursor,
    published: Cursor,
    /// The consumer's cursor when last looked at: older is safe, it only makes the ring look fuller. Of a corrupt ring,
    /// where it makes the ring look full.
    head: Cursor,
    marks: Marks,
    warned: bool,
    manner: Manner,
    corrupt: Option<Corrupt>,
}

/// Room for one frame: nothing of it is visible before a publish.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Units up to the end of the ring, when the frame does not fit there.
    padding: u32,
    pub(super) len: u32,
}

impl<T: Trust> Producer<T> {
    pub(crate) fn new(ring: RingRef, arena: Arena<T>) -> Result<Self, RegionError> {
        ring.take_role(ring.producer_role())?;
        // The role's Acquire orders these after the last holder's stores.
        let tail = ring.tail();
        let warned = ring.warned().load(Ordering::Relaxed) != 0;
        let marks = Marks::new(ring.watermarks(), ring.part());
        let manner = Manner::of(<T as Sealed>::LEVEL);
        let mut this = Self { ring, arena, tail, published: tail, head: tail, marks, warned, manner, corrupt: None };
        // A corrupt ring is found again, and told, by the first push.
        let _ = this.look();
        Ok(this)
    }

    /// Longest payload a frame may have, in bytes.
    #[must_use]
    pub fn max_inline_len(&self) -> u32 {
        self.ring.part().max_inline_len()
    }

    /// How [`wait_room`](Self::wait_room) and [`wait_low`](Self::wait_low) pass the time.
    pub fn set_patience(&mut self, patience: Patience) {
        self.manner.patience = patience;
    }

    /// Copies a frame into the ring and publishes it. Empty payloads are legal.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::TooLarge`] above [`max_inline_len`](Self::max_inline_len),
    /// [`PushError::Closed`] when the reader has left, [`PushError::Corrupt`]. The ring is unchanged.
    #[inline]
    pub fn try_push(&mut self, kind: Kind, bytes: &[u8]) -> Result<Pressure, PushError> {
        match self.stage(kind, bytes) {
            Ok(()) => Ok(self.publish()),
            Err(reason) => {
                self.settle();
                Err(reason)
            }
        }
    }

    /// Sends a payload of any length: inline if it fits a frame, otherwise copied into an arena block that the frame
    /// owns. The reader finds either with [`Frame::copy_to`](super::Frame::copy_to).
    ///
    /// # Errors
    ///
    /// [`SendError::Push`] as [`try_push`](Self::try_push), but never `TooLarge`; [`SendError::Alloc`] when the arena
    /// gives no block. The ring is unchanged, and a block that was taken is free again.
    pub fn send(&mut self, kind: Kind, bytes: &[u8]) -> Result<Pressure, SendError> {
        let max = self.arena.max_block_len();
        let len = bytes.len() as u64;
        if len <= u64::from(self.max_inline_len()) {
            return Ok(self.try_push(kind, bytes)?);
        }
        let block_len = u32::try_from(len).map_err(|_| AllocError::TooLarge { requested: len, max })?;
        self.settle();
        // Before the payload is copied for nothing.
        self.room(HANDLE_BYTES as usize)?;
        let mut block = self.arena.alloc(block_len)?;
        // The block has just this length.
        let _ = block.write_at(0, bytes);
        self.push_object(kind, block).map_err(|rejected| SendError::Push(rejected.reason))
    }

    /// Reserves room for a frame of `len` bytes, to be written in place.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    #[inline]
    pub fn claim(&mut self, kind: Kind, len: u32) -> Result<Claim<'_, T>, PushError> {
        self.settle();
        let room = self.room(len as usize)?;
        Ok(Claim { producer: self, room, kind })
    }

    /// Sends an arena block: the handle travels, the bytes stay where they are. The reader owns the block then.
    ///
    /// # Errors
    ///
    /// The block with [`PushError::Full`], [`PushError::Closed`], [`PushError::Corrupt`], or
    /// [`PushError::ForeignBlock`] if it is from another region.
    pub fn push_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<Pressure, Rejected<ArenaBox<T>>> {
        let staged = self.stage_object(kind, object);
        if staged.is_err() {
            self.settle();
        }
        staged.map(|()| self.publish())
    }

    /// Many frames with one publish and at most one wake-up.
    pub fn batch(&mut self) -> Batch<'_, T> {
        self.settle();
        Batch { producer: self }
    }

    /// What the writer should do now, from the reader's present position. [`Pressure::Full`] for a corrupt ring.
    pub fn pressure(&mut self) -> Pressure {
        self.settle();
        match self.look() {
            Ok(()) => self.update_pressure(self.published),
            Err(_) => Pressure::Full,
        }
    }

    /// Sleeps until a frame of `len` bytes fits, 8 for an object; without a `timeout` as long as it takes, with
    /// [`Duration::ZERO`] not at all. [`Wake::Ready`] also when it never can: the push then says so. [`Wake::Closed`] when
    /// the reader has left, [`Wake::Corrupt`] when the next push says so.
    pub fn wait_room(&mut self, len: u32, timeout: Option<Duration>) -> Wake {
        self.settle();
        let (ring, manner) = (self.ring.clone(), self.manner);
        ring.room_bell().wait(ring.shared(), manner, timeout, || match self.room(len as usize) {
            Err(PushError::Full { .. }) => None,
            Err(PushError::Closed) => Some(Wake::Closed),
            Err(PushError::Corrupt(_)) => Some(Wake::Corrupt),
            Ok(_) | Err(_) => Some(Wake::Ready),
        })
    }

    /// Sleeps until [`pressure`](Self::pressure) is [`Pressure::Ok`]: once warned, until the backlog has fallen to both low
    /// marks. [`Wake::Closed`] when the reader has left and it cannot fall any more. The timeout is as in
    /// [`wait_room`](Self::wait_room).
    pub fn wait_low(&mut self, timeout: Option<Duration>) -> Wake {
        self.settle();
        let (ring, manner) = (self.ring.clone(), self.manner);
        ring.room_bell().wait(ring.shared(), manner, timeout, || {
            // The role first: a reader that left after its last consume may have made room.
            let closed = RingRef::has_left(ring.consumer_role());
            match self.pressure() {
                _ if self.corrupt.is_some() => Some(Wake::Corrupt),
                Pressure::Ok => Some(Wake::Ready),
                _ if closed => Some(Wake::Closed),
                _ => None,
            }
        })
    }

    /// The arena of the region, for blocks to send.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        &self.arena
    }

    /// Reads the consumer's cursor.
    fn look(&mut self) -> Result<(), Corrupt> {
        if let Some(corrupt) = self.corrupt {
            return Err(corrupt);
        }
        let (head, part) = (self.ring.head(), self.ring.part());
        if self.tail.since(head).fits(part.units) {
            self.head = head;
            return Ok(());
        }
        let corrupt = self.ring.corrupt_cursors(self.tail, head);
        self.corrupt = Some(corrupt);
        self.head = self.tail.a_ring_behind(part.units);
        Err(corrupt)
    }

    /// Finds room behind the tail, or says what is missing.
    #[inline]
    fn room(&mut self, len: usize) -> Result<Room, PushError> {
        let part = self.ring.part();
        let len = match u32::try_from(len) {
            Ok(len) if len <= part.max_inline_len() => len,
            _ => return Err(PushError::TooLarge { len: len as u64, max: part.max_inline_len() }),
        };
        if RingRef::has_left(self.ring.consumer_role()) {
            return Err(PushError::Closed);
        }
        let to_end = part.units - part.index(self.tail.units());
        let frame = frame_units(len);
        let padding = if frame > to_end { to_end } else { 0 };
        let needed = padding + frame;
        if self.free_units(part) < needed {
            self.make_sure_of(needed)?;
        }
        Ok(Room { padding, len })
    }

    #[inline]
    fn free_units(&self, part: Part) -> u32 {
        // What the head was checked for: never more than the ring's units between the two.
        part.units - self.tail.since(self.head).units
    }

    #[cold]
    fn make_sure_of(&mut self, needed: u32) -> Result<(), PushError> {
        self.look()?;
        let free = self.free_units(self.ring.part());
        if free >= needed {
            return Ok(());
        }
        Err(PushError::Full { needed: needed * UNIT_BYTES, free: free * UNIT_BYTES })
    }

    /// Writes `bytes` at `offset` of the payload of a frame that has this room; the caller has checked that they fit.
    #[inline]
    pub(super) fn write(&self, room: Room, offset: u32, bytes: &[u8]) {
        // SAFETY:
        // - `room` sees to it that the frame ends in front of the end of the ring;
        // - `room` found the range free: the consumer's head is behind it by less than a ring, so the consumer reads
        //   none of it until a later publish; `&mut Producer` upstream and the role word make this the only writer.
        unsafe { self.ring.place.write::<T>(self.payload(room), offset, bytes) }
    }

    /// Where the payload of a frame that has this room starts.
    #[inline]
    fn payload(&self, room: Room) -> u32 {
        self.tail.units().wrapping_add(room.padding + 1)
    }

    /// The payload of a frame that has this room.
    #[cfg(not(inos_loom))]
    pub(super) fn payload_mut(&mut self, room: Room) -> &mut [u8] {
        // SAFETY:
        // - as in `write`; the borrow of `self` keeps the frame from being published while the slice lives.
        unsafe { self.ring.place.slice_mut(self.payload(room), room.len) }
    }

    /// Writes the headers and moves the private tail over the frame.
    #[inline]
    pub(super) fn seal(&mut self, room: Room, kind: Kind, flags: u16) {
        if room.padding > 0 {
            let len = (room.padding - 1) * UNIT_BYTES;
            self.write_header(self.tail.units(), Header { len, kind: 0, flags: FLAG_PADDING });
        }
        let frame = self.tail.units().wrapping_add(room.padding);
        self.write_header(frame, Header { len: room.len, kind, flags });
        self.tail = self.tail.after(room.padding + frame_units(room.len));
    }

    #[inline]
    fn write_header(&self, units: u32, header: Header) {
        // SAFETY:
        // - part of the same room as the payload, see `write`.
        unsafe { self.ring.place.write_unit::<T>(units, header.to_bits()) }
    }

    #[inline]
    pub(super) fn stage(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), PushError> {
        let room = self.room(bytes.len())?;
        self.write(room, 0, bytes);
        self.seal(room, kind, 0);
        Ok(())
    }

    pub(super) fn stage_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<(), Rejected<ArenaBox<T>>> {
        if !object.is_of(self.ring.shared()) {
            return Err(Rejected { value: object, reason: PushError::ForeignBlock });
        }
        let room = match self.room(HANDLE_BYTES as usize) {
            Ok(room) => room,
            Err(reason) => return Err(Rejected { value: object, reason }),
        };
        let handle = object.into_flight(self.ring.part().carrier());
        self.write(room, 0, &handle.to_bits().to_le_bytes());
        self.seal(room, kind, FLAG_OBJECT);
        Ok(())
    }

    /// Shows the reader everything written so far.
    #[inline]
    pub(crate) fn publish(&mut self) -> Pressure {
        let before = self.published;
        self.settle();
        self.update_pressure(before)
    }

    /// Publishes what a forgotten batch has left, if there is anything.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.published != self.tail {
            self.ring.set_tail(self.tail);
            self.published = self.tail;
            self.ring.notify_data(self.manner.fences);
        }
    }

    /// `before` is the tail that was last assessed.
    #[inline]
    fn update_pressure(&mut self, before: Cursor) -> Pressure {
        if !self.warned && self.marks.is_calm(self.tail.since(self.head)) {
            return Pressure::Ok;
        }
        self.look_at_pressure(before)
    }

    /// The cursors seen last say that the reader is behind: perhaps only because they are old.
    fn look_at_pressure(&mut self, before: Cursor) -> Pressure {
        if self.look().is_err() {
            return Pressure::Full;
        }
        let used = self.tail.since(self.head);
        // A backlog that ended is the end of the warning, although what was added since is in the ring again.
        let ended = used.units <= self.tail.since(before).units;
        let pressure = self.marks.assess(used, self.warned && !ended);
        let warned = pressure != Pressure::Ok;
        if warned != self.warned {
            self.warned = warned;
            self.ring.warned().store(u32::from(warned), Ordering::Relaxed);
        }
        pressure
    }
}

impl<T: Trust> Drop for Producer<T> {
    fn drop(&mut self) {
        self.settle();
        self.ring.leave_role(self.ring.producer_role());
        self.ring.notify_data(self.manner.fences);
    }
}
