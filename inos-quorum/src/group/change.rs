//! Changes of the configuration, of who leads, and of what is remembered.

use alloc::vec::Vec;

use super::{
    Group, Office,
    entry::Body,
    peer::{Flow, Peer, Standing},
};
use crate::{
    Actor, ChangeError, Configuration, Event, Id, Limit, Lsn, MAX_LEARNERS, MAX_VOTERS, Machine, Mode, NodeClass,
    Progress,
    bugs::{Bug, has},
};
use core::time::Duration;

/// A learner that is so few entries behind has caught up: the rest comes with the entry that makes it a voter.
const CAUGHT_UP: u64 = 64;

impl<N: Id, M: Machine> Group<N, M> {
    /// What every command of a primary asks first.
    fn check_primary(&mut self, now: Duration) -> Result<(), ChangeError> {
        self.advance(now);
        self.resign_without_majority();
        match self.office {
            Office::Superseded => Err(ChangeError::Superseded),
            Office::Primary if self.lead.transfer.is_none() => Ok(()),
            Office::Primary => Err(ChangeError::Busy),
            _ => Err(ChangeError::NotPrimary),
        }
    }

    /// One change at a time, each on a committed one (Ongaro 2014, 4.3), and none before this epoch is settled
    /// (Ongaro's correction of 2015 to single-server changes holds for these as well).
    fn check_change_allowed(&mut self, now: Duration) -> Result<(), ChangeError> {
        self.check_primary(now)?;
        let settled = self.state.applied.sequence >= self.lead.start;
        let joint = !self.configuration().outgoing.is_empty();
        let changing = (!self.changes.is_empty() || joint) && !has(Bug::TwoChangesAtOnce);
        if changing || !settled || self.lead.leaving {
            return Err(ChangeError::Busy);
        }
        Ok(())
    }

    fn propose(&mut self, change: impl FnOnce(&mut Configuration<N>)) -> Result<Lsn, ChangeError> {
        let mut configuration = self.configuration().clone();
        let before = configuration.voters.clone();
        configuration.number += 1;
        change(&mut configuration);
        configuration.voters.sort_unstable();
        configuration.learners.sort_unstable();
        let voters = configuration.voters.clone();
        configuration.learners.retain(|(seat, _)| !voters.contains(seat));
        if configuration.learners.len() > MAX_LEARNERS {
            return Err(ChangeError::Full { limit: Limit::Learners });
        }
        if configuration.voters.len() > MAX_VOTERS {
            return Err(ChangeError::TooMany);
        }
        let write = if let Mode::Flex { write } = self.config.mode { usize::from(write) } else { 1 };
        // One that is too small already, after a generation was forced, may only grow.
        let voters = configuration.voters.len();
        if voters == 0 || (voters < write && voters < before.len()) {
            return Err(ChangeError::Quorum);
        }
        if configuration.voters != before {
            // Whoever is silent cannot help to commit what follows: a group that only the dead could save is no group.
            let sound = configuration.voters.iter().filter(|&&seat| self.is_sound(seat)).count();
            if sound < self.config.mode.write_quorum(voters).max(self.config.mode.elect_quorum(voters)) {
                return Err(ChangeError::Quorum);
            }
            if !has(Bug::ChangeInOneStep) {
                configuration.outgoing = before;
            }
        }
        let lsn = self.append(&Body::Configuration(configuration));
        self.try_commit();
        Ok(lsn)
    }

    /// Adds a learner: it gets everything and counts in no quorum. `seat` is the [`Actor`] of a member started with
    /// [`Boot::Join`](crate::Boot::Join). One of the class [`NodeClass::Voter`] becomes a voter by itself when the
    /// group has fewer than `target`, or in place of one that has been unreachable for `unreachable`. A life that was
    /// [retired](Self::retire) is not added again.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn add_learner(&mut self, now: Duration, seat: Actor<N>, class: NodeClass) -> Result<Lsn, ChangeError> {
        self.check_change_allowed(now)?;
        if self.configuration().class(seat).is_some() {
            return Err(ChangeError::AlreadyMember);
        }
        if seat.node == self.envelope.me.node || (seat.incarnation == 0 && !self.state.is_former(seat)) {
            return Err(ChangeError::Seat);
        }
        let life = self.peer(seat).and_then(|peer| peer.life);
        let life = life.map_or(seat, |incarnation| Actor { node: seat.node, incarnation });
        if self.state.is_retired(life) {
            return Err(ChangeError::Retired);
        }
        let retires = |at| matches!(self.log.body(at), Some(Body::Retire(actor)) if actor == life);
        if (self.commit + 1..=self.log.last().sequence).any(retires) {
            return Err(ChangeError::Busy);
        }
        self.propose(|configuration| configuration.learners.push((seat, class)))
    }

    /// Puts the caught-up learner `new` in place of the voter `old`: one joint change, then the new voters alone. Both
    /// are seats, as the [`configuration`](Self::configuration) has them.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn replace(&mut self, now: Duration, old: Actor<N>, new: Actor<N>) -> Result<Lsn, ChangeError> {
        self.check_change_allowed(now)?;
        if !self.configuration().voters.contains(&old) || old == self.envelope.seat {
            return Err(ChangeError::NotMember);
        }
        self.check_learner(new)?;
        self.propose(|configuration| {
            configuration.voters.retain(|&voter| voter != old);
            configuration.voters.push(new);
        })
    }

    /// Takes the voter or learner of this seat out of the group. This member itself goes with [`leave`](Self::leave).
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn remove(&mut self, now: Duration, seat: Actor<N>) -> Result<Lsn, ChangeError> {
        self.check_change_allowed(now)?;
        if self.configuration().class(seat).is_none() || seat == self.envelope.seat {
            return Err(ChangeError::NotMember);
        }
        self.propose(|configuration| {
            configuration.voters.retain(|&voter| voter != seat);
            configuration.learners.retain(|(learner, _)| *learner != seat);
        })
    }

    fn check_learner(&self, seat: Actor<N>) -> Result<(), ChangeError> {
        match self.peer(seat) {
            Some(peer) if peer.standing == Standing::Learner(NodeClass::Voter) => {
                if self.has_caught_up(peer) {
                    Ok(())
                } else {
                    Err(ChangeError::Busy)
                }
            }
            _ => Err(ChangeError::NotMember),
        }
    }

    /// Itself, or a follower of this epoch that was heard lately.
    fn is_sound(&self, seat: Actor<N>) -> bool {
        let lately =
            |peer: &Peer<N>| peer.round > 0 && (self.lead.quiet || self.now < peer.heard_at + self.config.elect_min);
        seat == self.envelope.seat || self.peer(seat).is_some_and(lately)
    }

    fn has_caught_up(&self, peer: &Peer<N>) -> bool {
        // In a silent group all have, and nobody is heard.
        let lately = self.lead.quiet || self.now < peer.heard_at + self.config.elect_min;
        lately && peer.flow == Flow::Stream && peer.matched + CAUGHT_UP >= self.log.last().sequence
    }

    /// How far another member has come. `None` of others, and at a member that is not primary.
    #[must_use]
    pub fn progress(&self, seat: Actor<N>) -> Option<Progress> {
        let peer = self.peer(seat).filter(|peer| peer.is_member() && self.office == Office::Primary)?;
        let has_caught_up = self.has_caught_up(peer);
        Some(Progress { matched: peer.matched, heard_at: peer.heard_at, has_caught_up })
    }

    /// Hands the office to the voter of the seat `to`: writes are refused until it is elected or `elect_min` has passed.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn transfer_primary(&mut self, now: Duration, to: Actor<N>) -> Result<(), ChangeError> {
        self.check_primary(now)?;
        if !self.configuration().voters.contains(&to) || to == self.envelope.seat {
            return Err(ChangeError::NotMember);
        }
        self.begin_transfer(to);
        Ok(())
    }

    /// Somebody may be elected in spite of the lease from now on, however late the request arrives.
    const fn bar_lease(&mut self) {
        self.lead.lease_barred = true;
        self.lead.lease_until = Duration::ZERO;
    }

    fn begin_transfer(&mut self, to: Actor<N>) {
        self.bar_lease();
        self.lead.transfer = Some((to, self.now + self.config.elect_min));
        self.wake();
        if let Some(peer) = self.peers.iter().position(|peer| peer.seat == to) {
            self.after_catching_up(peer);
        }
    }

    /// The heir has everything: it may stand.
    pub(super) fn after_catching_up(&mut self, peer: usize) {
        let last = self.log.last().sequence;
        let heir = self.lead.transfer.is_some_and(|(to, _)| to == self.peers[peer].seat);
        if heir && self.office == Office::Primary && self.peers[peer].matched == last {
            self.peers[peer].owes_elect = true;
        }
    }

    /// Takes this primary out of the group: another leads once its leaving is committed.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn leave(&mut self, now: Duration) -> Result<(), ChangeError> {
        self.check_change_allowed(now)?;
        let own = self.envelope.seat;
        self.propose(|configuration| configuration.voters.retain(|&voter| voter != own))?;
        if self.office == Office::Primary {
            self.lead.leaving = true;
        }
        Ok(())
    }

    /// Forgets the counters of a life, as clocks name it and [`Group::new`] was given it (not a seat): it is over, and all
    /// members have applied what it wrote.
    ///
    /// # Errors
    ///
    /// [`ChangeError::NotRetirable`] while one of that does not hold.
    pub fn retire(&mut self, now: Duration, actor: Actor<N>) -> Result<Lsn, ChangeError> {
        self.check_primary(now)?;
        let last = self.state.last_of(actor);
        let held = self.peers.iter().filter(|peer| peer.is_member()).all(|peer| peer.matched >= last);
        let uncommitted = self.log.last().sequence > self.commit;
        if self.state.dots.clock().counter(actor) == 0 || !held || uncommitted || self.is_life_of_a_member(actor) {
            return Err(ChangeError::NotRetirable);
        }
        let lsn = self.append(&Body::Retire(actor));
        self.try_commit();
        Ok(lsn)
    }

    /// Forgets a client: the integrator promises that no write of it is repeated any more, nor under way. Its greatest
    /// serial is remembered until 1,024 more clients are expired: up to that, writes are
    /// [`TooOld`](crate::WriteError::TooOld) and orphans are not taken in.
    ///
    /// # Errors
    ///
    /// [`ChangeError`]; nothing changed.
    pub fn expire_client(&mut self, now: Duration, client: u128) -> Result<Lsn, ChangeError> {
        self.check_primary(now)?;
        if self.uncommitted() >= self.config.max_uncommitted {
            return Err(ChangeError::Full { limit: Limit::Uncommitted });
        }
        if !self.state.sessions.knows(client) {
            return Err(ChangeError::NotMember);
        }
        let lsn = self.append(&Body::Expire(client));
        self.try_commit();
        Ok(lsn)
    }

    /// What the primary does about the configuration by itself, at every heartbeat and commit.
    pub(super) fn drive(&mut self) {
        if self.office != Office::Primary {
            return;
        }
        self.drive_transfer();
        self.drive_configuration();
        if self.office == Office::Primary {
            self.drive_quiet();
        }
    }

    pub(super) fn after_commit(&mut self) {
        self.drive_configuration();
    }

    fn drive_transfer(&mut self) {
        let Some((to, until)) = self.lead.transfer else { return };
        if self.now >= until {
            self.lead.transfer = None;
            // Nobody took over from one that is no voter any more. Its heartbeats only keep the others loyal.
            if to == self.envelope.seat {
                self.resign();
            }
        } else if let Some(peer) = self.peers.iter().position(|peer| peer.seat == to) {
            self.after_catching_up(peer);
        }
    }

    fn drive_configuration(&mut self) {
        let settled = self.state.applied.sequence >= self.lead.start;
        if !settled || !self.changes.is_empty() || self.office != Office::Primary {
            return;
        }
        let configuration = self.configuration();
        if !configuration.outgoing.is_empty() {
            let mut next = configuration.clone();
            next.number += 1;
            next.outgoing = Vec::new();
            self.append(&Body::Configuration(next));
            self.try_commit();
            return;
        }
        if !configuration.voters.contains(&self.envelope.seat) {
            return self.hand_over();
        }
        if self.lead.transfer.is_some() {
            return;
        }
        let (voters, target) = (configuration.voters.len(), self.config.target);
        let all_sound = configuration.voters.iter().all(|&seat| self.is_sound(seat));
        let replaceable: Vec<Actor<N>> = self
            .peers
            .iter()
            .filter(|peer| peer.standing == Standing::Voter && self.is_unreachable(peer))
            .map(|peer| peer.seat)
            .collect();
        let recruit = self
            .peers
            .iter()
            .filter(|peer| peer.standing == Standing::Learner(NodeClass::Voter) && self.has_caught_up(peer))
            .map(|peer| peer.seat)
            .min();
        // A node that comes back as somebody else has lost the memory of its old seat, and is never two voters.
        let former = recruit.and_then(|new| configuration.voters.iter().find(|voter| voter.node == new.node));
        let change = match (recruit, former.or(replaceable.first())) {
            (Some(new), Some(&old)) => self.propose(|configuration| {
                configuration.voters.retain(|&voter| voter != old);
                configuration.voters.push(new);
            }),
            // Beside one that is silent, another voter would only raise the quorum: that one is replaced in time.
            (Some(new), None) if voters < target && all_sound => {
                self.propose(|configuration| configuration.voters.push(new))
            }
            _ => Err(ChangeError::Busy),
        };
        if change.is_err() {
            self.tell_need(replaceable);
        }
    }

    /// This primary is no voter any more: of those heard lately, the one that holds most takes over, or it resigns.
    fn hand_over(&mut self) {
        let (now, elect_min) = (self.now, self.config.elect_min);
        let heir = self
            .peers
            .iter_mut()
            .filter(|peer| peer.standing == Standing::Voter)
            .max_by_key(|peer| (now < peer.heard_at + elect_min, peer.matched, core::cmp::Reverse(peer.seat)));
        if let Some(heir) = heir {
            heir.owes_elect = true;
        }
        self.bar_lease();
        if self.lead.transfer.is_none() {
            self.lead.transfer = Some((self.envelope.seat, self.now + self.config.elect_min * 2));
        }
    }

    pub(super) fn is_unreachable(&self, peer: &Peer<N>) -> bool {
        // The detector alone shows nobody out: who answers here is there.
        !self.lead.quiet && self.now >= peer.heard_at + self.config.unreachable
    }

    fn tell_need(&mut self, replaceable: Vec<Actor<N>>) {
        // One just added has as long to be heard as one that was.
        let candidate =
            |peer: &&Peer<N>| peer.standing == Standing::Learner(NodeClass::Voter) && !self.is_unreachable(peer);
        let learners = self.peers.iter().filter(candidate).count();
        let sound = self.configuration().voters.len() + learners;
        let missing = self.config.recruit_below.saturating_sub(sound.saturating_sub(replaceable.len()));
        let need = (missing, replaceable);
        if self.lead.told_need.as_ref() != Some(&need) {
            let (missing, replaceable) = need.clone();
            let news = missing > 0 || !replaceable.is_empty() || self.lead.told_need.is_some();
            self.lead.told_need = Some(need);
            if news {
                self.events.push_back(Event::NeedReplica { missing, replaceable });
            }
        }
    }
}
