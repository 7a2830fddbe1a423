//! Goal: the right nodes, in the right numbers, with an honest account of what is missing. Method: one small mesh per rule.

use crate::support::{MIB, T0, blob, block, effective, load_report, mesh, node, tally, zone_of};
use core::time::Duration;
use inos_alloc::{
    AllocateError, Allocator, Capabilities, Capacity, Class, Config, Policy, RegionId, RemoveError, Requirements,
    Resolution, ResourceSpec, Temperature, Tolerance,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn near(region: u32) -> Policy {
    Policy { near: Some(RegionId(region)), ..Policy::default() }
}

#[test]
fn never_more_nodes_than_exist() {
    let (mut mesh, nodes) = mesh(3, 1000 * MIB);
    let placed = mesh.allocate(1, &blob(1000), &Policy::default(), T0).unwrap();
    assert_eq!((placed.want, placed.granted, placed.shortfall), (5, 3, 2));
    let mut replicas = placed.replicas.clone();
    assert_eq!(placed.primary, replicas[0]);
    replicas.sort();
    assert_eq!(replicas, nodes);
    assert_eq!(placed.achieved, Tolerance { nodes: 2, zones: 2, regions: 2 });
    assert_eq!(mesh.placement(&1), Some(placed));
}

#[test]
fn a_floor_is_filled_above_half_load_and_says_so() {
    let (mut mesh, nodes) = mesh(10, 1000 * MIB);
    for (&node, load) in nodes.iter().zip([100, 200, 499, 500, 600, 700, 798, 799, 900, 1000]) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    // Each replica adds ceil(1000 x 500 KiB / 1000 MiB) = 1, so 499 does not stay below 500.
    let placed = mesh.allocate(1, &blob(500 << 10), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.shortfall, placed.over_target), (5, 0, 3));
    let mut replicas = placed.replicas;
    replicas.sort();
    assert_eq!(replicas, nodes[..5]);
    // A hot block may not reach its seventh: 798 + 1 is below 800, 799 + 1 is not.
    let placed = mesh.allocate(2, &block(500 << 10, Temperature::Hot), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.shortfall, placed.over_target), (7, 0, 5));
    let placed = mesh.allocate(3, &block(500 << 10, Temperature::Hot), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.shortfall, placed.over_target), (6, 1, 4));
}

#[test]
fn above_the_floor_half_load_is_never_exceeded() {
    let (mut mesh, nodes) = mesh(10, 1000 * MIB);
    for (&node, load) in nodes.iter().zip([100, 100, 100, 100, 100, 100, 600, 600, 600, 600]) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &blob(2 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!((placed.want, placed.granted, placed.shortfall, placed.over_target), (10, 6, 4, 0));
}

#[test]
fn the_count_is_the_largest_that_fits() {
    // A stripe share grows as the count falls: 120 MiB x 1.2 over n nodes of 100 MiB must stay below 500 thousandths.
    let (mut small, _) = mesh(3, 100 * MIB);
    let placed = small.allocate(1, &blob(120 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.over_target), (3, 0));
    // Two nodes would carry 72 % each: below the floor they may.
    let (mut two, _) = mesh(2, 100 * MIB);
    let placed = two.allocate(1, &blob(120 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.over_target, placed.shortfall), (2, 2, 98));
    // One would carry 144 %: never.
    let (mut one, _) = mesh(1, 100 * MIB);
    let refused = one.allocate(1, &blob(120 * MIB), &Policy::default(), T0);
    assert_eq!(refused, Err(AllocateError::NoUsableNode { want: 100, healthy: 1 }));
}

#[test]
fn storage_spreads_over_regions_then_zones() {
    // Region 0 is idle, the others are not: it must not attract more than its turn.
    let (mut mesh, nodes) = mesh(96, 1000 * MIB);
    for &node in &nodes {
        let load = if zone_of(&mesh, node).0 == RegionId(0) { 0 } else { 300 };
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    let regions = tally(placed.replicas.iter().map(|&node| zone_of(&mesh, node).0));
    assert_eq!((regions.len(), regions[&RegionId(0)]), (6, 2));
    assert_eq!(placed.achieved, Tolerance { nodes: 6, zones: 6, regions: 5 });
}

#[test]
fn compute_takes_the_most_idle_that_are_able() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<_> = (0..20u32)
        .map(|id| {
            let capabilities = if id % 2 == 0 { Capabilities::GPU } else { Capabilities::NONE };
            let capacity = Capacity { bytes: 1 << 40, memory_mb: if id < 4 { 512 } else { 65_536 }, bandwidth_kb_s: 0 };
            mesh.upsert(inos_alloc::NodeSpec { capabilities, capacity, ..node(id, 0, 0, 0) })
        })
        .collect();
    for (load, &node) in (0u16..).zip(&nodes) {
        let available = Capacity { memory_mb: if load == 18 { 100 } else { 65_536 }, ..Capacity::UNLIMITED };
        mesh.report(node, inos_alloc::NodeReport { available, ..load_report(200 - load * 10, 0) }, T0).unwrap();
    }
    let requires = Requirements { capabilities: Capabilities::GPU, memory_mb: 1024, duration_ms: 50 };
    assert_eq!(mesh.usable(&requires), 7);
    let job = ResourceSpec { class: Class::Compute, requires, ..blob(1000) };
    let placed = mesh.allocate(1, &job, &Policy::default(), T0).unwrap();
    let mut ids: Vec<u32> = placed.replicas.iter().map(|&node| mesh.node(node).unwrap().id).collect();
    ids.sort_unstable();
    // Node 18 is the idlest with a GPU, and short of memory.
    assert_eq!(ids, [8, 10, 12, 14, 16]);
}

#[test]
fn streams_stay_within_fifty_milliseconds_and_bandwidth() {
    let (mut mesh, nodes) = mesh(12, 1000 * MIB);
    let stream = |bandwidth_kb_s| ResourceSpec { class: Class::Stream { fps: 30, bandwidth_kb_s }, ..blob(1000) };
    assert_eq!(mesh.allocate(1, &stream(100), &Policy::default(), T0), Err(AllocateError::NeedsConsumer));
    // Regions 1 and 2 are near, 3 is 45 ms away, 4 is at 44.999 ms, 5 is at an unknown distance.
    for (region, latency_us) in [(1, 10_000), (2, 20_000), (3, 45_000), (4, 44_999)] {
        mesh.set_latency(RegionId(region), RegionId(0), Duration::from_micros(latency_us));
    }
    for &node in &nodes {
        mesh.report(node, load_report(0, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &stream(100), &near(0), T0).unwrap();
    let regions: Vec<u32> = placed.replicas.iter().map(|&node| zone_of(&mesh, node).0.0).collect();
    assert_eq!(regions, [0, 0, 1, 1, 2]);
    // Half a node's bandwidth does not fit below half load, and 80 % is the end.
    let placed = mesh.allocate(2, &stream((1 << 20) / 2), &near(0), T0).unwrap();
    assert_eq!((placed.granted, placed.over_target), (5, 5));
    let refused = mesh.allocate(3, &stream((1 << 20) / 10 * 9), &near(0), T0);
    assert!(matches!(refused, Err(AllocateError::NoUsableNode { want: 5, .. })));
    for id in 10..18 {
        let _ = mesh.allocate(id, &stream(1), &near(0), T0).unwrap();
    }
    let far: Vec<_> = nodes.iter().filter(|&&node| [3, 5].contains(&zone_of(&mesh, node).0.0)).collect();
    assert!(far.iter().all(|&&node| effective(&mesh, node) == 0));
}

#[test]
fn fast_state_is_near_and_slow_state_is_spread() {
    let (mut mesh, _) = mesh(60, 1000 * MIB);
    let state = |updates_per_second| {
        let class = Class::State { updates_per_second, resolution: Resolution::LastWriteWins };
        ResourceSpec { class, ..blob(1000) }
    };
    assert_eq!(mesh.allocate(1, &state(60), &Policy::default(), T0), Err(AllocateError::NeedsConsumer));
    let placed = mesh.allocate(1, &state(60), &near(3), T0).unwrap();
    assert!(placed.replicas.iter().all(|&node| zone_of(&mesh, node).0 == RegionId(3)));
    assert_eq!(placed.achieved.regions, 0);
    let placed = mesh.allocate(2, &state(10), &Policy::default(), T0).unwrap();
    assert_eq!(placed.achieved, Tolerance { nodes: 6, zones: 6, regions: 5 });
}

#[test]
fn the_primary_is_the_nearest_then_the_most_capable_then_the_least_loaded() {
    let (mut mesh, nodes) = mesh(5, 1000 * MIB);
    mesh.upsert(inos_alloc::NodeSpec { capabilities: Capabilities::GPU, ..node(2, 2, 0, 1000 * MIB) });
    for (&node, load) in nodes.iter().zip([30, 20, 300, 10, 40]) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    assert_eq!(mesh.allocate(1, &blob(10), &Policy::default(), T0).unwrap().primary, nodes[2]);
    mesh.upsert(node(2, 2, 0, 1000 * MIB));
    assert_eq!(mesh.allocate(2, &blob(10), &Policy::default(), T0).unwrap().primary, nodes[3]);
    for region in 1..5 {
        mesh.set_latency(RegionId(0), RegionId(region), Duration::from_millis(u64::from(region)));
    }
    assert_eq!(mesh.allocate(3, &blob(10), &near(0), T0).unwrap().primary, nodes[0]);
}

#[test]
fn equal_nodes_share() {
    let (mut mesh, nodes) = mesh(96, 1000 * MIB);
    for id in 0..960 {
        let _ = mesh.allocate(id, &blob(500 << 10), &Policy::default(), T0).unwrap();
    }
    // 4,800 replicas over 96 nodes are 50 each.
    let counts: Vec<usize> = nodes.iter().map(|&node| mesh.resources_on(node).count()).collect();
    let (least, most) = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
    assert!(49 <= least && most <= 51, "{least}..={most}");
}

#[test]
fn another_seed_chooses_other_nodes() {
    let choose = |seed| {
        let mut mesh = Allocator::<u32, u64>::new(Config { seed, ..Config::default() });
        for id in 0..200 {
            mesh.upsert(node(id, 0, 0, 1000 * MIB));
        }
        let placed = mesh.allocate(1, &blob(10), &Policy::default(), T0).unwrap();
        placed.replicas.iter().map(|&node| mesh.node(node).unwrap().id).collect::<Vec<u32>>()
    };
    assert_eq!(choose(1), choose(1));
    assert_ne!(choose(1), choose(2));
}

#[test]
fn a_resource_is_placed_once_and_a_node_in_use_stays() {
    let (mut mesh, nodes) = mesh(3, 1000 * MIB);
    let _ = mesh.allocate(1, &blob(10), &Policy::default(), T0).unwrap();
    let again = mesh.allocate(1, &blob(10), &Policy::default(), T0);
    assert_eq!(again, Err(AllocateError::AlreadyAllocated { granted: 3 }));
    assert_eq!(mesh.remove(nodes[0]), Err(RemoveError::InUse { resources: 1 }));
    assert!(mesh.release(&1));
    assert_eq!(mesh.remove(nodes[0]), Ok(()));
    assert_eq!(mesh.remove(nodes[0]), Err(RemoveError::UnknownNode));
    assert_eq!((mesh.lookup(&0), mesh.node(nodes[0]), mesh.healthy_count()), (None, None, 2));
    let next = mesh.upsert(node(9, 0, 0, MIB));
    assert_eq!((next.index, next.generation), (nodes[0].index, nodes[0].generation + 1));
    assert!(!mesh.is_healthy(nodes[0]));
}
