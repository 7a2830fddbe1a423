//! Rounds in which everybody takes a turn, and the statistics of what came out.

use std::time::Instant;

/// One way to do the work of a case.
pub(crate) struct Contestant<'a> {
    name: &'static str,
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// `turn` does the work once and returns its figure, in the unit of the row.
    pub(crate) fn new(name: &'static str, turn: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, turn: Box::new(turn) }
    }
}

/// The figures of one contestant, in the order of the rounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<f64>,
}

impl Figures {
    pub(crate) fn new(name: &'static str, values: Vec<f64>) -> Self {
        Self { name, values }
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// From the least to the greatest, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        let (least, most) = self
            .values
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
        (most - least) / self.median()
    }

    /// This figure divided by `other`'s: the median over the rounds, each of which saw the machine in one state.
    pub(crate) fn over(&self, other: &Self) -> f64 {
        median(self.values.iter().zip(&other.values).map(|(ours, theirs)| ours / theirs).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The least of sorted `values` that is not below `per_mille` of them (nearest rank).
pub(crate) fn quantile<T: Copy>(sorted: &[T], per_mille: usize) -> T {
    let rank = (sorted.len() * per_mille).div_ceil(1000).clamp(1, sorted.len());
    sorted[rank - 1]
}

/// One round that does not count, for caches and page tables; then `rounds` that do.
pub(crate) fn compete(mut contestants: Vec<Contestant<'_>>, rounds: usize) -> Vec<Figures> {
    let mut figures: Vec<Figures> = contestants.iter().map(|who| Figures::new(who.name, Vec::new())).collect();
    for round in 0..=rounds {
        for (contestant, figures) in contestants.iter_mut().zip(&mut figures) {
            let value = (contestant.turn)();
            if round > 0 {
                figures.values.push(value);
            }
        }
    }
    figures
}

/// A running measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a program that measures time reads the clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    //! The arithmetic of rounds, against figures computed by hand.

    use core::cell::RefCell;

    use super::{Contestant, Figures, compete, median, quantile};

    fn figures(values: &[f64]) -> Figures {
        Figures::new("x", values.to_vec())
    }

    #[test]
    fn a_median_is_in_the_middle_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 4.0]).to_bits(), 4.0_f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 4.0, 5.0]).to_bits(), 4.5_f64.to_bits());
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        assert_eq!(figures(&[2.0, 4.0, 5.0]).spread().to_bits(), 0.75_f64.to_bits());
    }

    #[test]
    fn figures_are_compared_round_by_round() {
        // Half in each round, whatever the machine did in between.
        let (ours, theirs) = (figures(&[1.0, 8.0, 2.0]), figures(&[2.0, 16.0, 4.0]));
        assert_eq!(ours.over(&theirs).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let thousand: Vec<u64> = (1..=1000).collect();
        assert_eq!([1, 500, 990, 999, 1000].map(|per_mille| quantile(&thousand, per_mille)), [1, 500, 990, 999, 1000]);
        let few = [10, 20, 30];
        assert_eq!(
            [0, 1, 333, 334, 500, 999, 1000].map(|per_mille| quantile(&few, per_mille)),
            [10, 10, 10, 20, 20, 30, 30]
        );
    }

    #[test]
    fn everybody_has_a_turn_in_each_round_and_the_first_does_not_count() {
        let order = RefCell::new(Vec::new());
        let turn = |name: &'static str| {
            let order = &order;
            Contestant::new(name, move || {
                order.borrow_mut().push(name);
                order.borrow().len() as f64
            })
        };
        let figures = compete(vec![turn("a"), turn("b")], 2);
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b"]);
        assert_eq!(figures, [Figures::new("a", vec![3.0, 5.0]), Figures::new("b", vec![4.0, 6.0])]);
    }
}
