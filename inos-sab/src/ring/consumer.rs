//! The reading end.

use super::RingRef;
use super::cursor::Cursor;
use super::frame::{FLAG_OBJECT, FLAG_PADDING, Flow, Form, Frame, FrameInfo, Header, Payload};
use crate::arena::{Arena, Handle};
use crate::error::{Corrupt, RegionError, Stale};
use crate::sync::Ordering;
use crate::sync::barrier::Announced;
use crate::sync::bell::{Asked, FENCE_ASKED, Manner, Patience, Wake};
use crate::trust::sealed::Sealed;
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
/// })?;
/// assert_eq!(taken, 1);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Consumer<T: Trust = Threads> {
    ring: RingRef,
    arena: Arena<T>,
    /// Where reading goes on; ahead of the shared head within a drain.
    head: Cursor,
    released: Cursor,
    /// The producer's cursor when last looked at. Of a corrupt ring the head, so that nothing seems to be there.
    tail: Cursor,
    manner: Manner,
    /// Frames taken when it last slept.
    slept_at: u32,
    corrupt: Option<Corrupt>,
}

/// A reader that sleeps within so many frames of its last sleep, or of its beginning, asks its wakers to fence. A waker's fence costs some 20 ns, asking all
/// processors for one a system call and an interrupt for each that runs a thread of theirs: some microseconds.
const OFTEN: u32 = 64;

/// A header that was checked.
#[derive(Clone, Copy, Debug)]
struct Next {
    header: Header,
    units: u32,
}

impl<T: Trust> Consumer<T> {
    pub(crate) fn new(ring: RingRef, arena: Arena<T>) -> Result<Self, RegionError> {
        ring.take_role(ring.consumer_role())?;
        // The role's Acquire orders this after the last holder's stores.
        let head = ring.head();
        let manner = Manner::of(<T as Sealed>::LEVEL);
        Ok(Self { ring, arena, head, released: head, tail: head, manner, slept_at: head.frames(), corrupt: None })
    }

    /// How [`wait`](Self::wait) passes the time.
    pub fn set_patience(&mut self, patience: Patience) {
        self.manner.patience = patience;
    }

    /// The next frame, if there is one, without taking it.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], now and at every later call.
    pub fn peek(&mut self) -> Result<Option<FrameInfo>, Corrupt> {
        while self.look()? {
            if let Some(Next { header, .. }) = self.checked()? {
                let form = if header.flags & FLAG_OBJECT == 0 { Form::Inline } else { Form::Object };
                return Ok(Some(FrameInfo { kind: header.kind, form, len: header.len }));
            }
        }
        Ok(None)
    }

    /// Hands up to `max` frames to `take`, in order, each exactly once; returns how many. With `usize::MAX` these are at
    /// least all that were published before the call; it looks for more only once, so a fast producer cannot keep it for
    /// ever. Room goes back to the producer after at most an eighth of the ring, and at the end, also when `take` panics.
    ///
    /// When a reader process dies, frames that it took since it last gave room back are delivered again to the next one,
    /// with their blocks as the dead left them: whoever writes into a block that it received counts on that.
    ///
    /// # Errors
    ///
    /// [`Corrupt`], now and at every later call, when the very next frame is not one; frames in front of it are handed
    /// over, and counted by the call before.
    #[inline]
    pub fn drain(&mut self, max: usize, mut take: impl FnMut(Frame<'_, T>) -> Flow) -> Result<usize, Corrupt> {
        let session = Session { consumer: self };
        let this = &mut *session.consumer;
        let (mut count, mut looked) = (0, false);
        while count < max {
            if this.head.units() == this.tail.units() {
                // Each look takes the line of the tail from the producer.
                if core::mem::replace(&mut looked, true) {
                    break;
                }
                match this.look_at_tail() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) if count > 0 => break,
                    Err(corrupt) => return Err(corrupt),
                }
            }
            let next = match this.checked() {
                Ok(Some(next)) => next,
                // Padding: the frame it makes room for is behind it.
                Ok(None) => continue,
                Err(_) if count > 0 => break,
                Err(corrupt) => return Err(corrupt),
            };
            count += 1;
            let flow = this.hand_over(next, &mut take);
            this.release_if_much();
            if flow == Flow::Break {
                break;
            }
        }
        Ok(count)
    }

    /// Sleeps until a frame can be taken; without a `timeout` as long as it takes, with [`Duration::ZERO`] not at all.
    /// [`Wake::Closed`] when the producer has left and the ring is empty; a ring whose
    /// producer has not come yet is waited for. [`Wake::Corrupt`] when the next [`drain`](Self::drain) says so.
    #[inline]
    pub fn wait(&mut self, timeout: Option<Duration>) -> Wake {
        let wake = self.manner.spin(timeout, &mut || self.check()).unwrap_or_else(|| {
            let manner = self.before_sleep();
            let ring = self.ring.clone();
            ring.data_bell().park(ring.shared(), manner, timeout, &mut || self.check())
        });
        self.ring.shared().beat();
        wake
    }

    /// Decides who fences for the sleep that comes.
    fn before_sleep(&mut self) -> Manner {
        let often = self.has_slept_lately();
        self.slept_at = self.head.frames();
        if often {
            self.ask_for_fences();
        } else {
            self.ask_for_none();
        }
        self.manner
    }

    #[inline]
    fn has_slept_lately(&self) -> bool {
        self.head.frames().wrapping_sub(self.slept_at) < OFTEN
    }

    /// From now on every waker that sees no sleeper sees the request, and fences.
    #[cold]
    pub(crate) fn ask_for_fences(&mut self) {
        if self.manner.asked == Asked::No && self.manner.fences.can_ask() {
            self.ring.data_sleepers().fetch_or(FENCE_ASKED, Ordering::Relaxed);
            self.manner.asked = Asked::Yes;
            if self.manner.fences.sleeper() != Announced::Surely {
                // The system refused: not all wakers are sure to have seen it.
                self.ask_for_none();
            }
        }
    }

    /// A waker that has not seen it yet fences for nothing.
    #[cold]
    fn ask_for_none(&mut self) {
        if self.manner.asked == Asked::Yes {
            self.manner.asked = Asked::No;
            self.ring.data_sleepers().fetch_and(!FENCE_ASKED, Ordering::Relaxed);
        }
    }

    #[inline]
    fn check(&mut self) -> Option<Wake> {
        // The role first: what its holder published last is in the tail that is read after.
        let closed = RingRef::has_left(self.ring.producer_role());
        // The next frame comes with the tail, not after it: a message costs a reader that waits for it one delay.
        self.ring.place.prefetch(self.head.units());
        match self.look() {
            Ok(true) => Some(Wake::Ready),
            Ok(false) if closed => Some(Wake::Closed),
            Ok(false) => None,
            Err(_) => Some(Wake::Corrupt),
        }
    }

    /// The arena of the region, for answers.
    #[must_use]
    pub fn arena(&self) -> &Arena<T> {
        &self.arena
    }

    /// What all parts of the region share.
    #[cfg(not(inos_loom))]
    pub(crate) fn shared(&self) -> alloc::sync::Arc<crate::region::Shared> {
        alloc::sync::Arc::clone(self.ring.shared())
    }

    /// Whether something is there.
    #[inline]
    fn look(&mut self) -> Result<bool, Corrupt> {
        if self.head.units() != self.tail.units() { Ok(true) } else { self.look_at_tail() }
    }

    fn look_at_tail(&mut self) -> Result<bool, Corrupt> {
        if let Some(corrupt) = self.corrupt {
            return Err(corrupt);
        }
        let tail = self.ring.tail();
        // Equal positions with unequal counts do not fit either.
        if !tail.since(self.head).fits(self.ring.part().units) {
            return Err(self.refuse(self.ring.corrupt_cursors(tail, self.head)));
        }
        self.tail = tail;
        Ok(tail != self.head)
    }

    /// From now on nothing is taken from this ring.
    #[cold]
    fn refuse(&mut self, corrupt: Corrupt) -> Corrupt {
        self.corrupt = Some(corrupt);
        self.tail = self.head;
        corrupt
    }

    /// The frame at the head, which is not the tail; `None` when it was padding, which is passed over. Padding is as long
    /// as the longest frame at most, and ends at the end of the ring, so there are never two.
    #[inline]
    fn checked(&mut self) -> Result<Option<Next>, Corrupt> {
        let part = self.ring.part();
        // SAFETY:
        // - the unit is between head and tail: published, and not written again before the head has passed it.
        let bits = unsafe { self.ring.place.read_unit::<T>(self.head.units()) };
        let header = Header::from_bits(bits);
        let unit = part.index(self.head.units());
        let Some(units) = header.units(part.units - unit, self.tail.since(self.head), part.units) else {
            return Err(self.refuse(Corrupt::Header { header: bits, unit }));
        };
        if header.flags & FLAG_PADDING == 0 {
            return Ok(Some(Next { header, units }));
        }
        self.head = self.head.past_padding(units);
        Ok(None)
    }

    /// Only inline frames are handed over in the loop of `drain` itself, so that `take` is compiled into it.
    #[inline]
    fn hand_over(&mut self, next: Next, take: &mut impl FnMut(Frame<'_, T>) -> Flow) -> Flow {
        let Next { header: Header { len, kind, flags }, units } = next;
        if flags & FLAG_OBJECT != 0 {
            return self.hand_over_object(next, take);
        }
        // Private until `release`, so the payload stays whole while `take` looks at it.
        let payload = self.head.units().wrapping_add(1);
        self.head = self.head.after(units);
        // The header was checked: the payload does not reach over the end of the ring.
        take(Frame::Inline {
            kind,
            payload: Payload { trust: PhantomData, place: &self.ring.place, units: payload, len },
        })
    }

    #[inline(never)]
    fn hand_over_object(&mut self, next: Next, take: &mut impl FnMut(Frame<'_, T>) -> Flow) -> Flow {
        let frame = self.object(next.header.kind);
        self.head = self.head.after(next.units);
        take(frame)
    }

    /// The object frame at the head. Its block is ours before the head passes the frame.
    fn object(&self, kind: u16) -> Frame<'static, T> {
        // SAFETY:
        // - the payload lies between the head and the tail, as its header does.
        let bits = unsafe { self.ring.place.read_unit::<T>(self.head.units().wrapping_add(1)) };
        match Handle::from_bits(bits)
            .ok_or(Stale::Freed)
            .and_then(|handle| self.arena.land(handle, self.ring.part().carrier()))
        {
            Ok(object) => Frame::Object { kind, object },
            Err(reason) => Frame::Gone { kind, reason },
        }
    }

    #[inline]
    fn release_if_much(&mut self) {
        // An eighth of the ring.
        if self.head.since(self.released).units >= self.ring.part().units / 8 {
            self.release();
        }
    }

    /// Gives the room of taken frames back and wakes a producer that waits for it.
    #[inline]
    fn release(&mut self) {
        if self.released == self.head {
            return;
        }
        self.ring.set_head(self.head);
        self.released = self.head;
        self.ring.notify_room(self.manner.fences);
        if self.manner.asked == Asked::Yes && !self.has_slept_lately() {
            self.ask_for_none();
        }
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
        if self.ring.shared().check_process().is_ok() {
            self.ask_for_none();
        }
        self.ring.leave_role(self.ring.consumer_role());
        self.ring.notify_room(self.manner.fences);
    }
}

/// Goal: a reader asks for fences while it sleeps often, and no longer. Method: the bit in its count of sleepers.
#[cfg(all(test, not(inos_loom), feature = "std", target_os = "linux"))]
mod tests {
    use super::{FENCE_ASKED, Flow, OFTEN};
    use crate::{Layout, Patience, Region, Threads, Wake};
    use core::sync::atomic::Ordering;
    use core::time::Duration;

    #[test]
    fn fences_are_asked_for_while_sleeps_are_frequent() {
        let layout = Layout::compact(1 << 12, 1 << 20, 1 << 16).expect("powers of two");
        let region = Region::<Threads>::heap(&layout).expect("memory");
        let mut producer = region.inbox_producer().expect("free role");
        let mut consumer = region.inbox_consumer().expect("free role");
        consumer.set_patience(Patience::Park);
        let ring = consumer.ring.clone();
        let is_asked = || ring.data_sleepers().load(Ordering::Relaxed) == FENCE_ASKED;
        let can_ask = consumer.manner.fences.can_ask();

        for _ in 0..2 {
            assert_eq!(consumer.wait(Some(Duration::from_millis(1))), Wake::TimedOut);
            assert_eq!(is_asked(), can_ask);
        }
        for frame in 1..=OFTEN {
            producer.try_push(1, &[]).expect("room");
            assert_eq!(consumer.drain(1, |_| Flow::Continue), Ok(1));
            assert_eq!(is_asked(), can_ask && frame < OFTEN, "after {frame} frames");
        }
        consumer.ask_for_fences();
        assert_eq!(is_asked(), can_ask);
        drop(consumer);
        assert!(!is_asked(), "the next reader starts anew");
    }
}
