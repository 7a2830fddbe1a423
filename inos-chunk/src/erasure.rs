//! The erasure code, usable on its own.
//!
//! A systematic Reed-Solomon code over GF(2^16): `data` shards go in as they are, `parity` shards are added, and any
//! `data` of them all bring the others back. It is the code of the [`reed-solomon-simd`] crate (Leopard-RS; Lin,
//! Al-Naffouri, Han, Chung 2016, "Novel Polynomial Basis With Fast Fourier Transform and Its Application to
//! Reed-Solomon Erasure Codes"), and the bytes are identical to those of its `ReedSolomonEncoder`, so anyone can repair
//! with that crate.
//!
//! Symbols at different offsets do not depend on each other, in blocks of 64 bytes. The codec therefore walks through
//! the shards in columns that fit the second-level cache, which also keeps its working memory at a few MiB whatever
//! the length of the shards.
//!
//! The code repairs what is *missing*; it does not notice what is *wrong*. Check shards before and after, as
//! [`Assembler`](crate::Assembler) does.
//!
//! ```
//! use inos_chunk::erasure::Codec;
//!
//! let codec = Codec::new(3, 2)?;
//! let mut scratch = codec.scratch();
//! let data: [&[u8]; 3] = [b"first ", b"second", b"3rd"]; // shorter shards count as padded with zeros
//! let (mut p0, mut p1) = ([0; 6], [0; 6]);
//! codec.encode_into(&mut scratch, &data, &mut [&mut p0, &mut p1])?;
//!
//! let mut lost = [0; 6];
//! codec.repair(&mut scratch, &[(0, data[0]), (2, data[2]), (4, &p1)], &mut [(1, &mut lost)])?;
//! assert_eq!(&lost, b"second");
//! # Ok::<(), inos_chunk::erasure::CodecError>(())
//! ```
//!
//! [`reed-solomon-simd`]: https://github.com/AndersTrier/reed-solomon-simd

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use reed_solomon_simd::{ReedSolomonDecoder, ReedSolomonEncoder};

/// The most data shards, and the most parity shards, of a [`Codec`].
pub const MAX_SHARDS: usize = 32_768;

/// Working memory of an encoding column; 4 KiB columns for 100 + 20 shards. Measured with shards of 1 MiB: columns of
/// 2-4 KiB encode more than twice as fast as whole shards.
const ENCODE_WORK_BYTES: usize = 512 << 10;

/// Working memory of a repair column; 16 KiB columns for 100 + 20 shards. Each call of the decoder pays for a transform
/// of 65,536 points, so the columns are longer.
const REPAIR_WORK_BYTES: usize = 2 << 20;

/// A Reed-Solomon code with a fixed number of data and parity shards.
///
/// Shards are numbered from 0: data first, then parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    data: usize,
    parity: usize,
}

impl Codec {
    /// A code of `data + parity` shards.
    ///
    /// # Errors
    ///
    /// [`CodecError::ShardCount`] when either is outside 1..=[`MAX_SHARDS`].
    pub const fn new(data: usize, parity: usize) -> Result<Self, CodecError> {
        if data == 0 || parity == 0 || data > MAX_SHARDS || parity > MAX_SHARDS {
            return Err(CodecError::ShardCount { data, parity });
        }
        Ok(Self { data, parity })
    }

    /// Data shards.
    #[must_use]
    pub const fn data(&self) -> usize {
        self.data
    }

    /// Parity shards.
    #[must_use]
    pub const fn parity(&self) -> usize {
        self.parity
    }

    /// Working memory for [`encode_into`](Self::encode_into) and [`repair`](Self::repair), empty until it is used. Any
    /// codec can use any scratch; one per thread.
    #[must_use]
    pub const fn scratch(&self) -> Scratch {
        Scratch { encoder: None, decoder: None, padded: Vec::new() }
    }

    /// Computes all parity shards.
    ///
    /// `data.len() == self.data()`, `parity.len() == self.parity()`. All parity shards have the shard length, which is
    /// even and not zero; a data shard may be shorter and counts as padded with zeros. O(data * log(parity)) per byte
    /// of a shard.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when a count or a length is wrong; `parity` is untouched then.
    pub fn encode_into(
        &self,
        scratch: &mut Scratch,
        data: &[&[u8]],
        parity: &mut [&mut [u8]],
    ) -> Result<(), CodecError> {
        if data.len() != self.data || parity.len() != self.parity {
            return Err(CodecError::ShardCount { data: data.len(), parity: parity.len() });
        }
        let shard_bytes = parity[0].len();
        check_shard_bytes(shard_bytes)?;
        for (index, shard) in data.iter().enumerate() {
            check_data_len(index, shard.len(), shard_bytes)?;
        }
        for (index, shard) in parity.iter().enumerate() {
            check_parity_len(self.data + index, shard.len(), shard_bytes)?;
        }
        self.encode_columns(scratch, data, parity, shard_bytes);
        Ok(())
    }

    fn encode_columns(&self, scratch: &mut Scratch, data: &[&[u8]], parity: &mut [&mut [u8]], shard_bytes: usize) {
        let step = self.column_bytes(ENCODE_WORK_BYTES);
        let mut at = 0;
        while at < shard_bytes {
            let column = Column { at, len: step.min(shard_bytes - at) };
            let (encoder, padded) = scratch.encoder(self, column.len);
            for shard in data {
                encoder.add_original_shard(column.of(shard, padded)).expect("count and length were checked");
            }
            let result = encoder.encode().expect("all data shards were added");
            for (out, computed) in parity.iter_mut().zip(result.recovery_iter()) {
                out[at..at + column.len].copy_from_slice(computed);
            }
            at += column.len;
        }
    }

    /// Computes lost data and parity shards from any `data` shards that are present.
    ///
    /// `present` and `out` are pairs of shard number and bytes, in any order, no number twice. Parity shards have the
    /// shard length; a data shard, present or lost, may be shorter and counts as padded with zeros. A lost shard that
    /// nobody asks for needs no place in `out`.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when fewer than `data` shards are present, or a number or a length is wrong; `out` is untouched
    /// then.
    pub fn repair(
        &self,
        scratch: &mut Scratch,
        present: &[(usize, &[u8])],
        out: &mut [(usize, &mut [u8])],
    ) -> Result<(), CodecError> {
        let mut shards: Vec<Option<&[u8]>> = vec![None; self.data + self.parity];
        let mut claimed = vec![false; shards.len()];
        let lengths = present.iter().map(|(index, shard)| (*index, shard.len()));
        let lengths = lengths.chain(out.iter().map(|(index, shard)| (*index, shard.len())));
        for (index, _) in lengths.clone() {
            let claimed = claimed.get_mut(index).ok_or(CodecError::ShardIndex { index, shards: shards.len() })?;
            if core::mem::replace(claimed, true) {
                return Err(CodecError::DuplicateShard { index });
            }
        }
        if present.len() < self.data {
            return Err(CodecError::NotEnoughShards { needed: self.data, present: present.len() });
        }
        // With enough shards present, a lost data shard means that a parity shard is present.
        let Some((_, shard_bytes)) = lengths.clone().find(|(index, _)| *index >= self.data) else { return Ok(()) };
        check_shard_bytes(shard_bytes)?;
        for (index, len) in lengths {
            if index < self.data {
                check_data_len(index, len, shard_bytes)?;
            } else {
                check_parity_len(index, len, shard_bytes)?;
            }
        }
        for (index, shard) in present {
            shards[*index] = Some(shard);
        }
        let (data, parity) = shards.split_at(self.data);
        self.repair_columns(scratch, data, parity, shard_bytes, out);
        Ok(())
    }

    fn repair_columns(
        &self,
        scratch: &mut Scratch,
        data: &[Option<&[u8]>],
        parity: &[Option<&[u8]>],
        shard_bytes: usize,
        out: &mut [(usize, &mut [u8])],
    ) {
        let lost = data.iter().filter(|shard| shard.is_none()).count();
        let parity_wanted = out.iter().any(|(index, _)| *index >= self.data);
        let step = self.column_bytes(REPAIR_WORK_BYTES);
        let mut at = 0;
        while at < shard_bytes && !out.is_empty() {
            let column = Column { at, len: step.min(shard_bytes - at) };
            at += column.len;
            let Scratch { encoder, decoder, padded } = &mut *scratch;
            padded.resize(column.len, 0);
            // Without a lost data shard there is nothing to decode, only parity to compute again.
            let restored = (lost > 0).then(|| {
                let decoder = prepare_decoder(decoder, self, column.len);
                for (index, shard) in data.iter().enumerate() {
                    let Some(shard) = shard else { continue };
                    decoder.add_original_shard(index, column.of(shard, padded)).expect("index and length were checked");
                }
                let present = parity.iter().enumerate().filter_map(|(index, shard)| shard.map(|shard| (index, shard)));
                for (index, shard) in present.take(lost) {
                    decoder.add_recovery_shard(index, column.of(shard, padded)).expect("index and length were checked");
                }
                decoder.decode().expect("enough shards were added")
            });
            let restored = |index| {
                let restored = restored.as_ref().expect("a data shard was lost");
                restored.restored_original(index).expect("the decoder restores every lost data shard")
            };
            for (index, shard) in out.iter_mut().filter(|(index, _)| *index < self.data) {
                column.write(restored(*index), shard);
            }
            if !parity_wanted {
                continue;
            }
            let encoder = prepare_encoder(encoder, self, column.len);
            for (index, shard) in data.iter().enumerate() {
                let bytes = shard.map_or_else(|| restored(index), |shard| column.of(shard, padded));
                encoder.add_original_shard(bytes).expect("count and length were checked");
            }
            let computed = encoder.encode().expect("all data shards were added");
            for (index, shard) in out.iter_mut().filter(|(index, _)| *index >= self.data) {
                let bytes = computed.recovery(*index - self.data).expect("the index was checked");
                column.write(bytes, shard);
            }
        }
    }

    /// The largest power of two that keeps a column of all shards within `work_bytes`; a multiple of 64 in any case.
    fn column_bytes(&self, work_bytes: usize) -> usize {
        (work_bytes / (self.data + self.parity).next_power_of_two()).max(1 << 10)
    }
}

/// Working memory of a [`Codec`]: at most a few MiB for up to 1,000 shards, then 1 to 2 KiB per shard, each for encoding
/// and for repair.
pub struct Scratch {
    encoder: Option<(ReedSolomonEncoder, Codec, usize)>,
    decoder: Option<(ReedSolomonDecoder, Codec, usize)>,
    /// A column of a shard that ends inside it, with zeros behind.
    padded: Vec<u8>,
}

impl Scratch {
    fn encoder(&mut self, codec: &Codec, len: usize) -> (&mut ReedSolomonEncoder, &mut [u8]) {
        self.padded.resize(len, 0);
        (prepare_encoder(&mut self.encoder, codec, len), &mut self.padded)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

const SUPPORTED: &str = "up to 32,768 + 32,768 shards of any even length are supported";

fn prepare_encoder<'a>(
    slot: &'a mut Option<(ReedSolomonEncoder, Codec, usize)>,
    codec: &Codec,
    len: usize,
) -> &'a mut ReedSolomonEncoder {
    let (encoder, for_codec, for_len) = slot
        .get_or_insert_with(|| (ReedSolomonEncoder::new(codec.data, codec.parity, len).expect(SUPPORTED), *codec, len));
    if (*for_codec, *for_len) != (*codec, len) {
        encoder.reset(codec.data, codec.parity, len).expect(SUPPORTED);
        (*for_codec, *for_len) = (*codec, len);
    }
    encoder
}

fn prepare_decoder<'a>(
    slot: &'a mut Option<(ReedSolomonDecoder, Codec, usize)>,
    codec: &Codec,
    len: usize,
) -> &'a mut ReedSolomonDecoder {
    let (decoder, for_codec, for_len) = slot
        .get_or_insert_with(|| (ReedSolomonDecoder::new(codec.data, codec.parity, len).expect(SUPPORTED), *codec, len));
    if (*for_codec, *for_len) != (*codec, len) {
        decoder.reset(codec.data, codec.parity, len).expect(SUPPORTED);
        (*for_codec, *for_len) = (*codec, len);
    }
    decoder
}

/// The bytes `at..at + len` of every shard.
#[derive(Clone, Copy)]
struct Column {
    at: usize,
    len: usize,
}

impl Column {
    /// This column of a shard, padded with zeros in `padded` (of the column's length) when the shard ends before it.
    fn of<'a>(self, shard: &'a [u8], padded: &'a mut [u8]) -> &'a [u8] {
        if let Some(whole) = shard.get(self.at..self.at + self.len) {
            return whole;
        }
        let rest = shard.get(self.at..).unwrap_or_default();
        let (head, tail) = padded.split_at_mut(rest.len());
        head.copy_from_slice(rest);
        tail.fill(0);
        padded
    }

    /// Writes this column of a shard that may end before it.
    fn write(self, bytes: &[u8], shard: &mut [u8]) {
        let rest = shard.get_mut(self.at..).unwrap_or_default();
        let len = rest.len().min(self.len);
        rest[..len].copy_from_slice(&bytes[..len]);
    }
}

const fn check_shard_bytes(shard_bytes: usize) -> Result<(), CodecError> {
    if shard_bytes == 0 || shard_bytes % 2 == 1 {
        return Err(CodecError::ShardBytes { shard_bytes });
    }
    Ok(())
}

const fn check_data_len(index: usize, len: usize, shard_bytes: usize) -> Result<(), CodecError> {
    if len > shard_bytes { Err(CodecError::ShardLen { index, len, shard_bytes }) } else { Ok(()) }
}

const fn check_parity_len(index: usize, len: usize, shard_bytes: usize) -> Result<(), CodecError> {
    if len == shard_bytes { Ok(()) } else { Err(CodecError::ShardLen { index, len, shard_bytes }) }
}

/// Why shards cannot be encoded or repaired. The caller is at fault, or has lost too much; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A number of shards that is not supported, or not the codec's.
    #[error("{data} data and {parity} parity shards are not 1..=32768 of each, or not what the codec was made for")]
    ShardCount {
        /// Data shards given.
        data: usize,
        /// Parity shards given.
        parity: usize,
    },
    /// A shard number that the code does not have.
    #[error("shard {index} of {shards} does not exist")]
    ShardIndex {
        /// The number given.
        index: usize,
        /// Data and parity shards of the codec.
        shards: usize,
    },
    /// A shard number given twice, or both present and wanted.
    #[error("shard {index} was given twice")]
    DuplicateShard {
        /// The number given twice.
        index: usize,
    },
    /// A shard length that is odd or zero.
    #[error("the length of a shard is even and not zero, not {shard_bytes} bytes")]
    ShardBytes {
        /// Length of the first parity shard.
        shard_bytes: usize,
    },
    /// A parity shard of another length than the first, or a data shard longer than it.
    #[error("shard {index} has {len} bytes, but shards have {shard_bytes}")]
    ShardLen {
        /// Number of the shard.
        index: usize,
        /// Its length in bytes.
        len: usize,
        /// The shard length: that of the first parity shard.
        shard_bytes: usize,
    },
    /// Too few shards are present.
    #[error("repair needs {needed} shards, {present} are present")]
    NotEnoughShards {
        /// Shards that repair needs.
        needed: usize,
        /// Shards given.
        present: usize,
    },
}
