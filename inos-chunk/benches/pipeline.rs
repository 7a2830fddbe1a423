//! How fast is a whole resource encoded and assembled, with text that LZ4 shortens and with noise that it does not? 128
//! MiB with the default configuration, in plain bytes per second; beside it the parts of the work alone.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use inos_chunk::{Assembler, ChunkId, ChunkSize, Config, encode, split};

const LEN: usize = 128 << 20;

/// Bytes of a multiplicative congruential generator.
fn noise() -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..LEN).map(|_| next()).collect()
}

/// Words in no order, of which LZ4 saves about half.
fn text() -> Bytes {
    const WORDS: [&str; 16] = [
        "mesh ",
        "node ",
        "chunk ",
        "stripe ",
        "parity ",
        "replica ",
        "quorum ",
        "lease ",
        "epoch ",
        "shard ",
        "is ",
        "lost ",
        "and ",
        "repaired ",
        "by ",
        "its neighbours. ",
    ];
    let words = noise();
    words.iter().flat_map(|byte| WORDS[usize::from(byte & 15)].bytes()).take(LEN).collect()
}

fn pipeline(c: &mut Criterion) {
    for (name, resource) in [("text", text()), ("noise", noise())] {
        let mut group = c.benchmark_group(format!("pipeline-{name}"));
        group.sample_size(10);
        group.throughput(Throughput::Bytes(LEN as u64));
        group.bench_function("encode", |b| b.iter(|| encode(&resource, &Config::default())));
        group.bench_function("hash alone", |b| {
            b.iter(|| split(&resource, ChunkSize::DEFAULT).map(|chunk| ChunkId::of_chunk(&chunk)).max());
        });
        let encoded = encode(&resource, &Config::default()).expect("the resource fits one page");
        for (question, skipped) in [("assemble", 0), ("assemble, 20 of 154 lost", 20)] {
            let assembler = || (Assembler::new(encoded.manifest.clone()), encoded.pieces[skipped..].to_vec());
            group.bench_function(question, |b| {
                b.iter_batched(
                    assembler,
                    |(mut assembler, pieces)| {
                        for piece in pieces {
                            let _ = assembler.insert(piece);
                            while assembler.next_ready().is_some() {}
                        }
                        assert!(assembler.is_complete(), "enough pieces were inserted");
                    },
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
