//! Goal: the router decides as one that keeps everything in lists and scans them. Method: the same random calls to both,
//! on views that change, with limits small enough to be met; every answer is compared.

use core::cmp::Reverse;
use core::time::Duration;
use inos_alloc::{
    ChunkRouter, NodeRef, NodeView, PeakEwma, RegionId, RequestEnd, RequestId, RouteSelect, RouterConfig, Source,
    SourceAction,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{ms, node, views};

const NODES: u32 = 8;
const CONFIG: RouterConfig = RouterConfig {
    seed: 11,
    select: RouteSelect::LowestLatency,
    best_within_permille: 3000,
    half_life: Duration::from_secs(2),
    default_round_trip: Duration::from_millis(70),
    request_timeout: Duration::from_secs(4),
    max_ids: 5,
    max_holders: 24,
    max_pairs: 6,
    max_requests: 9,
};

struct OpenRequest {
    id: RequestId,
    node: NodeRef,
    from: RegionId,
    started: Duration,
    expected: Duration,
}

/// Lists, scanned.
#[derive(Default)]
struct Naive {
    now: Duration,
    chunks: Vec<(u64, Vec<NodeRef>)>,
    stripes: Vec<(u64, u32, Vec<Source>)>,
    /// The pair observed last comes last.
    averages: Vec<(NodeRef, RegionId, PeakEwma)>,
    open: Vec<OpenRequest>,
}

/// FNV-1a and the mixer of SplitMix64, as `docs/policy.md` has it.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut word = bytes.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, fnv);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Naive {
    fn observe(&mut self, from: RegionId, node: NodeRef, round_trip: Duration) {
        let known = self.averages.iter().position(|&(of, region, _)| (of, region) == (node, from));
        let average = match known {
            Some(position) => {
                let (_, _, mut average) = self.averages.remove(position);
                average.observe(round_trip, self.now, CONFIG.half_life);
                average
            }
            None => PeakEwma::new(round_trip, self.now),
        };
        self.averages.push((node, from, average));
        if self.averages.len() > CONFIG.max_pairs {
            self.averages.remove(0);
        }
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while self.open.first().is_some_and(|oldest| self.now - oldest.started >= CONFIG.request_timeout) {
            let lost = self.open.remove(0);
            self.observe(lost.from, lost.node, CONFIG.request_timeout);
        }
    }

    fn round_trip(&self, node: NodeRef, from: RegionId, view: Option<NodeView>) -> Duration {
        let prior = view.and_then(|view| view.round_trip).unwrap_or(CONFIG.default_round_trip);
        let known = self.averages.iter().find(|&&(of, region, _)| (of, region) == (node, from));
        known.map_or(prior, |(_, _, average)| average.at(prior, self.now, CONFIG.half_life))
    }

    fn in_front(&self, node: NodeRef, view: NodeView) -> u32 {
        let ours = self.open.iter().filter(|request| request.node == node).count();
        view.inflight + u32::try_from(ours).unwrap()
    }

    fn tie(node: NodeRef, id: u64) -> u64 {
        let bytes = [node.index.to_le_bytes(), node.generation.to_le_bytes()].concat();
        hash(CONFIG.seed, &bytes).wrapping_sub(hash(!CONFIG.seed, &id.to_le_bytes()))
    }

    fn may_be_asked(view: Option<NodeView>) -> Option<NodeView> {
        view.filter(|view| view.load_permille < 800)
    }

    fn route(&self, chunk: u64, from: RegionId, mesh: &[Option<NodeView>]) -> Option<NodeRef> {
        let mesh = views(mesh);
        let (_, holders) = self.chunks.iter().find(|(id, _)| *id == chunk)?;
        let rank = |&node: &NodeRef| {
            let view = Self::may_be_asked(mesh(node, from))?;
            let latency = self.round_trip(node, from, Some(view)) * (1 + self.in_front(node, view));
            Some((latency, view.load_permille, Self::tie(node, chunk), node))
        };
        holders.iter().filter_map(rank).min().map(|(_, _, _, node)| node)
    }

    /// What is asked for first.
    fn sources(&self, stripe: u64, most: u32, from: RegionId, mesh: &[Option<NodeView>]) -> Option<Vec<Source>> {
        let mesh = views(mesh);
        let (_, data, holders) = self.stripes.iter().find(|(id, _, _)| *id == stripe)?;
        let mut asked: Vec<Source> = Vec::new();
        while asked.len() < usize::try_from(most).unwrap() {
            let rank = |&source: &Source| {
                let view = Self::may_be_asked(mesh(source.node, from))?;
                if asked.iter().any(|other| other.shard == source.shard) {
                    return None;
                }
                let asked_of_it =
                    u32::try_from(asked.iter().filter(|other| other.node == source.node).count()).unwrap();
                let in_front = self.in_front(source.node, view) + asked_of_it;
                let parity = source.shard >= *data;
                let latency = self.round_trip(source.node, from, Some(view)) * (1 + in_front);
                let handicapped = if parity { latency * 9 } else { latency * 8 };
                Some((asked_of_it, handicapped, parity, view.load_permille, Self::tie(source.node, stripe), source))
            };
            let Some(best) = holders.iter().filter_map(rank).min() else { break };
            asked.push(best.5);
        }
        Some(asked)
    }

    fn forget(&mut self, id: u64) -> bool {
        let before = self.chunks.len() + self.stripes.len();
        self.chunks.retain(|(of, _)| *of != id);
        self.stripes.retain(|(of, _, _)| *of != id);
        before != self.chunks.len() + self.stripes.len()
    }

    /// Whether there is room for `holders` holders of `id` beside all others.
    fn has_room(&self, id: u64, holders: usize) -> bool {
        let chunks = self.chunks.iter().map(|(id, nodes)| (*id, nodes.len()));
        let stripes = self.stripes.iter().map(|(id, _, shards)| (*id, shards.len()));
        let others: Vec<usize> = chunks.chain(stripes).filter(|&(of, _)| of != id).map(|(_, len)| len).collect();
        holders == 0 || others.len() < CONFIG.max_ids && others.iter().sum::<usize>() + holders <= CONFIG.max_holders
    }
}

#[derive(Clone, Debug)]
enum Call {
    Holders(u64, Vec<u32>),
    Shards(u64, u32, Vec<(u32, u32)>),
    Forget(u64),
    Gone(u32),
    View(u32, Option<(u32, u32, Option<u64>)>),
    Observe(u32, u32, u64),
    Started(u32, u32),
    Finished(usize, RequestEnd),
    Route(u64, u32),
    Sources(u64, u32, u32, u32),
}

fn call() -> impl Strategy<Value = Call> {
    let end = prop_oneof![Just(RequestEnd::Answered), Just(RequestEnd::Failed), Just(RequestEnd::Cancelled)];
    let (id, index, region) = (0u64..7, 0..NODES, 0u32..2);
    // Few values, so that ties are frequent.
    let state = (0u32..1000, 0u32..4, prop::option::of(prop_oneof![Just(20u64), 1u64..100]));
    prop_oneof![
        3 => (id.clone(), prop::collection::vec(0..NODES, 0..9)).prop_map(|(id, nodes)| Call::Holders(id, nodes)),
        3 => (id.clone(), 0u32..6, prop::collection::vec((0u32..8, 0..NODES), 0..14))
            .prop_map(|(id, data, shards)| Call::Shards(id, data, shards)),
        1 => id.clone().prop_map(Call::Forget),
        1 => index.clone().prop_map(Call::Gone),
        3 => (index.clone(), prop::option::weighted(0.8, state)).prop_map(|(index, view)| Call::View(index, view)),
        3 => (region.clone(), index.clone(), 1u64..300).prop_map(|(from, index, ms)| Call::Observe(from, index, ms)),
        3 => (region.clone(), index).prop_map(|(from, index)| Call::Started(from, index)),
        2 => (0usize..12, end).prop_map(|(which, end)| Call::Finished(which, end)),
        6 => (id.clone(), region.clone()).prop_map(|(id, from)| Call::Route(id, from)),
        3 => (id, 0u32..7, 0u32..3, region).prop_map(|(id, need, hedge, from)| Call::Sources(id, need, hedge, from)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_its_twin(calls in prop::collection::vec((call(), 0u64..1500), 1..150)) {
        let mut router = ChunkRouter::<u64>::new(CONFIG);
        let mut naive = Naive::default();
        let mut mesh: Vec<Option<NodeView>> = (0..NODES).map(|_| super::view(100, 0, 20)).collect();
        let mut requests: Vec<RequestId> = Vec::new();
        let mut now = Duration::ZERO;
        for (call, after) in calls {
            now += ms(after);
            match call {
                Call::Holders(id, nodes) => {
                    let mut nodes: Vec<NodeRef> = nodes.into_iter().map(node).collect();
                    let taken = router.set_holders(id, &nodes);
                    nodes.sort_by_key(|&node| Reverse(node));
                    nodes.dedup();
                    prop_assert_eq!(taken.is_ok(), naive.has_room(id, nodes.len()), "{:?}", taken);
                    if taken.is_ok() {
                        naive.forget(id);
                        naive.chunks.push((id, nodes));
                    }
                    naive.chunks.retain(|(_, nodes)| !nodes.is_empty());
                }
                Call::Shards(id, data, shards) => {
                    let source = |(shard, index)| Source { shard, node: node(index) };
                    let mut shards: Vec<Source> = shards.into_iter().map(source).collect();
                    let taken = router.set_shards(id, data, &shards);
                    shards.sort_by_key(|&source| Reverse(source));
                    shards.dedup();
                    prop_assert_eq!(taken.is_ok(), naive.has_room(id, shards.len()), "{:?}", taken);
                    if taken.is_ok() {
                        naive.forget(id);
                        naive.stripes.push((id, data, shards));
                    }
                    naive.stripes.retain(|(_, _, shards)| !shards.is_empty());
                }
                Call::Forget(id) => prop_assert_eq!(router.forget(&id), naive.forget(id)),
                Call::Gone(index) => {
                    let gone = node(index);
                    let chunks = naive.chunks.iter().filter(|(_, nodes)| nodes.contains(&gone)).map(|(id, _)| *id);
                    let has = |shards: &[Source]| shards.iter().any(|source| source.node == gone);
                    let stripes = naive.stripes.iter().filter(|(_, _, shards)| has(shards)).map(|(id, _, _)| *id);
                    let mut ids: Vec<u64> = chunks.chain(stripes).collect();
                    ids.sort_unstable();
                    prop_assert_eq!(router.node_gone(gone), ids);
                    naive.chunks.iter_mut().for_each(|(_, nodes)| nodes.retain(|&node| node != gone));
                    naive.stripes.iter_mut().for_each(|(_, _, shards)| shards.retain(|source| source.node != gone));
                    naive.chunks.retain(|(_, nodes)| !nodes.is_empty());
                    naive.stripes.retain(|(_, _, shards)| !shards.is_empty());
                    naive.averages.retain(|&(node, _, _)| node != gone);
                    naive.open.retain(|request| request.node != gone);
                }
                Call::View(index, state) => {
                    mesh[usize::try_from(index).unwrap()] = state.map(|(load_permille, inflight, round_trip)| {
                        NodeView { load_permille, inflight, round_trip: round_trip.map(ms) }
                    });
                }
                Call::Observe(from, index, round_trip) => {
                    router.observe(RegionId(from), node(index), ms(round_trip), now);
                    naive.advance(now);
                    naive.observe(RegionId(from), node(index), ms(round_trip));
                }
                Call::Started(from, index) => {
                    let (node, from) = (node(index), RegionId(from));
                    let id = router.started(node, from, &views(&mesh), now);
                    requests.push(id);
                    naive.advance(now);
                    let expected = naive.round_trip(node, from, views(&mesh)(node, from));
                    naive.open.push(OpenRequest { id, node, from, started: naive.now, expected });
                    if naive.open.len() > CONFIG.max_requests {
                        naive.open.remove(0);
                    }
                }
                Call::Finished(which, end) => {
                    let Some(&id) = requests.iter().rev().nth(which) else { continue };
                    naive.advance(now);
                    let open = naive.open.iter().position(|request| request.id == id);
                    prop_assert_eq!(router.finished(id, end, now), open.is_some());
                    if let Some(open) = open {
                        let ended = naive.open.remove(open);
                        let took = naive.now - ended.started;
                        match end {
                            RequestEnd::Answered => naive.observe(ended.from, ended.node, took),
                            RequestEnd::Failed => naive.observe(ended.from, ended.node, CONFIG.request_timeout),
                            RequestEnd::Cancelled if took > ended.expected => {
                                naive.observe(ended.from, ended.node, took);
                            }
                            RequestEnd::Cancelled => {}
                        }
                    }
                }
                Call::Route(chunk, from) => {
                    let chosen = router.route(&chunk, RegionId(from), &views(&mesh), now);
                    naive.advance(now);
                    prop_assert_eq!(chosen, naive.route(chunk, RegionId(from), &mesh));
                }
                Call::Sources(stripe, need, hedge, from) => {
                    let sources = router.sources(&stripe, need, hedge, RegionId(from), &views(&mesh), now);
                    naive.advance(now);
                    let most = if need == 0 { 0 } else { need + hedge };
                    let expected = naive.sources(stripe, most, RegionId(from), &mesh);
                    let asked = sources.map(|mut sources| {
                        core::iter::from_fn(|| sources.poll()).collect::<Vec<_>>()
                    });
                    let expected = expected.map(|all| all.into_iter().map(SourceAction::Ask).collect::<Vec<_>>());
                    prop_assert_eq!(asked, expected);
                }
            }
            let usage = router.usage();
            prop_assert_eq!(usage.ids, naive.chunks.len() + naive.stripes.len());
            prop_assert_eq!((usage.pairs, usage.requests), (naive.averages.len(), naive.open.len()));
            let in_chunks: usize = naive.chunks.iter().map(|(_, nodes)| nodes.len()).sum();
            let in_stripes: usize = naive.stripes.iter().map(|(_, _, shards)| shards.len()).sum();
            prop_assert_eq!(usage.holders, in_chunks + in_stripes);
        }
    }

    #[test]
    fn two_choices_stay_among_the_best(
        list in prop::collection::vec(prop::option::weighted(0.9, (700u32..900, 0u32..20, 1u64..50)), 1..12),
        seed in any::<u64>(),
    ) {
        let view = |(load, inflight, round_trip)| super::view(load, inflight, round_trip);
        let mesh: Vec<Option<NodeView>> = list.into_iter().map(|state| state.and_then(view)).collect();
        let config = RouterConfig { seed, select: RouteSelect::TwoChoices, ..RouterConfig::default() };
        let mut router = ChunkRouter::<u64>::new(config);
        let mut again = ChunkRouter::<u64>::new(config);
        let nodes: Vec<NodeRef> = (0..u32::try_from(mesh.len()).unwrap()).map(node).collect();
        router.set_holders(1, &nodes).unwrap();
        again.set_holders(1, &nodes).unwrap();
        // By round trip; the best within three times the lowest, and at least two.
        let mut able: Vec<(Duration, Duration, u32)> = (0u32..).zip(&mesh).filter_map(|(index, view)| {
            let view = Naive::may_be_asked(*view)?;
            Some((view.round_trip?, view.round_trip? * (1 + view.inflight), index))
        }).collect();
        able.sort_unstable();
        let second = able.get(1).map_or(Duration::ZERO, |&(round_trip, _, _)| round_trip);
        let limit = able.first().map_or(Duration::ZERO, |&(lowest, _, _)| (lowest * 3).max(second));
        let best: Vec<_> = able.iter().copied().filter(|&(round_trip, _, _)| round_trip <= limit).collect();
        // Because the draws are distinct, the heaviest of the best is never taken, unless another is as heavy.
        let heaviest = best.iter().map(|&(_, latency, _)| latency).max();
        let heaviest = heaviest.filter(|heaviest| best.iter().filter(|(_, latency, _)| latency == heaviest).count() == 1);
        for _ in 0..40 {
            let chosen = router.route(&1, super::HERE, &views(&mesh), Duration::ZERO);
            prop_assert_eq!(chosen, again.route(&1, super::HERE, &views(&mesh), Duration::ZERO));
            prop_assert_eq!(chosen.is_some(), !best.is_empty());
            let Some(chosen) = chosen else { break };
            let found = best.iter().find(|&&(_, _, index)| node(index) == chosen);
            prop_assert!(found.is_some(), "{:?} is not of the best {:?}", chosen, best);
            let latency = found.map(|&(_, latency, _)| latency);
            prop_assert!(best.len() == 1 || latency != heaviest, "{:?} is the heaviest of {:?}", chosen, best);
        }
    }
}
