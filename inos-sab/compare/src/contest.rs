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
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// `turn` does the work once and says how many seconds one unit of it took: a message, a round trip, a block.
    pub(crate) fn new(name: &'static str, role: Role, turn: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, role, turn: Box::new(turn) }
    }
}

/// One end of a case with two threads. The ends of a contestant lie side by side, and what each keeps for itself must not
/// share a cache line with the other's.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// What a contestant needed per unit of work in each round, in the order of the rounds.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    seconds: Vec<f64>,
}

impl Times {
    #[cfg(test)]
    pub(crate) fn new(name: &'static str, role: Role, seconds: &[f64]) -> Self {
        Self { name, role, seconds: seconds.to_vec() }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.seconds.len()
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

    /// How many times as long as `other`: the median over the rounds, each of which saw the machine in one state.
    pub(crate) fn time_over(&self, other: &Self) -> f64 {
        median(self.seconds.iter().zip(&other.seconds).map(|(ours, theirs)| ours / theirs).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// One round that does not count, for caches and page tables; then `rounds` that do.
pub(crate) fn compete(contestants: &mut [Contestant<'_>], rounds: usize) -> Vec<Times> {
    let mut times: Vec<Times> =
        contestants.iter().map(|who| Times { name: who.name, role: who.role, seconds: Vec::new() }).collect();
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            let seconds = (contestant.turn)();
            if round > 0 {
                times.seconds.push(seconds);
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

    /// Seconds for each of `units` since the start.
    pub(crate) fn seconds_per(self, units: u64) -> f64 {
        self.elapsed().as_secs_f64() / units as f64
    }
}

/// A turn cut into parts, of which the median counts: a scheduler that takes a processor away for milliseconds spoils a
/// few of them, where it would spoil a mean.
#[derive(Debug)]
pub(crate) struct Parts {
    stopwatch: Stopwatch,
    /// Units after which a part ends.
    length: u64,
    begun_at: u64,
    seconds: Vec<f64>,
}

impl Parts {
    const COUNT: u64 = 50;

    /// The first part of `units` begins now.
    pub(crate) fn start(units: u64) -> Self {
        let length = (units / Self::COUNT).max(1);
        Self { stopwatch: Stopwatch::start(), length, begun_at: 0, seconds: Vec::with_capacity(64) }
    }

    /// Says that `done` units have been done since the start.
    pub(crate) fn reached(&mut self, done: u64) {
        let units = done - self.begun_at;
        if units >= self.length {
            self.seconds.push(self.stopwatch.seconds_per(units));
            self.stopwatch = Stopwatch::start();
            self.begun_at = done;
        }
    }

    /// Seconds per unit.
    pub(crate) fn median(self) -> f64 {
        median(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    //! The arithmetic of rounds, against figures computed by hand.

    use super::{Contestant, Parts, Role, Times, compete, median};

    fn times(seconds: &[f64]) -> Times {
        Times::new("x", Role::Ours, seconds)
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
    fn times_are_compared_round_by_round() {
        // Half the time in each round, whatever the machine did in between.
        let (ours, theirs) = (times(&[1.0, 8.0, 2.0]), times(&[2.0, 16.0, 4.0]));
        assert_eq!(ours.time_over(&theirs).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn everybody_has_a_turn_in_each_round_and_the_first_does_not_count() {
        let order = core::cell::RefCell::new(Vec::new());
        let turn = |name: &'static str, seconds: f64| {
            let order = &order;
            Contestant::new(name, Role::Peer, move || {
                order.borrow_mut().push(name);
                seconds
            })
        };
        let times = compete(&mut [turn("a", 1.0), turn("b", 2.0)], 3);
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b", "a", "b"]);
        assert_eq!(times.iter().map(Times::rounds).collect::<Vec<_>>(), [3, 3]);
    }

    #[test]
    fn parts_end_when_enough_is_done() {
        let mut parts = Parts::start(500);
        for done in [3, 9, 10, 25, 26, 34, 35] {
            parts.reached(done);
        }
        assert_eq!(parts.seconds.len(), 3, "0 to 10, to 25, to 35");
        assert!(parts.median() > 0.0);
    }
}
