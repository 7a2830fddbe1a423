//! Goal: a node can be emptied and a mesh levelled without a resource losing anything. Method: small meshes by hand, and a
//! mesh whose nodes report exactly what they carry, levelled until nothing moves.

use crate::support::{GIB, MIB, Mesh, T0, blob, block, effective, load_report, mesh, node, tally, zone_of};
use alloc::collections::BTreeMap;
use inos_alloc::{
    Allocator, Config, DrainError, MoveBudget, NodeRef, Piece, Policy, RemoveError, Temperature, Tolerance, Worker,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Every node reports the load of what it carries, counted up to now.
fn report_all(mesh: &mut Mesh, nodes: &[NodeRef], share_permille: u16, own: &BTreeMap<NodeRef, u16>) {
    for &node in nodes {
        let carried = u16::try_from(mesh.resources_on(node).count()).unwrap();
        let load = carried * share_permille + own.get(&node).copied().unwrap_or(0);
        mesh.report(node, load_report(load, mesh.seq()), T0).unwrap();
    }
}

fn spread(mesh: &Mesh, nodes: &[NodeRef]) -> (u32, u32) {
    let loads = || nodes.iter().map(|&node| effective(mesh, node));
    (loads().max().unwrap(), loads().sum::<u32>() / u32::try_from(nodes.len()).unwrap())
}

#[test]
fn a_drained_node_gets_nothing_and_loses_all() {
    let (mut mesh, nodes) = mesh(48, GIB);
    for id in 0..40 {
        let _ = mesh.allocate(id, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    }
    let leaving = nodes[0];
    let carried: Vec<u64> = mesh.resources_on(leaving).collect();
    assert!(carried.len() > 3);
    assert_eq!(mesh.drain(leaving, MoveBudget { moves: 2, bytes: u64::MAX }, T0).unwrap().moves.len(), 2);
    assert!(mesh.is_draining(leaving) && mesh.is_healthy(leaving));
    assert_eq!(mesh.remove(leaving), Err(RemoveError::InUse { resources: carried.len() - 2 }));
    for id in 40..60 {
        let placed = mesh.allocate(id, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
        assert!(!placed.replicas.contains(&leaving));
    }
    // Two blocks of one MiB each fit into a budget of 2.5 MiB.
    assert_eq!(mesh.drain(leaving, MoveBudget { moves: 9, bytes: 5 * MIB / 2 }, T0).unwrap().moves.len(), 2);
    let rest = mesh.drain(leaving, MoveBudget::UNLIMITED, T0).unwrap();
    assert_eq!((rest.moves.len(), rest.left), (carried.len() - 4, 0));
    for moved in &rest.moves {
        assert_eq!((moved.from, moved.bytes), (leaving, MIB));
        assert_eq!(zone_of(&mesh, moved.to), zone_of(&mesh, leaving));
        let placed = mesh.placement(&moved.resource).unwrap();
        assert!(placed.replicas.contains(&moved.to) && !placed.replicas.contains(&leaving));
        assert_eq!((placed.granted, moved.achieved), (7, Tolerance { nodes: 6, zones: 6, regions: 5 }));
        assert_eq!(moved.new_primary.is_some(), moved.new_primary == Some(placed.primary));
    }
    assert_eq!(mesh.resources_on(leaving).count(), 0);
    assert_eq!(mesh.remove(leaving), Ok(()));
    assert_eq!(mesh.drain(leaving, MoveBudget::UNLIMITED, T0), Err(DrainError::UnknownNode));
}

#[test]
fn the_primary_that_leaves_is_followed_by_one_that_has_the_data() {
    let (mut mesh, _) = mesh(24, GIB);
    let placed = mesh.allocate(1, &block(MIB, Temperature::Warm), &Policy::default(), T0).unwrap();
    let drained = mesh.drain(placed.primary, MoveBudget::UNLIMITED, T0).unwrap();
    let now = mesh.placement(&1).unwrap();
    assert_eq!(drained.moves[0].new_primary, Some(now.primary));
    assert!(placed.replicas[1..].contains(&now.primary));
    assert_ne!(now.primary, drained.moves[0].to);
}

#[test]
fn pieces_go_with_the_node_that_held_them() {
    let (mut mesh, nodes) = mesh(480, 10 * GIB);
    let _ = mesh.allocate(1, &blob(2 * GIB), &Policy::default(), T0).unwrap();
    for number in 0..21 {
        let _ = mesh.place_stripe(&1, number, 100, 20, &Policy::default(), T0).unwrap();
    }
    let leaving = nodes.iter().copied().find(|&node| mesh.resources_on(node).next().is_some()).unwrap();
    let drained = mesh.drain(leaving, MoveBudget::UNLIMITED, T0).unwrap();
    let moved = &drained.moves[0];
    assert_eq!(moved.bytes, MIB * u64::try_from(moved.pieces.len()).unwrap());
    assert!(moved.pieces.len() >= 7);
    for &piece in &moved.pieces {
        let Piece::Shard { stripe, shard } = piece else { panic!("a stripe has shards") };
        let holders = mesh.shard_holders(&1, stripe).unwrap();
        assert_eq!(holders[usize::try_from(shard).unwrap()], Some(moved.to));
    }
    assert_eq!((moved.achieved.nodes, moved.achieved.regions), (20, 1));
    assert_eq!(zone_of(&mesh, moved.to), zone_of(&mesh, leaving));
}

#[test]
fn what_nobody_can_take_stays() {
    let (mut mesh, nodes) = mesh(3, GIB);
    let _ = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let drained = mesh.drain(nodes[0], MoveBudget::UNLIMITED, T0).unwrap();
    assert_eq!((drained.moves.len(), drained.left), (0, 1));
    assert_eq!(mesh.placement(&1).unwrap().granted, 3);
    // The fourth node joins, and it goes on.
    let fresh = mesh.upsert(node(3, 3, 0, GIB));
    let drained = mesh.drain(nodes[0], MoveBudget::UNLIMITED, T0).unwrap();
    assert_eq!((drained.moves.len(), drained.left, drained.moves[0].to), (1, 0, fresh));
}

#[test]
fn a_rebalance_levels_and_then_rests() {
    let (mut mesh, mut nodes) = mesh(24, 1000 * MIB);
    // Two per mille each, 70 on a node; then as many nodes join, empty.
    for id in 0..240 {
        let _ = mesh.allocate(id, &block(2 * MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    }
    let own = BTreeMap::new();
    report_all(&mut mesh, &nodes, 2, &own);
    for id in 24..48 {
        nodes.push(mesh.upsert(node(id, id % 6, id / 6 % 4, 1000 * MIB)));
    }
    let before: Vec<_> = (0..240).map(|id| mesh.placement(&id).unwrap().achieved).collect();
    let (most, mean) = spread(&mesh, &nodes);
    assert_eq!((most, mean), (140, 70));
    let mut moved = 0;
    loop {
        let moves = mesh.rebalance(MoveBudget { moves: 100, bytes: u64::MAX }, T0);
        assert!(moves.len() <= 100);
        if moves.is_empty() {
            break;
        }
        moved += moves.len();
        report_all(&mut mesh, &nodes, 2, &own);
    }
    let (most, mean) = spread(&mesh, &nodes);
    println!("{moved} moves, at most {most} with a mean of {mean}");
    assert!(u64::from(most) * 1000 <= u64::from(mean) * 1050 + 1000);
    // Half of the 1,680 replicas have to move, and not many more do.
    assert!((800..=900).contains(&moved), "{moved}");
    for (id, before) in (0..240).zip(before) {
        let now = mesh.placement(&id).unwrap();
        assert!(now.achieved.zones >= before.zones && now.achieved.regions >= before.regions);
        assert_eq!(tally(now.replicas).len(), 7);
    }
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
}

#[test]
fn a_plan_does_not_wait_for_reports_and_is_not_made_twice() {
    let (mut mesh, mut nodes) = mesh(24, 1000 * MIB);
    for id in 0..240 {
        let _ = mesh.allocate(id, &block(2 * MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    }
    report_all(&mut mesh, &nodes, 2, &BTreeMap::new());
    for id in 24..48 {
        nodes.push(mesh.upsert(node(id, id % 6, id / 6 % 4, 1000 * MIB)));
    }
    let moves = mesh.rebalance(MoveBudget::UNLIMITED, T0);
    assert!((700..=900).contains(&moves.len()), "{}", moves.len());
    // The old nodes still report what they had: that is leaving, and not moved once more.
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
}

#[test]
fn load_of_its_own_does_not_move() {
    let (mut mesh, nodes) = mesh(24, 1000 * MIB);
    let _ = mesh.allocate(1, &block(2 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let own = BTreeMap::from([(nodes[5], 400)]);
    report_all(&mut mesh, &nodes, 2, &own);
    let moves = mesh.rebalance(MoveBudget::UNLIMITED, T0);
    assert!(moves.iter().all(|moved| moved.from != nodes[5] || mesh.resources_on(nodes[5]).next().is_none()));
    assert!(moves.len() <= 3);
}

#[test]
fn what_filled_a_floor_above_half_load_goes_first() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..5).map(|id| mesh.upsert(node(id, id, 0, 1000 * MIB))).collect();
    for (&node, load) in nodes.iter().zip([100, 100, 600, 600, 700]) {
        mesh.report(node, load_report(load, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &blob(MIB - 1), &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.over_target), (5, 3));
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
    for id in 5..8 {
        mesh.upsert(node(id, id, 0, 1000 * MIB));
    }
    let moves = mesh.rebalance(MoveBudget { moves: 3, bytes: u64::MAX }, T0);
    let mut from: Vec<NodeRef> = moves.iter().map(|moved| moved.from).collect();
    from.sort();
    assert_eq!(from, nodes[2..]);
    assert_eq!(mesh.placement(&1).unwrap().over_target, 0);
}

#[test]
fn a_drained_node_stays_drained_until_it_is_told_to_stay() {
    let (mut mesh, nodes) = mesh(24, GIB);
    let placed = mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    let leaving = placed.replicas[3];
    let nothing = MoveBudget { moves: 0, bytes: 0 };
    assert_eq!(mesh.drain(leaving, nothing, T0).unwrap().left, 1);
    // It has a share of the resource, and still gets no piece of it.
    let chunks = mesh.place_chunks(&1, 5, 5, &Policy::default(), T0).unwrap();
    assert!(!chunks.holders.contains(&leaving));
    assert!(Worker::of(&mesh, leaving).is_none() && Worker::of(&mesh, nodes[0]).is_some());
    // Nor does it after a failure.
    let _ = mesh.node_failed(leaving, T0);
    let _ = mesh.node_returned(leaving, T0).unwrap();
    assert!(mesh.is_draining(leaving));
    for id in 2..60 {
        let placed = mesh.allocate(id, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
        assert!(!placed.replicas.contains(&leaving));
    }
    assert!(mesh.undrain(leaving) && !mesh.undrain(leaving) && !mesh.is_draining(leaving));
    let placed = mesh.allocate(60, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    assert!(placed.replicas.contains(&leaving));
}

#[test]
fn a_drain_goes_below_half_load_where_there_is_room() {
    // One node more in each region; the one in the region of the leaving one is busy.
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..6).map(|id| mesh.upsert(node(id, id % 3, 0, GIB))).collect();
    for &busy in &nodes[3..] {
        mesh.report(busy, load_report(600, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    assert_eq!((placed.over_target, placed.achieved.regions), (0, 2));
    // Elsewhere there is room, but two copies would be in one region.
    mesh.report(nodes[4], load_report(0, 0), T0).unwrap();
    let moved = &mesh.drain(nodes[0], MoveBudget::UNLIMITED, T0).unwrap().moves[0];
    assert_eq!((moved.to, moved.achieved.regions), (nodes[3], 2));
    // Of two regions to go to, the one with room: a fourth region is as good.
    let fourth = mesh.upsert(node(6, 3, 0, GIB));
    let moved = &mesh.drain(nodes[2], MoveBudget::UNLIMITED, T0).unwrap().moves[0];
    assert_eq!((moved.to, moved.achieved.regions), (fourth, 2));
}

#[test]
fn a_rebalance_keeps_what_is_tolerated() {
    // Three copies in three regions; the only idle node is in a region that has one.
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..3).map(|id| mesh.upsert(node(id, id, 0, GIB))).collect();
    for id in 0..20 {
        let _ = mesh.allocate(id, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    }
    report_all(&mut mesh, &nodes, 1, &BTreeMap::from([(nodes[0], 100), (nodes[1], 100)]));
    mesh.upsert(node(3, 2, 0, GIB));
    let moves = mesh.rebalance(MoveBudget::UNLIMITED, T0);
    assert!(moves.iter().all(|moved| moved.from == nodes[2]), "{moves:?}");
    assert_eq!(mesh.rebalance(MoveBudget { moves: u64::MAX, bytes: 0 }, T0), []);
}

#[test]
fn what_left_is_counted_off_until_a_report_counts_it() {
    let (mut mesh, mut nodes) = mesh(24, 1000 * MIB);
    for id in 0..240 {
        let _ = mesh.allocate(id, &block(2 * MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    }
    report_all(&mut mesh, &nodes, 2, &BTreeMap::new());
    let old = mesh.seq();
    for id in 24..48 {
        nodes.push(mesh.upsert(node(id, id % 6, id / 6 % 4, 1000 * MIB)));
    }
    assert!(!mesh.rebalance(MoveBudget::UNLIMITED, T0).is_empty());
    // Reports that do not count the moves yet change nothing about it.
    for &node in &nodes[..24] {
        mesh.report(node, load_report(140, old), T0).unwrap();
    }
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
    // Who never counts them is believed in the end.
    let later = inos_alloc::BOOKING_TTL;
    for &node in &nodes {
        let seq = if nodes[..24].contains(&node) { old } else { mesh.seq() };
        let load = if nodes[..24].contains(&node) { 140 } else { 70 };
        mesh.report(node, load_report(load, seq), later - core::time::Duration::from_millis(1)).unwrap();
    }
    assert!(!mesh.rebalance(MoveBudget::UNLIMITED, later).is_empty());
}

#[test]
fn who_came_below_half_load_keeps_what_filled_a_floor() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..5).map(|id| mesh.upsert(node(id, id, 0, 1000 * MIB))).collect();
    for &node in &nodes {
        mesh.report(node, load_report(600, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &blob(MIB - 1), &Policy::default(), T0).unwrap();
    assert_eq!(placed.over_target, 5);
    for &node in &nodes[..4] {
        mesh.report(node, load_report(300, placed.seq), T0).unwrap();
    }
    for id in 5..8 {
        mesh.upsert(node(id, id, 0, 1000 * MIB));
    }
    let moves = mesh.rebalance(MoveBudget { moves: 1, bytes: u64::MAX }, T0);
    assert_eq!((moves[0].from, mesh.placement(&1).unwrap().over_target), (nodes[4], 0));
}

#[test]
fn what_a_report_counts_is_not_taken_off_again() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let giver = mesh.upsert(node(0, 0, 0, GIB));
    let other: Vec<NodeRef> = (1..3).map(|id| mesh.upsert(node(id, 0, 0, GIB))).collect();
    for &node in &other {
        mesh.report(node, load_report(900, 0), T0).unwrap();
    }
    for id in 0..4 {
        let _ = mesh.allocate(id, &block(100 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    }
    mesh.report(giver, load_report(392, mesh.seq()), T0).unwrap();
    for &node in &other {
        mesh.report(node, load_report(0, mesh.seq()), T0).unwrap();
    }
    let one = MoveBudget { moves: 1, bytes: u64::MAX };
    let first = mesh.rebalance(one, T0).remove(0);
    assert_eq!(mesh.rebalance(one, T0).len(), 1);
    // It has counted the first move, and not the second: 392 - 98, of which 98 will go.
    mesh.report(giver, load_report(294, first.seq), T0).unwrap();
    for &node in &other {
        mesh.report(node, load_report(98, mesh.seq()), T0).unwrap();
    }
    // 196 beside 98 and 98: one more move helps nobody. Beside 20 and 20 it does.
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0), []);
    for &node in &other {
        mesh.report(node, load_report(20, mesh.seq()), T0).unwrap();
    }
    assert_eq!(mesh.rebalance(MoveBudget::UNLIMITED, T0).len(), 1);
}
