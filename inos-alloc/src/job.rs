//! Which nodes work on a job, and which part of it each does.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::allocator::Allocator;
use crate::id::Id;
use crate::policy::ROUTE_MAX;
use crate::scheme::nodes_for_job;
use crate::spec::NodeRef;
use crate::units::{Capabilities, Requirements};

/// A healthy node that may work on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Worker {
    /// The node.
    pub node: NodeRef,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Free working memory in megabytes.
    pub memory_mb: u64,
    /// Its load in thousandths.
    pub load_permille: u32,
    /// What is free on it, in any unit that is the same for all workers: idle cores, or thousandths that are not loaded.
    pub free: u64,
}

impl Worker {
    /// A healthy node of an allocator that is not drained, with the thousandths that are not loaded as what is free; `None`
    /// for any other handle.
    #[must_use]
    pub fn of<N: Id, R: Id>(mesh: &Allocator<N, R>, node: NodeRef) -> Option<Self> {
        let load = mesh.load(node).filter(|_| !mesh.is_draining(node))?;
        Some(Self {
            node,
            capabilities: mesh.node(node)?.capabilities,
            memory_mb: load.free.memory_mb,
            load_permille: load.effective_permille,
            free: u64::from(1000u32.saturating_sub(load.effective_permille)),
        })
    }

    fn meets(&self, requires: &Requirements) -> bool {
        self.capabilities.contains(requires.capabilities)
            && self.memory_mb >= requires.memory_mb
            && self.load_permille < u32::from(ROUTE_MAX.value())
    }
}

/// The part of a job that one node does: bytes `start..start + len` of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Share {
    /// Who does it.
    pub node: NodeRef,
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub len: u64,
}

/// Who does what of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Distribution {
    /// How many nodes a job of this size is worth: [`nodes_for_job`].
    pub want: u32,
    /// The shares, in the order of the input; they have all of it, unless there is no node at all.
    pub shares: Vec<Share>,
    /// How many nodes fewer than `want` there are.
    pub shortfall: u32,
}

/// Cuts a job of `size` bytes up over the [`nodes_for_job`] least loaded workers below [`ROUTE_MAX`] that have what it
/// requires, in proportion to what is free on each: see [`split`]. Of equally loaded workers the one with more free comes
/// first, then the lower handle. A worker that is given twice counts once. O(workers x log workers).
///
/// It books nothing: what the job adds to the load of its nodes is theirs to report.
///
/// ```
/// use inos_alloc::{Capabilities, NodeRef, Requirements, Worker, distribute};
///
/// let worker = |index| Worker {
///     node: NodeRef { index, generation: 0 },
///     capabilities: if index < 3 { Capabilities::GPU } else { Capabilities::NONE },
///     memory_mb: 8192,
///     load_permille: 200,
///     free: 800,
/// };
/// let workers: Vec<Worker> = (0..10).map(worker).collect();
/// let any = distribute(50 << 20, &Requirements::default(), &workers);
/// assert_eq!((any.want, any.shares.len(), any.shares[0].len), (5, 5, 10 << 20));
///
/// let requires = Requirements { capabilities: Capabilities::GPU, ..Requirements::default() };
/// let graphics = distribute(50 << 20, &requires, &workers);
/// assert_eq!((graphics.shares.len(), graphics.shortfall), (3, 2));
/// ```
#[must_use]
pub fn distribute(size: u64, requires: &Requirements, workers: &[Worker]) -> Distribution {
    let want = nodes_for_job(size);
    let mut able: Vec<&Worker> = workers.iter().filter(|worker| worker.meets(requires)).collect();
    // By handle first, so that of a worker given twice the better one stays, wherever it was given.
    able.sort_unstable_by_key(|worker| (worker.node, worker.load_permille, Reverse(worker.free)));
    able.dedup_by_key(|worker| worker.node);
    able.sort_unstable_by_key(|worker| (worker.load_permille, Reverse(worker.free), worker.node));
    able.truncate(usize::try_from(want).unwrap_or(usize::MAX));
    let free: Vec<u64> = able.iter().map(|worker| worker.free).collect();
    let mut start = 0;
    let shares: Vec<Share> = able
        .iter()
        .zip(split(size, &free))
        .map(|(worker, len)| {
            let share = Share { node: worker.node, start, len };
            // Never above `size`.
            start += len;
            share
        })
        .collect();
    let shortfall = want.saturating_sub(u32::try_from(shares.len()).unwrap_or(u32::MAX));
    Distribution { want, shares, shortfall }
}

/// Splits `size` units into as many parts as there are weights, in proportion to them. The parts add up to `size`, every
/// part has at least one unit when there are enough, and one with the larger weight never has less.
///
/// Each part gets one unit (none, when there are fewer units than parts), and of the rest its exact share rounded down;
/// what then remains goes, one unit each, to the largest fractions, of equals to the first (largest remainder). Weights
/// that are all zero count as equal. Without weights there are no parts. O(n log n).
///
/// ```
/// assert_eq!(inos_alloc::split(10, &[3, 1, 0]), [6, 3, 1]);
/// assert_eq!(inos_alloc::split(2, &[1, 1, 1]), [1, 1, 0]);
/// assert_eq!(inos_alloc::split(2, &[]), []);
/// ```
#[must_use]
pub fn split(size: u64, weights: &[u64]) -> Vec<u64> {
    let count = u64::try_from(weights.len()).unwrap_or(u64::MAX);
    let least = u64::from(size >= count);
    let rest = size - least * count;
    let sum: u128 = weights.iter().copied().map(u128::from).sum();
    let (sum, equal) = if sum == 0 { (u128::from(count), true) } else { (sum, false) };
    let mut given = 0;
    let mut remainders = Vec::with_capacity(weights.len());
    let mut parts: Vec<u64> = weights
        .iter()
        .enumerate()
        .map(|(index, &weight)| {
            let scaled = u128::from(rest) * u128::from(if equal { 1 } else { weight });
            remainders.push((Reverse(scaled % sum), index));
            // At most `rest`, because a weight is at most their sum.
            let whole = u64::try_from(scaled / sum).unwrap_or(rest);
            given += whole;
            least + whole
        })
        .collect();
    remainders.sort_unstable();
    let left = usize::try_from(rest - given).unwrap_or(usize::MAX);
    for &(_, index) in remainders.iter().take(left) {
        parts[index] += 1;
    }
    parts
}
