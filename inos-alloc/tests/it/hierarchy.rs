//! Goal: the hierarchy of a resource above 10 GiB gives every region every piece, loads no hub beyond its bound, and moves
//! little when nodes come and go. Method: laws over drawn and exhaustive cases in the modules below, with twins that do the
//! same by sorting floats. What is measured is printed with `--nocapture`.

mod layout;
mod moves;
mod plan;

use inos_alloc::{Candidate, Demand, HierarchyLimits, NodeRef, RegionHubs, RegionId, Role, ZoneId, plan_hierarchy};

/// The mixer of SplitMix64, which `docs/policy.md` names.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn handle(index: u32) -> NodeRef {
    NodeRef { index, generation: 0 }
}

fn tie(index: u32) -> u64 {
    mix(u64::from(index))
}

fn candidate(index: u32, region: u32, zone: u32, weight: u32) -> Candidate {
    Candidate {
        node: handle(index),
        region: RegionId(region),
        zone: ZoneId(zone),
        weight,
        tie: tie(index),
        load_permille: 100,
        able: Role::Seed,
        current: None,
    }
}

/// No seeds, so that all nodes of a region become its hubs.
fn hubs_only() -> HierarchyLimits {
    HierarchyLimits { seeds_min: 0, seeds_max: 0, hubs_per_region_max: 128, ..HierarchyLimits::default() }
}

/// One region whose hubs are nodes 0, 1 and so on with these weights.
fn region_of(resource_hash: u64, weights: &[u32], limits: &HierarchyLimits) -> RegionHubs {
    let nodes: Vec<Candidate> = (0..).zip(weights).map(|(index, &weight)| candidate(index, 0, 0, weight)).collect();
    let mut plan = plan_hierarchy(resource_hash, &nodes, Demand::ZERO, limits).unwrap();
    assert_eq!((plan.seeds.len(), plan.regions.len()), (0, 1));
    plan.regions.remove(0)
}

/// Weights of `1..=range`, drawn by a seed.
fn drawn_weights(seed: u64, count: u64, range: u64) -> Vec<u32> {
    (0..count).map(|hub| 1 + u32::try_from(mix(seed << 32 | hub) % range).unwrap()).collect()
}
