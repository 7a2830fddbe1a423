//! Back-pressure: how far the reader is behind, and what the writer should do about it.

use crate::layout::Watermarks;
use crate::ring::cursor::{Span, UNIT_BYTES};
use crate::ring::{Part, RingRef};
use crate::sync::Ordering;

/// What a writer should do. Ordered: `Ok < Warn < Full`. Every push returns it, so that the writer can
/// pause before one is refused.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use inos_sab::{Flow, Layout, Pressure, Region, Threads, Wake};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let (mut producer, mut consumer) = (region.inbox_producer()?, region.inbox_consumer()?);
/// while producer.try_push(1, &[0; 56])? == Pressure::Ok {} // half the ring: read no more from the source
/// assert_eq!(region.inbox_flow().bytes(), 2048);
/// assert_ne!(producer.wait_low(Some(Duration::ZERO)), Wake::Ready);
///
/// consumer.drain(16, |_| Flow::Continue)?; // the reader, usually on another thread, comes down to a quarter
/// assert_eq!(producer.wait_low(None), Wake::Ready);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Go on.
    Ok,
    /// A high mark was reached and the backlog has not yet fallen to both low marks: stop reading from the network.
    Warn,
    /// The longest inline frame may not fit.
    Full,
}

/// A view of one ring's backlog, from any thread. It never changes what it looks at. While both ends move, its figures
/// may include frames that were consumed meanwhile.
///
/// # Examples
///
/// ```
/// use inos_sab::{Layout, Pressure, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let flow = region.inbox_flow();
/// let mut producer = region.inbox_producer()?;
/// producer.try_push(1, b"job")?;
/// assert_eq!((flow.count(), flow.bytes(), flow.pressure()), (1, 16, Pressure::Ok));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlowControl {
    ring: RingRef,
}

impl FlowControl {
    pub(crate) fn new(ring: RingRef) -> Self {
        Self { ring }
    }

    /// Frames published and not yet consumed ("InboxCount" of the inbox): the difference of two counters with one
    /// writer each, so it cannot drift or go below zero. At most an eighth of the ring's bytes, as a frame takes eight.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.backlog().frames)
    }

    /// Bytes published and not yet consumed, headers and padding included; at most the ring's.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.backlog().bytes())
    }

    /// The marks in force.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        self.ring.watermarks()
    }

    /// What the writer was last told, or would be told if it looked now.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        let warned = self.ring.warned().load(Ordering::Relaxed) != 0;
        Marks::new(self.ring.watermarks(), self.ring.part()).assess(self.backlog(), warned)
    }

    fn backlog(&self) -> Span {
        // The head first: the frames behind it were published, and Acquire makes the later load see at least as many.
        // By then the ring may have gone round: a backlog is never more than the ring.
        let head = self.ring.head();
        let span = self.ring.tail().since(head);
        let most = self.ring.part().bytes() / UNIT_BYTES;
        Span { frames: span.frames.min(most), units: span.units.min(most) }
    }
}

/// The rule of both sides, in numbers that are at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    marks: Watermarks,
    roomy_up_to: u32,
    /// Below these, nothing has to be asked.
    calm_units: u32,
    calm_frames: u32,
}

impl Marks {
    pub(crate) fn new(marks: Watermarks, part: Part) -> Self {
        let roomy_up_to = part.roomy_up_to();
        let calm_units = marks.high_bytes.min(roomy_up_to).div_ceil(UNIT_BYTES);
        Self { marks, roomy_up_to, calm_units, calm_frames: marks.high_count }
    }

    /// Whether a writer that is not warned has nothing to ask.
    #[inline]
    pub(crate) fn is_calm(&self, used: Span) -> bool {
        used.units < self.calm_units && used.frames < self.calm_frames
    }

    /// `warned` is what the writer was told before: between the marks it stays as it was.
    pub(crate) fn assess(&self, used: Span, warned: bool) -> Pressure {
        let Watermarks { high_bytes, low_bytes, high_count, low_count } = self.marks;
        let (bytes, count) = (used.bytes(), used.frames);
        // An empty ring is at ease whatever the marks say.
        if bytes == 0 {
            return Pressure::Ok;
        }
        if bytes > self.roomy_up_to {
            return Pressure::Full;
        }
        let high = bytes >= high_bytes || count >= high_count;
        let low = bytes <= low_bytes && count <= low_count;
        if high || (warned && !low) { Pressure::Warn } else { Pressure::Ok }
    }
}
