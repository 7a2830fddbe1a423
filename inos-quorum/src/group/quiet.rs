//! An idle group sends nothing: the detector watches over its nodes.

use core::time::Duration;

use super::{Group, Office, peer::Flow};
use crate::{Id, Machine, PeerState};

impl<N: Id, M: Machine> Group<N, M> {
    /// What a [`Detector`](crate::Detector) says of a node. Without it groups work as well, but never fall silent.
    pub fn peer_state(&mut self, now: Duration, node: N, state: PeerState) {
        self.advance(now);
        let is_alive = matches!(state, PeerState::Alive { .. });
        let mut restarted = false;
        for peer in self.peers.iter_mut().filter(|peer| peer.seat.node == node) {
            peer.is_alive = is_alive;
            peer.unreachable = state == PeerState::Unreachable;
            if let PeerState::Alive { incarnation } = state {
                restarted |= peer.life.is_some_and(|life| life != incarnation);
            }
        }
        if is_alive && !restarted {
            return;
        }
        self.wake();
        // One that has started anew leads nobody any more.
        if self.quiet && self.primary.is_some_and(|primary| primary.node == node) {
            self.quiet = false;
            let elect_min = self.config.elect_min;
            self.election_at = self.now + self.rng.between(Duration::ZERO, elect_min / 2);
        }
    }

    /// The primary has said that it will be silent, and the detector says that it lives.
    pub(super) fn primary_is_quiet(&self) -> bool {
        let primary = self.primary.and_then(|primary| self.peer(primary));
        self.quiet && self.office == Office::Follower && primary.is_some_and(|primary| primary.is_alive)
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
            && self.configuration().outgoing.is_empty();
        let settled = self.peers.iter().all(|peer| {
            !peer.is_member()
                || (peer.is_alive && peer.matched == last && peer.flow == Flow::Stream && peer.orphan.is_none())
        });
        let former = self.peers.iter().any(|peer| peer.is_former);
        let quiet = idle && settled && !former && self.peers.iter().any(|peer| peer.is_member());
        if quiet && !self.lead.quiet {
            // The round that is about to be opened.
            self.lead.quiet_since = self.lead.round + 1;
        }
        self.lead.quiet = quiet;
    }

    /// Everybody has confirmed that it waits for the detector instead of heartbeats.
    pub(super) fn is_silent(&self) -> bool {
        let confirmed = |peer: &super::Peer<N>| !peer.is_member() || peer.round >= self.lead.quiet_since;
        self.lead.quiet && self.peers.iter().all(confirmed)
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
