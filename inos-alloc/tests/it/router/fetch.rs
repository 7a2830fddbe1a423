//! Goal: a fetch asks the best sources, never more than it may, replaces what fails until nothing is left, and cancels the
//! rest once enough is there. Method: the rules one by one, then random answers to random stripes, compared after each
//! with a twin that scans a list of holders.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;
use inos_alloc::{NodeRef, NodeView, RegionId, RouteSelect, Source, SourceAction, Sources};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{HERE, ms, node, router, view, views};
use crate::support::T0;

fn source(shard: u32, index: u32) -> Source {
    Source { shard, node: node(index) }
}

fn fetch(data: u32, shards: &[Source], need: u32, hedge: u32, list: &[Option<NodeView>]) -> Sources {
    let mut router = router(RouteSelect::LowestLatency);
    router.set_shards(1, data, shards).unwrap();
    router.sources(&1, need, hedge, HERE, &views(list), T0).unwrap()
}

fn actions(sources: &mut Sources) -> Vec<SourceAction> {
    core::iter::from_fn(|| sources.poll()).collect()
}

fn asks(sources: &mut Sources) -> Vec<Source> {
    let ask = |action| match action {
        SourceAction::Ask(source) => source,
        SourceAction::Cancel(source) => panic!("{source:?} is cancelled"),
    };
    actions(sources).into_iter().map(ask).collect()
}

#[test]
fn data_comes_before_parity_unless_parity_is_clearly_nearer() {
    let shards = [source(0, 0), source(1, 1)];
    let first = |data_ms, parity_ms| {
        let list = [view(0, 0, data_ms), view(0, 0, parity_ms)];
        asks(&mut fetch(1, &shards, 1, 0, &list))[0].shard
    };
    assert_eq!((first(10, 10), first(9, 8), first(10, 8)), (0, 0, 1));
}

#[test]
fn shards_come_from_distinct_nodes_while_there_are_some() {
    // Node 0 has everything and is the nearest.
    let shards = [source(0, 0), source(1, 0), source(2, 0), source(1, 1), source(2, 2)];
    let list = [view(0, 0, 1), view(0, 0, 50), view(0, 0, 60)];
    let mut sources = fetch(3, &shards, 3, 0, &list);
    assert_eq!(asks(&mut sources), [source(0, 0), source(1, 1), source(2, 2)]);
    // Where there is nobody else, one node gives several.
    let mut sources = fetch(3, &shards[..3], 3, 0, &list);
    assert_eq!(asks(&mut sources), [source(0, 0), source(1, 0), source(2, 0)]);
}

#[test]
fn a_node_that_failed_comes_last() {
    let shards = [source(0, 0), source(1, 0), source(2, 1), source(3, 1), source(4, 2)];
    let list = [view(0, 0, 1), view(0, 0, 50), view(0, 0, 60)];
    let mut sources = fetch(5, &shards, 3, 0, &list);
    assert_eq!(asks(&mut sources), [source(0, 0), source(2, 1), source(4, 2)]);
    assert!(sources.failed(source(0, 0)) && !sources.failed(source(0, 0)));
    assert_eq!(asks(&mut sources), [source(3, 1)]);
    assert!(sources.failed(source(3, 1)));
    // Both nodes that are left have failed once; node 0 has been asked once, node 1 twice.
    assert_eq!(sources.shortfall(), 0);
    assert_eq!(asks(&mut sources), [source(1, 0)]);
    assert!(sources.failed(source(1, 0)));
    assert_eq!((asks(&mut sources), sources.shortfall()), (vec![], 1));
}

#[test]
fn another_holder_of_the_same_shard_takes_over() {
    let shards = [source(0, 0), source(0, 1), source(0, 2)];
    let list = [view(0, 0, 1), view(0, 0, 50), view(0, 0, 60)];
    let mut sources = fetch(1, &shards, 1, 3, &list);
    // One shard is asked of one node at a time, whatever the hedge.
    assert_eq!(asks(&mut sources), [source(0, 0)]);
    assert!(sources.failed(source(0, 0)));
    assert_eq!(asks(&mut sources), [source(0, 1)]);
    // The failed one answers after all.
    assert!(!sources.failed(source(0, 0)));
    assert!(sources.arrived(source(0, 0)) && sources.is_done());
    assert_eq!(actions(&mut sources), [SourceAction::Cancel(source(0, 1))]);
    assert!(!sources.failed(source(0, 1)) && !sources.arrived(source(0, 1)));
}

#[test]
fn a_node_that_is_gone_is_replaced_and_never_asked() {
    let shards = [source(0, 0), source(0, 1), source(1, 0), source(2, 1), source(3, 2)];
    let list = [view(0, 0, 1), view(0, 0, 50), view(0, 0, 60)];
    let mut sources = fetch(4, &shards, 4, 0, &list);
    assert_eq!(asks(&mut sources), [source(0, 0), source(2, 1), source(3, 2), source(1, 0)]);
    sources.node_gone(node(0));
    // Shard 0 comes from node 1, nobody has shard 1.
    assert_eq!((asks(&mut sources), sources.shortfall()), (vec![source(0, 1)], 1));
    sources.node_gone(node(1));
    assert_eq!((asks(&mut sources), sources.shortfall()), (vec![], 3));
    // What the gone node had sent before still counts.
    assert!(sources.arrived(source(2, 1)));
    assert_eq!((sources.shortfall(), sources.arrived_count()), (2, 1));
    assert_eq!(sources.outstanding().collect::<Vec<_>>(), [source(3, 2)]);
}

#[test]
fn nobody_is_asked_who_may_not_be() {
    let shards = [source(0, 0), source(1, 1), source(2, 2)];
    let mut sources = fetch(2, &shards, 2, 1, &[view(800, 0, 1), None, view(799, 0, 9)]);
    assert_eq!((asks(&mut sources), sources.shortfall()), (vec![source(2, 2)], 1));
    let mut router = router(RouteSelect::LowestLatency);
    router.set_holders(1, &[node(0)]).unwrap();
    assert!(router.sources(&1, 1, 0, HERE, &views(&[view(0, 0, 1)]), T0).is_none());
    assert!(router.sources(&2, 1, 0, HERE, &views(&[view(0, 0, 1)]), T0).is_none());
}

/// Everything in lists.
struct Naive {
    need: u32,
    most: u32,
    data: u32,
    /// In front of each node, and its round trip.
    nodes: BTreeMap<NodeRef, (u32, Duration)>,
    holders: Vec<Source>,
    asked: Vec<Source>,
    failed: Vec<Source>,
    outstanding: Vec<Source>,
    arrived: BTreeSet<u32>,
}

impl Naive {
    fn is_done(&self) -> bool {
        self.arrived.len() >= usize::try_from(self.need).unwrap()
    }

    /// The least by failures, requests and latency; ties have been excluded by the choice of round trips.
    fn next(&self) -> Option<Source> {
        if self.is_done() || self.outstanding.len() + self.arrived.len() >= usize::try_from(self.most).unwrap() {
            return None;
        }
        let open = |source: &&Source| {
            !self.asked.contains(source)
                && !self.arrived.contains(&source.shard)
                && self.outstanding.iter().all(|other| other.shard != source.shard)
        };
        let count = |list: &[Source], node| u32::try_from(list.iter().filter(|of| of.node == node).count()).unwrap();
        let rank = |&&source: &&Source| {
            let (in_front, round_trip) = self.nodes[&source.node];
            let requests = count(&self.asked, source.node);
            let latency = round_trip * (1 + in_front + requests);
            let parity = source.shard >= self.data;
            (count(&self.failed, source.node), requests, latency * if parity { 9 } else { 8 }, parity, source)
        };
        self.holders.iter().filter(open).min_by_key(rank).copied()
    }

    fn shortfall(&self) -> u32 {
        let left = self.holders.iter().filter(|source| !self.asked.contains(source));
        let mut reachable: BTreeSet<u32> = left.chain(&self.outstanding).map(|source| source.shard).collect();
        reachable.extend(&self.arrived);
        self.need.saturating_sub(u32::try_from(reachable.len()).unwrap())
    }
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Of what is outstanding, counted from the first.
    Arrived(usize),
    Failed(usize),
    /// Whatever the state of this shard and node.
    ArrivedAnyway(u32, u32),
    FailedAnyway(u32, u32),
    Gone(u32),
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => (0usize..8).prop_map(Answer::Arrived),
        4 => (0usize..8).prop_map(Answer::Failed),
        1 => (0u32..10, 0u32..9).prop_map(|(shard, index)| Answer::ArrivedAnyway(shard, index)),
        1 => (0u32..10, 0u32..9).prop_map(|(shard, index)| Answer::FailedAnyway(shard, index)),
        1 => (0u32..9).prop_map(Answer::Gone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_in_any_order(
        holders in prop::collection::btree_set((0u32..9, 0u32..8), 1..30),
        (data, need, hedge) in (0u32..9, 0u32..9, 0u32..4),
        in_front in prop::collection::vec(0u32..3, 8),
        answers in prop::collection::vec(answer(), 0..60),
    ) {
        // Distinct primes: no two nodes tie, whatever the factors.
        let round_trips = [1009u64, 1013, 1019, 1021, 1031, 1033, 1039, 1049];
        let holders: Vec<Source> = holders.into_iter().map(|(shard, index)| source(shard, index)).collect();
        let list: Vec<_> = in_front.iter().zip(round_trips).map(|(&front, ms)| view(0, front, ms)).collect();
        let mut sources = fetch(data, &holders, need, hedge, &list);
        let nodes = (0u32..).zip(in_front.iter().zip(round_trips)).map(|(index, (&front, at))| {
            (node(index), (front, ms(at)))
        });
        let mut naive = Naive {
            need,
            most: need + hedge,
            data,
            nodes: nodes.collect(),
            holders,
            asked: vec![],
            failed: vec![],
            outstanding: vec![],
            arrived: BTreeSet::new(),
        };
        let mut cancelled: BTreeSet<Source> = BTreeSet::new();
        let mut to_cancel: BTreeSet<Source> = BTreeSet::new();
        for answer in core::iter::once(None).chain(answers.into_iter().map(Some)) {
            let outstanding = |which: usize| {
                naive.outstanding.len().checked_sub(1).map(|last| naive.outstanding[which.min(last)])
            };
            let (arrived, failed) = match answer {
                None => (None, None),
                Some(Answer::Arrived(which)) => (outstanding(which), None),
                Some(Answer::Failed(which)) => (None, outstanding(which)),
                Some(Answer::ArrivedAnyway(shard, index)) => (Some(source(shard, index)), None),
                Some(Answer::FailedAnyway(shard, index)) => (None, Some(source(shard, index))),
                Some(Answer::Gone(index)) => {
                    let gone = node(index);
                    sources.node_gone(gone);
                    naive.failed.extend(naive.outstanding.iter().filter(|source| source.node == gone));
                    naive.outstanding.retain(|source| source.node != gone);
                    // Never asked any more is as good as asked.
                    naive.holders.retain(|source| source.node != gone);
                    (None, None)
                }
            };
            if let Some(source) = arrived {
                // Shards of which a node that is gone was the only holder are still known.
                let known = sources.clone().arrived(source);
                let counts = !naive.is_done() && !naive.arrived.contains(&source.shard) && known;
                let held = naive.holders.iter().any(|holder| holder.shard == source.shard);
                prop_assert!(known || naive.is_done() || naive.arrived.contains(&source.shard) || !held);
                prop_assert_eq!(sources.arrived(source), counts);
                if counts {
                    naive.arrived.insert(source.shard);
                    let others = naive.outstanding.iter().filter(|other| other.shard == source.shard || naive.is_done());
                    to_cancel.extend(others.filter(|&&other| other != source));
                    let done = naive.is_done();
                    naive.outstanding.retain(|other| other.shard != source.shard && !done);
                }
            }
            if let Some(source) = failed {
                let counts = naive.outstanding.contains(&source);
                prop_assert_eq!(sources.failed(source), counts);
                if counts {
                    naive.failed.push(source);
                    naive.outstanding.retain(|&other| other != source);
                }
            }
            for action in actions(&mut sources) {
                match action {
                    SourceAction::Ask(source) => {
                        prop_assert_eq!(Some(source), naive.next());
                        naive.asked.push(source);
                        naive.outstanding.push(source);
                        let under_way = naive.outstanding.len() + naive.arrived.len();
                        prop_assert!(under_way <= usize::try_from(need + hedge).unwrap());
                    }
                    SourceAction::Cancel(source) => {
                        prop_assert!(to_cancel.remove(&source), "{:?} need not be cancelled", source);
                        prop_assert!(cancelled.insert(source));
                    }
                }
            }
            prop_assert!(naive.outstanding.len() <= usize::try_from(need + hedge).unwrap());
            prop_assert_eq!(naive.next(), None);
            prop_assert!(to_cancel.is_empty());
            prop_assert_eq!(sources.is_done(), naive.is_done());
            let listed: BTreeSet<Source> = sources.outstanding().collect();
            prop_assert_eq!(listed, naive.outstanding.iter().copied().collect::<BTreeSet<_>>());
            if !sources.is_done() {
                prop_assert_eq!(sources.shortfall(), naive.shortfall());
            }
        }
    }
}

#[test]
fn the_same_answers_give_the_same_questions() {
    let shards: Vec<Source> = (0..120).map(|shard| source(shard, shard % 40)).collect();
    let mesh = |node: NodeRef, _: RegionId| view(node.index * 7 % 300, node.index % 3, 20);
    let run = || {
        let mut router = router(RouteSelect::LowestLatency);
        router.set_shards(1, 100, &shards).unwrap();
        let mut sources = router.sources(&1, 100, 10, HERE, &mesh, T0).unwrap();
        let mut asked = asks(&mut sources);
        for step in 0..30 {
            assert!(sources.failed(asked[step * 3 % 110]) || step * 3 >= 110);
            asked.extend(asks(&mut sources));
        }
        asked
    };
    assert_eq!(run(), run());
}
