//! Goal: the erasure code is the one of reed-solomon-simd, byte for byte, whatever the engine, the shape, the shard
//! length and the columns it is computed in; every set of losses that can be repaired is; and wrong calls are errors.
//! Method: the plain crate as the oracle, the portable engine as the oracle of the others, all losses of all small
//! codes.

use crate::common::noise;
use bytes::Bytes;
use inos_chunk::erasure::{Codec, CodecError, EngineKind, MAX_SHARDS, RepairPlan, ShardSet};
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
    // Columns are of 4 KiB.
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
    let mut q = [9; 6];
    let result = Codec::new(1, 2).unwrap().encode_into(&mut scratch, &[&a], &mut [&mut p, &mut q]);
    assert_eq!(result, Err(CodecError::ShardLen { index: 2, len: 6, shard_bytes: 4 }));
    assert_eq!((p, q), ([9; 4], [9; 6]));

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

fn engines() -> impl Iterator<Item = EngineKind> {
    EngineKind::ALL.into_iter().filter(|engine| engine.is_available())
}

/// The data and parity shards of a code, from noise.
fn codeword(codec: Codec, shard_bytes: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut shards: Vec<Vec<u8>> = (0..codec.data()).map(|i| noise(shard_bytes, seed + i as u64).to_vec()).collect();
    shards.resize(codec.data() + codec.parity(), vec![0xee; shard_bytes]);
    let (data, parity) = shards.split_at_mut(codec.data());
    let data: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
    let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
    codec.encode_into(&mut codec.scratch(), &data, &mut parity).unwrap();
    shards
}

/// Runs a plan for the shards that are lost from a codeword, and compares.
fn check_repair(plan: &RepairPlan, shards: &[Vec<u8>], lost: &ShardSet) {
    let present: Vec<(usize, &[u8])> =
        (0..shards.len()).filter(|index| !lost.contains(*index)).map(|index| (index, &shards[index][..])).collect();
    let mut buffers: Vec<(usize, Vec<u8>)> =
        lost.iter().map(|index| (index, vec![0xee; shards[index].len()])).collect();
    let mut out: Vec<(usize, &mut [u8])> =
        buffers.iter_mut().map(|(index, bytes)| (*index, bytes.as_mut_slice())).collect();
    let mut scratch = Codec::new(1, 1).unwrap().scratch();
    // The second run finds in the scratch what the first has left.
    plan.run(&mut scratch, &present, &mut out).unwrap();
    out.iter_mut().for_each(|(_, bytes)| bytes.fill(0xee));
    plan.run(&mut scratch, &present, &mut out).unwrap();
    for (index, bytes) in buffers {
        assert_eq!(bytes, shards[index], "shard {index}, lost {lost:?}");
    }
}

fn check_losses(codec: Codec, shards: &[Vec<u8>], lost: impl IntoIterator<Item = usize>) {
    let lost = ShardSet::from_indices(shards.len(), lost).unwrap();
    let present = (0..shards.len()).filter(|index| !lost.contains(*index));
    let present = ShardSet::from_indices(shards.len(), present).unwrap();
    check_repair(&codec.plan_repair(&present, &lost).unwrap(), shards, &lost);
}

/// Numbers from a seed, for choices that must be the same everywhere.
fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let keys = noise(2 * count, seed);
    let mut numbers: Vec<usize> = (0..count).collect();
    numbers.sort_by_key(|number| (keys[2 * number], keys[2 * number + 1], *number));
    numbers
}

#[test]
fn every_loss_of_every_small_code_is_repaired() {
    for (data, parity) in (1..=11).flat_map(|data| (1..=12 - data).map(move |parity| (data, parity))) {
        let codec = Codec::new(data, parity).unwrap();
        let shards = codeword(codec, 6, 1);
        assert_eq!(
            shards[data],
            oracle(&shards[..data].iter().cloned().map(Bytes::from).collect::<Vec<_>>(), parity, 6)[0]
        );
        for pattern in 0..1_u32 << (data + parity) {
            let lost = (0..data + parity).filter(|index| pattern >> index & 1 == 1);
            let lost_data = (pattern & ((1 << data) - 1)).count_ones() as usize;
            let present_parity = parity - (pattern >> data).count_ones() as usize;
            if lost_data <= present_parity {
                check_losses(codec, &shards, lost);
                continue;
            }
            let lost = ShardSet::from_indices(data + parity, lost).unwrap();
            let present =
                ShardSet::from_indices(data + parity, (0..data + parity).filter(|i| !lost.contains(*i))).unwrap();
            let error = CodecError::NotEnoughShards { needed: data, present: present.len() };
            assert_eq!(codec.plan_repair(&present, &lost).err(), Some(error));
        }
    }
}

/// Codes with both rates, with factors inside and outside GF(2^8), and losses for each way of repair.
#[test]
fn every_way_of_repair_is_right() {
    let cases = [
        (100, 20, 1),
        (100, 20, 3),
        (100, 20, 4),
        (100, 20, 20),
        (10, 4, 4),
        (4, 3, 3),
        (3, 100, 3),
        (60, 200, 60),
        (1000, 200, 1),
        (1000, 200, 30),
        (1000, 200, 200),
        (200, 1000, 200),
        (300, 250, 250),
        (257, 1, 1),
        (2000, 700, 650),
    ];
    let mut ways = [0; 4];
    for (data, parity, losses) in cases {
        let codec = Codec::new(data, parity).unwrap();
        let shards = codeword(codec, 10, 5);
        for seed in 0..4 {
            // Data alone, and data and parity as they come.
            let mut lost = shuffled(if seed % 2 == 0 { data } else { data + parity }, seed);
            lost.truncate(losses);
            let lost = ShardSet::from_indices(data + parity, lost).unwrap();
            let present =
                ShardSet::from_indices(data + parity, (0..data + parity).filter(|i| !lost.contains(*i))).unwrap();
            let plan = codec.plan_repair(&present, &lost).unwrap();
            check_repair(&plan, &shards, &lost);
            let described = format!("{plan:?}");
            for (count, way) in ways.iter_mut().zip(["rows", "residual", "syndrome", "transform"]) {
                *count += usize::from(described.contains(way));
            }
        }
    }
    assert!(ways.iter().all(|count| *count > 0), "{ways:?}");
    // The last wanted position is the first of a block of the transform.
    let codec = Codec::new(500, 400).unwrap();
    check_losses(codec, &codeword(codec, 10, 6), 1..=384);
}

/// Some of the lost shards are wanted, in codes large enough for the plan to go by a polynomial instead of a matrix,
/// and in the largest of all. A plan that works in squares of these losses takes minutes, and gigabytes.
#[test]
fn a_few_of_many_losses_are_repaired() {
    // Data and parity shards, data shards lost, data and parity shards wanted; and the way.
    let cases = [
        (500, 500, 300, 2, 3, "rows"),
        (200, 900, 200, 3, 2, "rows"),
        (1000, 200, 100, 40, 0, "residual"),
        (1000, 200, 100, 20, 30, "residual"),
        (200, 1000, 180, 10, 120, "residual"),
        (700, 900, 600, 90, 10, "syndrome"),
        (MAX_SHARDS, MAX_SHARDS, 20_000, 1, 1, "rows"),
        (MAX_SHARDS, MAX_SHARDS, MAX_SHARDS, MAX_SHARDS, 0, "syndrome"),
        (MAX_SHARDS, 20_000, 19_000, 18_000, 100, "transform"),
        (1, MAX_SHARDS, 1, 1, MAX_SHARDS - 1, "residual"),
        (MAX_SHARDS, 1, 1, 1, 0, "residual"),
    ];
    for (data, parity, lost, wanted_data, wanted_parity, way) in cases {
        let codec = Codec::new(data, parity).unwrap();
        let shards = codeword(codec, 2, 11);
        let lost = &shuffled(data, 8)[..lost];
        let lost_parity = shuffled(parity, 9).into_iter().map(|index| data + index).take(wanted_parity);
        let wanted = lost.iter().copied().take(wanted_data).chain(lost_parity.clone());
        let wanted = ShardSet::from_indices(shards.len(), wanted).unwrap();
        let mut present = ShardSet::all(shards.len());
        for index in lost.iter().copied().chain(lost_parity) {
            present.remove(index);
        }
        let plan = codec.plan_repair(&present, &wanted).unwrap();
        let described = format!("{plan:?}");
        assert!(described.contains(way), "not {way}: {codec:?}, {wanted_data} + {wanted_parity} wanted");

        let present: Vec<(usize, &[u8])> = present.iter().map(|index| (index, &shards[index][..])).collect();
        let mut buffers: Vec<(usize, [u8; 2])> = wanted.iter().map(|index| (index, [0xee; 2])).collect();
        let mut out: Vec<(usize, &mut [u8])> =
            buffers.iter_mut().map(|(index, bytes)| (*index, bytes.as_mut_slice())).collect();
        plan.run(&mut codec.scratch(), &present, &mut out).unwrap();
        for (index, bytes) in buffers {
            assert!(bytes == shards[index][..], "shard {index} of {data} + {parity}");
        }
    }
}

#[test]
fn a_plan_serves_other_shards_with_the_same_losses() {
    let codec = Codec::new(20, 6).unwrap();
    let lost = ShardSet::from_indices(26, [3, 4, 21]).unwrap();
    let present = ShardSet::from_indices(26, (0..26).filter(|index| !lost.contains(*index))).unwrap();
    let plan = codec.plan_repair(&present, &lost).unwrap();
    assert_eq!(plan.wanted().collect::<Vec<_>>(), [3, 4, 21]);
    // 18 data shards and two of the parity shards.
    assert_eq!(plan.reads().len(), 20);
    for (shard_bytes, seed) in [(2, 1), (500, 2), (20_000, 3)] {
        let shards = codeword(codec, shard_bytes, seed);
        check_repair(&plan, &shards, &lost);
        // One of the wanted shards, from no more than the plan reads, in any order.
        let present: Vec<(usize, &[u8])> = plan.reads().iter().map(|index| (index, &shards[index][..])).rev().collect();
        let mut out = vec![0; shard_bytes];
        plan.run(&mut codec.scratch(), &present, &mut [(4, &mut out)]).unwrap();
        assert_eq!(out, shards[4]);
    }
}

#[test]
fn wrong_plans_and_wrong_runs_are_errors_and_write_nothing() {
    let codec = Codec::new(3, 2).unwrap();
    let set = |indices: &[usize]| ShardSet::from_indices(5, indices.iter().copied()).unwrap();
    assert_eq!(ShardSet::from_indices(5, [5]), Err(CodecError::ShardIndex { index: 5, shards: 5 }));
    assert_eq!((ShardSet::new(usize::MAX).shards(), ShardSet::all(usize::MAX).len()), (65_536, 65_536));
    let error = codec.plan_repair(&set(&[0, 1]), &set(&[2])).err();
    assert_eq!(error, Some(CodecError::NotEnoughShards { needed: 3, present: 2 }));
    let error = codec.plan_repair(&set(&[0, 1, 3]), &set(&[1])).err();
    assert_eq!(error, Some(CodecError::DuplicateShard { index: 1 }));
    let error = codec.plan_repair(&ShardSet::all(6), &set(&[1])).err();
    assert_eq!(error, Some(CodecError::SetLen { shards: 5, set: 6 }));
    // All data is lost, and parity is not wanted, but needed.
    assert!(codec.plan_repair(&set(&[3, 4]), &set(&[])).is_err());

    let shards = codeword(codec, 4, 9);
    let plan = codec.plan_repair(&set(&[0, 1, 3]), &set(&[2])).unwrap();
    let [a, b, _, p, q] = &shards[..] else { unreachable!() };
    let mut out = [7; 4];
    let mut scratch = codec.scratch();
    let mut run = |present: &[(usize, &[u8])], index: usize, len: usize| {
        plan.run(&mut scratch, present, &mut [(index, &mut out[..len])])
    };
    assert_eq!(run(&[(0, a), (3, p)], 2, 4), Err(CodecError::MissingShard { index: 1 }));
    assert_eq!(run(&[(0, a), (1, b), (4, q)], 2, 4), Err(CodecError::MissingShard { index: 3 }));
    assert_eq!(run(&[(0, a), (1, b), (3, p)], 4, 4), Err(CodecError::NotPlanned { index: 4 }));
    assert_eq!(run(&[(0, a), (1, b), (3, p), (5, p)], 2, 4), Err(CodecError::ShardIndex { index: 5, shards: 5 }));
    assert_eq!(run(&[(0, a), (1, b), (3, p), (1, b)], 2, 4), Err(CodecError::DuplicateShard { index: 1 }));
    assert_eq!(run(&[(0, a), (1, b), (3, &p[..3])], 2, 3), Err(CodecError::ShardBytes { shard_bytes: 3 }));
    let error = CodecError::ShardLen { index: 0, len: 4, shard_bytes: 2 };
    assert_eq!(run(&[(0, a), (1, b), (3, &p[..2])], 2, 2), Err(error));
    assert_eq!(run(&[(0, a), (1, b), (3, p)], 5, 4), Err(CodecError::ShardIndex { index: 5, shards: 5 }));
    // A shard that is not read may be anything.
    assert_eq!(run(&[(0, a), (1, b), (3, p), (4, &q[..1])], 2, 4), Ok(()));
    assert_eq!(out[..], shards[2][..]);

    let (mut first, mut second) = ([7; 4], [7; 4]);
    let result = plan.run(&mut scratch, &[(0, a), (1, b), (3, p)], &mut [(2, &mut first), (2, &mut second)]);
    assert_eq!(result, Err(CodecError::DuplicateShard { index: 2 }));
    let plan = codec.plan_repair(&set(&[0, 1, 3]), &set(&[2, 4])).unwrap();
    let result = plan.run(&mut scratch, &[(0, a), (1, b), (3, p)], &mut [(2, &mut first), (4, &mut second[..2])]);
    assert_eq!(result, Err(CodecError::ShardLen { index: 4, len: 2, shard_bytes: 4 }));
    assert_eq!((first, second), ([7; 4], [7; 4]));
}

#[test]
fn engines_agree_on_whole_shards() {
    for (data, parity, shard_bytes) in
        [(100, 20, 8192 + 256), (10, 4, 70_000), (1000, 200, 640), (40, 300, 1024), (5, 5, 4480)]
    {
        let portable = Codec::with_engine(data, parity, EngineKind::Portable).unwrap();
        let expected = codeword(portable, shard_bytes, 2);
        for engine in engines() {
            let codec = Codec::with_engine(data, parity, engine).unwrap();
            assert!(codeword(codec, shard_bytes, 2) == expected, "{engine} {data} + {parity}");
            for losses in [1, 3, parity.min(data)] {
                check_losses(codec, &expected, shuffled(data + parity, 3).into_iter().take(losses));
            }
        }
    }
    let missing = EngineKind::ALL.into_iter().find(|engine| !engine.is_available()).unwrap();
    assert_eq!(Codec::with_engine(2, 2, missing), Err(CodecError::EngineUnavailable { engine: missing }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each engine forced, on shards of any length; the portable one is the oracle, and the plain crate its own.
    #[test]
    fn engines_agree_with_the_portable_one(
        data in 1..300_usize,
        parity in 1..80_usize,
        half_shard in 1..400_usize,
        losses in 0..80_usize,
        seed: u32,
    ) {
        let expected = codeword(Codec::with_engine(data, parity, EngineKind::Portable).unwrap(), 2 * half_shard, seed.into());
        let lost: Vec<usize> = shuffled(data + parity, seed.into()).into_iter().take(losses % (parity + 1)).collect();
        for engine in engines() {
            let codec = Codec::with_engine(data, parity, engine).unwrap();
            prop_assert!(codeword(codec, 2 * half_shard, seed.into()) == expected, "{}", engine);
            check_losses(codec, &expected, lost.iter().copied());
        }
    }
}
