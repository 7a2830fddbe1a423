//! Frames that are lost, repeated, late, and cut off.

use alloc::{vec, vec::Vec};

use super::{Latency, Rng};

/// How a network treats frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Half of a draw is the time on the way; a late frame overtakes nobody, those behind it overtake it.
    pub latency: Latency,
    /// Of a thousand frames so many never arrive.
    pub drop_per_thousand: u64,
    /// So many arrive twice.
    pub repeat_per_thousand: u64,
    /// So many take [`spike_us`](Self::spike_us) longer.
    pub spike_per_thousand: u64,
    /// How much longer, at most.
    pub spike_us: u64,
}

impl Weather {
    /// A local network without faults.
    pub const CALM: Self = Self {
        latency: Latency::Lan,
        drop_per_thousand: 0,
        repeat_per_thousand: 0,
        spike_per_thousand: 0,
        spike_us: 0,
    };
}

/// Which way of a link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// What the member sends.
    Out,
    /// What is sent to the member.
    In,
    /// Both.
    Both,
}

/// Links between members, each way with a fate of its own.
///
/// ```
/// use inos_quorum::sim::{Network, Rng, Way, Weather};
///
/// let mut network = Network::new(3, Weather::CALM);
/// network.cut_pair(0, 1, Way::Out, 5_000);
/// let mut rng = Rng::new(1);
/// assert_eq!(network.fate(&mut rng, 0, 0, 1), [None, None]); // cut until 5 ms
/// assert!(network.fate(&mut rng, 0, 1, 0)[0].is_some()); // the other way is open
/// assert!(network.fate(&mut rng, 5_000, 0, 1)[0].is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Network {
    members: usize,
    weather: Weather,
    /// `cut_until_us[from * members + to]`.
    cut_until_us: Vec<u64>,
    /// The greatest of them, for a quick answer.
    any_cut_until_us: u64,
}

impl Network {
    /// All links open.
    #[must_use]
    pub fn new(members: usize, weather: Weather) -> Self {
        Self { members, weather, cut_until_us: vec![0; members * members], any_cut_until_us: 0 }
    }

    /// From now on frames are treated like this.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Opens all links.
    pub fn mend(&mut self) {
        self.cut_until_us.fill(0);
        self.any_cut_until_us = 0;
    }

    /// Cuts `way` of the link between `member` and `other` until `until_us`, or longer if it is cut for longer.
    ///
    /// # Panics
    ///
    /// When either is no member.
    pub fn cut_pair(&mut self, member: usize, other: usize, way: Way, until_us: u64) {
        assert!(member < self.members && other < self.members, "only members have links");
        let mut cut = |from: usize, to: usize| {
            let until = &mut self.cut_until_us[from * self.members + to];
            *until = until_us.max(*until);
        };
        if way != Way::In {
            cut(member, other);
        }
        if way != Way::Out {
            cut(other, member);
        }
        self.any_cut_until_us = self.any_cut_until_us.max(until_us);
    }

    /// Cuts everything between those for whom `side` is true and the others.
    ///
    /// # Panics
    ///
    /// When `side` speaks of more members than there are.
    pub fn partition(&mut self, side: &[bool], until_us: u64) {
        for (member, &left) in side.iter().enumerate() {
            for (other, &right) in side.iter().enumerate().skip(member + 1) {
                if left != right {
                    self.cut_pair(member, other, Way::Both, until_us);
                }
            }
        }
    }

    /// Whether any link is cut.
    #[must_use]
    pub const fn has_cuts(&self, now_us: u64) -> bool {
        now_us < self.any_cut_until_us
    }

    /// Whether nothing passes from `from` to `to`.
    #[must_use]
    pub fn is_cut(&self, now_us: u64, from: usize, to: usize) -> bool {
        self.has_cuts(now_us) && now_us < self.cut_until_us[from * self.members + to]
    }

    /// When the frame and its repetition arrive that `from` sends to `to` at `now_us`.
    pub fn fate(&self, rng: &mut Rng, now_us: u64, from: usize, to: usize) -> [Option<u64>; 2] {
        let weather = &self.weather;
        if self.is_cut(now_us, from, to) || rng.chance(weather.drop_per_thousand) {
            return [None, None];
        }
        let repeated = weather.repeat_per_thousand > 0 && rng.chance(weather.repeat_per_thousand);
        let mut arrival = || {
            let way_us = weather.latency.round_trip_us(rng, from, to, self.members) / 2;
            let late = weather.spike_per_thousand > 0 && rng.chance(weather.spike_per_thousand);
            let spike_us = if late { rng.below(weather.spike_us) } else { 0 };
            // Nothing arrives in the instant in which it was sent.
            Some(now_us + way_us.max(1) + spike_us)
        };
        [arrival(), if repeated { arrival() } else { None }]
    }
}

#[cfg(test)]
mod tests {
    use super::{Network, Way, Weather};
    use crate::sim::{Latency, Rng};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn rates_are_those_asked_for() {
        let weather = Weather {
            latency: Latency::Uniform { low_us: 200, high_us: 400 },
            drop_per_thousand: 200,
            repeat_per_thousand: 100,
            spike_per_thousand: 50,
            spike_us: 90_000,
        };
        let network = Network::new(2, weather);
        let mut rng = Rng::new(11);
        let (mut dropped, mut repeated, mut late) = (0, 0, 0);
        for _ in 0..10_000 {
            let [first, second] = network.fate(&mut rng, 1_000, 0, 1);
            dropped += u32::from(first.is_none());
            repeated += u32::from(second.is_some());
            late += u32::from(first.is_some_and(|at_us| at_us > 1_200));
            assert!(first.is_none_or(|at_us| at_us >= 1_100) && (first.is_some() || second.is_none()));
        }
        assert!((1_800..2_200).contains(&dropped) && (700..900).contains(&repeated) && (330..480).contains(&late));
    }

    #[test]
    fn partitions_cut_both_ways_between_the_sides_only() {
        let mut network = Network::new(4, Weather::CALM);
        network.partition(&[true, false, true, false], 10);
        for from in 0..4_usize {
            for to in (0..4).filter(|&to| to != from) {
                assert_eq!(network.is_cut(9, from, to), from % 2 != to % 2);
                assert!(!network.is_cut(10, from, to));
            }
        }
        network.cut_pair(1, 3, Way::In, 20);
        network.cut_pair(1, 3, Way::In, 15);
        assert!(network.is_cut(19, 3, 1) && !network.is_cut(9, 1, 3) && network.has_cuts(19) && !network.has_cuts(20));
        network.mend();
        assert!(!network.is_cut(1, 3, 1) && !network.has_cuts(0));
        assert_eq!(network.fate(&mut Rng::new(0), 5, 0, 1)[1], None);
    }
}
