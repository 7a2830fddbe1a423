//! inos-chunk.

use super::{Code, Shape};
use crate::contest::time;
use core::time::Duration;
use inos_chunk::erasure::{Codec, Scratch};

pub(crate) struct Ours {
    codec: Codec,
    scratch: Scratch,
}

impl Ours {
    pub(crate) fn new(shape: Shape) -> Self {
        let codec = Codec::new(shape.data, shape.parity).expect("the counts of the cases are supported");
        Self { codec, scratch: codec.scratch() }
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
        time(|| {
            let present: Vec<(usize, &[u8])> =
                shards.iter().enumerate().filter_map(|(index, shard)| Some((index, (*shard)?))).collect();
            let mut out: Vec<(usize, &mut [u8])> =
                out.iter_mut().map(|(index, shard)| (*index, shard.as_mut_slice())).collect();
            self.codec.repair(&mut self.scratch, &present, &mut out).expect("enough shards are present");
        })
    }
}
