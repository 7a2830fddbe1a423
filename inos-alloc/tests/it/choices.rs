//! Goal: two choices do not herd where the least loaded do, weights change what is chosen, and an explanation says why.
//! Method: a thousand nodes whose reports come once in a thousand decisions of ten allocators; figures by hand.

use crate::support::{GIB, MIB, T0, blob, block, load_report, mesh, node, tally, zone_of};
use core::time::Duration;
use inos_alloc::{
    Allocator, Capabilities, Capacity, Class, Config, NodeRef, NodeReport, NodeSpec, Outcome, Policy, RegionId,
    Requirements, ResourceSpec, Scheme, Select, Target, Temperature, Weights,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// 40,000 jobs of five nodes each on 1,000 nodes, by allocators of which each makes one decision between two rounds of
/// reports: a thousand decisions go by the same view. Answers the most and the mean load in the end, in thousandths of the
/// mean. Four jobs are one thousandth, and every node has 0 to 19 thousandths of its own.
fn herd(select: Select) -> u64 {
    const NODES: u64 = 1000;
    const DECISIONS: u64 = 40_000;
    let (mut mesh, nodes) = mesh(1000, 1 << 40);
    let mut carried = vec![0u64; nodes.len()];
    let load = |index: usize, carried: &[u64]| (index as u64).wrapping_mul(2_654_435_761) % 20 + carried[index] / 4;
    let job = ResourceSpec { class: Class::Compute, ..blob(1000) };
    let policy = Policy { select, ..Policy::default() };
    for decision in 0..DECISIONS {
        if decision % 1000 == 0 {
            for (index, &node) in nodes.iter().enumerate() {
                let load = u16::try_from(load(index, &carried)).unwrap();
                mesh.report(node, load_report(load, mesh.seq()), T0).unwrap();
            }
        }
        let placed = mesh.allocate(decision, &job, &policy, T0).unwrap();
        for replica in placed.replicas {
            carried[usize::try_from(replica.index).unwrap()] += 1;
        }
        // The next decision is another allocator's, which does not know of this one.
        mesh.release(&decision);
    }
    let loads = || (0..nodes.len()).map(|index| load(index, &carried));
    loads().max().unwrap() * 1000 * NODES / loads().sum::<u64>()
}

#[test]
fn the_least_loaded_herd_and_two_choices_do_not() {
    let (least, two) = (herd(Select::LeastLoaded), herd(Select::TwoChoices));
    println!("max / mean: least loaded {least}, two choices {two} thousandths");
    assert!(least >= 3000, "{least}");
    assert!(two <= 1150, "{two}");
}

#[test]
fn two_choices_keep_every_other_promise() {
    let (mut mesh, nodes) = mesh(48, GIB);
    for (&node, load) in nodes.iter().zip((0u16..).step_by(20)) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let policy = Policy { select: Select::TwoChoices, ..Policy::default() };
    for id in 0..100 {
        let placed = mesh.allocate(id, &block(MIB, Temperature::Hot), &policy, T0).unwrap();
        let regions = tally(placed.replicas.iter().map(|&node| zone_of(&mesh, node).0));
        assert_eq!((placed.granted, placed.over_target, regions.len()), (7, 0, 6));
        assert_eq!(tally(placed.replicas.iter().copied()).len(), 7);
        // Nodes from 25 upwards report half load and more.
        assert!(placed.replicas.iter().all(|&node| node.index < 25));
    }
    // One node in fifty can take it: no draw meets it, and it is found all the same.
    let big = ResourceSpec { requires: Requirements { memory_mb: 1 << 21, ..Requirements::default() }, ..blob(10) };
    assert!(mesh.allocate(200, &big, &policy, T0).is_err());
    let capacity = Capacity { bytes: GIB, memory_mb: 1 << 23, bandwidth_kb_s: 1 };
    let roomy = mesh.upsert(NodeSpec { capacity, ..node(99, 0, 0, 0) });
    assert_eq!(mesh.allocate(200, &big, &policy, T0).unwrap().replicas, [roomy]);
}

#[test]
fn two_choices_prefer_the_lighter() {
    // Half of the nodes idle, half at 400: three draws of four have an idle one.
    let (mut mesh, nodes) = mesh(1000, 1 << 40);
    for (index, &node) in nodes.iter().enumerate() {
        mesh.report(node, load_report(if index % 2 == 0 { 0 } else { 400 }, 0), T0).unwrap();
    }
    let policy = Policy { select: Select::TwoChoices, ..Policy::default() };
    let job = ResourceSpec { class: Class::Compute, ..blob(0) };
    let mut idle = 0;
    for id in 0..1000 {
        let placed = mesh.allocate(id, &job, &policy, T0).unwrap();
        idle += placed.replicas.iter().filter(|node| node.index % 2 == 0).count();
    }
    assert!((3600..3900).contains(&idle), "{idle} of 5000");
}

#[test]
fn weights_choose_cheap_near_or_trusted_nodes() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..20)
        .map(|id| {
            let capabilities = if id == 3 { Capabilities::GPU } else { Capabilities::NONE };
            mesh.upsert(NodeSpec { capabilities, price: 20 - id % 20, ..node(id, id % 2, 0, GIB) })
        })
        .collect();
    mesh.set_latency(RegionId(0), RegionId(1), Duration::from_millis(200));
    for (&node, load) in nodes.iter().zip(0u16..) {
        mesh.report(node, NodeReport { last_mile: Duration::ZERO, ..load_report(load, 0) }, T0).unwrap();
    }
    mesh.observe_outcome(nodes[7], Outcome::Served, T0);
    let job = ResourceSpec { class: Class::Compute, ..blob(0) };
    let mut choose = |id, weights| {
        let policy = Policy { near: Some(RegionId(1)), weights, ..Policy::default() };
        let mut ids: Vec<u32> =
            mesh.allocate(id, &job, &policy, T0).unwrap().replicas.iter().map(|n| n.index).collect();
        ids.sort_unstable();
        ids
    };
    let none = Weights { load: 0, ..Weights::LOAD };
    assert_eq!(choose(1, Weights::LOAD), [0, 1, 2, 3, 4]);
    assert_eq!(choose(2, Weights { cost: 1, ..none }), [15, 16, 17, 18, 19]);
    assert!(choose(3, Weights { latency: 1, ..none }).iter().all(|id| id % 2 == 1));
    assert!(choose(4, Weights { capability: 1, ..none }).contains(&3));
    assert!(choose(5, Weights { reputation: 1, ..none }).contains(&7));
    // Half of what counts is load, a fifth latency: 200 ms count as much as 160 thousandths.
    assert_eq!(choose(6, Weights { load: 50, latency: 20, ..none }), [1, 3, 5, 7, 9]);
}

#[test]
fn an_explanation_adds_up() {
    let (mut mesh, nodes) = mesh(48, GIB);
    for (&node, load) in nodes.iter().zip((0u16..).step_by(20)) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let policy = Policy { near: Some(RegionId(2)), ..Policy::default() };
    let placed = mesh.allocate(1, &blob(5 * MIB), &policy, T0).unwrap();
    let why = mesh.explain(&1).unwrap();
    assert_eq!(why.target, Target { want: 10, floor: 5, ceiling: 20 });
    assert_eq!((why.scheme, why.need.bytes), (Scheme::Chunks { copies: 5 }, 3 * MIB));
    assert_eq!((why.healthy, why.able, why.below_half, why.would_take), (48, 48, 25, 15));
    assert_eq!(why.replicas.iter().map(|reason| reason.node).collect::<Vec<_>>(), placed.replicas);
    let first = why.replicas[0];
    assert_eq!((first.region, first.round_trip), (RegionId(2), Some(Duration::from_millis(5))));
    assert_eq!((first.share_permille, first.pieces, first.over_target), (3, 0, false));
    assert_eq!(mesh.explain(&2), None);
}

#[test]
fn rare_capabilities_stay_free() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let gpu = |id| if id < 5 { Capabilities::GPU } else { Capabilities::NONE };
    for id in 0..10 {
        mesh.upsert(NodeSpec { capabilities: gpu(id), ..node(id, 0, 0, GIB) });
    }
    let placed = mesh.allocate(1, &block(0, Temperature::Warm), &Policy::default(), T0).unwrap();
    assert!(placed.replicas.iter().all(|node| node.index >= 5));
}

#[test]
fn who_says_nothing_of_what_it_carries_is_no_better_by_score() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..6).map(|id| mesh.upsert(node(id, 0, 0, GIB))).collect();
    for &busy in &nodes[3..] {
        mesh.report(busy, load_report(150, 0), T0).unwrap();
    }
    // Three carry 196 thousandths each, and one of them does not say so. The others have 150.
    let placed = mesh.allocate(1, &block(200 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    for (&node, load) in nodes.iter().zip([0, 196, 196]) {
        mesh.report(node, load_report(load, placed.seq), T0).unwrap();
    }
    let policy = Policy { weights: Weights { cost: 1, ..Weights::LOAD }, ..Policy::default() };
    let mut other = mesh.allocate(2, &block(0, Temperature::Cold), &policy, T0).unwrap().replicas;
    other.sort();
    assert_eq!(other, nodes[3..]);
}
