//! Goal: an outage takes nothing that a return can bring back, and what returns counts as what it has. Method: one story per
//! rule, on meshes of one zone.

use crate::support::{GIB, MIB, Mesh, T0, blob, block, effective, load_report, node};
use core::time::Duration;
use inos_alloc::{
    Class, Config, Demand, GRACE, HierarchyLimits, MoveBudget, NodeRef, Outcome, Policy, RegionHubs, Requirements,
    ResourceSpec, Temperature,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Nodes that are alike.
fn one_zone(count: u32, bytes: u64) -> (Mesh, Vec<NodeRef>) {
    let mut mesh = Mesh::new(Config::default());
    let nodes = (0..count).map(|id| mesh.upsert(node(id, 0, 0, bytes))).collect();
    (mesh, nodes)
}

/// Hierarchies as small as these tests.
fn small_limits(seeds: u32, hubs: u32) -> HierarchyLimits {
    HierarchyLimits {
        seeds_min: seeds,
        seeds_max: seeds,
        hubs_per_region_min: 1,
        hubs_per_region_max: hubs,
        nodes_max: seeds + hubs,
        ..HierarchyLimits::default()
    }
}

/// A hierarchy of three seeds and ten hubs on all thirteen nodes.
struct Small {
    mesh: Mesh,
    nodes: Vec<NodeRef>,
    seeds: Vec<NodeRef>,
    hub: NodeRef,
}

fn small_hierarchy() -> Small {
    let (mut mesh, nodes) = one_zone(13, 10 * GIB);
    let placed = mesh.allocate_hierarchy(1, &blob(GIB), &small_limits(3, 10), &Policy::default(), T0).unwrap();
    assert_eq!(placed.granted, 13);
    let (seeds, hub) = (mesh.hierarchy(&1).unwrap().seeds.clone(), hubs_of(&mesh, 1)[0]);
    Small { mesh, nodes, seeds, hub }
}

fn hubs_of(mesh: &Mesh, id: u64) -> Vec<NodeRef> {
    mesh.hierarchy(&id).unwrap().regions.iter().flat_map(RegionHubs::hubs).copied().collect()
}

#[test]
fn the_only_copy_in_the_mesh_is_kept() {
    let mut mesh = Mesh::new(Config::default());
    for id in 0..24 {
        mesh.upsert(node(id, id % 6, id / 6, GIB));
    }
    let first = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap().replicas;
    let _ = mesh.node_failed(first[0], T0);
    // Long after that the copy was made and confirmed, all that have it fail.
    let now = GRACE;
    let second = mesh.placement(&1).unwrap().replicas;
    for &node in &second {
        mesh.report(node, load_report(1, mesh.seq()), now).unwrap();
    }
    assert_eq!(mesh.nodes_failed(&second, now).repairs[0].unrecoverable, 1);
    // It has everything, and nobody else in the mesh has.
    assert_eq!(mesh.node_returned(first[0], now).unwrap().kept, [1]);
}

#[test]
fn waits_until_is_not_in_the_past() {
    let mut mesh = Mesh::new(Config::default());
    for id in 0..48 {
        mesh.upsert(node(id, id % 6, id / 6 % 4, GIB));
    }
    let full = ResourceSpec { class: Class::Group, demand: Demand::FULL, ..blob(MIB) };
    let placed = mesh.allocate(1, &full, &Policy::default(), T0).unwrap();
    let _ = mesh.node_failed(placed.replicas[6], T0);
    let late = GRACE * 2;
    let plan = mesh.node_failed(placed.replicas[5], late);
    assert_eq!(mesh.next_deadline(), Some(late));
    assert_eq!(mesh.explain(&1).unwrap().repair_at, Some(late));
    assert_eq!(plan.repairs[0].waits_until, Some(late));
}

#[test]
fn what_has_a_source_again_is_due_at_once() {
    let (mut mesh, nodes) = one_zone(9, GIB);
    let had = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap().replicas;
    for &node in nodes.iter().filter(|node| !had.contains(node)) {
        mesh.report(node, load_report(900, 0), T0).unwrap();
    }
    let _ = mesh.nodes_failed(&had, T0);
    assert_eq!(mesh.refill(&1, T0).unwrap().granted, 0);
    assert_eq!(mesh.node_returned(had[1], T0).unwrap().kept, [1]);
    assert_eq!(mesh.next_deadline(), Some(T0));
}

#[test]
fn what_has_no_source_does_not_wait_for_a_budget() {
    let (mut mesh, _) = one_zone(60, GIB);
    let _ = mesh.allocate(1, &blob(20 * MIB), &Policy::default(), T0).unwrap();
    let nodes = mesh.place_stripe(&1, 0, 10, 2, &Policy::default(), T0).unwrap().nodes;
    let _ = mesh.nodes_failed(&nodes, T0);
    let _ = mesh.node_returned(nodes[0], T0).unwrap();
    // Nothing can be done about it, whatever the budget.
    let repairs = mesh.repair(MoveBudget { moves: 10, bytes: MIB / 2 }, T0);
    assert_eq!((repairs.len(), mesh.repairs_waiting()), (0, 0));
}

#[test]
fn pieces_after_a_return_are_booked() {
    let (mut mesh, _) = one_zone(10, 20 * MIB);
    let placed = mesh.allocate(1, &blob(8 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!(placed.granted, 10);
    let away = placed.replicas[3];
    assert_eq!(effective(&mesh, away), 200);
    let _ = mesh.node_failed(away, T0);
    assert_eq!(mesh.node_returned(away, T0).unwrap().kept, [1]);
    let _ = mesh.place_chunks(&1, 8, 5, &Policy::default(), T0).unwrap();
    // Four chunks of it come to this node now, and no report counts them.
    assert_eq!(mesh.explain(&1).unwrap().replicas[9].node, away);
    assert_eq!(mesh.explain(&1).unwrap().replicas[9].pieces, 4);
    assert_eq!(effective(&mesh, away), 200);
}

#[test]
fn an_unconfirmed_replica_that_returns_counts() {
    let (mut mesh, nodes) = one_zone(3, GIB);
    let big = block(300 * MIB, Temperature::Cold);
    let _ = mesh.allocate(1, &big, &Policy::default(), T0).unwrap();
    let _ = mesh.node_failed(nodes[0], T0);
    assert_eq!(mesh.node_returned(nodes[0], T0).unwrap().kept, [1]);
    // 293 + 293 is more than half.
    let placed = mesh.allocate(2, &big, &Policy::default(), T0);
    assert_eq!(placed.map_or(0, |placed| placed.granted - placed.over_target), 0);
}

#[test]
fn who_returns_to_nothing_is_no_liar() {
    let (mut mesh, nodes) = one_zone(30, 20 * MIB);
    let now = Duration::from_secs(60);
    for at in [T0, now] {
        for &node in &nodes {
            mesh.observe_outcome(node, Outcome::Served, at);
        }
    }
    let placed = mesh.allocate(1, &blob(20 * MIB), &Policy::default(), now).unwrap();
    assert_eq!(placed.granted, 30);
    let _ = mesh.place_chunks(&1, 20, 5, &Policy::default(), now).unwrap();
    for &node in &nodes {
        mesh.report(node, load_report(200, mesh.seq()), now).unwrap();
    }
    let _ = mesh.node_failed(nodes[0], now);
    // There is no other node; the 29 take over its chunks.
    let later = now + GRACE;
    assert!(mesh.repair(MoveBudget::UNLIMITED, later)[0].pieces.iter().all(|change| change.to.is_some()));
    assert_eq!(mesh.node_returned(nodes[0], later).unwrap().kept, [1]);
    let why = mesh.explain(&1).unwrap().replicas.into_iter().find(|reason| reason.node == nodes[0]).unwrap();
    assert_eq!((why.pieces, mesh.load(nodes[0]).unwrap().share_permille), (0, 200));
    // It deletes what is not its own any more, and says so.
    mesh.report(nodes[0], load_report(0, mesh.seq()), later).unwrap();
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 400);
}

#[test]
fn refill_of_a_hierarchy_without_room_keeps_waiting() {
    let Small { mut mesh, nodes, .. } = small_hierarchy();
    assert_eq!(mesh.nodes_failed(&nodes, T0).repairs[0].unrecoverable, 1);
    // Nobody is there to be filled: it waits as before, the documentation says.
    let refilled = mesh.refill(&1, T0).unwrap();
    assert_eq!(refilled.granted, 0);
    let kept: Vec<u64> = nodes.iter().flat_map(|&node| mesh.node_returned(node, T0).unwrap().kept).collect();
    assert_eq!(kept, vec![1; 13]);
}

#[test]
fn the_first_hub_that_returns_is_not_the_whole() {
    let Small { mut mesh, nodes, seeds, hub } = small_hierarchy();
    let _ = mesh.nodes_failed(&nodes, T0);
    assert_eq!(mesh.node_returned(hub, T0).unwrap().kept, [1]);
    // This hub has two tenths of the pieces.
    let pieces = mesh.explain(&1).unwrap().replicas[0].pieces;
    assert!(pieces < 1229 / 4, "{pieces}");
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, T0), []);
    // The seeds have everything and nobody else has.
    assert_eq!(mesh.node_returned(seeds[0], T0).unwrap().kept, [1]);
}

#[test]
fn the_last_hub_is_not_the_whole() {
    let Small { mut mesh, nodes, seeds, hub } = small_hierarchy();
    let others: Vec<NodeRef> = nodes.iter().copied().filter(|&node| node != hub).collect();
    assert_eq!(mesh.nodes_failed(&others, T0).repairs[0].unrecoverable, 1);
    assert_eq!(mesh.node_returned(seeds[0], T0).unwrap().kept, [1]);
}

#[test]
fn a_seed_that_returns_leads_a_hub() {
    let Small { mut mesh, nodes, seeds, hub } = small_hierarchy();
    let _ = mesh.nodes_failed(&nodes, T0);
    for node in [hub, seeds[0], seeds[1], seeds[2]] {
        assert_eq!(mesh.node_returned(node, T0).unwrap().kept, [1]);
    }
    assert!(seeds.contains(&mesh.placement(&1).unwrap().primary));
}

#[test]
fn memory_of_a_hub_that_holds_less_still_counts() {
    let (mut mesh, nodes) = one_zone(8, 10 * GIB);
    let requires = Requirements { memory_mb: (1 << 20) * 4 / 10, ..Requirements::default() };
    let spec = ResourceSpec { requires, ..blob(GIB) };
    let _ = mesh.allocate_hierarchy(1, &spec, &small_limits(3, 20), &Policy::default(), T0).unwrap();
    let hub = hubs_of(&mesh, 1)[0];
    for &node in &nodes {
        mesh.report(node, load_report(400, mesh.seq()), T0).unwrap();
    }
    let share = |mesh: &Mesh| mesh.explain(&1).unwrap().replicas.iter().find(|r| r.node == hub).unwrap().share_permille;
    assert_eq!(share(&mesh), 400);
    let now = Duration::from_secs(60);
    for id in 8..18 {
        mesh.upsert(node(id, 0, 0, 10 * GIB));
    }
    let repair = mesh.refill(&1, now).unwrap();
    assert!(!repair.recruited.is_empty());
    // It still needs four tenths of its memory.
    assert_eq!(share(&mesh), 400);
}

#[test]
fn an_expired_seed_is_not_counted_by_a_plan_that_changes_nothing_about_it() {
    let (mut mesh, _) = one_zone(8, 10 * GIB);
    let _ = mesh.allocate_hierarchy(1, &blob(GIB + 1), &small_limits(3, 20), &Policy::default(), T0).unwrap();
    let seed = mesh.hierarchy(&1).unwrap().seeds[0];
    let share =
        |mesh: &Mesh| mesh.explain(&1).unwrap().replicas.iter().find(|r| r.node == seed).unwrap().share_permille;
    let later = Duration::from_secs(61);
    while mesh.poll_expired(later).is_some() {}
    assert_eq!(share(&mesh), 0);
    mesh.upsert(node(100, 0, 0, 10 * GIB));
    let _ = mesh.refill(&1, later).unwrap();
    assert_eq!(share(&mesh), 0);
}

#[test]
fn a_drain_does_not_forget_what_has_no_source() {
    let (mut mesh, nodes) = one_zone(20, 10 * GIB);
    let _ = mesh.allocate_hierarchy(1, &blob(GIB), &small_limits(3, 10), &Policy::default(), T0).unwrap();
    let seeds = mesh.hierarchy(&1).unwrap().seeds.clone();
    let hubs = hubs_of(&mesh, 1);
    let gone: Vec<NodeRef> = seeds.iter().chain(&hubs[..5]).copied().collect();
    let plan = mesh.nodes_failed(&gone, T0);
    assert_eq!((plan.repairs[0].unrecoverable, plan.repairs[0].recruited.len()), (1, 0));
    assert!(nodes.len() > 13);
    assert_eq!(mesh.drain(hubs[7], MoveBudget::UNLIMITED, T0).unwrap().left, 1);
    let returned = mesh.node_returned(seeds[0], T0).unwrap();
    assert_eq!((returned.kept, returned.leads), (vec![1], vec![1]));
    // The second seed leads nothing: the first does.
    assert_eq!(mesh.node_returned(seeds[1], T0).unwrap().leads, Vec::<u64>::new());
}

#[test]
fn a_drain_within_a_budget_goes_on() {
    let (mut mesh, _) = one_zone(8, 10 * GIB);
    let _ = mesh.allocate_hierarchy(1, &blob(GIB), &small_limits(3, 20), &Policy::default(), T0).unwrap();
    for id in 8..24 {
        mesh.upsert(node(id, 0, 0, 10 * GIB));
    }
    let leaving = hubs_of(&mesh, 1)[0];
    let drained = mesh.drain(leaving, MoveBudget { moves: 4, bytes: u64::MAX }, T0).unwrap();
    assert_eq!((drained.left, drained.repairs[0].waits_until), (0, Some(T0)));
    assert!(drained.repairs[0].shortfall > 0);
    assert!(!mesh.repair(MoveBudget::UNLIMITED, T0)[0].recruited.is_empty());
}

#[test]
fn who_returns_names_the_decision_that_booked_it_again() {
    let (mut mesh, nodes) = one_zone(3, GIB);
    let _ = mesh.allocate(1, &block(100 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let _ = mesh.node_failed(nodes[0], T0);
    let returned = mesh.node_returned(nodes[0], T0).unwrap();
    assert_eq!((returned.seq, mesh.placement(&1).unwrap().seq), (mesh.seq(), mesh.seq()));
    assert_eq!(effective(&mesh, nodes[0]), 98);
    mesh.report(nodes[0], load_report(98, returned.seq), T0).unwrap();
    assert_eq!((effective(&mesh, nodes[0]), mesh.load(nodes[0]).unwrap().bookings), (98, 0));
}

#[test]
fn a_return_without_a_source_recruits_nobody() {
    let (mut mesh, _) = one_zone(60, GIB);
    let _ = mesh.allocate(1, &blob(20 * MIB), &Policy::default(), T0).unwrap();
    let had = mesh.place_stripe(&1, 0, 10, 2, &Policy::default(), T0).unwrap().nodes;
    let all = mesh.placement(&1).unwrap().replicas;
    assert_eq!(mesh.nodes_failed(&all, T0).repairs[0].granted, 0);
    assert_eq!(mesh.node_returned(had[0], T0).unwrap().kept, [1]);
    assert_eq!((mesh.repairs_waiting(), mesh.repair(MoveBudget::UNLIMITED, GRACE).len()), (0, 0));
    assert_eq!(mesh.placement(&1).unwrap().replicas, [had[0]]);
}

#[test]
fn who_had_it_before_is_not_copied_while_others_may_have_it_newer() {
    let mut mesh = Mesh::new(Config::default());
    for id in 0..24 {
        mesh.upsert(node(id, id % 6, id / 6, GIB));
    }
    let first = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap().replicas;
    let _ = mesh.node_failed(first[0], T0);
    let second = mesh.placement(&1).unwrap().replicas;
    let _ = mesh.nodes_failed(&second, T0);
    assert_eq!(mesh.node_returned(first[0], T0).unwrap().leads, [1]);
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, T0), []);
    assert_eq!(mesh.node_returned(second[1], T0).unwrap().kept, [1]);
    assert_eq!(mesh.placement(&1).unwrap().granted, 2);
}

#[test]
fn a_return_is_not_to_another_resource_under_an_old_number() {
    let (mut mesh, nodes) = one_zone(6, GIB);
    for &busy in &nodes[3..] {
        mesh.report(busy, load_report(900, 0), T0).unwrap();
    }
    let cold = block(MIB, Temperature::Cold);
    let first = mesh.allocate(1, &cold, &Policy::default(), T0).unwrap().replicas;
    let _ = mesh.nodes_failed(&first, T0);
    assert!(mesh.release(&1));
    for &idle in &nodes[3..] {
        mesh.report(idle, load_report(0, mesh.seq()), T0).unwrap();
    }
    // The next resource, under another id or the same, was never on those nodes; and now nobody has it.
    for id in [2, 1] {
        let second = mesh.allocate(id, &cold, &Policy::default(), T0).unwrap().replicas;
        let _ = mesh.nodes_failed(&second, T0);
        let returned = mesh.node_returned(first[usize::from(id == 1)], T0).unwrap();
        assert_eq!((returned.kept, returned.leads), (Vec::<u64>::new(), Vec::<u64>::new()));
        assert!(mesh.release(&id));
        for node in second {
            let _ = mesh.node_returned(node, T0);
        }
    }
}
