//! Clocks that run too fast or too slowly.

use core::time::Duration;

/// A member's own clock: it starts where it likes and runs at a rate of its own.
///
/// True time is in microseconds of the simulation; the member sees only [`local`](Self::local).
///
/// ```
/// use core::time::Duration;
/// use inos_quorum::sim::DriftingClock;
///
/// let fast = DriftingClock::new(0, Duration::from_secs(9), 47_000);
/// assert_eq!(fast.local(1_000_000), Duration::from_millis(10_047));
/// assert_eq!(fast.true_us(Duration::from_millis(10_047)), 1_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftingClock {
    true_start_us: u64,
    local_start_us: u64,
    /// Local microseconds per true second.
    rate: u64,
}

/// Microseconds of a second.
const SECOND_US: u64 = 1_000_000;

impl DriftingClock {
    /// At `true_start_us` it shows `local_start`; it gains `gain_per_million` on true time, or loses that much. Taken as
    /// -999,999 when less.
    ///
    /// # Panics
    ///
    /// When `local_start` is more than 500,000 years.
    #[must_use]
    pub fn new(true_start_us: u64, local_start: Duration, gain_per_million: i64) -> Self {
        let local_start_us = u64::try_from(local_start.as_micros()).expect("a start within 500,000 years");
        let rate = SECOND_US.saturating_add_signed(gain_per_million).max(1);
        Self { true_start_us, local_start_us, rate }
    }

    /// What it shows, rounded down to microseconds.
    #[must_use]
    pub const fn local(&self, true_us: u64) -> Duration {
        let passed_us = true_us.saturating_sub(self.true_start_us);
        // Seconds and rest apart: their product with the rate must not overflow.
        let (seconds, rest) = (passed_us / SECOND_US, passed_us % SECOND_US);
        Duration::from_micros(self.local_start_us + seconds * self.rate + rest * self.rate / SECOND_US)
    }

    /// The first microsecond of true time at which it shows `local` or more.
    #[must_use]
    pub fn true_us(&self, local: Duration) -> u64 {
        let whole_us = u64::try_from(local.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX);
        let ahead_us = whole_us.saturating_sub(self.local_start_us);
        let (whole, rest) = (ahead_us / self.rate, ahead_us % self.rate);
        let passed_us = whole.saturating_mul(SECOND_US).saturating_add((rest * SECOND_US).div_ceil(self.rate));
        self.true_start_us.saturating_add(passed_us)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::DriftingClock;
    use crate::sim::Rng;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A deadline that is asked for too early would be asked for again and again.
    #[test]
    fn true_time_is_the_first_moment_of_a_deadline() {
        let mut rng = Rng::new(5);
        for _ in 0..10_000 {
            let gain = i64::try_from(rng.below(100_000)).unwrap() - 50_000;
            let start_us = rng.below(1 << 40);
            let clock = DriftingClock::new(start_us, Duration::from_micros(rng.below(1 << 40)), gain);
            let deadline = clock.local(start_us) + Duration::from_nanos(rng.below(1 << 45));
            let due_us = clock.true_us(deadline);
            assert!(clock.local(due_us) >= deadline, "{clock:?} {deadline:?}");
            assert!(due_us == start_us || clock.local(due_us - 1) < deadline, "{clock:?} {deadline:?}");
        }
        let clock = DriftingClock::new(7, Duration::from_secs(3), 0);
        assert_eq!((clock.local(0), clock.true_us(Duration::ZERO)), (Duration::from_secs(3), 7));
        assert!(clock.true_us(Duration::MAX) > u64::MAX / 2, "for ever");
    }
}
