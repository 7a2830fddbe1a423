//! What does following demand cost? Recording and asking when the set is known, and recording when every id is new and
//! one has to go, at three sizes of the set. Beside it a map without decay or bound: what any set of counters costs.

#[cfg(not(target_arch = "wasm32"))]
mod measured {
    extern crate alloc;

    use alloc::collections::BTreeMap;
    use core::hint::black_box;
    use core::time::Duration;
    use criterion::{BenchmarkId, Criterion, Throughput};
    use inos_alloc::{DemandMonitor, DemandPolicy, Replicas, Signals};

    const FULL: Signals = Signals { accesses: 1_000, network_bytes: 1_000_000, compute_ms: 1_000, credits: 10 };
    const USED: Signals = Signals { accesses: 3, network_bytes: 40_000, compute_ms: 9, credits: 1 };

    /// Ids in no order.
    const fn id(number: u64) -> u64 {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn filled(capacity: u32) -> DemandMonitor<u64> {
        let policy = DemandPolicy { capacity, ..DemandPolicy::new(FULL) };
        let mut monitor = DemandMonitor::new(policy).expect("the default thresholds");
        for number in 0..u64::from(capacity) {
            monitor.record(id(number), USED, Duration::from_micros(number));
        }
        monitor
    }

    pub(super) fn run(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("demand");
        group.throughput(Throughput::Elements(1));
        for capacity in [1_000u32, 65_536, 1_000_000] {
            let mut monitor = filled(capacity);
            let mut number = u64::from(capacity);
            let mut next = || {
                number += 7;
                (id(number % u64::from(capacity)), Duration::from_micros(number))
            };
            group.bench_function(BenchmarkId::new("record_known", capacity), |bencher| {
                bencher.iter(|| {
                    let (id, now) = next();
                    black_box(monitor.record(id, USED, now))
                });
            });
            group.bench_function(BenchmarkId::new("decide", capacity), |bencher| {
                let replicas = Replicas { count: 5, floor: 5, ceiling: 7 };
                bencher.iter(|| {
                    let (id, now) = next();
                    black_box(monitor.decide(&id, replicas, Duration::ZERO, now))
                });
            });
            let mut fresh = u64::MAX;
            group.bench_function(BenchmarkId::new("record_new_and_evict", capacity), |bencher| {
                bencher.iter(|| {
                    fresh -= 1;
                    let (_, now) = next();
                    black_box(monitor.record(id(fresh), USED, now))
                });
            });
            let mut map: BTreeMap<u64, [u64; 4]> =
                (0..u64::from(capacity)).map(|number| (id(number), [0; 4])).collect();
            group.bench_function(BenchmarkId::new("counters_in_a_map", capacity), |bencher| {
                bencher.iter(|| {
                    let (id, _) = next();
                    let counters = map.entry(id).or_default();
                    counters[0] += USED.accesses;
                    counters[1] += USED.network_bytes;
                    counters[2] += USED.compute_ms;
                    counters[3] += USED.credits;
                    black_box(counters[0])
                });
            });
        }
        group.finish();
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    measured::run(&mut criterion);
    criterion.final_summary();
}

#[cfg(target_arch = "wasm32")]
fn main() {}
