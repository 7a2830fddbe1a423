//! Whose frames are heard: members, those that were, and those that the integrator introduces.

use super::{
    Group, Office,
    peer::{Peer, Standing},
};
use crate::{Actor, Id, Machine};

/// Nodes that are heard although they are no members.
const MAX_CONTACTS: usize = 64;

impl<N: Id, M: Machine> Group<N, M> {
    /// Brings `peers` in line with the configuration. Who was a member is still heard: it may hold orphans. Places in
    /// `peers` stay what they are.
    pub(super) fn seat_peers(&mut self) {
        let configuration = self.configuration().clone();
        let own = self.envelope.seat;
        // Who was a member is still heard, after a recovery as well.
        for seat in configuration.seats().into_iter().chain(self.state.former()) {
            if seat != own && !self.peers.iter().any(|peer| peer.seat == seat) {
                let mut peer = Peer::new(seat, Standing::Contact);
                peer.lead(self.log.last().sequence + 1, self.now);
                self.peers.push(peer);
            }
        }
        for peer in &mut self.peers {
            let before = peer.standing;
            peer.standing = match configuration.learners.iter().find(|(seat, _)| *seat == peer.seat) {
                _ if configuration.is_voter(peer.seat) => Standing::Voter,
                Some(&(_, class)) => Standing::Learner(class),
                None => Standing::Contact,
            };
            if before == Standing::Contact && peer.is_member() {
                // What it held before it was taken out, if it was, says nothing.
                peer.lead(self.log.last().sequence + 1, self.now);
                peer.beat = self.office == Office::Primary;
            }
        }
    }

    /// The place of a node that is no member.
    pub(super) fn seat_contact(&mut self, seat: Actor<N>) -> usize {
        self.peers.push(Peer::new(seat, Standing::Contact));
        self.peers.len() - 1
    }

    /// Of nodes that are no members, and no former ones that are remembered, those seated first give way. Places in
    /// `peers` change: only between inputs.
    pub(super) fn forget_contacts(&mut self) {
        let Self { peers, state, .. } = self;
        let is_loose = |peer: &Peer<N>| !peer.is_member() && !peer.is_heir && !state.is_former(peer.seat);
        let mut excess = peers.iter().filter(|peer| is_loose(peer)).count().saturating_sub(MAX_CONTACTS);
        peers.retain(|peer| {
            let goes = excess > 0 && is_loose(peer);
            excess -= usize::from(goes);
            !goes
        });
    }

    /// Lets frames of a node be heard although this member does not know it as one of the group: the integrator's
    /// directory says so. Needed when a member was away while others joined: a frame refused as
    /// [`NotMember`](crate::MessageError::NotMember) shows it, and one sent again is heard. The nodes of
    /// [`Boot::Join`](crate::Boot::Join) are introduced by it.
    ///
    /// The node gets no vote by this and counts in no quorum. The last 64 are remembered, in memory: not after a restart.
    /// A [`Detector`](crate::Detector) has to be told of it by itself.
    pub fn introduce(&mut self, node: N) {
        if node != self.envelope.me.node && !self.introduced.contains(&node) {
            if self.introduced.len() == MAX_CONTACTS {
                self.introduced.pop_front();
            }
            self.introduced.push_back(node);
        }
    }
}
