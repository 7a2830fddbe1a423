//! Entries from the primary to the followers, and what is committed.

use alloc::vec::Vec;

use super::{
    Group, State,
    log::{Body, Entry},
    peer::{Flow, Peer},
    session::Done,
    wire::{APPEND_OVERHEAD, Message, Mismatch},
};
use crate::{
    Event, Id, Lsn, MAX_VOTERS, Machine, MessageError, Stage, Storage,
    bytes::{Reader, seal},
};

/// New entries, with their deltas decoded.
type News<M> = Vec<(Entry, Option<<M as Machine>::Delta>)>;

impl<N: Id, M: Machine> Group<N, M> {
    pub(super) fn on_append(&mut self, peer: usize, message: Message<'_>) -> Result<(), MessageError> {
        let Message::Append { epoch, prev, commit, round, count, entries } = message else {
            return Err(MessageError::Malformed);
        };
        let entries = read_entries(entries, count, prev, epoch)?;
        let from = self.peers[peer].node;
        if epoch < self.hard.epoch {
            // It is deposed and does not know. The answer carries the epoch.
            self.peers[peer].owed_append = Some(None);
            return Ok(());
        }
        let rival = self.state == State::Primary || self.primary.is_some_and(|primary| primary != from);
        if epoch == self.hard.epoch && rival {
            return Err(MessageError::Contradiction { sequence: 0 });
        }
        // What this primary sent before binds it like what is committed: it never changes its own log.
        let settled = if epoch == self.hard.epoch { self.commit.max(self.verified) } else { self.commit };
        let agrees = self.log.epoch_at(prev.sequence) == Some(prev.epoch);
        if !agrees && prev.sequence <= settled {
            return Err(MessageError::Contradiction { sequence: prev.sequence });
        }
        // All that can fail comes before the first change.
        let last_sequence = prev.sequence + u64::from(count);
        let news = if agrees { self.read_news(prev.sequence, settled, entries)? } else { Vec::new() };

        self.follow(epoch, from);
        self.round_seen = self.round_seen.max(round);
        if !agrees {
            let hint = self.log.agreeable(prev.sequence, prev.epoch);
            self.peers[peer].owed_append = Some(Some(Mismatch { prev: prev.sequence, hint }));
            return Ok(());
        }
        if news.is_empty() || self.config.storage == Storage::Volatile {
            self.peers[peer].owed_append = Some(None);
        }
        self.take_news(last_sequence, news);
        self.verified = self.verified.max(last_sequence);
        let commit = commit.min(self.verified);
        if commit > self.commit {
            self.commit = commit;
            self.apply();
        }
        Ok(())
    }

    /// The entries that the log does not hold yet, with their deltas decoded. `after` precedes the first of `entries`;
    /// the log does not change up to `settled`.
    fn read_news(&self, after: u64, settled: u64, entries: Vec<Entry>) -> Result<News<M>, MessageError> {
        let max = self.max_delta_bytes();
        let mut news = Vec::new();
        for (sequence, entry) in (after + 1..).zip(entries) {
            if news.is_empty() {
                match self.log.epoch_at(sequence) {
                    Some(epoch) if epoch == entry.epoch => continue,
                    Some(_) if sequence <= settled => return Err(MessageError::Contradiction { sequence }),
                    _ => {}
                }
            }
            let delta = match &entry.body {
                Body::EpochStart => None,
                // In a short envelope a longer one may arrive than this member could send on.
                Body::Write { delta, .. } if delta.len() > max => {
                    return Err(MessageError::TooLong { len: delta.len(), max });
                }
                Body::Write { delta, .. } => {
                    Some(M::decode(delta).map_err(|_| MessageError::Undecodable { sequence })?)
                }
            };
            news.push((entry, delta));
        }
        Ok(news)
    }

    /// Appends `news`, the last of which is entry `last_sequence`, in place of whatever stands there.
    fn take_news(&mut self, last_sequence: u64, news: News<M>) {
        let keep = last_sequence - super::sequence(news.len());
        if !news.is_empty() && keep < self.log.last().sequence {
            self.log.truncate(keep);
            self.disk.truncated(keep);
        }
        for (entry, delta) in news {
            self.log.push(entry, delta);
        }
    }

    fn follow(&mut self, epoch: u64, primary: N) {
        if epoch > self.hard.epoch {
            self.adopt(epoch);
        }
        let elect_min = self.config.elect_min;
        self.heard_primary_at = Some(self.now);
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        if self.state != State::Follower || self.primary != Some(primary) {
            self.set_state(State::Follower, Some(primary));
        }
    }

    /// More entries became durable here: the primary wants to know.
    pub(super) fn owe_append_reply(&mut self) {
        let primary = self.primary;
        if let Some(peer) = self.peers.iter_mut().find(|peer| Some(peer.node) == primary) {
            peer.owed_append.get_or_insert(None);
        }
    }

    pub(super) fn on_append_reply(
        &mut self,
        peer: usize,
        epoch: u64,
        matched: u64,
        round: u64,
        mismatch: Option<Mismatch>,
    ) -> Result<(), MessageError> {
        if epoch > self.hard.epoch {
            self.adopt(epoch);
            return Ok(());
        }
        if epoch < self.hard.epoch || self.state != State::Primary {
            return Ok(());
        }
        if matched > self.log.last().sequence || round > self.round {
            return Err(MessageError::Contradiction { sequence: matched });
        }
        let now = self.now;
        let peer = &mut self.peers[peer];
        peer.round_echoed(round, now);
        let news = peer.holds(matched);
        if let Some(Mismatch { prev, hint }) = mismatch {
            // In a probe only the answer to the probe counts: older ones would send it back for nothing.
            let stale = prev <= peer.matched || (peer.flow != Flow::Stream && prev.checked_add(1) != Some(peer.next));
            if !stale {
                let agreed = self.log.agreeable(hint.sequence, hint.epoch).sequence;
                peer.next = (agreed + 1).clamp(peer.matched + 1, peer.next.max(peer.matched + 1));
                peer.flow = Flow::Probe;
            }
        } else if peer.flow != Flow::Stream {
            peer.flow = Flow::Stream;
        }
        if news {
            self.try_commit();
        }
        self.release_reads();
        Ok(())
    }

    /// Recomputed from scratch each time: the array is tiny, and incremental order is how openraft 1802 lost writes.
    pub(super) fn try_commit(&mut self) {
        let mut held = [0; MAX_VOTERS];
        held[0] = self.held();
        for (slot, peer) in held[1..].iter_mut().zip(&self.peers) {
            *slot = peer.matched;
        }
        held.sort_unstable_by(|a, b| b.cmp(a));
        let commit = held[self.config.mode.write_quorum(self.voters.len()) - 1];
        // An entry of an older epoch that a majority holds may still be replaced by a later primary; one of this epoch
        // cannot, and neither can those before it (Ongaro and Ousterhout 2014, figure 8).
        if commit > self.commit && self.log.epoch_at(commit) == Some(self.hard.epoch) {
            self.commit = commit;
            self.apply();
            self.release_reads();
        }
    }

    /// Applies what is committed.
    pub(super) fn apply(&mut self) {
        while self.applied.sequence < self.commit {
            let sequence = self.applied.sequence + 1;
            let entry = self.log.entry(sequence).expect("committed entries are in the log");
            let lsn = Lsn { epoch: entry.epoch, sequence };
            let op = match entry.body {
                Body::EpochStart => None,
                Body::Write { op, .. } => Some(op),
            };
            let delta = self.log.take_unapplied();
            if let (Some(op), Some(delta)) = (op, delta) {
                let output = self.machine.apply(lsn, &delta);
                self.in_flight.remove(&op);
                if self.pending.remove(&sequence).is_some() {
                    let output = Some(output.clone());
                    self.events.push_back(Event::Receipt { id: op, stage: Stage::Committed, lsn, output });
                }
                self.sessions.insert(op, Done { lsn, output });
            }
            self.applied = lsn;
        }
        while self.write_deadlines.front().is_some_and(|(_, sequence)| !self.pending.contains_key(sequence)) {
            self.write_deadlines.pop_front();
        }
    }

    pub(super) fn repeat_heartbeat(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        self.open_round();
        for peer in &mut self.peers {
            if peer.flow == Flow::Probing {
                peer.flow = Flow::Probe;
            }
        }
    }

    /// Makes every member answer anew.
    pub(super) fn open_round(&mut self) {
        self.round += 1;
        self.peers.iter_mut().for_each(|peer| peer.beat = true);
    }

    pub(super) fn has_append(&self, peer: &Peer<N>) -> bool {
        self.state == State::Primary && (peer.beat || self.may_send_entries(peer))
    }

    fn may_send_entries(&self, peer: &Peer<N>) -> bool {
        let under_way = self.log.bytes_to(peer.next - 1).saturating_sub(self.log.bytes_to(peer.matched));
        let open = match peer.flow {
            Flow::Probe => true,
            Flow::Probing => false,
            Flow::Stream => under_way == 0 || under_way < self.config.max_inflight_bytes,
        };
        open && peer.next <= self.log.last().sequence
    }

    pub(super) fn write_append(&mut self, index: usize, out: &mut Vec<u8>) {
        let peer = &self.peers[index];
        let first = peer.next;
        let room = self.config.max_frame - APPEND_OVERHEAD;
        let mut end = first;
        let mut bytes = 0;
        if self.may_send_entries(peer) {
            while let Some(entry) = self.log.entry(end) {
                bytes += entry.encoded_len();
                if bytes > room {
                    break;
                }
                end += 1;
            }
        }
        let epoch_before = self.log.epoch_at(first - 1).expect("the next entry follows one of the log");
        let message = Message::Append {
            epoch: self.hard.epoch,
            prev: Lsn { epoch: epoch_before, sequence: first - 1 },
            commit: self.commit,
            round: self.round,
            count: u32::try_from(end - first).expect("a frame of at most 1 GiB holds fewer entries"),
            entries: &[],
        };
        self.envelope.open(peer.node, &message, out);
        for sequence in first..end {
            self.log.entry(sequence).expect("counted above").encode(out);
        }
        seal(out);
        let (now, round) = (self.now, self.round);
        let peer = &mut self.peers[index];
        peer.round_sent(round, now);
        peer.beat = false;
        match peer.flow {
            Flow::Probe => peer.flow = Flow::Probing,
            Flow::Probing => {}
            Flow::Stream => peer.next = end,
        }
    }
}

/// Reads exactly `count` entries whose epochs do not fall, from that of `prev` up to `epoch`.
fn read_entries(bytes: &[u8], count: u32, prev: Lsn, epoch: u64) -> Result<Vec<Entry>, MessageError> {
    let mut reader = Reader(bytes);
    let mut entries = Vec::new();
    let mut floor = prev.epoch;
    for _ in 0..count {
        let entry = Entry::decode(&mut reader).ok_or(MessageError::Malformed)?;
        if entry.epoch < floor {
            return Err(MessageError::Malformed);
        }
        floor = entry.epoch;
        entries.push(entry);
    }
    reader.end().ok_or(MessageError::Malformed)?;
    let within = floor <= epoch && prev.sequence.checked_add(u64::from(count) + 1).is_some();
    if within { Ok(entries) } else { Err(MessageError::Malformed) }
}
