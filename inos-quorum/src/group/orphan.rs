//! Writes that fell out of a log, on their way to the primary that may take them in again.

use alloc::vec::Vec;

use super::{
    Group, Office,
    entry::{Body, ORPHAN},
    log::len,
    parcel::Parcel,
    state::State,
    wire::{MAX_ACKS, Message, ORPHANS_OVERHEAD, What},
};
use crate::{
    Actor, Dot, Event, Id, Lsn, Machine, MessageError, OpId, ReceiptState, Resolution,
    bugs::{Bug, has},
    bytes::{Put, Reader, seal},
};

/// Where the orphan of a payload stood.
pub(super) fn origin<N: Id>(payload: &[u8]) -> Option<Lsn> {
    match Body::<N>::read(ORPHAN, payload)? {
        Body::Orphan { origin, .. } => Some(origin),
        _ => None,
    }
}

impl<N: Id, M: Machine> Group<N, M> {
    /// Keeps the writes after `keep`, which are about to be dropped.
    pub(super) fn keep_orphans(&mut self, keep: u64) {
        self.keep_orphans_of(keep, None);
    }

    /// As [`keep_orphans`](Self::keep_orphans), but for the writes that `next`, the state to come, contains.
    pub(super) fn keep_orphans_of(&mut self, keep: u64, next: Option<&State<N, M>>) {
        if has(Bug::TruncationWithoutOrphans) {
            return;
        }
        let mut dropped = 0;
        for sequence in keep + 1..=self.log.last().sequence {
            let Some((dot, payload)) = self.as_orphan(sequence) else { continue };
            // The entry itself may be in the history although its author is retired, and its dot forgotten.
            let place = Lsn { epoch: self.log.epoch_at(sequence).unwrap_or(0), sequence };
            let contained = match next {
                Some(next) => next.dots.contains(dot) || next.receipt_state(place) == ReceiptState::Held,
                None => self.state.dots.contains(dot),
            };
            // What the older generation had committed is as lost to the younger as the rest.
            if !contained || self.office == Office::Superseded {
                self.counters.orphans_kept += 1;
                dropped += self.orphans.keep(dot, payload, self.config.max_orphans, len(self.config.max_reassembly));
            }
        }
        if dropped > 0 {
            self.events.push_back(Event::OrphansDropped { count: dropped });
        }
    }

    /// Taken out of the group, as far as it knows: what is not committed here may be missing there. Copies of that do no
    /// harm, the history knows what it contains; they take what room there is, and the rest follows once these are settled.
    pub(super) fn copy_orphans(&mut self) {
        let (max, max_bytes) = (self.config.max_orphans, len(self.config.max_reassembly));
        let (from, last) = (self.copied(), self.log.last().sequence);
        let mut dropped = 0;
        for sequence in from + 1..=last {
            let copy = self.as_orphan(sequence).filter(|&(dot, _)| !self.state.dots.contains(dot));
            if let Some((dot, payload)) = copy {
                if !self.orphans.is_empty() && !self.orphans.has_room(len(payload.len()), max, max_bytes) {
                    break;
                }
                self.counters.orphans_kept += 1;
                dropped += self.orphans.keep(dot, payload, max, max_bytes);
            }
            self.copies_of = Lsn { epoch: self.log.epoch_at(sequence).unwrap_or(0), sequence };
        }
        if dropped > 0 {
            self.events.push_back(Event::OrphansDropped { count: dropped });
        }
    }

    /// Up to where copies were made of the present log, or none are needed.
    fn copied(&self) -> u64 {
        let Lsn { epoch, sequence } = self.copies_of;
        let is_of_this_log = self.log.epoch_at(sequence) == Some(epoch);
        if is_of_this_log { sequence.max(self.commit) } else { self.commit }
    }

    /// Taken out of the group: how many entries may still have to be copied.
    pub(super) fn uncopied(&self) -> u64 {
        let is_out = self.removed.is_some() && self.office != Office::Superseded;
        if is_out { self.log.last().sequence - self.copied() } else { 0 }
    }

    fn as_orphan(&self, sequence: u64) -> Option<(Dot<N>, Vec<u8>)> {
        let entry = self.log.entry(sequence)?;
        match entry.body::<N>()? {
            Body::Write { counter, change } => {
                let actor = self.log.author(entry.epoch).or_else(|| self.state.author(entry.epoch))?;
                let dot = Dot { actor, counter };
                let origin = Lsn { epoch: entry.epoch, sequence };
                let mut payload = Vec::new();
                Body::Orphan { dot, origin, change }.write(&mut payload);
                Some((dot, payload))
            }
            Body::Orphan { dot, .. } => Some((dot, entry.payload.to_vec())),
            _ => None,
        }
    }

    /// As many orphans as fit a frame. The rest follows once these are settled.
    pub(super) fn write_orphans(&mut self, index: usize, out: &mut Vec<u8>) {
        let to = self.peers[index].seat;
        let mut room = self.config.max_frame - ORPHANS_OVERHEAD;
        let mut count = 0;
        for kept in self.orphans.iter() {
            let Some(left) = room.checked_sub(4 + kept.payload.len()) else { continue };
            room = left;
            count += 1;
        }
        let message = Message::Orphans { count, orphans: &[] };
        self.envelope.open(to, self.hard.epoch, self.configuration().number, &message, out);
        let mut room = self.config.max_frame - ORPHANS_OVERHEAD;
        for kept in self.orphans.iter() {
            let Some(left) = room.checked_sub(4 + kept.payload.len()) else { continue };
            room = left;
            out.put_count(kept.payload.len());
            out.put(&kept.payload);
        }
        seal(out);
        let under_way = self.peers[index].orphan.filter(|sent| !self.parcel_is_gone(sent));
        self.peers[index].orphan = match under_way {
            Some(mut sent) => {
                sent.again();
                Some(sent)
            }
            None => self.next_long_orphan(self.peers[index].long_orphan_after),
        };
    }

    /// Orphans that no frame holds go one after the other, round and round: one that finds no room at the primary must
    /// not hold up the rest.
    pub(super) fn next_long_orphan(&self, after: Lsn) -> Option<Parcel> {
        let room = self.config.max_frame - ORPHANS_OVERHEAD;
        let long = self.orphans.iter().filter(|kept| 4 + kept.payload.len() > room);
        let origins = long.filter_map(|kept| origin::<N>(&kept.payload));
        let next = origins.min_by_key(|&origin| (origin <= after, origin))?;
        Some(Parcel::new(What::Orphan, next))
    }

    pub(super) fn on_orphans(&mut self, peer: usize, count: u32, orphans: &[u8]) -> Result<(), MessageError> {
        let mut reader = Reader(orphans);
        let mut payloads = Vec::new();
        for _ in 0..count {
            let payload = reader.long_bytes().ok_or(MessageError::Malformed)?;
            self.check_orphan(payload)?;
            payloads.push(payload);
        }
        reader.end().ok_or(MessageError::Malformed)?;
        if count == 0 {
            self.peers[peer].is_former = false;
        }
        if self.office != Office::Primary {
            self.owe_notice_to_stranger(peer);
            return Ok(());
        }
        for payload in payloads {
            self.acknowledge_orphan(peer, payload);
            self.adopt_orphan(payload);
        }
        self.try_commit();
        Ok(())
    }

    fn check_orphan(&self, payload: &[u8]) -> Result<(), MessageError> {
        let body = Body::<N>::read(ORPHAN, payload).ok_or(MessageError::Malformed)?;
        self.check_change(&body, 0)
    }

    pub(super) fn take_orphan(&mut self, peer: usize, payload: &[u8]) -> Result<(), MessageError> {
        self.check_orphan(payload)?;
        self.acknowledge_orphan(peer, payload);
        self.adopt_orphan(payload);
        self.try_commit();
        Ok(())
    }

    /// The primary's history has dealt with these. A member sees so in its own, sooner or later, and keeps them until then:
    /// it may be all that is left. Nobody else does, and no member that a later generation has stopped.
    pub(super) fn on_orphan_ack(&mut self, dots: &[Dot<N>]) {
        let is_out = self.office == Office::Superseded || self.removed.is_some();
        if is_out || self.configuration().class(self.envelope.seat).is_none() {
            self.orphans.settle(|dot| dots.contains(&dot));
        }
    }

    /// To whoever hands it over: what it makes of that depends on what it takes itself for.
    fn acknowledge_orphan(&mut self, peer: usize, payload: &[u8]) {
        let Some(Body::Orphan { dot, .. }) = Body::<N>::read(ORPHAN, payload) else { return };
        let slot = &mut self.peers[peer];
        let news = !slot.owed_acks.contains(&dot) && slot.owed_acks.len() < MAX_ACKS;
        if news && self.state.dots.contains(dot) {
            slot.owed_acks.push(dot);
        }
    }

    /// The primary puts an orphan into the log, unless the history has dealt with it. One that finds no room now is
    /// handed over again. Its client had a place among `max_clients` where it was taken, and gets one here whether or
    /// not they are all taken: it would be handed over for ever.
    fn adopt_orphan(&mut self, payload: &[u8]) {
        let Some(body @ Body::Orphan { dot, .. }) = Body::<N>::read(ORPHAN, payload) else { return };
        let in_flight = self.lead.orphans_in_flight.iter().any(|&(other, _)| other == dot);
        let known = self.state.dots.contains(dot) || in_flight;
        let room = self.uncommitted() < self.config.max_uncommitted;
        if self.office == Office::Primary && !known && room {
            self.append(&body);
        }
    }

    /// What this member itself keeps, once it is primary.
    pub(super) fn adopt_own_orphans(&mut self) {
        if self.orphans.is_empty() {
            return;
        }
        let payloads: Vec<Vec<u8>> = self.orphans.iter().map(|kept| kept.payload.clone()).collect();
        payloads.iter().for_each(|payload| self.adopt_orphan(payload));
    }

    /// Drops what the history of this generation has dealt with.
    pub(super) fn settle_orphans(&mut self) {
        if self.office != Office::Superseded && !self.orphans.is_empty() {
            let Self { orphans, state, .. } = self;
            orphans.settle(|dot| state.dots.contains(dot));
        }
    }

    /// The history has dealt with an orphan: nobody need keep it.
    pub(super) fn settle_orphan(&mut self, dot: Dot<N>) {
        self.lead.orphans_in_flight.retain(|&(other, _)| other != dot);
        self.orphans.settle(|kept| kept == dot);
    }

    /// Tells the writer, if it waits here.
    pub(super) fn tell_orphan(&mut self, op: OpId, dot: Dot<N>, origin: Lsn, resolution: Resolution<M::Output>) {
        let doubted = self.doubts.iter().position(|doubt| doubt.lsn == origin && doubt.op == op);
        if let Some(doubt) = doubted.filter(|_| dot.actor == self.envelope.me) {
            self.doubts.swap_remove(doubt);
            self.events.push_back(Event::Orphaned { id: op, lsn: origin, resolution });
        }
    }

    pub(super) fn is_life_of_a_member(&self, actor: Actor<N>) -> bool {
        let own = actor == self.envelope.me || actor == self.envelope.seat;
        own || self
            .peers
            .iter()
            .filter(|peer| peer.is_member())
            .any(|peer| peer.seat.node == actor.node && (peer.life.is_none() || peer.life == Some(actor.incarnation)))
    }
}
