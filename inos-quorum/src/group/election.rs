//! Pre-votes, votes, and who is primary.

use alloc::vec::Vec;
use core::{cmp::Reverse, time::Duration};

use super::{
    Group, Lead, Office, Start,
    client::Doubt,
    entry::Body,
    peer::{Ask, Peer},
    wire::{Message, Verdict},
};
use crate::{
    Actor, Event, Id, Lsn, Machine, Mode,
    bugs::{Bug, has},
};

/// How long the outcome of a deposed primary's writes is awaited.
const DOUBT: Duration = Duration::from_secs(5);

impl<N: Id, M: Machine> Group<N, M> {
    /// Whether silence of the primary makes this member stand.
    pub(super) fn waits_for_primary(&self) -> bool {
        self.may_stand() && !self.primary_is_quiet()
    }

    /// Whether it is a voter, or was one before a change that is not committed here, or is one to others: they may need
    /// its log to go on (Ongaro 2014, 4.2.2). As primary it completes the change and hands over.
    pub(super) fn may_stand(&self) -> bool {
        if self.removed.is_some() {
            return false;
        }
        let own = self.envelope.seat;
        let voted = self.state.configuration.is_voter(own) || self.changes.iter().any(|(_, it)| it.is_voter(own));
        voted || self.now < self.called_until
    }

    /// Whoever asks for its vote counts it as a voter, perhaps by a change that its own log has lost to a later epoch.
    /// That log outranks those with the change: unless it stands, nobody is elected.
    fn heed_call(&mut self) {
        self.called_until = self.now + self.config.elect_min * 3;
    }

    /// Asks whether an election could be won, without disturbing the epoch: a member that merely lost touch would
    /// otherwise depose a healthy primary on its return (Ongaro 2014, 9.6).
    pub(super) fn start_pre_vote(&mut self) {
        let elect_min = self.config.elect_min;
        // Its own vote is bound like those it gives: the primary it heard a moment ago may hold a lease.
        if let Some(loyal_until) =
            self.heard_primary_at.map(|heard| heard + elect_min).filter(|&until| until > self.now)
        {
            self.election_at = loyal_until + self.rng.between(Duration::ZERO, self.config.heartbeat / 2);
            return;
        }
        self.quiet = false;
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        self.grace_until = self.now;
        if !self.may_stand() {
            if self.office != Office::Follower {
                self.set_office(Office::Follower, None);
            }
            return;
        }
        self.ask_all();
        self.set_office(Office::PreCandidate, None);
        self.count_pre_votes();
    }

    fn ask_all(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        let configuration = self.configuration().clone();
        for peer in &mut self.peers {
            peer.ask = if configuration.is_voter(peer.seat) { Ask::Due } else { Ask::Nothing };
            peer.fast = Lsn::default();
        }
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

    pub(super) fn write_request(&mut self, index: usize, out: &mut Vec<u8>) {
        let (last, fast) = (self.last_compared(), self.fast_greatest());
        let (epoch, message) = match self.office {
            Office::Candidate => {
                (self.hard.epoch, Message::Vote { last, fast, transfer: self.lead.transfer.is_some() })
            }
            _ => {
                let priority = self.config.priority;
                (self.hard.epoch.saturating_add(1), Message::PreVote { last, fast, priority })
            }
        };
        self.peers[index].ask = Ask::Sent;
        let to = self.peers[index].seat;
        self.envelope.write(to, epoch, self.configuration().number, &message, out);
    }

    /// Whether a vote now could break what this member owes to a primary.
    fn is_loyal(&self) -> bool {
        let bound = self.loyal_until().is_none_or(|until| self.now < until);
        self.office == Office::Primary || bound || self.primary_is_quiet()
    }

    /// Until when it owes a primary, or what it may have promised before it started, not to vote; `None` while it does
    /// not know the time.
    pub(super) fn loyal_until(&self) -> Option<Duration> {
        let Start::Running { no_votes_until } = self.start else { return None };
        let started = if has(Bug::VotesAfterRestart) { Duration::ZERO } else { no_votes_until };
        let heard = self.heard_primary_at.map_or(Duration::ZERO, |heard| heard + self.config.elect_min);
        Some(heard.max(started))
    }

    /// A member that could do better than the one that asks does not wait until that one has failed.
    fn stand_soon(&mut self) {
        if self.office == Office::Follower && self.waits_for_primary() {
            let soon = self.now + self.rng.between(Duration::ZERO, self.config.heartbeat / 2);
            self.election_at = self.election_at.min(soon);
        }
    }

    pub(super) fn on_pre_vote(&mut self, peer: usize, epoch: u64, last: Lsn, fast: Lsn, priority: u8) {
        if self.office == Office::Superseded {
            return;
        }
        let own_last = self.last_compared();
        let candidate = self.peers[peer].seat;
        self.note_fast_of(peer, fast);
        if self.primary == Some(candidate) {
            // It is primary no more.
            self.quiet = false;
        }
        if self.office == Office::Primary {
            // A member that stands has lost touch; one that was taken out of the group may hold orphans.
            self.wake();
        }
        self.owe_notice_to_stranger(peer);
        let outranks = (self.config.priority, Reverse(self.envelope.seat)) > (priority, Reverse(candidate))
            && !self.canvass_failed;
        let stands = self.may_stand();
        let equal = own_last == last && (outranks || has(Bug::CandidatesRefuseEachOther));
        let better = own_last > last || (equal && stands);
        let loyal = self.is_loyal();
        let grant = epoch > self.hard.epoch && !better && !loyal;
        if better && !loyal {
            if own_last > last {
                self.heed_call();
            }
            self.stand_soon();
        }
        if !grant {
            self.counters.refused_pre_votes += 1;
        }
        let verdict = if grant { Verdict::Granted } else { Verdict::Refused };
        self.peers[peer].owed_pre_vote = Some((epoch, verdict));
    }

    /// What elections compare: the epoch of the last entry, then its sequence.
    pub(super) fn last_compared(&self) -> Lsn {
        let last = self.log.last();
        #[cfg(inos_bug)]
        if has(Bug::LastNormalEpoch) {
            return Lsn { epoch: self.normal_epoch.max(last.epoch), ..last };
        }
        last
    }

    pub(super) fn on_pre_vote_reply(
        &mut self,
        peer: usize,
        epoch: u64,
        asked: u64,
        verdict: Verdict,
        last: Lsn,
        fast: Lsn,
    ) {
        if epoch > self.hard.epoch {
            if !self.peers[peer].is_member() {
                return;
            }
            let canvassing = self.office == Office::PreCandidate;
            self.adopt(epoch);
            if canvassing {
                // It asked with too low an epoch. Ask again at once, with the right one.
                self.start_pre_vote();
            }
            return;
        }
        if self.office != Office::PreCandidate || Some(asked) != self.hard.epoch.checked_add(1) {
            return;
        }
        self.peers[peer].fast = fast;
        if verdict == Verdict::Granted {
            self.peers[peer].ask = Ask::Granted;
            self.count_pre_votes();
        } else if last > self.log.last() && self.config.mode == Mode::Fast && !self.stepped_aside {
            // It holds more, perhaps what was acknowledged: let it go first, once.
            self.stepped_aside = true;
            let elect_min = self.config.elect_min;
            self.election_at = self.now + self.config.elect_grace + self.rng.between(elect_min / 4, elect_min / 2);
            self.set_office(Office::Follower, None);
        }
    }

    pub(super) fn has_pre_votes(&self) -> bool {
        self.has_granted(true)
    }

    fn has_granted(&self, own: bool) -> bool {
        let granted = |seat: Actor<N>| {
            let asked = self.peers.iter().find(|peer| peer.seat == seat);
            asked.map_or(own && seat == self.envelope.seat, |peer| peer.ask == Ask::Granted)
        };
        self.configuration().elects(self.config.mode, granted)
    }

    fn count_pre_votes(&mut self) {
        if !self.has_pre_votes() {
            return;
        }
        // An entry that was acknowledged `Fast` and is missing here may be held by somebody who is slow to answer.
        let known = self.peers.iter().map(|peer| peer.fast).max().unwrap_or_default().max(self.fast_greatest());
        let missing = self.config.mode == Mode::Fast
            && known > self.log.last()
            && self.receipt_state(known) != crate::ReceiptState::Lost;
        if missing && self.grace_until <= self.now && !self.stepped_aside {
            self.stepped_aside = true;
            self.grace_until = self.now + self.config.elect_grace;
        }
        if self.grace_until <= self.now {
            self.campaign(false);
        }
    }

    pub(super) fn campaign(&mut self, transfer: bool) {
        let elect_min = self.config.elect_min;
        self.counters.elections += 1;
        self.enter_epoch(self.hard.epoch.saturating_add(1), Some(self.envelope.seat));
        // Shorter than the silence that starts an election: a split vote should not double the outage.
        self.election_at = self.now + self.rng.between(elect_min / 4, elect_min / 2);
        self.ask_all();
        self.lead = Lead::new();
        self.lead.transfer = transfer.then_some((self.envelope.seat, self.now));
        self.set_office(Office::Candidate, None);
        self.count_votes();
    }

    pub(super) fn on_vote(&mut self, peer: usize, epoch: u64, last: Lsn, fast: Lsn, transfer: bool) {
        if self.office == Office::Superseded {
            return;
        }
        let candidate = self.peers[peer].seat;
        self.note_fast_of(peer, fast);
        let mut verdict = Verdict::Refused;
        if epoch >= self.hard.epoch && (!self.is_loyal() || (transfer && epoch > self.hard.epoch)) {
            if epoch > self.hard.epoch {
                self.adopt(epoch);
            }
            let free = self.hard.vote.is_none_or(|vote| vote == candidate);
            if free && last >= self.last_compared() {
                verdict = Verdict::Granted;
                if self.office == Office::PreCandidate {
                    self.set_office(Office::Follower, None);
                }
                if self.hard.vote.is_none() {
                    self.hard.vote = Some(candidate);
                    self.disk.hard_changed();
                }
                let elect_min = self.config.elect_min;
                self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
            }
        }
        self.peers[peer].owed_vote = Some(verdict);
    }

    pub(super) fn on_vote_reply(&mut self, peer: usize, epoch: u64, verdict: Verdict, fast: Lsn) {
        let is_granted = verdict == Verdict::Granted || has(Bug::AnswerTakenForVote);
        if epoch > self.hard.epoch {
            if self.peers[peer].is_member() {
                self.adopt(epoch);
            }
        } else if epoch == self.hard.epoch && self.office == Office::Candidate && is_granted {
            self.note_fast(fast);
            self.peers[peer].ask = Ask::Granted;
            self.count_votes();
        }
    }

    /// The primary asks this member to take over: it has made sure that the log is whole.
    pub(super) fn on_elect(&mut self, peer: usize, epoch: u64) {
        let from = self.peers[peer].seat;
        let asked = self.office == Office::Follower && epoch == self.hard.epoch && self.primary == Some(from);
        if asked && self.configuration().is_voter(self.envelope.seat) {
            self.campaign(true);
        }
    }

    /// The candidate's own vote counts like any other: once it is held.
    pub(super) fn count_votes(&mut self) {
        if self.office == Office::Candidate && self.has_granted(self.hard_is_ready()) {
            self.take_office();
        }
    }

    pub(super) fn take_office(&mut self) {
        let previous = self.log.last();
        self.lead = Lead::new();
        let author = self.envelope.me;
        self.set_office(Office::Primary, Some(self.envelope.seat));
        for sequence in self.commit + 1..=previous.sequence {
            self.note_in_flight(sequence);
        }
        #[cfg(inos_bug)]
        {
            self.normal_epoch = self.hard.epoch;
        }
        let generation = self.hard.generation;
        self.lead.start = self.append(&Body::EpochStart { author, generation, previous }).sequence;
        self.lead.fast_to = self.lead.start;
        self.lead.round = 1;
        self.lead.rounds.push_back((1, self.now));
        let (next, now) = (self.lead.start, self.now);
        for peer in &mut self.peers {
            peer.forget_epoch();
            peer.lead(next, now);
        }
        self.repeat_at = self.now + self.config.heartbeat;
        self.adopt_own_orphans();
        self.try_commit();
    }

    /// A member acts in a later epoch: this one follows, without a primary for now.
    pub(super) fn adopt(&mut self, epoch: u64) {
        let elect_min = self.config.elect_min;
        match self.office {
            // Its own timer is still right: whether it votes now or not, it may have to stand itself.
            Office::Follower | Office::Superseded => {}
            Office::PreCandidate | Office::Candidate => {
                self.election_at = self.now + self.rng.between(elect_min / 4, elect_min / 2);
            }
            Office::Primary => self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2),
        }
        self.resign_writes();
        self.enter_epoch(epoch, None);
        self.set_office(Office::Follower, None);
    }

    /// What is owed to the primary that was heard last stays owed: a lease knows time, not epochs.
    pub(super) fn enter_epoch(&mut self, epoch: u64, vote: Option<Actor<N>>) {
        self.note_fast(self.fast_greatest());
        self.hard.epoch = epoch;
        self.hard.vote = vote;
        self.disk.hard_changed();
        self.verified = self.commit;
        self.round_seen = 0;
        self.quiet = false;
        self.lead = Lead::new();
        self.peers.iter_mut().for_each(Peer::forget_epoch);
    }

    /// A primary out of touch with a majority cannot commit; it stops taking writes, and frees others to move on.
    pub(super) fn resign_without_majority(&mut self) {
        if self.office != Office::Primary || self.lead.quiet {
            return;
        }
        let elect_min = self.config.elect_min;
        let own = self.envelope.seat;
        let in_touch = self.configuration().confirmed(|seat| {
            let peer = self.peers.iter().find(|peer| peer.seat == seat);
            u64::from(seat == own || peer.is_some_and(|peer| self.now < peer.heard_at + elect_min))
        });
        // A primary that takes itself out leads on until its leaving is committed.
        if in_touch == 0 {
            self.resign();
        }
    }

    /// Gives up the office within the epoch.
    pub(super) fn resign(&mut self) {
        let elect_min = self.config.elect_min;
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        self.resign_writes();
        self.note_fast(self.fast_greatest());
        self.lead = Lead::new();
        self.set_office(Office::Follower, None);
    }

    /// Ends what waits at a primary: its outcome is now decided elsewhere, and may still be learned.
    pub(super) fn resign_writes(&mut self) {
        self.lead.in_flight.clear();
        self.early.clear();
        self.write_deadlines.clear();
        let until = self.now + DOUBT;
        let room = usize::try_from(self.config.max_uncommitted).unwrap_or(usize::MAX);
        while let Some(pending) = self.pending.pop_front() {
            self.doubts.push(Doubt { lsn: pending.lsn, op: pending.op, until });
        }
        if let Some(too_many) = self.doubts.len().checked_sub(room.saturating_mul(2)) {
            self.doubts[..too_many].iter_mut().for_each(|doubt| doubt.until = self.now);
        }
        while let Some(read) = self.reads.pop_front() {
            self.events.push_back(Event::ReadLost { id: read.id });
        }
    }

    /// Appends an entry of this primary.
    pub(super) fn append(&mut self, body: &Body<'_, N>) -> Lsn {
        let lsn = self.log.push(self.hard.epoch, body);
        self.lead.ages.push_back((lsn.sequence, self.now));
        self.appended(lsn.sequence);
        self.note_in_flight(lsn.sequence);
        self.wake();
        lsn
    }

    /// Remembers what an uncommitted entry would bring about.
    fn note_in_flight(&mut self, sequence: u64) {
        match self.log.body(sequence) {
            Some(Body::Write { change, .. }) => {
                let at = self.lead.in_flight.partition_point(|(op, _)| *op < change.op);
                let op = change.op;
                if self.lead.in_flight.get(at).is_none_or(|(other, _)| *other != op) {
                    self.lead.in_flight.insert(at, (op, sequence));
                }
            }
            Some(Body::Orphan { dot, change, .. }) => self.lead.orphans_in_flight.push((dot, change.op)),
            Some(Body::Expire(client)) => self.lead.expiring.push((client, sequence)),
            _ => {}
        }
    }

    pub(super) fn uncommitted(&self) -> u64 {
        self.log.last().sequence - self.commit
    }

    /// Whether the entry of a writer here is still to be committed.
    pub(super) fn is_pending(&self, sequence: u64) -> bool {
        self.pending.binary_search_by_key(&sequence, |pending| pending.lsn.sequence).is_ok()
    }
}
