//! What ours and raft-rs have in common behind bytes, and a group of either on a network that costs nothing.

use core::time::Duration;

/// What a write waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Fast,
    FastSafe,
    /// Three members hold it.
    Flex3,
    Majority,
}

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One other member has it: only under [`Rule::Fast`].
    Fast,
    Committed,
}

/// News of a write, at the member that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) serial: u64,
    pub(crate) stage: Stage,
}

/// Bytes of each delta; the first eight are its serial.
pub(crate) const DELTA_BYTES: usize = 64;

pub(crate) type Delta = [u8; DELTA_BYTES];

pub(crate) fn delta(serial: u64) -> Delta {
    let mut delta = [7; DELTA_BYTES];
    delta[..8].copy_from_slice(&serial.to_le_bytes());
    delta
}

pub(crate) fn serial_of(delta: &[u8]) -> u64 {
    u64::from_le_bytes(delta[..8].try_into().expect("a delta begins with its serial"))
}

/// One member of a group: frames and time in, frames and receipts out. Volatile storage.
pub(crate) trait Member: Sized {
    const NAME: &'static str;

    /// Member `node` of `members` that were just founded.
    fn found(node: usize, members: usize, rule: Rule, seed: u64) -> Self;

    /// Takes an encoded frame of another member.
    fn receive(&mut self, now: Duration, from: usize, frame: &[u8]);

    /// Writes the next encoded frame into `out`, and says to whom it goes.
    fn transmit(&mut self, out: &mut Vec<u8>) -> Option<usize>;

    fn timeout(&mut self, now: Duration);

    /// When `timeout` is due.
    fn deadline(&self) -> Duration;

    /// Whether the write was taken.
    fn write(&mut self, now: Duration, serial: u64) -> bool;

    /// The next receipt of a write that was taken here.
    fn receipt(&mut self) -> Option<Receipt>;

    fn is_primary(&self) -> bool;

    /// The sum of all serials applied.
    fn applied(&self) -> u64;

    /// Gives back the memory of queues that belong to the loop and not to the peer.
    fn trim(&mut self) {}
}

/// A group in one thread whose frames arrive at once, encoded by the sender and decoded by the receiver.
#[derive(Debug)]
pub(crate) struct Cluster<M> {
    pub(crate) members: Vec<M>,
    pub(crate) now: Duration,
    pub(crate) primary: usize,
    pub(crate) committed: u64,
    frame: Vec<u8>,
    /// All frames to each member, from the first on, where someone wants them.
    tape: Option<Vec<Vec<Frame>>>,
}

/// A frame on its way to a member.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) now: Duration,
    pub(crate) from: usize,
    pub(crate) bytes: Vec<u8>,
}

impl<M: Member> Cluster<M> {
    /// A group that has elected.
    pub(crate) fn elected(members: usize) -> Self {
        Self::elect(members, None)
    }

    /// A group that has elected, with all frames on tape.
    pub(crate) fn on_tape(members: usize) -> Self {
        Self::elect(members, Some(vec![Vec::new(); members]))
    }

    fn elect(members: usize, tape: Option<Vec<Vec<Frame>>>) -> Self {
        let mut cluster = Self {
            members: (0..members).map(|node| M::found(node, members, Rule::Majority, 1)).collect(),
            now: Duration::from_secs(1),
            primary: 0,
            committed: 0,
            frame: Vec::new(),
            tape,
        };
        loop {
            cluster.pass(Duration::from_millis(10));
            if let Some(primary) = cluster.members.iter().position(M::is_primary) {
                cluster.primary = primary;
                // Everyone hears of it, and the first entry of the epoch is committed.
                cluster.pass(Duration::from_millis(200));
                return cluster;
            }
        }
    }

    /// Lets time pass in steps of 10 ms.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(10);
            for member in &mut self.members {
                member.timeout(self.now);
            }
            self.settle();
        }
    }

    /// Delivers until nothing moves.
    pub(crate) fn settle(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for from in 0..self.members.len() {
                while let Some(to) = self.members[from].transmit(&mut self.frame) {
                    if let Some(tape) = &mut self.tape {
                        tape[to].push(Frame { now: self.now, from, bytes: self.frame.clone() });
                    }
                    self.members[to].receive(self.now, from, &self.frame);
                    moved = true;
                }
                while let Some(receipt) = self.members[from].receipt() {
                    self.committed += u64::from(receipt.stage == Stage::Committed);
                }
            }
        }
    }

    /// The next `count` writes after `serial`, made at once and then committed.
    pub(crate) fn commit(&mut self, serial: u64, count: u64) {
        for serial in serial + 1..=serial + count {
            assert!(self.members[self.primary].write(self.now, serial), "write {serial} was refused");
        }
        self.settle();
    }

    /// Lets the primary send its next heartbeats, and nothing else happen.
    pub(crate) fn beat(&mut self) {
        let primary = &mut self.members[self.primary];
        self.now = self.now.max(primary.deadline());
        primary.timeout(self.now);
        self.settle();
    }

    /// What was sent to `member` so far.
    pub(crate) fn tape(&self, member: usize) -> &[Frame] {
        self.tape.as_ref().map_or(&[], |tape| &tape[member])
    }

    pub(crate) fn trim(&mut self) {
        self.frame = Vec::new();
        self.members.iter_mut().for_each(M::trim);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    //! A group of each kind commits what it is given, everywhere.

    use core::time::Duration;

    use super::{Cluster, Member};
    use crate::{ours::Ours, raft_rs::RaftRs};

    fn commits_all<M: Member>() {
        for members in [3, 5] {
            let mut cluster = Cluster::<M>::elected(members);
            cluster.commit(0, 1);
            cluster.commit(1, 64);
            assert_eq!(cluster.committed, 65, "{} with {members}", M::NAME);
            cluster.pass(Duration::from_millis(300));
            for member in &cluster.members {
                assert_eq!(member.applied(), 65 * 66 / 2, "{} with {members}", M::NAME);
            }
        }
    }

    #[test]
    fn ours_commits_all() {
        commits_all::<Ours>();
    }

    #[test]
    fn raft_rs_commits_all() {
        commits_all::<RaftRs>();
    }
}
