//! Generations: what a survivor does when the quorum is gone for good.

use super::{
    Group, Office,
    entry::Body,
    membership::{MAX_PARTINGS, Parting},
    peer::Peer,
    wire::{Envelope, Header, Message},
};
use crate::{
    Actor, ChangeError, Configuration, Event, Generation, Id, LossReport, Machine, MessageError,
    bugs::{Bug, has},
};
use alloc::vec::Vec;
use core::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

/// Elections that the rest of the older generation may hold before a place in its log could bear the name of one in
/// the log of the younger. A nonce adds up to as many, so that rivals, which know nothing of each other, number their
/// epochs differently: those that hold k elections each share an epoch once in 2^23 / k cases. After more than 120
/// generations in its absence a member is further behind than `MAX_EPOCH_JUMP`.
const EPOCHS_APART: u64 = 1 << 24;

impl<N: Id, M: Machine> Group<N, M> {
    /// Makes this member the only voter of a new generation of the group, with its own log as the history. For when a
    /// quorum is lost for good: what only others held is lost, unless they come back and hand it over as orphans.
    /// `nonce` must be a random number: should two members do this, both stop when they meet.
    ///
    /// Nothing checks that the quorum is lost: a group that works without this member stops when it meets the new
    /// generation, primary and all. First make sure that the others are gone or stopped, and of the survivors take the
    /// one whose [`last`](Self::last) is greatest.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn force_new_group(&mut self, now: Duration, nonce: u64) -> Result<(), ChangeError> {
        self.advance(now);
        if self.office == Office::Superseded {
            return Err(ChangeError::Superseded);
        }
        let before = self.configuration().clone();
        let own = self.envelope.seat;
        if !before.is_voter(own) {
            return Err(ChangeError::NotMember);
        }
        let number = self.hard.generation.number.checked_add(1).ok_or(ChangeError::TooMany)?;
        let previous = self.log.last();
        self.resign_writes();
        // Whoever took it out is of an older generation now.
        self.removed = None;
        self.hard.generation = Generation { number, nonce };
        self.envelope.generation = self.hard.generation;
        // Entries of two generations should not be taken for each other.
        let apart = EPOCHS_APART + xxh3_64(&nonce.to_le_bytes()) % EPOCHS_APART;
        let apart = if has(Bug::EpochsNotApart) { 1 } else { apart };
        self.enter_epoch(self.hard.epoch.saturating_add(apart), Some(own));
        // The generation, the epoch and the configuration become durable in one record or not at all.
        self.disk.checkpoint();
        self.take_office();
        let voters = Vec::from([own]);
        let forced = Configuration { number: before.number + 1, voters, outgoing: Vec::new(), learners: Vec::new() };
        self.append(&Body::Configuration(forced));
        for peer in &mut self.peers {
            peer.is_former |= before.class(peer.seat).is_some();
        }
        let (epoch, from) = (previous.epoch, previous.sequence + 1);
        self.events.push_back(Event::Loss(LossReport { epoch, from, known_to: previous.sequence }));
        self.try_commit();
        Ok(())
    }

    /// Whether a frame of the sender's generation is for this member; what a stranger generation means.
    pub(super) fn check_generation(
        &mut self,
        peer: usize,
        header: &Header,
        message: &Message<'_, N>,
    ) -> Result<(), MessageError> {
        let (found, own) = (header.generation, self.hard.generation);
        let refused = Err(MessageError::Superseded { generation: found.number.max(own.number) });
        if has(Bug::GenerationIgnored) && found.number > own.number && self.office != Office::Superseded {
            return Ok(());
        }
        if found == own {
            let handover =
                matches!(message, Message::Notice { .. } | Message::OrphanAck { .. } | Message::PartReply { .. });
            if self.office != Office::Superseded || handover {
                return Ok(());
            }
            return refused;
        }
        if found.number == own.number {
            if !self.hard.conflict {
                self.hard.conflict = true;
                // The one may have everything, and the other lack it.
                self.parted = false;
                self.disk.hard_changed();
                if self.office != Office::Superseded {
                    self.supersede();
                }
                self.events.push_back(Event::GenerationConflict { generation: own.number });
            }
            // Whoever goes on has not heard of this one yet. Who has stopped says nothing but this, so it ends here. Who was
            // stopped by this one without being of it says nothing: this one may be gone for good, and the other all there is.
            let is_question = matches!(message, Message::Orphans { .. });
            self.peers[peer].owes_question |= !is_question && self.log_generation() == own;
            return refused;
        }
        if found.number < own.number {
            self.peers[peer].is_former |= self.office == Office::Primary;
            self.owe_notice(peer);
            return refused;
        }
        self.hard.generation = found;
        self.hard.conflict = false;
        self.parted = false;
        self.envelope.generation = found;
        self.disk.hard_changed();
        if self.configuration().number == 0 {
            // Whom it followed so far is no primary here.
            self.incoming = None;
            self.adopt(header.epoch);
            return Ok(());
        }
        for peer in &mut self.peers {
            // What this member knows is not what the later generation knows.
            peer.owes_notice = false;
            peer.owed_acks.clear();
        }
        self.supersede();
        self.events.push_back(Event::Superseded { generation: found.number });
        if matches!(message, Message::Notice { .. }) { Ok(()) } else { refused }
    }

    fn supersede(&mut self) {
        self.resign_writes();
        self.incoming = None;
        for peer in &mut self.peers {
            peer.forget_epoch();
        }
        self.set_office(Office::Superseded, None);
    }

    /// Of a later generation: what lies behind the parting is handed over. Of the own one: this member was taken out of
    /// the group while out of touch.
    pub(super) fn on_notice(
        &mut self,
        peer: usize,
        partings: &[Parting],
        configuration: u64,
        primary: Option<Actor<N>>,
    ) {
        if self.office == Office::Superseded {
            if !self.parted {
                self.part(partings);
            }
        } else {
            // Whoever is led is a member. If that is not so any more, it will ask again.
            if self.heard_primary_at.is_some_and(|heard| self.now < heard + self.config.elect_min) {
                return;
            }
            let number = self.configuration().number;
            if number > 0 && configuration > number && self.removed.is_none() {
                self.removed = Some(configuration);
                if self.office != Office::Follower {
                    self.resign();
                }
                self.events.push_back(Event::Removed { configuration });
            }
            if !matches!(self.office, Office::Follower | Office::PreCandidate) {
                return;
            }
            self.copy_orphans();
        }
        // Whoever tells need not be primary: then it knows who is.
        let own = self.envelope.seat;
        let heir = match primary.filter(|&primary| primary != own) {
            None => peer,
            Some(primary) => {
                self.peers.iter().position(|peer| peer.seat == primary).unwrap_or_else(|| self.seat_contact(primary))
            }
        };
        for (index, peer) in self.peers.iter_mut().enumerate() {
            peer.is_heir = index == heir;
        }
        // The primary answers no orphans with a notice; others do, and are asked again at the pace of heartbeats alone.
        self.peers[heir].owes_orphans |= primary == Some(self.peers[peer].seat);
        self.repeat_at = self.repeat_at.min(self.now + self.config.heartbeat);
    }

    /// Puts aside what the later generation lacks.
    fn part(&mut self, partings: &[Parting]) {
        self.parted = true;
        let (base, last) = (self.log.base().sequence, self.log.last());
        let lineage = self.lineage();
        let first = partings.iter().position(|parting| !lineage.contains(&parting.generation));
        // There may have been one before the first that is remembered.
        let is_forgotten = first == Some(0) && partings.len() == MAX_PARTINGS;
        let known = first.filter(|_| !is_forgotten).map(|first| partings[first].after);
        // The last entry here that may be of the epoch in which the other history ended.
        let place = known.map_or(self.log.base(), |after| self.log.agreeable(after.sequence, after.epoch));
        let parting = match known {
            // Entries of one epoch were written by one primary: what stands here up to there is in both logs, and what
            // follows here is of later epochs or ends there as well.
            Some(after) if place.epoch == after.epoch && place.sequence <= after.sequence => place.sequence,
            Some(after) => {
                // Of what is not in memory any more, that of later epochs is not in the other history either.
                let shared = after.sequence.min(self.state.end_of_or_before(after.epoch));
                if shared < base {
                    self.events.push_back(Event::OrphansDropped { count: base - shared });
                }
                base
            }
            None => {
                if is_forgotten && base > 0 {
                    self.events.push_back(Event::OrphansDropped { count: base });
                }
                base
            }
        };
        if parting < last.sequence {
            if !has(Bug::PartingWithoutOrphans) {
                self.keep_orphans(parting);
            }
            self.cut(parting.max(self.commit));
        }
    }

    /// The generations that have entries in this member's history, as far as they are remembered.
    fn lineage(&self) -> Vec<Generation> {
        let starts = self.log.base().sequence + 1..=self.log.last().sequence;
        let in_log = starts.filter_map(|sequence| match self.log.body(sequence) {
            Some(Body::EpochStart { generation, .. }) => Some(generation),
            _ => None,
        });
        let mut lineage: Vec<Generation> = in_log.collect();
        lineage.extend(self.state.partings().iter().map(|parting| parting.generation));
        lineage
    }

    /// Whether it has writes to hand over to a group that it does not belong to any more, or does not know yet.
    pub(super) fn hands_over(&self) -> bool {
        let has_left = self.office == Office::Superseded || self.removed.is_some();
        self.is_unparted() || has_left && !self.orphans.is_empty() || self.uncopied() > 0
    }

    /// Stopped by a later generation, and not told yet where its history left that of this member. The heir is not
    /// remembered over a restart, so whoever has restarted is told again. Of two generations of one number neither is
    /// asked: a later one has to settle which of them was for nothing.
    pub(super) const fn is_unparted(&self) -> bool {
        self.is_unsettled() && !self.hard.conflict
    }

    /// Stopped, and what is to become of its log is not known yet.
    pub(super) const fn is_unsettled(&self) -> bool {
        matches!(self.office, Office::Superseded) && !self.parted
    }

    /// Whether it waits for a primary and may not stand itself: a learner.
    pub(super) fn is_left_alone(&self) -> bool {
        let waits = self.office == Office::Follower && !self.primary_is_quiet();
        waits && !self.may_stand() && self.removed.is_none() && self.configuration().number > 0
    }

    /// A learner asks for no votes, so nobody would tell it that it was taken out. It answers all whom it knows as it
    /// answers a primary, and who does not know it tells.
    pub(super) fn report_to_all(&mut self) {
        let elect_min = self.config.elect_min;
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        self.answer_all();
    }

    /// Who does not count it as a member answers with a notice.
    fn answer_all(&mut self) {
        for peer in self.peers.iter_mut().filter(|peer| peer.is_member()) {
            peer.owed_append.get_or_insert(None);
        }
    }

    /// Repeats what is owed to the heir, and asks all who that is now: it may have changed, or have restarted, or be gone.
    pub(super) fn repeat_handover(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        if self.uncopied() > 0 {
            self.copy_orphans();
        }
        let has_stopped = self.office == Office::Superseded;
        let (asks, is_parted) = (has_stopped && !self.hard.conflict, !self.is_unparted());
        for peer in &mut self.peers {
            peer.owes_question |= asks;
            peer.owes_orphans |= peer.is_heir && is_parted;
        }
        if !has_stopped {
            self.answer_all();
        }
    }

    /// A frame of the older generation: whoever is of the later one answers it with a notice. Or one of this generation, for
    /// whoever is of another one of the same number.
    pub(super) fn write_question(&mut self, index: usize, out: &mut Vec<u8>) {
        let generation = if self.hard.conflict { self.hard.generation } else { self.log_generation() };
        let envelope = Envelope { generation, ..self.envelope.clone() };
        let message = Message::Orphans { count: 0, orphans: &[] };
        envelope.write(self.peers[index].seat, self.hard.epoch, self.configuration().number, &message, out);
    }

    /// Whoever is of an older generation, or was taken out of the group, is told so by any member who knows: not before
    /// it has applied where the histories part.
    pub(super) fn owe_notice(&mut self, peer: usize) {
        let present = self.office != Office::Superseded && self.state.generation == self.hard.generation;
        self.peers[peer].owes_notice |= present && self.state.configuration.number > 0;
    }

    pub(super) fn owe_notice_to_stranger(&mut self, peer: usize) {
        let seat = self.peers[peer].seat;
        if self.configuration().class(seat).is_none() && self.state.configuration.class(seat).is_none() {
            self.owe_notice(peer);
        }
    }

    pub(super) fn repeat_notices(&mut self) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].is_former && self.is_back(self.peers[peer].seat) {
                self.peers[peer].is_former = false;
            }
            if self.peers[peer].is_former {
                self.owe_notice(peer);
            }
        }
    }

    /// Whether the node of a seat follows this primary, in this seat or in another: then nobody of an older generation is
    /// left in it.
    fn is_back(&self, seat: Actor<N>) -> bool {
        let follows = |peer: &Peer<N>| peer.seat.node == seat.node && peer.is_member() && peer.round > 0;
        self.peers.iter().any(follows)
    }

    /// After a recovery: a later generation was seen and has no entry here.
    pub(super) fn is_of_an_older_generation(&self) -> bool {
        self.hard.generation.number > self.log_generation().number && self.configuration().number > 0
    }

    fn log_generation(&self) -> Generation {
        let starts = (self.log.base().sequence + 1..=self.log.last().sequence).rev();
        let in_log = starts.filter_map(|sequence| match self.log.body(sequence) {
            Some(Body::EpochStart { generation, .. }) => Some(generation),
            _ => None,
        });
        in_log.max().unwrap_or_default().max(self.state.generation)
    }
}
