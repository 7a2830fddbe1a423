//! The writing end.

use super::frame::{FLAG_OBJECT, FLAG_PADDING, Header, Kind};
use super::{ROLE_LEFT, RingRef, frame_bytes};
use crate::arena::{Arena, ArenaBox};
use crate::error::{OutOfRange, PushError, RegionError, Rejected};
use crate::flow::{Pressure, assess};
use crate::layout::FRAME_HEADER_BYTES;
use crate::sync::Ordering;
use crate::sync::bell::{Barrier, Fenced, Wake};
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
/// let mut block = region.arena().alloc(200)?;
/// block.write_at(0, &[9; 200])?;
/// producer.push_object(9, block)?;
///
/// let mut kinds = vec![];
/// consumer.drain(usize::MAX, |frame| {
///     kinds.push(frame.kind());
///     if let Frame::Object { object, .. } = frame {
///         assert_eq!(object.len(), 200);
///     }
///     Flow::Continue
/// });
/// assert_eq!(kinds, [7, 8, 9]);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Producer<T: Trust = Threads> {
    ring: RingRef,
    arena: Arena<T>,
    /// End of what was written; ahead of the shared tail inside of a batch.
    tail: u64,
    produced: u64,
    published: u64,
    /// The consumer's cursors when last looked at: older is safe, it only makes the ring look fuller.
    head: u64,
    consumed: u64,
    warned: bool,
}

/// Room for one frame: nothing of it is visible before a publish.
#[derive(Clone, Copy, Debug)]
struct Room {
    padding: u32,
    len: u32,
}

impl<T: Trust> Producer<T> {
    pub(crate) fn new(ring: RingRef, arena: Arena<T>) -> Result<Self, RegionError> {
        RingRef::take_role(ring.producer_role())?;
        // The role's Acquire orders these after the last holder's stores.
        let tail = ring.tail().load(Ordering::Relaxed);
        let produced = ring.produced().load(Ordering::Relaxed);
        let warned = ring.warned().load(Ordering::Relaxed) != 0;
        let head = ring.head().load(Ordering::Acquire);
        let consumed = ring.consumed().load(Ordering::Relaxed);
        Ok(Self { ring, arena, tail, produced, published: tail, head, consumed, warned })
    }

    /// Longest payload a frame may have, in bytes.
    #[must_use]
    pub fn max_inline_len(&self) -> u32 {
        self.ring.part().max_inline_len()
    }

    /// Copies a frame into the ring and publishes it. Empty payloads are legal.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::TooLarge`] above [`max_inline_len`](Self::max_inline_len),
    /// [`PushError::Closed`] when the reader has left. The ring is unchanged.
    pub fn try_push(&mut self, kind: Kind, bytes: &[u8]) -> Result<Pressure, PushError> {
        self.stage(kind, bytes)?;
        Ok(self.publish::<Fenced>())
    }

    /// Reserves room for a frame of `len` bytes, to be written in place.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    pub fn claim(&mut self, kind: Kind, len: u32) -> Result<Claim<'_, T>, PushError> {
        let room = self.room(u64::from(len))?;
        Ok(Claim { producer: self, room, kind })
    }

    /// Sends an arena block: the handle travels, the bytes stay where they are. The reader owns the block then.
    ///
    /// # Errors
    ///
    /// The block with [`PushError::Full`], [`PushError::Closed`], or [`PushError::ForeignBlock`] if it is from another
    /// region.
    pub fn push_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<Pressure, Rejected<ArenaBox<T>>> {
        self.stage_object(kind, object)?;
        Ok(self.publish::<Fenced>())
    }

    /// Many frames with one publish and at most one wake-up.
    pub fn batch(&mut self) -> Batch<'_, T> {
        Batch { producer: self }
    }

    /// What the writer should do now, from the reader's present position.
    pub fn pressure(&mut self) -> Pressure {
        self.look();
        self.update_pressure(self.published)
    }

    /// Sleeps until a frame of `len` bytes fits. [`Wake::Ready`] also when it never can: the push then says so.
    pub fn wait_room(&mut self, len: u32, timeout: Option<Duration>) -> Wake {
        let (ring, bell) = (self.ring.clone(), self.ring.room_bell());
        bell.wait(&ring.shared.memory, timeout, || match self.room(u64::from(len)) {
            Err(PushError::Full { .. }) => None,
            Err(PushError::Closed) => Some(Wake::Closed),
            Ok(_) | Err(_) => Some(Wake::Ready),
        })
    }

    /// Sleeps until the backlog has fallen to the low marks.
    pub fn wait_low(&mut self, timeout: Option<Duration>) -> Wake {
        let (ring, bell) = (self.ring.clone(), self.ring.room_bell());
        bell.wait(&ring.shared.memory, timeout, || {
            // The role first: a reader that left after its last consume may have made room.
            let closed = ring.consumer_role().load(Ordering::Acquire) == ROLE_LEFT;
            match self.pressure() {
                Pressure::Ok => Some(Wake::Ready),
                _ if closed => Some(Wake::Closed),
                _ => None,
            }
        })
    }

    /// Reads the consumer's cursors. Acquire pairs with its Release of the head: the bytes in front of it are ours to
    /// overwrite, and its counter is at least as new.
    fn look(&mut self) {
        self.head = self.ring.head().load(Ordering::Acquire);
        self.consumed = self.ring.consumed().load(Ordering::Relaxed);
    }

    fn used(&self) -> u64 {
        self.tail.wrapping_sub(self.head)
    }

    /// Finds room behind the tail, or says what is missing.
    fn room(&mut self, len: u64) -> Result<Room, PushError> {
        let part = self.ring.part();
        let max = part.max_inline_len();
        let len = match u32::try_from(len) {
            Ok(len) if len <= max => len,
            _ => return Err(PushError::TooLarge { len, max }),
        };
        if self.ring.consumer_role().load(Ordering::Acquire) == ROLE_LEFT {
            return Err(PushError::Closed);
        }
        let to_end = part.bytes - part.index_of(self.tail);
        let frame = frame_bytes(len);
        let padding = if frame > to_end { to_end } else { 0 };
        let needed = padding + frame;
        let fits = |producer: &Self| producer.used() + u64::from(needed) <= u64::from(part.bytes);
        if !fits(self) {
            self.look();
        }
        if !fits(self) {
            let free = u64::from(part.bytes) - self.used();
            return Err(PushError::Full { needed, free: u32::try_from(free).unwrap_or(part.bytes) });
        }
        Ok(Room { padding, len })
    }

    fn write(&self, position: u64, bytes: &[u8]) {
        // SAFETY:
        // - `room` found the range free: the consumer's head is behind it by less than a ring, so the consumer reads
        //   none of it until a later publish;
        // - `&mut Producer` upstream and the role word make this the only writer.
        unsafe { self.ring.shared.write::<T>(self.ring.part().offset_of(position), bytes) }
    }

    fn payload_position(&self, room: Room) -> u64 {
        self.tail.wrapping_add(u64::from(room.padding + FRAME_HEADER_BYTES))
    }

    /// Writes the headers and moves the private tail over the frame.
    fn seal(&mut self, room: Room, kind: Kind, flags: u16) {
        if room.padding > 0 {
            let len = room.padding - FRAME_HEADER_BYTES;
            self.write(self.tail, &Header { len, kind: 0, flags: FLAG_PADDING }.to_bytes());
        }
        let frame = self.tail.wrapping_add(u64::from(room.padding));
        self.write(frame, &Header { len: room.len, kind, flags }.to_bytes());
        self.tail = frame.wrapping_add(u64::from(frame_bytes(room.len)));
        self.produced = self.produced.wrapping_add(1);
    }

    fn stage(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), PushError> {
        let room = self.room(bytes.len() as u64)?;
        self.write(self.payload_position(room), bytes);
        self.seal(room, kind, 0);
        Ok(())
    }

    fn stage_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<(), Rejected<ArenaBox<T>>> {
        if !object.is_of(&self.ring.shared) {
            return Err(Rejected { value: object, reason: PushError::ForeignBlock });
        }
        let room = match self.room(8) {
            Ok(room) => room,
            Err(reason) => return Err(Rejected { value: object, reason }),
        };
        let handle = object.into_flight(self.ring.part().carrier());
        self.write(self.payload_position(room), &handle.to_bits().to_le_bytes());
        self.seal(room, kind, FLAG_OBJECT);
        Ok(())
    }

    /// Shows the reader everything written so far.
    pub(crate) fn publish<B: Barrier>(&mut self) -> Pressure {
        let before = self.published;
        if before != self.tail {
            self.ring.produced().store(self.produced, Ordering::Relaxed);
            // The one store that publishes: pairs with the consumer's Acquire of the tail.
            self.ring.tail().store(self.tail, Ordering::Release);
            self.published = self.tail;
            self.ring.data_bell().notify::<B>(&self.ring.shared.memory);
        }
        self.update_pressure(before)
    }

    fn assess(&self, warned: bool) -> Pressure {
        assess(&self.ring, self.used(), self.produced.wrapping_sub(self.consumed), warned)
    }

    /// `before` is the tail that was last assessed.
    fn update_pressure(&mut self, before: u64) -> Pressure {
        let mut pressure = self.assess(self.warned);
        if pressure != Pressure::Ok {
            // Perhaps only because the cursors are old.
            self.look();
            // A backlog that ended is the end of the warning, although what was added since is in the ring again.
            let ended = self.used() <= self.tail.wrapping_sub(before);
            pressure = self.assess(self.warned && !ended);
        }
        let warned = pressure != Pressure::Ok;
        if warned != self.warned {
            self.warned = warned;
            self.ring.warned().store(u32::from(warned), Ordering::Relaxed);
        }
        pressure
    }

    #[cfg(all(test, inos_loom))]
    pub(crate) fn push_with<B: Barrier>(&mut self, kind: Kind, bytes: &[u8]) -> Result<Pressure, PushError> {
        self.stage(kind, bytes)?;
        Ok(self.publish::<B>())
    }

    /// The arena of the region, for blocks to send.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        &self.arena
    }
}

impl<T: Trust> Drop for Producer<T> {
    fn drop(&mut self) {
        self.publish::<Fenced>();
        self.ring.leave_role(self.ring.producer_role(), self.ring.data_bell());
    }
}

/// Room for one frame, to be written in place. Dropping it, like [`abort`](Self::abort), leaves no trace.
#[derive(Debug)]
pub struct Claim<'a, T: Trust = Threads> {
    producer: &'a mut Producer<T>,
    room: Room,
    kind: Kind,
}

impl<T: Trust> Claim<'_, T> {
    /// Bytes of the payload.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.room.len
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.room.len == 0
    }

    /// Writes into the payload. What is never written holds what the ring held before.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] if the bytes are not all within the payload.
    pub fn write_at(&mut self, offset: u32, bytes: &[u8]) -> Result<(), OutOfRange> {
        OutOfRange::check(offset, bytes.len(), self.room.len)?;
        let position = self.producer.payload_position(self.room).wrapping_add(u64::from(offset));
        self.producer.write(position, bytes);
        Ok(())
    }

    /// Publishes the frame.
    pub fn commit(self) -> Pressure {
        self.producer.seal(self.room, self.kind, 0);
        self.producer.publish::<Fenced>()
    }

    /// Gives the room back.
    pub fn abort(self) {}
}

/// Frames that are published together when the batch is dropped or [`publish`](Self::publish)ed.
#[derive(Debug)]
pub struct Batch<'a, T: Trust = Threads> {
    producer: &'a mut Producer<T>,
}

impl<T: Trust> Batch<'_, T> {
    /// Adds a frame.
    ///
    /// # Errors
    ///
    /// As [`Producer::try_push`]; the frames before it stay in the batch.
    pub fn push(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), PushError> {
        self.producer.stage(kind, bytes)
    }

    /// Adds an arena block.
    ///
    /// # Errors
    ///
    /// As [`Producer::push_object`]; the frames before it stay in the batch.
    pub fn push_object(&mut self, kind: Kind, object: ArenaBox<T>) -> Result<(), Rejected<ArenaBox<T>>> {
        self.producer.stage_object(kind, object)
    }

    /// Publishes what was added.
    pub fn publish(self) -> Pressure {
        self.producer.publish::<Fenced>()
    }
}

impl<T: Trust> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        self.producer.publish::<Fenced>();
    }
}
