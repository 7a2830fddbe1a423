//! What does the erasure code gain from walking through the shards in columns? Encoding and repair, in bytes of data
//! per second, beside the naive twin: whole shards given to reed-solomon-simd.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inos_chunk::erasure::Codec;
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
        group.bench_function(BenchmarkId::new("columns", format!("{data}+{parity}")), |b| {
            let codec = Codec::new(data, parity).expect("the counts are valid");
            let mut scratch = codec.scratch();
            let mut out = vec![vec![0; SHARD_BYTES]; parity];
            b.iter(|| {
                let mut out: Vec<&mut [u8]> = out.iter_mut().map(AsMut::as_mut).collect();
                codec.encode_into(&mut scratch, &slices, &mut out)
            });
        });
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

/// As many data shards lost as there is parity.
fn repair(c: &mut Criterion) {
    let mut group = c.benchmark_group("repair");
    group.sample_size(10);
    for (data, parity) in [(100, 20), (10, 4)] {
        let shards: Vec<Vec<u8>> = (0..data).map(|i| noise(SHARD_BYTES, i as u64)).collect();
        let slices: Vec<&[u8]> = shards.iter().map(AsRef::as_ref).collect();
        let codec = Codec::new(data, parity).expect("the counts are valid");
        let parity_shards = parity_of(codec, &slices);
        let all = slices.iter().copied().chain(parity_shards.iter().map(AsRef::as_ref));
        let present: Vec<(usize, &[u8])> = all.enumerate().skip(parity).collect();
        group.throughput(Throughput::Bytes((data * SHARD_BYTES) as u64));
        group.bench_function(BenchmarkId::new("columns", format!("{data}+{parity}")), |b| {
            let mut scratch = codec.scratch();
            let mut out = vec![vec![0; SHARD_BYTES]; parity];
            b.iter(|| {
                let mut out: Vec<_> = out.iter_mut().map(AsMut::as_mut).enumerate().collect();
                codec.repair(&mut scratch, &present, &mut out)
            });
        });
        group.bench_function(BenchmarkId::new("whole shards", format!("{data}+{parity}")), |b| {
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

criterion_group!(benches, encode, repair);
criterion_main!(benches);
