//! Goal: a chunk is asked of a holder that may be asked, the one with the lowest expected latency; what is known of
//! latencies and requests is counted once and forgotten in time. Method: one rule after the other, on a mesh of a few
//! nodes whose view the test writes down.

mod differential;
mod fetch;
mod hedge;
mod herd;
mod latency;
mod limits;

use core::time::Duration;
use inos_alloc::{
    ChunkRouter, NodeRef, NodeView, RegionId, RequestEnd, RouteSelect, RouterConfig, Source, route_group,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{MIB, T0, load_report, mesh};

const HERE: RegionId = RegionId(0);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn node(index: u32) -> NodeRef {
    NodeRef { index, generation: 0 }
}

fn view(load_permille: u32, inflight: u32, round_trip_ms: u64) -> Option<NodeView> {
    Some(NodeView { load_permille, inflight, round_trip: Some(ms(round_trip_ms)) })
}

/// Every node as the list says, from wherever.
fn views(list: &[Option<NodeView>]) -> impl Fn(NodeRef, RegionId) -> Option<NodeView> {
    |node, _| list.get(usize::try_from(node.index).ok()?).copied().flatten().filter(|_| node.generation == 0)
}

fn router(select: RouteSelect) -> ChunkRouter<u64> {
    ChunkRouter::new(RouterConfig { seed: 42, select, ..RouterConfig::default() })
}

/// SplitMix64: what the simulations draw from.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// In `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap()) / 4_294_967_296.0
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

#[test]
fn the_lowest_round_trip_times_requests_in_front() {
    let mut router = router(RouteSelect::LowestLatency);
    router.set_holders(1, &[node(0), node(1), node(2)]).unwrap();
    // 10 x (1 + 2) against 31 and 29 x (1 + 0).
    let list = [view(100, 2, 10), view(100, 0, 31), view(100, 0, 29)];
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(2)));
    let list = [view(100, 1, 10), view(100, 0, 31), view(100, 0, 29)];
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(0)));
    // Of equal latencies the less loaded.
    let list = [view(101, 1, 10), view(100, 0, 20), view(0, 0, 21)];
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(1)));
    // An unknown distance counts as a second.
    let unknown = Some(NodeView { load_permille: 0, inflight: 0, round_trip: None });
    let list = [view(0, 0, 1000), unknown, view(0, 0, 999)];
    assert_eq!(router.expected_latency(node(1), HERE, &views(&list), T0), Some(ms(1000)));
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(2)));
}

#[test]
fn whoever_is_too_loaded_or_gone_is_not_asked() {
    for select in [RouteSelect::LowestLatency, RouteSelect::TwoChoices] {
        let mut router = router(select);
        router.set_holders(1, &[node(0), node(1), node(2), NodeRef { index: 2, generation: 1 }]).unwrap();
        let far = [view(800, 0, 1), None, view(799, 9, 900)];
        let none = [view(800, 0, 1), None, view(801, 0, 900)];
        for _ in 0..20 {
            assert_eq!(router.route(&1, HERE, &views(&far), T0), Some(node(2)));
            assert_eq!(router.route(&1, HERE, &views(&none), T0), None);
            assert_eq!(router.route(&2, HERE, &views(&far), T0), None);
        }
    }
}

#[test]
fn equal_holders_share_and_their_order_does_not_matter() {
    let mut router = router(RouteSelect::LowestLatency);
    let list = [view(100, 0, 10); 8];
    let mut nodes: Vec<NodeRef> = (0..8).map(node).collect();
    let mut picks = [0u32; 8];
    for chunk in 0..800u64 {
        router.set_holders(chunk, &nodes).unwrap();
        let chosen = router.route(&chunk, HERE, &views(&list), T0).unwrap();
        nodes.reverse();
        router.set_holders(chunk, &nodes).unwrap();
        assert_eq!(router.route(&chunk, HERE, &views(&list), T0), Some(chosen));
        picks[usize::try_from(chosen.index).unwrap()] += 1;
    }
    assert!(picks.iter().all(|&count| count > 0), "{picks:?}");
}

#[test]
fn an_observation_counts_for_its_region_alone() {
    let mut router = router(RouteSelect::LowestLatency);
    router.set_holders(1, &[node(0), node(1)]).unwrap();
    let list = [view(0, 0, 10), view(0, 0, 20)];
    router.observe(RegionId(5), node(0), ms(200), T0);
    assert_eq!(router.route(&1, RegionId(5), &views(&list), T0), Some(node(1)));
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(0)));
    // 10 + 190 x 2^-4 is above 20, 10 + 190 x 2^-5 below: what was slow is tried again.
    assert_eq!(router.route(&1, RegionId(5), &views(&list), ms(28_000)), Some(node(1)));
    assert_eq!(router.route(&1, RegionId(5), &views(&list), ms(35_000)), Some(node(0)));
}

#[test]
fn two_choices_draw_from_the_best_and_take_the_lighter() {
    let mut router = router(RouteSelect::TwoChoices);
    let all: Vec<NodeRef> = (0..5).map(node).collect();
    router.set_holders(1, &all).unwrap();
    // The best are within three times the lowest: 10, 12 and 30 ms, of which the second is the busiest.
    let list = [view(0, 2, 10), view(0, 4, 12), view(0, 0, 30), view(0, 0, 31), view(0, 0, 90)];
    let mut picks = [0u32; 5];
    for _ in 0..900 {
        let chosen = router.route(&1, HERE, &views(&list), T0).unwrap();
        picks[usize::try_from(chosen.index).unwrap()] += 1;
    }
    // 30 and 30 ms tie and go by hash, so one of them wins two pairs of three, the other one; 60 ms wins none.
    assert_eq!((picks[1], picks[3], picks[4]), (0, 0, 0));
    let (more, fewer) = (picks[0].max(picks[2]), picks[0].min(picks[2]));
    assert!(more.abs_diff(600) < 60 && fewer.abs_diff(300) < 60, "{picks:?}");
    // With one nearest alone, it and the second: the second only when the first is clearly busier.
    let list = [view(0, 4, 10), view(0, 0, 51), view(0, 0, 60), view(0, 0, 70), view(0, 0, 80)];
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(0)));
    let list = [view(0, 5, 10), view(0, 0, 51), view(0, 0, 60), view(0, 0, 70), view(0, 0, 80)];
    assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(1)));
}

#[test]
fn two_of_two_are_always_both_drawn() {
    let mut router = router(RouteSelect::TwoChoices);
    router.set_holders(1, &[node(0), node(1)]).unwrap();
    let list = [view(0, 1, 10), view(0, 0, 10)];
    for _ in 0..1000 {
        assert_eq!(router.route(&1, HERE, &views(&list), T0), Some(node(1)));
    }
}

#[test]
fn requests_count_until_they_end() {
    let mut router = router(RouteSelect::LowestLatency);
    let list = [view(0, 0, 10)];
    let mesh = views(&list);
    let requests = [0, 1, 2, 3].map(|at| router.started(node(0), HERE, &mesh, ms(at)));
    assert_eq!((router.under_way(node(0)), router.usage().requests), (4, 4));
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(3)), Some(ms(50)));
    // Given up sooner than expected: says nothing. Later: the node takes at least that long.
    assert!(router.finished(requests[0], RequestEnd::Cancelled, ms(9)));
    assert_eq!(router.usage().pairs, 0);
    assert!(router.finished(requests[1], RequestEnd::Cancelled, ms(41)));
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(41)), Some(ms(120)));
    assert!(router.finished(requests[2], RequestEnd::Answered, ms(52)));
    assert!(!router.finished(requests[2], RequestEnd::Answered, ms(52)));
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(52)), Some(ms(100)));
    // A node that fails fast is not fast.
    assert!(router.finished(requests[3], RequestEnd::Failed, ms(53)));
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(53)), Some(ms(30_000)));
    assert_eq!(router.under_way(node(0)), 0);
}

#[test]
fn lost_requests_do_not_count_for_ever() {
    let mut router = router(RouteSelect::LowestLatency);
    let list = [view(0, 0, 10)];
    let mesh = views(&list);
    assert_eq!(router.next_deadline(), None);
    let lost = router.started(node(0), HERE, &mesh, ms(5));
    assert_eq!(router.next_deadline(), Some(ms(30_005)));
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(30_004)), Some(ms(20)));
    // It was worth the wait of half a minute, which is what the node is now expected to take.
    assert_eq!(router.expected_latency(node(0), HERE, &mesh, ms(30_005)), Some(ms(30_000)));
    assert_eq!((router.under_way(node(0)), router.next_deadline()), (0, None));
    assert!(!router.finished(lost, RequestEnd::Answered, ms(30_006)));
    // Time that goes backwards stands still.
    let later = router.started(node(0), HERE, &mesh, ms(1));
    assert_eq!(router.next_deadline(), Some(ms(60_006)));
    assert!(router.finished(later, RequestEnd::Answered, ms(2)));
}

#[test]
fn a_node_that_is_gone_leaves_nothing_behind() {
    let mut router = router(RouteSelect::LowestLatency);
    let list = [view(0, 0, 10), view(0, 0, 20)];
    let mesh = views(&list);
    router.set_holders(3, &[node(0), node(1)]).unwrap();
    router.set_holders(2, &[node(0)]).unwrap();
    router.set_shards(1, 1, &[0, 1].map(|shard| Source { shard, node: node(shard) })).unwrap();
    router.set_holders(4, &[node(1)]).unwrap();
    router.observe(HERE, node(0), ms(1), T0);
    router.observe(RegionId(u32::MAX), node(0), ms(1), T0);
    let request = router.started(node(0), HERE, &mesh, T0);
    assert_eq!(router.node_gone(node(0)), [1, 2, 3]);
    assert!(!router.finished(request, RequestEnd::Answered, ms(9)));
    assert_eq!(router.route(&3, HERE, &mesh, T0), Some(node(1)));
    assert_eq!(router.route(&2, HERE, &mesh, T0), None);
    let usage = router.usage();
    assert_eq!((usage.ids, usage.holders, usage.pairs, usage.requests), (3, 3, 0, 0));
    assert_eq!(router.node_gone(node(0)), Vec::<u64>::new());
    assert_eq!(router.node_gone(node(1)), [1, 3, 4]);
    assert_eq!(router.usage(), inos_alloc::RouterUsage::default());
}

#[test]
fn an_allocator_is_a_view() {
    let (mut mesh, nodes) = mesh(12, 1000 * MIB);
    mesh.set_latency(HERE, HERE, ms(10));
    mesh.set_latency(HERE, RegionId(1), ms(30));
    let mut router = router(RouteSelect::LowestLatency);
    router.set_holders(1, &[nodes[0], nodes[1], nodes[2]]).unwrap();
    assert_eq!(router.route(&1, HERE, &mesh, T0), Some(nodes[0]));
    assert_eq!(router.expected_latency(nodes[1], HERE, &mesh, T0), Some(ms(30)));
    assert_eq!(router.expected_latency(nodes[2], HERE, &mesh, T0), Some(ms(1000)));
    // 10 ms x 4 against 30 ms.
    mesh.report(nodes[0], inos_alloc::NodeReport { inflight: 3, ..load_report(0, 0) }, T0).unwrap();
    assert_eq!(router.route(&1, HERE, &mesh, T0), Some(nodes[1]));
    mesh.report(nodes[1], load_report(800, 0), T0).unwrap();
    assert_eq!(router.route(&1, HERE, &mesh, T0), Some(nodes[0]));
    mesh.nodes_failed(&nodes, T0);
    assert_eq!(router.route(&1, HERE, &mesh, T0), None);
    assert_eq!(router.expected_latency(nodes[0], HERE, &mesh, T0), None);
}

#[test]
fn a_group_answers_from_its_primary_while_it_can() {
    let group = |loads: [u32; 3]| -> Vec<(NodeRef, u32)> { (0..).map(node).zip(loads).collect() };
    assert_eq!(route_group(node(1), &group([0, 799, 300])), Some(node(1)));
    assert_eq!(route_group(node(1), &group([400, 800, 300])), Some(node(2)));
    // However loaded, and of equals the first.
    assert_eq!(route_group(node(1), &group([950, 960, 950])), Some(node(0)));
    assert_eq!(route_group(node(1), &group([950, 940, 950])), Some(node(1)));
    // A primary that is not healthy is not in the list.
    assert_eq!(route_group(node(9), &group([7, 5, 6])), Some(node(1)));
    assert_eq!(route_group(node(1), &[]), None);
}
