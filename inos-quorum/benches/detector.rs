//! What does a failure detector cost per watched node: a heartbeat taken in, a beat sent, a timeout at which all fall
//! silent, and one at which nobody does?
//!
//! All nodes have 64 intervals with jitter behind them. Elements are nodes, so a time per element that grows with their
//! number is worse than linear. What judges a silence by phi has a naive twin: floating point over a `VecDeque`, mean
//! and deviation anew each time, and a scan of all nodes where ours asks a set of deadlines. It reads no frames, so
//! heartbeats have none.

#![allow(missing_docs, reason = "criterion's macros generate the entry point")]

extern crate alloc;

use alloc::collections::VecDeque;
use core::{hint::black_box, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_quorum::{Actor, Detector, DetectorConfig, DetectorEvent, PeerState, Thresholds, sim::Rng};

const SEED: u64 = 0xdec7;
const NODES: [u64; 3] = [5, 100, 700];
const INTERVAL: Duration = Duration::from_millis(200);
const JITTER_US: u64 = 5_000;
/// As many intervals as a detector remembers, and one heartbeat more.
const ROUNDS: u32 = 65;
const PHI: u8 = 8;
const UNREACHABLE: Duration = Duration::from_secs(5);
const THRESHOLDS: [(&str, Thresholds); 2] = [
    ("fixed", Thresholds::Fixed { suspect: Duration::from_secs(1), unreachable: UNREACHABLE }),
    ("phi", Thresholds::PhiAccrual { suspect_phi: PHI, unreachable: UNREACHABLE }),
];

/// The naive twin of one watched node.
#[derive(Clone, Debug, Default)]
struct Accrual {
    intervals: VecDeque<f64>,
    heard_at: Duration,
}

impl Accrual {
    fn hear(&mut self, now: Duration) {
        if !self.heard_at.is_zero() {
            if self.intervals.len() == 64 {
                self.intervals.pop_front();
            }
            self.intervals.push_back((now - self.heard_at).as_secs_f64());
        }
        self.heard_at = now;
    }

    /// Mean and deviation, in seconds. The mean is pulled by five intervals of 5 s, as is ours.
    fn moments(&self) -> (f64, f64) {
        let count = self.intervals.iter().map(|_| 1.0).sum::<f64>();
        let sum = self.intervals.iter().sum::<f64>();
        let squares = self.intervals.iter().map(|interval| (interval - sum / count).powi(2)).sum::<f64>();
        ((sum + 25.0) / (count + 5.0), (squares / count).sqrt())
    }

    /// The tail of the normal distribution by its logistic approximation, as detectors in floating point have it.
    fn phi(&self, now: Duration) -> f64 {
        let (mean, sigma) = self.moments();
        let z = ((now - self.heard_at).as_secs_f64() - mean) / sigma;
        let odds = (-z * (1.5976 + 0.070_566 * z * z)).exp();
        -(if z > 0.0 { odds / (1.0 + odds) } else { 1.0 - 1.0 / (1.0 + odds) }).log10()
    }

    /// The silence after which phi exceeds 8, in seconds.
    fn timeout_s(&self) -> f64 {
        let (mean, sigma) = self.moments();
        mean + 5.613 * sigma
    }
}

/// A detector that has heard all its nodes for [`ROUNDS`] beats and has just sent one itself, and its twins.
struct Watch {
    detector: Detector<u64>,
    twins: Vec<Accrual>,
    now: Duration,
    /// The next heartbeat of each node, not yet handed in.
    next: Vec<(u64, Vec<u8>)>,
}

impl Watch {
    fn new(nodes: u64, thresholds: Thresholds) -> Self {
        let mut rng = Rng::new(SEED ^ nodes);
        let config = DetectorConfig { interval: INTERVAL, thresholds, ..DetectorConfig::default() };
        let start = |node| Detector::new(config, Actor { node, incarnation: 1 }).expect("a sound configuration");
        let mut detector = start(0);
        let mut others: Vec<_> = (1..=nodes).map(|node| (node, start(node), Accrual::default())).collect();
        for (node, other, _) in &mut others {
            detector.watch(Duration::ZERO, *node).expect("fewer nodes than the limit");
            other.watch(Duration::ZERO, 0).expect("another node");
        }
        let mut frame = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..ROUNDS {
            now += INTERVAL;
            drain(&mut detector, now, &mut frame);
            for (node, other, twin) in &mut others {
                let at = now + Duration::from_micros(rng.below(JITTER_US));
                other.handle_timeout(now);
                other.poll_transmit(&mut frame).expect("a heartbeat is due");
                detector.handle_message(at, *node, &frame).expect("an honest frame");
                twin.hear(at);
                while detector.poll_event().is_some() {}
            }
        }
        now += INTERVAL;
        drain(&mut detector, now, &mut frame);
        let mut watch = Self { detector, twins: Vec::new(), now, next: Vec::new() };
        for (node, mut other, twin) in others {
            other.handle_timeout(now);
            other.poll_transmit(&mut frame).expect("a heartbeat is due");
            watch.next.push((node, frame.clone()));
            watch.twins.push(twin);
        }
        watch
    }

    /// The last moment before somebody is suspected, and the one at which everybody is.
    fn silence(&self) -> (Detector<u64>, Duration) {
        let mut detector = self.detector.clone();
        let mut frame = Vec::new();
        loop {
            let before = detector.clone();
            let due = detector.poll_timeout().expect("somebody is watched");
            drain(&mut detector, due, &mut frame);
            if detector.poll_event().is_some() {
                return (before, due + INTERVAL / 2);
            }
        }
    }
}

/// A timeout, and the heartbeats that it makes due; how many.
fn drain(detector: &mut Detector<u64>, now: Duration, frame: &mut Vec<u8>) -> usize {
    detector.handle_timeout(now);
    core::iter::from_fn(|| detector.poll_transmit(frame)).count()
}

/// One heartbeat of every node: read, judged, its deadline set anew.
fn heartbeat(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector-heartbeat");
    for nodes in NODES {
        group.throughput(Throughput::Elements(nodes));
        for (name, thresholds) in THRESHOLDS {
            let watch = Watch::new(nodes, thresholds);
            let hear = |detector: &mut Detector<u64>| {
                for (node, frame) in &watch.next {
                    detector.handle_message(watch.now, *node, black_box(frame)).expect("an honest frame");
                }
                assert_eq!(detector.poll_event(), None);
            };
            group.bench_function(BenchmarkId::new(name, nodes), |bencher| {
                bencher.iter_batched_ref(|| watch.detector.clone(), hear, BatchSize::LargeInput);
            });
        }
    }
    group.finish();
}

/// A beat: a frame to every node.
fn beat(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector-beat");
    for nodes in NODES {
        let Watch { detector, now, .. } = Watch::new(nodes, THRESHOLDS[0].1);
        let mut frame = Vec::new();
        let due = now + INTERVAL;
        assert_eq!(drain(&mut detector.clone(), due, &mut frame) as u64, nodes);
        group.throughput(Throughput::Elements(nodes));
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            let send = |detector: &mut Detector<u64>| drain(detector, black_box(due), &mut frame);
            bencher.iter_batched_ref(|| detector.clone(), send, BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// All nodes fall silent at once, and each is told.
fn accuse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector-accuse");
    for nodes in NODES {
        group.throughput(Throughput::Elements(nodes));
        for (name, thresholds) in THRESHOLDS {
            let watch = Watch::new(nodes, thresholds);
            let (silent, due) = watch.silence();
            let accuse = |detector: &mut Detector<u64>| {
                detector.handle_timeout(black_box(due));
                let suspected = |event| matches!(event, DetectorEvent::Peer { state: PeerState::Suspected, .. });
                core::iter::from_fn(|| detector.poll_event()).filter(|&event| suspected(event)).count()
            };
            assert_eq!(accuse(&mut silent.clone()) as u64, nodes);
            group.bench_function(BenchmarkId::new(name, nodes), |bencher| {
                bencher.iter_batched_ref(|| silent.clone(), accuse, BatchSize::LargeInput);
            });
            if name == "phi" {
                let scan = |now| watch.twins.iter().filter(|twin| twin.phi(now) > f64::from(PHI)).count();
                assert_eq!(scan(due) as u64, nodes);
                group.bench_function(BenchmarkId::new("phi-naive", nodes), |bencher| {
                    bencher.iter(|| scan(black_box(due)));
                });
            }
        }
    }
    group.finish();
}

/// A timeout at which nothing is due: what the set of deadlines is for.
fn idle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector-idle");
    for nodes in NODES {
        let Watch { mut detector, twins, now, .. } = Watch::new(nodes, THRESHOLDS[1].1);
        group.throughput(Throughput::Elements(nodes));
        group.bench_function(BenchmarkId::new("phi", nodes), |bencher| {
            bencher.iter(|| detector.handle_timeout(black_box(now)));
        });
        group.bench_function(BenchmarkId::new("phi-naive", nodes), |bencher| {
            bencher.iter(|| twins.iter().filter(|twin| twin.phi(black_box(now)) > f64::from(PHI)).count());
        });
    }
    group.finish();
}

/// The silence that 64 intervals make suspicious.
fn timeout(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector-timeout-for");
    let Watch { detector, twins, .. } = Watch::new(5, THRESHOLDS[1].1);
    let ours = detector.timeout_for(1).expect("watched").as_secs_f64();
    assert!((ours - twins[0].timeout_s().max(0.6)).abs() < 1e-4);
    group.throughput(Throughput::Elements(1));
    group.bench_function("phi", |bencher| bencher.iter(|| detector.timeout_for(black_box(1))));
    group.bench_function("phi-naive", |bencher| bencher.iter(|| black_box(&twins[0]).timeout_s()));
    group.finish();
}

criterion_group!(benches, heartbeat, beat, accuse, idle, timeout);
criterion_main!(benches);
