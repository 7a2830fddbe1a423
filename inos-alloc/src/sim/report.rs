//! What came of a simulation.

use super::Scenario;
use crate::id::mix;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// `value / scale` in `unit`.
    pub value: u64,
    /// 1, or 1000 for thousandths.
    pub scale: u64,
    /// The unit; empty for ratios.
    pub unit: &'static str,
}

impl fmt::Display for Figure {
    /// The number, with three decimals when there is a scale.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scale {
            0 | 1 => write!(formatter, "{}", self.value),
            scale => {
                let thousandths = u128::from(self.value % scale) * 1000 / u128::from(scale);
                write!(formatter, "{}.{thousandths:03}", self.value / scale)
            }
        }
    }
}

/// Something a scenario promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What.
    pub what: &'static str,
    /// Whether it held.
    pub kept: bool,
}

/// What came of one run of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub scenario: Scenario,
    /// The seed of the run.
    pub seed: u64,
    /// Nodes in the mesh at the start.
    pub nodes: u32,
    /// Figures, the same whenever and wherever the run is repeated.
    pub figures: Vec<Figure>,
    /// Figures that depend on the machine; none unless the caller's clock moves.
    pub speeds: Vec<Figure>,
    /// What was promised.
    pub promises: Vec<Promise>,
    /// A hash of every decision in order.
    pub trace: u64,
}

impl Report {
    pub(super) const fn new(scenario: Scenario, seed: u64, nodes: u32) -> Self {
        Self { scenario, seed, nodes, figures: Vec::new(), speeds: Vec::new(), promises: Vec::new(), trace: 0 }
    }

    /// Whether all promises held; false when nothing was promised.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.promises.is_empty() && self.promises.iter().all(|promise| promise.kept)
    }

    /// What did not hold.
    #[must_use]
    pub fn broken(&self) -> Vec<&'static str> {
        self.promises.iter().filter(|promise| !promise.kept).map(|promise| promise.what).collect()
    }

    /// A figure by its name.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<Figure> {
        self.figures.iter().copied().find(|figure| figure.name == name)
    }

    pub(super) fn count(&mut self, name: &'static str, value: u64, unit: &'static str) {
        self.figures.push(Figure { name, value, scale: 1, unit });
    }

    /// A figure in thousandths of its unit.
    pub(super) fn milli(&mut self, name: &'static str, value: u64, unit: &'static str) {
        self.figures.push(Figure { name, value, scale: 1000, unit });
    }

    pub(super) fn time(&mut self, name: &'static str, value: Duration) {
        self.milli(name, u64::try_from(value.as_millis()).unwrap_or(u64::MAX), "s");
    }

    pub(super) fn promise(&mut self, what: &'static str, kept: bool) {
        self.promises.push(Promise { what, kept });
    }

    /// `count` operations took from `start` to `end` of the caller's clock.
    pub(super) fn speed(&mut self, name: &'static str, count: u64, start: Duration, end: Duration) {
        let nanos = end.saturating_sub(start).as_nanos();
        if let Some(per_second) = (u128::from(count) * 1_000_000_000).checked_div(nanos) {
            let value = u64::try_from(per_second).unwrap_or(u64::MAX);
            self.speeds.push(Figure { name, value, scale: 1, unit: "per second" });
        }
    }
}

/// A hash over what was decided.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trace(u64);

impl Trace {
    pub(super) fn add(&mut self, word: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ word);
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}

/// `part / whole` in thousandths; 0 of nothing.
pub(super) fn permille(part: u64, whole: u64) -> u64 {
    let share = (u128::from(part) * 1000).checked_div(u128::from(whole)).unwrap_or(0);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// The largest value in thousandths of the mean; 0 when the mean is.
pub(super) fn peak_permille(values: &[u64]) -> u64 {
    let most = values.iter().copied().max().unwrap_or(0);
    permille(most.saturating_mul(super::wide(values.len())), values.iter().sum())
}
