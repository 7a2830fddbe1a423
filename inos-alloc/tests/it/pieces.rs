//! Goal: pieces are balanced and as far apart as the nodes allow. Method: the promised figures at full size, laws over
//! random meshes, and tolerances checked by losing everything that may be lost.

use crate::support::{GIB, MIB, T0, blob, effective, load_report, mesh, node, tally, zone_of};
use inos_alloc::{
    Allocator, Capacity, Ceiling, Config, MAX_PIECES, NodeRef, NodeReport, PlaceError, Policy, Scheme, StripePlacement,
    Tiers, Tolerance, scheme,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy() -> Policy {
    Policy::default()
}

#[test]
fn chunks_are_spread_and_shares_are_level() {
    let (mut mesh, _) = mesh(700, 10 * GIB);
    let placed = mesh.allocate(1, &blob(1_100 * MIB), &policy(), T0).unwrap();
    assert_eq!(placed.granted, 300);
    assert_eq!(placed.achieved, Tolerance::default());
    let chunks = mesh.place_chunks(&1, 1_100, 5, &policy(), T0).unwrap();
    assert_eq!((chunks.copies, chunks.shortfall, chunks.holders.len()), (5, 0, 5_500));
    assert_eq!(chunks.achieved, Tolerance { nodes: 4, zones: 4, regions: 4 });
    let shares = tally(chunks.holders.iter().copied());
    // 5,500 / 300 = 18.3.
    assert_eq!(shares.len(), 300);
    assert!(shares.values().all(|&share| share == 18 || share == 19));
    assert_eq!(mesh.placement(&1).unwrap().achieved, chunks.achieved);
    assert_eq!(mesh.chunk_holders(&1, 1_099).unwrap(), chunks.holders_of(1_099));
    assert_eq!((mesh.chunk_holders(&1, 1_100), chunks.holders_of(1_100)), (None, &[][..]));
}

fn check_stripe(mesh: &crate::support::Mesh, stripe: &StripePlacement, nodes: u32, parity: u32) {
    let shards = u32::try_from(stripe.nodes.len()).unwrap();
    let on_node = tally(stripe.nodes.iter().copied());
    assert!(on_node.values().all(|&count| count <= shards.div_ceil(nodes)));
    assert!(tally(stripe.nodes.iter().map(|&node| zone_of(mesh, node))).values().all(|&count| count <= parity));
    assert!(tally(stripe.nodes.iter().map(|&node| zone_of(mesh, node).0)).values().all(|&count| count <= parity));
}

#[test]
fn a_hundred_stripes_over_seven_hundred_nodes() {
    let (mut mesh, nodes) = mesh(700, 10 * GIB);
    let policy = Policy { tiers: Tiers::default().with_ceiling(Ceiling::Global), ..policy() };
    let spec = inos_alloc::ResourceSpec { demand: inos_alloc::Demand::FULL, budget: 1 << 20, ..blob(10_000 * MIB) };
    assert_eq!(mesh.allocate(1, &spec, &policy, T0).unwrap().granted, 700);
    let before = effective(&mesh, nodes[0]);
    let mut all = Vec::new();
    for number in 0..100 {
        let stripe = mesh.place_stripe(&1, number, 100, 20, &policy, T0).unwrap();
        check_stripe(&mesh, &stripe, 700, 20);
        assert_eq!((stripe.achieved.nodes, stripe.achieved.regions), (20, 1));
        assert!(stripe.achieved.zones >= 3);
        all.extend(stripe.nodes);
    }
    // 12,000 shards over 700 nodes: 17.1. The six regions have 117 or 116 nodes, and each has to take a sixth.
    let shares = tally(all);
    assert_eq!(shares.len(), 700);
    assert!(shares.values().all(|&share| (16..=18).contains(&share)), "{shares:?}");
    // Whole shards are no more than a shard or two beyond what was booked by bytes.
    assert!(nodes.iter().all(|&node| effective(&mesh, node) <= before + 1));
}

#[test]
fn fewer_nodes_than_shards() {
    let (mut mesh, nodes) = mesh(80, 10 * GIB);
    assert_eq!(mesh.allocate(1, &blob(1_000_000_000), &policy(), T0).unwrap().granted, 80);
    let mut all = Vec::new();
    for number in 0..10 {
        let stripe = mesh.place_stripe(&1, number, 100, 20, &policy(), T0).unwrap();
        check_stripe(&mesh, &stripe, 80, 20);
        assert_eq!(stripe.achieved.nodes, 10);
        all.extend(stripe.nodes);
    }
    let shares = tally(all);
    // 1,200 shards over 80 nodes are 15 each; two regions have a node more than the others and take no more for it.
    assert!(nodes.iter().all(|node| (13..=16).contains(&shares[node])), "{shares:?}");
    // One shard per node, as wide as the nodes allow.
    let Scheme::Stripes { data, parity } = scheme(1_000_000_000).for_nodes(80) else {
        panic!("a large blob is striped")
    };
    let stripe = mesh.place_stripe(&1, 10, data, parity, &policy(), T0).unwrap();
    assert_eq!((tally(stripe.nodes.iter().copied()).len(), stripe.achieved.nodes), (80, 14));
}

#[test]
fn too_few_zones_and_regions_give_the_largest_survivable_set() {
    // Two regions of two zones: 120 shards cannot stay at 20 per zone, so each zone gets 30 and none may be lost.
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    for id in 0..200 {
        mesh.upsert(node(id, id % 2, id / 2 % 2, 10 * GIB));
    }
    assert_eq!(mesh.allocate(1, &blob(500 * MIB), &policy(), T0).unwrap().granted, 100);
    let stripe = mesh.place_stripe(&1, 0, 100, 20, &policy(), T0).unwrap();
    assert!(tally(stripe.nodes.iter().map(|&node| zone_of(&mesh, node))).values().all(|&count| count == 30));
    assert_eq!(stripe.achieved, Tolerance { nodes: 10, zones: 0, regions: 0 });
    // Half parity: a zone may be lost, a region may, but no zone more.
    let stripe = mesh.place_stripe(&1, 1, 30, 30, &policy(), T0).unwrap();
    assert_eq!(stripe.achieved, Tolerance { nodes: 30, zones: 2, regions: 1 });
}

#[test]
fn a_limit_holds_against_the_even_spread() {
    // Evenly over the two regions, zone 0 of region 0 would get four of eight shards; with three of parity it may have
    // three, and the five zones of region 1 have room for the rest.
    let zones: Vec<_> = [(0, 0, 5)].into_iter().chain((0..5).map(|zone| (1, zone, 1))).collect();
    let (mut mesh, _) = uneven(&zones);
    let stripe = mesh.place_stripe(&1, 0, 5, 3, &policy(), T0).unwrap();
    assert!(tally(stripe.nodes.iter().map(|&node| zone_of(&mesh, node))).values().all(|&count| count <= 3));
    assert_eq!(stripe.achieved.zones, 1);
    // Balance alone would give half of the shards to the region with half of the nodes; it may have two of twelve.
    let zones: Vec<_> = (0..6).map(|region| (region, 0, if region == 0 { 10 } else { 2 })).collect();
    let (mut mesh, _) = uneven(&zones);
    for number in 0..5 {
        let stripe = mesh.place_stripe(&1, number, 10, 2, &policy(), T0).unwrap();
        assert!(tally(stripe.nodes.iter().map(|&node| zone_of(&mesh, node).0)).values().all(|&count| count == 2));
    }
}

#[test]
fn what_does_not_divide_evenly_goes_to_other_nodes_each_time() {
    // One chunk on five of ten equal nodes, 200 times: 100 each, with a standard deviation of 7.
    let (mut mesh, nodes) = mesh(10, 1000 * GIB);
    let mut holders = Vec::new();
    for resource in 0..200 {
        let _ = mesh.allocate(resource, &blob(MIB), &policy(), T0).unwrap();
        holders.extend(mesh.place_chunks(&resource, 1, 5, &policy(), T0).unwrap().holders);
    }
    let shares = tally(holders);
    assert!(nodes.iter().all(|node| (70..=130).contains(&shares[node])), "{shares:?}");
    // The same for the one stripe of a blob on 60 of a hundred nodes.
    let (mut mesh, nodes) = self::mesh(100, 1000 * GIB);
    let mut holders = Vec::new();
    for resource in 0..100 {
        let _ = mesh.allocate(resource, &blob(100 * MIB), &policy(), T0).unwrap();
        holders.extend(mesh.place_stripe(&resource, 0, 50, 10, &policy(), T0).unwrap().nodes);
    }
    let shares = tally(holders);
    assert!(nodes.iter().all(|node| (40..=80).contains(&shares[node])), "{shares:?}");
}

#[test]
fn extra_pieces_go_to_the_least_loaded() {
    let (mut mesh, nodes) = mesh(6, 1000 * MIB);
    let placed = mesh.allocate(1, &blob(MIB), &policy(), T0).unwrap();
    for (&node, load) in nodes.iter().zip([30, 20, 70, 10, 60, 40]) {
        mesh.report(node, load_report(load, placed.seq), T0).unwrap();
    }
    let chunk = mesh.place_chunks(&1, 1, 5, &policy(), T0).unwrap();
    assert!(!chunk.holders.contains(&nodes[2]));
}

#[test]
fn chunks_are_refused_only_when_no_choice_has_room() {
    // Rooms of 6, 6, 14 and 14 chunks: sum of min(room, chunks) is 3 x chunks up to 12. Filled evenly from below, the
    // small nodes would be full after eight chunks, and two nodes cannot take three copies.
    let (mut mesh, nodes) = mesh(4, 1000 * MIB);
    let _ = mesh.allocate(1, &blob(4 * MIB), &policy(), T0).unwrap();
    for (&node, free) in nodes.iter().zip([6, 6, 14, 14]) {
        let available = Capacity { bytes: free * MIB, ..Capacity::UNLIMITED };
        mesh.report(node, NodeReport { available, ..load_report(100, 0) }, T0).unwrap();
    }
    for chunks in 1..=12 {
        let placed = mesh.clone().place_chunks(&1, chunks, 3, &policy(), T0).unwrap();
        let shares = tally(placed.holders.iter().copied());
        assert!(nodes.iter().zip([6, 6, 14, 14]).all(|(node, room)| shares.get(node).is_none_or(|&n| n <= room)));
        for chunk in 0..chunks {
            assert_eq!(tally(placed.holders_of(chunk).iter().copied()).len(), 3);
        }
    }
    let refused = mesh.place_chunks(&1, 13, 3, &policy(), T0);
    assert_eq!(refused, Err(PlaceError::NoRoom { pieces: 39, room: 38 }));
}

#[test]
fn refusals_change_nothing() {
    let (mut mesh, nodes) = mesh(10, 100 * MIB);
    let too_many = |pieces| PlaceError::BadCount { pieces, limit: MAX_PIECES };
    assert_eq!(mesh.place_chunks(&1, 1, 1, &policy(), T0), Err(PlaceError::UnknownResource));
    assert_eq!(mesh.place_stripe(&1, 0, 1, 1, &policy(), T0), Err(PlaceError::UnknownResource));
    let _ = mesh.allocate(1, &blob(5 * MIB), &policy(), T0).unwrap();
    let _ = mesh.allocate(2, &blob(5 * MIB), &policy(), T0).unwrap();
    let loads = |mesh: &crate::support::Mesh| nodes.iter().map(|&node| mesh.load(node)).collect::<Vec<_>>();
    let (before, placement) = (loads(&mesh), mesh.placement(&1));
    assert_eq!(mesh.place_chunks(&1, 0, 5, &policy(), T0), Err(too_many(0)));
    assert_eq!(mesh.place_chunks(&1, u64::MAX, u32::MAX, &policy(), T0), Err(too_many(u64::MAX)));
    let shards = u64::from(u32::MAX) * 2;
    assert_eq!(mesh.place_stripe(&1, 0, u32::MAX, u32::MAX, &policy(), T0), Err(too_many(shards)));
    let geometry = PlaceError::BadGeometry { data: 0, parity: 3 };
    assert_eq!(mesh.place_stripe(&1, 0, 0, 3, &policy(), T0), Err(geometry));
    // Ten nodes of 100 MiB below half load have room for 49 MiB each, of which the other blob has 3.
    let no_room = mesh.place_chunks(&1, 1_000, 5, &policy(), T0);
    assert!(matches!(no_room, Err(PlaceError::NoRoom { pieces: 5_000, room: 400..500 })), "{no_room:?}");
    let no_room = mesh.place_stripe(&1, 0, 400, 80, &policy(), T0);
    assert!(matches!(no_room, Err(PlaceError::NoRoom { pieces: 480, room: 400..480 })), "{no_room:?}");
    assert_eq!((loads(&mesh), mesh.placement(&1)), (before, placement));

    let _ = mesh.place_chunks(&1, 5, 5, &policy(), T0).unwrap();
    assert_eq!(mesh.place_chunks(&1, 5, 5, &policy(), T0), Err(PlaceError::AlreadyPlaced));
    assert_eq!(mesh.place_stripe(&1, 0, 5, 1, &policy(), T0), Err(PlaceError::OtherScheme));
    let _ = mesh.place_stripe(&2, 0, 5, 1, &policy(), T0).unwrap();
    assert_eq!(mesh.place_stripe(&2, 0, 5, 1, &policy(), T0), Err(PlaceError::AlreadyPlaced));
    assert_eq!(mesh.place_chunks(&2, 5, 5, &policy(), T0), Err(PlaceError::OtherScheme));
}

/// A mesh of zones of random sizes, all of whose nodes carry resource 1.
fn uneven(zones: &[(u32, u32, u32)]) -> (crate::support::Mesh, Vec<NodeRef>) {
    let mut mesh = Allocator::new(Config::default());
    let ids = zones.iter().flat_map(|&(region, zone, size)| (0..size).map(move |_| (region, zone)));
    for (id, (region, zone)) in (0u32..).zip(ids) {
        mesh.upsert(node(id, region, zone, 100 * GIB));
    }
    let policy = Policy { tiers: Tiers::default().with_ceiling(Ceiling::Global), ..policy() };
    let nodes = mesh.allocate(1, &blob(10 * GIB), &policy, T0).unwrap().replicas;
    (mesh, nodes)
}

fn zones() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
    prop::collection::vec((0u32..5, 0u32..3, 1u32..6), 1..10)
}

/// The most of `domains` that may be lost while `data` shards are left, by trying every set of that many.
fn survivable(counts: &[u32], data: u32) -> u32 {
    let total: u32 = counts.iter().sum();
    let sets = 0u32..1 << counts.len();
    let fatal = sets.filter(|set| {
        let lost: u32 = counts.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, &count)| count).sum();
        total - lost < data
    });
    fatal.map(u32::count_ones).min().map_or(u32::try_from(counts.len()).unwrap(), |smallest| smallest - 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// No node gets two chunks more than another, copies are on distinct nodes, and the tolerance is that of the worst.
    #[test]
    fn chunk_laws(zones in zones(), chunks in 1u64..60, copies in 1u32..8) {
        let (mut mesh, nodes) = uneven(&zones);
        let placed = mesh.place_chunks(&1, chunks, copies, &policy(), T0).unwrap();
        prop_assert_eq!(placed.copies, copies.min(u32::try_from(nodes.len()).unwrap()));
        prop_assert_eq!(placed.copies + placed.shortfall, copies);
        let shares = tally(placed.holders.iter().copied());
        let share_of = |node: &NodeRef| shares.get(node).copied().unwrap_or(0);
        let (least, most) = (nodes.iter().map(share_of).min().unwrap(), nodes.iter().map(share_of).max().unwrap());
        prop_assert!(most - least <= 1);
        let mut worst = (u32::MAX, u32::MAX);
        for chunk in 0..chunks {
            let holders = placed.holders_of(chunk);
            prop_assert_eq!(tally(holders.iter().copied()).len(), holders.len());
            let zones = tally(holders.iter().map(|&node| zone_of(&mesh, node))).len();
            let regions = tally(holders.iter().map(|&node| zone_of(&mesh, node).0)).len();
            worst.0 = worst.0.min(u32::try_from(zones).unwrap() - 1);
            worst.1 = worst.1.min(u32::try_from(regions).unwrap() - 1);
        }
        prop_assert_eq!((placed.achieved.nodes, placed.achieved.zones, placed.achieved.regions),
            (placed.copies - 1, worst.0, worst.1));
    }

    /// Node, zone and region limits hold wherever they can, and what is promised survives every choice of losses.
    #[test]
    fn stripe_laws(zones in zones(), data in 1u32..20, parity in 0u32..10, stripes in 1u32..4) {
        let (mut mesh, nodes) = uneven(&zones);
        let (shards, count) = (data + parity, u32::try_from(nodes.len()).unwrap());
        let per_node = shards.div_ceil(count);
        for number in 0..stripes {
            let placed = mesh.place_stripe(&1, number, data, parity, &policy(), T0).unwrap();
            prop_assert_eq!(placed.nodes.len(), usize::try_from(shards).unwrap());
            let on_node = tally(placed.nodes.iter().copied());
            prop_assert!(on_node.values().all(|&count| count <= per_node));
            // Every zone filled to `parity` would hold the stripe: then none holds more.
            let room = tally(nodes.iter().map(|&node| zone_of(&mesh, node)));
            let in_zone = tally(placed.nodes.iter().map(|&node| zone_of(&mesh, node)));
            let fits = room.values().map(|&nodes| (nodes * per_node).min(parity)).sum::<u32>() >= shards;
            if fits {
                prop_assert!(in_zone.values().all(|&count| count <= parity));
                let mut regions = alloc::collections::BTreeMap::<_, u32>::new();
                for (zone, nodes) in &room {
                    *regions.entry(zone.0).or_default() += (nodes * per_node).min(parity);
                }
                let in_region = tally(placed.nodes.iter().map(|&node| zone_of(&mesh, node).0));
                if regions.values().map(|&room| room.min(parity)).sum::<u32>() >= shards {
                    prop_assert!(in_region.values().all(|&count| count <= parity));
                }
            }
            let counts: Vec<u32> = in_zone.into_values().collect();
            prop_assert_eq!(placed.achieved.zones, survivable(&counts, data));
            let most = on_node.values().copied().max().unwrap();
            prop_assert_eq!(placed.achieved.nodes, parity / most);
        }
    }
}
