//! The part of the log in memory: entries as bytes, one after the other.

use alloc::{collections::VecDeque, vec::Vec};

use super::entry::{Body, ENTRY_HEADER, Raw, put_entry};
use crate::{
    Actor, Id, Lsn,
    bytes::{Put, Reader},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Meta {
    epoch: u64,
    /// Bytes of the whole history up to and including this entry.
    end: u64,
}

/// Where an epoch begins, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Boundary<N> {
    pub(crate) epoch: u64,
    pub(crate) first: u64,
    pub(crate) author: Actor<N>,
}

/// The entries after `base`. What is cut off in front is moved away once it is half of the buffer, so that every byte
/// is moved at most once on average, and nothing is allocated in the steady state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Log<N> {
    base: Lsn,
    bytes: Vec<u8>,
    /// The bytes in front that belong to no entry any more.
    dead: usize,
    /// Offset of `bytes[0]` in the whole history.
    origin: u64,
    metas: VecDeque<Meta>,
    /// The epochs that begin in the log.
    starts: VecDeque<Boundary<N>>,
}

impl<N: Id> Log<N> {
    pub(crate) const fn new(base: Lsn) -> Self {
        Self { base, bytes: Vec::new(), dead: 0, origin: 0, metas: VecDeque::new(), starts: VecDeque::new() }
    }

    /// The entry before the first.
    pub(crate) const fn base(&self) -> Lsn {
        self.base
    }

    pub(crate) fn last(&self) -> Lsn {
        let Some(meta) = self.metas.back() else { return self.base };
        Lsn { epoch: meta.epoch, sequence: self.base.sequence + len(self.metas.len()) }
    }

    fn index(&self, sequence: u64) -> Option<usize> {
        usize::try_from(sequence.checked_sub(self.base.sequence)?.checked_sub(1)?).ok()
    }

    /// The epoch of an entry, or of the base.
    pub(crate) fn epoch_at(&self, sequence: u64) -> Option<u64> {
        if sequence == self.base.sequence {
            return Some(self.base.epoch);
        }
        self.metas.get(self.index(sequence)?).map(|meta| meta.epoch)
    }

    /// Bytes of the whole history up to and including `sequence`, clamped to what is in memory.
    pub(crate) fn bytes_to(&self, sequence: u64) -> u64 {
        match self.index(sequence) {
            None => self.origin + len(self.dead),
            Some(index) => match self.metas.get(index) {
                Some(meta) => meta.end,
                None => self.origin + len(self.bytes.len()),
            },
        }
    }

    fn offset(&self, sequence: u64) -> usize {
        usize::try_from(self.bytes_to(sequence) - self.origin).expect("offsets lie within the buffer")
    }

    /// The bytes of the entries after `after` up to and including `to`.
    pub(crate) fn slice(&self, after: u64, to: u64) -> &[u8] {
        &self.bytes[self.offset(after)..self.offset(to)]
    }

    pub(crate) fn entry(&self, sequence: u64) -> Option<Raw<'_>> {
        self.metas.get(self.index(sequence)?)?;
        Raw::read(&mut Reader(self.slice(sequence - 1, sequence)))
    }

    pub(crate) fn body(&self, sequence: u64) -> Option<Body<'_, N>> {
        self.entry(sequence)?.body()
    }

    /// Who wrote the epoch, if it begins in the log.
    pub(crate) fn author(&self, epoch: u64) -> Option<Actor<N>> {
        self.starts.iter().rev().find(|start| start.epoch == epoch).map(|start| start.author)
    }

    pub(crate) fn push(&mut self, epoch: u64, body: &Body<'_, N>) -> Lsn {
        self.push_with(epoch, body.kind(), |out| body.write(out));
        if let Body::EpochStart { author, .. } = *body {
            self.starts.push_back(Boundary { epoch, first: self.last().sequence, author });
        }
        self.last()
    }

    fn push_with(&mut self, epoch: u64, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
        put_entry(&mut self.bytes, epoch, kind, payload);
        self.metas.push_back(Meta { epoch, end: self.origin + len(self.bytes.len()) });
    }

    /// Appends an entry that was checked.
    pub(crate) fn push_raw(&mut self, entry: &Raw<'_>, author: Option<Actor<N>>) {
        self.bytes.put(entry.bytes);
        self.metas.push_back(Meta { epoch: entry.epoch, end: self.origin + len(self.bytes.len()) });
        if let Some(author) = author {
            self.starts.push_back(Boundary { epoch: entry.epoch, first: self.last().sequence, author });
        }
    }

    /// Drops the entries after `keep`.
    pub(crate) fn truncate(&mut self, keep: u64) {
        self.bytes.truncate(self.offset(keep));
        self.metas.truncate(self.index(keep).map_or(0, |index| index + 1));
        while self.starts.back().is_some_and(|start| start.first > keep) {
            self.starts.pop_back();
        }
    }

    /// Drops the entries up to and including `to`, which is in the log.
    pub(crate) fn release(&mut self, to: u64) {
        while self.base.sequence < to
            && let Some(meta) = self.metas.pop_front()
        {
            self.base = Lsn { epoch: meta.epoch, sequence: self.base.sequence + 1 };
            self.dead = usize::try_from(meta.end - self.origin).expect("offsets lie within the buffer");
        }
        while self.starts.front().is_some_and(|start| start.first <= self.base.sequence) {
            self.starts.pop_front();
        }
        if self.dead * 2 > self.bytes.len() {
            self.bytes.drain(..self.dead);
            self.origin += len(self.dead);
            self.dead = 0;
        }
    }

    /// The greatest place at or before `at` whose entry is of `epoch` or older: where two logs may still agree.
    /// Not before the base.
    pub(crate) fn agreeable(&self, at: u64, epoch: u64) -> Lsn {
        let upto = self.index(at).map_or(0, |index| index.saturating_add(1).min(self.metas.len()));
        // Epochs never fall along a log.
        let keep = self.metas.partition_point(|meta| meta.epoch <= epoch).min(upto);
        match keep.checked_sub(1) {
            None => self.base,
            Some(index) => Lsn { epoch: self.metas[index].epoch, sequence: self.base.sequence + len(keep) },
        }
    }

    /// The longest run of entries after `after` that fits `room` bytes; the sequence of its last.
    pub(crate) fn run(&self, after: u64, room: u64) -> u64 {
        let start = self.bytes_to(after);
        let Some(first) = self.index(after + 1) else { return after };
        // A frame holds few entries compared with the log: walk.
        let fits = self.metas.range(first.min(self.metas.len())..).take_while(|meta| meta.end - start <= room).count();
        after + len(fits)
    }
}

pub(crate) fn len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The least an entry takes: its header.
pub(crate) const MIN_ENTRY: usize = ENTRY_HEADER;
