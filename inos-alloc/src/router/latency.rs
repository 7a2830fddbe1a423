//! The peak-sensitive average of round trips, in integers.

use core::time::Duration;

use crate::decay::{left_after, nanos};

/// An hour in nanoseconds: no round trip counts as longer.
const MAX_ROUND_TRIP_NS: u64 = 3_600_000_000_000;

/// How long round trips take lately, worst case first: an observation above the average replaces it at once, one below it
/// pulls it down by half per half-life.
///
/// Without observations the average goes to `prior` at the same pace: what was seen long ago counts as little as what was
/// never seen, so a node that was slow once is tried again. The rule is Finagle's peak-EWMA, which goes to zero instead;
/// that makes a node which nobody has asked for a minute look faster than any node can be.
///
/// Round trips are whole nanoseconds up to an hour. The decay is 2^-x in fixed point, the same on every target; an average
/// is at most one nanosecond away from the exact value after each step.
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::PeakEwma;
///
/// let (ms, half_life) = (Duration::from_millis, Duration::from_secs(7));
/// let mut latency = PeakEwma::new(ms(20), ms(0));
/// latency.observe(ms(100), ms(0), half_life);
/// assert_eq!(latency.at(ms(20), ms(0), half_life), ms(100));
/// // Half of the way back after seven seconds.
/// assert_eq!(latency.at(ms(20), ms(7_000), half_life), ms(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeakEwma {
    value_ns: u64,
    /// When `value_ns` was the average.
    seen_ns: u64,
}

impl PeakEwma {
    /// An average that starts with one observation.
    #[must_use]
    pub fn new(round_trip: Duration, now: Duration) -> Self {
        Self { value_ns: round_trip_ns(round_trip), seen_ns: nanos(now) }
    }

    /// Takes in a round trip observed at `now`; a `now` before the last one counts as that. O(1).
    pub fn observe(&mut self, round_trip: Duration, now: Duration, half_life: Duration) {
        let (observed_ns, now_ns) = (round_trip_ns(round_trip), nanos(now));
        self.value_ns = if observed_ns >= self.value_ns {
            observed_ns
        } else {
            toward(self.value_ns, observed_ns, now_ns.saturating_sub(self.seen_ns), nanos(half_life))
        };
        self.seen_ns = self.seen_ns.max(now_ns);
    }

    /// The average at `now`, on its way to `prior` since the last observation. O(1).
    #[must_use]
    pub fn at(&self, prior: Duration, now: Duration, half_life: Duration) -> Duration {
        Duration::from_nanos(self.at_ns(round_trip_ns(prior), nanos(now), nanos(half_life)))
    }

    pub(super) fn at_ns(&self, prior_ns: u64, now_ns: u64, half_life_ns: u64) -> u64 {
        toward(self.value_ns, prior_ns, now_ns.saturating_sub(self.seen_ns), half_life_ns)
    }
}

pub(super) fn round_trip_ns(duration: Duration) -> u64 {
    nanos(duration).min(MAX_ROUND_TRIP_NS)
}

/// `target + (value - target) * 2^-(elapsed / half_life)`.
fn toward(value: u64, target: u64, elapsed_ns: u64, half_life_ns: u64) -> u64 {
    if value >= target {
        target + left_after(value - target, elapsed_ns, half_life_ns)
    } else {
        target - left_after(target - value, elapsed_ns, half_life_ns)
    }
}
