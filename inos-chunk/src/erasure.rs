//! The erasure code, usable on its own.
//!
//! A systematic Reed-Solomon code over GF(2^16): `data` shards go in as they are, `parity` shards are added, and any
//! `data` of them all bring the others back. It is the code of the [`reed-solomon-simd`] crate (Leopard-RS; Lin,
//! Al-Naffouri, Han, Chung 2016, "Novel Polynomial Basis With Fast Fourier Transform and Its Application to
//! Reed-Solomon Erasure Codes"), and the bytes are identical to those of its `ReedSolomonEncoder`, so anyone can repair
//! with that crate.
//!
//! How it is made fast:
//!
//! - Symbols at different offsets do not depend on each other, in blocks of 64 bytes. The codec walks through the
//!   shards in columns of up to 4 KiB, so that the transform stays in the second-level cache, and reads and writes
//!   shards where they lie.
//! - With at most 256 positions, as in 100 + 20, all factors of the transform are in the subfield GF(2^8). In
//!   coordinates over that subfield a product is one look-up per byte instead of two, or one instruction per register
//!   with GFNI.
//! - Repair does not run the big transform of the decoder unless that is cheaper; see [`RepairPlan`].
//! - [`EngineKind`]: AVX-512 and GFNI, AVX2 and GFNI, AVX2, SSSE3, NEON, WebAssembly simd128, or 64-bit integers. All
//!   give the same bytes.
//!
//! `docs/performance.md` has measurements beside other crates.
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

mod code;
mod columns;
mod engine;
mod field;
mod plan;
mod transform;
mod walsh;

pub use engine::EngineKind;
pub use plan::{RepairPlan, ShardSet};

use code::Code;
use columns::{Column, Source, Work};
use engine::{Kernels, PAIR_BYTES};
use transform::{Rows, Transform};

/// The most data shards, and the most parity shards, of a [`Codec`].
pub const MAX_SHARDS: usize = 32_768;

/// A Reed-Solomon code with a fixed number of data and parity shards. A few words: cheap to make, to copy and to share.
///
/// Shards are numbered from 0: data first, then parity.
#[derive(Clone, Copy)]
pub struct Codec {
    code: Code,
    engine: EngineKind,
    kernels: &'static Kernels,
}

impl Codec {
    /// A code of `data + parity` shards, computed by [`EngineKind::fastest`].
    ///
    /// # Errors
    ///
    /// [`CodecError::ShardCount`] when either is outside 1..=[`MAX_SHARDS`].
    pub fn new(data: usize, parity: usize) -> Result<Self, CodecError> {
        Self::with_engine(data, parity, EngineKind::fastest())
    }

    /// A code of `data + parity` shards, computed by `engine`. The bytes are the same with every engine.
    ///
    /// # Errors
    ///
    /// [`CodecError::ShardCount`] as for [`new`](Self::new), [`CodecError::EngineUnavailable`] when the CPU or the
    /// program lacks the engine.
    pub fn with_engine(data: usize, parity: usize, engine: EngineKind) -> Result<Self, CodecError> {
        if data == 0 || parity == 0 || data > MAX_SHARDS || parity > MAX_SHARDS {
            return Err(CodecError::ShardCount { data, parity });
        }
        let kernels = engine.kernels().ok_or(CodecError::EngineUnavailable { engine })?;
        Ok(Self { code: Code::new(data, parity), engine, kernels })
    }

    /// Data shards.
    #[must_use]
    pub const fn data(&self) -> usize {
        self.code.data
    }

    /// Parity shards.
    #[must_use]
    pub const fn parity(&self) -> usize {
        self.code.parity
    }

    /// The vector instructions in use.
    #[must_use]
    pub const fn engine(&self) -> EngineKind {
        self.engine
    }

    /// Working memory, enough for [`encode_into`](Self::encode_into); repairs may let it grow. Any codec can use any
    /// scratch; one per thread.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        let mut scratch = Scratch { bytes: Vec::new() };
        scratch.take(self.encode_rows(), self.encode_step());
        scratch
    }

    /// Computes all parity shards.
    ///
    /// `data.len() == self.data()`, `parity.len() == self.parity()`. All parity shards have the shard length, which is
    /// even and not zero; a data shard may be shorter and counts as padded with zeros. The shards are read and written
    /// where they lie, and nothing is allocated if the scratch is this codec's own. O(data * log(parity)) per byte of a
    /// shard.
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
        if data.len() != self.data() || parity.len() != self.parity() {
            return Err(CodecError::ShardCount { data: data.len(), parity: parity.len() });
        }
        let shard_bytes = parity[0].len();
        check_shard_bytes(shard_bytes)?;
        for (index, shard) in data.iter().enumerate() {
            check_data_len(index, shard.len(), shard_bytes)?;
        }
        for (index, shard) in parity.iter().enumerate() {
            check_parity_len(self.data() + index, shard.len(), shard_bytes)?;
        }
        let mut work = scratch.take(self.encode_rows(), self.encode_step());
        for column in Column::all(shard_bytes, self.encode_step()) {
            work.for_column(column);
            self.encode_column(
                column,
                |index| data[index],
                work.reborrow(),
                |first, rows, copies| {
                    for (row, shard) in parity[first..].iter_mut().take(self.code.coset()).enumerate() {
                        column.write(self.kernels, rows.row(row), shard, copies);
                    }
                },
            );
        }
        Ok(())
    }

    /// Computes lost data and parity shards from any `data` shards that are present: a [`RepairPlan`] made and run
    /// once. Keep the plan when more shards with the same losses follow.
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
        let shards = self.data() + self.parity();
        let mut have = ShardSet::new(shards);
        let mut wanted = ShardSet::new(shards);
        for (index, _) in present {
            have.claim(*index)?;
        }
        for (index, _) in out.iter() {
            if have.contains(*index) {
                return Err(CodecError::DuplicateShard { index: *index });
            }
            wanted.claim(*index)?;
        }
        self.plan_repair(&have, &wanted)?.run(scratch, present, out)
    }

    /// Rows of the working memory for encoding: the sum, and the coset that is added to it.
    fn encode_rows(&self) -> usize {
        2 * self.code.coset()
    }

    fn encode_step(&self) -> usize {
        column_step(self.encode_rows())
    }

    fn transform(&self, delta: usize) -> Transform {
        Transform { kernels: self.kernels, log: self.code.log, delta }
    }

    /// Computes a column of parity, a coset at a time: `sink` is given the number of the first parity shard in `rows`
    /// (as many as a coset has, or as are left), and memory for copies. `work` has [`encode_rows`](Self::encode_rows).
    fn encode_column<'s>(
        &self,
        column: Column,
        shard: impl Fn(usize) -> &'s [u8],
        work: Work<'_>,
        mut sink: impl FnMut(usize, &mut Rows<'_>, &mut [u8]),
    ) {
        let Code { data, parity, high_rate, .. } = self.code;
        let coset = self.code.coset();
        let (mut sum, work) = work.split(coset);
        let (mut rows, Work { copies, .. }) = work.split(coset);
        if high_rate {
            for first in (0..data).step_by(coset) {
                let count = coset.min(data - first);
                let mut source = Source { column, shard: &shard, total: data, start: first, count, copies };
                let transform = self.transform(coset + first);
                if first == 0 {
                    transform.inverse_from(&mut source, sum.reborrow(), None);
                } else {
                    transform.inverse_from(&mut source, rows.reborrow(), Some(sum.reborrow()));
                }
            }
            self.transform(0).forward(parity, sum.reborrow());
            sink(0, &mut sum, copies);
        } else {
            let mut source = Source { column, shard: &shard, total: data, start: 0, count: data, copies };
            self.transform(0).inverse_from(&mut source, rows.reborrow(), None);
            for first in (0..parity).step_by(coset) {
                let count = coset.min(parity - first);
                for row in 0..coset {
                    sum.row_mut(row).copy_from_slice(rows.row(row));
                }
                self.transform(coset + first).forward(count, sum.reborrow());
                sink(first, &mut sum, copies);
            }
        }
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("data", &self.data())
            .field("parity", &self.parity())
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        (self.code, self.engine) == (other.code, other.engine)
    }
}

impl Eq for Codec {}

/// The longest column: a page. With 100 + 20 shards of 1 MiB, columns of 1 KiB encode a tenth to a fifth slower.
const MAX_STEP: usize = 4 << 10;

/// Rows that stay in the second-level cache, of 512 KiB and more, with the longest column.
const FEW_ROWS: usize = 64;

/// Columns of more rows are shorter, but rather leave that cache than become shorter than this: with 1000 + 200 shards,
/// columns of 512 bytes encode a third slower than those of 2 KiB, because they read memory in small bits.
const MANY_ROWS_STEP: usize = 2 << 10;

/// What more rows than that may take, as long as a column has two pairs of the widest registers.
const WORK_BYTES: usize = 2 << 20;

/// Bytes of a column with so many rows: a power of two.
const fn column_step(rows: usize) -> usize {
    let rows = rows.next_power_of_two();
    if rows <= FEW_ROWS {
        MAX_STEP
    } else if rows * MANY_ROWS_STEP <= WORK_BYTES {
        MANY_ROWS_STEP
    } else if rows * 2 * PAIR_BYTES <= WORK_BYTES {
        WORK_BYTES / rows
    } else {
        2 * PAIR_BYTES
    }
}

/// Working memory of a [`Codec`]: 300 KiB to encode 100 + 20 shards, 1.1 MiB for 1000 + 200, 21 MiB for 32,768 + 32,768.
///
/// A repair takes up to twice that; with more parity than data up to 4 MiB, and beyond 2,000 shards up to 640 bytes for
/// each position of the code.
pub struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    /// Alignment of the rows: a cache line.
    const ALIGN: usize = 64;

    /// Memory for so many rows of columns of `step` bytes. What is in it is left from before.
    fn take(&mut self, rows: usize, step: usize) -> Work<'_> {
        let bytes = Work::bytes(rows, step);
        if self.bytes.len() < bytes + Self::ALIGN {
            self.bytes = vec![0; bytes + Self::ALIGN];
        }
        let start = self.bytes.as_ptr().align_offset(Self::ALIGN).min(Self::ALIGN);
        Work::new(&mut self.bytes[start..start + bytes], rows, step)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("bytes", &self.bytes.len()).finish_non_exhaustive()
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
    /// A plan was run without a shard that it reads.
    #[error("the plan reads shard {index}, which was not given")]
    MissingShard {
        /// Number of the shard.
        index: usize,
    },
    /// A plan was run for a shard that it was not made for.
    #[error("the plan was not made for shard {index}")]
    NotPlanned {
        /// Number of the shard.
        index: usize,
    },
    /// A set of shards of another code.
    #[error("the code has {shards} shards, the set is one of {set}")]
    SetLen {
        /// Data and parity shards of the codec.
        shards: usize,
        /// Shards that the set can hold.
        set: usize,
    },
    /// The CPU, or the target of the program, does not have the engine.
    #[error("this machine has no engine {engine}")]
    EngineUnavailable {
        /// The engine asked for.
        engine: EngineKind,
    },
}
