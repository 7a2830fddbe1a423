//! Goal: with every engine of the CPU, parity is that of reed-solomon-simd, a repair gives back exactly what was lost
//! or says why it cannot, and writes nothing when it cannot; a plan does the same.
//!
//! Method: any counts, lengths (data shards may be short), losses and orders from the input. Honest calls must succeed
//! if and only if enough shards are present. Calls with wrong numbers or lengths must not panic, and must leave the
//! output as it was when they fail.

#![no_main]

use arbitrary::Arbitrary;
use inos_chunk::erasure::{Codec, CodecError, EngineKind, Scratch, ShardSet};
use libfuzzer_sys::fuzz_target;
use reed_solomon_simd::ReedSolomonEncoder;

#[derive(Arbitrary, Debug)]
struct Input {
    counts: Counts,
    /// Half of the shard length, less one: lengths up to eight blocks of 64 bytes.
    half_len: u8,
    /// How much shorter than that data shards are, one after the other.
    shorter_by: Vec<u16>,
    seed: u64,
    lost: Vec<u16>,
    not_wanted: Vec<u16>,
    swaps: Vec<(u16, u16)>,
    faults: Vec<Fault>,
}

#[derive(Arbitrary, Debug)]
enum Counts {
    Small { data: u8, parity: u8 },
    Wide { data: u16, parity: u16 },
}

#[derive(Arbitrary, Debug)]
enum Fault {
    Index { at: u16, index: u32 },
    WantedIndex { at: u16, index: u32 },
    Len { at: u16, len: u16 },
    WantedLen { at: u16, len: u16 },
}

impl Counts {
    fn get(&self) -> (usize, usize) {
        match *self {
            Self::Small { data, parity } => (usize::from(data % 24) + 1, usize::from(parity % 24) + 1),
            Self::Wide { data, parity } => (usize::from(data % 400) + 1, usize::from(parity % 400) + 1),
        }
    }
}

struct Stripe {
    data: Vec<Vec<u8>>,
    parity: Vec<Vec<u8>>,
}

impl Stripe {
    fn shard(&self, index: usize) -> &[u8] {
        self.data.get(index).unwrap_or_else(|| &self.parity[index - self.data.len()])
    }

    fn of(input: &Input) -> Self {
        let (data, parity) = input.counts.get();
        let shard_bytes = 2 * (usize::from(input.half_len) + 1);
        let mut state = input.seed | 1;
        let mut shard = |len| -> Vec<u8> {
            let next = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_le_bytes()[7]
            };
            (0..len).map(next).collect()
        };
        let shorter = |index: usize| input.shorter_by.get(index).map_or(0, |short| usize::from(*short));
        let data: Vec<Vec<u8>> =
            (0..data).map(|index| shard(shard_bytes - shorter(index) % (shard_bytes + 1))).collect();
        Self { parity: oracle(&data, parity, shard_bytes), data }
    }
}

fn oracle(data: &[Vec<u8>], parity: usize, shard_bytes: usize) -> Vec<Vec<u8>> {
    let mut encoder = ReedSolomonEncoder::new(data.len(), parity, shard_bytes).expect("the counts are supported");
    for shard in data {
        let mut padded = shard.clone();
        padded.resize(shard_bytes, 0);
        encoder.add_original_shard(padded).expect("the shard fits");
    }
    encoder.encode().expect("all shards were added").recovery_iter().map(<[u8]>::to_vec).collect()
}

fuzz_target!(|input: Input| {
    let stripe = Stripe::of(&input);
    let (data, parity) = (stripe.data.len(), stripe.parity.len());
    let call = Call::of(&stripe, &input);
    // One scratch for all, with what the others left in it.
    let mut scratch = Codec::new(1, 1).expect("the counts are supported").scratch();
    for engine in EngineKind::ALL {
        let Ok(codec) = Codec::with_engine(data, parity, engine) else {
            assert!(!engine.is_available(), "the counts are supported");
            continue;
        };
        encode(&codec, &mut scratch, &stripe);
        repair(&codec, &mut scratch, &stripe, &call, input.faults.is_empty());
    }
});

fn encode(codec: &Codec, scratch: &mut Scratch, stripe: &Stripe) {
    let data: Vec<&[u8]> = stripe.data.iter().map(Vec::as_slice).collect();
    let mut parity: Vec<Vec<u8>> = stripe.parity.iter().map(|shard| vec![0xAA; shard.len()]).collect();
    let mut out: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    codec.encode_into(scratch, &data, &mut out).expect("the shards fit the code");
    assert!(parity == stripe.parity, "the parity is that of reed-solomon-simd");
}

/// Shards that are given and shards that are asked for, with their numbers.
struct Call {
    present: Vec<(usize, Vec<u8>)>,
    wanted: Vec<(usize, Vec<u8>)>,
    /// The two sets before any fault.
    honest: (ShardSet, ShardSet),
}

impl Call {
    fn of(stripe: &Stripe, input: &Input) -> Self {
        let shards = stripe.data.len() + stripe.parity.len();
        let (mut have, mut wanted) = (ShardSet::all(shards), ShardSet::new(shards));
        for index in &input.lost {
            have.remove(usize::from(*index) % shards);
            wanted.insert(usize::from(*index) % shards);
        }
        // Some lost shards nobody asks for.
        for index in &input.not_wanted {
            wanted.remove(usize::from(*index) % shards);
        }
        let mut call = Self {
            present: have.iter().map(|index| (index, stripe.shard(index).to_vec())).collect(),
            wanted: wanted.iter().map(|index| (index, vec![0xAA; stripe.shard(index).len()])).collect(),
            honest: (have, wanted),
        };
        for (a, b) in &input.swaps {
            swap(&mut call.present, *a, *b);
            swap(&mut call.wanted, *a, *b);
        }
        for fault in &input.faults {
            commit(fault, &mut call.present, &mut call.wanted);
        }
        call
    }

    /// Runs `work` on the shards, and checks what it did with those that are asked for.
    fn run(
        &self,
        stripe: &Stripe,
        is_honest: bool,
        work: impl FnOnce(&[(usize, &[u8])], &mut [(usize, &mut [u8])]) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let mut wanted = self.wanted.clone();
        let present: Vec<(usize, &[u8])> =
            self.present.iter().map(|(index, shard)| (*index, shard.as_slice())).collect();
        let mut out: Vec<(usize, &mut [u8])> =
            wanted.iter_mut().map(|(index, shard)| (*index, shard.as_mut_slice())).collect();
        let result = work(&present, &mut out);
        if result.is_err() {
            assert!(wanted == self.wanted, "a failed repair writes nothing");
        } else if is_honest {
            for (index, shard) in &wanted {
                assert!(shard == stripe.shard(*index), "shard {index} came back as it was");
            }
        }
        result
    }
}

fn repair(codec: &Codec, scratch: &mut Scratch, stripe: &Stripe, call: &Call, is_honest: bool) {
    let enough = call.honest.0.len() >= stripe.data.len();
    let result = call.run(stripe, is_honest, |present, out| codec.repair(scratch, present, out));
    if is_honest {
        let short = matches!(result, Err(CodecError::NotEnoughShards { .. }));
        assert!(enough == result.is_ok() && enough != short, "{result:?} with {} shards", call.present.len());
    }
    // The plan is honest in any case; what it is run with need not be.
    let plan = codec.plan_repair(&call.honest.0, &call.honest.1);
    assert_eq!(plan.is_ok(), enough);
    let Ok(plan) = plan else { return };
    assert!(plan.reads().iter().all(|index| call.honest.0.contains(index)), "a plan reads what is present");
    for _ in 0..2 {
        let result = call.run(stripe, is_honest, |present, out| plan.run(scratch, present, out));
        assert!(result.is_ok() || !is_honest, "{result:?} of an honest run");
    }
}

fn swap<T>(list: &mut [T], a: u16, b: u16) {
    if !list.is_empty() {
        list.swap(usize::from(a) % list.len(), usize::from(b) % list.len());
    }
}

fn commit(fault: &Fault, present: &mut [(usize, Vec<u8>)], wanted: &mut [(usize, Vec<u8>)]) {
    let (list, at) = match fault {
        Fault::Index { at, .. } | Fault::Len { at, .. } => (present, at),
        Fault::WantedIndex { at, .. } | Fault::WantedLen { at, .. } => (wanted, at),
    };
    let at = usize::from(*at) % list.len().max(1);
    let Some((number, shard)) = list.get_mut(at) else { return };
    match fault {
        Fault::Index { index, .. } | Fault::WantedIndex { index, .. } => *number = *index as usize,
        Fault::Len { len, .. } | Fault::WantedLen { len, .. } => shard.resize((*len).into(), 0xAA),
    }
}
