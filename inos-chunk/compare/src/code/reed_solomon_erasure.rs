//! reed-solomon-erasure: GF(2^8) with a matrix, with its kernels in C.
//!
//! It keeps the inverted matrices of recent losses, so that only a first repair pays for one.

use super::{COLUMN_WORK_BYTES, Code, Shape};
use crate::contest::{Stopwatch, time};
use core::time::Duration;
use reed_solomon_erasure::galois_8::ReedSolomon;

pub(crate) struct ReedSolomonErasure {
    shape: Shape,
    code: ReedSolomon,
    /// Its API wants to be able to write to every shard, present ones included.
    shards: Vec<Vec<u8>>,
}

impl ReedSolomonErasure {
    /// `None` when a field of 256 elements has no such code.
    pub(crate) fn new(shape: Shape) -> Option<Self> {
        Some(Self { shape, code: ReedSolomon::new(shape.data, shape.parity).ok()?, shards: Vec::new() })
    }
}

impl Code for ReedSolomonErasure {
    fn encode(&mut self, data: &[&[u8]], parity: &mut [Vec<u8>]) -> Duration {
        let step = self.shape.step(COLUMN_WORK_BYTES);
        time(|| {
            for at in self.shape.starts(step) {
                let data: Vec<&[u8]> = data.iter().map(|shard| &shard[at..at + step]).collect();
                let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(|shard| &mut shard[at..at + step]).collect();
                self.code.encode_sep(&data, &mut parity).expect("the shards fit the code");
            }
        })
    }

    fn repair(&mut self, shards: &[Option<&[u8]>], out: &mut [(usize, Vec<u8>)]) -> Duration {
        if self.shards.is_empty() {
            self.shards = shards.iter().map(|shard| shard.unwrap_or_default().to_vec()).collect();
        }
        let step = self.shape.step(COLUMN_WORK_BYTES);
        let stopwatch = Stopwatch::start();
        for at in self.shape.starts(step) {
            let mut lost = out.iter_mut();
            let mut columns: Vec<(&mut [u8], bool)> = Vec::with_capacity(shards.len());
            for (shard, present) in self.shards.iter_mut().zip(shards) {
                let shard = match present {
                    Some(_) => shard,
                    None => &mut lost.next().expect("every lost shard has its place").1,
                };
                columns.push((&mut shard[at..at + step], present.is_some()));
            }
            self.code.reconstruct_data(&mut columns).expect("enough shards are present");
        }
        stopwatch.elapsed()
    }
}
