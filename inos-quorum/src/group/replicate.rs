//! Entries from the primary to the followers, and what is committed.

use alloc::vec::Vec;

use super::{
    Group, MAX_SEQUENCE, Office,
    entry::{Body, Raw},
    log::{MIN_ENTRY, len},
    membership::Configuration,
    parcel::Parcel,
    peer::{Flow, Peer},
    state::{Applied, State},
    wire::{APPEND_OVERHEAD, Message, Mismatch, What},
};
use crate::{
    Actor, Event, Id, Lsn, Machine, MessageError, Stage, Storage, VectorClock,
    bugs::{Bug, has},
    bytes::{Put, Reader, seal},
};

/// An entry that may enter the log.
pub(super) struct Checked<'a, N> {
    pub(super) raw: Raw<'a>,
    author: Option<Actor<N>>,
    configuration: Option<Configuration<N>>,
}

/// So many rings are kept while a snapshot is on its way to somebody.
const PATIENCE: u64 = 4;

/// Rounds that are remembered for the lease; more only come of a flood of reads.
const MAX_ROUNDS: usize = 1024;

impl<N: Id, M: Machine> Group<N, M> {
    pub(super) fn check_rival(&self, peer: usize, epoch: u64) -> Result<(), MessageError> {
        let from = self.peers[peer].seat;
        let rival = self.office == Office::Primary || self.primary.is_some_and(|primary| primary != from);
        if epoch == self.hard.epoch && rival {
            return Err(MessageError::Contradiction { sequence: 0 });
        }
        Ok(())
    }

    pub(super) fn on_append(&mut self, peer: usize, epoch: u64, message: &Message<'_, N>) -> Result<(), MessageError> {
        let Message::Append { prev, commit, round, fast, quiet, count, entries } = *message else {
            return Err(MessageError::Malformed);
        };
        // Entries that are not looked at for their own sake have to be entries all the same.
        let is_framed = || {
            let mut reader = Reader(entries);
            (0..count).all(|_| Raw::read(&mut reader).is_some()) && reader.0.is_empty()
        };
        if epoch < self.hard.epoch {
            if !is_framed() {
                return Err(MessageError::Malformed);
            }
            // It is deposed and does not know. The answer carries the epoch.
            self.peers[peer].owed_append = Some(None);
            return Ok(());
        }
        self.check_rival(peer, epoch)?;
        let end = prev.sequence.checked_add(u64::from(count)).filter(|&end| end <= MAX_SEQUENCE);
        let end = end.filter(|_| entries.len() / MIN_ENTRY >= count as usize).ok_or(MessageError::Malformed)?;
        if self.configuration().number == 0 {
            if !is_framed() {
                return Err(MessageError::Malformed);
            }
            self.follow(epoch, peer);
            self.peers[peer].owed_append = Some(Some(Mismatch::Blank));
            return Ok(());
        }
        // What this primary sent before binds it like what is committed: it never changes its own log.
        let settled = if epoch == self.hard.epoch { self.commit.max(self.verified) } else { self.commit };
        let here = self.log.epoch_at(prev.sequence);
        // Before the base everything is committed, and the same everywhere.
        let agrees = here == Some(prev.epoch) || prev.sequence < self.log.base().sequence;
        if !agrees && prev.sequence <= settled {
            return Err(MessageError::Contradiction { sequence: prev.sequence });
        }
        // All that can fail comes before the first change.
        let news = match agrees {
            true => self.check_news(prev, settled, epoch, count, entries)?,
            false if is_framed() => None,
            false => return Err(MessageError::Malformed),
        };

        self.follow(epoch, peer);
        self.quiet = quiet;
        self.note_fast(Lsn { epoch, sequence: fast });
        let new_round = round > self.round_seen;
        self.round_seen = self.round_seen.max(round);
        if new_round && !self.orphans.is_empty() {
            self.peers[peer].owes_orphans = true;
        }
        if !agrees {
            let hint = self.log.agreeable(prev.sequence, prev.epoch);
            self.peers[peer].owed_append = Some(Some(Mismatch::Prev { prev: prev.sequence, hint }));
            return Ok(());
        }
        if new_round || news.is_none() || self.config.storage == Storage::Volatile {
            self.peers[peer].owed_append = Some(None);
        }
        if let Some((keep, bytes)) = news {
            self.take_news(keep, bytes);
        }
        self.verified = self.verified.max(end);
        let commit = commit.min(self.verified);
        if commit > self.commit {
            self.commit = commit;
            self.apply();
        }
        Ok(())
    }

    /// Checks the entries that the log does not hold yet; what to keep, and their bytes. `prev` precedes the first of
    /// `entries`; the log does not change up to `settled`.
    fn check_news<'a>(
        &self,
        prev: Lsn,
        settled: u64,
        epoch: u64,
        count: u32,
        entries: &'a [u8],
    ) -> Result<Option<(u64, &'a [u8])>, MessageError> {
        let mut reader = Reader(entries);
        let mut floor = prev.epoch;
        let mut news = None;
        for sequence in (prev.sequence + 1..).take(count as usize) {
            let rest = reader.0;
            if news.is_none() {
                let raw = Raw::read(&mut Reader(rest)).ok_or(MessageError::Malformed)?;
                let held = match self.log.epoch_at(sequence) {
                    Some(epoch) if epoch == raw.epoch => true,
                    Some(_) if sequence <= settled => return Err(MessageError::Contradiction { sequence }),
                    _ => sequence <= self.log.base().sequence,
                };
                if held {
                    reader.take(raw.bytes.len()).ok_or(MessageError::Malformed)?;
                    floor = raw.epoch;
                    continue;
                }
                news = Some((sequence - 1, rest));
            }
            floor = self.read_entry(&mut reader, sequence, floor)?.raw.epoch;
        }
        reader.end().ok_or(MessageError::Malformed)?;
        if floor > epoch { Err(MessageError::Malformed) } else { Ok(news) }
    }

    /// Reads the next entry, which is to stand at `sequence` after one of the epoch `floor`.
    pub(super) fn read_entry<'a>(
        &self,
        reader: &mut Reader<'a>,
        sequence: u64,
        floor: u64,
    ) -> Result<Checked<'a, N>, MessageError> {
        let raw = Raw::read(reader).ok_or(MessageError::Malformed)?;
        let body = raw.body::<N>().ok_or(MessageError::Malformed)?;
        // Each epoch begins with its start, and has one.
        let starts = matches!(body, Body::EpochStart { .. });
        if raw.epoch == 0 || raw.epoch < floor || (raw.epoch > floor) != starts {
            return Err(MessageError::Malformed);
        }
        self.check_change(&body, sequence)?;
        let author = if let Body::EpochStart { author, .. } = body { Some(author) } else { None };
        let configuration = if let Body::Configuration(configuration) = body { Some(configuration) } else { None };
        Ok(Checked { raw, author, configuration })
    }

    /// A change has to be one of this machine.
    pub(super) fn check_change(&self, body: &Body<'_, N>, sequence: u64) -> Result<(), MessageError> {
        let Some(change) = body.change() else { return Ok(()) };
        let max = self.max_delta_bytes();
        if change.delta.len() + change.extra.len() > max {
            return Err(MessageError::TooLong { len: change.delta.len() + change.extra.len(), max });
        }
        if !change.extra.is_empty() {
            VectorClock::<N>::from_bytes(change.extra).map_err(|_| MessageError::Malformed)?;
        }
        M::decode(change.delta).map_err(|_| MessageError::Undecodable { sequence })?;
        Ok(())
    }

    /// Appends the checked `entries` after `keep`, in place of whatever stands there.
    fn take_news(&mut self, keep: u64, entries: &[u8]) {
        if keep < self.log.last().sequence {
            self.drop_after(keep);
        }
        let mut reader = Reader(entries);
        while !reader.0.is_empty() {
            let Some(raw) = Raw::read(&mut reader) else { break };
            let (author, configuration) = match raw.body() {
                Some(Body::EpochStart { author, .. }) => (Some(author), None),
                Some(Body::Configuration(configuration)) => (None, Some(configuration)),
                _ => (None, None),
            };
            self.push_entry(&Checked { raw, author, configuration });
        }
    }

    pub(super) fn push_entry(&mut self, entry: &Checked<'_, N>) {
        self.log.push_raw(&entry.raw, entry.author);
        self.appended_with(self.log.last().sequence, entry.configuration.clone());
    }

    /// A configuration rules from here on.
    fn appended_with(&mut self, sequence: u64, configuration: Option<Configuration<N>>) {
        if let Some(configuration) = configuration {
            let committed = crate::Committed::No;
            self.events.push_back(Event::Membership { configuration: configuration.clone(), committed });
            self.changes.push_back((sequence, configuration));
            self.seat_peers();
        }
        self.apply_tip();
    }

    /// This primary appended an entry.
    pub(super) fn appended(&mut self, sequence: u64) {
        let configuration = match self.log.body(sequence) {
            Some(Body::Configuration(configuration)) => Some(configuration),
            _ => None,
        };
        self.appended_with(sequence, configuration);
    }

    /// Drops the entries after `keep`, none of which is committed here; their writes are kept as orphans.
    pub(super) fn drop_after(&mut self, keep: u64) {
        self.keep_orphans(keep);
        self.cut(keep);
    }

    /// Nothing after `keep` has been, as far as anybody is shown.
    pub(super) fn cut(&mut self, keep: u64) {
        self.log.truncate(keep);
        self.disk.truncated(keep);
        let before = self.changes.len();
        while self.changes.back().is_some_and(|&(sequence, _)| sequence > keep) {
            self.changes.pop_back();
        }
        if self.changes.len() < before {
            self.seat_peers();
        }
        if self.tip.as_ref().is_some_and(|tip| tip.applied.sequence > keep) {
            self.rebuild_tip();
        }
    }

    pub(super) fn follow(&mut self, epoch: u64, peer: usize) {
        if epoch > self.hard.epoch {
            self.adopt(epoch);
        }
        let primary = self.peers[peer].seat;
        let elect_min = self.config.elect_min;
        self.heard_primary_at = Some(self.now);
        #[cfg(inos_bug)]
        {
            self.normal_epoch = epoch;
        }
        self.canvass_failed = false;
        self.stepped_aside = false;
        self.removed = None;
        self.quiet = false;
        self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
        if self.office != Office::Follower || self.primary != Some(primary) {
            self.set_office(Office::Follower, Some(primary));
        }
    }

    /// More entries became durable here: the primary wants to know.
    pub(super) fn owe_append_reply(&mut self) {
        let primary = self.primary;
        if let Some(peer) = self.peers.iter_mut().find(|peer| Some(peer.seat) == primary) {
            peer.owed_append.get_or_insert(None);
        }
    }

    pub(super) fn on_append_reply(
        &mut self,
        peer: usize,
        epoch: u64,
        message: &Message<'_, N>,
    ) -> Result<(), MessageError> {
        let Message::AppendReply { matched, round, keeps_orphans, mismatch } = *message else {
            return Err(MessageError::Malformed);
        };
        self.owe_notice_to_stranger(peer);
        if epoch > self.hard.epoch {
            if self.peers[peer].is_member() {
                self.adopt(epoch);
            }
            return Ok(());
        }
        if epoch < self.hard.epoch || self.office != Office::Primary {
            return Ok(());
        }
        if matched > self.log.last().sequence || round > self.lead.round {
            return Err(MessageError::Contradiction { sequence: matched });
        }
        let (now, base) = (self.now, self.log.base().sequence);
        let slot = &mut self.peers[peer];
        if round >= slot.round {
            slot.keeps_orphans = keeps_orphans;
        }
        // A learner that hears nobody says now and then what it has said before. That is no sign of its following.
        let is_answer = round > slot.round || matched > slot.matched || mismatch.is_some();
        // In a silent group it has lost its trust in the detector, unless it is a late answer.
        let has_lost_touch = !is_answer && slot.is_member() && now >= slot.heard_at + self.config.heartbeat;
        if is_answer {
            slot.heard_at = now;
        }
        slot.round_echoed(round, now);
        let news = slot.holds(matched);
        let parcel = matches!(slot.flow, Flow::Parcel(_));
        match mismatch {
            _ if parcel => {}
            // Else each answer to what is still under way of a stream would begin it anew, and be answered in turn.
            None if round > slot.streamed_to => slot.flow = Flow::Stream,
            None => {}
            Some(Mismatch::Blank) => self.start_parcel(peer, What::Snapshot),
            Some(Mismatch::Prev { prev, hint }) => {
                // In a probe only the answer to the probe counts: older ones would send it back for nothing.
                let stale =
                    prev <= slot.matched || (slot.flow != Flow::Stream && prev.checked_add(1) != Some(slot.next));
                if !stale {
                    let agreed = self.log.agreeable(hint.sequence, hint.epoch).sequence;
                    let (slot, now_round) = (&mut self.peers[peer], self.lead.round);
                    if slot.flow == Flow::Stream {
                        slot.streamed_to = now_round;
                    }
                    slot.next = (agreed + 1).clamp(slot.matched + 1, slot.next.max(slot.matched + 1));
                    slot.flow = Flow::Probe;
                    // At the base itself its log may still agree, until it says no; before it nobody can tell.
                    if hint.sequence < base || prev == base {
                        self.start_parcel(peer, What::Snapshot);
                    }
                }
            }
        }
        if has_lost_touch && self.is_silent() {
            self.wake();
        }
        self.confirm();
        if news {
            self.try_commit();
            self.acknowledge_fast();
        }
        self.release_reads();
        self.after_catching_up(peer);
        Ok(())
    }

    /// How far a majority has echoed the rounds, and what follows for the lease.
    fn confirm(&mut self) {
        let (own, round) = (self.envelope.seat, self.lead.round);
        let confirmed = self
            .configuration()
            .confirmed(|seat| if seat == own { round } else { self.peer(seat).map_or(0, |peer| peer.round) });
        if confirmed <= self.lead.confirmed {
            return;
        }
        self.lead.confirmed = confirmed;
        let mut opened = None;
        while let Some(&(round, opened_at)) = self.lead.rounds.front()
            && round <= confirmed
        {
            opened = Some(opened_at);
            self.lead.rounds.pop_front();
        }
        if let Some(opened_at) = opened.filter(|_| !self.lead.lease_barred && confirmed > self.lead.fenced) {
            let from = if has(Bug::LeaseFromReceipt) { self.now } else { opened_at };
            self.lead.lease_until = self.lead.lease_until.max(from + self.config.lease);
        }
    }

    pub(super) fn peer(&self, seat: Actor<N>) -> Option<&Peer<N>> {
        self.peers.iter().find(|peer| peer.seat == seat)
    }

    /// Recomputed from scratch each time: the array is tiny, and incremental order is how openraft 1802 lost writes.
    pub(super) fn try_commit(&mut self) {
        if self.office != Office::Primary {
            return;
        }
        let (own, own_held) = (self.envelope.seat, self.held());
        let commit = self.configuration().written(self.config.mode, |seat| {
            if seat == own { own_held } else { self.peer(seat).map_or(0, |peer| peer.matched) }
        });
        // An entry of an older epoch that a quorum holds may still be replaced by a later primary; one of this epoch
        // cannot, and neither can those before it (Ongaro and Ousterhout 2014, figure 8).
        let own_epoch = self.log.epoch_at(commit) == Some(self.hard.epoch) || has(Bug::CommitOfOlderEpoch);
        let by_fast = has(Bug::ConfigurationDecidedByFast) && self.is_decided_by_fast(self.commit + 1);
        let (commit, own_epoch) = if by_fast { (commit.max(self.commit + 1), true) } else { (commit, own_epoch) };
        if commit > self.commit && own_epoch {
            self.commit = commit;
            self.apply();
            self.release_reads();
            self.after_commit();
        }
    }

    /// What [`Bug::ConfigurationDecidedByFast`] takes for decided.
    fn is_decided_by_fast(&self, sequence: u64) -> bool {
        let is_change = self.changes.iter().any(|&(at, _)| at == sequence);
        let is_held = self.peers.iter().any(|peer| peer.fast_class().is_some() && peer.matched >= sequence);
        self.config.mode == crate::Mode::Fast && is_change && is_held
    }

    /// Applies what is committed.
    pub(super) fn apply(&mut self) {
        while self.state.applied.sequence < self.commit {
            let sequence = self.state.applied.sequence + 1;
            let entry = self.log.entry(sequence).expect("committed entries are in the log");
            let place = Lsn { epoch: entry.epoch, sequence };
            let applied = self.state.apply(&entry, &self.log).expect("entries are checked before they enter a log");
            match applied {
                Applied::Nothing => {}
                Applied::Write { op, lsn, output } => self.tell_committed(op, place, lsn, output),
                Applied::Discarded { op } => self.tell_discarded(op, place),
                Applied::Orphan { op, dot, origin, resolution, is_old } => {
                    self.settle_orphan(dot);
                    if !is_old && resolution.is_out() {
                        self.events.push_back(Event::Discarded { id: op, lsn: origin });
                    }
                    self.tell_orphan(op, dot, origin, resolution);
                }
                Applied::EpochStart => self.tell_losses(),
                Applied::Configuration => {
                    self.changes.pop_front();
                    let configuration = self.state.configuration.clone();
                    self.events.push_back(Event::Membership { configuration, committed: crate::Committed::Yes });
                    self.seat_peers();
                }
            }
        }
        self.tell_losses();
        self.settle_orphans();
        self.forget_early(self.commit);
        self.lead.expiring.retain(|&(_, sequence)| sequence > self.commit);
        while self.lead.ages.front().is_some_and(|&(sequence, _)| sequence <= self.commit) {
            self.lead.ages.pop_front();
        }
        while self.write_deadlines.front().is_some_and(|&(_, sequence)| !self.is_pending(sequence)) {
            self.write_deadlines.pop_front();
        }
        self.trim_log();
    }

    fn tell_committed(&mut self, op: crate::OpId, place: Lsn, lsn: Lsn, output: M::Output) {
        if self.ends_wait(op, place) {
            self.events.push_back(Event::Receipt { id: op, stage: Stage::Committed, lsn, output: Some(output) });
        }
    }

    /// A repeat that came into the log behind the orphan that was refused.
    fn tell_discarded(&mut self, op: crate::OpId, place: Lsn) {
        if self.ends_wait(op, place) {
            self.events.push_back(Event::Orphaned { id: op, lsn: place, resolution: crate::Resolution::Refused });
        }
    }

    /// The write at `place` is applied, or never will be. Whether its writer waits here.
    fn ends_wait(&mut self, op: crate::OpId, place: Lsn) -> bool {
        if let Ok(at) = self.lead.in_flight.binary_search_by_key(&op, |&(op, _)| op)
            && self.lead.in_flight[at].1 == place.sequence
        {
            self.lead.in_flight.remove(at);
        }
        let awaited = match self.pending.front() {
            Some(pending) if pending.lsn == place => self.pending.pop_front(),
            _ => None,
        };
        let doubted = self.doubts.iter().position(|doubt| doubt.lsn == place);
        let doubted = doubted.map(|index| self.doubts.swap_remove(index));
        awaited.is_some() || doubted.is_some()
    }

    /// Forgets the entries that nobody here needs, and that stragglers get as a snapshot.
    pub(super) fn trim_log(&mut self) {
        // Another history may lack any of it.
        if self.office == Office::Superseded {
            return;
        }
        self.drop_unused_snapshot();
        let applied = self.state.applied.sequence;
        let stored = match self.config.storage {
            Storage::Durable => applied.min(self.disk.tail()),
            Storage::Volatile => applied,
        };
        let base = self.log.base().sequence;
        let mut to = applied.saturating_sub(self.config.ring_entries).max(base);
        while to < stored && self.log.bytes_to(applied) - self.log.bytes_to(to) > self.config.ring_bytes {
            to += 1;
        }
        if let Some((lsn, _)) = &self.snapshot {
            // Whoever is about to get a snapshot should not be behind again when it has it.
            let patience = self.config.ring_entries.saturating_mul(PATIENCE);
            let patience_bytes = self.config.ring_bytes.saturating_mul(PATIENCE);
            let mut held = lsn.sequence.max(applied.saturating_sub(patience)).max(base);
            while held < to && self.log.bytes_to(applied) - self.log.bytes_to(held) > patience_bytes {
                held += 1;
            }
            to = to.min(held);
        }
        let to = to.min(stored);
        if to > base {
            self.log.release(to);
        }
    }

    pub(super) fn repeat_heartbeat(&mut self) {
        self.repeat_at = self.now + self.config.heartbeat;
        self.adopt_own_orphans();
        self.drive();
        if self.office != Office::Primary {
            return;
        }
        // Who has been silent for long by now holds neither log nor snapshot, though nothing may be committed.
        self.trim_log();
        self.repeat_notices();
        self.open_round();
        for index in 0..self.peers.len() {
            let is_unreachable = self.is_unreachable(&self.peers[index]);
            let peer = &mut self.peers[index];
            match &mut peer.flow {
                Flow::Probing => peer.flow = Flow::Probe,
                // An answer to the heartbeat is enough to get the rest.
                Flow::Parcel(parcel) if !is_unreachable => parcel.again(),
                Flow::Parcel(_) | Flow::Probe | Flow::Stream => {}
            }
        }
    }

    /// Makes every member answer anew.
    pub(super) fn open_round(&mut self) {
        self.lead.round += 1;
        if self.lead.rounds.len() == MAX_ROUNDS {
            self.lead.rounds.pop_front();
        }
        self.lead.rounds.push_back((self.lead.round, self.now));
        self.peers.iter_mut().for_each(|peer| peer.beat = peer.is_member());
        self.confirm();
    }

    pub(super) fn has_append(&self, peer: &Peer<N>) -> bool {
        self.office == Office::Primary && peer.is_member() && (peer.beat || self.may_send(peer))
    }

    fn may_send(&self, peer: &Peer<N>) -> bool {
        let left = peer.next <= self.log.last().sequence;
        match peer.flow {
            Flow::Parcel(parcel) => self.parcel_is_due(&parcel),
            Flow::Probe => left,
            Flow::Probing => false,
            Flow::Stream => {
                let under_way = self.log.bytes_to(peer.next - 1).saturating_sub(self.log.bytes_to(peer.matched));
                left && (under_way == 0 || under_way < self.config.max_inflight_bytes)
            }
        }
    }

    pub(super) fn write_append(&mut self, index: usize, out: &mut Vec<u8>) {
        let room = len(self.config.max_frame - APPEND_OVERHEAD);
        let base = self.log.base().sequence;
        let peer = &self.peers[index];
        let behind = match peer.flow {
            Flow::Parcel(parcel) if parcel.what == What::Snapshot => self.parcel_is_gone(&parcel),
            _ => peer.next <= base,
        };
        // No snapshot is made for who may be dead. An answer to the heartbeat is enough to get one.
        let in_vain = behind && self.is_unreachable(peer);
        if in_vain {
            self.peers[index].flow = Flow::Probing;
        } else if behind {
            self.start_parcel(index, What::Snapshot);
        } else if peer.flow == Flow::Stream && self.may_send(peer) && self.log.run(peer.next - 1, room) < peer.next {
            self.start_parcel(index, What::Entry);
        }
        let last = self.log.last().sequence;
        let peer = &self.peers[index];
        if let Flow::Parcel(parcel) = peer.flow
            && !peer.beat
        {
            let moved = self.write_part(index, parcel, out);
            self.peers[index].flow = Flow::Parcel(moved);
            return;
        }
        let (after, end) = match peer.flow {
            Flow::Parcel(Parcel { what: What::Snapshot, .. }) => (last, last),
            _ if in_vain => (last, last),
            _ if !self.may_send(peer) || matches!(peer.flow, Flow::Parcel(_)) => (peer.next - 1, peer.next - 1),
            _ => (peer.next - 1, self.log.run(peer.next - 1, room)),
        };
        let epoch_before = self.log.epoch_at(after).expect("the next entry follows one of the log");
        let message = Message::Append {
            prev: Lsn { epoch: epoch_before, sequence: after },
            commit: self.commit,
            round: self.lead.round,
            fast: self.fast_high(),
            quiet: self.lead.quiet,
            count: u32::try_from(end - after).expect("a frame of at most 1 GiB holds fewer entries"),
            entries: &[],
        };
        self.envelope.open(peer.seat, self.hard.epoch, self.configuration().number, &message, out);
        out.put(self.log.slice(after, end));
        seal(out);
        let (now, round) = (self.now, self.lead.round);
        let peer = &mut self.peers[index];
        peer.round_sent(round, now);
        peer.beat = false;
        match peer.flow {
            Flow::Probe => peer.flow = Flow::Probing,
            Flow::Probing | Flow::Parcel(_) => {}
            Flow::Stream => peer.next = end + 1,
        }
    }

    /// The state that a snapshot from the primary of `epoch` brings; `None` when it is no news.
    pub(super) fn check_snapshot(
        &self,
        epoch: u64,
        id: Lsn,
        bytes: &[u8],
    ) -> Result<Option<State<N, M>>, MessageError> {
        if id.sequence <= self.commit {
            return Ok(None);
        }
        if id.epoch > epoch {
            return Err(MessageError::Malformed);
        }
        let state = State::decode(bytes).filter(|state: &State<N, M>| state.applied == id);
        let state = state.ok_or(MessageError::Undecodable { sequence: id.sequence })?;
        if state.configuration.number == 0 {
            return Err(MessageError::Malformed);
        }
        Ok(Some(state))
    }

    /// Puts the state of a snapshot in place of what is here.
    pub(super) fn install(&mut self, id: Lsn, state: State<N, M>) {
        self.counters.snapshots_installed += 1;
        // What agrees with the snapshot stays; else what is not known here to be committed, and not in it, is an orphan.
        let agrees = self.log.epoch_at(id.sequence) == Some(id.epoch);
        if agrees {
            self.commit = id.sequence;
            self.apply();
            self.verified = self.verified.max(id.sequence);
            return;
        }
        // It makes room for these as well. The snapshot record takes all of them along.
        self.orphans.settle(|dot| state.dots.contains(dot));
        self.keep_orphans_of(self.commit, Some(&state));
        self.state = state;
        self.log = super::Log::new(id);
        self.commit = id.sequence;
        self.verified = self.verified.max(id.sequence);
        self.changes.clear();
        self.disk.checkpoint();
        if self.tip.is_some() {
            self.rebuild_tip();
        }
        let configuration = self.state.configuration.clone();
        self.events.push_back(Event::Membership { configuration, committed: crate::Committed::Yes });
        self.seat_peers();
        self.settle_doubts();
        self.tell_losses();
    }
}
