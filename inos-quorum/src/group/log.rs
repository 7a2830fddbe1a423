//! The log: all of it, in memory.

use alloc::{collections::VecDeque, vec::Vec};

use ::bytes::Bytes;

use crate::{
    Lsn, OpId,
    bytes::{Put, Reader},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    /// The first entry of an epoch. Older entries are committed only through it.
    EpochStart,
    Write {
        op: OpId,
        delta: Bytes,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) epoch: u64,
    pub(crate) body: Body,
}

const KIND_EPOCH_START: u8 = 0;
const KIND_WRITE: u8 = 1;
/// Bytes of an encoded write besides its delta.
pub(crate) const WRITE_OVERHEAD: usize = 8 + 1 + 16 + 8 + 4;

impl Entry {
    pub(crate) fn encoded_len(&self) -> usize {
        match &self.body {
            Body::EpochStart => 9,
            Body::Write { delta, .. } => WRITE_OVERHEAD + delta.len(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put(&self.epoch.to_le_bytes());
        match &self.body {
            Body::EpochStart => out.push(KIND_EPOCH_START),
            Body::Write { op, delta } => {
                out.push(KIND_WRITE);
                out.put(&op.client.to_le_bytes());
                out.put(&op.serial.to_le_bytes());
                let len = u32::try_from(delta.len()).expect("a delta fits a frame of at most 1 GiB");
                out.put(&len.to_le_bytes());
                out.put(delta);
            }
        }
    }

    /// Reads an entry. Its delta is copied, not decoded.
    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Self> {
        let epoch = from.u64()?;
        let body = match from.u8()? {
            KIND_EPOCH_START => Body::EpochStart,
            KIND_WRITE => {
                let op = OpId { client: from.u128()?, serial: from.u64()? };
                Body::Write { op, delta: Bytes::copy_from_slice(from.long_bytes()?) }
            }
            _ => return None,
        };
        Some(Self { epoch, body })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kept {
    entry: Entry,
    /// Encoded bytes of the log up to and including this entry.
    end_bytes: u64,
}

/// Entries from sequence 1, and the decoded deltas of those not yet applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Log<D> {
    kept: Vec<Kept>,
    /// Decoded deltas of the last `unapplied.len()` entries; `None` for entries without one.
    unapplied: VecDeque<Option<D>>,
}

impl<D> Log<D> {
    pub(crate) const fn new() -> Self {
        Self { kept: Vec::new(), unapplied: VecDeque::new() }
    }

    pub(crate) fn last(&self) -> Lsn {
        Lsn { epoch: self.kept.last().map_or(0, |kept| kept.entry.epoch), sequence: sequence(self.kept.len()) }
    }

    /// The epoch of an entry: 0 for sequence 0, `None` beyond the end.
    pub(crate) fn epoch_at(&self, sequence: u64) -> Option<u64> {
        if sequence == 0 { Some(0) } else { self.entry(sequence).map(|entry| entry.epoch) }
    }

    pub(crate) fn entry(&self, sequence: u64) -> Option<&Entry> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.kept.get(index).map(|kept| &kept.entry)
    }

    /// Encoded bytes of the entries up to and including `sequence`.
    pub(crate) fn bytes_to(&self, sequence: u64) -> u64 {
        let index = sequence.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.kept.get(index)).map_or(0, |kept| kept.end_bytes)
    }

    pub(crate) fn push(&mut self, entry: Entry, delta: Option<D>) -> Lsn {
        let len = u64::try_from(entry.encoded_len()).unwrap_or(u64::MAX);
        let end_bytes = self.kept.last().map_or(0, |kept| kept.end_bytes).saturating_add(len);
        self.kept.push(Kept { entry, end_bytes });
        self.unapplied.push_back(delta);
        self.last()
    }

    /// Drops the entries after `keep`, none of which is applied.
    pub(crate) fn truncate(&mut self, keep: u64) {
        let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(self.kept.len());
        let dropped = self.kept.len() - keep;
        let unapplied = self.unapplied.len().checked_sub(dropped).expect("an applied entry is never truncated");
        self.unapplied.truncate(unapplied);
        self.kept.truncate(keep);
    }

    /// The decoded delta of the next entry to apply.
    pub(crate) fn take_unapplied(&mut self) -> Option<D> {
        self.unapplied.pop_front().flatten()
    }

    /// The greatest place at or before `at` whose entry is of `epoch` or older: where two logs may still agree.
    pub(crate) fn agreeable(&self, at: u64, epoch: u64) -> Lsn {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.kept.len());
        // Epochs never fall along a log.
        let keep = self.kept[..at].partition_point(|kept| kept.entry.epoch <= epoch);
        let epoch = keep.checked_sub(1).map_or(0, |index| self.kept[index].entry.epoch);
        Lsn { epoch, sequence: sequence(keep) }
    }
}

fn sequence(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
