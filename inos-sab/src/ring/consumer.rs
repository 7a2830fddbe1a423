//! The reading end.

use super::frame::{FLAG_OBJECT, FLAG_PADDING, Flow, Form, Frame, FrameInfo, Header, Payload};
use super::{ROLE_LEFT, RingRef, frame_bytes};
use crate::arena::{Arena, Handle};
use crate::error::RegionError;
use crate::layout::FRAME_HEADER_BYTES;
use crate::sync::Ordering;
use crate::sync::bell::{Fenced, Wake};
use crate::trust::{Threads, Trust};
use core::marker::PhantomData;
use core::time::Duration;

/// The one reader of a ring. Frames it has not taken stay in the ring for the next reader, with the blocks they own.
///
/// # Examples
///
/// ```
/// use inos_sab::{Flow, Frame, Layout, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 10, 1 << 20, 1 << 16)?)?;
/// let mut producer = region.outbox_producer()?;
/// let mut consumer = region.outbox_consumer()?;
/// producer.try_push(1, b"result")?;
/// let taken = consumer.drain(8, |frame| {
///     let Frame::Inline { payload, .. } = frame else { return Flow::Break };
///     assert_eq!(payload.bytes(), b"result");
///     Flow::Continue
/// });
/// assert_eq!(taken, 1);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Consumer<T: Trust = Threads> {
    ring: RingRef,
    arena: Arena<T>,
    /// Where reading goes on; ahead of the shared head within a drain.
    head: u64,
    consumed: u64,
    released: u64,
    /// The producer's tail when last looked at.
    tail: u64,
}

impl<T: Trust> Consumer<T> {
    pub(crate) fn new(ring: RingRef, arena: Arena<T>) -> Result<Self, RegionError> {
        RingRef::take_role(ring.consumer_role())?;
        // The role's Acquire orders these after the last holder's stores.
        let head = ring.head().load(Ordering::Relaxed);
        let consumed = ring.consumed().load(Ordering::Relaxed);
        Ok(Self { ring, arena, head, consumed, released: head, tail: head })
    }

    /// The next frame, if there is one, without taking it.
    pub fn peek(&mut self) -> Option<FrameInfo> {
        let header = self.next_header()?;
        let form = if header.flags & FLAG_OBJECT == 0 { Form::Inline } else { Form::Object };
        Some(FrameInfo { kind: header.kind, form, len: header.len })
    }

    /// Hands up to `max` frames to `take`, in order, each exactly once; returns how many. Their room goes back to the
    /// producer after at most an eighth of the ring, and at the end, also when `take` panics.
    ///
    /// # Panics
    ///
    /// When an object frame names a block that is not in flight: memory was overwritten by something other than this
    /// crate.
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(Frame<'_, T>) -> Flow) -> usize {
        let session = Session { consumer: self };
        let mut count = 0;
        while count < max {
            let Some(header) = session.consumer.next_header() else { break };
            count += 1;
            if session.consumer.hand_over(header, &mut take) == Flow::Break {
                break;
            }
            session.consumer.release_if_much();
        }
        count
    }

    /// Sleeps until a frame can be taken. [`Wake::Closed`] when the producer has left and the ring is empty; a ring whose
    /// producer has not come yet is waited for.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Wake {
        let (ring, bell) = (self.ring.clone(), self.ring.data_bell());
        bell.wait(&ring.shared.memory, timeout, || {
            // The role first: what its holder published last is in the tail that is read after.
            let closed = ring.producer_role().load(Ordering::Acquire) == ROLE_LEFT;
            if self.look() {
                Some(Wake::Ready)
            } else if closed {
                Some(Wake::Closed)
            } else {
                None
            }
        })
    }

    /// The arena of the region, for answers.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        &self.arena
    }

    /// What all parts of the region share.
    #[cfg(not(inos_loom))]
    pub(crate) fn shared(&self) -> alloc::sync::Arc<crate::region::Shared> {
        alloc::sync::Arc::clone(&self.ring.shared)
    }

    /// Whether something is there.
    fn look(&mut self) -> bool {
        if self.head == self.tail {
            // Pairs with the producer's Release of the tail: the frames in front of it are complete.
            self.tail = self.ring.tail().load(Ordering::Acquire);
        }
        self.head != self.tail
    }

    /// The header at the head, after any padding.
    fn next_header(&mut self) -> Option<Header> {
        while self.look() {
            let header = self.read_header(self.head);
            if header.flags & FLAG_PADDING == 0 {
                return Some(header);
            }
            self.head = self.head.wrapping_add(u64::from(FRAME_HEADER_BYTES + header.len));
        }
        None
    }

    fn read_header(&self, position: u64) -> Header {
        let mut bytes = [0; FRAME_HEADER_BYTES as usize];
        // SAFETY:
        // - `position` is between head and tail: published, and not written again before the head has passed it.
        unsafe { self.ring.shared.read::<T>(self.ring.part().offset_of(position), &mut bytes) };
        Header::from_bytes(bytes)
    }

    fn hand_over(&mut self, header: Header, take: &mut impl FnMut(Frame<'_, T>) -> Flow) -> Flow {
        let position = self.head.wrapping_add(u64::from(FRAME_HEADER_BYTES));
        let offset = self.ring.part().offset_of(position);
        // Private until `release`, so the payload stays whole while `take` looks at it.
        self.head = self.head.wrapping_add(u64::from(frame_bytes(header.len)));
        self.consumed = self.consumed.wrapping_add(1);
        let shared = &*self.ring.shared;
        if header.flags & FLAG_OBJECT == 0 {
            return take(Frame::Inline {
                kind: header.kind,
                payload: Payload { trust: PhantomData, shared, offset, len: header.len },
            });
        }
        let mut bits = [0; 8];
        // SAFETY:
        // - the payload lies between the released head and the tail, as its header does.
        unsafe { shared.read::<T>(offset, &mut bits) };
        let handle = Handle::from_bits(u64::from_le_bytes(bits));
        let object = handle.and_then(|handle| self.arena.land(handle, self.ring.part().carrier()).ok());
        let object = object.expect("a block in a ring stays in flight until its frame is taken");
        take(Frame::Object { kind: header.kind, object })
    }

    fn release_if_much(&mut self) {
        if self.head.wrapping_sub(self.released) >= u64::from(self.ring.part().max_inline_len()) {
            self.release();
        }
    }

    /// Gives the room of taken frames back and wakes a producer that waits for it.
    fn release(&mut self) {
        if self.released == self.head {
            return;
        }
        self.ring.consumed().store(self.consumed, Ordering::Release);
        // Pairs with the producer's Acquire of the head: our reads are over before it writes.
        self.ring.head().store(self.head, Ordering::Release);
        self.released = self.head;
        self.ring.room_bell().notify::<Fenced>(&self.ring.shared.memory);
    }
}

/// Releases at the end of a drain, however it ends.
struct Session<'a, T: Trust> {
    consumer: &'a mut Consumer<T>,
}

impl<T: Trust> Drop for Session<'_, T> {
    fn drop(&mut self) {
        self.consumer.release();
    }
}

impl<T: Trust> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.release();
        self.ring.leave_role(self.ring.consumer_role(), self.ring.room_bell());
    }
}
