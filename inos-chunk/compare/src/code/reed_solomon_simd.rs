//! reed-solomon-simd: the same code as ours.
//!
//! It copies every shard into memory of its own, and leaves results there. Whole shards are read where they are left,
//! which is in its favour; in columns each result has to be copied out, because the next column overwrites it.

use super::{COLUMN_WORK_BYTES, Code, Shape, Walk};
use crate::contest::Stopwatch;
use core::time::Duration;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// Each call of the decoder transforms 65,536 points, so its columns are longer.
const REPAIR_WORK_BYTES: usize = 2 << 20;

pub(crate) struct ReedSolomonSimd {
    shape: Shape,
    encoder: ReedSolomonEncoder,
    decoder: Option<ReedSolomonDecoder>,
}

impl ReedSolomonSimd {
    pub(crate) fn new(shape: Shape) -> Self {
        let encoder =
            ReedSolomonEncoder::new(shape.data, shape.parity, shape.step(COLUMN_WORK_BYTES)).expect(SUPPORTED);
        Self { shape, encoder, decoder: None }
    }
}

const SUPPORTED: &str = "the counts of the cases are supported";

impl Code for ReedSolomonSimd {
    fn encode(&mut self, data: &[&[u8]], parity: &mut [Vec<u8>]) -> Duration {
        let step = self.shape.step(COLUMN_WORK_BYTES);
        let stopwatch = Stopwatch::start();
        let mut took = Duration::ZERO;
        for at in self.shape.starts(step) {
            for shard in data {
                self.encoder.add_original_shard(&shard[at..at + step]).expect("the shard fits");
            }
            let result = self.encoder.encode().expect("all shards were added");
            if self.shape.walk == Walk::Whole {
                took = stopwatch.elapsed();
            }
            for (out, computed) in parity.iter_mut().zip(result.recovery_iter()) {
                out[at..at + step].copy_from_slice(computed);
            }
        }
        if self.shape.walk == Walk::Columns { stopwatch.elapsed() } else { took }
    }

    fn repair(&mut self, shards: &[Option<&[u8]>], out: &mut [(usize, Vec<u8>)]) -> Duration {
        let step = self.shape.step(REPAIR_WORK_BYTES);
        let Shape { data, parity, walk, .. } = self.shape;
        let decoder = self.decoder.get_or_insert_with(|| ReedSolomonDecoder::new(data, parity, step).expect(SUPPORTED));
        let stopwatch = Stopwatch::start();
        let mut took = Duration::ZERO;
        for at in self.shape.starts(step) {
            let present = shards.iter().enumerate().filter_map(|(index, shard)| Some((index, (*shard)?)));
            // It copies what it gets, so it gets no more than it needs.
            for (index, shard) in present.take(data) {
                let column = &shard[at..at + step];
                if index < data {
                    decoder.add_original_shard(index, column).expect("the shard fits");
                } else {
                    decoder.add_recovery_shard(index - data, column).expect("the shard fits");
                }
            }
            let result = decoder.decode().expect("enough shards were added");
            if walk == Walk::Whole {
                took = stopwatch.elapsed();
            }
            for (index, shard) in out.iter_mut() {
                let restored = result.restored_original(*index).expect("the shard was lost");
                shard[at..at + step].copy_from_slice(restored);
            }
        }
        if walk == Walk::Columns { stopwatch.elapsed() } else { took }
    }
}
