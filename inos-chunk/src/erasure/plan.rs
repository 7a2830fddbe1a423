//! Repair by plan: what to read and what to do with it depends on which shards are lost, and not on their bytes.
//!
//! Four ways lead from the present shards to the lost ones. The plan takes the one with the fewest operations.
//!
//! - *Rows*: each lost shard is a sum of multiples of `data` present ones. For few losses.
//! - *Residual*: encode with zeros in place of the lost data. The difference to a parity shard that is there is what
//!   the lost data adds to it; as many of these differences as data shards are lost, times the inverse of their
//!   coefficients, are the lost data. Lost parity is in the same encoding, but for its part of the lost data.
//! - *Syndrome*: the differences again, but without a matrix; for many losses when the parity comes first. At the
//!   positions of the parity they are the values of a sum of `c / (x + y)` over the lost data, y its positions. Times
//!   the polynomial that vanishes at the y and at the parity that is not read, this is a polynomial shorter than a
//!   coset: one transform of a coset gives it, and one for each coset with lost data evaluates it there (Forney 1965,
//!   "On decoding BCH codes", with transforms).
//! - *Transform*: Leopard's decoder over all positions (Lin, Al-Naffouri, Han, Chung 2016): multiply by the polynomial
//!   that vanishes at the losses, transform, take the derivative, transform back. For many losses when the data comes
//!   first.

use super::code::{Code, element};
use super::engine::MAX_SOURCES;
use super::field::Element;
use super::transform::Transform;
use super::walsh::Locator;
use super::{Codec, CodecError, MAX_SHARDS, Scratch, check_data_len, check_parity_len, check_shard_bytes};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

mod job;

use job::Job;

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
    /// An empty set for a code of `shards` shards, data and parity, up to 65,536; more count as so many. A bit of memory
    /// for each.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let shards = shards.min(2 * MAX_SHARDS);
        Self { words: vec![0; shards.div_ceil(64)], shards, len: 0 }
    }

    /// All shards of a code.
    #[must_use]
    pub fn all(shards: usize) -> Self {
        let mut set = Self::new(shards);
        for index in 0..set.shards {
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
/// let pieces = [(0, data[0]), (2, data[2]), (3, data[3]), (4, &p)];
/// plan.run(&mut scratch, &pieces, &mut [(1, &mut east), (5, &mut again)])?;
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
    Syndrome { checks: Vec<usize>, factors: Vec<Element> },
    /// As for the syndrome, over all positions.
    Transform { log: u32, factors: Vec<Element> },
}

impl Codec {
    /// Plans the computation of the shards `wanted` from the shards `present`.
    ///
    /// Of `present` at least [`data`](Self::data) shards are needed if a data shard is not among them; otherwise all
    /// data shards are read. The plan depends on the two sets alone.
    ///
    /// With e data shards lost and w of n shards wanted, O((e + w * data) * e) field operations while `e * (e + data)`
    /// is at most 65,536, and O(n log n + w * data) beyond. For 32,768 + 32,768 shards that is some 10 ms, if all is
    /// wanted.
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
        let mut reads = ShardSet::new(data + parity);
        if !wanted.is_empty() {
            let present_data = (0..data).filter(|index| present.contains(*index));
            for index in present_data.chain(checks.iter().map(|check| data + check)) {
                reads.insert(index);
            }
        }
        let strategy = match self.cheapest(wanted.len(), lost.len()) {
            Choice::Rows if lost.len() * (lost.len() + data) > MAX_DIRECT => {
                let sources: Vec<usize> = reads.iter().collect();
                let factors = self.interpolation(&wanted, &sources, &reads);
                Strategy::Rows { sources, factors }
            }
            Choice::Rows => self.plan_rows(&wanted, &lost, &checks),
            Choice::Residual if lost.len() * (lost.len() + data) > MAX_DIRECT => {
                // The differences are a codeword, too: one in which the data that is read is zero.
                let sources: Vec<usize> = checks.iter().map(|check| data + check).collect();
                let factors = self.interpolation(&wanted, &sources, &reads);
                Strategy::Residual { checks, factors }
            }
            Choice::Residual => {
                let rows = self.combination(&wanted, &lost, &checks);
                let factors = grouped(wanted.len(), checks.len(), |row, check| rows[row * checks.len() + check]);
                Strategy::Residual { checks, factors }
            }
            Choice::Syndrome => {
                let mut factors = self.locator_factors(&reads);
                // The sum that is evaluated has the lost data times the numerator of its coefficients.
                for &shard in &lost {
                    let position = self.code.position(shard);
                    factors[position] = factors[position].mul(element(position >> self.code.log).inverse());
                }
                Strategy::Syndrome { checks, factors }
            }
            Choice::Transform => {
                let factors = self.locator_factors(&reads);
                Strategy::Transform { log: self.all_positions().log, factors }
            }
        };
        Ok(RepairPlan { codec: *self, reads, wanted, strategy })
    }

    /// By vector operations, weighted so that the borders are where the ways were measured to be level (AVX2, 100 + 20
    /// and 1000 + 200): a butterfly with a factor from GF(2^8) is 10, a sum of four multiples 4 * 5, and 7 for the
    /// coordinates of their source.
    fn cheapest(&self, wanted: usize, lost: usize) -> Choice {
        // The products below pass 2^32 for the largest codes.
        let (wanted, lost) = (wanted as u64, lost as u64);
        let Code { data, parity, high_rate, .. } = self.code;
        let coset = self.code.coset();
        let cost = |transform: Transform, rows: usize| transform.cost(rows) as u64;
        let multiple = if self.code.end() <= 256 { 5 } else { 10 };
        let rows = data as u64 * (7 * wanted.div_ceil(4) + multiple * wanted);
        let outside = if high_rate { data } else { parity };
        let cosets = (0..outside).step_by(coset).map(|first| cost(self.transform(coset + first), coset));
        let encode = 10 * (cosets.sum::<u64>() + cost(self.transform(0), coset)) + 7 * data as u64;
        let residual = encode + multiple * wanted * lost;
        let many = if high_rate {
            // The parity's coset, twice if parity is wanted, and those with lost data.
            let lost_cosets = lost.min(data.div_ceil(coset) as u64);
            encode + 10 * (2 + lost_cosets) * cost(self.transform(coset), coset) + 4 * multiple * wanted
        } else {
            let all = self.all_positions();
            let positions = 1_usize << all.log;
            20 * cost(all, positions) + (2 * multiple + 7 + 2 * u64::from(all.log)) * positions as u64
        };
        if lost > 0 && many < residual.min(rows) {
            if high_rate { Choice::Syndrome } else { Choice::Transform }
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

    /// What each wanted shard is of each source, a shard that is read, if all others that are read are zero; in the
    /// order of [`Strategy`]. A codeword is a polynomial that the shards that are read determine: by Lagrange, with
    /// products over the positions that are not read in place of those that are (all differences of a subspace together
    /// are 1).
    fn interpolation(&self, wanted: &[usize], sources: &[usize], reads: &ShardSet) -> Vec<Element> {
        let of_position = self.locator_factors(reads);
        grouped(wanted.len(), sources.len(), |row, source| {
            let (x, y) = (self.code.position(wanted[row]), self.code.position(sources[source]));
            of_position[x].mul(of_position[y]).mul(element(x ^ y).inverse())
        })
    }

    /// For each position the product of its differences to all positions that are not read, if it is read; otherwise
    /// the inverse of that product without itself.
    fn locator_factors(&self, reads: &ShardSet) -> Vec<Element> {
        let code = self.code;
        // A position without a shard is known to be zero where data would be, and as good as lost where parity would.
        let mut lost = vec![false; 1 << self.all_positions().log];
        let unused_parity = if code.high_rate { code.parity..code.coset() } else { code.end()..lost.len() };
        lost[unused_parity].fill(true);
        for shard in 0..code.data + code.parity {
            lost[code.position(shard)] = !reads.contains(shard);
        }
        let locator = Locator::new(&lost);
        let factor = |(position, lost): (usize, &bool)| {
            let product = locator.product(position);
            if *lost { product.inverse() } else { product }
        };
        lost.iter().enumerate().map(factor).collect()
    }
}

/// Up to this product of the losses with losses and data, what a plan needs is multiplied out. Above it the tables of
/// [`Locator`], one to a few milliseconds, cost less.
const MAX_DIRECT: usize = 1 << 16;

enum Choice {
    Rows,
    Residual,
    Syndrome,
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
    /// The shards that [`run`](Self::run) needs: all present data shards, and as many parity shards as data is lost.
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
            Strategy::Syndrome { checks, factors } => job.syndrome(scratch, checks, factors, &mut outputs),
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
            Strategy::Syndrome { .. } => "syndrome",
            Strategy::Transform { .. } => "transform",
        };
        f.debug_struct("RepairPlan")
            .field("codec", &self.codec)
            .field("wanted", &self.wanted)
            .field("strategy", &strategy)
            .finish_non_exhaustive()
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
