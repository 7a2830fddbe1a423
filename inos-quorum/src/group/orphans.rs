//! The store of dropped writes, until the history has dealt with them.

use alloc::{collections::VecDeque, vec::Vec};

use super::{
    entry::{Body, ORPHAN},
    log::len,
};
use crate::{
    Dot, Id,
    bytes::{Put, Reader},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept<N> {
    pub(crate) dot: Dot<N>,
    /// Of an orphan entry.
    pub(crate) payload: Vec<u8>,
}

/// Oldest first; bounded by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Orphans<N> {
    kept: VecDeque<Kept<N>>,
    bytes: u64,
    /// The last so many are in no record yet.
    unrecorded: usize,
}

impl<N: Id> Orphans<N> {
    pub(crate) const fn new() -> Self {
        Self { kept: VecDeque::new(), bytes: 0, unrecorded: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept<N>> {
        self.kept.iter()
    }

    pub(crate) const fn has_unrecorded(&self) -> bool {
        self.unrecorded > 0
    }

    /// Whether one more finds a place without taking that of another.
    pub(crate) fn has_room(&self, bytes: u64, max_count: usize, max_bytes: u64) -> bool {
        self.kept.len() < max_count && self.bytes + bytes <= max_bytes
    }

    /// Keeps one, if need be in place of the oldest. How many were dropped, itself included when it is too long.
    pub(crate) fn keep(&mut self, dot: Dot<N>, payload: Vec<u8>, max_count: usize, max_bytes: u64) -> u64 {
        if self.kept.iter().any(|kept| kept.dot == dot) {
            return 0;
        }
        let bytes = len(payload.len());
        if bytes > max_bytes || max_count == 0 {
            return 1;
        }
        let mut dropped = 0;
        while !self.has_room(bytes, max_count, max_bytes) {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= len(oldest.payload.len());
            dropped += 1;
        }
        self.bytes += bytes;
        self.kept.push_back(Kept { dot, payload });
        self.unrecorded = (self.unrecorded + 1).min(self.kept.len());
        dropped
    }

    /// Drops what the history has dealt with.
    pub(crate) fn settle(&mut self, is_settled: impl Fn(Dot<N>) -> bool) {
        let recorded = self.kept.len() - self.unrecorded;
        let mut at = 0;
        let (mut bytes, mut unrecorded) = (0, 0);
        self.kept.retain(|kept| {
            let stays = !is_settled(kept.dot);
            if stays {
                bytes += len(kept.payload.len());
                unrecorded += usize::from(at >= recorded);
            }
            at += 1;
            stays
        });
        (self.bytes, self.unrecorded) = (bytes, unrecorded);
    }

    pub(crate) fn encode_all(&mut self, out: &mut Vec<u8>) {
        self.unrecorded = self.kept.len();
        self.encode_unrecorded(out);
    }

    pub(crate) fn encode_unrecorded(&mut self, out: &mut Vec<u8>) {
        out.put_count(self.unrecorded);
        for kept in self.kept.range(self.kept.len() - self.unrecorded..) {
            out.put_count(kept.payload.len());
            out.put(&kept.payload);
        }
        self.unrecorded = 0;
    }

    pub(crate) fn decode(from: &mut Reader<'_>) -> Option<Vec<Kept<N>>> {
        let mut kept = Vec::new();
        for _ in 0..from.u32()? {
            let payload = from.long_bytes()?;
            let Some(Body::Orphan { dot, .. }) = Body::read(ORPHAN, payload) else { return None };
            kept.push(Kept { dot, payload: payload.to_vec() });
        }
        Some(kept)
    }
}
