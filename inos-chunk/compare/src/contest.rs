//! Rounds in which everybody takes a turn.

use core::time::Duration;
use std::time::Instant;

/// What a contestant is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    Peer,
    Limit,
    /// Not in the table, only in the note of the row.
    Aside,
}

/// One way to do the work of a case.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    turn: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contestant<'a> {
    /// `turn` does the work once and says how long the measured part of it took.
    pub(crate) fn new(name: &'static str, role: Role, turn: impl FnMut() -> Duration + 'a) -> Self {
        Self { name, role, turn: Box::new(turn) }
    }
}

/// What a contestant needed in each round, in the order of the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    seconds: Vec<f64>,
}

impl Times {
    /// The same with other times, for what is computed from measurements.
    pub(crate) fn derived(name: &'static str, role: Role, seconds: Vec<f64>) -> Self {
        Self { name, role, seconds }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.seconds.len()
    }

    pub(crate) fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.seconds.clone())
    }

    /// From the fastest to the slowest round, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        let (least, most) =
            self.seconds.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), s| (least.min(*s), most.max(*s)));
        (most - least) / self.median()
    }

    /// How many times as fast as `other`: the median over the rounds, each of which saw the machine in one state.
    pub(crate) fn speed_over(&self, other: &Self) -> f64 {
        median(self.seconds.iter().zip(&other.seconds).map(|(ours, theirs)| theirs / ours).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// One round that does not count, for caches, page tables and plans; then `rounds` that do.
pub(crate) fn compete(contestants: &mut [Contestant<'_>], rounds: usize) -> Vec<Times> {
    let mut times: Vec<Times> =
        contestants.iter().map(|who| Times { name: who.name, role: who.role, seconds: Vec::new() }).collect();
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let took = (contestant.turn)();
            if round > 0 {
                times.seconds.push(took.as_secs_f64());
            }
        }
    }
    times
}

/// A running measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a program that measures time reads the clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs `work` and says how long it took. Its result counts as used.
pub(crate) fn time<R>(work: impl FnOnce() -> R) -> Duration {
    let stopwatch = Stopwatch::start();
    core::hint::black_box(work());
    stopwatch.elapsed()
}

#[cfg(test)]
mod tests {
    //! The arithmetic of rounds, against figures computed by hand.

    use super::{Role, Times, median};

    fn times(seconds: &[f64]) -> Times {
        Times::derived("x", Role::Ours, seconds.to_vec())
    }

    #[test]
    fn a_median_is_in_the_middle_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 4.0]).to_bits(), 4.0_f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 4.0, 5.0]).to_bits(), 4.5_f64.to_bits());
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        assert_eq!(times(&[2.0, 4.0, 5.0]).spread().to_bits(), 0.75_f64.to_bits());
    }

    #[test]
    fn speeds_are_compared_round_by_round() {
        // Twice as fast in each round, whatever the machine did in between.
        let (ours, theirs) = (times(&[1.0, 8.0, 2.0]), times(&[2.0, 16.0, 4.0]));
        assert_eq!(ours.speed_over(&theirs).to_bits(), 2.0_f64.to_bits());
    }
}
