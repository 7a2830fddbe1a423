//! What is known of one resource, and the arithmetic of its score.

use super::hot::Rank;
use super::policy::{Derived, Signals};
use crate::decay::{Decay, ONE};

/// For so many half-lives after its first record a resource does not step down.
pub(super) const WARM_UP_HALF_LIVES: u64 = 2;

/// What is known of one resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Per signal the decayed amount, as a part of [`ONE`]; of the moment `last`.
    levels: [u64; 4],
    /// The first record, in nanoseconds.
    pub(super) since: u64,
    /// The last record.
    last: u64,
    /// From the record before `last` to `last`; zero before there are two.
    pub(super) span: u64,
    /// The last step, and whether it went up.
    pub(super) step: Option<(u64, Direction)>,
    /// Replicas added less replicas dropped.
    pub(super) net: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Entry {
    pub(super) const fn new(now: u64) -> Self {
        Self { levels: [0; 4], since: now, last: now, span: 0, step: None, net: 0 }
    }

    /// Amounts since the record before, spread evenly over the time since. Several records of one moment are parts of one.
    pub(super) fn add(&mut self, amounts: Signals, now: u64, derived: &Derived) {
        let later = now > self.last;
        if later {
            self.span = now - self.last;
            self.last = now;
        }
        let decay = Decay::new(self.span, derived.half_life);
        if later {
            self.levels = self.levels.map(|level| decay.apply(level));
        }
        let mean = decay.mean();
        for ((level, amount), unit) in self.levels.iter_mut().zip(amounts.to_array()).zip(derived.units) {
            *level = unit.map_or(0, |unit| (*level + unit.weigh(amount, mean)).min(ONE));
        }
    }

    /// The score at `now`, in thousandths. Until the last interval between records has passed once more, nothing is known
    /// of the traffic since, and the score stands.
    pub(super) fn score(&self, now: u64, derived: &Derived) -> u16 {
        self.part(ONE, now, derived)
    }

    /// The score that constant input would have led to by now, if it had lasted for ever: never less than the score.
    pub(super) fn settled_score(&self, now: u64, derived: &Derived) -> u16 {
        let watched = now.saturating_sub(self.since).saturating_sub(self.span);
        let reached = ONE - Decay::new(watched, derived.half_life).apply(ONE);
        self.part(reached.max(1), now, derived)
    }

    /// The levels as parts of `whole`, up to 1000 thousandths.
    fn part(&self, whole: u64, now: u64, derived: &Derived) -> u16 {
        let silence = now.saturating_sub(self.last).saturating_sub(self.span);
        let decay = Decay::new(silence, derived.half_life);
        let sum = weigh(self.levels.map(|level| decay.apply(level)), derived.weights);
        u16::try_from((sum + u128::from(whole / 2)) / u128::from(whole)).unwrap_or(u16::MAX).min(1000)
    }

    /// The weight of this entry next to others: decayed to one common moment, so that it does not change with time.
    pub(super) fn rank(&self, derived: &Derived) -> Rank {
        let weight = u64::try_from(weigh(self.levels, derived.weights) >> 10).unwrap_or(ONE);
        Decay::new(self.last, derived.half_life).grown(weight)
    }
}

fn weigh(levels: [u64; 4], weights: [u16; 4]) -> u128 {
    levels.iter().zip(weights).map(|(&level, weight)| u128::from(level) * u128::from(weight)).sum()
}
