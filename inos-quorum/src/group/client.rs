//! Writes and reads of the integrator.

use alloc::vec::Vec;
use core::time::Duration;

use ::bytes::Bytes;

use super::{
    Group, State,
    log::{Body, Entry, WRITE_OVERHEAD},
    session::WINDOW,
    wire::APPEND_OVERHEAD,
};
use crate::{Event, Id, Limit, Lsn, Machine, OpId, Read, ReadError, ReadId, Stage, WriteError};

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
    /// if the write is committed, and says nothing about whether it will be.
    ///
    /// A repeat of a write already in the log returns the place of that one, and is not applied again: if it is
    /// committed, its original receipt is given again.
    ///
    /// # Errors
    ///
    /// [`WriteError`] hands the delta back; nothing changed.
    pub fn write(&mut self, now: Duration, id: OpId, delta: M::Delta) -> Result<Lsn, WriteError<N, M::Delta>> {
        self.advance(now);
        // A primary that slept through its own deposition must not take writes as if nothing had happened.
        self.resign_without_majority();
        if self.state != State::Primary {
            return Err(WriteError::NotPrimary { hint: self.primary, delta });
        }
        if self.events.len() >= self.config.max_events {
            return Err(WriteError::Full { limit: Limit::Events, delta });
        }
        if let Some(lsn) = self.repeated(id) {
            return Ok(lsn);
        }
        if self.is_too_old(id) {
            return Err(WriteError::TooOld { serial: id.serial, delta });
        }
        let mut bytes = Vec::new();
        M::encode(&delta, &mut bytes);
        let max = self.max_delta_bytes();
        if bytes.len() > max {
            return Err(WriteError::TooLarge { len: bytes.len(), max, delta });
        }
        let entry = Entry { epoch: self.hard.epoch, body: Body::Write { op: id, delta: Bytes::from(bytes) } };
        if let Some(limit) = self.write_limit(id, &entry) {
            return Err(WriteError::Full { limit, delta });
        }
        let lsn = self.log.push(entry, Some(delta));
        self.in_flight.insert(id, lsn.sequence);
        self.await_receipt(id, lsn.sequence);
        self.try_commit();
        Ok(lsn)
    }

    /// The place of a write that is in the log already; sees to its receipt.
    fn repeated(&mut self, id: OpId) -> Option<Lsn> {
        if let Some(done) = self.sessions.done(id) {
            let (lsn, output) = (done.lsn, Some(done.output.clone()));
            self.events.push_back(Event::Receipt { id, stage: Stage::Committed, lsn, output });
            return Some(lsn);
        }
        let sequence = *self.in_flight.get(&id)?;
        if !self.pending.contains_key(&sequence) {
            self.await_receipt(id, sequence);
        }
        Some(Lsn { epoch: self.log.epoch_at(sequence)?, sequence })
    }

    fn await_receipt(&mut self, id: OpId, sequence: u64) {
        self.pending.insert(sequence, id);
        self.write_deadlines.push_back((self.now.saturating_add(self.config.write_timeout), sequence));
    }

    /// Applied and unapplied serials count alike, so the answer does not depend on how fast the group commits.
    fn is_too_old(&self, id: OpId) -> bool {
        let unapplied = match id.serial.checked_add(1) {
            Some(serial) => self.in_flight.range(OpId { serial, ..id }..=OpId { serial: u64::MAX, ..id }).count(),
            None => 0,
        };
        self.sessions.greater(id) + unapplied >= WINDOW
    }

    fn write_limit(&self, id: OpId, entry: &Entry) -> Option<Limit> {
        let Lsn { sequence: last, .. } = self.log.last();
        let len = u64::try_from(entry.encoded_len()).unwrap_or(u64::MAX);
        if last >= self.config.max_log_entries {
            Some(Limit::LogEntries)
        } else if self.log.bytes_to(last).saturating_add(len) > self.config.max_log_bytes {
            Some(Limit::LogBytes)
        } else if last - self.commit >= self.config.max_uncommitted {
            Some(Limit::Uncommitted)
        } else if !self.has_room_for(id.client) {
            Some(Limit::Clients)
        } else {
            None
        }
    }

    fn has_room_for(&self, client: u128) -> bool {
        if self.sessions.knows(client) {
            return true;
        }
        let mut coming = 0;
        let mut before = None;
        for op in self.in_flight.keys() {
            if op.client == client {
                return true;
            }
            coming += usize::from(before != Some(op.client) && !self.sessions.knows(op.client));
            before = Some(op.client);
        }
        self.sessions.len() + coming < self.config.max_clients
    }

    pub(super) fn max_delta_bytes(&self) -> usize {
        self.config.max_frame - APPEND_OVERHEAD - WRITE_OVERHEAD
    }

    /// Tells the writers whose writes took too long.
    pub(super) fn expire_writes(&mut self) {
        while let Some(&(deadline, sequence)) = self.write_deadlines.front() {
            if deadline > self.now {
                break;
            }
            self.write_deadlines.pop_front();
            if let (Some(&id), Some(epoch)) = (self.pending.get(&sequence), self.log.epoch_at(sequence)) {
                let lsn = Lsn { epoch, sequence };
                self.events.push_back(Event::Receipt { id, stage: Stage::LocalOnly, lsn, output: None });
            }
        }
    }

    /// The state and the last entry applied to it. [`Read::Local`] promises nothing more.
    #[must_use]
    pub fn read(&self, read: Read) -> (&M, Lsn) {
        match read {
            Read::Local => (&self.machine, self.applied),
        }
    }

    /// Asks for a linearizable read: after [`Event::ReadReady`] with this id, [`read`](Self::read) at this member
    /// shows every write acknowledged to anyone before this call. Costs one round trip to a majority, no log entry.
    ///
    /// # Errors
    ///
    /// [`ReadError`]; nothing changed.
    pub fn read_index(&mut self, now: Duration) -> Result<ReadId, ReadError<N>> {
        self.advance(now);
        self.resign_without_majority();
        if self.state != State::Primary {
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
        self.open_round();
        // What earlier primaries acknowledged is committed here at the latest with the first entry of this epoch.
        let index = self.commit.max(self.epoch_start);
        self.reads.push_back(PendingRead { id, round: self.round, index });
        self.release_reads();
        Ok(id)
    }

    /// Answers the reads that a majority has confirmed since they were asked.
    pub(super) fn release_reads(&mut self) {
        while let Some(&PendingRead { id, round, index }) = self.reads.front() {
            let confirmed = 1 + self.peers.iter().filter(|peer| peer.round >= round).count();
            if confirmed < self.config.mode.elect_quorum(self.voters.len()) || self.applied.sequence < index {
                break;
            }
            self.reads.pop_front();
            self.events.push_back(Event::ReadReady { id, lsn: self.applied });
        }
    }
}
