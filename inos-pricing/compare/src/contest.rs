//! Rounds in which everybody takes a turn, and the statistics of what came out.

use std::time::Instant;

/// What a contestant is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Ours,
    Peer,
    Limit,
}

/// One way to do the work of a case.
pub(crate) struct Contestant<'a> {
    name: &'static str,
    role: Role,
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contestant<'a> {
    /// `turn` does the work once and returns its figure, in the unit of the row.
    pub(crate) fn new(name: &'static str, role: Role, turn: impl FnMut() -> f64 + 'a) -> Self {
        Self { name, role, turn: Box::new(turn) }
    }
}

/// The figures of one contestant, in the order of the rounds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) values: Vec<f64>,
}

impl Figures {
    pub(crate) fn new(name: &'static str, role: Role, values: Vec<f64>) -> Self {
        Self { name, role, values }
    }

    /// What was counted once.
    pub(crate) fn counted(name: &'static str, role: Role, value: f64) -> Self {
        Self::new(name, role, vec![value])
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// From the least to the greatest, as a part of the median. `None` for what was counted once.
    pub(crate) fn spread(&self) -> Option<f64> {
        if self.values.len() < 2 {
            return None;
        }
        let (least, most) = self
            .values
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(*value), most.max(*value)));
        Some((most - least) / self.median())
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

/// One round that does not count, for caches and page tables; then `rounds` that do.
pub(crate) fn compete(mut contestants: Vec<Contestant<'_>>, rounds: usize) -> Vec<Figures> {
    let mut figures: Vec<Figures> =
        contestants.iter().map(|who| Figures::new(who.name, who.role, Vec::new())).collect();
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

/// One part of a turn after another; each returns its seconds.
pub(crate) type Parts<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// One way to do the work of a case, in parts.
pub(crate) struct Sliced<'a> {
    name: &'static str,
    role: Role,
    /// Prepares a turn.
    begin: Box<dyn FnMut() -> Parts<'a> + 'a>,
}

impl<'a> Sliced<'a> {
    pub(crate) fn new(name: &'static str, role: Role, begin: impl FnMut() -> Parts<'a> + 'a) -> Self {
        Self { name, role, begin: Box::new(begin) }
    }
}

/// As [`compete`], but the turns of a round are cut into `parts` that alternate: a disk that is shared changes its pace within
/// a turn. `figure` makes seconds into the unit of the row.
pub(crate) fn compete_in_parts(
    mut contestants: Vec<Sliced<'_>>,
    parts: usize,
    rounds: usize,
    figure: impl Fn(f64) -> f64,
) -> Vec<Figures> {
    let mut figures: Vec<Figures> =
        contestants.iter().map(|who| Figures::new(who.name, who.role, Vec::new())).collect();
    for round in 0..=rounds {
        let mut turns: Vec<_> = contestants.iter_mut().map(|contestant| (contestant.begin)()).collect();
        let mut seconds = vec![0.0; turns.len()];
        for _ in 0..parts {
            for (turn, seconds) in turns.iter_mut().zip(&mut seconds) {
                *seconds += turn();
            }
        }
        if round > 0 {
            for (figures, seconds) in figures.iter_mut().zip(seconds) {
                figures.values.push(figure(seconds));
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

    use super::{Contestant, Figures, Role, Sliced, compete, compete_in_parts, median};

    fn figures(values: &[f64]) -> Figures {
        Figures::new("x", Role::Peer, values.to_vec())
    }

    #[test]
    fn a_median_is_in_the_middle_of_the_sorted_values() {
        assert_eq!(median(vec![9.0, 1.0, 4.0]).to_bits(), 4.0_f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 4.0, 5.0]).to_bits(), 4.5_f64.to_bits());
    }

    #[test]
    fn spread_is_relative_to_the_median() {
        assert_eq!(figures(&[2.0, 4.0, 5.0]).spread().map(f64::to_bits), Some(0.75_f64.to_bits()));
        assert_eq!(figures(&[2.0]).spread(), None);
    }

    #[test]
    fn figures_are_compared_round_by_round() {
        // Half in each round, whatever the machine did in between.
        let (ours, theirs) = (figures(&[1.0, 8.0, 2.0]), figures(&[2.0, 16.0, 4.0]));
        assert_eq!(ours.over(&theirs).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn everybody_has_a_turn_in_each_round_and_the_first_does_not_count() {
        let order = RefCell::new(Vec::new());
        let turn = |name: &'static str, role| {
            let order = &order;
            Contestant::new(name, role, move || {
                order.borrow_mut().push(name);
                order.borrow().len() as f64
            })
        };
        let figures = compete(vec![turn("a", Role::Ours), turn("b", Role::Limit)], 2);
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b"]);
        let expected = [Figures::new("a", Role::Ours, vec![3.0, 5.0]), Figures::new("b", Role::Limit, vec![4.0, 6.0])];
        assert_eq!(figures, expected);
    }

    #[test]
    fn parts_of_turns_alternate_and_their_seconds_add_up() {
        let order = RefCell::new(Vec::new());
        let sliced = |name: &'static str, role, seconds: f64| {
            let order = &order;
            Sliced::new(name, role, move || {
                order.borrow_mut().push("begin");
                Box::new(move || {
                    order.borrow_mut().push(name);
                    seconds
                })
            })
        };
        let contestants = vec![sliced("a", Role::Ours, 1.0), sliced("b", Role::Limit, 2.0)];
        let figures = compete_in_parts(contestants, 3, 1, |seconds| 10.0 * seconds);
        let round = ["begin", "begin", "a", "b", "a", "b", "a", "b"];
        assert_eq!(*order.borrow(), [round, round].concat());
        assert_eq!(figures, [Figures::new("a", Role::Ours, vec![30.0]), Figures::new("b", Role::Limit, vec![60.0])]);
    }
}
