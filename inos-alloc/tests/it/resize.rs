//! Goal: another count keeps the nodes that are there, and the spread. Method: small meshes by hand, and what a demand
//! monitor asks for.

use crate::support::{GIB, MIB, T0, blob, load_report, mesh, node, tally, zone_of};
use inos_alloc::{
    Allocator, Class, Config, Demand, GRACE, MoveBudget, NodeRef, Policy, ResizeError, ResourceSpec, Tolerance,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Three nodes at least, seven at most.
fn group() -> ResourceSpec {
    ResourceSpec { class: Class::Group, ..blob(MIB) }
}

#[test]
fn up_recruits_and_down_drops_and_the_rest_stay() {
    let (mut mesh, _) = mesh(48, GIB);
    let first = mesh.allocate(1, &group(), &Policy::default(), T0).unwrap();
    assert_eq!(first.granted, 3);
    let up = mesh.resize(&1, 7, T0).unwrap();
    assert_eq!((up.want, up.granted, up.recruited.len(), up.dropped.len()), (7, 7, 4, 0));
    assert_eq!(up.achieved, Tolerance { nodes: 6, zones: 6, regions: 5 });
    assert_eq!((up.new_primary, up.waits_until, up.seq), (None, None, mesh.seq()));
    let seven = mesh.placement(&1).unwrap().replicas;
    assert_eq!(seven[..3], first.replicas);
    assert_eq!(mesh.resize(&1, 7, T0).unwrap().seq, up.seq);
    let down = mesh.resize(&1, 3, T0).unwrap();
    assert_eq!((down.want, down.granted, down.recruited.len(), down.dropped.len()), (3, 3, 0, 4));
    let three = mesh.placement(&1).unwrap();
    assert_eq!((three.primary, three.seq, three.achieved.regions), (first.primary, mesh.seq(), 2));
    assert!(three.replicas.iter().all(|node| seven.contains(node) && !down.dropped.contains(node)));
    for node in down.dropped {
        let load = mesh.load(node).unwrap();
        assert_eq!((load.resources, load.bookings, load.booked_permille), (0, 0, 0));
    }
}

#[test]
fn it_stays_within_floor_and_ceiling() {
    let (mut mesh, _) = mesh(48, GIB);
    let _ = mesh.allocate(1, &group(), &Policy::default(), T0).unwrap();
    assert_eq!(mesh.resize(&1, 1000, T0).unwrap().granted, 7);
    assert_eq!(mesh.resize(&1, 0, T0).unwrap().granted, 3);
    let _ = mesh.allocate(2, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!(mesh.resize(&2, 12, T0), Err(ResizeError::Pieces));
    let _ = mesh.place_stripe(&1, 0, 2, 1, &Policy::default(), T0).unwrap();
    assert_eq!(mesh.resize(&1, 7, T0), Err(ResizeError::Pieces));
    assert_eq!(mesh.resize(&3, 12, T0), Err(ResizeError::UnknownResource));
}

#[test]
fn the_fullest_region_and_zone_and_the_most_loaded_go_first() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    // Two zones with two nodes in region 0, one node in each of regions 1 and 2.
    let places = [(0, 0), (0, 0), (0, 1), (0, 1), (1, 0), (2, 0)];
    let nodes: Vec<NodeRef> = (0..).zip(places).map(|(id, (r, z))| mesh.upsert(node(id, r, z, GIB))).collect();
    for (&node, load) in nodes.iter().zip([10, 20, 30, 40, 200, 300]) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let full = ResourceSpec { demand: Demand::FULL, ..group() };
    let primary = mesh.allocate(1, &full, &Policy::default(), T0).unwrap().primary;
    assert_eq!(primary, nodes[0]);
    assert_eq!(mesh.resize(&1, 5, T0).unwrap().dropped, [nodes[3]]);
    assert_eq!(mesh.resize(&1, 4, T0).unwrap().dropped, [nodes[1]]);
    // A node on its way out goes before all others.
    mesh.drain(nodes[4], MoveBudget { moves: 0, bytes: 0 }, T0).unwrap();
    assert_eq!(mesh.resize(&1, 3, T0).unwrap().dropped, [nodes[4]]);
    let regions = mesh.placement(&1).unwrap().replicas.into_iter().map(|node| zone_of(&mesh, node).0);
    assert_eq!(tally(regions).len(), 2);
}

#[test]
fn what_was_waited_for_is_not_any_more() {
    let (mut mesh, nodes) = {
        let mut mesh = crate::support::Mesh::new(Config::default());
        let nodes: Vec<NodeRef> = (0..48).map(|id| mesh.upsert(node(id, id % 6, id / 6 % 4, GIB))).collect();
        (mesh, nodes)
    };
    let full = ResourceSpec { demand: Demand::FULL, ..group() };
    let placed = mesh.allocate(1, &full, &Policy::default(), T0).unwrap();
    let lost = &placed.replicas[5..];
    assert!(mesh.nodes_failed(lost, T0).repairs[0].waits_until.is_some());
    // Five are left, as many as are wanted now: nothing goes, and nothing is waited for.
    let down = mesh.resize(&1, 5, T0).unwrap();
    assert_eq!((down.granted, down.shortfall, down.dropped.len(), down.waits_until), (5, 0, 0, None));
    assert_eq!((mesh.repairs_waiting(), mesh.repair(MoveBudget::UNLIMITED, GRACE).len()), (0, 0));
    assert_eq!(mesh.node_returned(lost[0], GRACE).unwrap().kept, Vec::<u64>::new());
    // Still too few: it waits on.
    let few = mesh.placement(&1).unwrap().replicas;
    assert!(mesh.nodes_failed(&few[4..], GRACE).repairs[0].waits_until.is_none());
    for &busy in &nodes {
        let _ = mesh.report(busy, load_report(900, mesh.seq()), GRACE);
    }
    let up = mesh.resize(&1, 7, GRACE).unwrap();
    assert_eq!((up.granted, up.shortfall, up.waits_until), (5, 2, Some(GRACE * 2)));
    // Nobody has it: another count changes nothing about that, though there is room again.
    for &idle in &nodes {
        let _ = mesh.report(idle, load_report(0, mesh.seq()), GRACE);
    }
    let all = mesh.placement(&1).unwrap().replicas;
    assert_eq!(mesh.nodes_failed(&all, GRACE).repairs[0].granted, 0);
    for want in [3, 7] {
        assert_eq!(mesh.resize(&1, want, GRACE).unwrap().granted, 0);
    }
    assert_eq!(mesh.node_returned(all[1], GRACE).unwrap().kept, [1]);
}

#[test]
fn an_unlimited_budget_is_no_bound() {
    let (mut mesh, _) = mesh(20, u64::MAX);
    let group = ResourceSpec { class: Class::Group, ..blob(1 << 62) };
    assert_eq!(mesh.allocate(1, &group, &Policy::default(), T0).unwrap().granted, 3);
    let up = mesh.resize(&1, 7, T0).unwrap();
    assert_eq!((up.granted, up.waits_until), (7, None));
}

#[test]
fn what_has_not_come_goes_before_what_is_there() {
    let (mut mesh, _) = mesh(5, GIB);
    let first = mesh.allocate(1, &group(), &Policy::default(), T0).unwrap();
    for &node in &first.replicas {
        mesh.report(node, load_report(400, first.seq), T0).unwrap();
    }
    let up = mesh.resize(&1, 5, T0).unwrap();
    // The recruits are idle, and their bookings have expired: nothing has come.
    let later = core::time::Duration::from_secs(60);
    assert!(mesh.poll_expired(later).is_some() && mesh.poll_expired(later).is_some());
    let mut dropped = mesh.resize(&1, 3, later).unwrap().dropped;
    let mut recruited = up.recruited;
    dropped.sort();
    recruited.sort();
    assert_eq!(dropped, recruited);
}
