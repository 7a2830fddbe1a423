//! Pre-votes, votes, and who is primary.

use super::{
    Group, Start, State,
    disk::HardState,
    log::{Body, Entry},
    peer::Ask,
    wire::Verdict,
};
use crate::{Event, Id, Lsn, Machine, Stage};

impl<N: Id, M: Machine> Group<N, M> {
    /// Asks whether an election could be won, without disturbing the epoch: a member that merely lost touch would
    /// otherwise depose a healthy primary on its return (Ongaro 2014, 9.6).
    pub(super) fn start_pre_vote(&mut self) {
        let elect_min = self.config.elect_min;
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        self.ask_all();
        self.set_state(State::PreCandidate, None);
        if self.voters.len() == 1 {
            self.campaign();
        }
    }

    fn campaign(&mut self) {
        let elect_min = self.config.elect_min;
        self.enter_epoch(self.hard.epoch.saturating_add(1), Some(self.envelope.me.node));
        // Shorter than the silence that starts an election: a split vote should not double the outage.
        self.election_at = self.now + self.rng.between(elect_min / 4, elect_min / 2);
        self.ask_all();
        self.set_state(State::Candidate, None);
        self.count_votes();
    }

    fn ask_all(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        self.peers.iter_mut().for_each(|peer| peer.ask = Ask::Due);
    }

    /// A request may have been lost, and who refused may have changed its mind since.
    pub(super) fn repeat_requests(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        for peer in &mut self.peers {
            if peer.ask == Ask::Sent {
                peer.ask = Ask::Due;
            }
        }
    }

    /// Whether a vote now could break what this member owes to a primary.
    fn is_loyal(&self) -> bool {
        let elect_min = self.config.elect_min;
        let heard = self.heard_primary_at.is_some_and(|heard| self.now < heard + elect_min);
        let started = matches!(self.start, Start::Running { no_votes_until } if self.now < no_votes_until);
        self.state == State::Primary || heard || started
    }

    pub(super) fn on_pre_vote(&mut self, peer: usize, epoch: u64, last: Lsn) {
        let grant = epoch > self.hard.epoch && last >= self.log.last() && !self.is_loyal();
        let verdict = if grant { Verdict::Granted } else { Verdict::Refused };
        self.peers[peer].owed_pre_vote = Some((epoch, verdict));
    }

    pub(super) fn on_pre_vote_reply(&mut self, peer: usize, epoch: u64, asked: u64, verdict: Verdict) {
        if epoch > self.hard.epoch {
            let canvassing = self.state == State::PreCandidate;
            self.adopt(epoch);
            if canvassing {
                // It asked with too low an epoch. Ask again at once, with the right one.
                self.start_pre_vote();
            }
        } else if self.state == State::PreCandidate
            && verdict == Verdict::Granted
            && Some(asked) == self.hard.epoch.checked_add(1)
        {
            self.peers[peer].ask = Ask::Granted;
            if self.granted() + 1 >= self.elect_quorum() {
                self.campaign();
            }
        }
    }

    pub(super) fn on_vote(&mut self, peer: usize, epoch: u64, last: Lsn) {
        let candidate = self.peers[peer].node;
        let mut verdict = Verdict::Refused;
        if epoch >= self.hard.epoch && !self.is_loyal() {
            if epoch > self.hard.epoch {
                self.adopt(epoch);
            }
            let free = self.hard.voted_for.is_none_or(|voted_for| voted_for == candidate);
            if free && last >= self.log.last() {
                verdict = Verdict::Granted;
                if self.state == State::PreCandidate {
                    self.set_state(State::Follower, None);
                }
                if self.hard.voted_for.is_none() {
                    self.hard.voted_for = Some(candidate);
                    self.disk.hard_changed();
                }
                let elect_min = self.config.elect_min;
                self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
            }
        }
        self.peers[peer].owed_vote = Some(verdict);
    }

    pub(super) fn on_vote_reply(&mut self, peer: usize, epoch: u64, verdict: Verdict) {
        if epoch > self.hard.epoch {
            self.adopt(epoch);
        } else if epoch == self.hard.epoch && self.state == State::Candidate && verdict == Verdict::Granted {
            self.peers[peer].ask = Ask::Granted;
            self.count_votes();
        }
    }

    /// The candidate's own vote counts like any other: once it is held.
    pub(super) fn count_votes(&mut self) {
        let own = usize::from(self.hard_is_ready());
        if self.granted() + own >= self.elect_quorum() {
            self.lead();
        }
    }

    fn granted(&self) -> usize {
        self.peers.iter().filter(|peer| peer.ask == Ask::Granted).count()
    }

    fn elect_quorum(&self) -> usize {
        self.config.mode.elect_quorum(self.voters.len())
    }

    fn lead(&mut self) {
        let entry = Entry { epoch: self.hard.epoch, body: Body::EpochStart };
        self.epoch_start = self.log.push(entry, None).sequence;
        self.round = 1;
        for peer in &mut self.peers {
            peer.forget_epoch();
            peer.lead(self.epoch_start, self.now);
        }
        for sequence in self.commit + 1..self.epoch_start {
            if let Some(Entry { body: Body::Write { op, .. }, .. }) = self.log.entry(sequence) {
                self.in_flight.insert(*op, sequence);
            }
        }
        self.repeat_at = self.now + self.config.heartbeat;
        self.set_state(State::Primary, Some(self.envelope.me.node));
        self.try_commit();
    }

    /// A member acts in a later epoch: this one follows, without a primary for now.
    pub(super) fn adopt(&mut self, epoch: u64) {
        let elect_min = self.config.elect_min;
        match self.state {
            // Its own timer is still right: whether it votes now or not, it may have to stand itself.
            State::Follower => {}
            State::PreCandidate | State::Candidate => {
                self.election_at = self.now + self.rng.between(elect_min / 4, elect_min / 2);
            }
            State::Primary => self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2),
        }
        self.resign_writes();
        self.enter_epoch(epoch, None);
        self.set_state(State::Follower, None);
    }

    fn enter_epoch(&mut self, epoch: u64, voted_for: Option<N>) {
        self.hard = HardState { epoch, voted_for };
        self.disk.hard_changed();
        self.heard_primary_at = None;
        self.verified = 0;
        self.round_seen = 0;
        self.peers.iter_mut().for_each(super::Peer::forget_epoch);
    }

    /// A primary out of touch with a majority cannot commit; it stops taking writes, and frees others to move on.
    pub(super) fn resign_without_majority(&mut self) {
        let elect_min = self.config.elect_min;
        let heard = self.peers.iter().filter(|peer| self.now < peer.heard_at + elect_min).count();
        if self.state == State::Primary && heard + 1 < self.elect_quorum() {
            self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
            self.resign_writes();
            self.set_state(State::Follower, None);
        }
    }

    /// Ends what waits at a primary: its outcome is now decided elsewhere.
    fn resign_writes(&mut self) {
        self.in_flight.clear();
        self.write_deadlines.clear();
        while let Some((sequence, id)) = self.pending.pop_first() {
            let lsn = Lsn { epoch: self.log.epoch_at(sequence).unwrap_or(0), sequence };
            self.events.push_back(Event::Receipt { id, stage: Stage::Unknown, lsn, output: None });
        }
        while let Some(read) = self.reads.pop_front() {
            self.events.push_back(Event::ReadLost { id: read.id });
        }
    }
}
