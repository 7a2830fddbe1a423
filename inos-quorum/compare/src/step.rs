//! What one frame costs its receiver, in time and in calls for memory.

use core::hint::black_box;

use crate::Effort;
use crate::cluster::{Cluster, Frame, Member, Rule};
use crate::contest::{Contestant, Stopwatch, compete};
use crate::counting::count;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::report::{Better, Row};

/// What is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    /// The heartbeats of a primary that has nothing to say.
    Heartbeats,
    /// Entries of 64 bytes, one in each frame.
    Appends,
}

const MEMBERS: usize = 5;

pub(crate) fn run(name: &'static str, frames: Frames, effort: Effort) -> Row {
    let steps = effort.units(16_384);
    let (ours, raft_rs) = (Tape::<Ours>::record(frames, steps), Tape::<RaftRs>::record(frames, steps));
    let turns = vec![
        Contestant::new(Ours::NAME, || ours.nanoseconds()),
        Contestant::new(RaftRs::NAME, || raft_rs.nanoseconds()),
    ];
    let figures = compete(turns, effort.rounds);
    let what = match frames {
        Frames::Heartbeats => "a heartbeat",
        Frames::Appends => "a frame with one entry of 64 bytes",
    };
    let notes = [
        format!("{what} of {MEMBERS} members at its receiver: decoded, handled, stored in memory, answered, encoded"),
        format!(
            "allocations per frame after warm-up: ours {:.3}, raft-rs {:.3}",
            ours.allocations(),
            raft_rs.allocations()
        ),
    ];
    Row::new(name, "ns/frame", Better::Lower, Some(&figures[0]), &figures[1..], &[], &notes)
}

/// All that a follower was sent from its founding on, so that another one can be told the same.
struct Tape<M> {
    follower: usize,
    before: Vec<Frame>,
    steps: Vec<Frame>,
    member: core::marker::PhantomData<M>,
}

impl<M: Member> Tape<M> {
    fn record(frames: Frames, steps: u64) -> Self {
        let mut cluster = Cluster::<M>::on_tape(MEMBERS);
        let follower = (0..MEMBERS).find(|&node| node != cluster.primary).expect("there are followers");
        let warm_up = steps / 2;
        let mut begin = 0;
        for serial in 0..warm_up + steps {
            if serial == warm_up {
                begin = cluster.tape(follower).len();
            }
            match frames {
                Frames::Appends => cluster.commit(serial, 1),
                Frames::Heartbeats => cluster.beat(),
            }
        }
        let before = cluster.tape(follower)[..begin].to_vec();
        let steps = cluster.tape(follower)[begin..].to_vec();
        Self { follower, before, steps, member: core::marker::PhantomData }
    }

    /// A follower that heard all that came before.
    fn follower(&self) -> (M, Vec<u8>) {
        let mut follower = M::found(self.follower, MEMBERS, Rule::Majority, 1);
        let mut answer = Vec::with_capacity(4096);
        hear(&mut follower, &self.before, &mut answer);
        (follower, answer)
    }

    fn nanoseconds(&self) -> f64 {
        let (mut follower, mut answer) = self.follower();
        let stopwatch = Stopwatch::start();
        let answers = hear(&mut follower, &self.steps, &mut answer);
        let seconds = stopwatch.seconds();
        assert_eq!(answers, self.steps.len(), "each frame is answered");
        seconds * 1e9 / self.steps.len() as f64
    }

    fn allocations(&self) -> f64 {
        let (mut follower, mut answer) = self.follower();
        let (_, counted) = count(|| hear(&mut follower, &self.steps, &mut answer));
        counted.allocations as f64 / self.steps.len() as f64
    }
}

/// Returns the number of answers.
fn hear<M: Member>(follower: &mut M, frames: &[Frame], answer: &mut Vec<u8>) -> usize {
    let mut answers = 0;
    for frame in frames {
        follower.receive(frame.now, frame.from, black_box(&frame.bytes));
        while follower.transmit(answer).is_some() {
            black_box(&answer);
            answers += 1;
        }
        while follower.receipt().is_some() {}
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::{Frames, Tape};
    use crate::{ours::Ours, raft_rs::RaftRs};

    #[test]
    fn a_follower_that_is_told_the_same_answers_each_frame() {
        for frames in [Frames::Heartbeats, Frames::Appends] {
            assert!(Tape::<Ours>::record(frames, 64).nanoseconds() > 0.0);
            assert!(Tape::<RaftRs>::record(frames, 64).nanoseconds() > 0.0);
        }
    }
}
