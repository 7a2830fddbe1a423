//! inos-chunk.

use super::{Code, Planning, Shape};
use crate::contest::{Stopwatch, time};
use core::time::Duration;
use inos_chunk::erasure::{Codec, EngineKind, RepairPlan, Scratch, ShardSet};

pub(crate) struct Ours {
    codec: Codec,
    scratch: Scratch,
    planning: Planning,
    plan: Option<RepairPlan>,
}

impl Ours {
    pub(crate) fn new(shape: Shape, engine: EngineKind, planning: Planning) -> Self {
        let codec = Codec::with_engine(shape.data, shape.parity, engine)
            .expect("the counts of the cases are supported, and the engine was found to be available");
        let scratch = codec.scratch();
        Self { codec, scratch, planning, plan: None }
    }
}

impl Code for Ours {
    fn encode(&mut self, data: &[&[u8]], parity: &mut [Vec<u8>]) -> Duration {
        time(|| {
            let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
            self.codec.encode_into(&mut self.scratch, data, &mut parity).expect("the shards fit the code");
        })
    }

    fn repair(&mut self, shards: &[Option<&[u8]>], out: &mut [(usize, Vec<u8>)]) -> Duration {
        let present: Vec<(usize, &[u8])> =
            shards.iter().enumerate().filter_map(|(index, shard)| Some((index, (*shard)?))).collect();
        let mut out: Vec<(usize, &mut [u8])> =
            out.iter_mut().map(|(index, shard)| (*index, shard.as_mut_slice())).collect();
        let plan = || {
            let set = |indices: &mut dyn Iterator<Item = usize>| {
                ShardSet::from_indices(shards.len(), indices).expect("the shards are those of the code, each once")
            };
            let present = set(&mut present.iter().map(|(index, _)| *index));
            let lost = set(&mut out.iter().map(|(index, _)| *index));
            self.codec.plan_repair(&present, &lost).expect("enough shards are present")
        };
        if self.planning == Planning::Once && self.plan.is_none() {
            self.plan = Some(plan());
        }
        let stopwatch = Stopwatch::start();
        if self.planning == Planning::EachTime {
            self.plan = Some(plan());
        }
        let plan = self.plan.as_ref().expect("the plan was made above");
        plan.run(&mut self.scratch, &present, &mut out).expect("the shards fit the plan");
        stopwatch.elapsed()
    }
}
