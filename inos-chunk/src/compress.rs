//! LZ4 blocks: when to make one, and how to open one from a stranger.

use crate::{Codec, Compression};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// A block is kept when `stored * 100 <= plain * 97`: below 3 % the saving does not pay for decoding.
const MAX_STORED_PERCENT: u64 = 97;

/// Shorter chunks are compressed without a sample: trying costs no more than the sample.
const SAMPLED_FROM: usize = 64 << 10;
const SAMPLES: usize = 8;
const SAMPLE_BYTES: usize = 4 << 10;

/// From this length on LZ4 needs the large table, with positions of 32 bits.
const LARGE_TABLE_FROM: usize = 65_535;

/// Compresses chunks, reusing tables and output buffer between them. What becomes of a chunk depends on the chunk
/// alone, not on those before it: the two tables find different matches, so a length always has the same one.
pub(crate) struct Packer {
    small: CompressTable,
    large: CompressTable,
    out: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        Self { small: CompressTable::small(), large: CompressTable::large(), out: Vec::new() }
    }

    /// The stored form of `plain`. Raw bytes are `plain` itself, not a copy.
    pub(crate) fn pack(&mut self, plain: &Bytes, compression: Compression) -> (Codec, Bytes) {
        match compression {
            Compression::Raw => (Codec::Raw, plain.clone()),
            Compression::Lz4 => {
                if plain.len() < SAMPLED_FROM || self.sample_saves(plain) {
                    let stored = self.compress(plain);
                    if saves(plain.len(), stored, MAX_STORED_PERCENT) {
                        return (Codec::Lz4, Bytes::copy_from_slice(&self.out[..stored]));
                    }
                }
                (Codec::Raw, plain.clone())
            }
        }
    }

    /// Whether any saving shows in eight windows of 4 KiB, spread evenly. A window knows nothing of the bytes before
    /// it, so it understates the saving: 1 % is enough to try the whole chunk.
    fn sample_saves(&mut self, plain: &[u8]) -> bool {
        let last = plain.len() - SAMPLE_BYTES;
        let mut stored = 0;
        for window in 0..SAMPLES {
            let at = last / (SAMPLES - 1) * window;
            stored += self.compress(&plain[at..at + SAMPLE_BYTES]);
        }
        saves(SAMPLES * SAMPLE_BYTES, stored, 99)
    }

    /// Compresses `plain` to the front of `self.out`, and returns the length.
    fn compress(&mut self, plain: &[u8]) -> usize {
        let bound = get_maximum_output_size(plain.len());
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        let table = if plain.len() < LARGE_TABLE_FROM { &mut self.small } else { &mut self.large };
        compress_into_with_table(plain, &mut self.out, table).expect("the output has the maximum size")
    }
}

fn saves(plain: usize, stored: usize, max_percent: u64) -> bool {
    stored < plain && stored as u64 * 100 <= plain as u64 * max_percent
}

/// Opens a block into exactly `plain_len` bytes. `plain_len` comes from the manifest, never from the piece, so a forged
/// length or a bomb fails at the end of this one buffer.
pub(crate) fn unpack(stored: &[u8], plain_len: u32) -> Option<Bytes> {
    let mut plain = vec![0; usize::try_from(plain_len).ok()?];
    let len = lz4_flex::block::decompress_into(stored, &mut plain).ok()?;
    (len == plain.len()).then(|| plain.into())
}
