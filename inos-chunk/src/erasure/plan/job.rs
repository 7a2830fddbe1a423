//! Plans at work: column by column, in working memory.

use super::super::columns::{Column, Work};
use super::super::engine::{MAX_SOURCES, MulAdd};
use super::super::field::Element;
use super::super::transform::{Rows, Transform};
use super::super::{Codec, Scratch, column_step};
use super::RepairPlan;
use core::ops::Range;

/// A plan with shards, by number; those that the plan does not read are empty.
pub(super) struct Job<'a> {
    pub(super) plan: &'a RepairPlan,
    pub(super) shards: &'a [&'a [u8]],
    pub(super) shard_bytes: usize,
}

impl Job<'_> {
    fn codec(&self) -> &Codec {
        &self.plan.codec
    }

    pub(super) fn rows(&self, scratch: &mut Scratch, sources: &[usize], factors: &[Element], out: &mut [&mut [u8]]) {
        let kernels = self.codec().kernels;
        let count = out.len();
        let step = column_step(4 * count);
        let mut work = scratch.take(count, step);
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut sums, Work { copies, .. }) = work.reborrow().split(count);
            sums.clear(count);
            let mut factors = factors;
            for group in sources.chunks(MAX_SOURCES) {
                let (of_group, rest) = factors.split_at(group.len() * count);
                factors = rest;
                self.add_shards(column, group, of_group, &mut sums, copies);
            }
            for (row, shard) in out.iter_mut().enumerate() {
                column.write(kernels, sums.row(row), shard, copies);
            }
        }
    }

    /// Adds multiples of up to eight shards to rows.
    fn add_shards(
        &self,
        column: Column,
        shards: &[usize],
        factors: &[Element],
        rows: &mut Rows<'_>,
        copies: &mut [u8],
    ) {
        let each = copies.len() / MAX_SOURCES;
        let mut sources: [&[u8]; MAX_SOURCES] = [&[]; MAX_SOURCES];
        for ((source, shard), copy) in sources.iter_mut().zip(shards).zip(copies.chunks_exact_mut(each)) {
            *source = column.read_or_zeros(self.shards[*shard], copy);
        }
        self.codec().kernels.mul_add(MulAdd {
            sources: &sources[..shards.len()],
            raw: true,
            factors,
            rows_count: factors.len() / shards.len(),
            rows: rows.bytes,
            stride: rows.stride,
            len: rows.len,
        });
    }

    pub(super) fn residual(&self, scratch: &mut Scratch, checks: &[usize], factors: &[Element], out: &mut [&mut [u8]]) {
        let codec = self.codec();
        let data = codec.data();
        let encode_rows = codec.encode_rows();
        // With more parity than data the results alone can be many more rows.
        let step = column_step(encode_rows.max(out.len()));
        let mut work = scratch.take(encode_rows + checks.len() + out.len(), step);
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut differences, work) = work.reborrow().split(checks.len());
            let (mut sums, mut work) = work.split(out.len());
            sums.clear(out.len());
            codec.encode_column(
                column,
                |index| self.shards[index],
                work.reborrow(),
                |first, rows, copies| {
                    let end = first + codec.code.coset();
                    for number in between(checks, first, end) {
                        let check = checks[number];
                        differences.row_mut(number).copy_from_slice(rows.row(check - first));
                        let mut row = differences.single(number);
                        self.add_shards(column, &[data + check], &[Element::ONE], &mut row, copies);
                    }
                    for row in between(&self.plan.wanted, data + first, data + end) {
                        sums.row_mut(row).copy_from_slice(rows.row(self.plan.wanted[row] - data - first));
                    }
                },
            );
            let mut factors = factors;
            for first in (0..checks.len()).step_by(MAX_SOURCES) {
                let count = MAX_SOURCES.min(checks.len() - first);
                let (of_group, rest) = factors.split_at(count * out.len());
                factors = rest;
                let mut sources: [&[u8]; MAX_SOURCES] = [&[]; MAX_SOURCES];
                for (number, source) in sources[..count].iter_mut().enumerate() {
                    *source = differences.row(first + number);
                }
                codec.kernels.mul_add(MulAdd {
                    sources: &sources[..count],
                    raw: false,
                    factors: of_group,
                    rows_count: out.len(),
                    rows: sums.bytes,
                    stride: sums.stride,
                    len: sums.len,
                });
            }
            for (row, shard) in out.iter_mut().enumerate() {
                column.write(codec.kernels, sums.row(row), shard, work.copies);
            }
        }
    }

    /// By the rows behind the transform: see [`super::Strategy::Syndrome`].
    pub(super) fn syndrome(&self, scratch: &mut Scratch, checks: &[usize], factors: &[Element], out: &mut [&mut [u8]]) {
        let codec = self.codec();
        let Codec { code, kernels, .. } = *codec;
        let (data, coset) = (code.data, code.coset());
        let encode_rows = codec.encode_rows();
        let step = column_step(encode_rows);
        let mut work = scratch.take(encode_rows + coset + out.len(), step);
        let (of_data, of_parity) = self.plan.wanted.split_at(self.plan.wanted.partition_point(|shard| *shard < data));
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut spectrum, work) = work.reborrow().split(coset);
            let (mut results, mut work) = work.split(out.len());
            results.clear(out.len());
            spectrum.clear(coset);
            codec.encode_column(
                column,
                |index| self.shards[index],
                work.reborrow(),
                |_, rows, copies| {
                    for check in checks {
                        let factor = [factors[code.position(data + check)]];
                        add_row(codec, rows.row(*check), factor, spectrum.single(*check));
                        self.add_shards(column, &[data + check], &factor, &mut spectrum.single(*check), copies);
                    }
                    for (row, shard) in (of_data.len()..).zip(of_parity) {
                        results.row_mut(row).copy_from_slice(rows.row(shard - data));
                    }
                },
            );
            codec.transform(0).inverse(code.parity, spectrum.reborrow());
            let (mut values, Work { copies, .. }) = work.split(coset);
            for (first_row, of_coset) in runs(of_data, |shard| shard / coset) {
                let delta = coset + of_coset[0] / coset * coset;
                for row in 0..coset {
                    values.row_mut(row).copy_from_slice(spectrum.row(row));
                }
                codec.transform(delta).forward(coset, values.reborrow());
                for (row, shard) in (first_row..).zip(of_coset) {
                    let position = code.position(*shard);
                    add_row(codec, values.row(position - delta), [factors[position]], results.single(row));
                }
            }
            if !of_parity.is_empty() {
                derive(&mut spectrum, coset);
                codec.transform(0).forward(code.parity, spectrum.reborrow());
                for (row, shard) in (of_data.len()..).zip(of_parity) {
                    let position = code.position(*shard);
                    add_row(codec, spectrum.row(position), [factors[position]], results.single(row));
                }
            }
            for (row, shard) in out.iter_mut().enumerate() {
                column.write(kernels, results.row(row), shard, copies);
            }
        }
    }

    pub(super) fn transform(&self, scratch: &mut Scratch, log: u32, factors: &[Element], out: &mut [&mut [u8]]) {
        let Codec { code, kernels, .. } = *self.codec();
        let transform = Transform { kernels, log, delta: 0 };
        let count = 1 << log;
        let step = column_step(count);
        let mut work = scratch.take(count + 1, step);
        let wanted_end = self.plan.wanted.iter().map(|shard| code.position(*shard) + 1).max().unwrap_or(0);
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut rows, work) = work.reborrow().split(count);
            let (mut result, Work { copies, .. }) = work.split(1);
            rows.clear(code.end());
            for shard in self.plan.reads.iter() {
                let position = code.position(shard);
                self.add_shards(column, &[shard], &[factors[position]], &mut rows.single(position), copies);
            }
            transform.inverse(code.end(), rows.reborrow());
            derive(&mut rows, count);
            transform.forward(wanted_end, rows.reborrow());
            for (shard, out) in self.plan.wanted.iter().zip(out.iter_mut()) {
                let position = code.position(*shard);
                result.clear(1);
                add_row(self.codec(), rows.row(position), [factors[position]], result.reborrow());
                column.write(kernels, result.row(0), out, copies);
            }
        }
    }
}

/// The formal derivative of a polynomial in the basis of the transform. With a Cantor basis the derivative of basis
/// polynomial i is the sum of those that lack one of its bits.
fn derive(rows: &mut Rows<'_>, count: usize) {
    let Rows { stride, len, .. } = *rows;
    for i in 1..count {
        let width = 1 << i.trailing_zeros();
        let (below, above) = rows.bytes.split_at_mut(i * stride);
        for row in 0..width {
            let to = &mut below[(i - width + row) * stride..][..len];
            let from = &above[row * stride..][..len];
            for (to, from) in to.iter_mut().zip(from) {
                *to ^= from;
            }
        }
    }
}

/// Adds a multiple of a row to the first of `to`.
fn add_row(codec: &Codec, from: &[u8], factors: [Element; 1], to: Rows<'_>) {
    let Rows { bytes, stride, len } = to;
    let sources = &[from];
    codec.kernels.mul_add(MulAdd { sources, raw: false, factors: &factors, rows_count: 1, rows: bytes, stride, len });
}

/// Which of some rising numbers are in `first..end`. There may be as many calls as numbers: not O(numbers).
fn between(numbers: &[usize], first: usize, end: usize) -> Range<usize> {
    numbers.partition_point(|number| *number < first)..numbers.partition_point(|number| *number < end)
}

/// Cuts shards, in rising order, into those of one coset each, with the number of the first of them.
fn runs(shards: &[usize], coset_of: impl Fn(usize) -> usize) -> impl Iterator<Item = (usize, &[usize])> {
    let mut first = 0;
    shards.chunk_by(move |a, b| coset_of(*a) == coset_of(*b)).map(move |run| {
        let start = first;
        first += run.len();
        (start, run)
    })
}
