//! What an exact price costs beside decimal arithmetic.

use core::hint::black_box;

use inos_pricing::{Bytes, Credits, Meter, MeterId, Millis, Plan, Rates, Reading, Replicas, TierPlan, Usage, quote};
use rust_decimal::Decimal;

use crate::Setting;
use crate::contest::{Contestant, Role, Stopwatch, compete};
use crate::report::{Better, Row, Target};
use crate::workload::{NOW, Random};

const RATES: Rates = Rates { storage: 20, compute: 3, bandwidth: 7 };
const COUNT: u32 = 1_024;
const DECIMAL: &str = "rust_decimal";
const TOTAL_ONLY: &str = "rust_decimal-total";

pub(crate) fn quotes(name: &'static str, setting: &Setting) -> Row {
    let usages = usages();
    let passes = setting.effort.units(200);
    let each = |price: &dyn Fn(&Usage, Replicas)| {
        nanoseconds(passes, || {
            for (usage, replicas) in &usages {
                price(black_box(usage), *replicas);
            }
        })
    };
    let turns = vec![
        Contestant::new("ours", Role::Ours, || {
            each(&|usage, replicas| {
                black_box(quote(black_box(&RATES), &TierPlan, usage, replicas).expect("all of them have a price"));
            })
        }),
        Contestant::new(DECIMAL, Role::Peer, || {
            each(&|usage, replicas| {
                black_box(decimal::quote(black_box(&RATES), usage, replicas));
            })
        }),
        Contestant::new(TOTAL_ONLY, Role::Peer, || {
            each(&|usage, replicas| {
                black_box(decimal::total(black_box(&RATES), usage, replicas));
            })
        }),
    ];
    let figures = compete(turns, setting.effort.rounds);
    let notes = vec![
        format!(
            "{COUNT} usages of a fixed seed, TierPlan, total and three lines by largest remainder; the totals and lines are equal"
        ),
        format!(
            "{DECIMAL}: the same total and lines, rounded to 28 digits before it is rounded up, and a panic where 96 bits do not suffice; \
             {TOTAL_ONLY}: no lines"
        ),
    ];
    let target = Target::TimesAsFastAs(3.0, DECIMAL);
    Row::new((name, "ns/quote", Better::Lower), &figures, &[], &[target], notes)
}

pub(crate) fn accruals(name: &'static str, setting: &Setting) -> Row {
    let readings = readings();
    let passes = setting.effort.units(200);
    let ours = || {
        let mut meters: Vec<Meter> = (0..COUNT).map(|n| Meter::new(MeterId(u128::from(n)), NOW)).collect();
        nanoseconds(passes, || {
            for (meter, (reading, replicas)) in meters.iter_mut().zip(&readings) {
                let until = Millis(meter.settled_until().0 + 1_000);
                let credits = meter.accrue(until, black_box(&RATES), &TierPlan, black_box(reading), *replicas);
                black_box(credits.expect("all of them have a price"));
            }
        })
    };
    let decimals = || {
        let mut meters = vec![decimal::Meter::new(NOW); readings.len()];
        nanoseconds(passes, || {
            for (meter, (reading, replicas)) in meters.iter_mut().zip(&readings) {
                let until = Millis(meter.settled_until.0 + 1_000);
                black_box(meter.accrue(until, black_box(&RATES), black_box(reading), *replicas));
            }
        })
    };
    let turns = vec![Contestant::new("ours", Role::Ours, ours), Contestant::new(DECIMAL, Role::Peer, decimals)];
    let figures = compete(turns, setting.effort.rounds);
    let notes = vec![
        format!("{COUNT} meters, a second each, readings of a fixed seed, TierPlan; the credits are equal"),
        format!("{DECIMAL}: carries 28 digits, so that 3,600 seconds are not exactly an hour"),
    ];
    let target = Target::TimesAsFastAs(3.0, DECIMAL);
    Row::new((name, "ns/accrual", Better::Lower), &figures, &[], &[target], notes)
}

/// Per price, of which `pass` makes one for each of [`COUNT`].
fn nanoseconds(passes: u32, mut pass: impl FnMut()) -> f64 {
    let stopwatch = Stopwatch::start();
    for _ in 0..passes {
        pass();
    }
    stopwatch.seconds() * 1e9 / f64::from(passes) / f64::from(COUNT)
}

fn replicas(random: &mut Random) -> Replicas {
    Replicas(u16::try_from(random.below(700)).expect("below 700") + 1)
}

/// Up to 64 GiB for three days, 17 minutes of processor time and 1 GiB moved: what 96 bits can price.
fn usages() -> Vec<(Usage, Replicas)> {
    let mut random = Random(7);
    (0..COUNT)
        .map(|_| {
            let usage = Usage {
                stored: Bytes(random.below(1 << 30) * 64),
                held: Millis(random.below(1 << 28)),
                cpu: Millis(random.below(1 << 20)),
                moved: Bytes(random.below(1 << 30)),
            };
            (usage, replicas(&mut random))
        })
        .collect()
}

fn readings() -> Vec<(Reading, Replicas)> {
    let mut random = Random(7);
    (0..COUNT)
        .map(|_| {
            let reading = Reading {
                stored: Bytes(random.below(1 << 30) * 64),
                cpu: Millis(random.below(1 << 12)),
                moved: Bytes(random.below(1 << 30)),
            };
            (reading, replicas(&mut random))
        })
        .collect()
}

/// The same prices with `rust_decimal`, as one would write them: multiplied first, divided once.
mod decimal {
    use super::{Bytes, Credits, Decimal, Millis, Plan, Rates, Reading, Replicas, TierPlan, Usage};

    fn factor(replicas: Replicas) -> Decimal {
        Decimal::new(i64::from(TierPlan.factor(replicas).expect("it is in range").0), 3)
    }

    /// In gigabytes.
    fn gigabytes(bytes: Bytes) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(bytes.0), 9)
    }

    /// In seconds.
    fn seconds(time: Millis) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(time.0), 3)
    }

    /// Storage, compute and bandwidth.
    fn amounts(rates: &Rates, usage: &Usage, replicas: Replicas) -> [Decimal; 3] {
        let factor = factor(replicas);
        let rate = |rate: u32| Decimal::from(rate) * factor;
        [
            gigabytes(usage.stored) * seconds(usage.held) * rate(rates.storage) / Decimal::from(3_600),
            seconds(usage.cpu) * rate(rates.compute),
            gigabytes(usage.moved) * rate(rates.bandwidth),
        ]
    }

    fn credits(amount: Decimal) -> Credits {
        Credits(u64::try_from(amount).expect("it is whole and small"))
    }

    pub(super) fn total(rates: &Rates, usage: &Usage, replicas: Replicas) -> Credits {
        let [storage, compute, bandwidth] = amounts(rates, usage, replicas);
        credits((storage + compute + bandwidth).ceil())
    }

    /// Total and lines.
    pub(super) fn quote(rates: &Rates, usage: &Usage, replicas: Replicas) -> (Credits, [Credits; 3]) {
        let amounts = amounts(rates, usage, replicas);
        let whole = amounts.map(|amount| amount.floor());
        let rest: [Decimal; 3] = core::array::from_fn(|line| amounts[line] - whole[line]);
        let extra = credits((rest[0] + rest[1] + rest[2]).ceil()).0;
        let lines = core::array::from_fn(|line| {
            let precedes = |&other: &usize| rest[other] > rest[line] || rest[other] == rest[line] && other < line;
            let rank = (0..3).filter(precedes).count() as u64;
            Credits(credits(whole[line]).0 + u64::from(rank < extra))
        });
        (Credits(lines.iter().map(|line| line.0).sum()), lines)
    }

    #[derive(Clone, Debug)]
    pub(super) struct Meter {
        pub(super) settled_until: Millis,
        rest: Decimal,
    }

    impl Meter {
        pub(super) const fn new(start: Millis) -> Self {
            Self { settled_until: start, rest: Decimal::ZERO }
        }

        pub(super) fn accrue(
            &mut self,
            until: Millis,
            rates: &Rates,
            reading: &Reading,
            replicas: Replicas,
        ) -> Credits {
            let Some(held) = until.0.checked_sub(self.settled_until.0).filter(|&held| held > 0) else {
                return Credits::ZERO;
            };
            let usage = Usage { stored: reading.stored, held: Millis(held), cpu: reading.cpu, moved: reading.moved };
            let [storage, compute, bandwidth] = amounts(rates, &usage, replicas);
            let owed = self.rest + storage + compute + bandwidth;
            let whole = owed.floor();
            self.rest = owed - whole;
            self.settled_until = until;
            credits(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    //! The peers do the same work: on the workload their answers are ours.

    use super::{COUNT, Meter, MeterId, Millis, NOW, RATES, TierPlan, decimal, quote, readings, usages};

    #[test]
    fn quotes_are_equal() {
        for (usage, replicas) in usages() {
            let ours = quote(&RATES, &TierPlan, &usage, replicas).expect("all of them have a price");
            let lines = ours.lines.map(|line| line.credits);
            assert_eq!(decimal::quote(&RATES, &usage, replicas), (ours.total, lines), "{usage:?} {replicas:?}");
            assert_eq!(decimal::total(&RATES, &usage, replicas), ours.total, "{usage:?} {replicas:?}");
        }
    }

    #[test]
    fn charges_are_equal() {
        let readings = readings();
        for (n, (reading, replicas)) in (0..COUNT).zip(&readings) {
            let mut ours = Meter::new(MeterId(u128::from(n)), NOW);
            let mut theirs = decimal::Meter::new(NOW);
            for second in 1..=100 {
                let until = Millis(NOW.0 + 1_000 * second);
                let credits =
                    ours.accrue(until, &RATES, &TierPlan, reading, *replicas).expect("all of them have a price");
                assert_eq!(
                    theirs.accrue(until, &RATES, reading, *replicas),
                    credits,
                    "{reading:?} {replicas:?} {second}"
                );
            }
        }
    }
}
