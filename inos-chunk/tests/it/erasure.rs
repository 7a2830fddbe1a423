//! Goal: the erasure code is the one of reed-solomon-simd, byte for byte, whatever the shape, the shard length and the
//! columns it is computed in; and wrong calls are errors. Method: the plain crate as the oracle.

use crate::common::noise;
use bytes::Bytes;
use inos_chunk::erasure::{Codec, CodecError, MAX_SHARDS};
use inos_chunk::{Compression, Config, encode};
use proptest::prelude::*;
use reed_solomon_simd::ReedSolomonEncoder;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn oracle(data: &[Bytes], parity: usize, shard_bytes: usize) -> Vec<Bytes> {
    let mut encoder = ReedSolomonEncoder::new(data.len(), parity, shard_bytes).unwrap();
    for shard in data {
        let mut padded = shard.to_vec();
        padded.resize(shard_bytes, 0);
        encoder.add_original_shard(padded).unwrap();
    }
    encoder.encode().unwrap().recovery_iter().map(Bytes::copy_from_slice).collect()
}

fn encode_shards(data: &[Bytes], parity: usize, shard_bytes: usize) -> Vec<Bytes> {
    let codec = Codec::new(data.len(), parity).unwrap();
    let data: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
    let mut shards = vec![vec![0xee; shard_bytes]; parity];
    let mut out: Vec<&mut [u8]> = shards.iter_mut().map(AsMut::as_mut).collect();
    codec.encode_into(&mut codec.scratch(), &data, &mut out).unwrap();
    shards.into_iter().map(Bytes::from).collect()
}

/// Data shards of different lengths up to `shard_bytes`, some of them empty.
fn ragged(count: usize, shard_bytes: usize, seed: u64) -> Vec<Bytes> {
    let shard = |i: usize| {
        let bytes = noise(shard_bytes, seed + i as u64);
        let cut = usize::from(bytes[0]) * 257;
        if i.is_multiple_of(3) { bytes } else { bytes.slice(..cut % (shard_bytes + 1)) }
    };
    (0..count).map(shard).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parity_is_that_of_the_plain_crate(
        data in 1..40_usize,
        parity in 1..40_usize,
        half_shard in 1..700_usize,
        seed: u32,
    ) {
        let shards = ragged(data, 2 * half_shard, seed.into());
        let expected = oracle(&shards, parity, 2 * half_shard);
        prop_assert_eq!(encode_shards(&shards, parity, 2 * half_shard), expected);
    }

    /// The losses are of any kind, and lost shards may be short or not asked for.
    #[test]
    fn repair_inverts_encoding(
        data in 1..30_usize,
        parity in 1..20_usize,
        half_shard in 1..300_usize,
        seed: u32,
        order: u64,
    ) {
        let shard_bytes = 2 * half_shard;
        let mut all = ragged(data, shard_bytes, seed.into());
        all.extend(oracle(&all, parity, shard_bytes));
        let mut indexes: Vec<usize> = (0..data + parity).collect();
        let keys = noise(data + parity, order);
        indexes.sort_by_key(|index| keys[*index]);
        let (lost, kept) = indexes.split_at(usize::from(keys[0]) % (parity + 1));
        let present: Vec<(usize, &[u8])> = kept.iter().map(|&index| (index, &all[index][..])).collect();
        let mut buffers: Vec<(usize, Vec<u8>)> =
            lost.iter().filter(|index| *index % 4 != 3).map(|&index| (index, vec![0xee; all[index].len()])).collect();
        let mut out: Vec<(usize, &mut [u8])> =
            buffers.iter_mut().map(|(index, bytes)| (*index, bytes.as_mut_slice())).collect();
        let codec = Codec::new(data, parity).unwrap();
        codec.repair(&mut codec.scratch(), &present, &mut out).unwrap();
        for (index, bytes) in buffers {
            prop_assert_eq!(&bytes[..], &all[index][..], "shard {}", index);
        }
    }
}

/// Shards longer than a column, with lengths on both sides of the borders of columns and of blocks.
#[test]
fn columns_do_not_show() {
    // 100 + 20 are encoded in columns of 4 KiB and repaired in columns of 16 KiB.
    for shard_bytes in [4094, 4096, 4098, 16_382, 16_384, 16_386, 20_550] {
        let data = ragged(100, shard_bytes, 3);
        let parity = oracle(&data, 20, shard_bytes);
        assert_eq!(encode_shards(&data, 20, shard_bytes), parity);

        let codec = Codec::new(100, 20).unwrap();
        let all: Vec<&[u8]> = data.iter().chain(&parity).map(AsRef::as_ref).collect();
        let lost = [0, 1, 2, 50, 98, 99, 100, 119];
        let present: Vec<_> = (0..120).filter(|index| !lost.contains(index)).map(|index| (index, all[index])).collect();
        let mut buffers: Vec<Vec<u8>> = lost.iter().map(|&index| vec![0xee; all[index].len()]).collect();
        let mut out: Vec<_> = lost.iter().copied().zip(buffers.iter_mut().map(AsMut::as_mut)).collect();
        codec.repair(&mut codec.scratch(), &present, &mut out).unwrap();
        for (index, bytes) in lost.into_iter().zip(buffers) {
            assert_eq!(bytes, all[index], "shard {index} of {shard_bytes} bytes");
        }
    }
}

/// One scratch serves codecs and lengths in turn.
#[test]
fn a_scratch_remembers_nothing() {
    let mut scratch = Codec::new(1, 1).unwrap().scratch();
    for round in 0..3 {
        for (data, parity, shard_bytes) in [(10, 4, 100), (4, 10, 9000), (10, 4, 64), (1, 1, 2), (40, 20, 300)] {
            let shards = ragged(data, shard_bytes, round);
            let slices: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
            let mut computed = vec![vec![0; shard_bytes]; parity];
            let mut out: Vec<&mut [u8]> = computed.iter_mut().map(AsMut::as_mut).collect();
            let codec = Codec::new(data, parity).unwrap();
            codec.encode_into(&mut scratch, &slices, &mut out).unwrap();
            assert_eq!(computed, oracle(&shards, parity, shard_bytes));
            let mut lost = vec![0; shards[0].len()];
            let present: Vec<(usize, &[u8])> =
                (1..data).map(|i| (i, slices[i])).chain([(data, &computed[0][..])]).collect();
            codec.repair(&mut scratch, &present, &mut [(0, &mut lost)]).unwrap();
            assert_eq!(lost, shards[0]);
        }
    }
}

/// The pieces of a resource: anyone can repair with the plain crate.
#[test]
fn the_parity_of_a_resource_is_that_of_the_plain_crate() {
    let resource = noise(250 * 4096 - 77, 4);
    let config = Config { chunk_size: inos_chunk::ChunkSize::MIN, compression: Compression::Raw, ..Config::default() };
    let encoded = encode(&resource, &config).unwrap();
    assert_eq!(encoded.manifest.stripe_count(), 3);
    for stripe in 0..3 {
        let shape = encoded.manifest.stripe(stripe).unwrap();
        let of_stripe = encoded.pieces.iter().filter(|piece| crate::common::shard(piece).0 == stripe);
        let (data, parity): (Vec<_>, Vec<_>) = of_stripe.partition(|piece| crate::common::shard(piece).1 < shape.data);
        let data: Vec<Bytes> = data.into_iter().map(|piece| piece.bytes.clone()).collect();
        let parity: Vec<Bytes> = parity.into_iter().map(|piece| piece.bytes.clone()).collect();
        assert_eq!(parity, oracle(&data, shape.parity.into(), shape.shard_bytes as usize));
    }
}

#[test]
fn wrong_calls_are_errors_and_write_nothing() {
    let count = CodecError::ShardCount { data: 0, parity: 1 };
    assert_eq!(Codec::new(0, 1), Err(count));
    assert!(Codec::new(1, 0).is_err() && Codec::new(MAX_SHARDS + 1, 1).is_err());
    assert!(Codec::new(usize::MAX, usize::MAX).is_err());
    let codec = Codec::new(2, 1).unwrap();
    let mut scratch = codec.scratch();
    let (a, b, mut p) = ([1_u8; 4], [2_u8; 4], [9_u8; 4]);
    let result = codec.encode_into(&mut scratch, &[&a], &mut [&mut p]);
    assert_eq!(result, Err(CodecError::ShardCount { data: 1, parity: 1 }));
    let result = codec.encode_into(&mut scratch, &[&a, &[0; 5]], &mut [&mut p]);
    assert_eq!(result, Err(CodecError::ShardLen { index: 1, len: 5, shard_bytes: 4 }));
    let result = codec.encode_into(&mut scratch, &[&[], &[]], &mut [&mut p[..3]]);
    assert_eq!(result, Err(CodecError::ShardBytes { shard_bytes: 3 }));
    let result = codec.encode_into(&mut scratch, &[&[], &[]], &mut [&mut []]);
    assert_eq!(result, Err(CodecError::ShardBytes { shard_bytes: 0 }));
    assert_eq!(p, [9; 4]);

    let mut out = [7; 4];
    let result = codec.repair(&mut scratch, &[(0, &a), (3, &b)], &mut [(1, &mut out)]);
    assert_eq!(result, Err(CodecError::ShardIndex { index: 3, shards: 3 }));
    let result = codec.repair(&mut scratch, &[(0, &a), (0, &b)], &mut [(1, &mut out)]);
    assert_eq!(result, Err(CodecError::DuplicateShard { index: 0 }));
    let result = codec.repair(&mut scratch, &[(0, &a), (2, &b)], &mut [(0, &mut out)]);
    assert_eq!(result, Err(CodecError::DuplicateShard { index: 0 }));
    let result = codec.repair(&mut scratch, &[(0, &a)], &mut [(1, &mut out)]);
    assert_eq!(result, Err(CodecError::NotEnoughShards { needed: 2, present: 1 }));
    let result = codec.repair(&mut scratch, &[(0, &[0; 6]), (2, &b)], &mut [(1, &mut out)]);
    assert_eq!(result, Err(CodecError::ShardLen { index: 0, len: 6, shard_bytes: 4 }));
    assert_eq!(out, [7; 4]);
}
