//! How fast is a whole resource encoded and assembled, with text that LZ4 shortens to 0.4-0.5 and with noise that it
//! does not, by one worker and by two (feature `parallel`)? 200 MiB in two stripes of 100 + 20 chunks, in plain bytes
//! per second. Pieces are dropped as they come. Beside it each part of the work alone, in memory that is used again.

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use inos_chunk::erasure::Codec;
use inos_chunk::{Assembler, ChunkId, ChunkSize, Config, Encoder, Manifest, encode, split};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// Two stripes; one where nothing is measured.
const LEN: usize = if cfg!(debug_assertions) { 100 << 20 } else { 200 << 20 };

const CONFIG: Config = Config {
    chunk_size: ChunkSize::DEFAULT,
    geometry: inos_chunk::Geometry::DEFAULT,
    interleave: 1,
    compression: inos_chunk::Compression::Lz4,
};

/// A multiplicative congruential generator; the upper bits are the good ones.
struct Generator(u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(((self.next() >> 32) * bound) >> 32).expect("below a small bound")
    }
}

fn noise() -> Bytes {
    let mut generator = Generator(1);
    (0..LEN).map(|_| generator.next().to_le_bytes()[7]).collect()
}

/// Words of three to ten letters, few of them much more frequent than the others, as in a language.
fn text() -> Bytes {
    let mut generator = Generator(2);
    let word = |generator: &mut Generator| -> Vec<u8> {
        (0..3 + generator.below(8)).map(|_| b"etaoinshrdlucmwfygpbvk"[generator.below(22)]).chain([b' ']).collect()
    };
    let words: Vec<Vec<u8>> = (0..WORDS).map(|_| word(&mut generator)).collect();
    let mut text = Vec::with_capacity(LEN + 16);
    while text.len() < LEN {
        // The product of two uniform numbers favours small ones.
        let rank = generator.below(WORDS) * generator.below(WORDS) / words.len();
        text.extend_from_slice(&words[rank]);
    }
    text.truncate(LEN);
    text.into()
}

const WORDS: u64 = 700;

/// Pushes everything, drops the pieces.
macro_rules! drain {
    ($encoder:expr, $resource:expr) => {{
        let mut encoder = $encoder.expect("the configuration is valid");
        encoder.push($resource.clone()).expect("the length was announced");
        encoder.end().expect("all bytes were pushed");
        while encoder.next_piece().is_some() {}
        encoder.finish().expect("all pieces were polled")
    }};
}

fn alone(resource: &Bytes) -> Manifest {
    drain!(Encoder::new(LEN as u64, &CONFIG), resource)
}

fn parts(group: &mut BenchmarkGroup<'_, WallTime>, resource: &Bytes, compressible: bool) {
    let geometry = CONFIG.geometry;
    let codec = Codec::new(geometry.data().into(), geometry.parity().into()).expect("a geometry has valid counts");
    let mut scratch = codec.scratch();
    let chunks: Vec<Bytes> = split(resource, CONFIG.chunk_size).collect();
    let mut shards = vec![vec![0; CONFIG.chunk_size.bytes()]; LEN / CONFIG.chunk_size.bytes() / 5];

    group.bench_function("part: parity", |b| {
        b.iter(|| {
            for (data, parity) in chunks.chunks(codec.data()).zip(shards.chunks_mut(codec.parity())) {
                let data: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
                let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(AsMut::as_mut).collect();
                codec.encode_into(&mut scratch, &data, &mut parity).expect("the stripes are full");
            }
        });
    });
    group.bench_function("part: names", |b| {
        b.iter(|| {
            let chunks = chunks.iter().map(|chunk| ChunkId::of_chunk(chunk)).max();
            (chunks, shards.iter().map(|shard| ChunkId::of_parity(shard)).max())
        });
    });
    if compressible {
        let mut out = vec![0; get_maximum_output_size(CONFIG.chunk_size.bytes())];
        let mut table = CompressTable::large();
        let mut compress = |chunk: &Bytes| {
            let stored =
                compress_into_with_table(chunk, &mut out, &mut table).expect("the output has the maximum size");
            Bytes::copy_from_slice(&out[..stored]).len()
        };
        let percent = chunks.iter().map(&mut compress).sum::<usize>() * 100 / LEN;
        assert!((40..=50).contains(&percent), "the text is not what it should be: LZ4 leaves {percent} %");
        group.bench_function("part: LZ4", |b| b.iter(|| chunks.iter().map(&mut compress).sum::<usize>()));
    }
}

fn assembling(group: &mut BenchmarkGroup<'_, WallTime>, resource: &Bytes) {
    let encoded = encode(resource, &CONFIG).expect("the configuration is valid");
    for (question, lost) in [("assemble", 0), ("assemble, 20 of 240 lost", 20)] {
        let assembler = || (Assembler::new(encoded.manifest.clone()), encoded.pieces[lost..].to_vec());
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
}

fn pipeline(c: &mut Criterion) {
    for (name, resource) in [("text", text()), ("random", noise())] {
        let mut group = c.benchmark_group(format!("pipeline-{name}"));
        group.sample_size(10);
        group.throughput(Throughput::Bytes(LEN as u64));
        group.bench_function("1 worker", |b| b.iter(|| alone(&resource)));
        #[cfg(feature = "parallel")]
        for count in [1, 2] {
            use inos_chunk::parallel;
            let workers = parallel::Workers::new(count).expect("a small number");
            let expected = alone(&resource);
            group.bench_function(format!("parallel, {count} workers"), |b| {
                b.iter(|| {
                    let manifest = drain!(parallel::Encoder::new(LEN as u64, &CONFIG, workers), resource);
                    assert_eq!(manifest, expected, "the same manifest whatever the number of workers");
                });
            });
        }
        // What two workers could at best: two encoders that know nothing of each other.
        group.throughput(Throughput::Bytes(2 * LEN as u64));
        group.bench_function("2 encoders in 2 threads", |b| {
            b.iter(|| {
                std::thread::scope(|scope| {
                    let other = scope.spawn(|| alone(&resource));
                    (alone(&resource), other.join().expect("encoding does not panic"))
                })
            });
        });
        group.throughput(Throughput::Bytes(LEN as u64));
        parts(&mut group, &resource, name == "text");
        assembling(&mut group, &resource);
        group.finish();
    }
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
