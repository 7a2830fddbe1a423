//! The peak-sensitive average of round trips, in integers.

use core::time::Duration;

/// An hour in nanoseconds: no round trip counts as longer.
const MAX_ROUND_TRIP_NS: u64 = 3_600_000_000_000;

/// How long round trips take lately, worst case first: an observation above the average replaces it at once, one below it
/// pulls it down by half per half-life.
///
/// Without observations the average goes to `prior` at the same pace: what was seen long ago counts as little as what was
/// never seen, so a node that was slow once is tried again. The rule is Finagle's peak-EWMA, which goes to zero instead;
/// that makes a node which nobody has asked for a minute look faster than any node can be.
///
/// Round trips are whole nanoseconds up to an hour. The decay is 2^-x in fixed point, the same on every target: x is
/// rounded down to 2^-24, so that an average is at most one part in 10 million of its distance to the target, and one
/// nanosecond, away from the exact value after each step.
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

/// Whole nanoseconds; more than `u64` holds, 584 years, counts as that.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn round_trip_ns(duration: Duration) -> u64 {
    nanos(duration).min(MAX_ROUND_TRIP_NS)
}

/// `target + (value - target) * 2^-(elapsed / half_life)`, the distance rounded down.
fn toward(value: u64, target: u64, elapsed_ns: u64, half_life_ns: u64) -> u64 {
    if value >= target {
        target + decayed(value - target, elapsed_ns, half_life_ns)
    } else {
        target - decayed(target - value, elapsed_ns, half_life_ns)
    }
}

/// Bits of a fraction of a half-life that one table answers for.
const TABLE_BITS: u32 = 6;
const TABLE_LEN: usize = 1 << TABLE_BITS;
/// Four tables: a fraction in 24 bits.
const TABLES: usize = 4;
const FRACTION_BITS: u32 = 24;

/// `HALVINGS[t][d]` is 2^-(d / 64^(t + 1)) in 63 bits after the point.
const HALVINGS: [[u64; TABLE_LEN]; TABLES] = halvings();

/// By square roots and products alone: 2^-(1/2) is the root of one half, 2^-(1/4) the root of that.
const fn halvings() -> [[u64; TABLE_LEN]; TABLES] {
    const ONE: u64 = 1 << 63;
    let mut tables = [[ONE; TABLE_LEN]; TABLES];
    let mut root = ONE / 2;
    let mut bit = 0;
    while bit < FRACTION_BITS {
        root = square_root(root);
        // Bit `bit` after the point is digit bit `5 - bit % 6` of table `bit / 6`.
        let table = (bit / TABLE_BITS) as usize;
        let mask = 1 << (TABLE_BITS - 1 - bit % TABLE_BITS);
        let mut digit = 0;
        while digit < TABLE_LEN {
            if digit & mask != 0 {
                tables[table][digit] = product(tables[table][digit], root);
            }
            digit += 1;
        }
        bit += 1;
    }
    tables
}

/// `a * b` with 63 bits after the point.
#[expect(clippy::cast_possible_truncation, reason = "both are at most one, and TryFrom is not const")]
const fn product(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 63) as u64
}

/// The square root of `a`, at most one, with 63 bits after the point.
#[expect(clippy::cast_possible_truncation, reason = "the root of at most one is at most one, and TryFrom is not const")]
const fn square_root(a: u64) -> u64 {
    ((a as u128) << 63).isqrt() as u64
}

/// `distance * 2^-(elapsed / half_life)`, rounded down. A half-life of zero counts as one nanosecond.
fn decayed(distance: u64, elapsed_ns: u64, half_life_ns: u64) -> u64 {
    let half_life = half_life_ns.max(1);
    let whole = elapsed_ns / half_life;
    let Some(halved) = u32::try_from(whole).ok().and_then(|whole| distance.checked_shr(whole)) else { return 0 };
    let rest = elapsed_ns % half_life;
    if halved == 0 || rest == 0 {
        return halved;
    }
    // Below 2^24, because `rest` is below the half-life.
    let fraction = (u128::from(rest) << FRACTION_BITS) / u128::from(half_life);
    let mut factor = 1u128 << 63;
    let mut shift = FRACTION_BITS;
    for table in &HALVINGS {
        shift -= TABLE_BITS;
        let digit = usize::try_from((fraction >> shift) % (1 << TABLE_BITS)).unwrap_or(0);
        factor = (factor * u128::from(table[digit])) >> 63;
    }
    // Shifted last, so that whole half-lives cost no precision.
    let scaled = (u128::from(distance) * factor) >> 63;
    u64::try_from(scaled).unwrap_or(u64::MAX).checked_shr(u32::try_from(whole).unwrap_or(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    //! Goal: the fixed-point decay is right to the last bits, on any target. Method: values computed by a separate
    //! program with 60 decimal digits, and the ends of the range.

    use super::{decayed, halvings};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn golden_values() {
        let tables = halvings();
        // 2^-(1/2), 2^-(1/64), 2^-(63/64), 2^-(1/4096), 2^-(1/2^24), each times 2^63.
        let golden = [
            (tables[0][32], 6_521_908_912_666_391_106),
            (tables[0][1], 9_124_017_994_966_720_698),
            (tables[0][63], 4_661_903_986_662_671_289),
            (tables[1][1], 9_221_811_340_221_203_998),
            (tables[3][1], 9_223_371_655_793_091_286),
        ];
        for (ours, exact) in golden {
            assert!(ours.abs_diff(exact) <= 16, "{ours} for {exact}");
        }
        assert_eq!(tables.map(|table| table[0]), [1 << 63; 4]);
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!(decayed(u64::MAX, 0, 0), u64::MAX);
        assert_eq!(decayed(u64::MAX, 63, 1), 1);
        assert_eq!(decayed(u64::MAX, 64, 1), 0);
        assert_eq!(decayed(u64::MAX, u64::MAX, 1), 0);
        assert_eq!(decayed(u64::MAX, u64::MAX, 0), 0);
        assert_eq!(decayed(1_000_000, 1, u64::MAX), 1_000_000);
        assert!(decayed(u64::MAX, u64::MAX - 1, u64::MAX).abs_diff(9_223_372_417_916_476_072) <= 64);
    }
}
