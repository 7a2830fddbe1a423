//! Whom to ask for a chunk, and for enough shards of a stripe.

mod holders;
mod latency;
mod observed;
mod sources;
mod view;

use alloc::vec::Vec;
use core::time::Duration;

use crate::decay::nanos;
use crate::id::{Id, seeded_hash};
use crate::policy::ROUTE_MAX;
use crate::spec::NodeRef;
use crate::units::RegionId;
use holders::{Held, Holders, distinct};
pub use holders::{HoldersError, MAX_HOLDERS};
pub use latency::PeakEwma;
use latency::round_trip_ns;
use observed::{Latencies, Request, Requests};
pub use observed::{RequestEnd, RequestId};
use sources::Candidate;
pub use sources::{Source, SourceAction, Sources};
pub use view::{MeshView, NodeView, route_group};

/// In this time what was observed loses half of its weight: 10 s x ln 2, the decay of Finagle's peak-EWMA by default.
pub const LATENCY_HALF_LIFE: Duration = Duration::from_secs(7);
/// Expected of a node at an unknown distance that was never asked. tower's peak-EWMA starts with the same second: such a
/// node is tried when the known ones are busy.
pub const DEFAULT_ROUND_TRIP: Duration = Duration::from_secs(1);
/// A request without an end is forgotten after this: a piece of 1 MiB takes as long at 280 kbit/s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// [`RouteSelect::TwoChoices`] draws from the holders whose round trip is at most this, in thousandths of the lowest: wide
/// enough for a region of which some nodes have had a peak, too narrow for the next continent. `docs/policy.md` has the
/// simulation behind it.
pub const BEST_WITHIN_PERMILLE: u32 = 3000;

/// How a [`ChunkRouter`] chooses among holders that may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteSelect {
    /// The lowest expected latency. Right when nobody else asks, or when the view is fresh.
    #[default]
    LowestLatency,
    /// Two distinct draws from the best, and of these the lower expected latency. Right when many ask on views that are
    /// behind: all of them see the same lowest one.
    ///
    /// The best are those whose round trip, without regard to requests, is within [`RouterConfig::best_within_permille`] of
    /// the lowest, and at least two. The number of requests is what is stale, so it decides only between the two.
    TwoChoices,
}

/// What a [`ChunkRouter`] is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterConfig {
    /// Settles ties and draws. Give every router its own: two with the same seed and inputs decide alike, and herd.
    pub seed: u64,
    /// How the holder of a chunk is chosen. Fetches of stripes ask most holders anyway, and always in order.
    pub select: RouteSelect,
    /// How far from the lowest round trip the best may be; [`BEST_WITHIN_PERMILLE`] by default.
    pub best_within_permille: u32,
    /// See [`PeakEwma`]; [`LATENCY_HALF_LIFE`] by default. Zero counts as one nanosecond.
    pub half_life: Duration,
    /// Round trip to nodes of which neither mesh nor observations tell one; [`DEFAULT_ROUND_TRIP`] by default.
    pub default_round_trip: Duration,
    /// After this a request counts as failed and not under way any more; [`REQUEST_TIMEOUT`] by default.
    pub request_timeout: Duration,
    /// Most ids with holders; 2^20 by default. Above it, new ones are refused.
    pub max_ids: usize,
    /// Most holders over all ids; 2^22 by default. Above it, new ones are refused.
    pub max_holders: usize,
    /// Most pairs of node and region with an observed latency; 2^16 by default. Above it, the one observed longest ago is
    /// forgotten.
    pub max_pairs: usize,
    /// Most requests under way; 2^16 by default. Above it, the oldest is not counted any more.
    pub max_requests: usize,
}

impl Default for RouterConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            select: RouteSelect::default(),
            best_within_permille: BEST_WITHIN_PERMILLE,
            half_life: LATENCY_HALF_LIFE,
            default_round_trip: DEFAULT_ROUND_TRIP,
            request_timeout: REQUEST_TIMEOUT,
            max_ids: 1 << 20,
            max_holders: 1 << 22,
            max_pairs: 1 << 16,
            max_requests: 1 << 16,
        }
    }
}

/// Chooses whom to ask: knows the holders of chunks and stripes, how long nodes take, and what is under way.
///
/// A holder is asked only while the mesh calls it healthy and below [`ROUTE_MAX`]. Expected latency is the round trip
/// times one more than the requests in front: those the node last said it was serving, and those this router has started
/// and seen no end of. One that is in both numbers counts twice until the node's next report; that errs to the side of
/// spreading. The round trip is the [`PeakEwma`] of what was observed from the asking region, before any observation what
/// the mesh expects.
///
/// `C` is the integrator's id of a chunk or a stripe. Time that goes backwards counts as standing still. Memory is bounded
/// by the limits of the [`RouterConfig`]. `h` below is the number of holders of an id, `n` of whatever the table in
/// question holds.
///
/// ```
/// use core::time::Duration;
/// use inos_alloc::{
///     Allocator, Capabilities, Capacity, ChunkRouter, Config, NodeSpec, RegionId, RequestEnd, RouterConfig, ZoneId,
/// };
///
/// let mut mesh = Allocator::<u32, u64>::new(Config::default());
/// let nodes = [0, 1].map(|id| {
///     mesh.upsert(NodeSpec {
///         id,
///         region: RegionId(id),
///         zone: ZoneId(0),
///         capabilities: Capabilities::NONE,
///         capacity: Capacity { bytes: 1 << 30, memory_mb: 4096, bandwidth_kb_s: 10_000 },
///         price: 1,
///     })
/// });
/// let (near, far) = (nodes[0], nodes[1]);
/// let (here, ms) = (RegionId(0), Duration::from_millis);
/// mesh.set_latency(here, here, ms(10));
/// mesh.set_latency(here, RegionId(1), ms(25));
///
/// let mut router = ChunkRouter::<u64>::new(RouterConfig { seed: 7, ..RouterConfig::default() });
/// router.set_holders(1, &nodes)?;
/// assert_eq!(router.route(&1, here, &mesh, ms(0)), Some(near));
/// // Two requests are under way there: a third would wait 30 ms.
/// let first = router.started(near, here, &mesh, ms(0));
/// let second = router.started(near, here, &mesh, ms(0));
/// assert_eq!(router.route(&1, here, &mesh, ms(1)), Some(far));
/// // They took longer than the mesh expected.
/// assert!(router.finished(first, RequestEnd::Answered, ms(80)));
/// assert!(router.finished(second, RequestEnd::Answered, ms(80)));
/// assert_eq!(router.expected_latency(near, here, &mesh, ms(80)), Some(ms(80)));
/// // Nobody is left to ask.
/// mesh.nodes_failed(&nodes, ms(90));
/// assert_eq!(router.route(&1, here, &mesh, ms(90)), None);
/// # Ok::<(), inos_alloc::HoldersError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChunkRouter<C> {
    config: RouterConfig,
    now: Duration,
    holders: Holders<C>,
    latencies: Latencies,
    requests: Requests,
    /// Number of the last choice between two.
    draw: u64,
    /// Kept for its memory alone.
    ranked: Vec<Candidate>,
}

impl<C: Id> ChunkRouter<C> {
    /// A router that knows nothing yet.
    #[must_use]
    pub fn new(config: RouterConfig) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            holders: Holders::new(config.max_ids, config.max_holders),
            latencies: Latencies::new(config.half_life, config.max_pairs),
            requests: Requests::default(),
            draw: 0,
            ranked: Vec::new(),
        }
    }

    /// Says who has `chunk`, in place of what was known of the id. Duplicates count once; without holders the id is
    /// forgotten. O(h log n).
    ///
    /// # Errors
    ///
    /// [`HoldersError`] above a limit. What was known stays.
    pub fn set_holders(&mut self, chunk: C, nodes: &[NodeRef]) -> Result<(), HoldersError> {
        self.holders.set(chunk, Held::Chunk(distinct(nodes)?))
    }

    /// Says who has which shard of `stripe`, in place of what was known of the id. Shards below `data` are data, the
    /// others parity. A shard may have several holders and a node several shards. Duplicates count once; without shards
    /// the id is forgotten. O(h log n).
    ///
    /// # Errors
    ///
    /// [`HoldersError`] above a limit. What was known stays.
    pub fn set_shards(&mut self, stripe: C, data: u32, shards: &[Source]) -> Result<(), HoldersError> {
        self.holders.set(stripe, Held::Stripe { data, shards: distinct(shards)? })
    }

    /// Forgets a chunk or a stripe; `false` when it was not known. O(h log n).
    pub fn forget(&mut self, id: &C) -> bool {
        self.holders.forget(id)
    }

    /// Forgets a node for good: as a holder, its latencies, and the requests to it, which get no end. The ids that have
    /// lost a holder, ascending; those left without one are forgotten.
    ///
    /// O(ids of the node x (h + log n)) and O(requests under way).
    pub fn node_gone(&mut self, node: NodeRef) -> Vec<C> {
        self.latencies.node_gone(node);
        self.requests.node_gone(node);
        self.holders.node_gone(node).into_iter().collect()
    }

    /// The holder of a chunk to ask from `from`, by [`RouterConfig::select`]. Ties go to the less loaded, then by a hash of
    /// seed, node and chunk. `None` when no holder may be asked, and for a stripe, of which [`ChunkRouter::sources`] tells.
    /// O(h).
    ///
    /// It only chooses; a request that is then sent is told by [`ChunkRouter::started`].
    pub fn route<M>(&mut self, chunk: &C, from: RegionId, mesh: &M, now: Duration) -> Option<NodeRef>
    where
        M: MeshView + ?Sized,
    {
        self.advance(now);
        let mut ranked = core::mem::take(&mut self.ranked);
        ranked.clear();
        let rotation = self.rotation(chunk);
        if let Some(Held::Chunk(nodes)) = self.holders.held(chunk) {
            let rank = |&node: &NodeRef| self.candidate(Source { shard: 0, node }, from, mesh, rotation);
            ranked.extend(nodes.iter().filter_map(rank));
        }
        let chosen = match self.config.select {
            RouteSelect::LowestLatency => ranked.iter().min_by_key(|candidate| candidate.rank()).copied(),
            RouteSelect::TwoChoices => self.lighter_of_two(&ranked),
        };
        self.ranked = ranked;
        chosen.map(|candidate| candidate.source.node)
    }

    /// Which shards of a stripe to ask for, and of whom, so that `need` of them arrive soon: `need + hedge` at first, the
    /// next best for each that fails, and no more once `need` are there. See [`Sources`]. `None` when nothing is known of
    /// the stripe, or the id is a chunk's. O(h log h).
    pub fn sources<M>(
        &mut self,
        stripe: &C,
        need: u32,
        hedge: u32,
        from: RegionId,
        mesh: &M,
        now: Duration,
    ) -> Option<Sources>
    where
        M: MeshView + ?Sized,
    {
        self.advance(now);
        let rotation = self.rotation(stripe);
        let Some(Held::Stripe { data, shards }) = self.holders.held(stripe) else { return None };
        let rank = |&source: &Source| {
            let candidate = self.candidate(source, from, mesh, rotation)?;
            Some(Candidate { parity: source.shard >= *data, ..candidate })
        };
        Some(Sources::new(need, hedge, shards.iter().filter_map(rank)))
    }

    /// A request is sent to a node. It counts as one in front of others until [`ChunkRouter::finished`], until it is
    /// overdue, or until its node is gone. O(log n).
    pub fn started<M>(&mut self, node: NodeRef, from: RegionId, mesh: &M, now: Duration) -> RequestId
    where
        M: MeshView + ?Sized,
    {
        self.advance(now);
        let view = mesh.node(node, from);
        let expected_ns = self.round_trip_ns(node, from, view.as_ref());
        let expected = Duration::from_nanos(expected_ns);
        let id = self.requests.start(Request { node, from, started: self.now, expected });
        if self.requests.len() > self.config.max_requests {
            self.requests.pop_oldest();
        }
        id
    }

    /// A request has ended, which tells how long its node takes: see [`RequestEnd`]. `false` when it is not under way, being
    /// ended, overdue, or its node gone. O(log n).
    pub fn finished(&mut self, request: RequestId, end: RequestEnd, now: Duration) -> bool {
        self.advance(now);
        let Some(ended) = self.requests.end(request) else { return false };
        let took = self.now.saturating_sub(ended.started);
        let observed = match end {
            RequestEnd::Answered => Some(took),
            RequestEnd::Failed => Some(took.max(self.config.request_timeout)),
            RequestEnd::Cancelled => (took > ended.expected).then_some(took),
        };
        if let Some(round_trip) = observed {
            self.latencies.observe(ended.node, ended.from, round_trip, self.now);
        }
        true
    }

    /// A round trip to a node was measured from a region, by other means than a request told here. O(log n).
    pub fn observe(&mut self, from: RegionId, node: NodeRef, round_trip: Duration, now: Duration) {
        self.advance(now);
        self.latencies.observe(node, from, round_trip, self.now);
    }

    /// How long an answer of the node should take: its round trip times one more than the requests in front. `None` when
    /// the mesh does not call it healthy. O(log n).
    pub fn expected_latency<M>(&mut self, node: NodeRef, from: RegionId, mesh: &M, now: Duration) -> Option<Duration>
    where
        M: MeshView + ?Sized,
    {
        self.advance(now);
        let view = mesh.node(node, from)?;
        let round_trip_ns = self.round_trip_ns(node, from, Some(&view));
        let latency = u128::from(round_trip_ns) * (1 + u128::from(self.in_front(node, &view)));
        Some(Duration::from_nanos(u64::try_from(latency).unwrap_or(u64::MAX)))
    }

    /// Requests to a node that were started here and have no end yet; overdue ones count until the next call with `now`.
    #[must_use]
    pub fn under_way(&self, node: NodeRef) -> u32 {
        self.requests.to_node(node)
    }

    /// When the next request is overdue: the latest time for the next call with `now`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.requests.next_overdue(self.config.request_timeout)
    }

    /// What is in memory now.
    #[must_use]
    pub fn usage(&self) -> RouterUsage {
        RouterUsage {
            ids: self.holders.ids(),
            holders: self.holders.count(),
            pairs: self.latencies.len(),
            requests: self.requests.len(),
        }
    }

    /// Drops overdue requests; each was worth waiting for that long, and is an observation.
    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let timeout = self.config.request_timeout;
        while let Some(lost) = self.requests.pop_overdue(self.now, timeout) {
            self.latencies.observe(lost.node, lost.from, timeout, self.now);
        }
    }

    /// Where the order among equal holders starts, so that chunks start at different ones.
    fn rotation(&self, id: &C) -> u64 {
        seeded_hash(!self.config.seed, id.to_bytes().as_ref())
    }

    fn round_trip_ns(&self, node: NodeRef, from: RegionId, view: Option<&NodeView>) -> u64 {
        let expected = view.and_then(|view| view.round_trip).unwrap_or(self.config.default_round_trip);
        let prior_ns = round_trip_ns(expected);
        self.latencies
            .average(node, from)
            .map_or(prior_ns, |average| average.at_ns(prior_ns, nanos(self.now), nanos(self.config.half_life)))
    }

    fn in_front(&self, node: NodeRef, view: &NodeView) -> u64 {
        u64::from(view.inflight) + u64::from(self.requests.to_node(node))
    }

    /// `None` when the node may not be asked.
    fn candidate<M>(&self, source: Source, from: RegionId, mesh: &M, rotation: u64) -> Option<Candidate>
    where
        M: MeshView + ?Sized,
    {
        let node = source.node;
        let view = mesh.node(node, from).filter(|view| view.load_permille < u32::from(ROUTE_MAX.value()))?;
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&node.index.to_le_bytes());
        bytes[4..].copy_from_slice(&node.generation.to_le_bytes());
        Some(Candidate {
            source,
            parity: false,
            round_trip_ns: self.round_trip_ns(node, from, Some(&view)),
            in_front: self.in_front(node, &view),
            load_permille: view.load_permille,
            tie: seeded_hash(self.config.seed, &bytes).wrapping_sub(rotation),
        })
    }

    /// Two distinct draws from the best, the lighter of them.
    fn lighter_of_two(&mut self, ranked: &[Candidate]) -> Option<Candidate> {
        let nearness = |candidate: &Candidate| (candidate.round_trip_ns, candidate.tie, candidate.source);
        let nearest = ranked.iter().min_by_key(|candidate| nearness(candidate))?;
        let limit = u128::from(nearest.round_trip_ns) * u128::from(self.config.best_within_permille) / 1000;
        let is_best = |candidate: &&Candidate| u128::from(candidate.round_trip_ns) <= limit;
        let best = u32::try_from(ranked.iter().filter(is_best).count()).unwrap_or(u32::MAX);
        if best < 2 {
            let others = ranked.iter().filter(|other| other.source != nearest.source);
            let second = others.min_by_key(|other| nearness(other));
            return second.into_iter().chain([nearest]).min_by_key(|candidate| candidate.rank()).copied();
        }
        self.draw += 1;
        let random = seeded_hash(self.config.seed, &self.draw.to_le_bytes());
        let (first, second) = two_below(best, random);
        let drawn = ranked.iter().filter(is_best).zip(0u32..);
        let drawn = drawn.filter(|&(_, position)| position == first || position == second);
        drawn.map(|(candidate, _)| candidate).min_by_key(|candidate| candidate.rank()).copied()
    }
}

/// Two different numbers below `count`, which is at least two, every pair as likely.
fn two_below(count: u32, random: u64) -> (u32, u32) {
    let below = |word: u64, count: u32| {
        let scaled = ((word & u64::from(u32::MAX)) * u64::from(count)) >> 32;
        u32::try_from(scaled).unwrap_or(u32::MAX)
    };
    let first = below(random >> 32, count);
    // One of the others: those from `first` upwards move up by one.
    let second = below(random, count - 1);
    (first, if second >= first { second + 1 } else { second })
}

/// What a [`ChunkRouter`] has in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterUsage {
    /// Chunks and stripes with holders.
    pub ids: usize,
    /// Holders over all of them.
    pub holders: usize,
    /// Pairs of node and region with an observed latency.
    pub pairs: usize,
    /// Requests under way.
    pub requests: usize,
}

#[cfg(test)]
mod tests {
    //! Goal: two draws are distinct, below the count, and every pair is as likely. Method: tallies over a hash's outputs
    //! for small counts, and the ends of the range.

    use super::{seeded_hash, two_below};
    use alloc::collections::BTreeMap;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_pair_of_draws_is_as_likely() {
        for count in 2..8u32 {
            let mut pairs = BTreeMap::<(u32, u32), u32>::new();
            let draws = count * (count - 1) * 1000;
            for draw in 0..draws {
                let pair = two_below(count, seeded_hash(9, &draw.to_le_bytes()));
                assert!(pair.0 < count && pair.1 < count && pair.0 != pair.1);
                *pairs.entry(pair).or_default() += 1;
            }
            assert_eq!(pairs.len() as u64, u64::from(count * (count - 1)));
            // Six standard deviations of a binomial with mean 1000.
            assert!(pairs.values().all(|&n| n.abs_diff(1000) < 190), "{pairs:?}");
        }
        assert_eq!(two_below(u32::MAX, u64::MAX), (u32::MAX - 1, u32::MAX - 2));
        assert_eq!(two_below(u32::MAX, 0), (0, 1));
    }
}
