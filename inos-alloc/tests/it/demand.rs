//! Goal: a score is that of the traffic and of nothing else; constant input moves a count in one direction and then rests;
//! noise does not make it flap; memory is bounded. Method: a twin in floats that scans, laws over random policies, traffic
//! and histories, in open and in closed loop, and printed responses (`--nocapture`) to a step, a sine and noise.

mod loops;
mod responses;
mod score;

use core::time::Duration;
use inos_alloc::{
    DemandMonitor, DemandPolicy, DemandPolicyError, Hold, Replicas, Scale, SignalWeights, Signals, Target,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

pub(crate) type Monitor = DemandMonitor<u32>;

/// Full scale is a million per second of each signal.
pub(crate) const FULL: Signals =
    Signals { accesses: 1_000_000, network_bytes: 1_000_000, compute_ms: 1_000_000, credits: 1_000_000 };

pub(crate) fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The same amount of every signal.
pub(crate) fn all(amount: u64) -> Signals {
    Signals { accesses: amount, network_bytes: amount, compute_ms: amount, credits: amount }
}

/// No budget that a single resource could reach.
pub(crate) fn policy() -> DemandPolicy {
    DemandPolicy { movement_min: u32::MAX, ..DemandPolicy::new(FULL) }
}

pub(crate) fn monitor(policy: DemandPolicy) -> Monitor {
    Monitor::new(policy).unwrap()
}

/// A resource whose count follows what the monitor says.
pub(crate) struct Follower {
    pub(crate) id: u32,
    pub(crate) replicas: Replicas,
    pub(crate) last_change: Duration,
    /// When, from and to.
    pub(crate) moves: Vec<(Duration, u32, u32)>,
}

impl Follower {
    pub(crate) fn new(id: u32, count: u32, floor: u32, ceiling: u32) -> Self {
        Self { id, replicas: Replicas { count, floor, ceiling }, last_change: Duration::ZERO, moves: Vec::new() }
    }

    pub(crate) fn follow(&mut self, monitor: &mut Monitor, now: Duration) -> Scale {
        let scale = monitor.decide(&self.id, self.replicas, self.last_change, now);
        if let Scale::Up { to } | Scale::Down { to } = scale {
            assert_eq!(matches!(scale, Scale::Up { .. }), to > self.replicas.count);
            self.moves.push((now, self.replicas.count, to));
            self.replicas.count = to;
            self.last_change = now;
        }
        scale
    }

    /// Changes of direction.
    pub(crate) fn reversals(&self) -> usize {
        let ups: Vec<bool> = self.moves.iter().map(|&(_, from, to)| to > from).collect();
        ups.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// The least time between two moves.
    pub(crate) fn least_gap(&self) -> Option<Duration> {
        self.moves.windows(2).map(|pair| pair[1].0 - pair[0].0).min()
    }
}

/// One replica more or less than `count` at score 1000 or 0, seen often enough and long ago enough.
fn one_step(policy: DemandPolicy, count: u32, up: u64) -> Scale {
    let mut monitor = monitor(policy);
    for s in 1..=1000 {
        monitor.record(1, all(up * 2_000_000), at(s * 1000));
    }
    monitor.decide(&1, Replicas { count, floor: 0, ceiling: u32::MAX }, Duration::ZERO, at(1_000_000))
}

#[test]
fn steps_are_larger_up_than_down() {
    let expected =
        [(0, 1, None), (1, 2, Some(0)), (2, 4, Some(1)), (3, 6, Some(2)), (5, 10, Some(4)), (7, 14, Some(6))];
    for (count, up, down) in expected {
        assert_eq!(one_step(policy(), count, 1), Scale::Up { to: up });
        let down = down.map_or(Scale::Hold(Hold::AtBound), |to| Scale::Down { to });
        assert_eq!(one_step(policy(), count, 0), down, "{count}");
    }
    assert_eq!(one_step(policy(), 700, 0), Scale::Down { to: 560 });
    assert_eq!(one_step(policy(), u32::MAX - 1, 1), Scale::Up { to: u32::MAX });
    assert_eq!(one_step(policy(), u32::MAX, 1), Scale::Hold(Hold::AtBound));
    let gentle = DemandPolicy { up_permille: 1250, down_permille: 999, ..policy() };
    assert_eq!((one_step(gentle, 10, 1), one_step(gentle, 10, 0)), (Scale::Up { to: 12 }, Scale::Down { to: 9 }));
}

#[test]
fn what_is_not_known_scores_zero_and_steps_down() {
    let mut monitor = monitor(policy());
    let replicas = Replicas { count: 7, floor: 3, ceiling: 7 };
    assert_eq!(monitor.score(&9, at(0)).permille(), 0);
    let wait = Scale::Hold(Hold::Cooldown { until: at(61_000) });
    assert_eq!(monitor.decide(&9, replicas, at(1000), at(60_999)), wait);
    assert_eq!(monitor.decide(&9, replicas, at(1000), at(61_000)), Scale::Down { to: 6 });
    assert!(!monitor.forget(&9));
}

#[test]
fn a_resource_that_is_new_does_not_step_down() {
    let mut monitor = monitor(policy());
    let replicas = Replicas { count: 7, floor: 3, ceiling: 7 };
    for s in 100..=110 {
        monitor.record(1, all(100), at(s * 1000));
    }
    // Two half-lives after the first record, and one interval.
    let wait = Scale::Hold(Hold::WarmUp { until: at(161_000) });
    assert_eq!(monitor.decide(&1, replicas, at(0), at(160_999)), wait);
    assert_eq!(monitor.decide(&1, replicas, at(0), at(161_000)), Scale::Down { to: 6 });
}

#[test]
fn an_evicted_resource_still_scales_down() {
    let mut monitor = monitor(DemandPolicy { capacity: 2, ..policy() });
    let mut follower = Follower::new(1, 3, 3, 7);
    for s in 1..=300 {
        assert_eq!(monitor.record(1, all(900_000), at(s * 1000)), None);
        follower.follow(&mut monitor, at(s * 1000));
    }
    assert_eq!(follower.replicas.count, 7);
    assert_eq!(monitor.record(2, all(2_000_000_000), at(301_000)), None);
    // A record of nothing makes nobody forgotten; the first that weighs something does, and it is the lightest who goes.
    assert_eq!(monitor.record(3, all(0), at(301_000)), None);
    assert_eq!(monitor.record(3, all(1), at(301_000)), Some(1));
    assert_eq!(monitor.score(&1, at(301_000)).permille(), 0);
    for s in 301..=900 {
        follower.follow(&mut monitor, at(s * 1000));
    }
    assert_eq!((follower.replicas.count, follower.reversals()), (3, 1));
    assert_eq!((monitor.metrics().tracked, monitor.metrics().evicted), (2, 1));
    assert!(monitor.forget(&3) && monitor.metrics().tracked == 1);
}

#[test]
fn counts_outside_of_their_bounds_go_to_the_nearest() {
    let budget = DemandPolicy { movement_min: 4, ..policy() };
    let mut monitor = monitor(budget);
    let now = at(100_000);
    let outside = |count| Replicas { count, floor: 10, ceiling: 20 };
    // Below the floor the budget does not count, but the cooldown does.
    assert_eq!(monitor.decide(&1, outside(2), at(0), now), Scale::Up { to: 10 });
    assert_eq!(monitor.decide(&1, outside(2), now, now), Scale::Hold(Hold::Cooldown { until: at(160_000) }));
    assert_eq!(monitor.decide(&2, outside(23), at(0), now), Scale::Down { to: 20 });
    assert_eq!(monitor.decide(&3, outside(400), at(0), now), Scale::Down { to: 399 });
    assert_eq!(monitor.decide(&4, outside(12), at(0), now), Scale::Hold(Hold::Budget { until: at(160_000) }));
    let crossed = Replicas { count: 5, floor: 5, ceiling: 1 };
    assert_eq!(monitor.decide(&5, crossed, at(0), now), Scale::Hold(Hold::AtBound));
    let target = Target { want: 6, floor: 5, ceiling: 7 };
    assert_eq!(Replicas::within(9, &target), Replicas { count: 9, floor: 5, ceiling: 7 });
}

#[test]
fn the_budget_holds_over_all_resources() {
    let mut monitor = monitor(DemandPolicy { movement_min: 7, ..policy() });
    let run = |monitor: &mut Monitor, windows: u64| {
        let mut followers: Vec<Follower> = (0..40).map(|id| Follower::new(id, 20, 1, 100)).collect();
        for s in 0..windows * 60 {
            for follower in &mut followers {
                // Half of them are idle, and their steps down leave the budget of steps up alone.
                monitor.record(follower.id, all(1_000_000 * u64::from(follower.id % 2)), at(s * 1000));
                follower.follow(monitor, at(s * 1000));
            }
        }
        let moves = followers.iter().flat_map(|follower| follower.moves.clone());
        let mut moved = vec![[0u32; 2]; usize::try_from(windows).unwrap()];
        for (now, from, to) in moves {
            let window = usize::try_from(now.as_secs() / 60).unwrap();
            moved[window][usize::from(to > from)] += to.abs_diff(from);
        }
        moved
    };
    let moved = run(&mut monitor, 9);
    // The first steps come when the cooldown since zero is over; scores are high by then.
    assert!(moved.iter().all(|moved| moved[0] <= 7 && moved[1] <= 7), "{moved:?}");
    assert!(moved[3..8].iter().all(|moved| *moved == [7, 7]), "{moved:?}");
    assert!(monitor.metrics().over_budget > 0);
    // 5 % of 800.
    let mut monitor = self::monitor(DemandPolicy { movement_min: 7, ..policy() });
    monitor.set_total_replicas(800);
    assert!(run(&mut monitor, 9)[3..6].iter().all(|moved| moved[1] == 40));
}

#[test]
fn a_step_that_nobody_made_is_told_again_after_a_cooldown() {
    let mut monitor = monitor(policy());
    let replicas = Replicas { count: 5, floor: 3, ceiling: 7 };
    let told: Vec<u64> = (0..400)
        .filter(|&s| {
            monitor.record(1, all(1_000_000), at(s * 1000));
            matches!(monitor.decide(&1, replicas, at(0), at(s * 1000)), Scale::Up { to: 7 })
        })
        .collect();
    assert!(told.windows(2).all(|pair| pair[1] - pair[0] == 60), "{told:?}");
    assert!(told.len() >= 5);
}

#[test]
fn thrash_is_moves_by_net_change() {
    let mut monitor = monitor(policy());
    assert_eq!(monitor.metrics().thrash_permille(), None);
    let mut follower = Follower::new(1, 4, 4, 8);
    let mut drive = |monitor: &mut Monitor, seconds: core::ops::Range<u64>, amount| {
        for s in seconds {
            monitor.record(1, all(amount), at(s * 1000));
            follower.follow(monitor, at(s * 1000));
        }
    };
    drive(&mut monitor, 0..300, 1_000_000);
    // 4 to 8.
    assert_eq!(monitor.metrics().thrash_permille(), Some(1000));
    assert_eq!((monitor.metrics().steps_up, monitor.metrics().replicas_added), (1, 4));
    drive(&mut monitor, 300..400, 0);
    // Then to 7: five moved, three of them stayed.
    assert_eq!((monitor.metrics().replicas_dropped, monitor.metrics().reversals), (1, 1));
    assert_eq!((monitor.metrics().net_replicas, monitor.metrics().thrash_permille()), (3, Some(1666)));
    drive(&mut monitor, 400..2000, 0);
    assert_eq!((monitor.metrics().net_replicas, monitor.metrics().thrash_permille()), (0, None));
}

#[test]
fn policies_that_cannot_rest_or_move_are_refused() {
    type Error = DemandPolicyError;
    let refused = |change: fn(&mut DemandPolicy)| {
        let mut policy = policy();
        change(&mut policy);
        Monitor::new(policy).err()
    };
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|policy| policy.half_life = Duration::ZERO), Some(Error::NoTime));
    assert_eq!(refused(|policy| policy.cooldown = Duration::ZERO), Some(Error::NoTime));
    assert_eq!(refused(|policy| policy.per = Duration::ZERO), Some(Error::NoTime));
    assert_eq!(refused(|policy| policy.weights.credits = 99), Some(Error::Weights { sum: 999 }));
    let most = SignalWeights { accesses: u16::MAX, network: u16::MAX, compute: u16::MAX, credits: u16::MAX };
    assert_eq!(Monitor::new(DemandPolicy { weights: most, ..policy() }).err(), Some(Error::Weights { sum: 262_140 }));
    let unreachable = Some(Error::Unreachable { reach: 700, up_above: 800 });
    assert_eq!(refused(|policy| policy.full_scale.network_bytes = 0), unreachable);
    assert_eq!(refused(|policy| policy.up_above = 1000), Some(Error::Unreachable { reach: 1000, up_above: 1000 }));
    assert_eq!(refused(|policy| policy.down_below = 399), Some(Error::CooldownTooShort { half_lives: 7 }));
    assert_eq!(refused(|policy| policy.down_below = 400), Some(Error::NoHysteresis { up_above: 800, down_below: 400 }));
    assert!(refused(|policy| policy.down_below = u16::MAX).is_some());
    assert_eq!(refused(|policy| policy.cooldown = at(29_999)), Some(Error::CooldownTooShort { half_lives: 1 }));
    assert_eq!(refused(|policy| policy.cooldown = at(30_000)), None);
    for (up_permille, down_permille) in [(1000, 800), (2001, 800), (2000, 799), (2000, 1000)] {
        let policy = DemandPolicy { up_permille, down_permille, ..policy() };
        assert_eq!(Monitor::new(policy).err(), Some(Error::Steps { up_permille, down_permille }));
    }
    let idle = Some(Error::Movement { movement_permille: 50, movement_min: 0 });
    assert_eq!(refused(|policy| policy.movement_min = 0), idle);
    assert!(refused(|policy| policy.movement_permille = 1001).is_some());
    assert_eq!(refused(|policy| policy.capacity = 0), Some(Error::NoCapacity));
}

#[test]
fn numbers_at_their_ends() {
    let longest = DemandPolicy { half_life: Duration::MAX, cooldown: Duration::MAX, per: Duration::MAX, ..policy() };
    let shortest = DemandPolicy {
        half_life: Duration::from_nanos(1),
        cooldown: Duration::from_nanos(1),
        full_scale: all(u64::MAX),
        ..longest
    };
    for policy in [longest, shortest, DemandPolicy { full_scale: all(1), ..shortest }] {
        let mut monitor = monitor(policy);
        monitor.set_total_replicas(u64::MAX);
        for now in [Duration::ZERO, Duration::from_nanos(1), at(1), Duration::MAX, Duration::ZERO] {
            for amount in [0, 1, u64::MAX, u64::MAX] {
                monitor.record(1, all(amount), now);
                assert!(monitor.score(&1, now).permille() <= 1000);
                for count in [0, 1, u32::MAX] {
                    let replicas = Replicas { count, floor: 0, ceiling: u32::MAX };
                    let _ = monitor.decide(&1, replicas, Duration::MAX, now);
                    let _ = monitor.decide(&2, replicas, Duration::ZERO, now);
                }
            }
        }
    }
}
