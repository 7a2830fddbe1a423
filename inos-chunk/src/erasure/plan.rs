//! Repair by plan: what to read and what to do with it depends on which shards are lost, and not on their bytes.
//!
//! Three ways lead from the present shards to the lost ones. The plan takes the one with the fewest operations.
//!
//! - *Rows*: each lost shard is a sum of multiples of `data` present ones. For few losses.
//! - *Residual*: encode with zeros in place of the lost data. The difference to a parity shard that is there is what
//!   the lost data adds to it; as many of these differences as data shards are lost, times the inverse of their
//!   coefficients, are the lost data. Lost parity is in the same encoding, but for its part of the lost data.
//! - *Transform*: Leopard's decoder over all positions (Lin, Al-Naffouri, Han, Chung 2016): multiply by the polynomial
//!   that vanishes at the losses, transform, take the derivative, transform back. For many losses of many shards.

use super::code::Code;
use super::columns::{Column, Work};
use super::engine::{MAX_SOURCES, MulAdd};
use super::field::Element;
use super::transform::{Rows, Transform};
use super::walsh::Locator;
use super::{Codec, CodecError, Scratch, check_data_len, check_parity_len, check_shard_bytes, column_step};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// A set of shard numbers of one code.
///
/// ```
/// use inos_chunk::erasure::ShardSet;
///
/// let set = ShardSet::from_indices(14, [3, 1]).expect("both are below 14");
/// assert!(set.contains(3) && !set.contains(2) && !set.contains(99));
/// assert_eq!(set.iter().collect::<Vec<_>>(), [1, 3]);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShardSet {
    words: Vec<u64>,
    shards: usize,
    len: usize,
}

impl ShardSet {
    /// An empty set for a code of `shards` shards, data and parity. `shards` bits of memory.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        Self { words: vec![0; shards.div_ceil(64)], shards, len: 0 }
    }

    /// All shards of a code.
    #[must_use]
    pub fn all(shards: usize) -> Self {
        let mut set = Self::new(shards);
        for index in 0..shards {
            set.insert(index);
        }
        set
    }

    /// The set of these numbers; one that is named twice is in it once.
    ///
    /// # Errors
    ///
    /// [`CodecError::ShardIndex`] for a number that is not below `shards`.
    pub fn from_indices(shards: usize, indices: impl IntoIterator<Item = usize>) -> Result<Self, CodecError> {
        let mut set = Self::new(shards);
        for index in indices {
            set.check(index)?;
            set.insert(index);
        }
        Ok(set)
    }

    /// Adds a shard. Returns whether it was new; a number the code does not have never is.
    pub fn insert(&mut self, index: usize) -> bool {
        if index >= self.shards || self.contains(index) {
            return false;
        }
        self.words[index / 64] |= 1 << (index % 64);
        self.len += 1;
        true
    }

    /// Takes a shard out. Returns whether it was there.
    pub fn remove(&mut self, index: usize) -> bool {
        if !self.contains(index) {
            return false;
        }
        self.words[index / 64] &= !(1 << (index % 64));
        self.len -= 1;
        true
    }

    /// Whether a shard is in the set.
    #[must_use]
    pub fn contains(&self, index: usize) -> bool {
        index < self.shards && self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Shards in the set.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no shard is in the set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shards of the code: every number in the set is below it.
    #[must_use]
    pub const fn shards(&self) -> usize {
        self.shards
    }

    /// The numbers in the set, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..self.shards).filter(|index| self.contains(*index))
    }

    fn check(&self, index: usize) -> Result<(), CodecError> {
        if index < self.shards { Ok(()) } else { Err(CodecError::ShardIndex { index, shards: self.shards }) }
    }

    /// Adds a shard that must be new.
    pub(super) fn claim(&mut self, index: usize) -> Result<(), CodecError> {
        self.check(index)?;
        if self.insert(index) { Ok(()) } else { Err(CodecError::DuplicateShard { index }) }
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How to compute certain shards from certain others; made by [`Codec::plan_repair`], used any number of times.
///
/// ```
/// use inos_chunk::erasure::{Codec, ShardSet};
///
/// let codec = Codec::new(4, 2)?;
/// let mut scratch = codec.scratch();
/// let data: [&[u8]; 4] = [b"north ", b"east  ", b"south ", b"west  "];
/// let (mut p, mut q) = ([0; 6], [0; 6]);
/// codec.encode_into(&mut scratch, &data, &mut [&mut p, &mut q])?;
///
/// // A node that held shard 1, and the node of shard 5, are gone.
/// let present = ShardSet::from_indices(6, [0, 2, 3, 4])?;
/// let plan = codec.plan_repair(&present, &ShardSet::from_indices(6, [1, 5])?)?;
/// let (mut east, mut again) = ([0; 6], [0; 6]);
/// plan.run(&mut scratch, &[(0, data[0]), (2, data[2]), (3, data[3]), (4, &p)], &mut [(1, &mut east), (5, &mut again)])?;
/// assert_eq!((&east, again), (b"east  ", q));
/// # Ok::<(), inos_chunk::erasure::CodecError>(())
/// ```
#[derive(Clone)]
pub struct RepairPlan {
    codec: Codec,
    reads: ShardSet,
    /// The shards that are computed, rising.
    wanted: Vec<usize>,
    strategy: Strategy,
}

/// Factors are in groups of [`MAX_SOURCES`] sources; in a group row by row.
#[derive(Clone)]
enum Strategy {
    /// Each wanted shard from the sources, which are shards.
    Rows { sources: Vec<usize>, factors: Vec<Element> },
    /// `checks` are parity shards, counted from 0; each wanted shard from their differences, and for parity from the
    /// encoding itself.
    Residual { checks: Vec<usize>, factors: Vec<Element> },
    /// For each position what it is multiplied with: before the transforms if it is read, after them if it is wanted.
    Transform { log: u32, factors: Vec<Element> },
}

impl Codec {
    /// Plans the computation of the shards `wanted` from the shards `present`.
    ///
    /// Of `present` at least [`data`](Self::data) shards are needed if a data shard is not among them; otherwise all
    /// data shards are read. The plan depends on the two sets alone. For e lost data shards O(e^2) field operations,
    /// with few wanted shards O(data * e); a full transform instead, for a large share of many shards.
    ///
    /// # Errors
    ///
    /// [`CodecError::NotEnoughShards`] when too many are lost, [`CodecError::DuplicateShard`] for a shard that is both
    /// present and wanted, [`CodecError::SetLen`] for sets of another code.
    pub fn plan_repair(&self, present: &ShardSet, wanted: &ShardSet) -> Result<RepairPlan, CodecError> {
        let Code { data, parity, .. } = self.code;
        for set in [present, wanted] {
            if set.shards != data + parity {
                return Err(CodecError::SetLen { shards: data + parity, set: set.shards });
            }
        }
        if let Some(index) = wanted.iter().find(|index| present.contains(*index)) {
            return Err(CodecError::DuplicateShard { index });
        }
        let lost: Vec<usize> = (0..data).filter(|index| !present.contains(*index)).collect();
        let checks = (0..parity).filter(|index| present.contains(data + index));
        let checks: Vec<usize> = checks.take(lost.len()).collect();
        if checks.len() < lost.len() {
            return Err(CodecError::NotEnoughShards { needed: data, present: present.len });
        }
        let wanted: Vec<usize> = wanted.iter().collect();
        let strategy = match self.cheapest(wanted.len(), lost.len()) {
            Choice::Rows => self.plan_rows(&wanted, &lost, &checks),
            Choice::Residual => {
                let rows = self.combination(&wanted, &lost, &checks);
                let factors = grouped(wanted.len(), checks.len(), |row, check| rows[row * checks.len() + check]);
                Strategy::Residual { checks: checks.clone(), factors }
            }
            Choice::Transform => self.plan_transform(present),
        };
        let reads = match &strategy {
            Strategy::Transform { .. } => present.clone(),
            _ if wanted.is_empty() => ShardSet::new(data + parity),
            _ => {
                let present_data = (0..data).filter(|index| present.contains(*index));
                ShardSet::from_indices(data + parity, present_data.chain(checks.iter().map(|check| data + check)))?
            }
        };
        Ok(RepairPlan { codec: *self, reads, wanted, strategy })
    }

    /// By vector operations, weighted so that the borders are where the ways were measured to be level (AVX2, 100 + 20
    /// and 1000 + 200): a butterfly with a factor from GF(2^8) is 10, a sum of four multiples 4 * 5, and 7 for the
    /// coordinates of their source.
    fn cheapest(&self, wanted: usize, lost: usize) -> Choice {
        let Code { data, parity, high_rate, .. } = self.code;
        let coset = self.code.coset();
        let multiple = if self.code.end() <= 256 { 5 } else { 10 };
        let rows = data * (7 * wanted.div_ceil(4) + multiple * wanted);
        let outside = if high_rate { data } else { parity };
        let cosets = (0..outside).step_by(coset).map(|first| self.transform(coset + first).cost(coset));
        let encode = 10 * (cosets.sum::<usize>() + self.transform(0).cost(coset)) + 7 * data;
        let residual = encode + multiple * wanted * lost;
        let all = self.all_positions();
        let positions = 1 << all.log;
        let transform = 20 * all.cost(positions) + (2 * multiple + 7 + 2 * all.log as usize) * positions;
        if lost > 0 && transform < residual.min(rows) {
            Choice::Transform
        } else if residual <= rows {
            Choice::Residual
        } else {
            Choice::Rows
        }
    }

    fn all_positions(&self) -> Transform {
        let log = self.code.end().next_power_of_two().ilog2();
        Transform { kernels: self.kernels, log, delta: 0 }
    }

    /// What each wanted shard is of the differences of the parity shards `checks`, without what the present data adds
    /// to a wanted parity shard: `wanted.len() * checks.len()` factors, row by row.
    fn combination(&self, wanted: &[usize], lost: &[usize], checks: &[usize]) -> Vec<Element> {
        let data = self.data();
        let inverse = self.code.inverse(checks, lost);
        let mut rows = Vec::with_capacity(wanted.len() * checks.len());
        for &shard in wanted {
            if shard < data {
                let row = lost.binary_search(&shard).expect("a wanted data shard is not present");
                rows.extend_from_slice(&inverse[row * checks.len()..][..checks.len()]);
                continue;
            }
            let of_lost: Vec<Element> = lost.iter().map(|lost| self.code.coefficient(shard - data, *lost)).collect();
            for check in 0..checks.len() {
                let terms = of_lost.iter().enumerate().map(|(i, factor)| factor.mul(inverse[i * checks.len() + check]));
                rows.push(terms.fold(Element::ZERO, Element::add));
            }
        }
        rows
    }

    fn plan_rows(&self, wanted: &[usize], lost: &[usize], checks: &[usize]) -> Strategy {
        let data = self.data();
        let combination = self.combination(wanted, lost, checks);
        let present = (0..data).filter(|index| lost.binary_search(index).is_err());
        let sources: Vec<usize> = present.chain(checks.iter().map(|check| data + check)).collect();
        let factors = grouped(wanted.len(), sources.len(), |row, source| {
            let combination = &combination[row * checks.len()..][..checks.len()];
            let source = sources[source];
            if source >= data {
                let check = checks.binary_search(&(source - data)).expect("checks are sources");
                return combination[check];
            }
            let own =
                if wanted[row] < data { Element::ZERO } else { self.code.coefficient(wanted[row] - data, source) };
            let terms = checks.iter().zip(combination);
            terms.fold(own, |sum, (check, factor)| sum.add(factor.mul(self.code.coefficient(*check, source))))
        });
        Strategy::Rows { sources, factors }
    }

    fn plan_transform(&self, present: &ShardSet) -> Strategy {
        let code = self.code;
        let log = self.all_positions().log;
        // A position without a shard is known to be zero where data would be, and as good as lost where parity would.
        let mut lost = vec![false; 1 << log];
        let unused_parity = if code.high_rate { code.parity..code.coset() } else { code.end()..lost.len() };
        lost[unused_parity].fill(true);
        for shard in 0..code.data + code.parity {
            lost[code.position(shard)] = !present.contains(shard);
        }
        let locator = Locator::new(&lost);
        let factors = (0..lost.len())
            .map(|position| {
                let product = locator.product(position);
                if lost[position] { product.inverse() } else { product }
            })
            .collect();
        Strategy::Transform { log, factors }
    }
}

enum Choice {
    Rows,
    Residual,
    Transform,
}

/// The factors of `rows` rows and `sources` sources in the order of [`Strategy`].
fn grouped(rows: usize, sources: usize, factor: impl Fn(usize, usize) -> Element) -> Vec<Element> {
    let mut factors = Vec::with_capacity(rows * sources);
    for first in (0..sources).step_by(MAX_SOURCES) {
        for row in 0..rows {
            factors.extend((first..sources.min(first + MAX_SOURCES)).map(|source| factor(row, source)));
        }
    }
    factors
}

impl RepairPlan {
    /// The shards that [`run`](Self::run) needs: at most as many as the code has data shards, unless so many are lost
    /// that all of the present ones are of use.
    #[must_use]
    pub const fn reads(&self) -> &ShardSet {
        &self.reads
    }

    /// The shards that the plan computes, rising.
    pub fn wanted(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.wanted.iter().copied()
    }

    /// Computes lost shards.
    ///
    /// `present` has all shards of [`reads`](Self::reads); others are ignored. `out` has the wanted shards, or some of
    /// them. Both are pairs of shard number and bytes, in any order, no number twice. Parity shards have the shard
    /// length; a data shard may be shorter and counts as padded with zeros, which is not checked for a lost one.
    ///
    /// # Errors
    ///
    /// [`CodecError`] when a shard is missing, unknown or given twice, or has a wrong length; `out` is untouched then.
    pub fn run(
        &self,
        scratch: &mut Scratch,
        present: &[(usize, &[u8])],
        out: &mut [(usize, &mut [u8])],
    ) -> Result<(), CodecError> {
        let Some(shard_bytes) = self.check(present, out)? else { return Ok(()) };
        let mut shards: Vec<&[u8]> = vec![&[]; self.reads.shards];
        for (index, bytes) in present {
            if self.reads.contains(*index) {
                shards[*index] = bytes;
            }
        }
        let mut outputs: Vec<&mut [u8]> = self.wanted.iter().map(|_| Default::default()).collect();
        for (index, bytes) in out {
            // `check` has seen that it is there.
            if let Ok(row) = self.wanted.binary_search(index) {
                outputs[row] = bytes;
            }
        }
        let job = Job { plan: self, shards: &shards, shard_bytes };
        match &self.strategy {
            Strategy::Rows { sources, factors } => job.rows(scratch, sources, factors, &mut outputs),
            Strategy::Residual { checks, factors } => job.residual(scratch, checks, factors, &mut outputs),
            Strategy::Transform { log, factors } => job.transform(scratch, *log, factors, &mut outputs),
        }
        Ok(())
    }

    /// The shard length; `None` when there is nothing to do.
    fn check(&self, present: &[(usize, &[u8])], out: &[(usize, &mut [u8])]) -> Result<Option<usize>, CodecError> {
        let mut given = ShardSet::new(self.reads.shards);
        for (index, _) in present {
            given.claim(*index)?;
        }
        if let Some(index) = self.reads.iter().find(|index| !given.contains(*index)) {
            return Err(CodecError::MissingShard { index });
        }
        for (index, _) in out {
            given.claim(*index)?;
            if self.wanted.binary_search(index).is_err() {
                return Err(CodecError::NotPlanned { index: *index });
            }
        }
        if out.is_empty() {
            return Ok(None);
        }
        let lengths = present.iter().filter(|(index, _)| self.reads.contains(*index));
        let lengths = lengths.map(|(index, shard)| (*index, shard.len()));
        let lengths = lengths.chain(out.iter().map(|(index, shard)| (*index, shard.len())));
        let data = self.codec.data();
        let (_, shard_bytes) = lengths
            .clone()
            .find(|(index, _)| *index >= data)
            .expect("lost data is repaired from parity, and lost parity has the shard length itself");
        check_shard_bytes(shard_bytes)?;
        for (index, len) in lengths {
            if index < data {
                check_data_len(index, len, shard_bytes)?;
            } else {
                check_parity_len(index, len, shard_bytes)?;
            }
        }
        Ok(Some(shard_bytes))
    }
}

impl fmt::Debug for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = match self.strategy {
            Strategy::Rows { .. } => "rows",
            Strategy::Residual { .. } => "residual",
            Strategy::Transform { .. } => "transform",
        };
        f.debug_struct("RepairPlan")
            .field("codec", &self.codec)
            .field("wanted", &self.wanted)
            .field("strategy", &strategy)
            .finish_non_exhaustive()
    }
}

/// A plan with shards, by number; those that the plan does not read are empty.
struct Job<'a> {
    plan: &'a RepairPlan,
    shards: &'a [&'a [u8]],
    shard_bytes: usize,
}

impl Job<'_> {
    fn codec(&self) -> &Codec {
        &self.plan.codec
    }

    fn rows(&self, scratch: &mut Scratch, sources: &[usize], factors: &[Element], out: &mut [&mut [u8]]) {
        let kernels = self.codec().kernels;
        let count = out.len();
        let step = column_step(4 * count);
        let mut work = scratch.take(count, step);
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut sums, Work { copies, .. }) = work.reborrow().split(count);
            for row in 0..count {
                sums.row_mut(row).fill(0);
            }
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

    fn residual(&self, scratch: &mut Scratch, checks: &[usize], factors: &[Element], out: &mut [&mut [u8]]) {
        let codec = self.codec();
        let data = codec.data();
        let encode_rows = codec.encode_rows();
        let step = column_step(encode_rows);
        let mut work = scratch.take(encode_rows + checks.len() + out.len(), step);
        for column in Column::all(self.shard_bytes, step) {
            work.for_column(column);
            let (mut differences, work) = work.reborrow().split(checks.len());
            let (mut sums, mut work) = work.split(out.len());
            for row in 0..out.len() {
                sums.row_mut(row).fill(0);
            }
            codec.encode_column(
                column,
                |index| self.shards[index],
                work.reborrow(),
                |first, rows, copies| {
                    let in_rows = |parity: &usize| (first..first + codec.code.coset()).contains(parity);
                    for (number, check) in checks.iter().enumerate().filter(|(_, check)| in_rows(check)) {
                        differences.row_mut(number).copy_from_slice(rows.row(check - first));
                        let mut row = differences.single(number);
                        self.add_shards(column, &[data + check], &[Element::ONE], &mut row, copies);
                    }
                    for (row, shard) in self.plan.wanted.iter().enumerate() {
                        if let Some(parity) = shard.checked_sub(data).filter(in_rows) {
                            sums.row_mut(row).copy_from_slice(rows.row(parity - first));
                        }
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

    fn transform(&self, scratch: &mut Scratch, log: u32, factors: &[Element], out: &mut [&mut [u8]]) {
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
            for position in 0..code.end() {
                rows.row_mut(position).fill(0);
            }
            for shard in self.plan.reads.iter() {
                let position = code.position(shard);
                self.add_shards(column, &[shard], &[factors[position]], &mut rows.single(position), copies);
            }
            transform.inverse(code.end(), rows.reborrow());
            derive(&mut rows, count);
            transform.forward(wanted_end, rows.reborrow());
            for (shard, out) in self.plan.wanted.iter().zip(out.iter_mut()) {
                let position = code.position(*shard);
                result.row_mut(0).fill(0);
                kernels.mul_add(MulAdd {
                    sources: &[rows.row(position)],
                    raw: false,
                    factors: &[factors[position]],
                    rows_count: 1,
                    rows: result.bytes,
                    stride: result.stride,
                    len: result.len,
                });
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

#[cfg(test)]
mod tests {
    //! Goal: coefficients and inverse belong together. Method: multiply them, for both rates and both fields.

    use super::*;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_inverse_inverts() {
        for (data, parity) in [(100, 20), (10, 4), (4, 3), (3, 9), (1000, 200), (30, 400)] {
            let code = Code::new(data, parity);
            let count = parity.min(data).min(20);
            let lost: Vec<usize> = (0..count).map(|i| i * data / count).collect();
            let checks: Vec<usize> = (0..count).map(|j| j * parity / count).collect();
            let inverse = code.inverse(&checks, &lost);
            for i in 0..count {
                for (k, lost) in lost.iter().enumerate() {
                    let terms = (0..count).map(|j| inverse[i * count + j].mul(code.coefficient(checks[j], *lost)));
                    let sum = terms.fold(Element::ZERO, Element::add);
                    assert_eq!(sum, if i == k { Element::ONE } else { Element::ZERO });
                    assert!(!code.is_bytes() || sum.is_byte());
                }
            }
        }
    }
}
