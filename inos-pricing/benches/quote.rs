//! How fast are prices? `quote` and `max_affordable` on 1,024 usages, beside the same formula in `f64`, which is what
//! the exactness is paid against: its answers are wrong by rounding and it checks nothing.

use core::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inos_pricing::{
    Bytes, Credits, DEFAULT_RANGE, Floor, Millis, Plan, Rates, Replicas, TierPlan, Usage, allocate, max_affordable,
    quote,
};

const RATES: Rates = Rates { storage: 20, compute: 3, bandwidth: 7 };
const COUNT: u64 = 1_024;

/// Usages and numbers of replicas of a fixed seed.
fn usages() -> Vec<(Usage, Replicas)> {
    let mut state = 7_u64;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    (0..COUNT)
        .map(|_| {
            let usage = Usage {
                stored: Bytes(below(1 << 30) * 64),
                held: Millis(below(1 << 28)),
                cpu: Millis(below(1 << 20)),
                moved: Bytes(below(1 << 30)),
            };
            (usage, Replicas(u16::try_from(below(700)).expect("below 700") + 1))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "the rounding is what this twin is about")]
fn quote_in_floats(rates: &Rates, usage: &Usage, replicas: Replicas) -> f64 {
    let factor = TierPlan.factor(replicas).map_or(0.0, |factor| f64::from(factor.0) / 1e3);
    let storage = usage.stored.0 as f64 / 1e9 * (usage.held.0 as f64 / 3.6e6) * f64::from(rates.storage);
    let compute = usage.cpu.0 as f64 / 1e3 * f64::from(rates.compute);
    let bandwidth = usage.moved.0 as f64 / 1e9 * f64::from(rates.bandwidth);
    ((storage + compute + bandwidth) * factor).ceil()
}

fn prices(criterion: &mut Criterion) {
    let usages = usages();
    let mut group = criterion.benchmark_group("price");
    group.throughput(Throughput::Elements(COUNT));
    group.bench_function("quote", |bencher| {
        bencher.iter(|| {
            for (usage, replicas) in &usages {
                let _ = black_box(quote(black_box(&RATES), &TierPlan, black_box(usage), *replicas));
            }
        });
    });
    group.bench_function("quote in f64", |bencher| {
        bencher.iter(|| {
            for (usage, replicas) in &usages {
                black_box(quote_in_floats(black_box(&RATES), black_box(usage), *replicas));
            }
        });
    });
    for (name, range) in [("3..=7", DEFAULT_RANGE), ("1..=700", Replicas::MIN..=Replicas::MAX)] {
        group.bench_function(format!("max_affordable {name}"), |bencher| {
            bencher.iter(|| {
                for (usage, _) in &usages {
                    let budget = Credits(100_000);
                    let range = range.clone();
                    let _ =
                        black_box(max_affordable(&RATES, &TierPlan, black_box(usage), budget, range, Floor::Refuse));
                }
            });
        });
    }
    group.finish();
}

fn splits(criterion: &mut Criterion) {
    let weights: Vec<u64> = (1..=120).map(|n| n * n).collect();
    let mut parts = vec![Credits::ZERO; weights.len()];
    let mut group = criterion.benchmark_group("allocate");
    group.throughput(Throughput::Elements(120));
    group.bench_function("120 parts", |bencher| {
        bencher.iter(|| allocate(black_box(Credits(1_000_003)), black_box(&weights), black_box(&mut parts)));
    });
    group.finish();
}

criterion_group!(benches, prices, splits);
criterion_main!(benches);
