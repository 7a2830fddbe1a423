//! Goal: the average jumps to a peak at once and decays as 2^-x does, on integers as close to it as documented. Method: a
//! twin in floating point over random observations, and the rules one by one.

use core::time::Duration;
use inos_alloc::PeakEwma;
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::ms;

struct Float {
    value: f64,
    seen: f64,
}

impl Float {
    fn toward(&self, target: f64, now: f64, half_life: f64) -> f64 {
        target + (self.value - target) * (-(now - self.seen) / half_life).exp2()
    }

    fn observe(&mut self, round_trip: f64, now: f64, half_life: f64) {
        self.value = if round_trip >= self.value { round_trip } else { self.toward(round_trip, now, half_life) };
        self.seen = now;
    }
}

fn ns(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn follows_its_twin(
        first in 0u64..10_000_000_000,
        seen in prop::collection::vec((0u64..10_000_000_000, 0u64..5_000_000_000), 0..60),
        half_life in 1u64..20_000_000_000,
        (prior, idle) in (0u64..10_000_000_000, 0u64..100_000_000_000),
    ) {
        let half_life = Duration::from_nanos(half_life);
        let mut ours = PeakEwma::new(Duration::from_nanos(first), ms(0));
        let mut twin = Float { value: ns(Duration::from_nanos(first)), seen: 0.0 };
        let mut now = ms(0);
        // Of each step: a ten millionth of at most ten seconds, and a nanosecond. Earlier errors never grow.
        let mut bound = 0.0;
        let step = 1e-7 * 1e10 + 1.0;
        for (round_trip, after) in seen {
            now += Duration::from_nanos(after);
            let round_trip = Duration::from_nanos(round_trip);
            ours.observe(round_trip, now, half_life);
            twin.observe(ns(round_trip), ns(now), ns(half_life));
            bound += step;
            let average = ns(ours.at(ms(0), now, half_life));
            prop_assert!((average - twin.value).abs() <= bound, "{} for {}", average, twin.value);
        }
        now += Duration::from_nanos(idle);
        let prior = Duration::from_nanos(prior);
        let at = ns(ours.at(prior, now, half_life));
        let exact = twin.toward(ns(prior), ns(now), ns(half_life));
        prop_assert!((at - exact).abs() <= bound + step, "{} for {}", at, exact);
    }

    #[test]
    fn one_step_is_within_its_error(
        (peak, prior) in (0u64..3_600_000_000_000, 0u64..3_600_000_000_000),
        (elapsed, half_life) in (0u64..1 << 40, 1u64..1 << 36),
    ) {
        let (start, half_life) = (ms(0), Duration::from_nanos(half_life));
        let average = PeakEwma::new(Duration::from_nanos(peak), start);
        let at = ns(average.at(Duration::from_nanos(prior), Duration::from_nanos(elapsed), half_life));
        let float = |ns: u64| self::ns(Duration::from_nanos(ns));
        let exact = Float { value: float(peak), seen: 0.0 }.toward(float(prior), float(elapsed), ns(half_life));
        let distance = (float(peak) - float(prior)).abs();
        // The twin itself is off by some 2^-50.
        prop_assert!((at - exact).abs() <= distance * 1e-7 + 1.01, "{} for {}", at, exact);
        prop_assert!((float(peak).min(float(prior))..=float(peak).max(float(prior))).contains(&at));
    }
}

#[test]
fn jumps_up_and_decays_down() {
    let half_life = ms(1000);
    let mut average = PeakEwma::new(ms(40), ms(0));
    average.observe(ms(20), ms(1000), half_life);
    assert_eq!(average.at(ms(20), ms(1000), half_life), ms(30));
    average.observe(ms(500), ms(1000), half_life);
    assert_eq!(average.at(ms(0), ms(1000), half_life), ms(500));
    // Many fast answers at once do not wash a peak away.
    for _ in 0..1000 {
        average.observe(ms(1), ms(1000), half_life);
    }
    assert_eq!(average.at(ms(0), ms(1000), half_life), ms(500));
    // An observation that comes late in order counts as of now, and time does not go back.
    average.observe(ms(1), ms(500), half_life);
    assert_eq!(average.at(ms(0), ms(500), half_life), ms(500));
    assert_eq!(average.at(ms(0), ms(3000), half_life), ms(125));
    // Towards a higher expectation, too.
    assert_eq!(average.at(ms(900), ms(3000), half_life), ms(800));
}

#[test]
fn ends_of_the_range() {
    let hour = Duration::from_secs(3600);
    let mut average = PeakEwma::new(Duration::MAX, Duration::MAX);
    assert_eq!(average.at(Duration::MAX, Duration::ZERO, Duration::ZERO), hour);
    average.observe(Duration::ZERO, Duration::MAX, Duration::ZERO);
    assert_eq!(average.at(Duration::ZERO, Duration::MAX, Duration::ZERO), hour);
    let old = PeakEwma::new(Duration::MAX, Duration::ZERO);
    assert_eq!(old.at(Duration::ZERO, Duration::MAX, Duration::ZERO), Duration::ZERO);
    assert!(old.at(Duration::ZERO, Duration::MAX, Duration::MAX).abs_diff(hour / 2) < ms(1));
}
