//! Goal: the score depends on the traffic, not on how it is recorded; the lightest resource makes room. Method: the twin in
//! floats, records split and merged, and ten million ids.

use super::{FULL, Monitor, all, at, monitor, policy};
use core::time::Duration;
use inos_alloc::{DemandPolicy, Replicas, Scale, SignalWeights, Signals};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// One resource of the twin.
struct Known {
    id: u32,
    levels: [f64; 4],
    last: f64,
    span: f64,
}

/// Floats, seconds, and a scan over everything.
struct Naive {
    weights: [f64; 4],
    full_scale: [f64; 4],
    half_life: f64,
    known: Vec<Known>,
}

impl Naive {
    fn record(&mut self, id: u32, amounts: [f64; 4], now: f64) {
        if !self.known.iter().any(|known| known.id == id) {
            self.known.push(Known { id, levels: [0.0; 4], last: now, span: 0.0 });
        }
        let known = self.known.iter_mut().find(|known| known.id == id).unwrap();
        if now > known.last {
            known.span = now - known.last;
            known.levels = known.levels.map(|level| level * (-known.span / self.half_life).exp2());
            known.last = now;
        }
        for ((level, amount), full_scale) in known.levels.iter_mut().zip(amounts).zip(self.full_scale) {
            // A rate over the span moves the level towards itself; at one moment, the limit of that.
            let share = if known.span > 0.0 {
                -(-known.span / self.half_life * core::f64::consts::LN_2).exp_m1() / known.span
            } else {
                core::f64::consts::LN_2 / self.half_life
            };
            *level = (*level + amount / full_scale * share).min(1.0);
        }
    }

    fn weigh(&self, levels: [f64; 4]) -> f64 {
        levels.iter().zip(self.weights).map(|(level, weight)| level * weight).sum()
    }

    fn score(&self, id: u32, now: f64) -> f64 {
        let Some(known) = self.known.iter().find(|known| known.id == id) else { return 0.0 };
        let silence = (now - known.last - known.span).max(0.0);
        self.weigh(known.levels) * (-silence / self.half_life).exp2()
    }

    /// What an entry weighs at `now`.
    fn weight(&self, known: &Known, now: f64) -> f64 {
        self.weigh(known.levels) * (-(now - known.last) / self.half_life).exp2()
    }
}

fn weights() -> impl Strategy<Value = SignalWeights> {
    (0u16..=1000, 0u16..=1000, 0u16..=1000).prop_map(|(a, b, c)| {
        let mut cuts = [a, b, c];
        cuts.sort_unstable();
        let [a, b, c] = cuts;
        SignalWeights { accesses: a, network: b - a, compute: c - b, credits: 1000 - c }
    })
}

fn amounts(most: u64) -> impl Strategy<Value = Signals> {
    [0..=most, 0..=most, 0..=most, 0..=most].prop_map(|[accesses, network_bytes, compute_ms, credits]| Signals {
        accesses,
        network_bytes,
        compute_ms,
        credits,
    })
}

fn floats(signals: Signals) -> [f64; 4] {
    [signals.accesses, signals.network_bytes, signals.compute_ms, signals.credits].map(|amount| amount as f64)
}

proptest! {
    /// The twin agrees to one rounding, and whoever is forgotten weighed least.
    #[test]
    fn scores_and_evictions_are_those_of_the_twin(
        weights in weights(),
        half_life_ms in 1u64..60_000,
        capacity in 1u32..6,
        steps in prop::collection::vec((0u32..8, amounts(40_000_000), 0u64..20_000), 1..120),
    ) {
        let policy = DemandPolicy {
            weights, half_life: at(half_life_ms), cooldown: at(half_life_ms), capacity, ..policy()
        };
        let mut monitor = monitor(policy);
        let w = [weights.accesses, weights.network, weights.compute, weights.credits].map(f64::from);
        let mut naive = Naive {
            weights: w, full_scale: floats(FULL), half_life: half_life_ms as f64 / 1e3, known: Vec::new(),
        };
        let mut now = Duration::ZERO;
        for (id, amounts, wait_ms) in steps {
            now += at(wait_ms);
            let seconds = now.as_secs_f64();
            let full = naive.known.len() == usize::try_from(capacity).unwrap();
            let evicted = monitor.record(id, amounts, now);
            let new = !naive.known.iter().any(|known| known.id == id);
            let nothing = floats(amounts).iter().zip(w).all(|(amount, weight)| amount * weight == 0.0);
            prop_assert_eq!(evicted.is_some(), new && full && !nothing);
            if let Some(gone) = evicted {
                let least = naive.known.iter().map(|known| naive.weight(known, seconds)).fold(f64::MAX, f64::min);
                let index = naive.known.iter().position(|known| known.id == gone).unwrap();
                prop_assert!(naive.weight(&naive.known[index], seconds) <= least * (1.0 + 1e-9) + 1e-12);
                naive.known.remove(index);
            }
            if !new || !full || evicted.is_some() {
                naive.record(id, floats(amounts), seconds);
            }
            for id in 0..8 {
                for later in [now, now + at(wait_ms / 2), now + at(3 * wait_ms)] {
                    let score = naive.score(id, later.as_secs_f64());
                    let ours = f64::from(monitor.score(&id, later).permille());
                    prop_assert!((ours - score).abs() <= 0.5 + 1e-6, "{} {}", ours, score);
                }
            }
        }
    }

    /// The same even traffic, recorded in one way and in another: one thousandth at most, from rounding.
    #[test]
    fn how_often_is_recorded_does_not_matter(
        half_life_ms in 1u64..10_000,
        stretches in prop::collection::vec((amounts(3000), prop::collection::vec(1u64..3000, 1..20)), 1..20),
    ) {
        let policy = DemandPolicy { half_life: at(half_life_ms), cooldown: at(half_life_ms), ..policy() };
        let [mut seldom, mut often] = [monitor(policy), monitor(policy)];
        let mut now = 0;
        for monitor in [&mut seldom, &mut often] {
            monitor.record(1, all(0), at(0));
        }
        let scaled = |per_ms: Signals, ms: u64| Signals {
            accesses: per_ms.accesses * ms,
            network_bytes: per_ms.network_bytes * ms,
            compute_ms: per_ms.compute_ms * ms,
            credits: per_ms.credits * ms,
        };
        for (per_ms, parts) in stretches {
            let start = now;
            for part in parts {
                now += part;
                often.record(1, scaled(per_ms, part), at(now));
            }
            seldom.record(1, scaled(per_ms, now - start), at(now));
            let [a, b] = [&seldom, &often].map(|monitor| monitor.score(&1, at(now)).permille());
            prop_assert!(a.abs_diff(b) <= 1, "{} {}", a, b);
        }
    }

    /// Parts of one record, given at one moment.
    #[test]
    fn parts_of_one_moment_add_up(
        moments in prop::collection::vec((1u64..5000, prop::collection::vec(amounts(900_000), 0..8)), 1..20),
    ) {
        let [mut whole, mut parts] = [monitor(policy()), monitor(policy())];
        let mut now = 0;
        for (wait, moment) in moments {
            now += wait;
            let mut sum = Signals::default();
            for part in &moment {
                parts.record(1, *part, at(now));
                sum.accesses += part.accesses;
                sum.network_bytes += part.network_bytes;
                sum.compute_ms += part.compute_ms;
                sum.credits += part.credits;
            }
            if !moment.is_empty() {
                whole.record(1, sum, at(now));
            }
            let [a, b] = [&whole, &parts].map(|monitor| monitor.score(&1, at(now)).permille());
            prop_assert!(a.abs_diff(b) <= 1, "{} {}", a, b);
        }
    }

    /// Any traffic within one interval: what is not told, when in the interval it came, changes the score by no more than
    /// the decay over the interval.
    #[test]
    fn uneven_traffic_differs_by_the_decay_of_one_interval(
        before in 0u64..2_000_000,
        parts in prop::collection::vec((1u64..2000, amounts(3_000_000)), 1..20),
    ) {
        let [mut merged, mut split] = [monitor(policy()), monitor(policy())];
        for monitor in [&mut merged, &mut split] {
            monitor.record(1, all(before * 20), at(0));
        }
        let (mut now, mut sum) = (0, Signals::default());
        for (wait, part) in parts {
            now += wait;
            split.record(1, part, at(now));
            sum.accesses += part.accesses;
            sum.network_bytes += part.network_bytes;
            sum.compute_ms += part.compute_ms;
            sum.credits += part.credits;
        }
        merged.record(1, sum, at(now));
        let [a, b] = [&merged, &split].map(|monitor| f64::from(monitor.score(&1, at(now)).permille()));
        let most = (at(now).as_secs_f64() / 30.0).exp2();
        prop_assert!(a <= b * most + 1.0 + most && b <= a * most + 1.0 + most, "{} {} {}", a, b, most);
    }

    /// Whatever comes: a score of 0 to 1000, a step within the bounds, one per cooldown.
    #[test]
    fn any_input_keeps_the_bounds(
        steps in prop::collection::vec(
            (0u32..4, prop_oneof![amounts(u64::MAX), amounts(30_000_000)], 0u64..100_000, any::<[u32; 3]>()), 1..60,
        ),
    ) {
        let mut monitor = monitor(DemandPolicy { capacity: 3, ..policy() });
        for (id, amounts, now_ms, [count, floor, ceiling]) in steps {
            monitor.record(id, amounts, at(now_ms));
            prop_assert!(monitor.score(&id, at(now_ms)).permille() <= 1000);
            let replicas = Replicas { count, floor, ceiling };
            let bounds = floor..=ceiling.max(floor);
            match monitor.decide(&id, replicas, Duration::ZERO, at(now_ms)) {
                Scale::Up { to } => prop_assert!(to > count && to <= *bounds.end()),
                Scale::Down { to } => prop_assert!(to < count && to >= *bounds.start()),
                Scale::Hold(_) => {}
            }
        }
        prop_assert!(monitor.metrics().tracked <= 3);
    }
}

#[test]
fn scores_are_the_same_on_every_target() {
    let mut monitor = monitor(policy());
    let mut scores = Vec::new();
    let mut state = 7u64;
    for step in 1..=12u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let now = Duration::from_nanos(step * 2_345_678_901);
        monitor.record(1, all((state >> 32) % 4_000_000), now);
        scores.push(monitor.score(&1, now + at(step * 777)).permille());
    }
    assert_eq!(scores, GOLDEN);
}

/// A separate Python program in floats gives the same.
const GOLDEN: [u16; 12] = [53, 63, 98, 167, 158, 200, 236, 286, 322, 374, 391, 393];

#[test]
fn a_score_stands_for_an_interval_and_then_halves() {
    let mut monitor = monitor(policy());
    monitor.record(1, all(0), at(0));
    monitor.record(1, all(8_000_000), at(10_000));
    let score = |ms| monitor.score(&1, at(ms)).permille();
    // 0.8 x (1 - 2^(-1/3)) = 0.165.
    assert_eq!([score(10_000), score(20_000), score(50_000), score(80_000)], [165, 165, 83, 41]);
    assert_eq!([score(0), score(u64::MAX)], [165, 0]);
}

#[test]
fn time_that_goes_backwards_stands_still() {
    let [mut forth, mut back] = [monitor(policy()), monitor(policy())];
    for (monitor, times) in [(&mut forth, [5000, 9000, 9000, 12_000]), (&mut back, [5000, 9000, 2000, 12_000])] {
        for now in times {
            monitor.record(1, all(3_000_000), at(now));
        }
    }
    assert_eq!(forth.score(&1, at(12_000)), back.score(&1, at(1)));
    assert_eq!(forth.score(&1, at(40_000)), back.score(&1, at(40_000)));
    // Of other resources, too: what is recorded at 2 s now is of 12 s.
    forth.record(2, all(3_000_000), at(12_000));
    back.record(2, all(3_000_000), at(2_000));
    assert_eq!(forth.score(&2, at(20_000)), back.score(&2, at(20_000)));
    assert!(forth.score(&2, at(20_000)).permille() > 0);
}

#[test]
fn a_signal_without_a_full_scale_counts_as_nothing() {
    let full_scale = Signals { credits: 0, ..FULL };
    let mut monitor = monitor(DemandPolicy { full_scale, ..policy() });
    for s in 0..2000 {
        monitor.record(1, all(u64::MAX), at(s * 1000));
    }
    assert_eq!(monitor.score(&1, at(2_000_000)).permille(), 900);
}

#[test]
fn seldom_events_have_a_longer_span() {
    // Ten requests per hour are full demand.
    let weights = SignalWeights { accesses: 1000, network: 0, compute: 0, credits: 0 };
    let rare = DemandPolicy {
        full_scale: all(10),
        per: at(3_600_000),
        half_life: at(3_600_000),
        cooldown: at(3_600_000),
        weights,
        ..policy()
    };
    let mut monitor = monitor(rare);
    for i in 1..=200 {
        monitor.record(1, all(1), at(i * 720_000));
    }
    assert_eq!(monitor.score(&1, at(200 * 720_000)).permille(), 500);
}

/// What is hot stays, to the thousandth, while ten million resources pass by.
#[test]
fn ten_million_ids_do_not_take_more_memory() {
    let ids: u32 = if cfg!(target_arch = "wasm32") { 300_000 } else { 10_000_000 };
    let mut flooded = Monitor::new(DemandPolicy { capacity: 1000, ..policy() }).unwrap();
    let mut alone = monitor(policy());
    for id in 0..ids {
        let now = Duration::from_micros(u64::from(id) * 20);
        flooded.record(1000 + id, all(3), now);
        if id % 50_000 == 0 {
            for hot in 1..=100 {
                flooded.record(hot, all(u64::from(hot) * 10_000), now);
                alone.record(hot, all(u64::from(hot) * 10_000), now);
            }
        }
        assert!(flooded.metrics().tracked <= 1000);
    }
    let now = Duration::from_micros(u64::from(ids) * 20);
    assert_eq!(flooded.metrics().tracked, 1000);
    assert_eq!(flooded.metrics().evicted, u64::from(ids) + 100 - 1000);
    for hot in 1..=100 {
        assert!(flooded.score(&hot, now).permille() > 0);
        assert_eq!(flooded.score(&hot, now), alone.score(&hot, now));
    }
}
