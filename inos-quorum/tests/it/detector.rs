//! Goal: silence is told at the stated times, adapts where it is to adapt, and is never held against others by a node
//! that slept; bytes from the network change nothing but what heartbeats may change. Method: two detectors by hand at
//! exact times; five in a seeded network with loss, delays and pauses; formulas again in floating point; a twin that is
//! asked every millisecond.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod lives;

use alloc::collections::BTreeMap;
use core::time::Duration;

use inos_quorum::{
    Actor, Detector, DetectorConfig, DetectorConfigError, DetectorEvent, HeartbeatError, PeerState, Thresholds,
    WatchError,
};
use proptest::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

type Told = DetectorEvent<u32>;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const MICRO: Duration = Duration::from_micros(1);

fn phi(suspect_phi: u8) -> DetectorConfig {
    let thresholds = Thresholds::PhiAccrual { suspect_phi, unreachable: ms(5000) };
    DetectorConfig { thresholds, ..DetectorConfig::default() }
}

fn detector(config: DetectorConfig, node: u32, incarnation: u64) -> Detector<u32> {
    Detector::new(config, Actor { node, incarnation }).expect("a sound configuration")
}

/// Detector 1, which watches 2.
fn watcher(config: DetectorConfig) -> Detector<u32> {
    let mut watcher = detector(config, 1, 11);
    watcher.watch(Duration::ZERO, 2).expect("room");
    watcher
}

/// Detector 2 in the life `incarnation`, which watches 1.
fn watched(incarnation: u64) -> Detector<u32> {
    let mut watched = detector(DetectorConfig::default(), 2, incarnation);
    watched.watch(Duration::ZERO, 1).expect("room");
    watched
}

/// The frame of the next beat, whenever that is by the sender's clock.
fn beat(sender: &mut Detector<u32>) -> Vec<u8> {
    let now = sender.poll_timeout().expect("it watches somebody");
    sender.handle_timeout(now);
    let mut frame = Vec::new();
    while sender.poll_transmit(&mut frame).is_none() {
        let now = sender.poll_timeout().expect("it watches somebody");
        sender.handle_timeout(now);
    }
    frame
}

fn events(detector: &mut Detector<u32>) -> Vec<Told> {
    core::iter::from_fn(|| detector.poll_event()).collect()
}

/// Drives the detector by its deadlines until `until`, without any other input; what it tells at them, and when. What it
/// had to tell before is dropped.
fn alone(detector: &mut Detector<u32>, until: Duration) -> Vec<(Duration, Told)> {
    events(detector);
    let (mut told, mut frame) = (Vec::new(), Vec::new());
    while let Some(now) = detector.poll_timeout().filter(|&now| now <= until) {
        detector.handle_timeout(now);
        while detector.poll_transmit(&mut frame).is_some() {}
        told.extend(events(detector).into_iter().map(|event| (now, event)));
    }
    told
}

const fn tells(node: u32, state: PeerState) -> Told {
    DetectorEvent::Peer { node, state }
}

const fn alive(incarnation: u64) -> Told {
    tells(2, PeerState::Alive { incarnation })
}

const SUSPECTED: Told = tells(2, PeerState::Suspected);
const UNREACHABLE: Told = tells(2, PeerState::Unreachable);

// --- Times

#[test]
fn a_silent_node_is_suspected_at_1_s_and_unreachable_at_5_s() {
    let (mut left, mut right) = (watcher(DetectorConfig::default()), watched(22));
    alone(&mut left, ms(10));
    left.handle_message(ms(10), 2, &beat(&mut right)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(22)]);
    alone(&mut left, ms(1000));
    left.handle_timeout(ms(1010) - MICRO);
    assert_eq!((events(&mut left), left.state(2)), (vec![], Some(PeerState::Alive { incarnation: 22 })));
    assert_eq!(alone(&mut left, ms(10_000)), [(ms(1010), SUSPECTED), (ms(5010), UNREACHABLE)]);
    left.handle_message(ms(10_000), 2, &beat(&mut right)).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(22)]);
    assert_eq!(alone(&mut left, ms(11_100)), [(ms(11_000), SUSPECTED)]);
}

#[test]
fn a_node_never_heard_is_silent_since_it_is_watched() {
    let mut left = watcher(DetectorConfig::default());
    assert_eq!(left.state(2), None);
    assert_eq!(alone(&mut left, ms(9000)), [(ms(1000), SUSPECTED), (ms(5000), UNREACHABLE)]);
    // With phi accrual nothing is known of it, so the first suspicion is the last.
    assert_eq!(alone(&mut watcher(phi(8)), ms(9000)), [(ms(5000), UNREACHABLE)]);
}

#[test]
fn repeated_and_overtaken_heartbeats_prolong_nothing() {
    let (mut left, mut right) = (watcher(DetectorConfig::default()), watched(22));
    let frames: Vec<_> = (0..3).map(|_| beat(&mut right)).collect();
    alone(&mut left, ms(0));
    left.handle_message(ms(100), 2, &frames[2]).expect("a heartbeat");
    alone(&mut left, ms(900));
    for frame in &frames {
        left.handle_message(ms(900), 2, frame).expect("no error");
    }
    assert_eq!((left.counters().accepted, left.counters().stale, left.counters().refused), (1, 3, 0));
    assert_eq!(alone(&mut left, ms(1200)).last(), Some(&(ms(1100), SUSPECTED)));
}

/// A detector that is asked every millisecond needs no deadlines; one that is asked at its deadlines must agree.
#[test]
fn deadlines_are_neither_late_nor_superfluous() {
    for config in [DetectorConfig::default(), phi(3)] {
        let (mut lazy, mut eager, mut right) = (watcher(config), watcher(config), watched(22));
        let (mut rng, mut told, mut calls) = (Rng(7), [Vec::new(), Vec::new()], 0);
        let mut arrival = ms(0);
        for now in (0..120_000).map(ms) {
            if now == arrival {
                let frame = beat(&mut right);
                for left in [&mut lazy, &mut eager] {
                    left.handle_message(now, 2, &frame).expect("a heartbeat");
                }
                // Some silences reach both thresholds, some one, most none.
                let bound = [400, 1200, 7000][rng.below(3)];
                arrival += ms(1 + rng.below(bound) as u64);
            }
            eager.handle_timeout(now);
            if lazy.poll_timeout() <= Some(now) {
                calls += 1;
                lazy.handle_timeout(now);
            }
            for (left, told) in [&mut lazy, &mut eager].into_iter().zip(&mut told) {
                told.extend(events(left).into_iter().map(|event| (now, event)));
                let mut frame = Vec::new();
                told.extend(left.poll_transmit(&mut frame).map(|_| (now, alive(xxh3_64(&frame)))));
            }
        }
        let [lazy, eager] = told;
        assert!(lazy.iter().any(|(_, event)| *event == SUSPECTED), "nothing was tried");
        assert!(lazy.iter().any(|(_, event)| *event == UNREACHABLE), "nothing was tried");
        assert_eq!(lazy, eager);
        assert!(calls < 1000, "{calls} calls in 120 s");
    }
}

// --- Phi accrual

/// The formula of `docs/detector.md`, in floating point.
fn expected_timeout(intervals: &[Duration], z: f64) -> f64 {
    let samples: Vec<f64> = intervals.iter().rev().take(64).map(Duration::as_secs_f64).collect();
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count.max(1.0);
    let variance = samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / count.max(1.0);
    let with_prior = (samples.iter().sum::<f64>() + 25.0) / (count + 5.0);
    (with_prior + z * variance.sqrt()).clamp(0.6, 5.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_timeout_follows_the_last_64_intervals(
        spread in prop::sample::select(vec![1_u64, 1000, 50_000, 400_000, 2_000_000]),
        seeds in prop::collection::vec(any::<u64>(), 0..150),
        level in prop::sample::select(vec![(1_u8, 1.2816), (4, 3.7190), (8, 5.6120), (12, 7.0345)]),
    ) {
        let (suspect_phi, z) = level;
        let (mut left, mut right) = (watcher(phi(suspect_phi)), watched(22));
        let (mut now, mut intervals) = (ms(0), Vec::new());
        left.handle_message(now, 2, &beat(&mut right)).expect("a heartbeat");
        for seed in seeds {
            let interval = ms(150) + Duration::from_micros(seed % spread);
            alone(&mut left, now + interval);
            now += interval;
            left.handle_message(now, 2, &beat(&mut right)).expect("a heartbeat");
            intervals.push(interval);
        }
        let timeout = left.timeout_for(2).expect("watched").as_secs_f64();
        // z is rounded up to thousandths, sigma down to microseconds.
        let expected = expected_timeout(&intervals, z);
        prop_assert!((timeout - expected).abs() < 0.002, "{} instead of {}", timeout, expected);
    }
}

/// Heartbeats every 200 ms until the window is full.
fn settled(left: &mut Detector<u32>, right: &mut Detector<u32>) -> Duration {
    let mut now = ms(0);
    for _ in 0..80 {
        alone(left, now);
        left.handle_message(now, 2, &beat(right)).expect("a heartbeat");
        now += ms(200);
    }
    events(left);
    now - ms(200)
}

#[test]
fn a_death_behind_a_steady_link_is_suspected_sooner_than_by_fixed_thresholds() {
    let (mut left, mut right) = (watcher(phi(8)), watched(22));
    let last = settled(&mut left, &mut right);
    assert_eq!(left.timeout_for(2), Some(ms(600)));
    assert_eq!(alone(&mut left, last + ms(9000)), [(last + ms(600), SUSPECTED), (last + ms(5000), UNREACHABLE)]);
}

#[test]
fn outages_and_new_lives_are_no_samples() {
    let (mut left, mut right) = (watcher(phi(8)), watched(22));
    let last = settled(&mut left, &mut right);
    let full = left.timeout_for(2);
    alone(&mut left, last + ms(6000));
    left.handle_message(last + ms(6000), 2, &beat(&mut right)).expect("a heartbeat");
    assert_eq!(left.timeout_for(2), full, "an outage was sampled");
    // A shorter silence is: such silences happen here.
    alone(&mut left, last + ms(9000));
    left.handle_message(last + ms(9000), 2, &beat(&mut right)).expect("a heartbeat");
    assert!(left.timeout_for(2) > Some(ms(2000)));
    // Nothing is known of the network of a new life.
    alone(&mut left, last + ms(15_000));
    left.handle_message(last + ms(15_000), 2, &beat(&mut watched(23))).expect("a heartbeat");
    assert_eq!(left.timeout_for(2), Some(ms(5000)));
}

#[test]
fn a_slow_node_is_not_suspected_again_and_again() {
    let mut suspicions = [DetectorConfig::default(), phi(8)].map(|config| {
        let (mut left, mut right) = (watcher(config), watched(22));
        let (mut rng, mut now, mut count) = (Rng(3), ms(0), 0);
        for _ in 0..300 {
            count += alone(&mut left, now).iter().filter(|(_, event)| *event == SUSPECTED).count();
            left.handle_message(now, 2, &beat(&mut right)).expect("a heartbeat");
            count += events(&mut left).iter().filter(|&&event| event == SUSPECTED).count();
            now += ms(900 + rng.below(400) as u64);
        }
        count
    });
    suspicions.sort_unstable();
    assert!(suspicions[0] == 0 && suspicions[1] > 100, "{suspicions:?}");
}

// --- Announced silence

#[test]
fn an_announced_silence_is_no_silence_until_its_end() {
    let (mut left, mut right) = (watcher(DetectorConfig::default()), watched(22));
    alone(&mut left, ms(0));
    right.going_quiet(ms(0), ms(60_000));
    let mut frame = Vec::new();
    assert_eq!(right.poll_transmit(&mut frame), Some(1), "the announcement does not wait for the beat");
    left.handle_message(ms(50), 2, &frame).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(22)]);
    // The announcement was under way for 50 ms.
    assert_eq!(alone(&mut left, ms(70_000)), [(ms(61_050), SUSPECTED), (ms(65_050), UNREACHABLE)]);
}

#[test]
fn an_announced_silence_is_believed_for_max_quiet_and_can_end_early() {
    let config = DetectorConfig { max_quiet: ms(3000), ..DetectorConfig::default() };
    let (mut left, mut right) = (watcher(config), watched(22));
    alone(&mut left, ms(0));
    let mut frame = Vec::new();
    right.going_quiet(ms(0), ms(100_000));
    right.poll_transmit(&mut frame).expect("an announcement");
    left.handle_message(ms(0), 2, &frame).expect("a heartbeat");
    // Awake meanwhile, the node still announces what is left.
    left.handle_message(ms(100), 2, &beat(&mut right)).expect("a heartbeat");
    assert_eq!(alone(&mut left, ms(6000)), [(ms(4100), SUSPECTED)]);
    right.going_quiet(ms(300), ms(300));
    right.poll_transmit(&mut frame).expect("an announcement");
    left.handle_message(ms(6000), 2, &frame).expect("a heartbeat");
    assert_eq!(events(&mut left), [alive(22)]);
    assert_eq!(alone(&mut left, ms(7100)), [(ms(7000), SUSPECTED)]);
}

#[test]
fn a_detector_announces_no_more_than_max_quiet() {
    let mut right = watched(22);
    right.going_quiet(ms(0), ms(500_000));
    let mut frame = Vec::new();
    right.poll_transmit(&mut frame).expect("an announcement");
    assert_eq!(frame.len(), 57);
    assert_eq!(frame[41..49], 120_000_000_u64.to_le_bytes());
}

// --- Gaps

/// Four nodes that the detector of node 0 has heard at 1 s.
fn surrounded() -> (Detector<u32>, Vec<Detector<u32>>) {
    let config = DetectorConfig::default();
    let mut sleeper = detector(config, 0, 100);
    let mut others: Vec<_> = (1..5).map(|node| detector(config, node, 100 + u64::from(node))).collect();
    for (node, other) in (1..).zip(&mut others) {
        sleeper.watch(ms(1000), node).expect("room");
        other.watch(ms(1000), 0).expect("room");
    }
    exchange(ms(1000), &mut sleeper, &mut others);
    events(&mut sleeper);
    (sleeper, others)
}

/// Everybody beats and everybody hears it.
fn exchange(now: Duration, centre: &mut Detector<u32>, others: &mut [Detector<u32>]) {
    let mut frame = Vec::new();
    centre.handle_timeout(now);
    while let Some(to) = centre.poll_transmit(&mut frame) {
        if let Some(other) = others.get_mut(to as usize - 1) {
            other.handle_message(now, 0, &frame).expect("a heartbeat");
        }
    }
    for (node, other) in (1..).zip(others) {
        other.handle_timeout(now);
        while other.poll_transmit(&mut frame).is_some() {
            centre.handle_message(now, node, &frame).expect("a heartbeat");
        }
    }
}

#[test]
fn an_input_is_a_gap_when_it_is_more_than_two_intervals_late() {
    let (sleeper, _) = surrounded();
    assert_eq!(sleeper.poll_timeout(), Some(ms(1200)));
    let mut late = sleeper.clone();
    late.handle_timeout(ms(1600));
    assert!(!late.is_fenced() && late.counters().gaps == 0);
    late = sleeper.clone();
    late.handle_timeout(ms(1600) + MICRO);
    assert!(late.is_fenced() && late.counters().gaps == 1);
    assert_eq!(events(&mut late), [DetectorEvent::Fenced { gap: ms(400) + MICRO }]);
    // Any input, and refused ones too: what matters is the time.
    late = sleeper.clone();
    assert_eq!(late.handle_message(ms(9000), 77, &[]), Err(HeartbeatError::NotWatched));
    assert_eq!(events(&mut late), [DetectorEvent::Fenced { gap: ms(7800) }]);
}

#[test]
fn a_node_that_slept_accuses_nobody_and_resumes_when_all_have_answered() {
    let (mut sleeper, mut others) = surrounded();
    let awake = ms(60_000);
    sleeper.handle_timeout(awake);
    assert_eq!(events(&mut sleeper), [DetectorEvent::Fenced { gap: ms(58_800) }]);
    assert!((1..5).all(|node| matches!(sleeper.state(node), Some(PeerState::Alive { .. }))));
    // A heartbeat that was under way while it slept proves nothing: it echoes a beat before the gap.
    for (node, other) in (1..).zip(&mut others) {
        sleeper.handle_message(awake, node, &beat(other)).expect("a heartbeat");
    }
    assert!(sleeper.is_fenced());
    let mut frame = Vec::new();
    while let Some(to) = sleeper.poll_transmit(&mut frame) {
        others[to as usize - 1].handle_message(awake, 0, &frame).expect("a heartbeat");
    }
    for (node, other) in (1..).zip(&mut others) {
        assert!(sleeper.is_fenced(), "before node {node}");
        sleeper.handle_message(awake + ms(200), node, &beat(other)).expect("a heartbeat");
    }
    assert_eq!(events(&mut sleeper), [DetectorEvent::Resumed { answered: 4, awaited: 4 }]);
    assert!(!sleeper.is_fenced());
    // From then on silence counts again.
    let told = alone(&mut sleeper, awake + ms(1200));
    assert_eq!(told, [1, 2, 3, 4].map(|node| (awake + ms(1200), tells(node, PeerState::Suspected))));
}

#[test]
fn a_node_that_slept_and_is_alone_resumes_after_five_intervals() {
    let (mut sleeper, mut others) = surrounded();
    // Node 4 is known to be silent before the gap and is not waited for; node 3 answers.
    let awake = ms(10_000);
    while sleeper.poll_timeout() < Some(ms(2100)) {
        exchange(sleeper.poll_timeout().expect("beats"), &mut sleeper, &mut others[..3]);
    }
    assert_eq!(events(&mut sleeper), [tells(4, PeerState::Suspected)]);
    sleeper.handle_timeout(awake);
    let mut frame = Vec::new();
    while let Some(to) = sleeper.poll_transmit(&mut frame) {
        others[to as usize - 1].handle_message(awake, 0, &frame).expect("a heartbeat");
    }
    sleeper.handle_message(awake + ms(100), 3, &beat(&mut others[2])).expect("a heartbeat");
    events(&mut sleeper);
    let told = alone(&mut sleeper, awake + ms(5000) - MICRO);
    let end = awake + ms(1000);
    let expected = [
        (end, DetectorEvent::Resumed { answered: 1, awaited: 3 }),
        (end, tells(1, PeerState::Suspected)),
        (end, tells(2, PeerState::Suspected)),
        (awake + ms(1100), tells(3, PeerState::Suspected)),
    ];
    assert_eq!(told, expected);
    // What was suspected before the gap is not unreachable before a whole silence after it.
    assert_eq!(sleeper.state(4), Some(PeerState::Suspected));
    let told = alone(&mut sleeper, awake + ms(5000));
    assert_eq!(told, [1, 2, 4].map(|node| (awake + ms(5000), tells(node, PeerState::Unreachable))));
}

#[test]
fn intervals_across_a_gap_are_no_samples() {
    let (mut left, mut right) = (watcher(phi(8)), watched(22));
    let last = settled(&mut left, &mut right);
    let full = left.timeout_for(2);
    for at in [3000, 3000, 3000, 3200] {
        left.handle_message(last + ms(at), 2, &beat(&mut right)).expect("a heartbeat");
    }
    assert!(left.is_fenced());
    assert_eq!(left.timeout_for(2), full);
}

// --- Limits

#[test]
fn limits_hold() {
    let config = DetectorConfig { max_nodes: 2, ..DetectorConfig::default() };
    let mut left = detector(config, 1, 11);
    assert_eq!(left.watch(ms(0), 1), Err(WatchError::OwnNode));
    assert_eq!(left.poll_timeout(), None);
    for node in [2, 3, 2] {
        left.watch(ms(0), node).expect("room");
    }
    assert_eq!(left.watch(ms(0), 4), Err(WatchError::Full { max: 2 }));
    left.unwatch(3);
    left.unwatch(9);
    assert_eq!((left.state(3), left.timeout_for(3)), (None, None));
    left.watch(ms(0), 4).expect("room");
    left.unwatch(4);
    // Nobody polls for a minute: one frame and one event per node stay.
    let mut frame = Vec::new();
    while let Some(now) = left.poll_timeout().filter(|&now| now < ms(60_000)) {
        left.handle_timeout(now);
    }
    assert_eq!((left.poll_transmit(&mut frame), left.poll_transmit(&mut frame)), (Some(2), None));
    assert_eq!(events(&mut left), [UNREACHABLE]);
    left.unwatch(2);
    assert_eq!(left.poll_timeout(), None);
}

#[test]
fn unsound_configurations_are_refused() {
    let sound = DetectorConfig::default();
    let fixed = |suspect, unreachable| Thresholds::Fixed { suspect: ms(suspect), unreachable: ms(unreachable) };
    let refusal = |config| Detector::new(config, Actor { node: 1_u32, incarnation: 0 }).err();
    assert_eq!(refusal(sound), None);
    assert_eq!(refusal(DetectorConfig { thresholds: fixed(600, 601), ..sound }), None);
    let interval = ms(1) - MICRO;
    assert_eq!(refusal(DetectorConfig { interval, ..sound }), Some(DetectorConfigError::Interval { interval }));
    for (suspect, unreachable) in [(599, 5000), (1000, 1000), (1000, 3_600_001)] {
        let error = refusal(DetectorConfig { thresholds: fixed(suspect, unreachable), ..sound });
        assert!(matches!(error, Some(DetectorConfigError::Silence { .. })), "{suspect} {unreachable}");
    }
    for suspect_phi in [0, 13] {
        assert_eq!(refusal(phi(suspect_phi)), Some(DetectorConfigError::Phi { suspect_phi }));
    }
    assert_eq!(
        refusal(DetectorConfig { gap_intervals: 0, ..sound }),
        Some(DetectorConfigError::Gap { gap_intervals: 0 })
    );
    let max_quiet = ms(3_600_001);
    assert_eq!(refusal(DetectorConfig { max_quiet, ..sound }), Some(DetectorConfigError::Quiet { max_quiet }));
}

#[test]
fn the_greatest_times_are_no_overflow() {
    let (mut left, mut right) = (watcher(phi(8)), watched(22));
    left.handle_message(Duration::MAX, 2, &beat(&mut right)).expect("a heartbeat");
    left.going_quiet(Duration::MAX, Duration::MAX);
    left.handle_timeout(Duration::MAX);
    // An earlier time counts as the latest one.
    let deadline = left.poll_timeout();
    left.handle_timeout(ms(5));
    assert_eq!(left.poll_timeout(), deadline);
}

// --- Bytes from the network

/// A frame as node 2 would address it to node 1, with fields of anybody's making and a checksum that fits.
fn forge(head: &[u8], words: [u64; 4]) -> Vec<u8> {
    let mut frame = head.to_vec();
    words.iter().for_each(|word| frame.extend(word.to_le_bytes()));
    let sum = xxh3_64(&frame);
    frame.extend(sum.to_le_bytes());
    frame
}

#[test]
fn the_frame_is_as_documented() {
    let (mut left, mut right) = (watcher(DetectorConfig::default()), watched(22));
    let mut head = b"IH\x01\x01".to_vec();
    head.extend([22, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0]);
    assert_eq!(beat(&mut right), forge(&head, [1, 0, 0, 0]));
    right.handle_message(ms(0), 1, &beat(&mut left)).expect("a heartbeat");
    right.handle_message(ms(0), 1, &beat(&mut left)).expect("a heartbeat");
    assert_eq!(beat(&mut right), forge(&head, [2, 11, 2, 0]));

    let refusals = [
        (forge(&head, [0, 0, 0, 0]), HeartbeatError::Malformed), // beats count from 1
        (forge(&head, [3, 11, 0, 0]), HeartbeatError::Malformed), // no echo has no incarnation
        (vec![0; 118], HeartbeatError::TooLong { len: 118, max: 117 }),
        (Vec::new(), HeartbeatError::Malformed),
    ];
    for (frame, error) in refusals {
        assert_eq!(left.handle_message(ms(0), 2, &frame), Err(error));
    }
    for (at, byte, error) in [
        (0, b'i', HeartbeatError::Malformed),
        (2, 2, HeartbeatError::Version { found: 2 }),
        (3, 2, HeartbeatError::Malformed),
        (12, 3, HeartbeatError::Malformed),
        (13, 2, HeartbeatError::Misrouted),
    ] {
        let mut other = head.clone();
        other[at] = byte;
        assert_eq!(left.handle_message(ms(0), 2, &forge(&other, [3, 0, 0, 0])), Err(error));
    }
    let mut damaged = forge(&head, [3, 0, 0, 0]);
    damaged[20] ^= 1;
    assert_eq!(left.handle_message(ms(0), 2, &damaged), Err(HeartbeatError::Checksum));
    assert_eq!(left.handle_message(ms(0), 3, &forge(&head, [3, 0, 0, 0])), Err(HeartbeatError::NotWatched));
    assert_eq!((left.counters().refused, left.state(2)), (11, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn refused_bytes_change_only_the_counter(
        from in 1_u32..4,
        bytes in prop::collection::vec(any::<u8>(), 0..130),
        edits in prop::collection::vec((0_usize..60, any::<u8>()), 0..4),
        shape in 0..3,
        late in 0_u64..2000,
    ) {
        let mut left = watcher(phi(8));
        let mut right = watched(22);
        left.handle_message(ms(0), 2, &beat(&mut right)).expect("a heartbeat");
        let mut frame = bytes;
        if shape > 0 {
            frame = beat(&mut right);
            for (at, byte) in edits {
                let at = at % frame.len();
                frame[at] = byte;
            }
        }
        if shape > 1 {
            let (body, sum) = frame.split_last_chunk_mut::<8>().expect("a frame");
            *sum = xxh3_64(body).to_le_bytes();
        }
        let mut twin = left.clone();
        twin.handle_message(ms(late), 99, &[]).expect_err("a stranger");
        match left.handle_message(ms(late), from, &frame) {
            Err(_) => prop_assert_eq!(&left, &twin),
            Ok(()) => prop_assert_eq!(from, 2),
        }
        // Whatever was taken, it lives on.
        alone(&mut left, ms(200_000));
        prop_assert_eq!(left.state(2), Some(PeerState::Unreachable));
    }
}

// --- Many nodes

/// SplitMix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below bound")
    }

    fn between(&mut self, [low, high]: [u64; 2]) -> Duration {
        ms(low + self.below(usize::try_from(high - low + 1).expect("small")) as u64)
    }
}

/// Five nodes that watch each other, over links with loss and delay. Nodes pause: what arrives waits, then comes at once,
/// before the timer.
struct Net {
    now: Duration,
    nodes: Vec<Detector<u32>>,
    paused_until: Vec<Duration>,
    next_pause: Vec<Duration>,
    wire: BTreeMap<(Duration, u64), (usize, u32, Vec<u8>)>,
    rng: Rng,
    per_thousand_lost: usize,
    delay: [u64; 2],
    pause_after: [u64; 2],
    pause: [u64; 2],
    frames: u64,
    told: Vec<(Duration, usize, Told)>,
}

impl Net {
    fn new(config: DetectorConfig, seed: u64) -> Self {
        let mut nodes: Vec<_> = (0..5).map(|node| detector(config, node, 1)).collect();
        for (own, node) in (0..).zip(&mut nodes) {
            for other in (0..5).filter(|&other| other != own) {
                node.watch(ms(0), other).expect("room");
            }
        }
        Self {
            now: ms(0),
            nodes,
            paused_until: vec![ms(0); 5],
            next_pause: vec![Duration::MAX; 5],
            wire: BTreeMap::new(),
            rng: Rng(seed),
            per_thousand_lost: 0,
            delay: [1, 1],
            pause_after: [0, 0],
            pause: [0, 0],
            frames: 0,
            told: Vec::new(),
        }
    }

    fn with_pauses(mut self, pause_after: [u64; 2], pause: [u64; 2]) -> Self {
        (self.pause_after, self.pause) = (pause_after, pause);
        self.next_pause = (0..5).map(|_| self.rng.between(pause_after)).collect();
        self
    }

    fn run(&mut self, until: Duration) {
        loop {
            let arrival = self.wire.iter().map(|(&key, &(to, ..))| (key.0.max(self.paused_until[to]), key)).min();
            let timer = (0..5)
                .filter_map(|node| Some((self.nodes[node].poll_timeout()?.max(self.paused_until[node]), node)))
                .min()
                .expect("they beat");
            let pause = (0..5).map(|node| (self.next_pause[node], node)).min().expect("five");
            let due = arrival.map_or(timer.0, |arrival| arrival.0.min(timer.0)).min(pause.0);
            if due > until {
                self.now = until;
                return;
            }
            self.now = due;
            if pause.0 == due {
                let pause_end = due + self.rng.between(self.pause);
                self.paused_until[pause.1] = pause_end;
                self.next_pause[pause.1] = pause_end + self.rng.between(self.pause_after);
                continue;
            }
            let node = match arrival.filter(|arrival| arrival.0 == due) {
                Some((_, key)) => {
                    let (to, from, frame) = self.wire.remove(&key).expect("under way");
                    self.nodes[to].handle_message(due, from, &frame).expect("a heartbeat");
                    to
                }
                None => {
                    self.nodes[timer.1].handle_timeout(due);
                    timer.1
                }
            };
            self.drain(node);
        }
    }

    fn drain(&mut self, node: usize) {
        let mut frame = Vec::new();
        while let Some(to) = self.nodes[node].poll_transmit(&mut frame) {
            self.frames += 1;
            if self.rng.below(1000) >= self.per_thousand_lost {
                let arrival = self.now + self.rng.between(self.delay);
                let from = u32::try_from(node).expect("five");
                self.wire.insert((arrival, self.frames), (to as usize, from, frame.clone()));
            }
        }
        self.told.extend(events(&mut self.nodes[node]).into_iter().map(|event| (self.now, node, event)));
    }

    fn count(&self, wanted: impl Fn(&Told) -> bool) -> usize {
        self.told.iter().filter(|(_, _, event)| wanted(event)).count()
    }

    fn trace_hash(&self) -> u64 {
        let text: String = self.told.iter().map(|told| format!("{told:?}\n")).collect();
        xxh3_64(text.as_bytes())
    }
}

const fn is_suspicion(event: &Told) -> bool {
    matches!(event, DetectorEvent::Peer { state: PeerState::Suspected | PeerState::Unreachable, .. })
}

/// Ten minutes at 5 % loss, with delays of 2 to 60 ms, and pauses of 0.2 to 1.6 s in every 3 to 6 s of each node.
fn rough(config: DetectorConfig, seed: u64) -> Net {
    let mut net = Net::new(config, seed).with_pauses([3000, 6000], [200, 1600]);
    (net.per_thousand_lost, net.delay) = (50, [2, 60]);
    net.run(ms(600_000));
    net
}

#[test]
fn phi_accrual_suspects_paused_nodes_less_often_than_fixed_thresholds() {
    for seed in 1..=3 {
        let [fixed, adaptive] =
            [DetectorConfig::default(), phi(8)].map(|config| rough(config, seed).count(is_suspicion));
        println!("seed {seed}: fixed {fixed}, phi {adaptive}");
        assert!(fixed > 400, "seed {seed}: fixed {fixed}");
        assert!(adaptive * 2 < fixed, "seed {seed}: fixed {fixed}, phi {adaptive}");
    }
}

/// Node 0 pauses for long again and again. The others may suspect it; it may suspect nobody, for nobody else is silent.
#[test]
fn a_paused_node_accuses_nobody() {
    for config in [DetectorConfig::default(), phi(8)] {
        let mut net = Net::new(config, 5);
        (net.per_thousand_lost, net.delay) = (10, [2, 60]);
        let mut accusations = 0;
        for round in 1..=20 {
            net.run(net.now + ms(5000));
            net.paused_until[0] = net.now + ms(1500 * round);
            net.run(net.now + ms(1500 * round + 3000));
            accusations += net.told.iter().filter(|(_, by, event)| *by != 0 && is_suspicion(event)).count();
            assert!(!net.told.iter().any(|(_, by, event)| *by == 0 && is_suspicion(event)), "round {round}");
            assert!(!net.nodes[0].is_fenced(), "round {round}");
            assert!((1..5).all(|node| matches!(net.nodes[0].state(node), Some(PeerState::Alive { .. }))));
            net.told.clear();
        }
        assert_eq!(net.nodes[0].counters().gaps, 20);
        assert!(accusations > 100, "{accusations}");
    }
}

#[test]
fn idle_groups_cost_one_heartbeat_per_ordered_pair_and_interval() {
    let mut net = Net::new(DetectorConfig::default(), 1);
    // Each of 10,000 groups has its nodes watched.
    for _ in 0..10_000 {
        for own in 0..5 {
            for other in (0..5).filter(|&other| other != own) {
                net.nodes[own as usize].watch(ms(0), other).expect("room");
            }
        }
    }
    net.run(ms(60_000) - MICRO);
    assert_eq!(net.frames, 5 * 4 * 300);
    assert_eq!(net.told.len(), 20, "each node hears of each other once");
}

#[test]
fn the_same_inputs_give_the_same_trace_on_every_target() {
    let hashes = [1, 1, 2].map(|seed| rough(phi(8), seed).trace_hash());
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
    // Computed by this test; it stands here so that other targets compare with the same.
    assert_eq!(hashes[0], 18_104_255_036_346_431_010);
}
