//! What does the erasure code gain from columns, engines and plans? Encoding and repair, in bytes of data per second,
//! with every engine that the CPU has, beside the naive twin: whole shards given to reed-solomon-simd.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_chunk::erasure::{Codec, EngineKind, ShardSet};
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

const SHARD_BYTES: usize = 1 << 20;

/// Bytes of a multiplicative congruential generator.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(|_| next()).collect()
}

fn parity_of(codec: Codec, data: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut parity = vec![vec![0; SHARD_BYTES]; codec.parity()];
    let mut out: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
    codec.encode_into(&mut codec.scratch(), data, &mut out).expect("the shards fit the codec");
    parity
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    group.sample_size(10);
    for (data, parity) in [(100, 20), (10, 4)] {
        let shards: Vec<Vec<u8>> = (0..data).map(|i| noise(SHARD_BYTES, i as u64)).collect();
        let slices: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
        group.throughput(Throughput::Bytes((data * SHARD_BYTES) as u64));
        for engine in EngineKind::ALL.into_iter().filter(|engine| engine.is_available()) {
            group.bench_function(BenchmarkId::new(engine.to_string(), format!("{data}+{parity}")), |b| {
                let codec = Codec::with_engine(data, parity, engine).expect("the counts are valid");
                let mut scratch = codec.scratch();
                let mut out = vec![vec![0; SHARD_BYTES]; parity];
                b.iter(|| {
                    let mut out: Vec<&mut [u8]> = out.iter_mut().map(AsMut::as_mut).collect();
                    codec.encode_into(&mut scratch, &slices, &mut out)
                });
            });
        }
        group.bench_function(BenchmarkId::new("whole shards", format!("{data}+{parity}")), |b| {
            let mut encoder = ReedSolomonEncoder::new(data, parity, SHARD_BYTES).expect("the counts are valid");
            b.iter(|| {
                for shard in &slices {
                    encoder.add_original_shard(shard).expect("the shard fits");
                }
                encoder.encode().expect("all shards are there").recovery(0).map(<[u8]>::len)
            });
        });
    }
    group.finish();
}

/// The first `losses` data shards are lost, and the parity shards behind the first `losses` are not looked at.
fn repair(c: &mut Criterion) {
    let mut group = c.benchmark_group("repair");
    group.sample_size(10);
    for (data, parity, losses) in [(100, 20, 1), (100, 20, 4), (100, 20, 20), (10, 4, 4)] {
        let name = format!("{losses} of {data}+{parity}");
        let shards: Vec<Vec<u8>> = (0..data).map(|i| noise(SHARD_BYTES, i as u64)).collect();
        let slices: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
        let codec = Codec::new(data, parity).expect("the counts are valid");
        let parity_shards = parity_of(codec, &slices);
        let all = slices.iter().copied().chain(parity_shards.iter().map(AsRef::as_ref));
        let present: Vec<(usize, &[u8])> = all.enumerate().take(data + losses).skip(losses).collect();
        let have = ShardSet::from_indices(data + parity, losses..data + losses).expect("they are shards of the code");
        let lost = ShardSet::from_indices(data + parity, 0..losses).expect("they are shards of the code");
        group.throughput(Throughput::Bytes((data * SHARD_BYTES) as u64));
        for engine in EngineKind::ALL.into_iter().filter(|engine| engine.is_available()) {
            group.bench_function(BenchmarkId::new(engine.to_string(), &name), |b| {
                let codec = Codec::with_engine(data, parity, engine).expect("the counts are valid");
                let plan = codec.plan_repair(&have, &lost).expect("enough shards are there");
                let mut scratch = codec.scratch();
                let mut out = vec![vec![0; SHARD_BYTES]; losses];
                b.iter(|| {
                    let mut out: Vec<_> = out.iter_mut().map(AsMut::as_mut).enumerate().collect();
                    plan.run(&mut scratch, &present, &mut out)
                });
            });
        }
        group.bench_function(BenchmarkId::new("whole shards", &name), |b| {
            let mut decoder = ReedSolomonDecoder::new(data, parity, SHARD_BYTES).expect("the counts are valid");
            b.iter(|| {
                for &(index, shard) in &present {
                    if index < data {
                        decoder.add_original_shard(index, shard).expect("the shard fits");
                    } else {
                        decoder.add_recovery_shard(index - data, shard).expect("the shard fits");
                    }
                }
                decoder.decode().expect("enough shards are there").restored_original(0).map(<[u8]>::len)
            });
        });
    }
    group.finish();
}

/// What a loss costs before the first byte is read.
fn plan(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    for (data, parity, losses) in [(100, 20, 1), (100, 20, 20), (1000, 200, 20), (1000, 200, 200)] {
        let codec = Codec::new(data, parity).expect("the counts are valid");
        let have = ShardSet::from_indices(data + parity, losses..data + losses).expect("they are shards of the code");
        let lost = ShardSet::from_indices(data + parity, 0..losses).expect("they are shards of the code");
        group.bench_function(format!("{losses} of {data}+{parity}"), |b| b.iter(|| codec.plan_repair(&have, &lost)));
    }
    group.finish();
}

criterion_group!(benches, encode, repair, plan);
criterion_main!(benches);
