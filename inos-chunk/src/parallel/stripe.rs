//! The parity of one stripe while several workers compute it.

use super::job::Job;
use crate::ChunkId;
use crate::encoder::{Shard, code_of};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Data that one job encodes. Columns of one stripe are independent, so all workers share one stripe instead of waiting
/// for the slowest; smaller jobs would only be more hand-overs.
const COLUMN_DATA_BYTES: usize = 4 << 20;

/// The shortest column. A multiple of the 64 bytes that symbols take, and as long as the code's own columns.
const MIN_COLUMN_BYTES: usize = 4 << 10;

/// Shards that one job names have at least so many bytes together, and so have the chunks that one job packs.
pub(super) const BATCH_BYTES: usize = 256 << 10;

pub(super) struct Stripe {
    number: u64,
    shard_bytes: usize,
    /// The columns that came back, each with its part of every shard; emptied when all are there.
    columns: Vec<Option<Vec<BytesMut>>>,
    columns_left: usize,
    shards: Vec<Bytes>,
    ids: Vec<Option<ChunkId>>,
    ids_left: usize,
}

impl Stripe {
    /// A stripe and the jobs that encode it, into the memory of `shards`.
    pub(super) fn start(
        number: u64,
        chunks: Vec<Bytes>,
        parity: u16,
        memory: impl FnOnce(usize) -> Vec<BytesMut>,
    ) -> (Self, Vec<Job>) {
        let (codec, shard_bytes) = code_of(&chunks, parity);
        let share = (COLUMN_DATA_BYTES / (codec.data() + codec.parity())).max(MIN_COLUMN_BYTES).next_power_of_two();
        let count = shard_bytes.div_ceil(share);
        let mut parts: Vec<Vec<BytesMut>> = (0..count).map(|_| Vec::with_capacity(parity.into())).collect();
        for mut shard in memory(shard_bytes) {
            // Parts of one allocation, each owned by one job, and joined again without a copy.
            for part in &mut parts {
                part.push(shard.split_to(share.min(shard.len())));
            }
        }
        let chunks: Arc<[Bytes]> = chunks.into();
        let job = |(column, parity): (usize, Vec<BytesMut>)| {
            let (chunks, from) = (Arc::clone(&chunks), column * share);
            Job::Encode { stripe: number, column, from, codec, chunks, parity }
        };
        let jobs = parts.into_iter().enumerate().map(job).collect();
        let columns = (0..count).map(|_| None).collect();
        let stripe = Self {
            number,
            shard_bytes,
            columns,
            columns_left: count,
            shards: Vec::new(),
            ids: Vec::new(),
            ids_left: 0,
        };
        (stripe, jobs)
    }

    /// Takes a column, and returns the jobs that name the shards once they are whole.
    pub(super) fn encoded(&mut self, column: usize, parity: Vec<BytesMut>) -> Vec<Job> {
        self.columns[column] = Some(parity);
        self.columns_left -= 1;
        if self.columns_left > 0 {
            return Vec::new();
        }
        let mut columns = core::mem::take(&mut self.columns).into_iter().flatten();
        let mut shards = columns.next().expect("a stripe has at least one column");
        for parts in columns {
            for (shard, part) in shards.iter_mut().zip(parts) {
                shard.unsplit(part);
            }
        }
        self.shards = shards.into_iter().map(BytesMut::freeze).collect();
        self.ids_left = self.shards.len();
        self.ids = self.shards.iter().map(|_| None).collect();
        let batch = (BATCH_BYTES / self.shard_bytes).max(1);
        let job = |(batch_number, shards): (usize, &[Bytes])| Job::Name {
            stripe: self.number,
            first: batch_number * batch,
            shards: shards.to_vec(),
        };
        self.shards.chunks(batch).enumerate().map(job).collect()
    }

    pub(super) fn named(&mut self, first: usize, ids: Vec<ChunkId>) {
        self.ids_left -= ids.len();
        for (slot, id) in self.ids[first..].iter_mut().zip(ids) {
            *slot = Some(id);
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.columns_left == 0 && self.ids_left == 0
    }

    pub(super) fn finish(self) -> VecDeque<Shard> {
        let ids = self.ids.into_iter().flatten();
        self.shards.into_iter().zip(ids).map(|(bytes, id)| Shard { id, bytes }).collect()
    }
}
