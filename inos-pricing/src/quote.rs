//! Exact prices: every term over one denominator, one rounding.

use crate::plan::check_replicas;
use crate::{Bytes, Credits, Millis, Plan, PriceError, Quantity, Replicas, Thousandths};

/// The one denominator of all exact amounts: 3.6 x 10^18 parts make a credit.
///
/// It is 10^9 bytes x 3,600,000 ms x 1,000 thousandths, the denominator of storage, and a multiple of those of compute
/// (1,000 ms x 1,000) and bandwidth (10^9 bytes x 1,000), so that the three add without rounding.
pub const DENOMINATOR: u128 = 3_600_000_000_000_000_000;

/// Parts of [`DENOMINATOR`] in one CPU-millisecond at rate 1 and one thousandth: 3.6 x 10^18 / (1,000 x 1,000).
const COMPUTE_SCALE: u128 = 3_600_000_000_000;

/// Parts of [`DENOMINATOR`] in one moved byte at rate 1 and one thousandth: 3.6 x 10^18 / (10^9 x 1,000).
const BANDWIDTH_SCALE: u128 = 3_600_000;

/// What one unit of each kind of usage costs with one replica, in whole credits.
///
/// Finer prices are made by a smaller credit (a credit of 10^-6 of a coin prices in millionths of the coin), never by
/// fractions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Rates {
    /// Credits per 10^9 byte-hours. At most [`Rates::MAX`].
    pub storage: u32,
    /// Credits per CPU-second. At most [`Rates::MAX`].
    pub compute: u32,
    /// Credits per 10^9 bytes moved. At most [`Rates::MAX`].
    pub bandwidth: u32,
}

impl Rates {
    /// The largest rate, 2^24.
    pub const MAX: u32 = 1 << 24;
}

/// What was, or will be, used, as for one replica: the plan multiplies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct Usage {
    /// Bytes kept, for the time [`held`](Self::held). At most [`Usage::MAX_STORED`].
    pub stored: Bytes,
    /// How long they are kept. At most [`Usage::MAX_HELD`].
    pub held: Millis,
    /// Processor time. At most [`Usage::MAX_CPU`].
    pub cpu: Millis,
    /// Bytes moved over the network. At most [`Usage::MAX_MOVED`].
    pub moved: Bytes,
}

impl Usage {
    /// 2^50 bytes (1 PiB) in one quote.
    pub const MAX_STORED: Bytes = Bytes(1 << 50);
    /// 2^36 ms (2.2 years) in one quote.
    pub const MAX_HELD: Millis = Millis(1 << 36);
    /// 2^43 ms (279 processor-years) in one quote.
    pub const MAX_CPU: Millis = Millis(1 << 43);
    /// 2^62 bytes (4 EiB) in one quote.
    pub const MAX_MOVED: Bytes = Bytes(1 << 62);
}

/// What a line of a [`Quote`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Dimension {
    /// Byte-hours.
    Storage,
    /// Processor time.
    Compute,
    /// Bytes moved.
    Bandwidth,
}

/// One line of a [`Quote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Line {
    /// What it is for.
    pub dimension: Dimension,
    /// Its share of the total: the exact amount rounded down, plus at most one credit.
    pub credits: Credits,
    /// The exact amount, in parts of a credit: [`DENOMINATOR`] parts make one.
    pub exact_parts: u128,
}

/// A price that covers what it quotes, as returned by [`quote`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Quote {
    /// The exact sum, rounded up once. A hold of this amount always suffices.
    pub total: Credits,
    /// Storage, compute, bandwidth, in this order. Their credits sum to the total.
    pub lines: [Line; 3],
    /// The number of replicas that was quoted.
    pub replicas: Replicas,
    /// The plan's factor for it.
    pub factor: Thousandths,
}

/// The price of `usage` with `replicas` replicas under `plan`.
///
/// The three exact amounts are added over [`DENOMINATOR`] and rounded up once; the lines share the total by largest
/// remainder (ties go to the earlier line). A line whose exact amount is a whole number of credits is never rounded,
/// so a line without usage is zero. O(1), three 128-bit divisions, no allocation.
///
/// ```
/// use inos_pricing::{Bytes, Credits, Millis, PriceError, Quantity, Rates, Replicas, TierPlan, Usage, quote};
///
/// # fn main() -> Result<(), PriceError> {
/// let rates = Rates { storage: 20, compute: 3, bandwidth: 1 };
/// let usage = Usage { stored: Bytes::GB, held: Millis::HOUR, ..Usage::default() };
/// assert_eq!(quote(&rates, &TierPlan, &usage, Replicas(50))?.total, Credits(570));
///
/// // One byte for one millisecond is not free: quotes round up.
/// let usage = Usage { stored: Bytes(1), held: Millis(1), ..Usage::default() };
/// assert_eq!(quote(&rates, &TierPlan, &usage, Replicas(1))?.total, Credits(1));
///
/// let usage = Usage { stored: Bytes(u64::MAX), ..usage };
/// let error = quote(&rates, &TierPlan, &usage, Replicas(1)).unwrap_err();
/// assert!(matches!(error, PriceError::Overflow { quantity: Quantity::Stored, .. }));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// - [`PriceError::ReplicasOutOfRange`] outside 1..=700, and whatever the plan returns.
/// - [`PriceError::Overflow`] when a rate, a usage or the factor is above its limit, or the total above 2^64 - 1.
pub fn quote<P: Plan + ?Sized>(
    rates: &Rates,
    plan: &P,
    usage: &Usage,
    replicas: Replicas,
) -> Result<Quote, PriceError> {
    let base = BaseParts::new(rates, usage)?;
    let factor = checked_factor(plan, replicas)?;
    base.quote(replicas, factor)
}

/// The plan's factor, if both the number of replicas and the factor are within their limits.
pub(crate) fn checked_factor<P: Plan + ?Sized>(plan: &P, replicas: Replicas) -> Result<Thousandths, PriceError> {
    check_replicas(replicas)?;
    let factor = plan.factor(replicas)?;
    check(Quantity::Factor, u64::from(factor.0), u64::from(Thousandths::MAX.0))?;
    Ok(factor)
}

/// The exact price per thousandth of factor, in parts of a credit, within limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseParts([u128; 3]);

impl BaseParts {
    /// At most 2^110 + 2^108.8 + 2^107.8 parts together, so that [`Thousandths::MAX`] times their sum is below 2^128.
    pub(crate) fn new(rates: &Rates, usage: &Usage) -> Result<Self, PriceError> {
        let rate = |quantity, rate| check(quantity, u64::from(rate), u64::from(Rates::MAX));
        let storage_rate = rate(Quantity::StorageRate, rates.storage)?;
        let compute_rate = rate(Quantity::ComputeRate, rates.compute)?;
        let bandwidth_rate = rate(Quantity::BandwidthRate, rates.bandwidth)?;
        let stored = check(Quantity::Stored, usage.stored.0, Usage::MAX_STORED.0)?;
        let held = check(Quantity::Held, usage.held.0, Usage::MAX_HELD.0)?;
        let cpu = check(Quantity::Cpu, usage.cpu.0, Usage::MAX_CPU.0)?;
        let moved = check(Quantity::Moved, usage.moved.0, Usage::MAX_MOVED.0)?;
        Ok(Self([
            times(times(stored, held), storage_rate),
            times(times(cpu, compute_rate), COMPUTE_SCALE),
            times(times(moved, bandwidth_rate), BANDWIDTH_SCALE),
        ]))
    }

    /// The sum of the three.
    pub(crate) fn sum(&self) -> u128 {
        self.0.iter().fold(0, |sum, &parts| plus(sum, parts))
    }

    /// The exact price and `remainder_parts`, which is below [`DENOMINATOR`]: the largest price is below 2^127.8.
    pub(crate) fn parts_with(&self, factor: Thousandths, remainder_parts: u128) -> u128 {
        plus(times(self.sum(), u128::from(factor.0)), remainder_parts)
    }

    pub(crate) fn quote(&self, replicas: Replicas, factor: Thousandths) -> Result<Quote, PriceError> {
        let exact = self.0.map(|parts| times(parts, u128::from(factor.0)));
        let whole = exact.map(|parts| parts / DENOMINATOR);
        let rest = exact.map(|parts| parts % DENOMINATOR);
        // The sum of three remainders is below 3 credits: `extra` is 0..=3 and at most the number of remainders that
        // are not zero, so only these lines are rounded up.
        let extra = rest.iter().fold(0, |sum, &parts| plus(sum, parts)).div_ceil(DENOMINATOR);
        let total = whole.iter().fold(extra, |sum, &credits| plus(sum, credits));
        let total = u64::try_from(total).map_err(|_| PriceError::Overflow {
            quantity: Quantity::Total,
            value: total,
            limit: u128::from(u64::MAX),
        })?;

        let line = |dimension, index: usize| {
            let rank = (0..3).filter(|&other| precedes(&rest, other, index)).count();
            let credits = plus(whole[index], u128::from((rank as u128) < extra));
            let credits = u64::try_from(credits).expect("a line is at most the total, which fits 64 bits");
            Line { dimension, credits: Credits(credits), exact_parts: exact[index] }
        };
        let lines = [line(Dimension::Storage, 0), line(Dimension::Compute, 1), line(Dimension::Bandwidth, 2)];
        Ok(Quote { total: Credits(total), lines, replicas, factor })
    }
}

/// Whether line `first` is rounded up before line `second`.
fn precedes(rest: &[u128; 3], first: usize, second: usize) -> bool {
    rest[first] > rest[second] || (rest[first] == rest[second] && first < second)
}

fn check(quantity: Quantity, value: u64, limit: u64) -> Result<u128, PriceError> {
    if value > limit {
        return Err(PriceError::Overflow { quantity, value: u128::from(value), limit: u128::from(limit) });
    }
    Ok(u128::from(value))
}

fn times(left: u128, right: u128) -> u128 {
    left.checked_mul(right).expect("the limits keep every exact amount below 2^128")
}

fn plus(left: u128, right: u128) -> u128 {
    left.checked_add(right).expect("the limits keep every exact amount below 2^128")
}
