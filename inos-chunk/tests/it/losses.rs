//! Goal: every loss pattern of a small stripe behaves as promised: up to `parity` losses repair everything, one more is
//! an error. Method: all patterns of all shapes up to 12 shards through the erasure code, data and parity (shapes that
//! take long only on request); and all patterns of some shapes through assembler and stripe repair.

use crate::common::{CHUNK, config, noise};
use bytes::Bytes;
use inos_chunk::erasure::{Codec, CodecError};
use inos_chunk::{Assembler, Compression, Inserted, RepairError, StripeRepair, encode};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

// A repair costs a transform of 65,536 points however small the shards are; wasm has no wide instructions for it.
const QUICK_SHARDS: usize = if cfg!(target_arch = "wasm32") { 7 } else { 9 };

fn is_quick(data: usize, parity: usize) -> bool {
    data + parity <= QUICK_SHARDS || parity <= 2
}

#[test]
fn all_patterns_of_codes_up_to_12_shards() {
    check_all_patterns(is_quick);
}

#[test]
#[ignore = "takes about a minute, more in wasm; run it with --ignored after a change of the code"]
fn all_patterns_of_codes_up_to_12_shards_that_take_long() {
    check_all_patterns(|data, parity| !is_quick(data, parity));
}

fn check_all_patterns(included: impl Fn(usize, usize) -> bool) {
    const SHARD: usize = 6;
    for shards in 2..=12_usize {
        for data_count in (1..shards).filter(|data| included(*data, shards - data)) {
            let codec = Codec::new(data_count, shards - data_count).unwrap();
            let mut scratch = codec.scratch();
            let data: Vec<Bytes> = (0..data_count).map(|i| noise(SHARD, i as u64)).collect();
            let mut parity = vec![[0; SHARD]; shards - data_count];
            let data_slices: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
            let mut parity_slices: Vec<&mut [u8]> = parity.iter_mut().map(|shard| &mut shard[..]).collect();
            codec.encode_into(&mut scratch, &data_slices, &mut parity_slices).unwrap();
            let all: Vec<&[u8]> = data_slices.iter().copied().chain(parity.iter().map(|shard| &shard[..])).collect();

            for pattern in 0..1_u32 << shards {
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
                let shortfall = assembler.finish().unwrap_err();
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
