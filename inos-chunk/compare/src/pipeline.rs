//! The cases about the whole pipeline: a resource becomes pieces and a manifest.

use core::time::Duration;

use bytes::Bytes;
use inos_chunk::erasure::Codec as ErasureCodec;
use inos_chunk::{Assembler, ChunkId, ChunkSize, Config, Encoder, Manifest, Piece, split};
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::Effort;
use crate::contest::{Contestant, Role, Times, compete, time};
use crate::report::Row;
use crate::{input, limits};

const LEN: usize = 200 << 20;
const QUICK_LEN: usize = 100 << 20;

/// What the resource consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Text,
    Random,
}

/// Full stripes at the lengths above.
pub(crate) fn config() -> Config {
    Config { interleave: 1, ..Config::default() }
}

/// What is encoded.
pub(crate) fn resource(content: Content, effort: Effort) -> Bytes {
    let len = if effort.quick { QUICK_LEN } else { LEN };
    Bytes::from(match content {
        Content::Text => input::text(len),
        Content::Random => input::noise(len),
    })
}

/// One encoder, beside each part of its work alone.
pub(crate) fn one_worker(case: &'static str, content: Content, effort: Effort) -> Row {
    let resource = resource(content, effort);
    let len = resource.len();
    let parity = Parity::of(&resource);
    let mut notes = vec![format!("{} MiB, stripes of 100 + 20 chunks of 1 MiB", len >> 20)];
    let mut contestants = vec![
        Contestant::new("ours", Role::Ours, encoding(&resource, encode)),
        limits::read(&resource),
        limits::memcpy(&resource),
        Contestant::new("hashing alone", Role::Aside, hashing(&resource, parity.shards.clone())),
        Contestant::new("parity alone", Role::Aside, parity.computing(&resource)),
    ];
    // Nothing is compressed of what looks random: there, finding that out is a cost that no part has.
    if content == Content::Text {
        let (compressing, stored) = compressing(&resource);
        notes.push(format!("LZ4 leaves {:.2}", stored as f64 / len as f64));
        contestants.push(Contestant::new("LZ4 alone", Role::Aside, compressing));
    }
    let mut times = compete(&mut contestants, effort.rounds);
    times.push(sum(&times));
    Row::new(case, len, &times, Vec::new(), notes)
}

/// The parts one after the other, as if nothing had to be done between them.
fn sum(times: &[Times]) -> Times {
    let mut total = Vec::new();
    for part in times.iter().filter(|times| times.role == Role::Aside) {
        total.resize(part.seconds().len(), 0.0);
        total.iter_mut().zip(part.seconds()).for_each(|(total, seconds)| *total += seconds);
    }
    Times::derived("parts", Role::Limit, total)
}

/// Encodes by `encode`, which hands out pieces and then the manifest. The first round keeps all pieces and assembles
/// them again.
pub(crate) fn encoding<'a>(
    resource: &'a Bytes,
    encode: impl Fn(&Bytes, &mut dyn FnMut(Piece)) -> Manifest + 'a,
) -> impl FnMut() -> Duration + 'a {
    let mut proved = false;
    move || {
        let mut kept = Vec::new();
        let mut manifest = None;
        let took = time(|| {
            manifest = Some(encode(resource, &mut |piece| {
                if !proved {
                    kept.push(piece);
                }
            }));
        });
        if !proved {
            prove(resource, manifest.expect("it was just made"), kept);
            proved = true;
        }
        took
    }
}

/// One worker.
pub(crate) fn encode(resource: &Bytes, take: &mut dyn FnMut(Piece)) -> Manifest {
    let mut encoder = Encoder::new(resource.len() as u64, &config()).expect("the configuration is valid");
    encoder.push(resource.clone()).expect("the length was announced");
    while let Some(piece) = encoder.next_piece() {
        take(piece);
    }
    encoder.end().expect("all bytes were pushed");
    while let Some(piece) = encoder.next_piece() {
        take(piece);
    }
    encoder.finish().expect("all pieces were taken")
}

fn prove(resource: &Bytes, manifest: Manifest, pieces: Vec<Piece>) {
    let lost = usize::from(config().geometry.parity());
    let mut assembler = Assembler::new(manifest);
    for piece in pieces.into_iter().skip(lost) {
        let _ = assembler.insert(piece);
    }
    assert!(assembler.finish().is_ok_and(|assembled| assembled == resource), "the resource came back as it was");
}

/// Names of all chunks and of all parity shards.
fn hashing(resource: &Bytes, parity: Vec<Vec<u8>>) -> impl FnMut() -> Duration {
    move || {
        time(|| {
            let chunks = split(resource, ChunkSize::DEFAULT).map(|chunk| ChunkId::of_chunk(&chunk)).max();
            (chunks, parity.iter().map(|shard| ChunkId::of_parity(shard)).max())
        })
    }
}

/// An LZ4 block of every chunk, each in memory of its own as pieces are. Also says how long they are together.
fn compressing(resource: &Bytes) -> (impl FnMut() -> Duration, usize) {
    let mut table = CompressTable::large();
    let mut out = vec![0; get_maximum_output_size(ChunkSize::DEFAULT.bytes())];
    let mut compress = move || {
        let mut stored = 0;
        for chunk in split(resource, ChunkSize::DEFAULT) {
            let len = compress_into_with_table(&chunk, &mut out, &mut table).expect("the output has the maximum size");
            stored += core::hint::black_box(Bytes::copy_from_slice(&out[..len])).len();
        }
        stored
    };
    let stored = compress();
    (move || time(&mut compress), stored)
}

/// The parity shards of full stripes, in memory that is used again.
struct Parity {
    codec: ErasureCodec,
    shards: Vec<Vec<u8>>,
}

impl Parity {
    fn of(resource: &Bytes) -> Self {
        let geometry = config().geometry;
        let (data, parity) = (usize::from(geometry.data()), usize::from(geometry.parity()));
        let codec = ErasureCodec::new(data, parity).expect("a geometry has valid counts");
        let stripes = resource.len() / (data * ChunkSize::DEFAULT.bytes());
        let mut new = Self { codec, shards: vec![vec![0; ChunkSize::DEFAULT.bytes()]; stripes * parity] };
        new.compute(resource);
        new
    }

    fn compute(&mut self, resource: &Bytes) {
        let mut scratch = self.codec.scratch();
        let chunks: Vec<&[u8]> = resource.chunks(ChunkSize::DEFAULT.bytes()).collect();
        let stripes = chunks.chunks(self.codec.data()).zip(self.shards.chunks_mut(self.codec.parity()));
        for (data, parity) in stripes {
            let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
            self.codec.encode_into(&mut scratch, data, &mut parity).expect("the stripe is full");
        }
    }

    fn computing(mut self, resource: &Bytes) -> impl FnMut() -> Duration {
        move || time(|| self.compute(resource))
    }
}
