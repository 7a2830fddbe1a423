//! rusty_erasure: GF(2^8) with a matrix, after ISA-L.

use super::{COLUMN_WORK_BYTES, Code, Planning, Shape};
use crate::contest::{Stopwatch, time};
use core::time::Duration;
use rusty_erasure::{Coder, DecodePlan, Matrix};

pub(crate) struct RustyErasure {
    shape: Shape,
    coder: Coder,
    planning: Planning,
    plan: Option<DecodePlan>,
}

impl RustyErasure {
    /// `None` when a field of 256 elements has no such code.
    pub(crate) fn new(shape: Shape, planning: Planning) -> Option<Self> {
        let matrix = Matrix::cauchy(shape.data, shape.parity).ok()?;
        Some(Self { shape, coder: rusty_erasure::coder(matrix).ok()?, planning, plan: None })
    }
}

impl Code for RustyErasure {
    fn encode(&mut self, data: &[&[u8]], parity: &mut [Vec<u8>]) -> Duration {
        let step = self.shape.step(COLUMN_WORK_BYTES);
        time(|| {
            for at in self.shape.starts(step) {
                let data: Vec<&[u8]> = data.iter().map(|shard| &shard[at..at + step]).collect();
                let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(|shard| &mut shard[at..at + step]).collect();
                self.coder.encode(&data, &mut parity).expect("the shards fit the code");
            }
        })
    }

    fn repair(&mut self, shards: &[Option<&[u8]>], out: &mut [(usize, Vec<u8>)]) -> Duration {
        let coder = &self.coder;
        let plan = || {
            let present: Vec<bool> = shards.iter().map(Option::is_some).collect();
            let lost: Vec<usize> = out.iter().map(|(index, _)| *index).collect();
            coder.decode_plan(&present, &lost).expect("enough shards are present")
        };
        if self.planning == Planning::Once && self.plan.is_none() {
            self.plan = Some(plan());
        }
        let step = self.shape.step(COLUMN_WORK_BYTES);
        let stopwatch = Stopwatch::start();
        if self.planning == Planning::EachTime {
            self.plan = Some(plan());
        }
        let plan = self.plan.as_ref().expect("the plan was made above");
        for at in self.shape.starts(step) {
            let shards: Vec<Option<&[u8]>> =
                shards.iter().map(|shard| shard.map(|shard| &shard[at..at + step])).collect();
            let mut out: Vec<&mut [u8]> = out.iter_mut().map(|(_, shard)| &mut shard[at..at + step]).collect();
            coder.recover_with(plan, &shards, &mut out).expect("the shards fit the plan");
        }
        stopwatch.elapsed()
    }
}
