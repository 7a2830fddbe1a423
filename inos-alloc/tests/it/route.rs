//! Goal: requests go to the nearest holder that is up and not busy; groups answer from their primary. Method: one mesh,
//! every rule that decides between two holders.

use crate::support::{MIB, T0, blob, load_report, mesh};
use core::time::Duration;
use inos_alloc::{NodeReport, Policy, RegionId};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn nearest_then_least_loaded() {
    let (mut mesh, nodes) = mesh(12, 1000 * MIB);
    mesh.set_latency(RegionId(0), RegionId(1), Duration::from_millis(30));
    for &node in &nodes {
        mesh.report(node, load_report(100, 0), T0).unwrap();
    }
    let from = RegionId(0);
    assert_eq!(mesh.route(&[], from), None);
    // Region 1 is 30 ms away, region 2 at an unknown distance.
    assert_eq!(mesh.route(&[nodes[2], nodes[1], nodes[0]], from), Some(nodes[0]));
    assert_eq!(mesh.route(&[nodes[2], nodes[1]], from), Some(nodes[1]));
    assert_eq!(mesh.route(&[nodes[2]], from), Some(nodes[2]));
    // Nodes 0 and 6 share a region: load decides, then the last mile does.
    mesh.report(nodes[0], load_report(101, 0), T0).unwrap();
    assert_eq!(mesh.route(&[nodes[0], nodes[6]], from), Some(nodes[6]));
    mesh.report(nodes[6], NodeReport { last_mile: Duration::from_millis(6), ..load_report(0, 0) }, T0).unwrap();
    assert_eq!(mesh.route(&[nodes[0], nodes[6]], from), Some(nodes[0]));
    // Busy and failed nodes are not asked.
    mesh.report(nodes[0], load_report(799, 0), T0).unwrap();
    assert_eq!(mesh.route(&[nodes[0], nodes[6]], from), Some(nodes[0]));
    mesh.report(nodes[0], load_report(800, 0), T0).unwrap();
    assert_eq!(mesh.route(&[nodes[0], nodes[6]], from), Some(nodes[6]));
    let _ = mesh.node_failed(nodes[6], T0);
    assert_eq!(mesh.route(&[nodes[0], nodes[6]], from), None);
}

#[test]
fn equal_holders_are_told_apart_in_any_order() {
    let (mesh, nodes) = mesh(60, 1000 * MIB);
    let mut holders: Vec<_> = nodes.iter().copied().step_by(6).collect();
    let chosen = mesh.route(&holders, RegionId(0));
    holders.reverse();
    assert_eq!(mesh.route(&holders, RegionId(0)), chosen);
}

#[test]
fn a_group_answers_from_its_primary_while_it_can() {
    let (mut mesh, _) = mesh(12, 1000 * MIB);
    assert_eq!(mesh.route_group(&1), None);
    let placed = mesh.allocate(1, &blob(10), &Policy::default(), T0).unwrap();
    for (&node, load) in placed.replicas.iter().zip([799, 500, 400, 450, 900]) {
        mesh.report(node, load_report(load, placed.seq), T0).unwrap();
    }
    assert_eq!(mesh.route_group(&1), Some(placed.primary));
    mesh.report(placed.primary, load_report(800, placed.seq), T0).unwrap();
    assert_eq!(mesh.route_group(&1), Some(placed.replicas[2]));
    // All of them busy: still the least loaded, the primary among them.
    for &node in &placed.replicas[1..] {
        mesh.report(node, load_report(950, placed.seq), T0).unwrap();
    }
    assert_eq!(mesh.route_group(&1), Some(placed.primary));
}
