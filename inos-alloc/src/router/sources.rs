//! Enough shards of a stripe, from the best holders, with some to spare.

use alloc::collections::{BTreeMap, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::spec::NodeRef;

/// A parity shard counts as slower than it is by one part in this: as data needs no decoding, data is asked for unless
/// parity is clearly nearer.
const PARITY_HANDICAP: u128 = 8;

/// A shard, and a node to ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Which shard of the stripe, data first.
    pub shard: u32,
    /// Who has it.
    pub node: NodeRef,
}

/// A holder that may be asked, and what speaks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) source: Source,
    pub(super) parity: bool,
    pub(super) round_trip_ns: u64,
    /// Requests that the node has to serve first.
    pub(super) in_front: u64,
    pub(super) load_permille: u32,
    pub(super) tie: u64,
}

/// Expected latency with the handicap, parity, load, tie, source: lower is better.
pub(super) type Rank = (u128, bool, u32, u64, Source);

impl Candidate {
    pub(super) fn rank(&self) -> Rank {
        self.rank_behind(0)
    }

    /// With `more` requests in front of this one.
    fn rank_behind(&self, more: u32) -> Rank {
        // 2^42 ns times 2^34 requests times 9.
        let in_front = u128::from(self.in_front) + u128::from(more);
        let latency = u128::from(self.round_trip_ns) * (1 + in_front);
        let handicapped = if self.parity { latency * (PARITY_HANDICAP + 1) } else { latency * PARITY_HANDICAP };
        (handicapped, self.parity, self.load_permille, self.tie, self.source)
    }
}

/// What to do next for a stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceAction {
    /// Ask this node for this shard.
    Ask(Source),
    /// The shard asked of this node is not needed any more.
    Cancel(Source),
}

/// Order among candidates: failures of the node, requests to the node for this stripe, rank. A key never falls.
type Key = (u32, u32, Rank);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: Key,
    candidate: Candidate,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

#[derive(Clone, Debug, Default)]
struct Shard {
    arrived: bool,
    /// Who is asked for it.
    asked: Option<NodeRef>,
    /// Holders that were not asked yet.
    left: u32,
    /// Those of them that wait for the present one to fail.
    spare: Vec<Candidate>,
}

impl Shard {
    fn is_reachable(&self) -> bool {
        self.arrived || self.asked.is_some() || self.left > 0
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    failures: u32,
    requests: u32,
}

/// A fetch of `need` shards of one stripe, from [`ChunkRouter::sources`](crate::ChunkRouter::sources).
///
/// [`Sources::poll`] says whom to ask and whom to cancel; the caller tells what [`arrived`](Sources::arrived) and what
/// [`failed`](Sources::failed), and polls again. Nobody is asked while `need + hedge` shards are under way or there. A source
/// that fails is replaced by the next best, until `need` are there or no holder is left.
///
/// The best is: a node that has not failed here, then one that was asked least often here (so that shards come from distinct
/// nodes as long as there are some), then the lowest expected latency, where a parity shard counts as one eighth slower
/// than it is, then data before parity, then the least loaded, then by hash. The shards first asked for are chosen greedily
/// in this order. Latencies and loads are those of the moment when this was made. Its memory is that of the stripe's
/// holders.
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::{ChunkRouter, NodeRef, NodeView, RegionId, RouterConfig, Source, SourceAction};
///
/// let node = |index| NodeRef { index, generation: 0 };
/// // Node 0 is the nearest.
/// let mesh = |node: NodeRef, _from: RegionId| {
///     let round_trip = Duration::from_millis(10 + u64::from(node.index));
///     Some(NodeView { load_permille: 0, inflight: 0, round_trip: Some(round_trip) })
/// };
/// let mut router = ChunkRouter::<u64>::new(RouterConfig::default());
/// let shards = [0, 1, 2, 3].map(|shard| Source { shard, node: node(shard) });
/// router.set_shards(9, 2, &shards)?;
///
/// // Two of two data and two parity shards, and one to spare.
/// let mut sources = router.sources(&9, 2, 1, RegionId(0), &mesh, Duration::ZERO).unwrap();
/// assert_eq!(sources.poll(), Some(SourceAction::Ask(shards[0])));
/// assert_eq!(sources.poll(), Some(SourceAction::Ask(shards[1])));
/// assert_eq!(sources.poll(), Some(SourceAction::Ask(shards[2])));
/// assert_eq!(sources.poll(), None);
/// assert!(sources.failed(shards[0]));
/// assert_eq!(sources.poll(), Some(SourceAction::Ask(shards[3])));
/// assert!(sources.arrived(shards[2]) && sources.arrived(shards[1]));
/// assert_eq!(sources.poll(), Some(SourceAction::Cancel(shards[3])));
/// assert!(sources.is_done());
///
/// // Five shards cannot be had of four.
/// let sources = router.sources(&9, 5, 0, RegionId(0), &mesh, Duration::ZERO).unwrap();
/// assert_eq!(sources.shortfall(), 1);
/// # Ok::<(), inos_alloc::HoldersError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sources {
    need: u32,
    /// `need` and the hedge.
    most: u32,
    waiting: BinaryHeap<Reverse<Waiting>>,
    shards: BTreeMap<u32, Shard>,
    nodes: BTreeMap<NodeRef, Asked>,
    cancelled: Vec<Source>,
    arrived: u32,
    outstanding: u32,
    reachable: u32,
}

impl Sources {
    pub(super) fn new(need: u32, hedge: u32, candidates: impl Iterator<Item = Candidate>) -> Self {
        let mut shards = BTreeMap::<u32, Shard>::new();
        let mut waiting = Vec::new();
        for candidate in candidates {
            shards.entry(candidate.source.shard).or_default().left += 1;
            waiting.push(Reverse(Waiting { key: (0, 0, candidate.rank()), candidate }));
        }
        Self {
            need,
            most: need.saturating_add(hedge),
            waiting: BinaryHeap::from(waiting),
            reachable: u32::try_from(shards.len()).unwrap_or(u32::MAX),
            shards,
            nodes: BTreeMap::new(),
            cancelled: Vec::new(),
            arrived: 0,
            outstanding: 0,
        }
    }

    /// What to do next; `None` until something more arrives or fails. O(log h), amortised.
    pub fn poll(&mut self) -> Option<SourceAction> {
        if let Some(source) = self.cancelled.pop() {
            return Some(SourceAction::Cancel(source));
        }
        if self.is_done() || self.arrived.saturating_add(self.outstanding) >= self.most {
            return None;
        }
        self.ask_next().map(SourceAction::Ask)
    }

    /// A shard has arrived and is good. `false` when it does not count: the stripe has no such shard, it is there already,
    /// or enough are. One that was given up, or never asked of this node, counts: it is there. O(log h), and O(h) when it
    /// is the last.
    pub fn arrived(&mut self, source: Source) -> bool {
        if self.is_done() {
            return false;
        }
        let Some(shard) = self.shards.get_mut(&source.shard).filter(|shard| !shard.arrived) else { return false };
        let was_reachable = shard.is_reachable();
        shard.arrived = true;
        if let Some(asked) = shard.asked.take() {
            self.outstanding -= 1;
            if asked != source.node {
                self.cancelled.push(Source { node: asked, ..source });
            }
        }
        self.arrived += 1;
        self.reachable += u32::from(!was_reachable);
        if self.is_done() {
            let asked = self.shards.iter_mut().filter_map(|(&shard, state)| {
                let node = state.asked.take()?;
                Some(Source { shard, node })
            });
            self.cancelled.extend(asked);
            self.outstanding = 0;
            self.waiting.clear();
        }
        true
    }

    /// A shard will not come from this node, or what came is bad. `false` when it was not asked of it, or is not needed any
    /// more. O(log h).
    pub fn failed(&mut self, source: Source) -> bool {
        let Some(shard) = self.shards.get_mut(&source.shard) else { return false };
        if shard.asked != Some(source.node) {
            return false;
        }
        shard.asked = None;
        self.outstanding -= 1;
        let spare = core::mem::take(&mut shard.spare);
        if !shard.is_reachable() {
            self.reachable -= 1;
        }
        self.nodes.entry(source.node).or_default().failures += 1;
        for candidate in spare {
            self.wait(candidate);
        }
        true
    }

    /// A node is gone: what is asked of it has failed, and it is not asked again. O(h log h).
    pub fn node_gone(&mut self, node: NodeRef) {
        let asked = |(&shard, state): (&u32, &Shard)| (state.asked == Some(node)).then_some(Source { shard, node });
        let outstanding: Vec<Source> = self.shards.iter().filter_map(asked).collect();
        for source in outstanding {
            self.failed(source);
        }
        let mut lost: Vec<u32> = Vec::new();
        self.waiting.retain(|Reverse(waiting)| {
            let stays = waiting.candidate.source.node != node;
            if !stays {
                lost.push(waiting.candidate.source.shard);
            }
            stays
        });
        for (&index, shard) in &mut self.shards {
            let before = shard.spare.len();
            shard.spare.retain(|candidate| candidate.source.node != node);
            lost.extend(core::iter::repeat_n(index, before - shard.spare.len()));
        }
        for index in lost {
            if let Some(shard) = self.shards.get_mut(&index) {
                shard.left -= 1;
                if !shard.is_reachable() {
                    self.reachable -= 1;
                }
            }
        }
    }

    /// Whether `need` shards are there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.arrived >= self.need
    }

    /// Shards that are there.
    #[must_use]
    pub fn arrived_count(&self) -> u32 {
        self.arrived
    }

    /// How many of `need` cannot be had, even if every holder that is left answers; 0 when all can.
    #[must_use]
    pub fn shortfall(&self) -> u32 {
        self.need.saturating_sub(self.reachable)
    }

    /// What is asked for and neither there nor failed, by shard.
    pub fn outstanding(&self) -> impl Iterator<Item = Source> + '_ {
        self.shards.iter().filter_map(|(&shard, state)| Some(Source { shard, node: state.asked? }))
    }

    fn wait(&mut self, candidate: Candidate) {
        let key = self.key(&candidate);
        self.waiting.push(Reverse(Waiting { key, candidate }));
    }

    fn key(&self, candidate: &Candidate) -> Key {
        let Asked { failures, requests } = self.nodes.get(&candidate.source.node).copied().unwrap_or_default();
        (failures, requests, candidate.rank_behind(requests))
    }

    fn ask_next(&mut self) -> Option<Source> {
        while let Some(Reverse(Waiting { key, candidate })) = self.waiting.pop() {
            // Keys only grow: one that has grown goes back, so the first that has not is the least of all.
            if key != self.key(&candidate) {
                self.wait(candidate);
                continue;
            }
            let source = candidate.source;
            let Some(shard) = self.shards.get_mut(&source.shard).filter(|shard| !shard.arrived) else { continue };
            if shard.asked.is_some() {
                shard.spare.push(candidate);
                continue;
            }
            shard.left -= 1;
            shard.asked = Some(source.node);
            self.outstanding += 1;
            self.nodes.entry(source.node).or_default().requests += 1;
            return Some(source);
        }
        None
    }
}
