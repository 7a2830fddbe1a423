//! An idle group sends nothing: the detector watches over its nodes.

use core::time::Duration;

use super::{
    Group, Office,
    peer::{Flow, Peer},
};
use crate::{
    Configuration, Id, Machine, NodeClass, PeerState,
    bugs::{Bug, has},
};

/// Nodes of which the detector's last word is remembered: members and contacts, and as many again.
const MAX_WORDS: usize = 256;

impl<N: Id, M: Machine> Group<N, M> {
    /// What a [`Detector`](crate::Detector) says of a node, member or not. Without it groups work as well, but never fall
    /// silent. An input like any other: drain the outputs after it.
    pub fn peer_state(&mut self, now: Duration, node: N, state: PeerState) {
        self.advance(now);
        self.remember_word(node, state);
        let mut lives = self.peers.iter().filter(|peer| peer.seat.node == node).filter_map(|peer| peer.life);
        let is_well = matches!(state, PeerState::Alive { incarnation } if lives.all(|life| life == incarnation));
        if is_well {
            return;
        }
        self.wake();
        // One that has started anew leads nobody any more.
        let leads = self.primary.is_some_and(|primary| primary.node == node);
        if self.quiet && leads && !has(Bug::SilenceTrusted) {
            self.quiet = false;
            let elect_min = self.config.elect_min;
            self.election_at = self.now + self.rng.between(Duration::ZERO, elect_min / 2);
        }
    }

    /// Whom the detector knows may become a member later: it tells changes only.
    fn remember_word(&mut self, node: N, state: PeerState) {
        if self.words.len() >= MAX_WORDS && !self.words.contains_key(&node) {
            let is_peer = |node: &N| self.peers.iter().any(|peer| peer.seat.node == *node);
            let Some(other) = self.words.keys().copied().find(|other| !is_peer(other)) else { return };
            self.words.remove(&other);
        }
        self.words.insert(node, state);
    }

    /// Whether the detector watches over the very life that was heard last: a frame of an earlier one may come late.
    fn is_watched(&self, peer: &Peer<N>) -> bool {
        let alive = match self.words.get(&peer.seat.node) {
            Some(PeerState::Alive { incarnation }) => Some(*incarnation),
            _ => None,
        };
        alive.is_some() && alive == peer.life
    }

    /// The primary has said that it will be silent, and the detector says that it lives.
    pub(super) fn primary_is_quiet(&self) -> bool {
        let primary = self.primary.and_then(|primary| self.peer(primary));
        let trusted = has(Bug::SilenceTrusted) || primary.is_some_and(|primary| self.is_watched(primary));
        self.quiet && self.office == Office::Follower && trusted
    }

    /// Falls silent once everybody has everything and is known to live.
    pub(super) fn drive_quiet(&mut self) {
        let last = self.log.last().sequence;
        let idle = self.commit == last
            && self.held() == last
            && self.reads.is_empty()
            && self.changes.is_empty()
            && self.lead.transfer.is_none()
            && !self.lead.leaving
            && self.orphans.is_empty()
            && !self.is_recruiting()
            && self.configuration().outgoing.is_empty();
        let settled = self.peers.iter().filter(|peer| peer.is_member()).all(|peer| {
            self.is_watched(peer) && peer.matched == last && peer.flow == Flow::Stream && !peer.keeps_orphans
        });
        let former = self.peers.iter().any(|peer| peer.is_former);
        let quiet = idle && settled && !former && self.peers.iter().any(|peer| peer.is_member());
        if quiet && !self.lead.quiet {
            // The round that is about to be opened.
            self.lead.quiet_since = self.lead.round + 1;
        }
        self.lead.quiet = quiet;
    }

    /// Whether a learner is going to be a voter as soon as it can: nobody would look after it in silence.
    fn is_recruiting(&self) -> bool {
        let Configuration { voters, learners, .. } = self.configuration();
        let has_room = voters.len() < self.config.target;
        learners.iter().any(|(seat, class)| {
            *class == NodeClass::Voter && (has_room || voters.iter().any(|voter| voter.node == seat.node))
        })
    }

    /// Everybody has confirmed that it waits for the detector instead of heartbeats.
    pub(super) fn is_silent(&self) -> bool {
        let mut members = self.peers.iter().filter(|peer| peer.is_member());
        self.lead.quiet && members.all(|peer| peer.round >= self.lead.quiet_since && !peer.keeps_orphans)
    }

    /// Something happens: heartbeats again.
    pub(super) fn wake(&mut self) {
        if self.office == Office::Primary && self.lead.quiet {
            self.lead.quiet = false;
            let now = self.now;
            self.peers.iter_mut().for_each(|peer| peer.heard_at = now);
            self.repeat_at = self.now + self.config.heartbeat;
            self.open_round();
        }
    }
}
