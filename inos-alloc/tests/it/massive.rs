//! Goal: a resource above 10 GiB is on seeds and hubs as its plan says, to the byte, and every region has every piece before
//! and after failures, drains and returns. Method: 100 GB and 1 TB on 700 and 5,000 nodes in six regions; shares by a twin of
//! the rule for caps, pieces by going through the layouts; sparse and loaded meshes by hand; drawn ones for the load.

use crate::support::{GIB, MIB, Mesh, T0, blob, block, effective, load_report, mesh, node, zone_of};
use alloc::collections::BTreeSet;
use core::time::Duration;
use inos_alloc::{
    AllocateError, Allocator, Config, Demand, Hierarchy, HierarchyError, HierarchyLimits, HubShortfall, MoveBudget,
    NodeRef, PlaceError, Placement, Policy, RegionHubs, RegionId, Repair, ResourceSpec, Role, Scheme, Temperature,
    Tolerance, hierarchy_pieces, hub_moves,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const GB: u64 = 1_000_000_000;
const TB: u64 = 1000 * GB;

fn policy() -> Policy {
    Policy::default()
}

/// As [`mesh`], with a grace, through which bookings last.
fn patient(count: u32, bytes: u64) -> (Mesh, Vec<NodeRef>) {
    let mut mesh = Allocator::new(Config { seed: 42, booking_ttl: Duration::from_secs(3600), ..Config::default() });
    let nodes = (0..count).map(|id| mesh.upsert(node(id, id % 6, id / 6 % 4, bytes))).collect();
    (mesh, nodes)
}

fn plan(mesh: &Mesh) -> Hierarchy {
    mesh.hierarchy(&1).unwrap().clone()
}

fn hub_count(plan: &Hierarchy) -> usize {
    plan.regions.iter().map(|region| region.hubs().len()).sum()
}

fn hubs_of(plan: &Hierarchy, region: u32) -> &RegionHubs {
    plan.regions.iter().find(|hubs| hubs.region() == RegionId(region)).unwrap()
}

/// The most bytes of each hub of a region by the rule: 1.03 x copies x pieces x weight / weights, rounded up to pieces; hubs
/// that come to all pieces hold all, and the others share the rest.
fn hub_bytes(mesh: &Mesh, hubs: &RegionHubs, size: u64) -> Vec<u64> {
    let weight = |node: &NodeRef| u128::from((mesh.node(*node).unwrap().capacity.bytes >> 20).max(1));
    let weights: Vec<u128> = hubs.hubs().iter().map(weight).collect();
    let data = u128::from(size).div_ceil(1 << 20);
    let pieces = data + data.div_ceil(5);
    let mut copies = u128::try_from(hubs.hubs().len().div_ceil(5)).unwrap();
    let mut full = BTreeSet::new();
    loop {
        let total: u128 =
            weights.iter().enumerate().filter(|(hub, _)| !full.contains(hub)).map(|(_, weight)| weight).sum();
        let all = (0..weights.len()).filter(|hub| !full.contains(hub)).max_by_key(|&hub| weights[hub]);
        if let Some(hub) = all.filter(|&hub| copies > 0 && copies * weights[hub] >= total) {
            full.insert(hub);
            copies -= 1;
            continue;
        }
        let share = |hub: usize| {
            if full.contains(&hub) {
                pieces
            } else {
                (1030 * copies * pieces * weights[hub]).div_ceil(1000 * total).min(pieces)
            }
        };
        return (0..weights.len()).map(|hub| u64::try_from(share(hub)).unwrap() * MIB).collect();
    }
}

/// Nodes, roles and bookings of resource 1, the only one, which no report has counted.
fn check(mesh: &Mesh, spec: &ResourceSpec) -> Placement {
    let placed = mesh.placement(&1).unwrap();
    let plan = mesh.hierarchy(&1).unwrap();
    let mut held: Vec<(NodeRef, u64)> = plan.seeds.iter().map(|&seed| (seed, spec.size)).collect();
    for region in &plan.regions {
        held.extend(region.hubs().iter().copied().zip(hub_bytes(mesh, region, spec.size)));
        assert!(region.hubs().iter().all(|&hub| mesh.node(hub).unwrap().region == region.region()));
    }
    held.retain(|&(node, _)| mesh.is_healthy(node));
    let nodes: BTreeSet<NodeRef> = held.iter().map(|&(node, _)| node).collect();
    assert_eq!((nodes.len(), &nodes), (held.len(), &placed.replicas.iter().copied().collect()));
    assert_eq!((placed.granted + placed.shortfall, placed.primary), (placed.want, placed.replicas[0]));
    assert!(plan.seeds.is_empty() || plan.seeds.contains(&placed.primary));
    for &(node, bytes) in &held {
        let capacity = mesh.node(node).unwrap().capacity.bytes;
        assert_eq!(capacity - mesh.load(node).unwrap().free.bytes, bytes, "{node:?}");
        assert!(effective(mesh, node) < 500);
    }
    for &edge in plan.edges.iter().flat_map(|edges| &edges.nodes) {
        assert!(!nodes.contains(&edge) && mesh.load(edge).is_none_or(|load| load.resources == 0));
    }
    placed
}

/// Goes through every piece: the fewest live holders of one in a region, least over regions, and in all.
fn holders(mesh: &Mesh, size: u64) -> (u32, u32) {
    let plan = mesh.hierarchy(&1).unwrap();
    let seeds = u32::try_from(plan.seeds.iter().filter(|&&seed| mesh.is_healthy(seed)).count()).unwrap();
    let mut in_all = vec![seeds; usize::try_from(hierarchy_pieces(size)).unwrap()];
    let mut least = u32::MAX;
    for region in &plan.regions {
        let alive: Vec<bool> = region.hubs().iter().map(|&hub| mesh.is_healthy(hub)).collect();
        for (set, all) in region.assign(hierarchy_pieces(size)).zip(&mut in_all) {
            let live = u32::try_from(set.into_iter().filter(|&hub| alive[usize::from(hub)]).count()).unwrap();
            least = least.min(live);
            *all += live;
        }
    }
    (least, in_all.into_iter().min().unwrap())
}

fn check_nothing_is_left(mesh: &mut Mesh, nodes: &[NodeRef]) {
    assert!(mesh.release(&1) && mesh.hierarchy(&1).is_none() && mesh.placement(&1).is_none());
    assert_eq!((mesh.next_deadline(), mesh.repairs_waiting()), (None, 0));
    for load in nodes.iter().filter_map(|&node| mesh.load(node)) {
        assert_eq!((load.booked_permille, load.bookings, load.resources), (0, 0, 0));
    }
}

#[test]
fn shares_are_right_to_the_byte() {
    for (count, size) in [(700, 100 * GB), (700, TB), (5_000, 100 * GB), (5_000, TB)] {
        let (mut mesh, nodes) = mesh(count, 4 << 40);
        let spec = blob(size);
        let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
        assert_eq!((placed.want, placed.granted, placed.shortfall, placed.over_target), (500, 500, 0, 0));
        // 82 or 83 hubs in each of six regions, 17 copies; the seeds are in five regions.
        assert_eq!(placed.achieved, Tolerance { nodes: 5 + 6 * 17 - 1, zones: 5, regions: 5 });
        assert_eq!(check(&mesh, &spec), placed);
        let plan = plan(&mesh);
        assert_eq!((plan.seeds.len(), hub_count(&plan), plan.shortfall.len()), (5, 495, 0));
        let regions: BTreeSet<RegionId> = plan.seeds.iter().map(|&seed| zone_of(&mesh, seed).0).collect();
        assert_eq!(regions.len(), 5);
        check_nothing_is_left(&mut mesh, &nodes);

        // The limits as they are: 100 hubs in a region, and edges for the rest of 700 places.
        let limits = HierarchyLimits::default();
        let placed = mesh.allocate_hierarchy(1, &spec, &limits, &policy(), T0).unwrap();
        assert_eq!((placed.want, placed.granted, placed.achieved.nodes), (605, 605, 5 + 6 * 20 - 1));
        check(&mesh, &spec);
        let plan = mesh.hierarchy(&1).unwrap();
        assert_eq!(plan.edges.iter().map(|edges| edges.nodes.len()).sum::<usize>(), 95);
        check_nothing_is_left(&mut mesh, &nodes);
    }
}

#[test]
fn every_region_has_every_piece_of_a_terabyte() {
    let (mut mesh, _) = mesh(700, 4 << 40);
    let _ = mesh.allocate(1, &blob(TB), &policy(), T0).unwrap();
    let plan = plan(&mesh);
    let hubs = &plan.regions[3];
    let mut held = vec![0u64; hubs.hubs().len()];
    for set in hubs.assign(hierarchy_pieces(TB)) {
        assert_eq!(set.len(), hubs.copies());
        set.into_iter().for_each(|hub| held[usize::from(hub)] += 1);
    }
    // What is booked is enough.
    for ((&hub, pieces), most) in hubs.hubs().iter().zip(held).zip(hub_bytes(&mesh, hubs, TB)) {
        assert!(pieces * MIB <= most, "{hub:?}");
    }
}

#[test]
fn a_hub_waits_returns_and_is_replaced() {
    let size = 100 * GB;
    let (mut mesh, _) = patient(700, 4 << 40);
    let granted = mesh.allocate(1, &blob(size), &policy(), T0).unwrap();
    assert_eq!(holders(&mesh, size), (17, granted.achieved.nodes + 1));
    let before = plan(&mesh);
    let gone = hubs_of(&before, 2).hubs()[7];

    let repair = &mesh.node_failed(gone, T0).repairs[0];
    assert_eq!((repair.lost.as_slice(), repair.waits_until), (&[gone][..], Some(Duration::from_secs(300))));
    assert_eq!((repair.granted, repair.shortfall, repair.recruited.len(), repair.dropped.len()), (499, 1, 0, 0));
    assert_eq!(repair.remaining.nodes, granted.achieved.nodes - 1);
    assert_eq!((plan(&mesh), holders(&mesh, size)), (before.clone(), (16, granted.achieved.nodes)));
    check(&mesh, &blob(size));
    let returned = mesh.node_returned(gone, Duration::from_secs(200)).unwrap();
    assert_eq!((returned.kept.as_slice(), plan(&mesh) == before, mesh.repairs_waiting()), (&[1][..], true, 0));
    assert_eq!(mesh.placement(&1).unwrap().achieved, granted.achieved);
    assert_eq!(holders(&mesh, size).0, 17);

    let now = Duration::from_secs(400);
    let _ = mesh.node_failed(gone, now);
    assert!(mesh.repair(MoveBudget::UNLIMITED, Duration::from_secs(699)).is_empty());
    let repairs = mesh.repair(MoveBudget::UNLIMITED, Duration::from_secs(700));
    let Repair { recruited, dropped, granted: has, shortfall, waits_until, .. } = &repairs[0];
    assert_eq!((recruited.len(), dropped.len(), *has, *shortfall, *waits_until), (1, 0, 500, 0, None));
    let after = plan(&mesh);
    assert_eq!(after.seeds, before.seeds);
    for (before, after) in before.regions.iter().zip(&after.regions) {
        let stayed = before.hubs().iter().filter(|hub| after.hubs().contains(hub)).count();
        assert_eq!(
            (stayed + usize::from(before.region() == RegionId(2)), after.hubs().len()),
            (before.hubs().len(), before.hubs().len())
        );
    }
    let layout = |plan: &Hierarchy| hubs_of(plan, 2).layout(hierarchy_pieces(size)).unwrap();
    let total = hub_moves(&layout(&before), &layout(&after)).unwrap().total();
    let share = hierarchy_pieces(size) * 17 / 82;
    // What the lost one held goes to all, and the new one gets its share from all.
    assert!((share..=share * 2).contains(&total.moved) && total.grown + total.dropped == 0, "{total:?} of {share}");
    assert_eq!(holders(&mesh, size).0, 17);
    // It comes when its role is another's.
    assert_eq!(mesh.node_returned(gone, Duration::from_secs(800)).unwrap().kept, Vec::<u64>::new());
    assert_eq!(plan(&mesh), after);
}

#[test]
fn a_seed_is_replaced_at_once() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = patient(700, 4 << 40);
    let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    let before = plan(&mesh);
    let repair = &mesh.node_failed(placed.primary, T0).repairs[0];
    assert_eq!((repair.waits_until, repair.granted, repair.shortfall), (None, 500, 0));
    // A hub of its region becomes the seed, and another node that hub: or another node the seed.
    assert_eq!((repair.recruited.len(), repair.dropped.len()), (1, 0));
    assert!(before.seeds.contains(&repair.new_primary.unwrap()), "who leads has everything");
    let after = plan(&mesh);
    assert_eq!(after.seeds.iter().filter(|seed| before.seeds.contains(seed)).count(), 4);
    check(&mesh, &spec);
    assert_eq!(holders(&mesh, spec.size), (17, 107));

    // At full demand there are seven: two may wait.
    let (mut mesh, _) = patient(700, 4 << 40);
    let spec = ResourceSpec { demand: Demand::FULL, ..spec };
    let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    assert_eq!((placed.want, placed.granted), (607, 607));
    let seeds = plan(&mesh).seeds;
    for (seed, waits) in seeds[..3].iter().zip([true, true, false]) {
        assert_eq!(mesh.node_failed(*seed, T0).repairs[0].waits_until.is_some(), waits);
    }
    assert_eq!(plan(&mesh).seeds.len(), 7);
    check(&mesh, &spec);
}

#[test]
fn half_of_the_copies_is_urgent() {
    let size = 100 * GB;
    let (mut mesh, _) = patient(700, 4 << 40);
    let placed = mesh.allocate(1, &blob(size), &policy(), T0).unwrap();
    let hubs = hubs_of(&plan(&mesh), 4).hubs().to_vec();
    // Of 17 copies nine may be among nine hubs.
    let repair = &mesh.nodes_failed(&hubs[..8], T0).repairs[0];
    assert_eq!((repair.waits_until.is_some(), repair.remaining.nodes), (true, placed.achieved.nodes - 8));
    assert!(holders(&mesh, size).0 >= 17 - 8);
    let repair = &mesh.node_failed(hubs[8], T0).repairs[0];
    assert_eq!((repair.waits_until, repair.recruited.len(), repair.achieved), (None, 9, placed.achieved));
    check(&mesh, &blob(size));
    assert_eq!(holders(&mesh, size).0, 17);
}

#[test]
fn a_zone_is_lost() {
    let spec = blob(100 * GB);
    let (mut mesh, nodes) = patient(700, 4 << 40);
    let _ = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    let before = plan(&mesh);
    let lost: Vec<NodeRef> =
        nodes.iter().copied().filter(|&node| zone_of(&mesh, node) == zone_of(&mesh, nodes[0])).collect();
    let repair = &mesh.nodes_failed(&lost, T0).repairs[0];
    assert_eq!((repair.waits_until, repair.granted, repair.shortfall, repair.unrecoverable), (None, 500, 0, 0));
    // About 88 nodes of the region are left: it keeps 82, some of them new.
    let placed = check(&mesh, &spec);
    assert_eq!(holders(&mesh, spec.size), (17, placed.achieved.nodes + 1));
    for (before, after) in before.regions.iter().zip(&plan(&mesh).regions).skip(1) {
        let stayed = before.hubs().iter().filter(|hub| after.hubs().contains(hub)).count();
        // One of them may have become a seed instead of the lost one.
        assert!(stayed + 1 >= before.hubs().len());
    }
    // The whole region: its share goes to the other five.
    let lost: Vec<NodeRef> = nodes.iter().copied().filter(|&node| zone_of(&mesh, node).0 == RegionId(0)).collect();
    let repair = &mesh.nodes_failed(&lost, T0).repairs[0];
    assert_eq!((repair.waits_until, repair.granted, repair.achieved.regions), (None, 500, 4));
    assert_eq!((plan(&mesh).regions.len(), hubs_of(&plan(&mesh), 1).hubs().len()), (5, 99));
    check(&mesh, &spec);
    assert_eq!(holders(&mesh, spec.size).0, 20);
    // It comes back, empty-handed for this resource.
    for &node in &lost {
        assert_eq!(mesh.node_returned(node, T0).map_or(0, |returned| returned.kept.len()), 0);
    }
    check(&mesh, &spec);
}

#[test]
fn nodes_that_join_change_no_role() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = mesh(700, 4 << 40);
    let _ = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    for id in 700..2_000 {
        mesh.upsert(node(id, id % 6, id / 6 % 4, 16 << 40));
    }
    let before = plan(&mesh);
    for gone in [hubs_of(&before, 1).hubs()[3], hubs_of(&before, 5).hubs()[60]] {
        let repair = &mesh.node_failed(gone, T0).repairs[0];
        assert_eq!((repair.recruited.len(), repair.dropped.len()), (1, 0));
        check(&mesh, &spec);
    }
    let after = plan(&mesh);
    assert_eq!(after.seeds, before.seeds);
    let stayed = before.regions.iter().zip(&after.regions);
    let stayed: usize =
        stayed.map(|(before, after)| before.hubs().iter().filter(|hub| after.hubs().contains(hub)).count()).sum();
    assert_eq!((stayed, hub_count(&after)), (493, 495));
}

#[test]
fn a_sparse_mesh_says_what_is_missing() {
    // Three nodes: all are seeds, and the region has no hub.
    let mut mesh = Mesh::new(Config { booking_ttl: Duration::from_secs(3600), ..Config::default() });
    let nodes: Vec<NodeRef> = (0..3).map(|id| mesh.upsert(node(id, 0, id, TB))).collect();
    let placed = mesh.allocate(1, &blob(100 * GB), &policy(), T0).unwrap();
    assert_eq!((placed.want, placed.granted, placed.shortfall), (105, 3, 102));
    assert_eq!(placed.achieved, Tolerance { nodes: 2, zones: 2, regions: 0 });
    let has = plan(&mesh);
    assert_eq!((has.seeds.len(), has.seeds_missing, has.regions.len()), (3, 2, 0));
    assert_eq!(has.shortfall, [HubShortfall { region: RegionId(0), hubs: 0, missing: 50 }]);
    check(&mesh, &blob(100 * GB));
    // A node that can only be an edge adds nothing; hubs do.
    let now = Duration::from_secs(1);
    let _ = mesh.nodes_failed(&nodes[1..], now);
    assert_eq!(mesh.placement(&1).unwrap().granted, 1);
    for id in 3..6 {
        mesh.upsert(node(id, 0, id, 48 * GB));
    }
    for id in 6..16 {
        mesh.upsert(node(id, 0, id % 3, 120 * GB));
    }
    // The wait for more nodes is over.
    let repairs = mesh.repair(MoveBudget::UNLIMITED, Duration::from_secs(301));
    assert_eq!((repairs.len(), repairs[0].recruited.len(), repairs[0].granted), (1, 10, 11));
    let has = plan(&mesh);
    assert_eq!((has.seeds.len(), hubs_of(&has, 0).hubs().len(), hubs_of(&has, 0).copies()), (1, 10, 2));
    assert_eq!(has.edges[0].nodes.len(), 3);
    assert_eq!(mesh.placement(&1).unwrap().achieved.nodes, 2);
    check(&mesh, &blob(100 * GB));
    check_nothing_is_left(&mut mesh, &nodes);
}

#[test]
fn nodes_without_room_get_no_role() {
    // A seed needs 100 GB, a hub 25.2 GB, both below half of the node.
    let (mut small, _) = mesh(700, 40 * GB);
    assert_eq!(
        small.allocate(1, &blob(100 * GB), &policy(), T0),
        Err(AllocateError::NoUsableNode { want: 500, healthy: 700 })
    );
    assert_eq!((small.seq(), small.hierarchy(&1)), (0, None));
    let (mut middle, _) = mesh(700, 120 * GB);
    let placed = middle.allocate(1, &blob(100 * GB), &policy(), T0).unwrap();
    let has = plan(&middle);
    assert_eq!((placed.granted, placed.shortfall, has.seeds.len(), has.seeds_missing), (495, 5, 0, 5));
    assert_eq!(placed.achieved, Tolerance { nodes: 6 * 17 - 1, zones: 5, regions: 5 });
    check(&middle, &blob(100 * GB));
    // Loaded nodes have no room either. Two of a region are at 499.
    let (mut loaded, nodes) = mesh(120, 4 << 40);
    for &busy in nodes.iter().step_by(2) {
        loaded.report(busy, load_report(499, 0), T0).unwrap();
    }
    let placed = loaded.allocate(1, &blob(100 * GB), &policy(), T0).unwrap();
    assert!(placed.replicas.iter().all(|&node| loaded.load(node).unwrap().reported.value() == 0));
    assert_eq!((placed.granted, placed.want, plan(&loaded).shortfall.len()), (60, 500, 6));
}

#[test]
fn three_equal_hubs_share_by_thirds() {
    // Three hubs and one copy: a third each, more than the fifth that a hub needs by the rule. Half of 500 GB is too little.
    let limits = HierarchyLimits { seeds_min: 0, seeds_max: 0, ..HierarchyLimits::default() };
    for (bytes, hubs) in [(90 * GB, 3), (80 * GB, 0)] {
        let mut mesh = Mesh::new(Config::default());
        (0..3).for_each(|id| {
            mesh.upsert(node(id, 0, id, bytes));
        });
        let placed = mesh.allocate_hierarchy(1, &blob(100 * GB), &limits, &policy(), T0);
        assert_eq!(placed.map_or(0, |placed| placed.granted), hubs);
        if hubs > 0 {
            check(&mesh, &blob(100 * GB));
        }
    }
}

#[test]
fn a_budget_is_kept_and_goes_on() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = patient(700, 4 << 40);
    let _ = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    let lost: Vec<NodeRef> = plan(&mesh).regions.iter().flat_map(|region| region.hubs()[..5].to_vec()).collect();
    let until = mesh.nodes_failed(&lost, T0).repairs[0].waits_until.unwrap();
    let held = |mesh: &Mesh| {
        let free = |&node: &NodeRef| mesh.node(node).unwrap().capacity.bytes - mesh.load(node).unwrap().free.bytes;
        mesh.placement(&1).unwrap().replicas.iter().map(free).sum::<u64>()
    };
    assert!(mesh.repair(MoveBudget { moves: 100, bytes: GB }, until).is_empty(), "not one hub is affordable");
    assert_eq!((mesh.placement(&1).unwrap().granted, mesh.repairs_waiting()), (470, 1));
    let mut recruited = 0;
    for round in 0..30 {
        // Confirmed or not, what is booked is what is held.
        let (budget, before) = (MoveBudget { moves: 4, bytes: 200 * GB }, held(&mesh));
        let repairs = mesh.repair(budget, until);
        let Some(repair) = repairs.first() else { break };
        assert!(repair.recruited.len() <= 4 && held(&mesh) <= before + budget.bytes, "round {round}");
        recruited += repair.recruited.len();
        check(&mesh, &spec);
    }
    assert_eq!((recruited, mesh.repairs_waiting(), mesh.placement(&1).unwrap().granted), (30, 0, 500));
}

#[test]
fn a_drained_node_gives_its_role_away() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = mesh(700, 4 << 40);
    let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    for leaving in [placed.primary, hubs_of(&plan(&mesh), 3).hubs()[0]] {
        let poor = mesh.drain(leaving, MoveBudget { moves: 10, bytes: GB }, T0).unwrap();
        assert_eq!((poor.left, poor.moves.len(), poor.repairs.len()), (1, 0, 0));
        let drained = mesh.drain(leaving, MoveBudget::UNLIMITED, T0).unwrap();
        assert_eq!((drained.left, drained.moves.len(), drained.repairs.len()), (0, 0, 1));
        let repair = &drained.repairs[0];
        assert_eq!((repair.dropped.as_slice(), repair.lost.len(), repair.recruited.len()), (&[leaving][..], 0, 1));
        assert_eq!((repair.granted, repair.new_primary.is_some()), (500, leaving == placed.primary));
        check(&mesh, &spec);
        mesh.remove(leaving).unwrap();
    }
    assert_eq!(holders(&mesh, spec.size), (17, 107));
    // The only seed has nobody to take over.
    let mut alone = Mesh::new(Config::default());
    let seed = alone.upsert(node(0, 0, 0, TB));
    let _ = alone.allocate(1, &spec, &policy(), T0).unwrap();
    assert_eq!(alone.drain(seed, MoveBudget::UNLIMITED, T0).unwrap().left, 1);
    assert_eq!(alone.placement(&1).unwrap().replicas, [seed]);
}

#[test]
fn what_the_last_node_took_it_brings_back() {
    let mut mesh = Mesh::new(Config { grace: T0, ..Config::default() });
    let nodes: Vec<NodeRef> = (0..2).map(|id| mesh.upsert(node(id, 0, id, TB))).collect();
    let _ = mesh.allocate(1, &blob(100 * GB), &policy(), T0).unwrap();
    let repair = &mesh.nodes_failed(&nodes, T0).repairs[0];
    assert_eq!((repair.granted, repair.unrecoverable, repair.remaining), (0, 1, Tolerance::default()));
    assert_eq!((mesh.placement(&1), mesh.repairs_waiting()), (None, 0));
    let third = mesh.upsert(node(2, 0, 2, TB));
    assert_eq!(mesh.resources_on(third).count(), 0);
    assert_eq!(mesh.node_returned(nodes[1], T0).unwrap().kept, [1]);
    assert_eq!(mesh.placement(&1).unwrap().replicas, [nodes[1]]);
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, T0)[0].recruited, [third]);
    assert_eq!(mesh.hierarchy(&1).unwrap().seeds, [nodes[1], third]);
    // Gone again, and not waited for.
    mesh.nodes_failed(&[nodes[1], third], T0);
    let fourth = mesh.upsert(node(3, 0, 3, TB));
    let repair = mesh.refill(&1, T0).unwrap();
    assert_eq!((repair.recruited, repair.unrecoverable), (vec![fourth], 1));
    assert_eq!(mesh.node_returned(third, T0).unwrap().kept, Vec::<u64>::new());
}

#[test]
fn refusals_and_explanations() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = mesh(120, 4 << 40);
    let limits = HierarchyLimits::default();
    let bad = HierarchyLimits { hubs_per_region_max: 0, ..limits };
    let refused = mesh.allocate_hierarchy(1, &spec, &bad, &policy(), T0);
    assert_eq!(refused, Err(AllocateError::Limits(HierarchyError::BadHubs { hubs_per_region_max: 0 })));
    let other = block(100 * GB, Temperature::Hot);
    assert_eq!(mesh.allocate_hierarchy(1, &other, &limits, &policy(), T0), Err(AllocateError::NotABlob));
    assert_eq!((mesh.seq(), mesh.resources().count()), (0, 0));
    let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    let again = mesh.allocate_hierarchy(1, &spec, &limits, &policy(), T0);
    assert_eq!(again, Err(AllocateError::AlreadyAllocated { granted: placed.granted }));
    assert_eq!(mesh.place_chunks(&1, 1, 1, &policy(), T0), Err(PlaceError::Hierarchy));
    assert_eq!(mesh.place_stripe(&1, 0, 1, 1, &policy(), T0), Err(PlaceError::Hierarchy));
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);

    let told = mesh.explain(&1).unwrap();
    assert_eq!((told.scheme, told.target.want, told.healthy, told.able), (Scheme::Hierarchy, 500, 120, 120));
    let pieces = 95_368 + 19_074;
    assert_eq!(hierarchy_pieces(spec.size), pieces);
    assert_eq!((told.need.bytes, told.would_take), ((pieces * 206).div_ceil(1000) * MIB, 0));
    for reason in &told.replicas {
        let seed = plan(&mesh).seeds.contains(&reason.node);
        assert_eq!(reason.role, Some(if seed { Role::Seed } else { Role::Hub }));
        assert_eq!(reason.share_permille, reason.load_permille);
        assert!(if seed { reason.pieces == 95_368 } else { reason.pieces > told.need.bytes / MIB - 1 });
    }
    // A small one is as good.
    let small = mesh.allocate_hierarchy(2, &blob(0), &limits, &policy(), T0).unwrap();
    assert_eq!((small.granted, mesh.explain(&2).unwrap().scheme), (120, Scheme::Hierarchy));
    assert_eq!(mesh.explain(&3), None);
}

#[test]
fn a_report_counts_a_share_once() {
    let spec = blob(100 * GB);
    let (mut mesh, _) = mesh(700, 4 << 40);
    let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
    for &node in &placed.replicas {
        let load = u16::try_from(effective(&mesh, node)).unwrap();
        mesh.report(node, load_report(load, placed.seq), T0).unwrap();
        assert_eq!((mesh.load(node).unwrap().bookings, effective(&mesh, node)), (0, u32::from(load)));
    }
    // A hub that is busy beside others that are idle keeps its role.
    mesh.report(placed.replicas[9], load_report(400, placed.seq), T0).unwrap();
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
    // Who stays with the same share is not booked again; who is new or grows is, for the difference.
    let before: Vec<u32> = placed.replicas.iter().map(|&node| effective(&mesh, node)).collect();
    let gone = hubs_of(&plan(&mesh), 0).hubs()[0];
    let repair = &mesh.node_failed(gone, T0).repairs[0];
    let grown =
        placed.replicas.iter().zip(before).filter(|&(&node, load)| node != gone && effective(&mesh, node) != load);
    assert_eq!((grown.count(), mesh.load(repair.recruited[0]).unwrap().bookings), (0, 1));
}

#[test]
fn a_share_that_shrinks_is_given_back() {
    // 12 copies on 56 hubs become 16 on 80: all give a little back, counted by reports or not.
    let spec = blob(100 * GB);
    for reports in [0, 61] {
        let mut mesh = Mesh::new(Config { grace: T0, ..Config::default() });
        let nodes: Vec<NodeRef> = (0..61).map(|id| mesh.upsert(node(id, 0, id % 4, 4 << 40))).collect();
        let placed = mesh.allocate(1, &spec, &policy(), T0).unwrap();
        for &node in &nodes[..reports] {
            let load = u16::try_from(effective(&mesh, node)).unwrap();
            mesh.report(node, load_report(load, placed.seq), T0).unwrap();
        }
        (61..86).for_each(|id| {
            mesh.upsert(node(id, 0, id % 4, 4 << 40));
        });
        let before: Vec<u32> = nodes.iter().map(|&node| effective(&mesh, node)).collect();
        let lost = hubs_of(&plan(&mesh), 0).hubs()[0];
        let repair = &mesh.node_failed(lost, T0).repairs[0];
        assert_eq!((repair.granted, repair.recruited.len(), repair.dropped.len()), (85, 25, 0));
        for (&node, before) in nodes.iter().zip(before).filter(|&(&node, _)| node != lost) {
            assert!(effective(&mesh, node) <= before);
        }
        let hubs = hubs_of(&plan(&mesh), 0).clone();
        for (&hub, bytes) in hubs.hubs().iter().zip(hub_bytes(&mesh, &hubs, spec.size)) {
            let told = mesh.explain(&1).unwrap().replicas.into_iter().find(|reason| reason.node == hub).unwrap();
            assert_eq!(u64::from(told.share_permille), (1000 * bytes).div_ceil(4 << 40));
            let booked = (4 << 40) - mesh.load(hub).unwrap().free.bytes;
            assert_eq!(booked, if reports == 0 || repair.recruited.contains(&hub) { bytes } else { 0 });
        }
        // What shrank and grows again is booked for the difference.
        let lost: Vec<NodeRef> = repair.recruited[1..].to_vec();
        let _ = mesh.nodes_failed(&lost, T0);
        let hubs = hubs_of(&plan(&mesh), 0).clone();
        assert_eq!((hubs.hubs().len(), hubs.copies()), (56, 12));
        assert!(reports == 0 || hubs.hubs().iter().all(|&hub| mesh.load(hub).unwrap().bookings > 0));
        assert!(reports > 0 || check(&mesh, &spec).granted == 61);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn drawn_meshes_keep_half_of_their_nodes_free(
        seed in any::<u64>(),
        drawn in prop::collection::vec((0u32..4, 0u32..3, 1u64..400, 0u16..600), 20..160),
        size in prop_oneof![11 * GIB..200 * GIB, Just(u64::MAX)],
        waves in prop::collection::vec(prop::collection::vec(0usize..160, 1..12), 1..4),
    ) {
        let mut mesh = Mesh::new(Config { seed, grace: T0, ..Config::default() });
        let mut nodes = Vec::new();
        for (id, &(region, zone, tens, load)) in (0u32..).zip(&drawn) {
            let node = mesh.upsert(node(id, region, zone, tens * 10 * GIB));
            mesh.report(node, load_report(load, 0), T0).unwrap();
            nodes.push(node);
        }
        let limits = HierarchyLimits { hubs_per_region_max: 20, hubs_per_region_min: 5, nodes_max: 90, ..HierarchyLimits::default() };
        if let Ok(placed) = mesh.allocate_hierarchy(1, &blob(size), &limits, &policy(), T0) {
            prop_assert_eq!(placed.over_target, 0);
            prop_assert!(placed.granted <= placed.want && placed.want <= 90);
            prop_assert!(placed.replicas.iter().all(|&node| effective(&mesh, node) < 500));
        }
        for wave in waves {
            let lost: Vec<NodeRef> = wave.iter().filter_map(|&at| nodes.get(at)).copied().collect();
            for repair in mesh.nodes_failed(&lost, T0).repairs {
                let Some(placed) = mesh.placement(&1) else { break };
                let high = placed.replicas.iter().filter(|&&node| effective(&mesh, node) >= 500).count();
                prop_assert!(high <= usize::try_from(repair.over_target).unwrap());
                prop_assert!(placed.replicas.iter().all(|&node| effective(&mesh, node) < 800));
                for region in &mesh.hierarchy(&1).unwrap().regions {
                    for (&hub, bytes) in region.hubs().iter().zip(hub_bytes(&mesh, region, size)) {
                        let capacity = mesh.node(hub).unwrap().capacity.bytes;
                        prop_assert_eq!(capacity - mesh.load(hub).unwrap().free.bytes, bytes);
                    }
                }
            }
        }
        mesh.release(&1);
        prop_assert!(nodes.iter().filter_map(|&node| mesh.load(node)).all(|load| load.booked_permille == 0));
        prop_assert_eq!(mesh.next_deadline(), None);
    }
}
