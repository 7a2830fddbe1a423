//! Who belongs to a group.

use alloc::vec::Vec;

use super::MAX_SEQUENCE;
use crate::{
    Actor, Id, Lsn, MAX_LEARNERS, MAX_VOTERS, Mode,
    bugs::{Bug, has},
    bytes::{Put, Reader},
    majority,
};

/// What a member counts for. The integrator's choice, not a property of the target it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NodeClass {
    /// Counts in quorums, or, as a learner, may come to.
    Voter,
    /// Counts in no quorum and never votes. In [`Mode::Fast`] its acknowledgement may make a receipt `Fast`.
    Ephemeral,
}

/// A lineage of epochs. A later generation is made by [`force_new_group`](crate::Group::force_new_group) alone and
/// outranks every epoch of the earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// 0 at first.
    pub number: u64,
    /// Tells two generations of one number apart: both were made by force, in ignorance of each other.
    pub nonce: u64,
}

/// Where a generation's history left that of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parting {
    pub(crate) generation: Generation,
    /// The last entry of the older one that it kept.
    pub(crate) after: Lsn,
}

/// Partings that are remembered.
pub(crate) const MAX_PARTINGS: usize = 16;

/// A count of four bytes, then each.
pub(crate) fn put_partings<'a>(out: &mut Vec<u8>, partings: impl IntoIterator<Item = &'a Parting>) {
    let at = out.len();
    out.put_count(0);
    let mut count = 0;
    for parting in partings {
        out.put_u64(parting.generation.number);
        out.put_u64(parting.generation.nonce);
        out.put_lsn(parting.after);
        count += 1;
    }
    out[at..at + 4].copy_from_slice(&u32::to_le_bytes(count));
}

pub(crate) fn read_partings(from: &mut Reader<'_>) -> Option<Vec<Parting>> {
    let count = from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MAX_PARTINGS))?;
    let mut partings: Vec<Parting> = Vec::new();
    for _ in 0..count {
        let generation = Generation { number: from.u64()?, nonce: from.u64()? };
        if partings.last().is_some_and(|before| before.generation.number >= generation.number) {
            return None;
        }
        partings.push(Parting { generation, after: from.lsn()? });
    }
    Some(partings)
}

/// The members of a group. Seats, not lives: a member that recovers its storage keeps its seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Configuration<N> {
    /// Grows with every change; 0 before anything is known.
    pub number: u64,
    /// Ascending; 1 to [`MAX_VOTERS`].
    pub voters: Vec<Actor<N>>,
    /// While the voters change: those of before, whose quorums are needed as well. Else empty.
    pub outgoing: Vec<Actor<N>>,
    /// Ascending; at most [`MAX_LEARNERS`].
    pub learners: Vec<(Actor<N>, NodeClass)>,
}

impl<N: Copy + Ord> Configuration<N> {
    /// Whether the seat is one of `voters` or `outgoing`.
    #[must_use]
    pub fn is_voter(&self, seat: Actor<N>) -> bool {
        self.voters.contains(&seat) || self.outgoing.contains(&seat)
    }

    /// The class of a seat; `None` when it is no member.
    #[must_use]
    pub fn class(&self, seat: Actor<N>) -> Option<NodeClass> {
        if self.is_voter(seat) {
            return Some(NodeClass::Voter);
        }
        self.learners.iter().find(|(learner, _)| *learner == seat).map(|&(_, class)| class)
    }

    /// Every seat once, ascending.
    #[must_use]
    pub fn seats(&self) -> Vec<Actor<N>> {
        let learners = self.learners.iter().map(|(seat, _)| seat);
        let mut seats: Vec<_> = self.voters.iter().chain(&self.outgoing).chain(learners).copied().collect();
        seats.sort_unstable();
        seats.dedup();
        seats
    }

    /// The greatest number that a quorum of each list of voters has reached; `reached` gives that of a seat.
    fn agreed(&self, quorum: impl Fn(usize) -> usize, reached: impl Fn(Actor<N>) -> u64) -> u64 {
        let of = |voters: &[Actor<N>]| {
            let mut numbers = [0; MAX_VOTERS];
            for (number, &voter) in numbers.iter_mut().zip(voters) {
                *number = reached(voter);
            }
            let numbers = &mut numbers[..voters.len()];
            if !has(Bug::QuorumOfUnsorted) {
                numbers.sort_unstable_by(|a, b| b.cmp(a));
            }
            numbers.get(quorum(voters.len()) - 1).copied().unwrap_or(0)
        };
        let agreed = of(&self.voters);
        if self.outgoing.is_empty() || has(Bug::NewVotersDecideAlone) { agreed } else { agreed.min(of(&self.outgoing)) }
    }

    /// Of how many voters a quorum is one.
    fn counted(&self, n: usize) -> usize {
        if has(Bug::FixedQuorumSizes) && self.number > 1 { n.min(3) } else { n }
    }

    pub(crate) fn written(&self, mode: Mode, held: impl Fn(Actor<N>) -> u64) -> u64 {
        let one_less = usize::from(has(Bug::CopyCountedTwice));
        self.agreed(|n| (mode.write_quorum(self.counted(n)) - one_less).max(1), held)
    }

    pub(crate) fn elects(&self, mode: Mode, granted: impl Fn(Actor<N>) -> bool) -> bool {
        self.agreed(|n| mode.elect_quorum(self.counted(n)), |voter| u64::from(granted(voter))) == 1
    }

    /// A majority of voters shares a member with every electorate, whatever the mode.
    pub(crate) fn confirmed(&self, round: impl Fn(Actor<N>) -> u64) -> u64 {
        self.agreed(majority, round)
    }
}

const CLASS_VOTER: u8 = 0;
const CLASS_EPHEMERAL: u8 = 1;

impl<N: Id> Configuration<N> {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.number);
        for seats in [&self.voters, &self.outgoing] {
            out.put_count(seats.len());
            seats.iter().for_each(|seat| out.put_actor(seat));
        }
        out.put_count(self.learners.len());
        for (seat, class) in &self.learners {
            out.put_actor(seat);
            out.push(match class {
                NodeClass::Voter => CLASS_VOTER,
                NodeClass::Ephemeral => CLASS_EPHEMERAL,
            });
        }
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let number = from.u64().filter(|&number| number <= MAX_SEQUENCE)?;
        let voters = read_seats(from)?;
        let outgoing = read_seats(from)?;
        let mut learners: Vec<(Actor<N>, NodeClass)> = Vec::new();
        let count = from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MAX_LEARNERS))?;
        for _ in 0..count {
            let seat = from.actor()?;
            let class = match from.u8()? {
                CLASS_VOTER => NodeClass::Voter,
                CLASS_EPHEMERAL => NodeClass::Ephemeral,
                _ => return None,
            };
            learners.push((seat, class));
        }
        let ascends = learners.is_sorted_by(|(a, _), (b, _)| a < b);
        (ascends && (number == 0) == voters.is_empty()).then_some(Self { number, voters, outgoing, learners })
    }
}

fn read_seats<N: Id>(from: &mut Reader<'_>) -> Option<Vec<Actor<N>>> {
    let count = from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MAX_VOTERS))?;
    let seats = (0..count).map(|_| from.actor()).collect::<Option<Vec<_>>>()?;
    seats.is_sorted_by(|a, b| a < b).then_some(seats)
}
