//! Back-pressure: how far the reader is behind, and what the writer should do about it.

use crate::layout::Watermarks;
use crate::ring::RingRef;
use crate::sync::Ordering;

/// What a writer should do. Ordered: `Ok < Warn < Full`.
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
    /// writer each, so it cannot drift or go below zero.
    #[must_use]
    pub fn count(&self) -> u64 {
        // The consumer's counter first: a value of it implies that many frames were produced, and Acquire makes the
        // later load see at least as many.
        let consumed = self.ring.consumed().load(Ordering::Acquire);
        self.ring.produced().load(Ordering::Relaxed).wrapping_sub(consumed)
    }

    /// Bytes published and not yet consumed, headers and padding included; at most the ring's.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        // The head first, as in `count`; by the time of the second load the ring may have gone round.
        let head = self.ring.head().load(Ordering::Acquire);
        let used = self.ring.tail().load(Ordering::Acquire).wrapping_sub(head);
        used.min(u64::from(self.ring.part().bytes()))
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
        assess(&self.ring, self.bytes(), self.count(), warned)
    }
}

/// The rule of both sides. `warned` is what the writer was told before: between the marks it stays as it was.
pub(crate) fn assess(ring: &RingRef, bytes: u64, count: u64, warned: bool) -> Pressure {
    let marks = ring.watermarks();
    // An empty ring is at ease whatever the counters say.
    if bytes == 0 {
        return Pressure::Ok;
    }
    if bytes > ring.part().roomy_up_to() {
        return Pressure::Full;
    }
    let high = bytes >= u64::from(marks.high_bytes) || count >= u64::from(marks.high_count);
    let low = bytes <= u64::from(marks.low_bytes) && count <= u64::from(marks.low_count);
    if high || (warned && !low) { Pressure::Warn } else { Pressure::Ok }
}
