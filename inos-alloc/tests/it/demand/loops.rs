//! Goal: constant input moves a count in one direction, one step per cooldown, and then it rests for ever; noise costs few
//! changes of direction. Method: a resource follows its monitor, under random policies and loads. In *open* loop the amounts
//! are totals; in *closed* loop they are those of the mean replica, so that more replicas lower the score.

use super::{FULL, Follower, all, at, monitor, policy};
use core::time::Duration;
use inos_alloc::{DemandMonitor, DemandPolicy, DemandPolicyError, Hold, Scale, SignalWeights, Signals};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Loop {
    Open,
    Closed,
}

/// A policy, and the time between two records.
#[derive(Clone, Copy, Debug)]
struct Setup {
    policy: DemandPolicy,
    every: Duration,
}

/// Any policy that is accepted, with records as seldom as the laws allow: every half-life, and in closed loop so that a
/// cooldown has the half-lives it needs beside two intervals.
fn setup() -> impl Strategy<Value = Setup> {
    let thresholds = (1u16..1000).prop_flat_map(|up| (Just(up), 0..up.div_ceil(2)));
    let steps = (1001u16..=2000, 800u16..1000);
    let weights = prop_oneof![Just([400, 300, 200, 100]), Just([1000, 0, 0, 0]), Just([250; 4])];
    let thresholds = prop_oneof![Just((800, 300)), thresholds];
    let steps = prop_oneof![Just((2000, 800)), steps];
    let spare = prop_oneof![3 => Just(0u32), 1 => 1u32..3];
    let movement_min = prop_oneof![Just(u32::MAX), Just(3)];
    (thresholds, steps, weights, 50u64..100_000, 1u64..=20, spare, movement_min).prop_filter_map(
        "thresholds that one step crosses",
        |(
            (up_above, down_below),
            (up_permille, down_permille),
            [a, n, c, k],
            half_life_ms,
            parts,
            spare,
            movement_min,
        )| {
            let every = at((half_life_ms / parts).max(1));
            let half_life = at(half_life_ms);
            let mut policy = DemandPolicy {
                weights: SignalWeights { accesses: a, network: n, compute: c, credits: k },
                half_life,
                up_above,
                down_below,
                up_permille,
                down_permille,
                cooldown: Duration::from_nanos(1),
                movement_min,
                ..DemandPolicy::new(FULL)
            };
            match DemandMonitor::<u32>::new(policy) {
                Err(DemandPolicyError::NoHysteresis { .. }) => return None,
                Err(DemandPolicyError::CooldownTooShort { half_lives }) => policy.cooldown = half_life * half_lives,
                _ => {}
            }
            policy.cooldown += every * 2 + half_life * spare;
            Some(Setup { policy, every })
        },
    )
}

/// The mean rate of a signal over `every`, in thousandths of the full scale.
fn amount(load_permille: u64, every: Duration, replicas: u32) -> u64 {
    let total = u128::from(load_permille) * every.as_nanos() / 1_000_000;
    u64::try_from(total / u128::from(replicas.max(1))).unwrap()
}

fn signals(load: [u64; 4], every: Duration, replicas: u32) -> Signals {
    let [accesses, network_bytes, compute_ms, credits] = load.map(|load| amount(load, every, replicas));
    Signals { accesses, network_bytes, compute_ms, credits }
}

/// Until nothing has changed for 20 cooldowns and 20 half-lives, at most 2,000 cooldowns. What moved is what the law is
/// about; what is checked here is one step per cooldown and the bounds.
fn drive(setup: Setup, kind: Loop, load: [u64; 4], mut follower: Follower) -> (Follower, Scale) {
    let mut monitor = monitor(setup.policy);
    let quiet = setup.policy.cooldown * 20 + setup.policy.half_life * 20;
    let mut now = Duration::ZERO;
    loop {
        let replicas = match kind {
            Loop::Open => 1,
            Loop::Closed => follower.replicas.count,
        };
        now += setup.every;
        monitor.record(follower.id, signals(load, setup.every, replicas), now);
        let scale = follower.follow(&mut monitor, now);
        assert!(now < setup.policy.cooldown * 2000, "the count does not rest: {:?}", follower.moves);
        if now > follower.last_change + quiet {
            assert!(follower.least_gap().is_none_or(|gap| gap >= setup.policy.cooldown));
            return (follower, scale);
        }
    }
}

fn load(most: u64) -> impl Strategy<Value = [u64; 4]> {
    prop_oneof![(0..=most).prop_map(|load| [load; 4]), [0..=most, 0..=most, 0..=most, 0..=most]]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "wasm32") { 64 } else { 512 }))]

    #[test]
    fn constant_totals_move_a_count_in_one_direction(
        setup in setup(), load in load(1500), bounds in [1u32..12, 1u32..12, 1u32..12],
    ) {
        let mut bounds = bounds;
        bounds.sort_unstable();
        let (follower, scale) = drive(setup, Loop::Open, load, Follower::new(1, bounds[1], bounds[0], bounds[2]));
        prop_assert_eq!(follower.reversals(), 0, "{:?}", follower.moves);
        prop_assert!(matches!(scale, Scale::Hold(Hold::Steady | Hold::AtBound)), "{:?}", scale);
    }

    #[test]
    fn constant_load_of_the_mean_replica_does_too(
        setup in setup(), load in load(12_000), start in 1u32..30, floor in 1u32..6,
    ) {
        let follower = Follower::new(1, start.max(floor), floor, 200);
        let (follower, scale) = drive(setup, Loop::Closed, load, follower);
        prop_assert_eq!(follower.reversals(), 0, "{:?}", follower.moves);
        prop_assert!(matches!(scale, Scale::Hold(Hold::Steady | Hold::AtBound)), "{:?}", scale);
    }
}

/// Every load and count of a small grid at the default thresholds, in both loops: exhaustive where proptest samples.
#[test]
fn every_small_case_moves_in_one_direction() {
    let defaults = Setup { policy: policy(), every: at(15_000) };
    let tightest = Setup { policy: DemandPolicy { cooldown: at(31_000), ..policy() }, every: at(500) };
    for setup in [defaults, tightest] {
        for kind in [Loop::Open, Loop::Closed] {
            for start in 1..=9 {
                for load in (0..=9000).step_by(if cfg!(target_arch = "wasm32") { 500 } else { 50 }) {
                    let (follower, _) = drive(setup, kind, [load; 4], Follower::new(1, start, 1, 64));
                    assert_eq!(follower.reversals(), 0, "{kind:?} {start} {load} {:?}", follower.moves);
                }
            }
        }
    }
}

/// At a threshold, a thousandth beside it, and half a thousandth beside it.
#[test]
fn at_a_threshold_a_count_stays() {
    let cases = [(1, 800_000, 5), (1, 800_400, 5), (1, 801_000, 40), (1, 300_000, 5), (1, 299_600, 5), (1, 299_000, 1)];
    for (id, load, rest) in cases {
        let mut monitor = monitor(policy());
        let mut follower = Follower::new(id, 5, 1, 40);
        for s in 1..4000 {
            monitor.record(id, all(load), at(s * 1000));
            follower.follow(&mut monitor, at(s * 1000));
        }
        assert_eq!(follower.replicas.count, rest, "{load}");
        assert_eq!(follower.reversals(), 0);
    }
}

#[test]
fn a_closed_loop_rests_where_a_replica_is_neither_idle_nor_full() {
    let setup = Setup { policy: policy(), every: at(1000) };
    for load in [900, 4000, 7000, 20_000, 33_333] {
        let (follower, scale) = drive(setup, Loop::Closed, [load; 4], Follower::new(1, 5, 1, 700));
        let each = load / u64::from(follower.replicas.count);
        assert!((300..=800).contains(&each), "{load}: {each} on {}", follower.replicas.count);
        assert_eq!(scale, Scale::Hold(Hold::Steady));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_arch = "wasm32") { 32 } else { 256 }))]

    /// After any history, constant input: what is left of the history may cause one or two changes of direction, no more.
    #[test]
    fn any_history_is_forgotten(
        setup in setup(), history in prop::collection::vec((load(40_000), 1u32..40), 1..10), load in load(40_000),
        kind in prop_oneof![Just(Loop::Open), Just(Loop::Closed)],
    ) {
        let mut monitor = monitor(setup.policy);
        let mut follower = Follower::new(1, 5, 1, 60);
        let mut now = Duration::ZERO;
        let mut step = |follower: &mut Follower, load| {
            now += setup.every;
            let replicas = if kind == Loop::Open { 40 } else { follower.replicas.count };
            monitor.record(1, signals(load, setup.every, replicas), now);
            follower.follow(&mut monitor, now);
            now
        };
        for (load, records) in history {
            for _ in 0..records {
                step(&mut follower, load);
            }
        }
        let before = follower.reversals();
        let mut end = Duration::ZERO;
        while end < follower.last_change + setup.policy.cooldown * 5 + setup.policy.half_life * 20 {
            end = step(&mut follower, load);
        }
        prop_assert!(follower.reversals() - before <= 2, "{:?}", follower.moves);
    }
}
