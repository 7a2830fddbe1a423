//! Goal: whatever ids, holders, observations and requests come, memory stays within the limits, and a refusal changes
//! nothing. Method: more of each than fits, the numbers at their ends, and usage read after every call.

use core::time::Duration;
use inos_alloc::{
    ChunkRouter, HoldersError, MAX_HOLDERS, NodeRef, NodeView, RegionId, RequestEnd, RouteSelect, RouterConfig, Source,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Draws, HERE, ms, node, view, views};
use crate::support::T0;

fn small() -> ChunkRouter<u64> {
    ChunkRouter::new(RouterConfig {
        max_ids: 4,
        max_holders: 10,
        max_pairs: 3,
        max_requests: 5,
        ..RouterConfig::default()
    })
}

#[test]
fn more_ids_and_holders_than_fit_are_refused() {
    let mut router = small();
    let nodes: Vec<NodeRef> = (0..12).map(node).collect();
    for id in 0..4 {
        router.set_holders(id, &nodes[..2]).unwrap();
    }
    assert_eq!(router.set_holders(4, &nodes[..1]), Err(HoldersError::TooManyIds { limit: 4 }));
    // What is there may change, as far as there is room: others have six of ten.
    assert_eq!(router.set_holders(3, &nodes[..5]), Err(HoldersError::NoRoom { holders: 5, room: 4 }));
    let list = [view(0, 0, 10); 12];
    assert!(router.route(&3, HERE, &views(&list), T0).is_some_and(|node| node.index < 2));
    router.set_holders(3, &nodes[8..]).unwrap();
    assert!(router.route(&3, HERE, &views(&list), T0).is_some_and(|node| node.index >= 8));
    assert_eq!((router.usage().ids, router.usage().holders), (4, 10));
    // Duplicates do not count.
    router.set_holders(3, &[nodes[0]; 100]).unwrap();
    assert_eq!(router.usage().holders, 7);
    let shards: Vec<Source> = (0..5).map(|shard| Source { shard, node: node(0) }).collect();
    assert_eq!(router.set_shards(3, 1, &shards), Err(HoldersError::NoRoom { holders: 5, room: 4 }));
    router.set_shards(3, 1, &shards[..4]).unwrap();
    assert_eq!(router.usage().holders, 10);
    // Without holders an id is forgotten, and there is room for another.
    router.set_holders(3, &[]).unwrap();
    assert!(!router.forget(&3) && router.forget(&2));
    router.set_holders(77, &nodes[..6]).unwrap();
    assert_eq!((router.usage().ids, router.usage().holders), (3, 10));
    let many: Vec<NodeRef> = (0..u32::try_from(MAX_HOLDERS).unwrap() + 1).map(node).collect();
    let refused = HoldersError::TooManyHolders { holders: MAX_HOLDERS + 1, limit: MAX_HOLDERS };
    assert_eq!(router.set_holders(77, &many), Err(refused));
    assert_eq!(router.usage().ids, 3);
}

#[test]
fn of_too_many_pairs_the_one_observed_longest_ago_goes() {
    let mut router = small();
    let list = [view(0, 0, 10); 9];
    let mesh = views(&list);
    for index in [0, 1, 2, 0, 3] {
        router.observe(HERE, node(index), ms(100), T0);
    }
    assert_eq!(router.usage().pairs, 3);
    let known = [0, 1, 2, 3].map(|index| router.expected_latency(node(index), HERE, &mesh, T0));
    assert_eq!(known, [100, 10, 100, 100].map(|round_trip| Some(ms(round_trip))));
    for region in 0..1000 {
        router.observe(RegionId(region), node(8), ms(100), T0);
        assert_eq!(router.usage().pairs, 3);
    }
}

#[test]
fn of_too_many_requests_the_oldest_is_not_counted() {
    let mut router = small();
    let list = [view(0, 0, 10); 9];
    let mesh = views(&list);
    let requests: Vec<_> = (0..7).map(|index| router.started(node(index), HERE, &mesh, T0)).collect();
    let ended: Vec<bool> =
        requests.iter().map(|&request| router.finished(request, RequestEnd::Answered, ms(1))).collect();
    assert_eq!(ended, [false, false, true, true, true, true, true]);
    // That they were dropped says nothing of their nodes.
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(1)), Some(ms(10)));
}

#[test]
fn nothing_fits() {
    let config = RouterConfig {
        max_ids: 0,
        max_holders: 0,
        max_pairs: 0,
        max_requests: 0,
        half_life: Duration::ZERO,
        request_timeout: Duration::ZERO,
        ..RouterConfig::default()
    };
    let mut router = ChunkRouter::<u64>::new(config);
    assert!(router.set_holders(1, &[node(0)]).is_err());
    router.observe(HERE, node(0), ms(1), T0);
    let request = router.started(node(0), HERE, &views(&[]), T0);
    assert!(!router.finished(request, RequestEnd::Failed, Duration::MAX));
    assert_eq!(router.usage(), inos_alloc::RouterUsage::default());
}

#[test]
fn numbers_at_their_ends() {
    for select in [RouteSelect::LowestLatency, RouteSelect::TwoChoices] {
        let config = RouterConfig { select, default_round_trip: Duration::MAX, ..RouterConfig::default() };
        let mut router = ChunkRouter::<u64>::new(config);
        let mesh = |node: NodeRef, _: RegionId| {
            let round_trip = [None, Some(Duration::MAX), Some(Duration::ZERO)];
            let index = usize::try_from(node.index).unwrap();
            Some(NodeView { load_permille: 799, inflight: u32::MAX, round_trip: round_trip[index % 3] })
        };
        router.set_holders(u64::MAX, &[node(0), node(1), node(u32::MAX)]).unwrap();
        for node in [0, 1, u32::MAX].map(node) {
            let _ = router.started(node, RegionId(u32::MAX), &mesh, Duration::MAX);
            router.observe(RegionId(u32::MAX), node, Duration::MAX, Duration::MAX);
        }
        assert!(router.route(&u64::MAX, RegionId(u32::MAX), &mesh, Duration::MAX).is_some());
        assert!(router.expected_latency(node(0), HERE, &mesh, Duration::MAX) > Some(Duration::from_secs(1 << 32)));
        let source = |shard| Source { shard, node: node(shard % 3) };
        router.set_shards(1, 0, &[source(0), source(1), source(u32::MAX)]).unwrap();
        let mut sources = router.sources(&1, u32::MAX, u32::MAX, HERE, &mesh, Duration::MAX).unwrap();
        assert_eq!(sources.shortfall(), u32::MAX - 3);
        assert_eq!(core::iter::from_fn(|| sources.poll()).count(), 3);
        assert!(!sources.arrived(source(2)) && !sources.failed(source(2)));
        assert!(sources.arrived(source(0)) && !sources.is_done());
        let done = router.sources(&1, 0, u32::MAX, HERE, &mesh, Duration::MAX).unwrap();
        assert!(done.is_done() && done.clone().poll().is_none());
    }
}

#[test]
fn hostile_calls_stay_within_the_limits() {
    let mut router = small();
    let list = [view(0, 0, 10); 16];
    let mesh = views(&list);
    let mut draws = Draws(7);
    for _ in 0..20_000 {
        let word = draws.next();
        let (id, index, region) = (word % 64, u32::try_from(word >> 8 & 15).unwrap(), RegionId(u32::MAX));
        let nodes: Vec<NodeRef> = (0..u32::try_from(word >> 16 & 7).unwrap()).map(|i| node(index ^ i)).collect();
        let now = Duration::from_nanos(draws.next() >> 20);
        match word >> 32 & 7 {
            0 | 1 => {
                let _ = router.set_holders(id, &nodes);
            }
            2 => {
                let shards: Vec<Source> =
                    nodes.iter().map(|&node| Source { shard: u32::try_from(id).unwrap(), node }).collect();
                let _ = router.set_shards(id, 1, &shards);
            }
            3 => router.observe(region, node(index), now, now),
            4 => {
                let _ = router.started(node(index), region, &mesh, now);
            }
            5 => {
                let _ = router.forget(&id);
            }
            6 if id == 0 => {
                let _ = router.node_gone(node(index));
            }
            _ => {
                let _ = router.route(&id, HERE, &mesh, now);
            }
        }
        let usage = router.usage();
        assert!(usage.ids <= 4 && usage.holders <= 10 && usage.pairs <= 3 && usage.requests <= 5, "{usage:?}");
        assert!(usage.ids <= usage.holders);
    }
}
