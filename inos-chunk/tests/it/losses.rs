//! Goal: every loss pattern of a small stripe behaves as promised: up to `parity` losses repair everything, one more is
//! an error. Method: the patterns of all shapes up to 12 shards through the erasure code, data and parity, by what is
//! left: too little, exactly `data` shards, or shards to spare. The last kind only adds shards to one of the second, so
//! it is exhaustive where it is cheap: up to 7 shards, and wherever only parity is lost. And all patterns of some
//! shapes through assembler and stripe repair.

use crate::common::{CHUNK, config, noise};
use bytes::Bytes;
use inos_chunk::erasure::{Codec, CodecError};
use inos_chunk::{Assembler, Compression, FinishError, Inserted, RepairError, StripeRepair, encode};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

// A repair of data costs a transform of 65,536 points however small the shards are, and wasm has no wide instructions
// for it.
const ENOUGH_SHARDS: usize = if cfg!(target_arch = "wasm32") { 9 } else { 12 };
const SPARE_SHARDS: usize = if cfg!(target_arch = "wasm32") { 6 } else { 7 };

/// A loss pattern of a code: bit `i` of `lost` is set when shard `i` is lost, data first.
#[derive(Clone, Copy)]
struct Losses {
    data: u32,
    parity: u32,
    lost: u32,
}

impl Losses {
    fn leave_exactly_enough(self) -> bool {
        let cheap = self.data + self.parity <= ENOUGH_SHARDS as u32 || self.parity <= 2;
        self.lost.count_ones() == self.parity && cheap
    }

    fn are_parity_only(self) -> bool {
        self.lost & ((1 << self.data) - 1) == 0
    }
}

#[test]
fn exactly_enough_shards_are_left_of_codes_with_more_data_than_parity() {
    check_patterns(|losses| losses.data > losses.parity && losses.leave_exactly_enough());
}

#[test]
fn exactly_enough_shards_are_left_of_codes_with_no_more_data_than_parity() {
    check_patterns(|losses| losses.data <= losses.parity && losses.leave_exactly_enough());
}

#[test]
fn shards_to_spare_are_left() {
    check_patterns(|losses| {
        let cheap = losses.data + losses.parity <= SPARE_SHARDS as u32 || losses.are_parity_only();
        losses.lost.count_ones() < losses.parity && cheap
    });
}

#[test]
fn too_few_shards_are_left() {
    check_patterns(|losses| losses.lost.count_ones() > losses.parity);
}

/// Repairs every pattern of codes up to 12 shards that is `included`.
fn check_patterns(included: impl Fn(Losses) -> bool) {
    const SHARD: usize = 6;
    for shards in 2..=12_usize {
        for data_count in 1..shards {
            let codec = Codec::new(data_count, shards - data_count).unwrap();
            let mut scratch = codec.scratch();
            let data: Vec<Bytes> = (0..data_count).map(|i| noise(SHARD, i as u64)).collect();
            let mut parity = vec![[0; SHARD]; shards - data_count];
            let data_slices: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
            let mut parity_slices: Vec<&mut [u8]> = parity.iter_mut().map(|shard| &mut shard[..]).collect();
            codec.encode_into(&mut scratch, &data_slices, &mut parity_slices).unwrap();
            let all: Vec<&[u8]> = data_slices.iter().copied().chain(parity.iter().map(|shard| &shard[..])).collect();

            let (data, parity) = (data_count as u32, (shards - data_count) as u32);
            for pattern in (0..1_u32 << shards).filter(|&lost| included(Losses { data, parity, lost })) {
                let is_lost = |index: &usize| pattern & 1 << index != 0;
                let present: Vec<_> = (0..shards).filter(|i| !is_lost(i)).map(|i| (i, all[i])).collect();
                let mut out = vec![[0; SHARD]; shards];
                let mut wanted: Vec<(usize, &mut [u8])> = out
                    .iter_mut()
                    .enumerate()
                    .filter(|(i, _)| is_lost(i))
                    .map(|(i, shard)| (i, &mut shard[..]))
                    .collect();
                let result = codec.repair(&mut scratch, &present, &mut wanted);
                if present.len() < data_count {
                    let expected = CodecError::NotEnoughShards { needed: data_count, present: present.len() };
                    assert_eq!(result, Err(expected));
                    continue;
                }
                assert_eq!(result, Ok(()));
                for (index, shard) in wanted {
                    assert_eq!(shard, all[index], "{data_count} of {shards}, lost {pattern:b}, shard {index}");
                }
            }
        }
    }
}

#[test]
fn all_patterns_through_assembler_and_stripe_repair() {
    for (data, parity) in [(1, 1), (2, 3), (3, 2), (5, 2), (6, 4)] {
        // The last chunk is short, and odd.
        let resource = noise(usize::from(data) * CHUNK - 1001, 7);
        let encoded = encode(&resource, &config(data, parity, 1)).unwrap();
        let shards = encoded.pieces.len();
        assert_eq!(shards, usize::from(data + parity));
        for pattern in 0..1_u32 << shards {
            let lost: Vec<u16> = (0..data + parity).filter(|index| pattern & 1 << index != 0).collect();
            let mut assembler = Assembler::new(encoded.manifest.clone());
            let mut repair = StripeRepair::new(&encoded.manifest, 0, &lost).unwrap();
            let kept = encoded.pieces.iter().enumerate().filter(|(index, _)| pattern & 1 << index == 0);
            for (_, piece) in kept {
                assert!(!matches!(assembler.insert(piece.clone()), Inserted::Rejected(_)));
                assert!(!matches!(repair.insert(piece.clone()), Inserted::Rejected(_)));
            }
            if lost.len() > usize::from(parity) {
                let shortfall = assembler.shortfall(0).unwrap();
                assert_eq!(assembler.finish(), Err(FinishError::NotEnoughShards(shortfall)));
                assert_eq!(usize::from(shortfall.present), shards - lost.len());
                assert_eq!(repair.finish(Compression::Lz4), Err(RepairError::NotEnoughShards(shortfall)));
                assert!(!repair.is_ready());
            } else {
                assert_eq!(assembler.finish().as_ref(), Ok(&resource));
                let expected: Vec<_> = lost.iter().map(|index| encoded.pieces[usize::from(*index)].clone()).collect();
                assert_eq!(repair.finish(Compression::Lz4), Ok(expected));
            }
        }
    }
}
