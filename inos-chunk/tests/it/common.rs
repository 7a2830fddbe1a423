//! What several test modules need: bytes with a known origin, small configurations, and strategies over them.

use bytes::Bytes;
use inos_chunk::{ChunkSize, Compression, Config, Geometry, Inserted, Piece, Place};
use proptest::prelude::*;

/// Bytes without structure, from a multiplicative congruential generator (Knuth's MMIX constants).
pub(crate) fn noise(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..len).map(|_| next()).collect()
}

/// Bytes that LZ4 compresses well.
pub(crate) fn text(len: usize) -> Bytes {
    (0..).flat_map(|i: u32| format!("line {i} of a log that repeats itself\n").into_bytes()).take(len).collect()
}

pub(crate) fn config(data: u16, parity: u16, interleave: u16) -> Config {
    let geometry = Geometry::new(data, parity).expect("small counts are valid");
    Config { chunk_size: ChunkSize::MIN, geometry, interleave, compression: Compression::Lz4 }
}

pub(crate) const CHUNK: usize = 4096;

/// Small geometries and interleaves, so that a few chunks make several groups.
pub(crate) fn any_config() -> impl Strategy<Value = Config> {
    (1..=6_u16, 1..=4_u16, 1..=4_u16, any::<bool>()).prop_map(|(data, parity, interleave, raw)| {
        let compression = if raw { Compression::Raw } else { Compression::Lz4 };
        Config { compression, ..config(data, parity, interleave) }
    })
}

/// Lengths from 0 to 60 chunks, often at a chunk border or one byte beside it.
pub(crate) fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..60 * CHUNK,
        (0..60_usize, 0..3_usize).prop_map(|(chunks, beside)| (chunks * CHUNK + beside).saturating_sub(1)),
    ]
}

/// Noise or text, of any length.
pub(crate) fn any_resource() -> impl Strategy<Value = Bytes> {
    (any_len(), any::<u64>(), any::<bool>())
        .prop_map(|(len, seed, dull)| if dull { text(len) } else { noise(len, seed) })
}

pub(crate) fn shard(piece: &Piece) -> (u32, u16) {
    let Place::Shard { stripe, index } = piece.place else { panic!("the crate makes shards only") };
    (stripe, index)
}

pub(crate) fn assert_accepted(inserted: Inserted) {
    assert_eq!(inserted, Inserted::Accepted);
}
