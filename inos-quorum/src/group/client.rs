//! Writes and reads of the integrator.

use alloc::collections::BTreeSet;
use core::time::Duration;

use super::{
    Group, Office,
    entry::{Body, Change},
    session::{Done, WINDOW},
    state::State,
};
use crate::{
    Event, Id, Limit, Lsn, Machine, OpId, Read, ReadError, ReadId, ReceiptState, Resolution, Session, Stage,
    VectorClock, WriteError,
    bugs::{Bug, has},
};

/// A write of the present epoch whose writer waits here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) lsn: Lsn,
    pub(crate) op: OpId,
}

/// A write of a former epoch whose writer waits here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Doubt {
    pub(crate) lsn: Lsn,
    pub(crate) op: OpId,
    pub(crate) until: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PendingRead {
    pub(crate) id: ReadId,
    /// Released once a majority echoed this round,
    round: u64,
    /// and this entry is applied.
    index: u64,
}

impl<N: Id, M: Machine> Group<N, M> {
    /// Puts a write into the log of the primary; receipts for `id` follow as events. Returns its place, which is final
    /// if the write is committed, and says nothing about whether it will be. Its writer counts as having read what
    /// [`Read::Local`] shows, or [`Read::Committed`] while nothing of this epoch is committed.
    ///
    /// A repeat of a write already in the log returns the place of that one, and is not applied again: if it is
    /// committed, its original receipt is given again.
    ///
    /// # Errors
    ///
    /// [`WriteError`] hands the delta back; nothing changed.
    pub fn write(&mut self, now: Duration, id: OpId, delta: M::Delta) -> Result<Lsn, WriteError<N, M::Delta>> {
        self.write_after(now, id, delta, &VectorClock::new())
    }

    /// A [`write`](Self::write) whose writer has read `context` besides: the clock of a [`Session`] at another member.
    /// An orphan that the context covers is not taken in again later: this write supersedes it.
    ///
    /// # Errors
    ///
    /// [`WriteError`] hands the delta back; nothing changed.
    pub fn write_after(
        &mut self,
        now: Duration,
        id: OpId,
        delta: M::Delta,
        context: &VectorClock<N>,
    ) -> Result<Lsn, WriteError<N, M::Delta>> {
        self.advance(now);
        // A primary that slept through its own deposition must not take writes as if nothing had happened.
        self.resign_without_majority();
        if self.office != Office::Primary || self.lead.transfer.is_some() || self.lead.leaving {
            let hint = self.lead.transfer.map(|(to, _)| to).or(self.primary);
            return Err(WriteError::NotPrimary { hint: hint.filter(|&hint| hint != self.envelope.seat), delta });
        }
        if self.events.len() >= self.config.max_events {
            return Err(WriteError::Full { limit: Limit::Events, delta });
        }
        if let Some(done) = self.state.sessions.done(id).filter(|done| done.output.is_none()) {
            return Err(WriteError::Discarded { lsn: done.lsn, delta });
        }
        if let Some(lsn) = self.repeated(id) {
            return Ok(lsn);
        }
        if self.is_too_old(id) {
            return Err(WriteError::TooOld { serial: id.serial, delta });
        }
        if self.uncommitted() >= self.config.max_uncommitted {
            return Err(WriteError::Full { limit: Limit::Uncommitted, delta });
        }
        if !self.has_room_for(id.client) {
            return Err(WriteError::Full { limit: Limit::Clients, delta });
        }
        let mut bytes = core::mem::take(&mut self.scratch);
        if !context.is_empty() {
            context.encode(&mut bytes);
        }
        let split = bytes.len();
        M::encode(&delta, &mut bytes);
        let max = self.max_delta_bytes();
        if bytes.len() > max {
            let len = bytes.len();
            return Err(WriteError::TooLarge { len, max, delta });
        }
        self.counter += 1;
        let (extra, encoded) = bytes.split_at(split);
        // Until an entry of this epoch is committed, what is not committed may turn out not to be in the history, and the
        // epoch neither: nobody could tell where the two parted.
        let started = self.state.applied.sequence >= self.lead.start;
        let read = if started { self.view() } else { &self.state }.applied.sequence;
        let change = Change { op: id, read, extra, delta: encoded };
        let lsn = self.append(&Body::Write { counter: self.counter, change });
        bytes.clear();
        self.scratch = bytes;
        self.await_receipt(id, lsn);
        self.try_commit();
        Ok(lsn)
    }

    /// The place of a write that is in the log already; sees to its receipt.
    fn repeated(&mut self, id: OpId) -> Option<Lsn> {
        if let Some(done) = self.state.sessions.done(id).filter(|_| !has(Bug::RetryAppliedTwice)) {
            let (lsn, output) = (done.lsn, done.output.clone());
            self.events.push_back(Event::Receipt { id, stage: Stage::Committed, lsn, output });
            return Some(lsn);
        }
        let at = self.lead.in_flight.binary_search_by_key(&id, |&(op, _)| op).ok()?;
        let sequence = self.lead.in_flight[at].1;
        let lsn = Lsn { epoch: self.log.epoch_at(sequence)?, sequence };
        let doubted = self.doubts.iter().any(|doubt| doubt.lsn == lsn);
        if !self.is_pending(sequence) && !doubted {
            self.await_receipt(id, lsn);
        }
        Some(lsn)
    }

    fn await_receipt(&mut self, op: OpId, lsn: Lsn) {
        let at = self.pending.partition_point(|pending| pending.lsn.sequence < lsn.sequence);
        self.pending.insert(at, Pending { lsn, op });
        let done = self.tip.as_ref().and_then(|tip| tip.sessions.done(op));
        if let Some((place, output)) = done.and_then(|done| Some((done.lsn, done.output.clone()?))) {
            let early = (lsn.sequence, place, output);
            let at = self.early.partition_point(|&(sequence, ..)| sequence < lsn.sequence);
            self.early.insert(at, early);
        }
        self.write_deadlines.push_back((self.now.saturating_add(self.config.write_timeout), lsn.sequence));
    }

    /// Applied and unapplied serials count alike, so the answer does not depend on how fast the group commits.
    fn is_too_old(&self, id: OpId) -> bool {
        if self.state.sessions.was_expired(id) {
            return true;
        }
        let from = self.lead.in_flight.partition_point(|(op, _)| *op <= id);
        let unapplied = self.lead.in_flight[from..].iter().take_while(|(op, _)| op.client == id.client);
        // What is repeated behind an orphan of it that was applied counts once.
        let unapplied = unapplied.filter(|(op, _)| self.state.sessions.done(*op).is_none()).count();
        let orphans = || self.lead.orphans_in_flight.iter().filter(|(_, op)| op.client == id.client);
        // What is repeated while its orphan is under way counts once.
        let is_new = |op: &OpId| {
            let in_flight = self.lead.in_flight.binary_search_by_key(op, |&(other, _)| other).is_ok();
            op.serial > id.serial && !in_flight && self.state.sessions.done(*op).is_none()
        };
        let adopted: BTreeSet<u64> = orphans().filter(|(_, op)| is_new(op)).map(|(_, op)| op.serial).collect();
        let greater = self.state.sessions.greater(id) + unapplied + adopted.len();
        // Behind an entry that expires the client, what went before is forgotten: a repeat would be applied again.
        let expires = self.lead.expiring.iter().any(|&(client, _)| client == id.client);
        greater >= WINDOW || (expires && (greater > 0 || orphans().any(|(_, op)| *op == id)))
    }

    fn has_room_for(&self, client: u128) -> bool {
        if self.state.sessions.knows(client) {
            return true;
        }
        let mut coming = self.lead.orphans_in_flight.len();
        let mut before = None;
        for (op, _) in &self.lead.in_flight {
            if op.client == client {
                return true;
            }
            coming += usize::from(before != Some(op.client) && !self.state.sessions.knows(op.client));
            before = Some(op.client);
        }
        self.state.sessions.len() + coming < self.config.max_clients
    }

    /// Tells the writers whose writes took too long. Who has been told `Fast` knows more than that.
    pub(super) fn expire_writes(&mut self) {
        while let Some(&(deadline, sequence)) = self.write_deadlines.front() {
            if deadline > self.now {
                break;
            }
            self.write_deadlines.pop_front();
            if let Ok(at) = self.pending.binary_search_by_key(&sequence, |pending| pending.lsn.sequence) {
                let Pending { lsn, op: id } = self.pending[at];
                if self.is_acknowledged(sequence) {
                    continue;
                }
                if has(Bug::TimeoutTakenForSuccess) {
                    let stage = Stage::Fast { by: crate::NodeClass::Voter };
                    self.events.push_back(Event::Receipt { id, stage, lsn, output: None });
                    continue;
                }
                self.events.push_back(Event::Receipt { id, stage: Stage::LocalOnly, lsn, output: None });
            }
        }
    }

    /// Tells the writers whose fate stays unknown.
    pub(super) fn expire_doubts(&mut self) {
        let now = self.now;
        let events = &mut self.events;
        self.doubts.retain(|&Doubt { lsn, op: id, until }| {
            let stays = until > now;
            if !stays {
                events.push_back(Event::Receipt { id, stage: Stage::Unknown, lsn, output: None });
            }
            stays
        });
    }

    /// After a snapshot: what it shows of the writes in doubt.
    pub(super) fn settle_doubts(&mut self) {
        let Self { doubts, events, state, .. } = self;
        doubts.retain(|&Doubt { lsn, op: id, .. }| match state.sessions.done(id) {
            Some(Done { output: None, .. }) => {
                events.push_back(Event::Orphaned { id, lsn, resolution: Resolution::Refused });
                false
            }
            Some(done) if done.lsn == lsn => {
                let output = done.output.clone();
                events.push_back(Event::Receipt { id, stage: Stage::Committed, lsn, output });
                false
            }
            _ => true,
        });
    }

    /// What `Read::Local` shows.
    pub(super) fn view(&self) -> &State<N, M> {
        self.tip.as_ref().unwrap_or(&self.state)
    }

    /// The state and the last entry applied to it, as strong as `read` says.
    ///
    /// # Errors
    ///
    /// [`Read::Session`] alone: [`ReadError::Behind`] until this member has caught up with the session, and
    /// [`ReadError::SessionBroken`] when what the session has seen is not part of the history.
    pub fn read(&self, read: Read<'_, N>) -> Result<(&M, Lsn), ReadError<N>> {
        let shown = match read {
            Read::Local => self.view(),
            Read::Committed => &self.state,
            Read::Session(session) => self.read_session(session)?,
        };
        Ok((&shown.machine, shown.applied))
    }

    fn read_session(&self, session: &Session<N>) -> Result<&State<N, M>, ReadError<N>> {
        let (view, lsn) = (self.view(), session.lsn);
        if lsn.sequence > 0 && self.state.receipt_state(lsn) == ReceiptState::Lost {
            return Err(ReadError::SessionBroken { lsn });
        }
        let behind = ReadError::Behind { lsn: view.applied };
        if lsn.sequence > view.applied.sequence {
            return Err(behind);
        }
        // Uncommitted entries here may be others than those that the session has seen.
        let same = self.log.epoch_at(lsn.sequence).is_none_or(|epoch| epoch == lsn.epoch);
        let covers = session.clock.dots().all(|dot| view.dots.contains(dot) || view.is_retired(dot.actor));
        if same && covers { Ok(view) } else { Err(behind) }
    }

    /// The clients whose writes are remembered, as far as is committed, each with the place of its latest write: who wants
    /// to [`expire`](Self::expire_client) some can tell which have been idle. Ascending by client.
    pub fn clients(&self) -> impl Iterator<Item = (u128, Lsn)> {
        self.state.sessions.latest()
    }

    /// A token of what [`Read::Local`] shows now, for reads at other members that must show no less.
    #[must_use]
    pub fn session(&self) -> Session<N> {
        let view = self.view();
        Session { clock: view.dots.clock().clone(), lsn: view.applied }
    }

    /// What became of the receipt of a write: whether the entry is in the history, as far as this member knows.
    #[must_use]
    pub fn receipt_state(&self, lsn: Lsn) -> ReceiptState {
        self.state.receipt_state(lsn)
    }

    /// Asks for a linearizable read: after [`Event::ReadReady`] with this id, `read(Read::Committed)` at this member
    /// shows every write acknowledged to anyone before this call, in every mode but [`Mode::Fast`](crate::Mode::Fast),
    /// where the acknowledgements of `Fast` are not counted. Costs nothing while the lease holds, else one round trip
    /// to a majority; no log entry.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; nothing changed.
    pub fn read_index(&mut self, now: Duration) -> Result<ReadId, ReadError<N>> {
        self.advance(now);
        self.resign_without_majority();
        if self.office != Office::Primary {
            return Err(ReadError::NotPrimary { hint: self.primary });
        }
        if self.events.len() >= self.config.max_events {
            return Err(ReadError::Full { limit: Limit::Events });
        }
        if self.reads.len() >= self.config.max_reads {
            return Err(ReadError::Full { limit: Limit::Reads });
        }
        let id = ReadId(self.next_read);
        self.next_read += 1;
        // What earlier primaries acknowledged is committed here at the latest with the first entry of this epoch.
        let index = self.commit.max(self.lead.start);
        let leased = self.now < self.lead.lease_until || has(Bug::LeaseNotChecked) && !self.lead.lease_until.is_zero();
        if leased && self.state.applied.sequence >= index {
            self.events.push_back(Event::ReadReady { id, lsn: self.state.applied });
            return Ok(id);
        }
        self.wake();
        self.open_round();
        let round = if has(Bug::ReadWithoutConfirmation) { 0 } else { self.lead.round };
        self.reads.push_back(PendingRead { id, round, index });
        self.release_reads();
        Ok(id)
    }

    /// Answers the reads that a majority has confirmed since they were asked.
    pub(super) fn release_reads(&mut self) {
        while let Some(&PendingRead { id, round, index }) = self.reads.front() {
            if self.lead.confirmed < round || self.state.applied.sequence < index {
                break;
            }
            self.reads.pop_front();
            self.events.push_back(Event::ReadReady { id, lsn: self.state.applied });
        }
    }

    #[cfg(feature = "sim")]
    /// What a simulator checks invariants on.
    #[must_use]
    pub fn inspect(&self) -> crate::Inspect<'_, N> {
        let lease = self.lead.lease_until;
        crate::Inspect {
            epoch: self.hard.epoch,
            voted_for: self.hard.vote,
            commit: self.commit,
            applied: self.state.applied.sequence,
            held: Lsn { epoch: self.log.epoch_at(self.held()).unwrap_or(0), sequence: self.held() },
            log_first: self.log.base().sequence + 1,
            lease_until: Some(lease).filter(|_| self.office == Office::Primary && !lease.is_zero()),
            loyal_until: self.loyal_until(),
            fast_high: self.fast_high(),
            orphans: self.orphans.len(),
            changes: self.changes.len(),
            log: &self.log,
        }
    }
}
