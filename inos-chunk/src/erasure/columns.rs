//! Columns of shards: the same range of bytes of every shard, short enough for the working memory of all of them.
//!
//! Symbols at different offsets do not depend on each other. Shards are read and written where they lie; only where a
//! shard ends inside a column, or the shard length is no multiple of 128, a copy with zeros behind it is made.

use super::MAX_STEP;
use super::engine::{Kernels, MAX_RADIX, MAX_SOURCES, PAIR_BYTES, Store};
use super::transform::Rows;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Offset in the shards.
    at: usize,
    /// Bytes of the shards, at least 1.
    len: usize,
    /// Bytes of the partial block of 64 at the end of the shards, if the column ends with it.
    partial: usize,
}

impl Column {
    /// The columns of shards of `shard_bytes`, `step` bytes each but the last; `step` is a multiple of [`PAIR_BYTES`].
    pub(super) fn all(shard_bytes: usize, step: usize) -> impl Iterator<Item = Self> {
        (0..shard_bytes).step_by(step).map(move |at| {
            let len = step.min(shard_bytes - at);
            Self { at, len, partial: len % 64 }
        })
    }

    /// Bytes in working memory.
    pub(super) const fn padded_len(self) -> usize {
        self.len.next_multiple_of(PAIR_BYTES)
    }

    const fn is_whole(self) -> bool {
        self.len.is_multiple_of(PAIR_BYTES)
    }

    /// This column of a shard: `None` when the shard ends before it, otherwise at least `padded_len` bytes, in `copy`
    /// when they cannot be read where they lie.
    pub(super) fn read<'a>(self, shard: &'a [u8], copy: &'a mut [u8]) -> Option<&'a [u8]> {
        let rest = shard.get(self.at..).filter(|rest| !rest.is_empty())?;
        if self.is_whole() && rest.len() >= self.len {
            return Some(rest);
        }
        let copy = &mut copy[..self.padded_len()];
        let (head, tail) = copy.split_at_mut(rest.len().min(self.len));
        head.copy_from_slice(&rest[..head.len()]);
        tail.fill(0);
        if self.partial > 0 {
            // Half of the partial block are low bytes, the other half high ones.
            let half = self.partial / 2;
            let block = &mut copy[self.len - self.partial..][..64];
            block.copy_within(half..2 * half, 32);
            block[half..32].fill(0);
        }
        Some(copy)
    }

    /// As [`read`](Self::read), with zeros in `copy` for a shard that ends before the column.
    pub(super) fn read_or_zeros<'a>(self, shard: &'a [u8], copy: &'a mut [u8]) -> &'a [u8] {
        if shard.len() <= self.at {
            copy.fill(0);
            return copy;
        }
        self.read(shard, copy).unwrap_or_default()
    }

    /// Writes a row to this column of a shard that may end inside it or before.
    pub(super) fn write(self, kernels: &Kernels, row: &[u8], shard: &mut [u8], copy: &mut [u8]) {
        let Some(rest) = shard.get_mut(self.at..).filter(|rest| !rest.is_empty()) else { return };
        if self.is_whole() && rest.len() >= self.len {
            kernels.store(Store { row, shard: &mut rest[..self.len] });
            return;
        }
        let copy = &mut copy[..self.padded_len()];
        kernels.store(Store { row, shard: copy });
        if self.partial > 0 {
            let half = self.partial / 2;
            let block = &mut copy[self.len - self.partial..][..64];
            block.copy_within(32..32 + half, half);
        }
        let len = rest.len().min(self.len);
        rest[..len].copy_from_slice(&copy[..len]);
    }
}

/// A column of zeros.
static ZEROS: [u8; MAX_STEP] = [0; MAX_STEP];

/// The working memory of a column: rows, and copies of columns that cannot be read where they lie.
pub(super) struct Work<'a> {
    rows: &'a mut [u8],
    stride: usize,
    len: usize,
    pub(super) copies: &'a mut [u8],
}

/// Rows are apart by a cache line more than their length: rows of a power of two would all meet in the same cache sets.
const fn stride(step: usize) -> usize {
    step + 64
}

impl<'a> Work<'a> {
    /// Bytes of working memory for so many rows of columns of `step` bytes.
    pub(super) const fn bytes(rows: usize, step: usize) -> usize {
        rows * stride(step) + MAX_SOURCES * step
    }

    /// `memory` has [`Work::bytes`] bytes for `rows` and `step`.
    pub(super) fn new(memory: &'a mut [u8], rows: usize, step: usize) -> Self {
        let (rows, copies) = memory.split_at_mut(rows * stride(step));
        Self { rows, stride: stride(step), len: step, copies }
    }

    pub(super) fn for_column(&mut self, column: Column) {
        self.len = column.padded_len();
    }

    /// The first `count` rows, and the rest.
    pub(super) fn split(self, count: usize) -> (Rows<'a>, Self) {
        let Self { rows, stride, len, copies } = self;
        let (bytes, rows) = rows.split_at_mut(count * stride);
        (Rows { bytes, stride, len }, Self { rows, stride, len, copies })
    }

    pub(super) fn reborrow(&mut self) -> Work<'_> {
        Work { rows: self.rows, stride: self.stride, len: self.len, copies: self.copies }
    }
}

/// A column of many shards, read a few at a time.
pub(super) struct Source<'a, F> {
    pub(super) column: Column,
    /// The whole shard of a number below `total`; empty for zeros.
    pub(super) shard: &'a F,
    pub(super) total: usize,
    /// The first shard of the coset, and how many it has.
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) copies: &'a mut [u8],
}

impl<'s, F: Fn(usize) -> &'s [u8]> Source<'_, F> {
    /// The columns of `radix` shards from number `first` of the coset on, zeros beyond the last.
    pub(super) fn read<'a>(&'a mut self, first: usize, radix: usize) -> [&'a [u8]; MAX_RADIX]
    where
        's: 'a,
    {
        let mut sources: [&[u8]; MAX_RADIX] = [&ZEROS; MAX_RADIX];
        let each = self.copies.len() / MAX_RADIX;
        let numbers = first..self.count.min(first + radix);
        for ((source, number), copy) in sources.iter_mut().zip(numbers).zip(self.copies.chunks_exact_mut(each)) {
            if let Some(column) = self.column.read((self.shard)(self.start + number), copy) {
                *source = column;
            }
        }
        sources
    }

    /// The shards that are read after those from number `first` on, from this column on: in the order of reading, which
    /// starts again with the first of all in the next column.
    pub(super) fn next(&self, first: usize, radix: usize) -> [&'s [u8]; MAX_RADIX] {
        let mut next: [&[u8]; MAX_RADIX] = [&[]; MAX_RADIX];
        for (i, next) in next.iter_mut().take(radix).enumerate() {
            let number = self.start + first + radix + i;
            let (number, at) = match number {
                ahead if ahead < self.total => (ahead, self.column.at),
                _ if i < self.total => (i, self.column.at + self.column.len),
                _ => break,
            };
            *next = (self.shard)(number).get(at..).unwrap_or_default();
        }
        next
    }
}
