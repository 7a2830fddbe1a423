//! LZ4 blocks: when to make one, and how to open one from a stranger.

use crate::{Codec, Compression};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
#[cfg(not(feature = "fast-lz4"))]
use lz4_flex::block as encoder;
#[cfg(feature = "fast-lz4")]
use lz4_flex_fast::block as encoder;

use encoder::{CompressTable, compress_into_with_table, get_maximum_output_size};

/// A block is kept when `stored * 100 <= plain * 97`: below 3 % the saving does not pay for decoding.
const MAX_STORED_PERCENT: u64 = 97;

/// Shorter chunks are compressed without a sample: trying costs little more than the sample.
const SAMPLED_FROM: usize = 32 << 10;

/// Windows of a sample. Between two of the sixteen lies a fifteenth of the chunk: a run that hides there and shrinks by
/// half saves 3.3 % of the chunk, about what makes a block worth keeping.
const WINDOWS: core::ops::RangeInclusive<usize> = 2..=16;
const WINDOW_BYTES: usize = 2 << 10;

/// Chunk bytes per window: 1/32 of a chunk is looked at. On noise LZ4 spends about 1 us on a window, and the rest of
/// the pipeline 25 us on 64 KiB.
const BYTES_PER_WINDOW: usize = 64 << 10;

/// A chunk is tried when the windows save 1/256 of their bytes: a single window that shrinks by a sixteenth. Noise
/// saves nothing at all.
const MIN_SAMPLE_SAVING: usize = 256;

/// From this length on LZ4 needs the large table, with positions of 32 bits.
const LARGE_TABLE_FROM: usize = 65_535;

/// Compresses chunks, reusing tables and output buffer between them. What becomes of a chunk depends on the chunk
/// alone, not on those before it: the two tables find different matches, so a length always has the same one.
pub(crate) struct Packer {
    small: CompressTable,
    large: CompressTable,
    out: Vec<u8>,
    /// Plain bytes handed to LZ4 so far.
    #[cfg(test)]
    tried: usize,
}

impl Packer {
    pub(crate) fn new() -> Self {
        Self {
            small: CompressTable::small(),
            large: CompressTable::large(),
            out: Vec::new(),
            #[cfg(test)]
            tried: 0,
        }
    }

    /// The stored form of `plain`. Raw bytes are `plain` itself, not a copy.
    pub(crate) fn pack(&mut self, plain: &Bytes, compression: Compression) -> (Codec, Bytes) {
        match compression {
            Compression::Raw => (Codec::Raw, plain.clone()),
            Compression::Lz4 => {
                if plain.len() < SAMPLED_FROM || self.sample_saves(plain) {
                    let stored = self.compress(plain);
                    if saves(plain.len(), stored) {
                        return (Codec::Lz4, Bytes::copy_from_slice(&self.out[..stored]));
                    }
                }
                (Codec::Raw, plain.clone())
            }
        }
    }

    /// Whether a saving shows in windows of 2 KiB, spread evenly from the first byte to the last.
    ///
    /// It sees any run longer than the gap between two windows that shrinks by itself. It does not see repetition at
    /// distances beyond a window: noise that repeats every 10 KiB looks like noise, though LZ4 reaches back 64 KiB. A
    /// chunk misjudged so stays raw, which is correct but larger.
    fn sample_saves(&mut self, plain: &[u8]) -> bool {
        let windows = (plain.len() / BYTES_PER_WINDOW).clamp(*WINDOWS.start(), *WINDOWS.end());
        let last = plain.len() - WINDOW_BYTES;
        let mut saved = 0;
        for window in 0..windows {
            let at = last * window / (windows - 1);
            let stored = self.compress(&plain[at..at + WINDOW_BYTES]);
            // LZ4 makes noise a little longer. That must not cancel what another window saves.
            saved += WINDOW_BYTES.saturating_sub(stored);
        }
        saved * MIN_SAMPLE_SAVING >= windows * WINDOW_BYTES
    }

    /// Compresses `plain` to the front of `self.out`, and returns the length.
    fn compress(&mut self, plain: &[u8]) -> usize {
        #[cfg(test)]
        {
            self.tried += plain.len();
        }
        let bound = get_maximum_output_size(plain.len());
        if self.out.len() < bound {
            self.out.resize(bound, 0);
        }
        let table = if plain.len() < LARGE_TABLE_FROM { &mut self.small } else { &mut self.large };
        compress_into_with_table(plain, &mut self.out, table).expect("the output has the maximum size")
    }
}

fn saves(plain: usize, stored: usize) -> bool {
    stored as u64 * 100 <= plain as u64 * MAX_STORED_PERCENT
}

/// Opens a block into exactly `plain_len` bytes. `plain_len` comes from the manifest, never from the piece, so a forged
/// length or a bomb fails at the end of this one buffer.
pub(crate) fn unpack(stored: &[u8], plain_len: u32) -> Option<Bytes> {
    let mut plain = vec![0; usize::try_from(plain_len).ok()?];
    let len = lz4_flex::block::decompress_into(stored, &mut plain).ok()?;
    (len == plain.len()).then(|| plain.into())
}

/// What reaches LZ4, and what becomes of it, counted in bytes: times differ between machines.
#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MIB: usize = 1 << 20;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_le_bytes()[7]
        };
        (0..len).map(|_| next()).collect()
    }

    /// Words in no order.
    fn text(len: usize) -> Vec<u8> {
        let words = [&b"mesh "[..], b"node ", b"chunk ", b"stripe ", b"parity ", b"is ", b"lost ", b"again "];
        noise(len).iter().flat_map(|byte| words[usize::from(byte & 7)].iter().copied()).take(len).collect()
    }

    /// The codec, the stored length, and the bytes that LZ4 was given.
    fn pack(plain: &[u8]) -> (Codec, usize, usize) {
        let mut packer = Packer::new();
        let plain = Bytes::copy_from_slice(plain);
        let (codec, stored) = packer.pack(&plain, Compression::Lz4);
        match codec {
            Codec::Raw => assert_eq!(stored.as_ptr(), plain.as_ptr(), "raw bytes are not copied"),
            Codec::Lz4 => assert_eq!(unpack(&stored, u32::try_from(plain.len()).expect("short")), Some(plain)),
        }
        (codec, stored.len(), packer.tried)
    }

    #[test]
    fn noise_costs_a_sample_and_nothing_else() {
        for len in [128 << 10, 200_000, 256 << 10, MIB - 1, MIB, 16 * MIB] {
            let (codec, stored, tried) = pack(&noise(len));
            assert_eq!((codec, stored), (Codec::Raw, len));
            assert!(tried <= len / 32, "LZ4 looked at {tried} of {len} bytes");
        }
        let (codec, _, tried) = pack(&noise(32 << 10));
        assert_eq!((codec, tried), (Codec::Raw, 4 << 10));
    }

    #[test]
    fn text_is_sampled_and_compressed_once() {
        for len in [1 << 10, 32 << 10, 65_535, MIB] {
            let (codec, stored, tried) = pack(&text(len));
            assert!(codec == Codec::Lz4 && stored < len * 3 / 4, "{stored} of {len} bytes");
            assert!(tried <= len + len / 8);
        }
    }

    #[test]
    fn a_run_longer_than_the_gap_between_windows_is_seen_anywhere() {
        let run = MIB / 15 + 4 * WINDOW_BYTES;
        let text = text(run);
        for at in (0..=MIB - run).step_by(10_007).chain([MIB - run]) {
            let mut chunk = noise(MIB);
            chunk[at..at + run].copy_from_slice(&text);
            let (codec, stored, _) = pack(&chunk);
            assert!(codec == Codec::Lz4 && stored < MIB, "a run of {run} bytes at {at}");
        }
        // Half and half in pieces of a sector; a compressible tail alone.
        let text = self::text(MIB);
        let mixed: Vec<u8> = (0..MIB).map(|i| if i / 512 % 2 == 0 { text[i] } else { noise_at(i) }).collect();
        assert_eq!(pack(&mixed).0, Codec::Lz4);
        let mut tail = noise(MIB);
        tail[MIB - MIB / 16..].fill(0);
        assert_eq!(pack(&tail).0, Codec::Lz4);
    }

    fn noise_at(i: usize) -> u8 {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes()[1]
    }

    /// What the sample is known to miss.
    #[test]
    fn distant_repetition_and_a_run_between_windows_stay_raw() {
        let repeated: Vec<u8> = noise(10 << 10).into_iter().cycle().take(MIB).collect();
        assert_eq!(pack(&repeated), (Codec::Raw, MIB, MIB / 32));
        let mut between = noise(MIB);
        between[WINDOW_BYTES..MIB / 16].fill(0);
        assert_eq!(pack(&between).0, Codec::Raw);
    }

    #[test]
    fn a_block_is_kept_from_a_saving_of_three_percent() {
        let len = 20_000;
        let with_zeros = |zeros: usize| {
            let mut chunk = noise(len);
            chunk[..zeros].fill(0);
            pack(&chunk)
        };
        // LZ4 needs some bytes for what it saved and for the length of the noise.
        assert_eq!(with_zeros(len * 3 / 100).0, Codec::Raw);
        let kept = with_zeros(len * 4 / 100);
        assert!(kept.0 == Codec::Lz4 && kept.1 <= len * 97 / 100);
    }

    #[test]
    fn a_chunk_is_packed_the_same_whatever_came_before() {
        let chunks = [text(MIB), noise(MIB), text(5_000), noise(100), text(65_534), text(65_535)].map(Bytes::from);
        let mut packer = Packer::new();
        for first in &chunks {
            for second in &chunks {
                let _ = packer.pack(first, Compression::Lz4);
                assert_eq!(packer.pack(second, Compression::Lz4), Packer::new().pack(second, Compression::Lz4));
            }
        }
    }
}
