//! Goal: seeds and hubs are as many and as spread as the mesh allows, what is missing is said, and one node changes one
//! place. Method: a twin that counts in single steps and ranks by floats; laws over drawn meshes; tables; the ends of every
//! number.

use super::{candidate, handle, hubs_only, mix, tie};
use alloc::collections::{BTreeMap, BTreeSet};
use inos_alloc::{
    Candidate, Demand, Hierarchy, HierarchyError, HierarchyLimits, HubShortfall, NodeRef, RegionId, Role,
    plan_hierarchy,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn plan(resource_hash: u64, nodes: &[Candidate]) -> Hierarchy {
    plan_hierarchy(resource_hash, nodes, Demand::ZERO, &HierarchyLimits::default()).unwrap()
}

fn hub_set(plan: &Hierarchy) -> BTreeSet<NodeRef> {
    plan.regions.iter().flat_map(|region| region.hubs().iter().copied()).collect()
}

fn edge_set(plan: &Hierarchy) -> BTreeSet<NodeRef> {
    plan.edges.iter().flat_map(|region| region.nodes.iter().copied()).collect()
}

/// `count` nodes over `regions` regions of three zones.
fn mesh(count: u32, regions: u32) -> Vec<Candidate> {
    (0..count).map(|index| candidate(index, index % regions, index / regions % 3, 1 + index % 5)).collect()
}

#[test]
fn seeds_by_demand() {
    let nodes = mesh(700, 6);
    for (demand, count) in [(0, 5), (499, 5), (500, 6), (999, 6), (1000, 7)] {
        let plan = plan_hierarchy(1, &nodes, Demand::saturating(demand), &HierarchyLimits::default()).unwrap();
        assert_eq!((plan.seeds.len(), plan.seeds_missing), (count, 0), "demand {demand}");
    }
}

#[test]
fn counts_of_a_full_mesh() {
    // (regions, nodes per region) and the hubs of the largest and the smallest region, edges, regions in shortfall.
    let rows = [
        ((6, 200), (100, 100), 95, 0),
        ((7, 200), (100, 99), 0, 0),
        ((13, 200), (54, 53), 0, 0),
        ((14, 200), (50, 49), 0, 5),
        ((20, 200), (35, 34), 0, 20),
        // Two regions have two seeds, one has one.
        ((3, 60), (59, 58), 0, 0),
        ((1, 1000), (100, 100), 595, 0),
    ];
    for ((regions, per_region), (most, least), edges, short) in rows {
        let plan = plan(3, &mesh(regions * per_region, regions));
        let counts: Vec<usize> = plan.regions.iter().map(|region| region.hubs().len()).collect();
        let ends = (*counts.iter().max().unwrap(), *counts.iter().min().unwrap());
        assert_eq!((ends, edge_set(&plan).len()), ((most, least), edges), "{regions} regions");
        assert_eq!(plan.shortfall.len(), short, "{regions} regions");
        assert!(plan.seeds.len() + hub_set(&plan).len() + edge_set(&plan).len() <= 700);
        for shortfall in &plan.shortfall {
            let hubs = plan.regions.iter().find(|region| region.region() == shortfall.region).unwrap().hubs().len();
            assert_eq!(u32::try_from(hubs), Ok(shortfall.hubs));
            assert_eq!(shortfall.missing, 50 - shortfall.hubs);
        }
    }
}

// --- a twin by single steps and floats

/// Takes places away one by one from whoever has most, the last in the order first.
fn reduced(total: usize, mut counts: Vec<usize>) -> Vec<usize> {
    while counts.iter().sum::<usize>() > total {
        let most = *counts.iter().max().unwrap();
        let last = counts.iter().rposition(|&count| count == most).unwrap();
        counts[last] -= 1;
    }
    counts
}

struct Twin<'a> {
    resource_hash: u64,
    nodes: &'a [Candidate],
}

impl Twin<'_> {
    fn score(&self, node: &Candidate) -> f64 {
        let hash = mix(mix(self.resource_hash ^ 0x6e6f_6465_0000_0001) ^ mix(node.tie));
        -(hash as f64 / 18_446_744_073_709_551_616.0).log2() / f64::from(node.weight)
    }

    fn region_rank(&self, region: u32) -> u64 {
        mix(mix(self.resource_hash ^ 0x7265_6769_0000_0002) ^ u64::from(region))
    }

    fn ranked(&self, able: impl Fn(&Candidate) -> bool) -> Vec<(u32, Vec<Candidate>)> {
        let mut regions = BTreeMap::<(u64, u32), Vec<Candidate>>::new();
        for node in self.nodes {
            let nodes = regions.entry((self.region_rank(node.region.0), node.region.0)).or_default();
            nodes.extend(able(node).then_some(*node));
        }
        let sorted = |((_, region), mut nodes): ((u64, u32), Vec<Candidate>)| {
            nodes.sort_by(|a, b| self.score(a).partial_cmp(&self.score(b)).unwrap());
            (region, nodes)
        };
        regions.into_iter().map(sorted).collect()
    }

    fn seeds(&self, total: usize) -> BTreeSet<NodeRef> {
        let regions = self.ranked(|node| node.able == Role::Seed);
        let counts = reduced(total, regions.iter().map(|(_, nodes)| nodes.len()).collect());
        let mut seeds = BTreeSet::new();
        for ((region, nodes), count) in regions.into_iter().zip(counts) {
            let rank = |zone: u32| mix(self.region_rank(region) ^ mix(u64::from(zone)));
            let mut zones = BTreeMap::<(u64, u32), Vec<NodeRef>>::new();
            for node in nodes {
                zones.entry((rank(node.zone.0), node.zone.0)).or_default().push(node.node);
            }
            let counts = reduced(count, zones.values().map(Vec::len).collect());
            for (nodes, count) in zones.into_values().zip(counts) {
                seeds.extend(nodes.into_iter().take(count));
            }
        }
        seeds
    }

    fn hubs(&self, seeds: &BTreeSet<NodeRef>, total: usize, most: usize) -> BTreeSet<NodeRef> {
        let regions = self.ranked(|node| node.able >= Role::Hub && !seeds.contains(&node.node));
        let counts = reduced(total, regions.iter().map(|(_, nodes)| nodes.len().min(most)).collect());
        let first = regions.into_iter().zip(counts).flat_map(|((_, nodes), count)| nodes.into_iter().take(count));
        first.map(|node| node.node).collect()
    }
}

/// Nodes over few regions and zones, some of them able to be less than a seed.
fn drawn_mesh() -> impl Strategy<Value = Vec<Candidate>> {
    let node = (0..5u32, 0..3u32, 1..=10u32, 0..4u8);
    proptest::collection::vec(node, 0..60).prop_map(|drawn| {
        let node = |(index, (region, zone, weight, able)): (u32, (u32, u32, u32, u8))| Candidate {
            able: [Role::Edge, Role::Hub, Role::Seed, Role::Seed][usize::from(able)],
            ..candidate(index, region, zone, weight)
        };
        (0..).zip(drawn).map(node).collect()
    })
}

fn drawn_limits() -> impl Strategy<Value = HierarchyLimits> {
    (0..8u32, 1..20u32, 8..70u32).prop_map(|(seeds, hubs_per_region_max, nodes_max)| HierarchyLimits {
        seeds_min: seeds,
        seeds_max: seeds,
        hubs_per_region_max,
        hubs_per_region_min: 10,
        nodes_max,
        ..HierarchyLimits::default()
    })
}

proptest! {
    #[test]
    fn plans_like_the_twin(nodes in drawn_mesh(), limits in drawn_limits(), resource_hash: u64) {
        let plan = plan_hierarchy(resource_hash, &nodes, Demand::FULL, &limits).unwrap();
        let twin = Twin { resource_hash, nodes: &nodes };
        let wanted = usize::try_from(limits.seeds_max).unwrap();
        let seeds = twin.seeds(wanted);
        prop_assert_eq!(plan.seeds.iter().copied().collect::<BTreeSet<_>>(), seeds.clone());
        prop_assert_eq!(usize::try_from(plan.seeds_missing).unwrap(), wanted - seeds.len());
        let places = usize::try_from(limits.nodes_max).unwrap() - wanted;
        let hubs = twin.hubs(&seeds, places, usize::try_from(limits.hubs_per_region_max).unwrap());
        prop_assert_eq!(hub_set(&plan), hubs.clone());
        // Everybody else may cache while there are places.
        let edges = edge_set(&plan);
        let others = nodes.len() - seeds.len() - hubs.len();
        prop_assert_eq!(edges.len(), others.min(places - hubs.len()));
        prop_assert!(edges.iter().all(|edge| !seeds.contains(edge) && !hubs.contains(edge)));
        let regions: BTreeSet<RegionId> = nodes.iter().map(|node| node.region).collect();
        for region in regions {
            let hubs = plan.regions.iter().find(|hubs| hubs.region() == region).map_or(0, |hubs| hubs.hubs().len());
            let missing = plan.shortfall.iter().find(|short| short.region == region).map_or(0, |short| short.missing);
            prop_assert_eq!(missing, 10u32.saturating_sub(u32::try_from(hubs).unwrap()));
        }
        prop_assert!(plan.shortfall.iter().all(|short| short.missing > 0));
    }

    #[test]
    fn one_node_changes_one_seed_and_one_hub(
        nodes in drawn_mesh(), limits in drawn_limits(), resource_hash: u64, gone: usize,
    ) {
        prop_assume!(!nodes.is_empty());
        let mut fewer = nodes.clone();
        fewer.remove(gone % nodes.len());
        let before = plan_hierarchy(resource_hash, &nodes, Demand::FULL, &limits).unwrap();
        let after = plan_hierarchy(resource_hash, &fewer, Demand::FULL, &limits).unwrap();
        let seeds = |plan: &Hierarchy| plan.seeds.iter().copied().collect::<BTreeSet<_>>();
        for (old, new) in [(seeds(&before), seeds(&after)), (hub_set(&before), hub_set(&after))] {
            prop_assert!(old.difference(&new).count() <= 1, "{:?} {:?}", old, new);
            prop_assert!(new.difference(&old).count() <= 1, "{:?} {:?}", old, new);
        }
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(nodes in drawn_mesh(), limits in drawn_limits(), resource_hash: u64) {
        let plan = |nodes: &[Candidate]| plan_hierarchy(resource_hash, nodes, Demand::ZERO, &limits).unwrap();
        let mut shuffled = nodes.clone();
        shuffled.sort_by_key(|node| mix(node.tie));
        prop_assert_eq!(plan(&nodes), plan(&shuffled));
    }
}

#[test]
fn seeds_are_in_as_many_regions_and_zones_as_there_are() {
    for (regions, per_region, in_regions, in_zones) in [(1, 40, 1, 3), (2, 40, 2, 5), (5, 40, 5, 5), (9, 40, 5, 5)] {
        let nodes = mesh(regions * per_region, regions);
        for resource_hash in 0..50 {
            let seeds: BTreeSet<NodeRef> = plan(resource_hash, &nodes).seeds.into_iter().collect();
            let zones: BTreeSet<_> =
                nodes.iter().filter(|node| seeds.contains(&node.node)).map(|node| (node.region, node.zone)).collect();
            let distinct: BTreeSet<_> = zones.iter().map(|&(region, _)| region).collect();
            assert_eq!((distinct.len(), zones.len()), (in_regions, in_zones), "{regions} regions");
        }
    }
}

#[test]
fn hubs_are_chosen_in_proportion_to_their_weight() {
    // One of two nodes is the only hub; the other one weighs three times as much.
    let nodes = [candidate(0, 0, 0, 1), candidate(1, 0, 0, 3)];
    let limits = HierarchyLimits { hubs_per_region_max: 1, ..hubs_only() };
    let light = (0..8_000).filter(|&resource_hash| {
        let plan = plan_hierarchy(resource_hash, &nodes, Demand::ZERO, &limits).unwrap();
        plan.regions[0].hubs() == [handle(0)]
    });
    let light = light.count();
    // 2,000 expected, deviation 39.
    assert!((1_850..2_150).contains(&light), "{light}");
}

#[test]
fn the_first_edge_is_the_next_hub() {
    let mut nodes = mesh(400, 2);
    let before = plan(4, &nodes);
    let (gone, next) = (before.regions[0].hubs()[17], before.edges[0].nodes[0]);
    assert_eq!(before.regions[0].region(), before.edges[0].region);
    nodes.retain(|node| node.node != gone);
    let after = plan(4, &nodes);
    assert!(after.regions[0].hubs().contains(&next));
    assert_eq!(after.regions[1], before.regions[1]);
}

#[test]
fn who_may_have_a_role() {
    let base = candidate(0, 0, 0, 1);
    let node = |load_permille, able, current, weight| Candidate { load_permille, able, current, weight, ..base };
    let rows = [
        (node(499, Role::Seed, None, 1), Some(Role::Seed)),
        (node(500, Role::Seed, None, 1), None),
        (node(799, Role::Seed, Some(Role::Edge), 1), Some(Role::Seed)),
        (node(800, Role::Seed, Some(Role::Seed), 1), None),
        (node(u32::MAX, Role::Seed, None, u32::MAX), None),
        (node(0, Role::Seed, None, 0), None),
        (node(0, Role::Hub, None, u32::MAX), Some(Role::Hub)),
        (node(0, Role::Edge, None, 1), Some(Role::Edge)),
    ];
    for (node, expected) in rows {
        let plan = plan(1, &[node]);
        let role = match (plan.seeds.len(), hub_set(&plan).len(), edge_set(&plan).len()) {
            (1, 0, 0) => Some(Role::Seed),
            (0, 1, 0) => Some(Role::Hub),
            (0, 0, 1) => Some(Role::Edge),
            (0, 0, 0) => None,
            counts => panic!("{counts:?}"),
        };
        assert_eq!(role, expected, "{node:?}");
        let hubs = u32::from(role == Some(Role::Hub));
        assert_eq!(plan.shortfall, [HubShortfall { region: RegionId(0), hubs, missing: 50 - hubs }]);
    }
}

#[test]
fn meshes_of_nobody_and_of_nowhere() {
    let empty = plan(0, &[]);
    assert_eq!((empty.seeds_missing, empty.regions.len(), empty.shortfall.len()), (5, 0, 0));
    let weightless: Vec<Candidate> = (0..100).map(|index| candidate(index, index % 3, 0, 0)).collect();
    let plan_of_none = plan(0, &weightless);
    assert_eq!((plan_of_none.seeds.len(), plan_of_none.regions.len(), plan_of_none.shortfall.len()), (0, 0, 3));
    // More regions than places: one hub each, which holds everything, until the places are gone.
    let scattered: Vec<Candidate> = (0..20_000).map(|index| candidate(index, index % 10_000, 0, u32::MAX)).collect();
    let plan = plan(0, &scattered);
    assert_eq!((plan.seeds.len(), plan.regions.len(), plan.shortfall.len(), plan.edges.len()), (5, 695, 10_000, 0));
    assert!(plan.regions.iter().all(|region| region.hubs().len() == 1 && region.copies() == 1));
    let crowded: Vec<Candidate> = (0..20_000).map(|index| candidate(index, u32::MAX, u32::MAX, 1)).collect();
    let plan = super::plan::plan(u64::MAX, &crowded);
    assert_eq!((plan.seeds.len(), hub_set(&plan).len(), edge_set(&plan).len()), (5, 100, 595));
}

#[test]
fn limits_that_cannot_be() {
    let with = |change: fn(&mut HierarchyLimits)| {
        let mut limits = HierarchyLimits::default();
        change(&mut limits);
        plan_hierarchy(0, &mesh(30, 2), Demand::FULL, &limits)
    };
    for hubs_per_region_max in [0, 129, u32::MAX] {
        let limits = HierarchyLimits { hubs_per_region_max, ..HierarchyLimits::default() };
        let refused = plan_hierarchy(0, &[], Demand::ZERO, &limits);
        assert_eq!(refused, Err(HierarchyError::BadHubs { hubs_per_region_max }));
    }
    assert_eq!(with(|limits| limits.hub_share_permille = 0), Err(HierarchyError::BadShare { hub_share_permille: 0 }));
    assert!(with(|limits| limits.hub_share_permille = 1001).is_err());
    assert!(with(|limits| limits.load_bound_permille = 1001).is_err());
    let seeds = HierarchyError::BadSeeds { seeds_min: 8, seeds_max: 7 };
    assert_eq!(with(|limits| limits.seeds_min = 8), Err(seeds));
    // These can be: nobody, or everybody a seed.
    let nobody = with(|limits| limits.nodes_max = 0).unwrap();
    assert_eq!((nobody.seeds.len(), nobody.seeds_missing, nobody.regions.len(), nobody.edges.len()), (0, 0, 0, 0));
    let everybody = with(|limits| (limits.seeds_max, limits.nodes_max) = (u32::MAX, u32::MAX)).unwrap();
    assert_eq!((everybody.seeds.len(), everybody.seeds_missing), (30, u32::MAX - 30));
    let short = with(|limits| limits.hubs_per_region_min = u32::MAX).unwrap();
    assert_eq!(short.shortfall.len(), 2);
}

#[test]
fn a_node_is_a_candidate_once() {
    let twice = NodeRef { index: 3, generation: 9 };
    let mut nodes = mesh(6, 2);
    nodes[5].node = twice;
    let refused = plan_hierarchy(0, &nodes, Demand::ZERO, &HierarchyLimits::default());
    assert_eq!(refused, Err(HierarchyError::DuplicateNode { node: twice }));
    assert_eq!(refused.unwrap_err().to_string(), "node 3 is a candidate twice");
    assert_eq!(tie(3), nodes[3].tie);
}
