//! How fast is billing by the second? `accrue` for 1,024 meters, one second each, beside the same formula in `f64`,
//! which drifts and checks nothing; with `to_bytes` and `charge_id`, which a durable charge needs as well.

use core::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inos_pricing::{Bytes, Meter, MeterId, Millis, Plan, Rates, Reading, Replicas, TierPlan};

const RATES: Rates = Rates { storage: 20, compute: 3, bandwidth: 7 };
const COUNT: u64 = 1_024;

/// Readings and numbers of replicas of a fixed seed.
fn readings() -> Vec<(Reading, Replicas)> {
    let mut state = 7_u64;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    (0..COUNT)
        .map(|_| {
            let reading = Reading {
                stored: Bytes(below(1 << 30) * 64),
                cpu: Millis(below(1 << 12)),
                moved: Bytes(below(1 << 30)),
            };
            (reading, Replicas(u16::try_from(below(700)).expect("below 700") + 1))
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "the rounding is what this twin is about")]
fn accrue_in_floats(accrued: &mut f64, rates: &Rates, reading: &Reading, replicas: Replicas) -> f64 {
    let factor = TierPlan.factor(replicas).map_or(0.0, |factor| f64::from(factor.0) / 1e3);
    let storage = reading.stored.0 as f64 / 1e9 / 3.6e3 * f64::from(rates.storage);
    let compute = reading.cpu.0 as f64 / 1e3 * f64::from(rates.compute);
    let bandwidth = reading.moved.0 as f64 / 1e9 * f64::from(rates.bandwidth);
    *accrued += (storage + compute + bandwidth) * factor;
    let credits = accrued.floor();
    *accrued -= credits;
    credits
}

fn accruals(criterion: &mut Criterion) {
    let readings = readings();
    let meters: Vec<Meter> =
        (0..COUNT).map(|n| Meter::new(MeterId(u128::from(n)), Millis(1_700_000_000_000))).collect();
    let mut group = criterion.benchmark_group("meter");
    group.throughput(Throughput::Elements(COUNT));

    let mut running = meters.clone();
    group.bench_function("accrue", |bencher| {
        bencher.iter(|| {
            for (meter, (reading, replicas)) in running.iter_mut().zip(&readings) {
                let until = Millis(meter.settled_until().0 + 1_000);
                let _ = black_box(meter.accrue(until, black_box(&RATES), &TierPlan, black_box(reading), *replicas));
            }
        });
    });
    let mut running = meters;
    group.bench_function("accrue, to_bytes, charge_id", |bencher| {
        bencher.iter(|| {
            for (meter, (reading, replicas)) in running.iter_mut().zip(&readings) {
                let until = Millis(meter.settled_until().0 + 1_000);
                let _ = black_box(meter.accrue(until, black_box(&RATES), &TierPlan, black_box(reading), *replicas));
                black_box((meter.to_bytes(), meter.charge_id()));
            }
        });
    });
    let mut running = vec![0.0; readings.len()];
    group.bench_function("accrue in f64", |bencher| {
        bencher.iter(|| {
            for (accrued, (reading, replicas)) in running.iter_mut().zip(&readings) {
                black_box(accrue_in_floats(accrued, black_box(&RATES), black_box(reading), *replicas));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, accruals);
criterion_main!(benches);
