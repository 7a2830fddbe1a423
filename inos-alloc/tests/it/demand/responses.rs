//! Goal: how the defaults answer to a step, a sine and noise, in figures. Method: one resource between 3 and 7 replicas
//! (open loop) or 1 and 64 (closed loop), recorded every second; what is printed is asserted, loosely.

use super::{Follower, Monitor, all, at, monitor, policy};
use core::fmt::Write;
use inos_alloc::DemandPolicy;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

struct Noise(u64);

impl Noise {
    /// Uniform in `0..below`: SplitMix64.
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// Seconds of `load` in thousandths of the full scale, in open loop.
fn open(start: u32, seconds: u64, mut load: impl FnMut(u64) -> u64) -> (Monitor, Follower, String) {
    let mut monitor = monitor(policy());
    let mut follower = Follower::new(1, start, 3, 7);
    let mut line = String::new();
    for s in 1..=seconds {
        monitor.record(1, all(load(s) * 1000), at(s * 1000));
        follower.follow(&mut monitor, at(s * 1000));
        if s % 60 == 0 {
            write!(line, " {}@{}", follower.replicas.count, monitor.score(&1, at(s * 1000)).permille()).unwrap();
        }
    }
    (monitor, follower, line)
}

fn changes(follower: &Follower) -> Vec<u64> {
    follower.moves.iter().map(|change| change.0.as_secs()).collect()
}

#[test]
fn a_step() {
    let (_, follower, line) = open(3, 900, |s| if (300..600).contains(&s) { 1000 } else { 100 });
    println!("step 100 - 1000 at 300 s - 100 at 600 s, count@score each minute:{line}");
    println!("changes at {:?} s", changes(&follower));
    // Up 2.2 half-lives after the step, down 2.2 after its end: 0.1 + 0.9 (1 - 2^-2.17) = 0.8.
    let ups: Vec<_> = follower.moves.iter().filter(|change| change.2 > change.1).map(|change| change.0).collect();
    assert!((at(360_000)..at(370_000)).contains(&ups[0]) && ups.len() == 2);
    assert_eq!((follower.replicas.count, follower.reversals()), (3, 1));
}

#[test]
fn a_sine() {
    for period in [60u64, 300, 1800, 7200] {
        // A sine of 0 to 1000 by Bhaskara's approximation, in integers.
        let sine = |s: u64| {
            let half = (s % period) * 2 * 180 / period;
            let x = half % 180;
            let height = 500 * 4 * x * (180 - x) / (40_500 - x * (180 - x));
            if half < 180 { 500 + height } else { 500 - height }
        };
        let (monitor, follower, line) = open(3, 7200, sine);
        let metrics = monitor.metrics();
        let thrash = metrics.thrash_permille();
        println!(
            "sine of {period} s: {} changes, {} of direction, thrash {thrash:?}",
            follower.moves.len(),
            metrics.reversals
        );
        println!("  count@score each minute:{line}");
        // Two changes of direction per period at most, none when the period is well below the half-life.
        assert!(metrics.reversals <= 2 * 7200 / period && (period > 60 || metrics.reversals == 0));
        assert_eq!(usize::try_from(metrics.reversals).unwrap(), follower.reversals());
    }
}

/// White noise for a day around each threshold and between them: the mean and how far it goes to both sides.
#[test]
fn noise() {
    let day = if cfg!(target_arch = "wasm32") { 20_000 } else { 86_400 };
    for (mean, reach) in [(800, 100), (800, 800), (300, 100), (300, 300), (550, 550)] {
        let mut source = Noise(mean * 1000 + reach);
        let (_, follower, _) = open(5, day, |_| mean - reach + source.below(2 * reach + 1));
        let (count, reversals, gap) = (follower.moves.len(), follower.reversals(), follower.least_gap());
        println!("noise {mean} +- {reach}, {day} s: {count} changes, {reversals} of direction, least gap {gap:?}");
        assert!(gap.is_none_or(|gap| gap >= at(60_000)));
        assert!(reversals == 0 && count <= 4);
    }
}

/// All or nothing: each second full with a chance, else idle. The roughest noise there is.
#[test]
fn bursts() {
    let day = if cfg!(target_arch = "wasm32") { 20_000 } else { 86_400 };
    for chance in [30, 50, 55, 80] {
        let mut source = Noise(chance);
        let (_, follower, _) = open(5, day, |_| if source.below(100) < chance { 1000 } else { 0 });
        let (count, reversals, gap) = (follower.moves.len(), follower.reversals(), follower.least_gap());
        println!("full in {chance} % of {day} s: {count} changes, {reversals} of direction, least gap {gap:?}");
        assert!(gap.is_none_or(|gap| gap >= at(60_000)));
        assert!(u64::try_from(reversals).unwrap() <= day / 10_000);
    }
}

/// The mean replica of a noisy total, in closed loop.
#[test]
fn noise_in_a_closed_loop() {
    let day = if cfg!(target_arch = "wasm32") { 20_000 } else { 86_400 };
    for (mean, reach) in [(2000, 500), (6000, 1500), (6400, 3000), (20_000, 20_000)] {
        let mut source = Noise(mean + reach);
        let mut monitor = monitor(DemandPolicy { cooldown: at(60_000), ..policy() });
        let mut follower = Follower::new(1, 8, 1, 64);
        for s in 1..=day {
            let load = mean - reach + source.below(2 * reach + 1);
            monitor.record(1, all(load * 1000 / u64::from(follower.replicas.count)), at(s * 1000));
            follower.follow(&mut monitor, at(s * 1000));
        }
        let (count, reversals, last) = (follower.moves.len(), follower.reversals(), follower.last_change);
        println!(
            "closed loop, noise {mean} +- {reach}: {count} changes, {reversals} of direction, rests at {} since {last:?}",
            follower.replicas.count
        );
        assert!(follower.least_gap().is_none_or(|gap| gap >= at(60_000)));
        assert!(reversals <= 1);
    }
}
